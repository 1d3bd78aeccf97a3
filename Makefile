# Every target makes the environment it needs first.
PYTHON ?= python3
BIN = .venv/bin
export DAGSTER_DISABLE_TELEMETRY = yes
DAGSTER_HOME ?= $(abspath $(or $(KEIZOKU_HOME),data))/dagster

.PHONY: install nightly dev test test-long lint format lock benchmark benchmark-growth

install: .venv/.installed
nightly: install
	$(BIN)/keizoku sample --if-empty
	$(BIN)/keizoku nightly
dev: install
	mkdir -p $(DAGSTER_HOME) && cp dagster.yaml $(DAGSTER_HOME)
	DAGSTER_HOME=$(DAGSTER_HOME) $(BIN)/dagster dev --host 127.0.0.1
test: .venv/.installed-test
	$(BIN)/pytest
test-long: .venv/.installed-test
	$(BIN)/pytest -m "long or not long"
# Against bare DuckDB on the company of ../shared/bench; SCALE=1 is 10 million events. In BENCH_HOME the extracts stay.
SCALE ?= 0.1
MONTHS ?= 36
FORMAT ?= parquet
REPEATS ?= 3
SCALES ?= 0.1 1 10
HISTORIES ?= 12 24 36
BENCHMARKS = PYTHONPATH=tests $(BIN)/python -m benchmarks
benchmark: install .venv-bench/.installed
	$(BENCHMARKS) run --scale $(SCALE) --months $(MONTHS) --format $(FORMAT) --repeats $(REPEATS)
benchmark-growth: install .venv-bench/.installed
	$(BENCHMARKS) growth $(addprefix --scale ,$(SCALES)) $(addprefix --months ,$(HISTORIES)) \
		--format $(FORMAT) --repeats $(REPEATS)
lint: .venv/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
format: .venv/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# One lock file serves both: the test extra only adds to it.
.venv/.installed .venv/.installed-test: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch .venv/.installed .venv/.installed-test

# What the generator, the reference and the plot need; none of it is the project's.
.venv-bench/.installed: tests/benchmarks/requirements.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# Needs uv; no index address enters the files.
lock:
	uv pip compile pyproject.toml --extra test --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-strip-extras --no-annotate --no-header --output-file requirements.lock
	uv pip compile tests/benchmarks/requirements.in --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-strip-extras --no-annotate --no-header \
		--output-file tests/benchmarks/requirements.lock
