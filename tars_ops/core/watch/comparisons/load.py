"""How much of a KPI's change does its load explain?

CPU and cost follow the traffic. How closely is learnt from the slots of the baseline, where the daily season moves
both; a later day is then compared at equal load.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.comparisons.long_run import mean_errors

GUESS, GUESS_ERROR = 0.5, 0.3
"""Elasticity before any data: somewhere between "does not follow the load" (0) and "follows it fully" (1)."""
MIN_SLOTS = 12
N_WAVES = 4
TELLING = 10.0
"""Least strength of the waves over the noise, per wave."""
SMALLEST_WAVE = 1e-6
"""Mean square of the waves of the logarithm of a load that never moves."""


class Elasticity(NamedTuple):
    """Relative change of a KPI for each relative change of its load."""

    value: float
    """0..1."""
    error: float


NOT_LEARNT = Elasticity(GUESS, GUESS_ERROR)


def elasticity(load: FloatArray, values: FloatArray) -> Elasticity:
    """Learn how a KPI follows its load from the slots of one period.

    Parameters
    ----------
    load, values : (n,) float
        Slot means; NaN where unknown.

    Returns
    -------
    Elasticity
        Shrunk to the guess by its own error, within 0..1. The guess alone where the load has no season to learn from.

    Notes
    -----
    Logarithms, with the slow waves of the day as instruments (two-stage least squares): a load that is measured with
    noise would seem to explain too little. Waves that do not stand out from the noise of the load (F below 10, Staiger
    and Stock 1997) teach nothing. The error allows for residuals that resemble their neighbours.

    Examples
    --------
    >>> load = np.exp(np.sin(np.arange(288) / 288 * 2 * np.pi))
    >>> round(elasticity(load, 3 * load).value, 3), round(elasticity(load, np.ones(288)).value, 3)
    (1.0, 0.0)
    """
    known = ~(np.isnan(load) | np.isnan(values))
    known[known] = (load[known] > 0) & (values[known] > 0)
    n = int(known.sum())
    if n < MIN_SLOTS:
        return NOT_LEARNT
    x, y = np.log(load[known]), np.log(values[known])
    x, y = x - x.mean(), y - y.mean()
    waves = _waves(len(load))[known]
    wave = waves @ np.linalg.lstsq(waves, x, rcond=None)[0]
    power = float(wave @ wave)
    noise_power = n * float(mean_errors((x - wave)[None, :]).error[0]) ** 2
    if power <= TELLING * N_WAVES * noise_power or power / n < SMALLEST_WAVE:
        return NOT_LEARNT
    slope = float(wave @ y) / power
    error = max(float(mean_errors((wave * (y - slope * x) * n / power)[None, :]).error[0]), 1e-6)
    own, guess = 1 / error**2, 1 / GUESS_ERROR**2
    value = (own * slope + guess * GUESS) / (own + guess)
    return Elasticity(min(1.0, max(0.0, value)), float(1 / np.sqrt(own + guess)))


def _waves(n: int) -> FloatArray:
    """Return the first two waves of a period, around 0, shape (n, 4)."""
    angle = 2 * np.pi * np.outer((np.arange(n) + 0.5) / n, [1, 2])
    return np.hstack([np.cos(angle), np.sin(angle)])


def at_equal_load(after: FloatArray, load_before: FloatArray, load_after: FloatArray, value: float) -> FloatArray:
    """Return what a KPI would have been under the load of the baseline; NaN where a load is unknown or 0.

    Examples
    --------
    >>> at_equal_load(np.array([4.0]), np.array([1.0]), np.array([4.0]), 0.5).tolist()
    [2.0]
    """
    known = (load_before > 0) & (load_after > 0)
    return after * (np.where(known, load_before, np.nan) / np.where(known, load_after, np.nan)) ** value
