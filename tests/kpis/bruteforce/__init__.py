"""A second opinion on every KPI: plain Python loops, no SQL, nothing shared with the models under test.

`compute(company, settings, as_of)` gives every KPI table as a list of dicts; `read_lake` builds the company
from typed Parquet; `assert_tables_equal` compares cell by cell. Formulas: KPI_SPEC; columns: INTERFACES section 3.
"""

from .company import Company, Settings, default_as_of, read_lake
from .compare import assert_tables_equal
from .money import MissingRate
from .tables import compute

__all__ = ["Company", "MissingRate", "Settings", "assert_tables_equal", "compute", "default_as_of", "read_lake"]
