"""Means, medians and percentiles of exact numbers, and confidence intervals of counts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from statistics import NormalDist

Z95 = NormalDist().inv_cdf(0.975)
HALF = Fraction(1, 2)


def percentile(values: Sequence[int], share: Fraction) -> Fraction | None:
    """The percentile, interpolated linearly between the two nearest ranks; None without values."""
    if not values:
        return None
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])


def mean(values: Sequence[int]) -> Fraction | None:
    return Fraction(sum(values), len(values)) if values else None


def scaled(value: Fraction | None, unit: int) -> float | None:
    """The value in units of `unit`, as published; None stays None."""
    return None if value is None else float(value / unit)


def wilson(successes: int, trials: int) -> tuple[float, float] | tuple[None, None]:
    """The 95 % Wilson score interval of a share; no interval without trials."""
    if trials == 0:
        return None, None
    share, spread = successes / trials, Z95**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = Z95 / (1 + spread) * math.sqrt(share * (1 - share) / trials + spread / trials / 4)
    return 0.0 if successes == 0 else middle - half, 1.0 if successes == trials else middle + half


def nps_interval(promoters: int, detractors: int, responses: int) -> tuple[float, float] | tuple[None, None]:
    """The 95 % normal interval of an NPS, in points, not cut at -100 and 100."""
    if responses == 0:
        return None, None
    score = (promoters - detractors) / responses
    half = Z95 * math.sqrt(((promoters + detractors) / responses - score**2) / responses)
    return 100 * (score - half), 100 * (score + half)
