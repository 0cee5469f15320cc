"""What moved further than expected without being a regression, and what may be behind it?

Only harm of a relative kind counts, on the latest judged day, between the policy's two drift limits. Whatever is bad
enough to be an incident is listed there instead.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import pairwise
from typing import Literal

from tars_ops.core.model import Frozen
from tars_ops.core.report.degradations import Degradation
from tars_ops.core.report.documented import percent_of
from tars_ops.core.report.week import Key, Week
from tars_ops.core.units import Unit
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.stability import Drift, KpiDay, change_text

INVESTIGATE = 0.15
"""Relative harm above which somebody has to look."""
N_CAUSES = 3
DIRECTED = 0.6
"""Share of all movement that must go one way to be called a trend."""

Trend = Literal["increasing", "decreasing", "volatile", "stable"]


class UnexpectedDrift(Frozen):
    """One KPI of one service that moved."""

    metric_name: str
    baseline_value: float
    """On the GA day, in ``unit``."""
    final_value: float
    """On the latest judged day, in ``unit``."""
    drift_percent: float
    """Signed. That of a latency is read smoothly across the buckets, so it is not quite the ratio of the two values."""
    trend: Trend | None
    """Over the judged days; None while there is only one."""
    potential_causes: tuple[str, ...]
    investigation_needed: bool
    title: str
    service: str
    unit: Unit
    day: int
    harm: float
    """Relative change in the direction that hurts."""
    sentence: str


def unexpected_drifts(week: Week, incidents: Sequence[Degradation]) -> tuple[UnexpectedDrift, ...]:
    """Return every drift of the latest judged day that no open incident tells of, the most harmful first."""
    told = {(one.kpi, one.service) for one in incidents if one.resolved_day is None}
    return tuple(sorted(_drifts(week, told), key=lambda one: -one.harm))


def _drifts(week: Week, told: Collection[Key]) -> Iterator[UnexpectedDrift]:
    day = week.latest.day
    for key in week.keys:
        row = week.row(day, key)
        if row is None or not _is_drift(week, row) or key in told:
            continue
        before, after = row.baseline, row.measured.value
        if before is None or after is None or row.drift is None or row.harm is None:
            continue
        yield UnexpectedDrift(
            metric_name=row.kpi,
            baseline_value=before,
            final_value=after,
            drift_percent=percent_of(row.drift),
            trend=trend_of(_values(week, key), scale=abs(before), tolerance=week.kpi(row.kpi).tolerance),
            potential_causes=_causes(week, row),
            investigation_needed=row.harm > INVESTIGATE,
            title=week.title(row.kpi),
            service=row.service,
            unit=week.kpi(row.kpi).unit,
            day=day,
            harm=row.harm,
            sentence=f"{week.title(row.kpi)} of {row.service}: {row.reason}",
        )


def _is_drift(week: Week, row: KpiDay) -> bool:
    kpi = week.kpi(row.kpi)
    known = row.verdict is not Verdict.UNKNOWN and row.drift_in == "relative"
    return known and row.harm is not None and kpi.drift_warn < row.harm <= kpi.drift_fail


def _values(week: Week, key: Key) -> list[float]:
    rows = [row for day in week.stabilities if (row := week.row(day, key)) and row.verdict is not Verdict.UNKNOWN]
    return [row.measured.value for row in rows if row.measured.value is not None]


def trend_of(values: Sequence[float], *, scale: float, tolerance: float) -> Trend | None:
    """Say in one word where some days' values go; None for fewer than two.

    Parameters
    ----------
    scale : float > 0
        The value on the GA day.
    tolerance : float
        Spread relative to ``scale`` that is no movement at all.

    Examples
    --------
    >>> [trend_of(days, scale=1.0, tolerance=0.05) for days in ([1.1, 1.15, 1.2], [1.2, 1.2, 1.21], [1.2, 1.0, 1.2])]
    ['increasing', 'stable', 'volatile']
    """
    if len(values) < 2:
        return None
    if max(values) - min(values) <= tolerance * scale:
        return "stable"
    moved = sum(abs(after - before) for before, after in pairwise(values))
    net = values[-1] - values[0]
    if abs(net) < DIRECTED * moved:
        return "volatile"
    return "increasing" if net > 0 else "decreasing"


def _causes(week: Week, row: KpiDay) -> tuple[str, ...]:
    """Name what moved with it, the most harmful first, then what the policy knows."""
    companions = sorted(_companions(week, row), key=lambda one: -(one.harm or 0.0) / week.kpi(one.kpi).drift_warn)
    said = [
        f"moved together with {week.title(one.kpi)} of {one.service} "
        f"({change_text(Drift(one.drift, one.drift_in, one.harm))})"
        for one in companions
    ]
    return (*said, *week.kpi(row.kpi).causes)[:N_CAUSES]


def _companions(week: Week, row: KpiDay) -> Iterator[KpiDay]:
    for other in week.latest.kpis:
        same = other.service == row.service and other.kpi != row.kpi and other.verdict is not Verdict.UNKNOWN
        if same and (other.harm or 0.0) > week.kpi(other.kpi).drift_warn:
            yield other
