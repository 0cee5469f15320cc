"""Is one period really worse than another, or is it noise?

Arrays in, an estimate with its interval out; nothing here knows a policy. Periods are compared block by block (an hour
with the same hour of the GA day), which takes the daily season out; neighbouring blocks resemble each other, so the
interval is widened to the number of blocks that are really independent. Events are compared as counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy import special

from tars_ops.core import sli
from tars_ops.core.telemetry import FloatArray

MIN_BLOCKS = 6
"""Fewer pairs of blocks say nothing about a day."""
MIN_EFFECTIVE = 3.0
MAX_CORRELATION = 0.98


class Shift(NamedTuple):
    """How far one period lies from another."""

    estimate: float
    lower: float
    upper: float
    """Ends of the interval."""
    p: float
    """Chance of so large a difference where there is none."""
    n: int
    n_effective: float
    """Independent blocks behind the interval."""


def paired_shift(before: FloatArray, after: FloatArray, *, alpha: float) -> Shift | None:
    """Estimate the relative change of the mean between two periods of equal blocks.

    Parameters
    ----------
    before, after : (n,) float
        The same blocks of the day in both periods, in one unit; NaN where a block is unknown.
    alpha : float in (0, 1)
        Chance of the interval missing the truth.

    Returns
    -------
    Shift or None
        Relative to ``before``; None with fewer than 6 common blocks or a baseline of 0.

    Notes
    -----
    Student's t on the differences of logarithms around their own trend, with the sample size corrected for first-order
    autocorrelation, ``n (1 - rho) / (1 + rho)``; rho is bias-corrected after Kendall (1954), 0..0.98.

    Examples
    --------
    >>> steady = np.array([10.0, 12.0, 14.0, 12.0, 10.0, 8.0])
    >>> shift = paired_shift(steady, 1.2 * steady, alpha=0.001)
    >>> round(shift.estimate, 3)
    0.2
    """
    common = ~(np.isnan(before) | np.isnan(after))
    n = int(common.sum())
    if n < MIN_BLOCKS:
        return None
    relative = _relative(before[common], after[common])
    if relative is None:
        return None
    differences, back = relative
    mean, noise = float(differences.mean()), detrended(differences)
    spread = float(np.sqrt(noise @ noise / (n - 2)))
    n_effective = max(MIN_EFFECTIVE, n * (1 - (rho := autocorrelation(noise))) / (1 + rho))
    error = max(spread / math.sqrt(n_effective), 1e-12)
    half = float(special.stdtrit(n_effective - 1, 1 - alpha / 2)) * error
    p = 2 * float(special.stdtr(n_effective - 1, -abs(mean) / error))
    return Shift(back(mean), back(mean - half), back(mean + half), p, n, n_effective)


def _relative(before: FloatArray, after: FloatArray) -> tuple[FloatArray, Callable[[float], float]] | None:
    """Return the change of each block, and how to turn a mean of them into a relative change.

    Logarithms where everything is positive, because a load that grows grows with its season; else differences.
    """
    if before.min() > 0 and after.min() > 0:
        return np.log(after / before), math.expm1
    centre = float(np.abs(before.mean()))
    return ((after - before) / centre, float) if centre else None


def detrended(values: FloatArray) -> FloatArray:
    """Return the distances from the straight line through some blocks.

    A change that grows over the day is a change, not noise around one.

    Examples
    --------
    >>> np.abs(detrended(np.array([1.0, 2.0, 3.0]))).max() < 1e-12
    np.True_
    """
    place = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float(place @ values) / float(place @ place)
    return values - values.mean() - slope * place


def autocorrelation(values: FloatArray) -> float:
    """Return the first-order autocorrelation, bias-corrected and held within 0..0.98.

    Examples
    --------
    >>> autocorrelation(np.array([1.0, -1.0, 1.0, -1.0]))
    0.0
    """
    centred = values - values.mean()
    power = float(centred @ centred)
    if power == 0:
        return 0.0
    r1 = float(centred[1:] @ centred[:-1]) / power
    return min(max(r1 + (1 + 4 * r1) / len(values), 0.0), MAX_CORRELATION)


def share_shift(before: tuple[int, int], after: tuple[int, int], *, alpha: float) -> Shift | None:
    """Estimate the change of a share of bad events between two periods, in points.

    Parameters
    ----------
    before, after : (bad, total)
        Counted events.
    alpha : float in (0, 1)
        Chance of the interval missing the truth.

    Returns
    -------
    Shift or None
        Positive means more bad events; None where a period had no event.

    Notes
    -----
    The interval is Newcombe's (1998, method 10) built on Clopper-Pearson intervals, the p-value the exact conditional
    binomial test: given all bad events, how many fell into the later period.

    Examples
    --------
    >>> share_shift((2, 10_000), (2, 10_000), alpha=0.01).estimate
    0.0
    """
    (x1, n1), (x2, n2) = before, after
    if n1 <= 0 or n2 <= 0:
        return None
    p1, p2 = x1 / n1, x2 / n2
    (l1, u1), (l2, u2) = sli.bad_interval(x1, n1, alpha=alpha), sli.bad_interval(x2, n2, alpha=alpha)
    lower = p2 - p1 - math.hypot(p2 - l2, u1 - p1)
    upper = p2 - p1 + math.hypot(u2 - p2, p1 - l1)
    one_sided = sli.p_at_least(x2, x1 + x2, probability=n2 / (n1 + n2))
    return Shift(p2 - p1, lower, upper, min(1.0, 2 * one_sided), n1 + n2, float(n1 + n2))
