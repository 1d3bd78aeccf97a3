"""What the sample company sells, to whom and at what price: constants and the one price formula."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

INDUSTRIES = {
    "ソフトウェア": 1.05,
    "製造": 1.00,
    "小売": 0.90,
    "金融": 1.20,
    "医療": 1.10,
    "教育": 0.80,
    "物流": 0.95,
    "建設": 0.95,
}
REGIONS = {"関東": 1.05, "関西": 1.00, "中部": 0.98, "九州": 0.92, "東北": 0.90, "北海道": 0.90}
REGION_SHARES = (45, 22, 14, 9, 5, 5)
OWNERS = tuple(f"CSM {name}" for name in ("Aoi", "Haru", "Hinata", "Itsuki", "Mizuki", "Nagi", "Ren", "Sora"))
SIZES = ("1-10", "11-50", "51-200", "201-1000", "1001+")
SIZE_SHARES = (26, 34, 24, 12, 4)
SIZE_SEATS = {"1-10": (2, 9), "11-50": (5, 25), "51-200": (12, 60), "201-1000": (30, 120), "1001+": (60, 240)}
SIZE_PRICE = {"1-10": 1.10, "11-50": 1.00, "51-200": 0.94, "201-1000": 0.86, "1001+": 0.78}

CORE = "platform"
ADD_ONS = {"analytics": 700, "automation": 900, "ai_assist": 1500}
ADD_ON_PLAN = "Add-on"
FREE = "Free"
PLANS = ("Starter", "Business", "Enterprise")
PLAN_PRICE = {"Starter": 1200, "Business": 2800, "Enterprise": 5200}
PLAN_HAZARD = {"Starter": 1.30, "Business": 0.85, "Enterprise": 0.50}
PLAN_SHARES = {
    "1-10": (80, 18, 2), "11-50": (50, 42, 8), "51-200": (25, 55, 20), "201-1000": (8, 52, 40), "1001+": (2, 38, 60),
}  # fmt: skip

JPY_PER_UNIT = {"JPY": 1.0, "USD": 150.0, "EUR": 163.0}
TRAINING = "training"
STEPS = ("kickoff", "data_import", "first_dashboard", "team_invited", "go_live")


@dataclass(frozen=True)
class Billing:
    """How often an account is billed; `months` is the length of one interval."""

    interval: str
    count: int
    months: int
    discount: float


BILLINGS = (
    Billing("month", 1, 1, 0.0),
    Billing("quarter", 1, 3, 0.02),
    Billing("half_year", 1, 6, 0.05),
    Billing("year", 1, 12, 0.10),
    Billing("year", 2, 24, 0.15),
)
BILLING_SHARES = (46, 12, 8, 30, 4)


def monthly_seat_price(product: str, plan: str) -> float:
    """List price in JPY per seat and month."""
    return ADD_ONS[product] if product in ADD_ONS else PLAN_PRICE[plan]


def money(value_in_jpy: float, currency: str) -> Decimal:
    """An amount in the given currency, rounded to its smallest unit."""
    unit = Decimal("1") if currency == "JPY" else Decimal("0.01")
    return Decimal(repr(value_in_jpy / JPY_PER_UNIT[currency])).quantize(unit, ROUND_HALF_UP)
