"""Which distance from the expectation do the load and the calendar explain?

A detector knows one day. It does not know that CPU follows the traffic, nor what a weekend is like; both are known
without having been learnt, and what they explain is no event.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from tars_ops.core.release import Window, millis
from tars_ops.core.telemetry import FloatArray, IntArray

DAY_MS = 86_400_000
FOLLOWS = 60
"""Samples that a mean of load is taken over: a running mean that cuts surprises follows a step as slowly as that."""
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday, and Monday is 0."""
SATURDAY = 5


class Explained(NamedTuple):
    """Multiples of the expectation that are explained, from ``least`` to ``most``; both (n_steps,)."""

    least: FloatArray
    """At most 1."""
    most: FloatArray
    """At least 1."""


def by_nothing(n: int) -> Explained:
    """Return that nothing but the expectation is explained."""
    return Explained(np.ones(n), np.ones(n))


def by_load(load: FloatArray, expected: FloatArray, *, reach: int) -> Explained:
    """Return what a KPI may do that follows its load somewhere between not at all and in proportion.

    Parameters
    ----------
    load, expected : (n,) float
        The load, and what was expected of it in the way in which the KPI's own expectation was made.
    reach : int
        Steps by which the two may be apart: both are rates over a window.

    Notes
    -----
    The running mean of a steady KPI follows a step later than that of a noisy load, so the mean of the load over its
    last 60 samples is an expectation too, and the one that explains more counts. An unknown load explains nothing.

    Examples
    --------
    >>> by_load(np.array([80.0, 80.0, np.nan]), np.array([100.0, 50.0, 100.0]), reach=0)
    Explained(least=array([0.8, 1. , 1. ]), most=array([1. , 1.6, 1. ]))
    """
    known = ~np.isnan(load)
    sums, counts = (np.concatenate([[0], np.cumsum(part)]) for part in (np.nan_to_num(load), known))
    since = np.maximum(np.arange(len(load)) - FOLLOWS, 0)
    mean = (sums[:-1] - sums[since]) / np.maximum(counts[:-1] - counts[since], 1)
    fast, slow = _ratios(load, expected, reach), _ratios(load, mean, reach)
    return Explained(np.minimum(fast.least, slow.least), np.maximum(fast.most, slow.most))


def _ratios(load: FloatArray, expected: FloatArray, reach: int) -> Explained:
    size = 2 * reach + 1
    low = ndimage.minimum_filter1d(np.where(np.isnan(load), np.inf, load), size)
    high = ndimage.maximum_filter1d(np.where(np.isnan(load), -np.inf, load), size)
    known = expected > 0
    usual = np.where(known, expected, 1.0)
    least, most = np.where(known, low / usual, 1.0), np.where(known, high / usual, 1.0)
    return Explained(np.clip(least, 0.0, 1.0), np.maximum(most, 1.0))


def by_calendar(at_ms: IntArray, ga_day: Window, traffic: tuple[float, float]) -> Explained:
    """Return what a load may do where the week's season is not known.

    It is not known of a Saturday or Sunday where the GA day was none at that hour, the other way round, nor on a day
    on which the weekend has begun or ended.

    Parameters
    ----------
    traffic : (float, float)
        Multiples of the usual traffic, beyond which no calendar explains it.
    """
    weekend = _is_weekend(at_ms)
    start_ms = millis(ga_day.start_at)
    same_hour = start_ms + (at_ms - start_ms) % DAY_MS
    other = (weekend != _is_weekend(same_hour)) | (weekend != weekend[:1])
    return Explained(np.where(other, min(1.0, traffic[0]), 1.0), np.where(other, max(1.0, traffic[1]), 1.0))


def _is_weekend(at_ms: IntArray) -> np.ndarray:
    return (at_ms // DAY_MS + EPOCH_WEEKDAY) % 7 >= SATURDAY
