"""How far does one quiet day lie from the next, beyond what its own slots show?

A whole day may be a little slower than another without anybody having changed anything: other users, other neighbours
on the machine. No sample of a day tells of that, so it is learnt from the steps between days of all KPIs and services.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from tars_ops.core.watch.comparisons.compare import MeanShift
from tars_ops.core.watch.comparisons.slots import Key

SMALLEST = 0.002
"""Relative standard deviation of a day's level where nothing else is known."""
LARGEST = 0.03
"""A larger one is not believed: where everything moved at once, something happened."""
MIN_STEPS = 5
"""Steps that say something about a KPI of their own."""
EFFICIENCY = 0.37
"""Of the median of distances, compared with their mean square, for normal noise."""


class DayEffect(NamedTuple):
    """Spread of a day's level around its own samples, relative."""

    deviation: float
    freedom: float
    """Degrees of freedom behind it; infinite where it is not learnt."""


NOT_LEARNT = DayEffect(SMALLEST, math.inf)


class DayEffects:
    """The day effect of each KPI as of a day."""

    def __init__(self, by_day: Sequence[Mapping[Key, MeanShift]]) -> None:
        """Learn from the shifts of each judged day against the GA day, oldest first."""
        steps: dict[str, list[tuple[float, float]]] = {}
        for key in sorted({key for day in by_day for key in day}):
            steps.setdefault(key[0], []).extend(_steps([day[key] for day in by_day if key in day]))
        steps = {kpi: found for kpi, found in steps.items() if any(step for step, _ in found)}
        self._all = _learnt([step for found in steps.values() for step in found])
        self._by_kpi = {kpi: _learnt(found) for kpi, found in steps.items()}

    def of(self, kpi: str) -> DayEffect:
        """Return the day effect of a KPI: its own or that of all KPIs, whichever is larger.

        A KPI that never moved at all, such as an uptime of 100 %, has none.
        """
        own = self._by_kpi.get(kpi)
        return max(self._all, own, key=lambda one: one.deviation) if own else NOT_LEARNT


def _steps(shifts: Sequence[MeanShift]) -> Iterator[tuple[float, float]]:
    """Yield the step from each day to the next, the GA day first, with its own error."""
    before, error = 0.0, 0.0
    for shift in shifts:
        yield shift.centre - before, math.hypot(shift.error, error)
        before, error = shift.centre, shift.error


def _learnt(steps: Sequence[tuple[float, float]]) -> DayEffect:
    if len(steps) < MIN_STEPS:
        return NOT_LEARNT
    sizes, errors = np.abs(np.array(steps)).T
    spread = float(np.median(sizes)) / 0.6745
    own = math.sqrt(max(0.0, spread**2 - float(np.median(errors)) ** 2) / 2)
    if own <= SMALLEST:
        return NOT_LEARNT
    return DayEffect(min(own, LARGEST), max(3.0, EFFICIENCY * len(steps)))
