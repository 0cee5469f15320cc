"""How surprising is each sample, given the samples before it?

Arrays in, tail probabilities out; nothing here knows a KPI or a policy. Every series is calibrated on its own GA day,
so that "surprising" means rare for this series. A sample is scored before it moves the running mean, and it moves it by
at most three deviations: a spike neither hides itself nor poisons its followers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, NamedTuple

import numpy as np
from pydantic import Field
from scipy import special

from tars_ops.core import sli
from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen
from tars_ops.core.telemetry import FloatArray, IntArray

TAIL_QUANTILE = 0.98
"""Residuals beyond this quantile shape the tail (docs/reference/methods.md)."""
CLIP_SIGMAS = 3.0
SEED_SAMPLES = 5
"""The running mean starts at the median of so many samples, so that one of them may be a spike."""
MIN_CALIBRATION_SAMPLES = 50
MAD_TO_SIGMA = 1.4826
"""Scale of the median absolute deviation of a normal distribution."""


class Calibration(Frozen):
    """What is usual for one series: the size of its residuals and their tails, in standard deviations."""

    sigma: Annotated[float, Field(gt=0)]
    """Robust standard deviation of the residuals, in the series' unit."""
    sigma_floor: Annotated[float, Field(ge=0)]
    """Smallest believable deviation, in the series' unit."""
    upper: tuple[float, float]
    """Start and mean excess of the upper tail, in ``sigma``."""
    lower: tuple[float, float]
    """The same of the lower tail, as positive numbers."""


class Scores(NamedTuple):
    """For each sample: what was expected, and how rare a sample so far away is."""

    expected: FloatArray
    p: FloatArray
    """Tail probability, (0, 1]; NaN where nothing can be said."""


def residuals(values: FloatArray, *, alpha: float, sigma: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the running mean before each sample, and each sample's distance from it.

    Parameters
    ----------
    values : (n_series, n) float
        Evenly spaced samples, oldest first; NaN marks a gap, over which the mean is held.
    alpha : float in (0, 1]
        Weight of the newest sample.
    sigma : (n_series,) float, may be inf
        A sample moves the mean as if it were at most three of these away.

    Returns
    -------
    (n_series, n) float, twice
        Expected values and residuals; NaN where the sample is.

    Examples
    --------
    >>> expected, found = residuals(np.array([[5.0, 5.0, 5.0, 5.0, 9.0]]), alpha=0.3, sigma=np.array([1.0]))
    >>> found
    array([[0., 0., 0., 0., 4.]])
    """
    if not 0 < alpha <= 1:
        raise ContractError(f"alpha {alpha} is outside (0, 1]")
    expected = np.empty_like(values)
    mean = _seed(values)
    limit = CLIP_SIGMAS * sigma
    for t in range(values.shape[1]):
        expected[:, t] = mean
        step = np.clip(values[:, t] - mean, -limit, limit)
        mean = mean + np.where(np.isnan(step), 0.0, alpha * step)
    return expected, values - expected


def _seed(values: FloatArray) -> FloatArray:
    """Return the median of the first known samples of each series; 0 for a series without any."""
    first = np.zeros(len(values))
    for i, series in enumerate(values):
        known = series[~np.isnan(series)][:SEED_SAMPLES]
        first[i] = np.median(known) if len(known) else 0.0
    return first


def calibrate(values: FloatArray, *, alpha: float, sigma_floor: FloatArray) -> list[Calibration | None]:
    """Learn from the GA day what is usual for each series.

    Parameters
    ----------
    values : (n_series, n) float
        The GA day.
    alpha : float in (0, 1]
        Weight of the newest sample.
    sigma_floor : (n_series,) float
        Smallest believable deviation of each series, in its unit; 0 leaves a flat series uncalibrated.

    Returns
    -------
    list of Calibration, one per series
        None where fewer than 50 samples are known or the series has no spread and no floor: unknown, not "normal".
    """
    _, found = residuals(values, alpha=alpha, sigma=np.full(len(values), np.inf))
    return [_calibration(row[~np.isnan(row)], float(floor)) for row, floor in zip(found, sigma_floor, strict=True)]


def _calibration(found: FloatArray, floor: float) -> Calibration | None:
    if len(found) < MIN_CALIBRATION_SAMPLES:
        return None
    sigma = max(MAD_TO_SIGMA * float(np.median(np.abs(found - np.median(found)))), floor)
    if sigma <= 0:
        return None
    return Calibration(sigma=sigma, sigma_floor=floor, upper=_tail(found / sigma), lower=_tail(-found / sigma))


def _tail(scaled: FloatArray) -> tuple[float, float]:
    start = max(float(np.quantile(scaled, TAIL_QUANTILE)), 1.0)
    beyond = scaled[scaled > start] - start
    # at least half a deviation: a tail without members says little, not that nothing can be there
    return start, max(float(beyond.mean()) if len(beyond) else 0.0, 0.5)


def score_tail(values: FloatArray, calibrations: Sequence[Calibration | None], *, alpha: float) -> Scores:
    """Score each sample by the exponential tail of its own series.

    A residual of ``r`` deviations beyond the start ``u`` of a tail with mean excess ``m`` has the probability
    ``0.02 exp(-(r - u) / m)``; one within the tails has the probability 1: it is not news. The first five known samples
    make the running mean and are not judged by it: NaN, "not known yet".
    """
    if not len(values):
        return Scores(values, values)
    sigma = np.array([c.sigma if c else np.nan for c in calibrations])
    expected, found = residuals(values, alpha=alpha, sigma=np.where(np.isnan(sigma), np.inf, sigma))
    tails = np.array([(*c.upper, *c.lower) if c else (np.nan,) * 4 for c in calibrations])[:, :, None]
    scaled = found / sigma[:, None]
    upper = (scaled - tails[:, 0]) / tails[:, 1]
    lower = (-scaled - tails[:, 2]) / tails[:, 3]
    beyond = np.maximum(upper, lower)
    p = np.where(beyond > 0, (1 - TAIL_QUANTILE) * np.exp(-np.maximum(beyond, 0)), 1.0)
    seeding = np.cumsum(~np.isnan(values), axis=1) <= SEED_SAMPLES
    return Scores(expected, np.where(np.isnan(scaled) | seeding, np.nan, p))


def ewma_z(values: FloatArray, *, alpha: float, warmup: int, sigma_floor: float) -> FloatArray:
    """Score each sample by its distance from the average of the samples before it, in running deviations.

    Sample ``t`` is judged only by samples ``0 .. t-1``: a spike cannot hide by inflating its own yardstick, a longer
    series never changes an old score.

    Parameters
    ----------
    values : (n,) float
        Evenly spaced samples, oldest first; NaN marks a gap.
    alpha : float in (0, 1]
        Weight of the newest sample; the memory is about ``2 / alpha`` samples.
    warmup : int >= 2
        Scores held back as NaN: "not known yet", never 0.
    sigma_floor : float > 0
        Smallest believable standard deviation, in the unit of ``values``.

    Notes
    -----
    The control chart of Roberts (1959) with the running variance of West (1979) and Finch (2009).

    Examples
    --------
    >>> ewma_z(np.array([5.0, 5.0, 5.0, 5.0, 9.0]), alpha=0.3, warmup=2, sigma_floor=0.5)
    array([nan, nan,  0.,  0.,  8.])
    """
    return ewma_chart(values, alpha=alpha, warmup=warmup, sigma_floor=sigma_floor)[1]


def ewma_chart(values: FloatArray, *, alpha: float, warmup: int, sigma_floor: float) -> tuple[FloatArray, FloatArray]:
    """Return the running mean before each sample, and the scores of ``ewma_z``; NaN at gaps and in warm-up."""
    if not 0 < alpha <= 1 or warmup < 2 or sigma_floor <= 0:
        raise ContractError(f"alpha {alpha} in (0, 1], warmup {warmup} >= 2, sigma_floor {sigma_floor} > 0 must hold")
    expected, scores = np.full(len(values), np.nan), np.full(len(values), np.nan)
    n, mean, variance = 0, 0.0, 0.0
    for t, value in enumerate(values):
        if np.isnan(value):
            continue
        if n >= warmup:
            expected[t], scores[t] = mean, (value - mean) / max(float(np.sqrt(variance)), sigma_floor)
        difference = value - mean if n else 0.0
        mean = mean + alpha * difference if n else value
        variance = (1 - alpha) * (variance + alpha * difference**2)
        n += 1
    return expected, scores


def two_sided_p(z: FloatArray) -> FloatArray:
    """Return the chance of a standard normal value at least as far from 0."""
    return special.erfc(np.abs(z) / np.sqrt(2))


def score_counts(bad: IntArray, total: IntArray, *, p0: float) -> FloatArray:
    """Return, for each slot, the chance of so many bad events at the usual share ``p0`` (exact binomial).

    Slots without events are NaN: nothing happened is not "normal".

    Examples
    --------
    >>> [float(p) for p in score_counts(np.array([0, 1, 0]), np.array([25, 25, 0]), p0=1e-3).round(6)]
    [1.0, 0.024702, nan]
    """
    pairs = zip(bad.tolist(), total.tolist(), strict=True)
    return np.array([sli.p_at_least(min(b, n), n, probability=p0) if n else np.nan for b, n in pairs])
