"""How well is a change dated?

Faults of known beginning are put into simulated weeks; the change point of the event that they cause is held against
the truth.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from tars_ops.core.policy import Policy
from tars_ops.core.release import instant, millis
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyEvent
from tars_ops.core.watch.baseline import summarise
from tars_ops_tests.benchmarks.simulated.events import happened
from tars_ops_tests.benchmarks.simulated.judged import release_of
from tars_ops_tests.benchmarks.simulated.observed import Observed
from tars_ops_tests.benchmarks.simulated.world import N_SLOTS, SLOT_S, Fault, Kind, World, drawn
from tars_ops_tests.core.factories import demo_policy

SHOWN_BY: dict[Kind, tuple[str, float]] = {
    Kind.CPU: ("cpu", 0.6),
    Kind.TRAFFIC: ("request_rate", 0.6),
    Kind.ERRORS: ("availability", 30.0),
    Kind.MEMORY: ("memory", 3.0),
}
"""The KPI that shows a fault, and the size that is put in: memory grows by three times its level a day."""
FAULTY_DAY, FIRST_SLOT, LAST_SLOT = 2, 24, 240
NEAR_S = 6 * 3600


@dataclass(frozen=True)
class Dated:
    """A fault that was put in, and how it was dated."""

    kind: Kind
    error_min: float
    """Minutes from the true beginning to the dated one; NaN where no event has a date."""
    held: bool
    """The interval holds the true beginning."""
    width_min: float


def dated(number: int, policy: Policy) -> Dated:
    """Put a fault into a week drawn by its number and date it."""
    world = _with_fault(number)
    release = release_of(world)
    observed = Observed(world, happened(world), policy)
    ga = observed.day(release, 0)
    found = find_anomalies(
        observed.day(release, FAULTY_DAY), summarise(ga, release, policy), release, policy, day=FAULTY_DAY
    )
    fault = world.fault
    if fault is None:
        return Dated(Kind.CPU, math.nan, False, math.nan)
    began_ms = release.window(0).start_ms + 1000 * SLOT_S * fault.start_slot
    return _against(fault, world.services[fault.services[0]].name, began_ms, found.events)


def _with_fault(number: int) -> World:
    rng = np.random.default_rng([number, 7])
    kind = list(SHOWN_BY)[number % len(SHOWN_BY)]
    start = FAULTY_DAY * N_SLOTS + int(rng.integers(FIRST_SLOT, LAST_SLOT))
    fault = Fault(kind=kind, size=SHOWN_BY[kind][1], start_slot=start, services=(int(rng.integers(1, 5)),))
    return replace(drawn(number, faulty=False), fault=fault, previous_days=None)


def _against(fault: Fault, service: str, began_ms: int, events: Iterable[AnomalyEvent]) -> Dated:
    kpi, _ = SHOWN_BY[fault.kind]
    near = [
        one
        for one in events
        if (one.kpi, one.service) == (kpi, service)
        and one.change_point is not None
        and abs(millis(one.started_at) - began_ms) <= 1000 * NEAR_S
    ]
    if not near:
        return Dated(fault.kind, math.nan, False, math.nan)
    first = min(near, key=lambda one: abs(millis(one.started_at) - began_ms)).change_point
    if first is None:
        return Dated(fault.kind, math.nan, False, math.nan)
    began_at = instant(began_ms)
    return Dated(
        fault.kind,
        (first.at - began_at).total_seconds() / 60,
        first.earliest_at <= began_at <= first.latest_at,
        (first.latest_at - first.earliest_at).total_seconds() / 60,
    )


def dating_table(weeks: Iterable[Dated]) -> str:
    """Return how well each kind of fault was dated, as a Markdown table."""
    found = list(weeks)
    rows = [_row(kind, [one for one in found if one.kind is kind]) for kind in SHOWN_BY]
    head = "| fault | weeks | dated | error, min: median / 90 % | interval, min: median | interval holds the truth |"
    return "\n".join([head, "|---|---|---|---|---|---|", *rows])


def _row(kind: Kind, those: list[Dated]) -> str:
    known = [one for one in those if not math.isnan(one.error_min)]
    if not known:
        return f"| {kind} | {len(those)} | 0 | - | - | - |"
    median, most = np.quantile([abs(one.error_min) for one in known], (0.5, 0.9))
    width = float(np.median([one.width_min for one in known]))
    held = sum(one.held for one in known) / len(known)
    return f"| {kind} | {len(those)} | {len(known)} | {median:.0f} / {most:.0f} | {width:.0f} | {100 * held:.0f} % |"


def dated_week(number: int) -> Dated:
    """Date the fault of a week under the demo's policy."""
    return dated(number, demo_policy())
