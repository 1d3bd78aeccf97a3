"""What a person reads from a published release: the scorecard in a terminal and a static HTML page.

Belongs here: reading the published tables and showing them. Does not belong here: working out a KPI (the
models do), deciding whether a release may be published, and Dagster.
"""
