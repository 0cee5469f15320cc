"""What else moved when this event began?

A companion is evidence, not a cause: it says where to look. So that it means something, a series counts as moved only
if chance alone would make at most one companion in twenty events.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tars_ops.core.policy import Policy
from tars_ops.core.watch.anomalies.event import AnomalyEvent, Companion, Direction
from tars_ops.core.watch.anomalies.scored import Scored, alarms, tolerance

BEFORE_S = 900
"""A companion may have moved so much earlier,"""
AFTER_S = 900
"""or so much later."""
CHANCE = 0.05
"""Companions per event that chance may make."""


def companions(event: AnomalyEvent, onset_ms: int, series: Sequence[Scored], policy: Policy) -> tuple[Companion, ...]:
    """Return the other series that moved around the onset of an event: same service first, each part by onset.

    ``series`` is every series of the day.
    """
    others = [one for one in series if (one.kpi, one.service) != (event.kpi, event.service)]
    found = [moved for one in others if (moved := _moved(one, onset_ms, len(others), policy))]
    mine = event.service
    return tuple(sorted(found, key=lambda one: (one.service != mine, one.lag_s, -one.score, one.service, one.kpi)))


def _moved(one: Scored, onset_ms: int, n_series: int, policy: Policy) -> Companion | None:
    # an onset is known to a step of the series, which may be as long as a slot of counts
    early, late = onset_ms - max(1000 * BEFORE_S, one.step_ms), onset_ms + 1000 * AFTER_S
    left, right = np.searchsorted(one.at_ms, [early, late + 1])
    if left == right:
        return None
    chance = math.log10(n_series * (right - left) / CHANCE)
    marked = alarms(one, chance, tolerance(policy.judged[one.kpi]), steps=slice(left, right))
    steps = left + np.flatnonzero(marked)
    if not len(steps):
        return None
    peak = int(steps[np.argmax(one.score[steps])])
    return Companion(
        kpi=one.kpi,
        service=one.service,
        direction=Direction.UP if one.values[peak] > one.expected[peak] else Direction.DOWN,
        lag_s=(int(one.at_ms[steps[0]]) - onset_ms) // 1000,
        score=float(one.score[peak]),
    )
