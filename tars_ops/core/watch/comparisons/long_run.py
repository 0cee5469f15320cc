"""How sure is the mean of samples that resemble their neighbours?

Rows of residuals in, the standard error of each row's mean out. A sample that is almost its neighbour's copy is hardly
news, so the error is that of the independent samples behind a row. Nothing here knows what is compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from tars_ops.core.telemetry import FloatArray

MAX_CORRELATION = 0.98
TREND_FROM = 120
"""Samples that can tell a trend from noise with a long memory; with fewer a trend is part of the noise."""
N_SLOW = 24
"""Lowest frequencies that are looked at for noise which a memory of one step does not explain."""
MUCH_SLOWER = 1.3
"""Such noise, relative to what one step explains, from which on it counts, with the degrees of freedom that it has."""
SMALLEST_LEFT = 0.1
"""Least share of the noise that is believed to be left in a row after its own mean and trend were taken out."""


@dataclass(frozen=True, slots=True)
class MeanErrors:
    """How far the mean of each row may be off; every array has the shape (rows,)."""

    error: FloatArray
    """Standard error of the mean, in the unit of the row."""
    freedom: FloatArray
    """Degrees of freedom of Student's t, at least 1."""
    n: FloatArray
    """Known samples."""
    n_effective: FloatArray
    """Independent samples that are worth as much, at least 1."""
    rho: FloatArray
    """Correlation of neighbours, 0..0.98."""


def mean_errors(rows: FloatArray) -> MeanErrors:
    """Return the standard error of the mean of each row.

    Parameters
    ----------
    rows : (rows, n) float
        Evenly spaced samples; NaN marks a gap.

    Returns
    -------
    MeanErrors
        Zero error for a row that never changes.

    Notes
    -----
    One of two long-run variances. The usual one is that of a first-order autoregression, its coefficient bias-corrected
    after Kendall (1954) and averaged over its own uncertainty. The other, where it is much larger, sees a slow memory:
    residuals whitened by that coefficient, projected on the lowest cosines, and coloured again (Andrews and Monahan
    1992; Lazarus, Lewis, Stock and Watson 2018).

    Examples
    --------
    >>> found = mean_errors(np.array([[1.0, -1.0] * 50, [1.0] * 50 + [-1.0] * 50]))
    >>> [round(float(error), 2) for error in found.error]
    [0.1, 1.97]
    """
    known = ~np.isnan(rows)
    n = np.maximum(known.sum(axis=1), 2).astype(np.float64)
    noise = _residuals(rows, known, n)
    power = (noise * noise).sum(axis=1)
    rho = _correlation(noise, power, n)
    tau = (1 + rho) / (1 - rho) - 2 * rho * (1 - rho**n) / (n * (1 - rho) ** 2)
    unsure = 1 + np.where(n >= TREND_FROM, 2, 4) / (n * (1 - rho))
    variance = power / n / np.maximum(1 - _n_removed(n) * tau / n, SMALLEST_LEFT)
    first_order = variance * tau * unsure
    n_slow = np.clip(n // 4, 2, N_SLOW)
    slow = _slow_variance(noise, rho, n) * tau * (1 - rho) / (1 + rho) * np.sqrt(unsure)
    n_effective = np.maximum(1.0, n / (tau * unsure))
    freedom = np.maximum(1.0, n_effective - 1)
    is_slow = slow > MUCH_SLOWER * first_order
    freedom = np.where(is_slow, np.minimum(freedom, n_slow), freedom)
    long_run = np.where(is_slow, slow, first_order)
    few = np.maximum(1.0, np.minimum(n_effective, n * variance / np.where(long_run > 0, long_run, 1.0)))
    return MeanErrors(np.sqrt(long_run / n), freedom, n, np.where(long_run > 0, few, n), rho)


def _n_removed(n: FloatArray) -> FloatArray:
    """Return what was taken out of each row: its mean, and its trend where it is long."""
    return np.where(n >= TREND_FROM, 2.0, 1.0)


def _residuals(rows: FloatArray, known: np.ndarray, n: FloatArray) -> FloatArray:
    """Return the distances from each row's mean, or from its straight line; 0 where a sample is unknown.

    A change that grows over the day is a change, not noise around one.
    """
    values = np.where(known, rows, 0.0)
    values = np.where(known, values - (values.sum(axis=1) / n)[:, None], 0.0)
    place = np.where(known, np.arange(rows.shape[1]), 0.0)
    place = np.where(known, place - (place.sum(axis=1) / n)[:, None], 0.0)
    slope = (place * values).sum(axis=1) / np.maximum((place * place).sum(axis=1), 1.0)
    return values - np.where(n >= TREND_FROM, slope, 0.0)[:, None] * place


def _correlation(noise: FloatArray, power: FloatArray, n: FloatArray) -> FloatArray:
    first = (noise[:, 1:] * noise[:, :-1]).sum(axis=1) / np.where(power > 0, power, 1.0)
    with_trend = (first + 2 / n) / np.maximum(1 - 5 / n, 0.5)
    with_mean = (first + 1 / n) / np.maximum(1 - 4 / n, 0.5)
    rho = np.where(n >= TREND_FROM, with_trend, with_mean)
    return np.where(power > 0, np.clip(rho, 0.0, MAX_CORRELATION), 0.0)


def _slow_variance(noise: FloatArray, rho: FloatArray, n: FloatArray) -> FloatArray:
    """Return the long-run variance that the lowest frequencies show."""
    whitened = noise[:, 1:] - rho[:, None] * noise[:, :-1]
    width = whitened.shape[1]
    projected = whitened @ _cosines(width).T
    n_slow = np.clip(n // 4, 2, N_SLOW)[:, None]
    first = np.where(n >= TREND_FROM, 2, 1)[:, None]
    order = np.arange(1, projected.shape[1] + 1)[None, :]
    used = (order >= first) & (order < first + n_slow)
    power = np.where(used, projected**2, 0.0).sum(axis=1) / np.maximum(used.sum(axis=1), 1)
    return power / n / (1 - rho) ** 2


@cache
def _cosines(width: int) -> FloatArray:
    """Return the lowest cosines, orthogonal to a constant, shape (N_SLOW + 1, width)."""
    order = np.arange(1, min(N_SLOW + 1, max(1, width - 1)) + 1)
    return np.sqrt(2) * np.cos(np.pi * np.outer(order, (np.arange(width) + 0.5) / width))
