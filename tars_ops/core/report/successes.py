"""Which promises did the release keep on every day so far, for every service?

A success needs every day up to the day of the report judged, known and kept. What nobody knows is no success.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tars_ops.core.model import Frozen
from tars_ops.core.policy import ComplementKpi, GaugeKpi, JudgedKpi, Kpi, LatencyKpi, RatioKpi
from tars_ops.core.report.cost import cost_kpi
from tars_ops.core.report.week import Week, category_of, days_text
from tars_ops.core.units import Unit, percent, show
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyClass
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.stability import KpiDay

MAX_ACHIEVEMENT = 999.0
"""Percent; beating a tiny target by far says nothing more."""


class Success(Frozen):
    """A promise that was kept all the time."""

    category: str
    description: str
    metric_name: str
    target_value: str
    actual_value: str
    achievement_percent: float
    worst_service: str | None
    """None where the figure is of all services together."""
    worst_value: str | None


class Target(NamedTuple):
    """A value that must be reached or may not be exceeded."""

    value: float
    higher_is_better: bool

    def holds(self, value: float) -> bool:
        """Tell whether a value keeps the target."""
        return value >= self.value if self.higher_is_better else value <= self.value


class _Evidence(NamedTuple):
    """What proves a success."""

    actual: float
    worst: KpiDay
    worst_day: int


def successes(week: Week) -> tuple[Success, ...]:
    """Return every promise that was kept; a day that is missing leaves none."""
    of_kpis = (one for name, kpi in week.policy.kpis.items() for one in _of_kpi(week, name, kpi))
    return (*of_kpis, *_no_critical_incident(week), *_cost_within_drift(week))


def _of_kpi(week: Week, name: str, kpi: Kpi) -> Iterator[Success]:
    if isinstance(kpi, ComplementKpi):
        yield from _complement(week, name, kpi)
        return
    for target in targets(kpi):
        if evidence := _evidence(week, name, kpi, target):
            yield _success(week, name, kpi, target, evidence)


def targets(kpi: JudgedKpi) -> tuple[Target, ...]:
    """Return what a policy asks of a KPI: its objective and its comfort limits."""
    found: list[Target] = []
    if isinstance(kpi, RatioKpi):
        found += [Target(kpi.slo.objective, higher_is_better=True)] if kpi.slo else []
        found += [Target(kpi.minimum, higher_is_better=True)] if kpi.minimum is not None else []
    if isinstance(kpi, LatencyKpi) and kpi.slo:
        found.append(Target(kpi.slo.threshold_s, higher_is_better=False))
    if isinstance(kpi, LatencyKpi | GaugeKpi) and kpi.maximum is not None:
        found.append(Target(kpi.maximum, higher_is_better=False))
    return tuple(found)


def _evidence(week: Week, name: str, kpi: JudgedKpi, target: Target) -> _Evidence | None:
    """Return the proof that a target was kept; None where one row of one day is unknown or worse."""
    rows = [(day, row) for day in week.days for row in week.rows_of(day, name)]
    if {day for day, _ in rows} != {*week.days} or not all(_keeps(row, target) for _, row in rows):
        return None
    worst_day, worst = (min if target.higher_is_better else max)(rows, key=lambda pair: pair[1].measured.value or 0.0)
    if isinstance(kpi, RatioKpi | LatencyKpi):
        actual = _over_all(kpi, [week.total(day, name) for day in week.days])
    else:
        actual = worst.measured.value
    return _Evidence(actual, worst, worst_day) if actual is not None and target.holds(actual) else None


def _keeps(row: KpiDay, target: Target) -> bool:
    kept = row.verdict in {Verdict.PASS, Verdict.WARN}
    return kept and row.measured.value is not None and target.holds(row.measured.value)


def _over_all(kpi: RatioKpi | LatencyKpi, totals: Sequence[Measured | None]) -> float | None:
    """Weigh shares by their events; of quantiles, which cannot be averaged, take the worst day's."""
    if isinstance(kpi, RatioKpi):
        counted = [one.burn for one in totals if one is not None and one.burn is not None]
        n_bad, n_total = (sum(column) for column in zip(*counted, strict=True)) if counted else (0, 0)
        return 1 - n_bad / n_total if n_total and len(counted) == len(totals) else None
    values = [one.value for one in totals if one is not None and one.value is not None]
    return max(values) if len(values) == len(totals) else None


def _success(week: Week, name: str, kpi: JudgedKpi, target: Target, evidence: _Evidence) -> Success:
    limit, bad = show(target.value, kpi.unit), show(evidence.worst.measured.value, kpi.unit)
    bound = "at least" if target.higher_is_better else "at most"
    return Success(
        category=category_of(kpi),
        description=(
            f"{kpi.title}: {bound} {limit} for every service on {days_text(week.days)}; "
            f"the worst was {evidence.worst.service} on day {evidence.worst_day} with {bad}"
        ),
        metric_name=name,
        target_value=limit,
        actual_value=show(evidence.actual, kpi.unit),
        achievement_percent=achievement_percent(evidence.actual, target),
        worst_service=evidence.worst.service,
        worst_value=bad,
    )


def achievement_percent(actual: float, target: Target) -> float:
    """Return how far a target was reached; 100 is exactly.

    Examples
    --------
    >>> achievement_percent(0.9995, Target(0.999, higher_is_better=True))
    100.05
    >>> achievement_percent(0.25, Target(0.5, higher_is_better=False))
    200.0
    >>> achievement_percent(0.0, Target(0.0, higher_is_better=False))
    100.0
    """
    above, below = (actual, target.value) if target.higher_is_better else (target.value, actual)
    if below == 0:
        return 100.0 if above == 0 else MAX_ACHIEVEMENT
    return min(MAX_ACHIEVEMENT, round(100 * above / below, 2))


def _complement(week: Week, name: str, kpi: ComplementKpi) -> Iterator[Success]:
    whole = week.policy.judged[kpi.of]
    if not isinstance(whole, RatioKpi) or whole.slo is None:
        return
    target = Target(whole.slo.objective, higher_is_better=True)
    if not (found := _evidence(week, kpi.of, whole, target)):
        return
    limit, actual = 1 - target.value, 1 - found.actual
    bad = show(1 - (found.worst.measured.value or 0.0), Unit.RATIO)
    yield Success(
        category=category_of(kpi),
        description=(
            f"{kpi.title}: at most {show(limit, Unit.RATIO)} for every service on {days_text(week.days)}; "
            f"the worst was {found.worst.service} on day {found.worst_day} with {bad}"
        ),
        metric_name=name,
        target_value=show(limit, Unit.RATIO),
        actual_value=show(actual, Unit.RATIO),
        achievement_percent=achievement_percent(actual, Target(limit, higher_is_better=False)),
        worst_service=found.worst.service,
        worst_value=bad,
    )


def _no_critical_incident(week: Week) -> Iterator[Success]:
    days = [week.anomalies.get(day) for day in week.days]
    found = [one for one in days if one is not None and one.n_series > 0]
    events = [event for one in found for event in one.events]
    hidden = any(event.anomaly_class is AnomalyClass.SILENCE for event in events)
    if len(found) < len(days) or hidden or any(event.severity is Severity.CRITICAL for event in events):
        return
    unscored = max(one.n_uncalibrated for one in found)
    scored = f"in {min(one.n_series for one in found)} series"
    yield Success(
        category="reliability",
        description=(
            f"No critical anomaly on {days_text(week.days)} {scored}"
            f"{f'; {unscored} series could not be scored' if unscored else ''}"
        ),
        metric_name="critical_incident_count",
        target_value="0",
        actual_value="0",
        achievement_percent=100.0,
        worst_service=None,
        worst_value=None,
    )


def _cost_within_drift(week: Week) -> Iterator[Success]:
    found = cost_kpi(week)
    before = week.ga_total(found[0]) if found else None
    if found is None or before is None or not before.value:
        return
    name, kpi = found
    totals = [week.total(day, name) for day in week.days]
    values = [one.value for one in totals if one is not None and one.value is not None]
    rows = [row for day in week.days for row in week.rows_of(day, name)]
    limit = before.value * (1 + kpi.drift_warn)
    if len(values) < len(totals) or not all(row.verdict is Verdict.PASS for row in rows):
        return
    worst = max(rows, key=lambda row: row.harm or 0.0)
    average = sum(values) / len(values)
    yield Success(
        category="cost",
        description=(
            f"{kpi.title} stayed within {percent(kpi.drift_warn, digits=0, signed=True)} of the GA day on "
            f"{days_text(week.days)}; the largest rise was {percent(worst.harm)} of {worst.service}"
        ),
        metric_name=name,
        target_value=show(limit, kpi.unit),
        actual_value=show(average, kpi.unit),
        achievement_percent=achievement_percent(average, Target(limit, higher_is_better=False)),
        worst_service=worst.service,
        worst_value=show(worst.measured.value, kpi.unit),
    )
