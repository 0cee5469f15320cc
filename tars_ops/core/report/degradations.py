"""What got worse during the watch, when, how badly, and is it over?

One incident is one KPI of one service from its first bad day until a day on which it is known to be good again. Whether
it is over is looked up in the days that followed; a day that nobody knows never ends an incident.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from tars_ops.core.model import Frozen
from tars_ops.core.policy import RatioKpi
from tars_ops.core.report.week import Key, Week, category_of, days_text
from tars_ops.core.units import percent, show
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.core.watch.stability import Drift, KpiDay, change_text, moved_text

Resolution = Literal["resolved", "open", "unknown"]


class Degradation(Frozen):
    """One incident of one KPI of one service."""

    day_occurred: int
    """Its first bad day."""
    category: str
    description: str
    severity: Severity
    """Of its worst day."""
    impact: str
    resolution_status: Resolution
    resolution_details: str
    kpi: str
    service: str
    days: tuple[int, ...]
    """Its bad days."""
    resolved_day: int | None
    """The first later day on which the KPI was known to be good again."""


def degradations(week: Week) -> tuple[Degradation, ...]:
    """Return every incident, the worst and oldest first."""
    found = [
        _degradation(week, key, bad, resolved_day) for key in week.keys for bad, resolved_day in _incidents(week, key)
    ]
    return tuple(sorted(found, key=lambda one: (one.severity.rank, one.day_occurred)))


def _incidents(week: Week, key: Key) -> Iterator[tuple[Mapping[int, Severity], int | None]]:
    """Yield the bad days of each incident, and the day that ended it."""
    bad: dict[int, Severity] = {}
    for day in week.days:
        if severity := week.severity(day, key):
            bad[day] = severity
        elif bad and week.is_over(day, key):
            yield bad, day
            bad = {}
    if bad:
        yield bad, None


def _degradation(week: Week, key: Key, bad: Mapping[int, Severity], resolved_day: int | None) -> Degradation:
    kpi, service = key
    worst_day = min(bad, key=lambda day: (bad[day].rank, -day))
    status, details = _resolution(week, key, max(bad), resolved_day)
    return Degradation(
        day_occurred=min(bad),
        category=category_of(week.policy.kpis[kpi]),
        description=f"{week.title(kpi)} of {service}, {days_text(tuple(bad))}: {_figures(week, key, worst_day)}",
        severity=bad[worst_day],
        impact=_impact(week, key, tuple(bad), worst_day),
        resolution_status=status,
        resolution_details=details,
        kpi=kpi,
        service=service,
        days=tuple(bad),
        resolved_day=resolved_day,
    )


def _resolution(week: Week, key: Key, last_bad: int, resolved_day: int | None) -> tuple[Resolution, str]:
    unseen = tuple(day for day in week.days if last_bad < day < (resolved_day or week.as_of + 1))
    doubt = "; ".join(_unseen(week, key, day) for day in unseen)
    if resolved_day is not None:
        row = week.rows[resolved_day][key]
        words = "Good again" if row.verdict is Verdict.PASS else "Within its limits again, with a warning,"
        said = f"{words} on day {resolved_day}, at {show(row.measured.value, week.kpi(key[0]).unit)}"
        return "resolved", f"{said}, after {doubt}" if doubt else said
    if doubt:
        return "unknown", f"Nobody knows whether it is over: {doubt}"
    return "open", f"Still bad on day {last_bad}, the latest day"


def _unseen(week: Week, key: Key, day: int) -> str:
    row = week.row(day, key)
    if row is not None and row.verdict is not Verdict.UNKNOWN:
        return f"on day {day} it was still {_change(row)} from the GA day, but too noisy to be sure"
    if row is not None:
        return f"day {day} is unknown ({row.reason})"
    return f"day {day} is missing" if day in week.missing else f"on day {day} the service was not measured"


def _figures(week: Week, key: Key, day: int) -> str:
    row = week.rows[day][key]
    regression = week.regressions.get(key)
    if row.verdict is Verdict.FAIL:
        return row.reason
    if regression is not None and regression.comparison.day == day:
        return regression.comparison.sentence
    if row.verdict is Verdict.WARN:
        return row.reason
    return moved_text(row.measured, row.baseline, _drift(row), week.kpi(key[0]).unit)


def _change(row: KpiDay) -> str:
    return change_text(_drift(row))


def _drift(row: KpiDay) -> Drift:
    return Drift(row.drift, row.drift_in, row.harm)


def _impact(week: Week, key: Key, days: tuple[int, ...], worst_day: int) -> str:
    rows = [week.rows[day][key] for day in days]
    counted = [row.measured.burn for row in rows if row.slo is not None and row.measured.burn is not None]
    if not counted:
        return f"{_change(week.rows[worst_day][key])} from the GA day on day {worst_day}"
    n_bad, n_total = (sum(column) for column in zip(*counted, strict=True))
    kind = "failed" if isinstance(week.kpi(key[0]), RatioKpi) else "were too slow"
    return f"{n_bad} of {n_total} events {kind} on {days_text(days)}{_budget_text(week, key, days)}"


def _budget_text(week: Week, key: Key, days: tuple[int, ...]) -> str:
    budget = week.budgets.get(key)
    if budget is None:
        return ""
    spent = sum(one.spent or 0.0 for one in budget.days if one.day in days)
    return f", {percent(spent)} of the error budget of {budget.period_days} days"
