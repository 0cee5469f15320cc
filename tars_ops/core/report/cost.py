"""What does the release cost to run, where does the money go, and is it rising?

US dollars per day of the watch, over all services. A day whose cost is not known for every service is left out and
counted; nothing is filled in for it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, get_args

from tars_ops.core.model import Frozen
from tars_ops.core.policy import CostKpi, CostPart
from tars_ops.core.report.documented import in_usd
from tars_ops.core.report.week import Week, days_text
from tars_ops.core.units import Unit, percent, show

TREND_LIMIT = 0.10
MIN_TREND_DAYS = 4

CostTrend = Literal["increasing", "stable", "decreasing", "too early"]
CostParts = Mapping[int, Mapping[str, float]]
"""Day -> part -> mean US dollars per hour over all services."""


class CostBreakdown(Frozen):
    """Mean US dollars per day by resource; None where it is not known or has no price."""

    compute: float | None
    storage: float | None
    network: float | None
    other: float | None


class CostDay(Frozen):
    """US dollars of one day; None where it is not known."""

    day: int
    usd: float | None


class CostAnalysis(Frozen):
    """The cost of the watch in US dollars; None where it is unknown."""

    ga_day_cost: float | None
    seven_day_total_cost: float | None
    """Over the known days only."""
    daily_average_cost: float | None
    """Over the known days only."""
    cost_trend: CostTrend
    cost_breakdown: CostBreakdown
    cost_optimization_recommendations: tuple[str, ...]
    n_days_known: int
    by_day: tuple[CostDay, ...]
    note: str
    """What the figures leave out."""


def cost_kpi(week: Week) -> tuple[str, CostKpi] | None:
    """Return the KPI that measures cost; None where the policy has no prices."""
    return next(((name, kpi) for name, kpi in week.policy.judged.items() if isinstance(kpi, CostKpi)), None)


def cost_analysis(week: Week, parts: CostParts | None) -> CostAnalysis:
    """Return what the release costs."""
    by_day = {day: _usd(week, day) for day in week.days}
    known = {day: usd for day, usd in by_day.items() if usd is not None}
    costs = tuple(known.values())
    average = sum(costs) / len(costs) if costs else None
    before, breakdown = _usd(week, 0), _breakdown(week, parts or {}, tuple(known))
    return CostAnalysis(
        ga_day_cost=in_usd(before),
        seven_day_total_cost=in_usd(sum(costs)) if costs else None,
        daily_average_cost=in_usd(average),
        cost_trend=trend_of(costs),
        cost_breakdown=breakdown,
        cost_optimization_recommendations=tuple(_advice(week, before, costs, breakdown)),
        n_days_known=len(known),
        by_day=tuple(CostDay(day=day, usd=in_usd(usd)) for day, usd in by_day.items()),
        note=_note(week, by_day),
    )


def _usd(week: Week, day: int) -> float | None:
    found = cost_kpi(week)
    if found is None:
        return None
    per_hour = week.total(day, found[0]) if day else week.ga_total(found[0])
    return None if per_hour is None or per_hour.value is None else per_hour.value * hours_of(week)


def hours_of(week: Week) -> float:
    """Return how many hours a day of the watch has."""
    return week.release.day_length_s / 3600


def trend_of(costs: Sequence[float]) -> CostTrend:
    """Compare the second half of some days with the first.

    Examples
    --------
    >>> [trend_of([10, 10, 12, 12]), trend_of([10, 10, 10, 10]), trend_of([10, 12])]
    ['increasing', 'stable', 'too early']
    """
    if len(costs) < MIN_TREND_DAYS:
        return "too early"
    first, second = halves(costs)
    if second > first * (1 + TREND_LIMIT):
        return "increasing"
    return "decreasing" if second < first * (1 - TREND_LIMIT) else "stable"


def halves(costs: Sequence[float]) -> tuple[float, float]:
    """Return the means of the first and of the second half of at least two days.

    Examples
    --------
    >>> halves([10, 12, 14])
    (10.0, 13.0)
    """
    middle = len(costs) // 2
    return sum(costs[:middle]) / middle, sum(costs[middle:]) / (len(costs) - middle)


def _breakdown(week: Week, parts: CostParts, days: Sequence[int]) -> CostBreakdown:
    def mean(part: str) -> float | None:
        found = [parts.get(day, {}).get(part) for day in days]
        known = [usd for usd in found if usd is not None]
        complete = known and len(known) == len(days)
        return in_usd(sum(known) / len(known) * hours_of(week)) if complete else None

    return CostBreakdown.model_validate({part: mean(part) for part in get_args(CostPart)})


def _advice(week: Week, before: float | None, costs: Sequence[float], breakdown: CostBreakdown) -> Iterator[str]:
    found = cost_kpi(week)
    if found is None or not costs:
        return
    average = sum(costs) / len(costs)
    largest = _largest(breakdown, average)
    if trend_of(costs) == "increasing":
        first, second = (show(half, Unit.USD) for half in halves(costs))
        yield f"Stop the rise: from {first} per day in the first half of the days to {second} in the second{largest}"
    if before and average > before * (1 + found[1].drift_warn):
        yield (
            f"Review the resources: {show(average, Unit.USD)} per day are {percent(average / before - 1, signed=True)} "
            f"from {show(before, Unit.USD)} on the GA day{largest}"
        )


def _largest(breakdown: CostBreakdown, average: float) -> str:
    known = {part: usd for part, usd in breakdown.model_dump().items() if usd is not None}
    if not known or not average:
        return ""
    part = max(known, key=lambda one: known[one])
    return f"; the largest part is {part}, {percent(known[part] / average, digits=0)} of the average day"


def _note(week: Week, by_day: Mapping[int, float | None]) -> str:
    if cost_kpi(week) is None:
        return "The policy names no prices, so no cost is known."
    unknown = [day for day, usd in by_day.items() if usd is None]
    if not unknown:
        return f"Every day up to day {week.as_of} is known."
    left_out = f"{days_text(unknown)} {'is' if len(unknown) == 1 else 'are'} unknown and left out"
    return f"{left_out[0].upper()}{left_out[1:]}; total and average are of the other days."
