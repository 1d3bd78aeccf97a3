"""kpi_values: every metric of the specification with its numerator, denominator, interval and small-sample flag."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .company import Row
from .stats import nps_interval, wilson

Value = Callable[[Row], Any]
KEY = ("grain", "period_start", "segment_dimension", "segment_value", "period_end")


@dataclass(frozen=True)
class Metric:
    """Where a metric's figures stand; `share` marks quotients of counts of the same things, which have an interval."""

    metric_id: str
    table: str
    numerator: Value | None = None
    denominator: Value | None = None
    sample: str | None = None
    column: str | None = None
    share: bool = False


def of(*columns: str) -> Value:
    """The sum of columns; a leading minus subtracts."""
    return lambda row: sum(-row[c[1:]] if c.startswith("-") else row[c] for c in columns)


def share(metric_id: str, table: str, numerator: Value, count: str) -> Metric:
    return Metric(metric_id, table, numerator, of(count), count, share=True)


def money(metric_id: str, table: str, numerator: Value, denominator: Value, sample: str) -> Metric:
    return Metric(metric_id, table, numerator, denominator, sample)


METRICS = [
    Metric("mrr", "kpi_mrr", column="closing_mrr"),
    Metric("arr", "kpi_mrr"),
    Metric("customers", "kpi_mrr"),
    Metric("arpa", "kpi_mrr", of("closing_mrr"), of("customers")),
    Metric(
        "quick_ratio",
        "kpi_mrr",
        of("new_mrr", "reactivation_mrr", "expansion_mrr"),
        of("contraction_mrr", "churned_mrr"),
    ),
    share("customer_churn_rate", "kpi_churn", of("churned_customers"), "opening_customers"),
    money("revenue_churn_rate", "kpi_churn", of("churned_mrr"), of("opening_mrr"), "opening_customers"),
    money(
        "gross_revenue_churn_rate",
        "kpi_churn",
        of("churned_mrr", "contraction_mrr"),
        of("opening_mrr"),
        "opening_customers",
    ),
    money(
        "net_revenue_churn_rate",
        "kpi_churn",
        of("churned_mrr", "contraction_mrr", "-expansion_mrr"),
        of("opening_mrr"),
        "opening_customers",
    ),
    share(
        "customer_retention_rate",
        "kpi_retention",
        of("closing_customers", "-new_customers", "-reactivated_customers"),
        "opening_customers",
    ),
    money("nrr", "kpi_nrr", of("retained_mrr"), of("opening_mrr"), "opening_customers"),
    money("grr", "kpi_nrr", of("gross_retained_mrr"), of("opening_mrr"), "opening_customers"),
    money("nrr_12m", "kpi_nrr", of("retained_12m_mrr"), of("cohort_12m_mrr"), "cohort_12m_customers"),
    money("grr_12m", "kpi_nrr", of("gross_retained_12m_mrr"), of("cohort_12m_mrr"), "cohort_12m_customers"),
    share("upsell_rate", "kpi_expansion", of("upsold_customers"), "opening_customers"),
    share("cross_sell_rate", "kpi_expansion", of("cross_sold_customers"), "opening_customers"),
    Metric("average_lifetime_months", "kpi_ltv"),
    Metric("ltv", "kpi_ltv"),
    Metric("ltv_purchase", "kpi_ltv"),
    Metric("ltv_realised", "kpi_ltv", column="ltv_realised_average"),
    share("onboarding_completion_rate", "kpi_onboarding", of("onboarded_accounts"), "eligible_accounts"),
    Metric("days_to_onboard_median", "kpi_onboarding"),
    Metric("nps", "kpi_satisfaction", of("promoters", "-detractors"), of("nps_responses"), "nps_responses"),
    share("csat_rate", "kpi_satisfaction", of("csat_satisfied"), "csat_responses"),
    Metric("csat_average", "kpi_satisfaction"),
    Metric("ticket_resolution_hours_median", "kpi_support"),
    Metric("ticket_resolution_hours_p90", "kpi_support"),
    Metric("ticket_resolution_hours_mean", "kpi_support"),
    Metric("first_response_hours_median", "kpi_support"),
    Metric("tickets_opened", "kpi_support"),
    Metric("tickets_resolved", "kpi_support"),
    Metric("ticket_backlog", "kpi_support"),
    Metric("active_users", "kpi_engagement"),
    Metric("active_users_daily_average", "kpi_engagement"),
    Metric("active_users_weekly_average", "kpi_engagement"),
    Metric("stickiness", "kpi_engagement", of("active_users_daily_average"), of("active_users")),
    Metric("seat_utilisation", "kpi_engagement", of("active_users"), of("seats")),
    share("active_account_rate", "kpi_engagement", of("active_customers"), "customers_in_period"),
    Metric("sessions", "kpi_engagement"),
    Metric("sessions_per_active_user", "kpi_engagement", of("sessions"), of("active_users")),
    Metric("session_minutes_average", "kpi_engagement"),
    Metric("session_minutes_median", "kpi_engagement"),
    share("trial_conversion_rate", "kpi_trials", of("trials_converted"), "trials_ended"),
]


def values_table(tables: dict[str, list[Row]], small_sample: int) -> list[Row]:
    """The rows of kpi_values: every metric of every row of the KPI tables; all numbers as floats."""
    return [_value_row(metric, row, small_sample) for metric in METRICS for row in tables[metric.table]]


def _value_row(metric: Metric, row: Row, small_sample: int) -> Row:
    low, high = _interval(metric, row)
    return {
        "metric_id": metric.metric_id,
        **{name: row[name] for name in KEY},
        "value": _float(row[metric.column or metric.metric_id]),
        "numerator": _float(metric.numerator(row)) if metric.numerator else None,
        "denominator": _float(metric.denominator(row)) if metric.denominator else None,
        "ci_low": low,
        "ci_high": high,
        "is_complete": row["is_complete"],
        "is_small_sample": metric.sample is not None and row[metric.sample] < small_sample,
    }


def _interval(metric: Metric, row: Row) -> tuple[float | None, float | None]:
    if row[metric.column or metric.metric_id] is None:
        return None, None
    if metric.metric_id == "nps":
        return nps_interval(row["promoters"], row["detractors"], row["nps_responses"])
    return wilson(metric.numerator(row), row[metric.sample]) if metric.share else (None, None)


def _float(value: Any) -> float | None:
    return None if value is None else float(value)
