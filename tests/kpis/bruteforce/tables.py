"""Puts every table together."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from functools import cache, partial

from .accounts import dim_accounts, fct_account_periods
from .book import Book
from .catalogue import values_table
from .company import Company, Row, Settings
from .lifecycle import cohorts_table, onboarding_table, trials_table
from .ltv import LifetimeValue, Payments, account_ltv_table
from .revenue import Revenue
from .segments import Segments
from .service import satisfaction_table, support_table
from .usage import Usage, engagement_daily_table, engagement_table

REVENUE_TABLES = ("kpi_mrr", "kpi_churn", "kpi_retention", "kpi_nrr", "kpi_expansion")


def compute(
    company: Company, settings: Settings, as_of: dt.date, only: Collection[str] | None = None
) -> dict[str, list[Row]]:
    """Every dim, fact and KPI table (or those named by `only`) as rows with the columns of INTERFACES section 3.

    Money is Decimal at 4 places, counts int, ratios, means and medians float or None. Raises MissingRate where an
    amount in another currency has no rate.
    """
    book = Book(company, settings, as_of)
    segments, usage, payments = Segments(book), Usage(book), Payments(book)
    revenue = Revenue(book, segments)
    kpis = {name: partial(revenue.table, name) for name in REVENUE_TABLES} | {
        "kpi_ltv": LifetimeValue(book, segments, revenue, payments).table,
        "kpi_onboarding": partial(onboarding_table, book, segments),
        "kpi_engagement": partial(engagement_table, book, segments, usage),
        "kpi_satisfaction": partial(satisfaction_table, book, segments),
        "kpi_support": partial(support_table, book, segments),
        "kpi_trials": partial(trials_table, book, segments),
        "kpi_cohorts": partial(cohorts_table, book, segments),
    }
    tables = {name: cache(build) for name, build in kpis.items()} | {
        "kpi_values": lambda: values_table({name: tables[name]() for name in kpis}, settings.small_sample),
        "dim_accounts": partial(dim_accounts, book, segments),
        "fct_account_periods": partial(fct_account_periods, book, segments, revenue, usage),
        "fct_account_ltv": partial(account_ltv_table, book, segments, payments),
        "fct_engagement_daily": partial(engagement_daily_table, book, segments, usage),
    }
    return {name: build() for name, build in tables.items() if only is None or name in only}
