"""How long has a harm lasted, and which regressions does a week have?

A regression is followed back hour by hour, over the days before it, while each hour is worse than the medium limit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from tars_ops.core.model import Frozen
from tars_ops.core.policy import CostKpi, GaugeKpi, JudgedKpi, LatencyKpi, Policy, RatioKpi, Worse
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome
from tars_ops.core.watch.comparisons.load import at_equal_load, elasticity
from tars_ops.core.watch.comparisons.slots import Key, SlotBuckets, SlotCounts, Slots, SlotSamples, SlotTable, n_blocks
from tars_ops.core.watch.references import BaselineKind


class Regression(Frozen):
    """A KPI of a service that got worse: now, or on an earlier day of the watch."""

    kpi: str
    service: str
    severity: Severity
    """As of the latest judged day; of its worst day where it recovered."""
    days: tuple[int, ...]
    """The days on which it was there."""
    baselines: tuple[BaselineKind, ...]
    """What it is worse than on the shown day."""
    active: bool
    """It is there on the latest judged day."""
    comparison: Comparison
    """Of the latest judged day, or of the worst day where it recovered, with the baseline that says most."""


def held_s(
    key: Key,
    days: Mapping[int, tuple[SlotTable | None, SlotTable]],
    policy: Policy,
    *,
    day: int,
    day_length_s: int,
) -> int:
    """Return how long a harm above the medium limit has lasted without a break, up to the end of a day, in seconds.

    Parameters
    ----------
    days : mapping of day to (baseline, day)
        Slots of each judged day beside those of what it is compared with; None stands for the objective.
    """
    n_held, n_per_day = 0, 1
    while day in days and key in days[day][1]:
        harmed = harmed_hours(key, *days[day], policy)
        n_per_day = len(harmed)
        n_trailing = n_per_day if harmed.all() else int(np.argmin(harmed[::-1]))
        n_held += n_trailing
        if n_trailing < n_per_day:
            break
        day -= 1
    return n_held * day_length_s // n_per_day


def harmed_hours(key: Key, before: SlotTable | None, after: SlotTable, policy: Policy) -> np.ndarray:
    """Tell of each hour of a day whether it was worse than the medium limit; what is not known was not."""
    kpi, objective = policy.judged[key[0]], policy.objective(key[0])
    match after[key]:
        case SlotCounts() as counts if isinstance(kpi, RatioKpi) and objective is not None:
            return 1 - np.nan_to_num(counts.hourly(), nan=1.0) > kpi.limits.medium * (1 - objective)
        case found:
            now = _hourly(kpi, _adjusted(key, found, before, after, policy))
    was = _baseline_hours(kpi, key, before, len(now))
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (now - was) / np.abs(was)
    sign = {Worse.UP: change, Worse.DOWN: -change, Worse.EITHER: np.abs(change)}[kpi.worse]
    return np.nan_to_num(sign, nan=-1.0) > kpi.limits.medium


def _baseline_hours(kpi: JudgedKpi, key: Key, before: SlotTable | None, n: int) -> FloatArray:
    if before is None:
        return np.full(n, kpi.slo.threshold_s if isinstance(kpi, LatencyKpi) and kpi.slo else np.nan)
    return _hourly(kpi, before[key]) if key in before else np.full(n, np.nan)


def _adjusted(key: Key, found: Slots, before: SlotTable | None, after: SlotTable, policy: Policy) -> Slots:
    kpi = policy.judged[key[0]]
    load = (kpi.load, key[1]) if isinstance(kpi, GaugeKpi | CostKpi) and kpi.load else None
    if load is None or before is None or not isinstance(found, SlotSamples):
        return found
    then, now, was = before.get(load), after.get(load), before.get(key)
    if not (isinstance(then, SlotSamples) and isinstance(now, SlotSamples) and isinstance(was, SlotSamples)):
        return found
    follows = elasticity(then.values, was.values)
    return SlotSamples(at_equal_load(found.values, then.values, now.values, follows.value))


def _hourly(kpi: JudgedKpi, found: Slots) -> FloatArray:
    match found:
        case SlotBuckets():
            return (
                found.hourly(kpi.quantile) if isinstance(kpi, LatencyKpi) else np.full(n_blocks(found.n_slots), np.nan)
            )
        case _:
            return found.hourly()


def regressions_of(by_day: Mapping[int, Sequence[Comparison]], latest: int) -> Iterator[Regression]:
    """Gather the regressions of all judged days: the active and worst ones first, then those that recovered."""
    found: dict[Key, list[Comparison]] = {}
    for day in sorted(by_day):
        for one in by_day[day]:
            if one.outcome is Outcome.REGRESSION:
                found.setdefault((one.kpi, one.service), []).append(one)
    ranked = [_regression(seen, latest) for seen in found.values()]
    yield from sorted(ranked, key=lambda one: (not one.active, one.severity.rank, one.kpi, one.service))


def _regression(seen: Sequence[Comparison], latest: int) -> Regression:
    active = seen[-1].day == latest
    told = [one for one in seen if one.day == latest] if active else list(seen)
    shown = min(told, key=_telling)
    return Regression(
        kpi=shown.kpi,
        service=shown.service,
        severity=shown.severity or Severity.LOW,
        days=tuple(sorted({one.day for one in seen})),
        baselines=tuple(kind for kind in BaselineKind if any(_is(one, kind, shown.day) for one in seen)),
        active=active,
        comparison=shown,
    )


def _is(one: Comparison, kind: BaselineKind, day: int) -> bool:
    return one.baseline is kind and one.day == day


def _telling(one: Comparison) -> tuple[bool, int, int, int]:
    """Order comparisons: staging last, then the worst, the longest held, the closest baseline first."""
    rank = one.severity.rank if one.severity else len(Severity)
    return one.baseline is BaselineKind.STAGING, rank, -one.held_s, list(BaselineKind).index(one.baseline)
