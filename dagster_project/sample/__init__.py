"""The sample company: a deterministic, seeded generator of all standard extracts.

`lives` decides what happens to each account, `usage` and `records` derive what the systems of the
company recorded about it, `dirt` adds what such systems get wrong, `deliveries` writes the files.
"""

from dagster_project.sample.deliveries import write_sample_company as write_sample_company
