"""When is the rest of an error budget spent?

The period rolls: every day to come brings its events and takes those of the period's oldest day away. So a budget that
burns no faster than before GA never ends, and one that burns faster ends later than a straight line says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.budgets.expected import Events, Rate

HORIZON_DAYS = 90
"""The longest period of a policy: what does not end by then does not end at this pace."""
TAIL = 0.05
"""Chance that a budget ends before its interval, and that it ends after it."""
PARTS_OF_DAY = 48
"""The interval is read to half an hour."""
NOTHING = 1e-12
"""Share of a budget that is no more than a rounding error."""
DAYS_PER_WEEK = 7


class Forecast(StrEnum):
    """How the traffic of a day that was not counted is foreseen."""

    WEEKDAY_MEANS = "weekday_means"
    """The mean of the known days that are the same day of the week."""
    DAILY_MEAN = "daily_mean"
    """The mean of all known days: some day of the week was never counted, or a day of the watch is no day."""


class Traffic(NamedTuple):
    """The events that a day is expected to hold, by the day's number modulo seven; day 0 is the GA day."""

    forecast: Forecast
    by_weekday: tuple[float, ...]

    def of(self, day: int) -> float:
        """Return the events of a day."""
        return self.by_weekday[day % DAYS_PER_WEEK]


class Exhaustion(NamedTuple):
    """Days until a budget is spent; None if not within ``HORIZON_DAYS``."""

    days: float | None
    """At the pace since GA."""
    low: float | None
    """Earliest, but for a chance of 5 %."""
    high: float | None
    """Latest, but for a chance of 5 %."""


def traffic_of(known: Mapping[int, Events], *, has_weekdays: bool) -> Traffic:
    """Foresee the traffic of a day from those that were counted.

    Examples
    --------
    >>> days = {day: Events(0, 100 + 10 * (day % 7)) for day in range(-7, 1)}
    >>> traffic_of(days, has_weekdays=True).of(9)
    120.0
    >>> traffic_of({0: Events(0, 100), 1: Events(0, 200)}, has_weekdays=True)[0]
    <Forecast.DAILY_MEAN: 'daily_mean'>
    """
    by_weekday: dict[int, list[int]] = {}
    for day, events in known.items():
        by_weekday.setdefault(day % DAYS_PER_WEEK, []).append(events.n_total)
    if has_weekdays and len(by_weekday) == DAYS_PER_WEEK:
        means = (float(np.mean(by_weekday[weekday])) for weekday in range(DAYS_PER_WEEK))
        return Traffic(Forecast.WEEKDAY_MEANS, tuple(means))
    mean = float(np.mean([events.n_total for events in known.values()]))
    return Traffic(Forecast.DAILY_MEAN, (mean,) * DAYS_PER_WEEK)


def exhaustion(
    known: Mapping[int, Events], traffic: Traffic, pace: Rate, *, latest: int, period_days: int, objective: float
) -> Exhaustion:
    """Return when a rolling budget ends, and when at the earliest and the latest.

    Parameters
    ----------
    known : mapping of day to events
        The counted days of the period that ends with day ``latest``; what others hold is foreseen, without bad events.
    pace : Rate
        Bad events since GA: what days to come are like.

    Examples
    --------
    Three days in, burning twice as fast as allowed after 27 days at half of it: a straight line says 5.25 days.

    >>> days = {day: Events(5 if day < 0 else 20, 10_000) for day in range(-27, 3)}
    >>> found = exhaustion(
    ...     days, traffic_of(days, has_weekdays=True), Rate(60, 30_000, 1.0), latest=2, period_days=30, objective=0.999
    ... )
    >>> round(found.days, 9)
    7.0
    """
    n_new, n_needed = _needed(known, traffic, latest=latest, period_days=period_days, objective=objective)
    if n_needed[0] <= NOTHING * n_needed.max():
        return Exhaustion(0.0, 0.0, 0.0)
    low, high = (_first_with(chance, pace, n_needed, n_new) for chance in (TAIL, 1 - TAIL))
    return Exhaustion(_first_root(n_needed - pace.bad_ratio * n_new), low, high)


def _needed(
    known: Mapping[int, Events], traffic: Traffic, *, latest: int, period_days: int, objective: float
) -> tuple[FloatArray, FloatArray]:
    """Return, after 0, 1 .. days: the events to come that the period holds then, and how many bad ones spend it."""
    n_total, n_bad = (
        np.array(row)
        for row in zip(*_days(known, traffic, range(latest - period_days + 1, latest + HORIZON_DAYS + 1)), strict=True)
    )
    seen = np.where(np.arange(len(n_bad)) < period_days, n_bad, 0)
    came = _summed(n_total[period_days:])
    leaves = np.maximum(0, np.arange(HORIZON_DAYS + 1) - period_days)
    within, bad_left = (_summed(row)[period_days:] - _summed(row)[: HORIZON_DAYS + 1] for row in (n_total, seen))
    return came - came[leaves], (1 - objective) * within - bad_left


def _days(known: Mapping[int, Events], traffic: Traffic, days: range) -> Iterator[tuple[float, int]]:
    """Yield events and bad events of some days, foreseen where they were not counted."""
    for day in days:
        yield (known[day].n_total, known[day].n_bad) if day in known else (traffic.of(day), 0)


def _summed(values: FloatArray) -> FloatArray:
    return np.concatenate(([0.0], np.cumsum(values, dtype=np.float64)))


def _first_root(rest: FloatArray) -> float | None:
    """Return where a line through daily values first falls to zero; None if it stays above."""
    reached = np.flatnonzero(rest <= NOTHING * rest.max())
    if not len(reached):
        return None
    k = int(reached[0])
    return k - 1 + float(rest[k - 1] / (rest[k - 1] - min(rest[k], 0.0)))


def _first_with(chance: float, pace: Rate, n_needed: FloatArray, n_new: FloatArray) -> float | None:
    """Return the days after which the budget is spent with a chance; None if that is not reached by the horizon."""
    reached = np.flatnonzero(pace.p_at_least(n_needed, n_new) >= chance)
    if not len(reached):
        return None
    k = int(reached[0])
    part = np.arange(1, PARTS_OF_DAY + 1) / PARTS_OF_DAY
    needed, new = (row[k - 1] + part * (row[k] - row[k - 1]) for row in (n_needed, n_new))
    return k - 1 + float(part[np.argmax(pace.p_at_least(needed, new) >= chance)])
