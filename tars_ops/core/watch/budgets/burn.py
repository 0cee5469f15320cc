"""How fast did a budget burn within a window, and is that more than chance?

The arithmetic that the running day and the days that are over share: the events of a promise slot by slot, the burn
rate of a window, the chance of so many bad events, the rate at which a pair of windows fires. Nothing is judged here.
"""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

import numpy as np

from tars_ops.core import sli
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.policy import BurnPair, Policy, RatioKpi
from tars_ops.core.release import Release
from tars_ops.core.telemetry import BAD, TOTAL, IntArray, Telemetry, count_table
from tars_ops.core.watch.measure import bucket_bounds, bucket_names

TELLING_BURN = 2.0
"""No number of events tells a burn rate of 1 from itself: lower limits ask for the events that tell 2 from 1."""


class BurnWindow(Frozen):
    """The events of one window."""

    start_at: Instant
    n_bad: int
    """Events beyond the promise."""
    n_total: int
    burn: float | None
    """Burn rate; None without events."""
    chance: float
    """Chance of so many bad events if the promise were just kept."""


class BurnSlots(NamedTuple):
    """How many slots of counts the two windows of a pair have."""

    n_long: int
    n_short: int


def burn_slots(pair: BurnPair, release: Release, policy: Policy) -> BurnSlots:
    """Return the lengths of a pair of windows; a shorter day has shorter ones, of at least one slot."""
    of_a_day = release.day_length_s / 86400
    n_long, n_short = (
        max(1, round(length_s * of_a_day / policy.measurement.slot_s)) for length_s in (pair.long_s, pair.short_s)
    )
    return BurnSlots(n_long, n_short)


def burn_limit(pair: BurnPair, policy: Policy, objective: float) -> float:
    """Return the burn rate above which a pair of windows fires; never more than half of all events being bad.

    An objective of 90 % cannot burn faster than 10 times, so the usual 14.4 would be out of reach there.
    """
    return min(pair.rate(policy.judgement.slo_period_days), 0.5 / (1 - objective))


def enough_events(limit: float, *, objective: float, alpha: float) -> int:
    """Return how many events a window must hold to say whether a budget burns at a limit."""
    burn = min(max(limit, TELLING_BURN), 1 / (1 - objective))
    return sli.events_needed(objective=objective, burn=burn, alpha=alpha)


def burn_window(start_at: datetime, n_bad: int, n_total: int, *, objective: float) -> BurnWindow:
    """Return the events of a window with its burn rate and its chance."""
    return BurnWindow(
        start_at=start_at,
        n_bad=n_bad,
        n_total=n_total,
        burn=sli.burn_rate(n_bad, n_total, objective=objective) if n_total else None,
        chance=sli.p_at_least(min(n_bad, n_total), n_total, probability=1 - objective),
    )


def promised_events(telemetry: Telemetry, policy: Policy, name: str) -> dict[str, IntArray]:
    """Return the bad and the valid events of a promised KPI in each slot, shape (2, slots), by service."""
    kpi = policy.slos[name]
    table = count_table(telemetry, policy.counter(name) or name, les=bucket_names(policy, kpi) or (BAD, TOTAL))
    if isinstance(kpi, RatioKpi):
        rows = [table.les.index(BAD), table.les.index(TOTAL)]
        return {service: table.of(service)[rows] for service in table.services}
    at_most = bucket_bounds(table).index(kpi.slo.threshold_s) if kpi.slo else -1
    counts = {service: table.of(service) for service in table.services}
    return {service: np.stack([np.maximum(one[-1] - one[at_most], 0), one[-1]]) for service, one in counts.items()}
