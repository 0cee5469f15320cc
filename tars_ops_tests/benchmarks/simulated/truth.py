"""What should the verdict on a simulated week have been?

The documented rules, applied to what happened instead of to what was seen: the events that the fault caused are known,
and so is what it did to each quantity.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tars_ops.core import sli
from tars_ops.core.policy import JudgedKpi, LatencyKpi, Policy, RatioKpi, RegressionLimits, UptimeKpi
from tars_ops_tests.benchmarks.simulated.events import BOUNDS_S, OBJECTIVE, TAIL, Events, FloatArray, IntArray
from tars_ops_tests.benchmarks.simulated.world import N_DAYS, N_SLOTS, Fault, Kind, Service, World

BoolArray = NDArray[np.bool_]

CLEAR = 0.2
"""What lies within so much of a limit, relative, is called right either way: nobody could say."""


class Truth(StrEnum):
    """What kind of week it was."""

    NULL = "no fault"
    HARMLESS = "within the limits"
    DEGRADES = "degrades"
    CRITICAL = "critical to users for a day"
    BURNS = "burns the budget"
    EDGE = "on the edge of rolling back"
    HIDDEN = "as bad on the GA day, with nothing else to compare"
    SILENT = "telemetry lost"


class Harm(NamedTuple):
    """What the fault did to one KPI of one service, day by day from the GA day on."""

    kpi: str
    of_users: bool
    """The KPI is a ratio or a latency."""
    limits: RegressionLimits
    by_day: FloatArray
    """Relative, in the direction that hurts."""


@dataclass(frozen=True)
class Judged:
    """The truth about a week."""

    truth: Truth
    right_day: int | None
    """First day on whose evening a documented rule for rolling back held in truth; None where none ever did."""
    own_share: float
    """Largest share of a period's error budget that the fault burnt."""
    harm: float
    """Largest harm of a whole day, relative."""
    silent_day: int | None = None
    """First day of which too little arrived of a service."""


def truth_of(world: World, events: Events, policy: Policy) -> Judged:
    """Judge a week by what happened in it."""
    fault = world.fault
    if fault is None:
        return Judged(Truth.NULL, None, 0.0, 0.0)
    if fault.kind is Kind.SILENT:
        last, slot = divmod(fault.start_slot, N_SLOTS)
        enough = slot >= policy.measurement.min_coverage * N_SLOTS
        return Judged(Truth.SILENT, None, 0.0, 0.0, silent_day=last + 1 if enough else last)
    own, broken, harms = own_shares(events, policy), broken_promises(events, policy), harms_of(world, policy)
    spent = next((day for day in range(1, N_DAYS + 1) if own[day] > policy.judgement.roll_back.budget_share), None)
    days = (spent, _often(broken, policy), _held(harms))
    worst = max((float(np.sort(one.by_day)[-2]) for one in harms), default=0.0)
    truth = _class(days, harms, own, broken)
    if fault.start_slot == 0 and truth is not Truth.BURNS and world.previous_days is None:
        return Judged(Truth.HIDDEN, None, float(own[-1]), worst)
    rules = days[:2] if truth is Truth.BURNS else days
    return Judged(truth, min((day for day in rules if day is not None), default=None), float(own[-1]), worst)


def _class(days: tuple[int | None, ...], harms: list[Harm], own: FloatArray, broken: BoolArray) -> Truth:
    spent, often, held = days
    if often is not None or (spent is not None and own[-1] > 1 + CLEAR):
        return Truth.BURNS
    if held is not None:
        return Truth.CRITICAL
    nearly = any(one.of_users and one.by_day.max() > (1 - CLEAR) * one.limits.critical for one in harms)
    if own[-1] > 1 - CLEAR or nearly:
        return Truth.EDGE
    high = any(np.sort(one.by_day)[-2] > (1 + CLEAR) * one.limits.high for one in harms)
    return Truth.DEGRADES if high or broken[:, 1:].any() else Truth.HARMLESS


def own_shares(events: Events, policy: Policy) -> FloatArray:
    """Return, day by day, the share of the worst budget that the fault has burnt since GA."""
    by_day = _by_day(events.total)
    period = policy.judgement.slo_period_days
    bad_share = np.cumsum(_by_day(events.own_bad), axis=1) / (
        (1 - OBJECTIVE) * by_day.mean(axis=1, keepdims=True) * period
    )
    kpi = _latency_promise(policy)
    slow = _slow(events.faulty_latency, kpi) - _slow(events.usual_latency, kpi)
    slow_share = np.cumsum(_by_day(slow), axis=1) / ((1 - kpi.quantile) * by_day.mean(axis=1, keepdims=True) * period)
    return np.maximum(bad_share.max(axis=0), slow_share.max(axis=0))


def broken_promises(events: Events, policy: Policy) -> BoolArray:
    """Return, promise of a service by day, whether it was broken by what happened, beyond chance."""
    total, bad = _by_day(events.total).astype(int), _by_day(events.bad).astype(int)
    kpi = _latency_promise(policy)
    slow = _by_day(_slow(events.latency, kpi))
    broken = np.zeros((2, *total.shape), dtype=bool)
    for place in np.ndindex(*total.shape):
        n_bad, n_total = int(bad[place]), int(total[place])
        over = n_bad > (1 - OBJECTIVE) * n_total
        broken[0][place] = over and sli.p_at_least(n_bad, n_total, probability=1 - OBJECTIVE) <= policy.judgement.alpha
        broken[1][place] = n_total >= 100 and slow[place] > (1 - kpi.quantile) * n_total
    return broken.reshape(-1, total.shape[1])


def _often(broken: BoolArray, policy: Policy) -> int | None:
    """Return the first day on which one promise of one service was broken often enough; the GA day does not count."""
    rule = policy.judgement.roll_back
    for day in range(1, N_DAYS + 1):
        latest = broken[:, max(1, day + 1 - rule.of_days) : day + 1]
        if (latest.sum(axis=1) >= rule.failed_days).any():
            return day
    return None


def harms_of(world: World, policy: Policy) -> list[Harm]:
    """Return what the fault did to the KPIs of the services that it hit; of the real quantiles, not of buckets."""
    fault = world.fault
    if fault is None:
        return []
    since = np.arange(1, N_DAYS + 2, dtype=np.float64) - fault.start_slot / N_SLOTS
    return [
        Harm(name, isinstance(kpi, RatioKpi | LatencyKpi), kpi.limits, by_day)
        for place in fault.services
        for name, kpi in policy.judged.items()
        if not isinstance(kpi, UptimeKpi)
        and (by_day := _harm(name, kpi, fault, world.services[place], since)) is not None
    ]


def _harm(name: str, kpi: JudgedKpi, fault: Fault, service: Service, since: FloatArray) -> FloatArray | None:
    """Return the harm of each day; ``since`` is how many days the fault is old at the end of each."""
    present = np.clip(since, 0, 1)
    missed = service.miss_ratio
    match fault.kind, name:
        case (Kind.CPU, "cpu") | (Kind.TRAFFIC, "request_rate"):
            return fault.size * present
        case (Kind.MEMORY, "memory"):
            return fault.size * np.where(since > 1, since - 0.5, present**2 / 2)
        case (Kind.CACHE, "cache_hit_ratio"):
            return missed * (fault.size - 1) * present / (1 - missed)
        case _:
            return (_slower(kpi, fault, service) - 1) * present if isinstance(kpi, LatencyKpi) else None


def _slower(kpi: LatencyKpi, fault: Fault, service: Service) -> float:
    """Return a quantile with the fault over the same without it."""
    http = kpi.histogram.startswith("http")
    match fault.kind:
        case Kind.LATENCY | Kind.LATENCY_FROM_GA if http:
            return 1 + fault.size
        case Kind.DEPENDENCY:
            return 1 + fault.size * (0.33 if http else 1.0)
        case Kind.LATENCY_TAIL if http:
            usual = special.ndtri(kpi.quantile)
            grid = np.linspace(usual, usual + math.log(TAIL) / service.spread, 2000)
            below = (1 - fault.size) * special.ndtr(grid) + fault.size * special.ndtr(
                grid - math.log(TAIL) / service.spread
            )
            found = grid[min(int(np.searchsorted(below, kpi.quantile)), len(grid) - 1)]
            return math.exp(service.spread * (found - usual))
        case _:
            return 1.0


def _held(harms: list[Harm]) -> int | None:
    """Return the first day of the watch that users found critical, clearly, from its first minute on."""
    days = [
        day
        for one in harms
        for day in range(1, N_DAYS + 1)
        if one.of_users and min(one.by_day[day], one.by_day[day - 1] * 3) > (1 + CLEAR) * one.limits.critical
    ]
    return min(days, default=None)


def _latency_promise(policy: Policy) -> LatencyKpi:
    return next(kpi for kpi in policy.slos.values() if isinstance(kpi, LatencyKpi))


def _slow(buckets: FloatArray | IntArray, kpi: LatencyKpi) -> FloatArray:
    threshold_s = kpi.slo.threshold_s if kpi.slo else math.inf
    return buckets[:, [bound > threshold_s for bound in (*BOUNDS_S, math.inf)], :].sum(axis=1).astype(float)


def _by_day(counts: FloatArray | IntArray) -> FloatArray:
    return counts.reshape(*counts.shape[:-1], -1, N_SLOTS).sum(axis=-1)
