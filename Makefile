# Every target makes the environment it needs first.
PYTHON ?= python3
BIN = .venv/bin
export DAGSTER_DISABLE_TELEMETRY = yes
DAGSTER_HOME ?= $(abspath $(or $(KEIZOKU_HOME),data))/dagster

.PHONY: install nightly dev semantic test test-long test-random mutation lint format lock benchmark benchmark-growth

install: .venv/.installed
nightly: install
	$(BIN)/keizoku sample --if-empty
	$(BIN)/keizoku nightly
dev: install
	mkdir -p $(DAGSTER_HOME) && cp dagster.yaml $(DAGSTER_HOME)
	DAGSTER_HOME=$(DAGSTER_HOME) $(BIN)/dagster dev --host 127.0.0.1
# What `mf` reads beside the published tables; again after a change of the models.
semantic: .venv/.installed-test
	cd dbt && ../$(BIN)/dbt --quiet parse
# The tests of a module stay together: they share what takes longest to build. Modules of short tests come last.
PYTEST = $(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder
test: .venv/.installed-test
	$(PYTEST)
test-long: .venv/.installed-test
	$(PYTEST) -m "long or not long"
test-random: .venv/.installed-test
	$(PYTEST) -m long tests/kpis/test_properties.py tests/kpis/test_random_companies.py
# Breaks the SQL in the ways of tests/kpis/mutants.yml and lists what the tests of the KPIs do not notice.
mutation: .venv/.installed-test
	$(BIN)/python tests/kpis/mutate.py
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

# The lock file has the test extra too; the tests also need the semantic extra, whose lock file holds only what it adds.
# The models are parsed at last, so that no first night has to.
.venv/.installed: requirements.lock pyproject.toml
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --compile -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	$(BIN)/python -c "from dagster_project import settings, transformation as t; t.prepared_manifest(settings.Settings())"
	touch $@
# One package of it comes as source only and is built with the setuptools that is there.
.venv/.installed-test: .venv/.installed requirements-semantic.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --no-build-isolation \
		--compile -r requirements-semantic.lock
	touch $@

# What the generator, the reference and the plot need; none of it is the project's.
.venv-bench/.installed: tests/benchmarks/requirements.lock
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps -r $<
	touch $@

# Needs uv; no index address enters the files.
LOCK = uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-strip-extras --no-annotate --no-header
lock:
	$(LOCK) pyproject.toml --extra test --output-file requirements.lock
	$(LOCK) pyproject.toml --extra test --extra semantic --constraint requirements.lock \
		--output-file requirements-semantic.lock \
		$$(sed -En 's/^([a-z0-9._-]+).*==.*/--no-emit-package \1/p' requirements.lock)
	$(LOCK) tests/benchmarks/requirements.in --output-file tests/benchmarks/requirements.lock
