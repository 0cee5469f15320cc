"""How far is each KPI of each service from a baseline on one day?

Chooses how a kind of KPI is compared - counts as counts, quantiles through buckets, samples slot by slot, at equal load
and after the calendar's own part - and draws the errors of all comparisons of a day at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tars_ops.core.policy import CostKpi, GaugeKpi, LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Window
from tars_ops.core.watch.comparisons.compare import Events, MeanShift, ShareShift, Shift
from tars_ops.core.watch.comparisons.day_effect import DayEffect
from tars_ops.core.watch.comparisons.drafts import (
    Buckets,
    Draft,
    in_value,
    paired_draft,
    quantile_draft,
    share_draft,
    share_noise,
)
from tars_ops.core.watch.comparisons.load import at_equal_load, elasticity
from tars_ops.core.watch.comparisons.long_run import mean_errors
from tars_ops.core.watch.comparisons.prior import USUAL_SPREAD, PriorDays, expected_change, traffic_before
from tars_ops.core.watch.comparisons.slots import Key, SlotBuckets, SlotCounts, SlotSamples, SlotTable
from tars_ops.core.watch.comparisons.validity import Period, loads


class Found(NamedTuple):
    """How far one KPI of one service is from a baseline."""

    shift: Shift | None
    reason: str
    """Why there is no shift; empty where there is one."""
    load: str | None = None
    """The KPI at whose equal amount the periods are compared."""
    season_known: bool = True
    """False for traffic of another weekday that nothing is known of."""


@dataclass(frozen=True)
class Known:
    """What is known besides the two periods."""

    policy: Policy
    prior: Mapping[Key, PriorDays]


class _Pending(NamedTuple):
    draft: Draft
    finish: Callable[[float, float, float], Shift]
    """Makes a shift of an error, its degrees of freedom and the effective size."""
    load: str | None = None
    season_known: bool = True


def shifts(
    keys: Iterable[Key], day: SlotTable, window: Window, period: Period | None, known: Known
) -> dict[Key, Found]:
    """Compare the KPIs of a day with a baseline, or with their objectives where there is none.

    Parameters
    ----------
    keys : iterable of (KPI, service)
        Those that are valid to compare.
    period : Period or None
        The baseline; None compares with the objective of each KPI.
    """
    pending: dict[Key, _Pending] = {}
    found: dict[Key, Found] = {}
    for key in keys:
        drafted = _promised(key, day, known) if period is None else _drafted(key, day, window, period, known)
        if drafted is None:
            found[key] = Found(None, "the common slots of both periods say too little, or the baseline was 0")
        else:
            pending[key] = drafted
    if not pending:
        return found
    errors = mean_errors(np.array([one.draft.noise for one in pending.values()]))
    for i, (key, one) in enumerate(pending.items()):
        error = max(float(errors.error[i]), one.draft.smallest_error)
        inflation = (error / one.draft.smallest_error) ** 2 if one.draft.smallest_error else 0.0
        n_effective = one.draft.n / inflation if inflation else float(errors.n_effective[i])
        shift = one.finish(error, float(errors.freedom[i]), n_effective)
        found[key] = Found(shift, "", one.load, one.season_known)
    return found


def _drafted(key: Key, day: SlotTable, window: Window, period: Period, known: Known) -> _Pending | None:
    kpi = known.policy.judged[key[0]]
    match (kpi, period.slots[key], day[key]):
        case (RatioKpi(slo=None), SlotCounts() as before, SlotCounts() as after):
            return _mean(share_draft((before.bad, before.total), (after.bad, after.total)))
        case (RatioKpi(), SlotCounts() as before, SlotCounts() as after):
            return _counted(_events(before), after, known.prior.get(key), before)
        case (LatencyKpi(quantile=q), SlotBuckets() as before, SlotBuckets() as after):
            return _quantile(before.buckets, after.buckets, q)
        case (_, SlotSamples() as before, SlotSamples() as after):
            return _sampled(key, before, after, day, window, period, known)
    return None


def _promised(key: Key, day: SlotTable, known: Known) -> _Pending | None:
    match (known.policy.slos[key[0]], day[key]):
        case (RatioKpi(slo=slo), SlotCounts() as after) if slo is not None:
            return _counted(1 - slo.objective, after, known.prior.get(key))
        case (LatencyKpi(slo=slo, quantile=q), SlotBuckets() as after) if slo is not None:
            return _quantile(slo.threshold_s, after.buckets, q)
    return None


def _mean(draft: Draft | None) -> _Pending | None:
    return _Pending(draft, lambda *found: _mean_shift(draft, *found)) if draft else None


def _mean_shift(draft: Draft, error: float, freedom: float, n_effective: float) -> MeanShift:
    return MeanShift(draft.centre, error, freedom, draft.in_logs, draft.n, n_effective, draft.effect, draft.test)


def _quantile(before: Buckets | float, after: Buckets, q: float) -> _Pending | None:
    draft = quantile_draft(before, after, q)
    if draft is None:
        return None

    def finish(error: float, freedom: float, n_effective: float) -> MeanShift:
        return _mean_shift(draft, in_value(error, before, after, q), freedom, n_effective)

    return _Pending(draft, finish)


def _events(counted: SlotCounts) -> Events:
    n_total = int(counted.total.sum())
    return Events(min(int(counted.bad.sum()), n_total), n_total)


def _counted(
    before: Events | float, after: SlotCounts, prior: PriorDays | None, slots: SlotCounts | None = None
) -> _Pending | None:
    now = _events(after)
    if now.n_total == 0 or (isinstance(before, Events) and before.n_total == 0):
        return None
    noise, variance = share_noise(after.bad, after.total), now.share * (1 - now.share) / now.n_total
    if isinstance(before, Events) and slots is not None:
        noise = noise - share_noise(slots.bad, slots.total)
        variance += before.share * (1 - before.share) / before.n_total
    smallest = math.sqrt(variance)
    draft = Draft(0.0, noise, smallest, False, int(now.n_total), 0.5, ShareShift.test)
    between = _between_days(prior, now)

    def finish(error: float, _freedom: float, _n_effective: float) -> ShareShift:
        return ShareShift(before, now, max(1.0, between, (error / smallest) ** 2 if smallest else 1.0))

    return _Pending(draft, finish)


def _between_days(prior: PriorDays | None, now: Events) -> float:
    """Return the dispersion of a day's bad events, as the days before GA show it."""
    learnt = prior.dispersion() if prior else None
    return 1 + USUAL_SPREAD**2 * now.n_bad / max(1 - now.share, 1e-9) if learnt is None else learnt


def _sampled(
    key: Key, before: SlotSamples, after: SlotSamples, day: SlotTable, window: Window, period: Period, known: Known
) -> _Pending | None:
    name, service = key
    kpi = known.policy.judged[name]
    load = kpi.load if isinstance(kpi, GaugeKpi | CostKpi) else None
    if load is not None and isinstance(then := period.slots.get((load, service)), SlotSamples):
        now = day.get((load, service))
        return _at_equal_load(load, before, after, then, now) if isinstance(now, SlotSamples) else None
    if name in loads(known.policy):
        return _after_season(key, before, after, window, period, known)
    return _mean(paired_draft(before.values, after.values))


def _at_equal_load(
    load: str, before: SlotSamples, after: SlotSamples, then: SlotSamples, now: SlotSamples
) -> _Pending | None:
    follows = elasticity(then.values, before.values)
    draft = paired_draft(before.values, at_equal_load(after.values, then.values, now.values, follows.value))
    if draft is None:
        return None
    further = follows.error * abs(_mean_log_ratio(then, now))

    def finish(error: float, freedom: float, n_effective: float) -> MeanShift:
        return _mean_shift(draft, error, freedom, n_effective).widened(further)

    return _Pending(draft, finish, load=load)


def _mean_log_ratio(then: SlotSamples, now: SlotSamples) -> float:
    known = (then.values > 0) & (now.values > 0)
    return float(np.log(now.values[known] / then.values[known]).mean()) if known.any() else 0.0


def _after_season(
    key: Key, before: SlotSamples, after: SlotSamples, window: Window, period: Period, known: Known
) -> _Pending | None:
    draft = paired_draft(before.values, after.values)
    if draft is None:
        return None
    expected = expected_change(traffic_before(known.prior, known.policy, *key), period.window, window)
    if expected is None or not draft.in_logs:
        return _Pending(draft, lambda *found: _mean_shift(draft, *found), season_known=expected is not None)
    moved = draft._replace(centre=draft.centre - expected.log_ratio)

    def finish(error: float, freedom: float, n_effective: float) -> MeanShift:
        return _mean_shift(moved, error, freedom, n_effective).widened(expected.error, freedom=expected.freedom)

    return _Pending(moved, finish)


def between_days(found: Found, effect: DayEffect, *, n_days: int) -> Found:
    """Return a shift whose error allows for how far one quiet day lies from the next.

    Parameters
    ----------
    n_days : int
        Days that are compared: 2, or 1 with a promise.
    """
    if not isinstance(found.shift, MeanShift):
        return found
    further = effect.deviation * math.sqrt(n_days)
    return found._replace(shift=found.shift.widened(further, freedom=effect.freedom))
