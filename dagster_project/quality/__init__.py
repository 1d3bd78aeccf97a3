"""Quality gates: native Great Expectations suites in, result rows out.

Belongs here: reading suites, running them on one DuckDB file, judging the outcome, wording a refusal.
Does not belong here: what happens on a refusal (the caller decides), Dagster, and the expectations
themselves, which lie under `expectations/`. Only `audit` imports great_expectations, in a process of its own
(`process`).
"""
