"""Did a series climb or fall all day long, too slowly for any alarm?"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from scipy import special

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.anomalies.change_point import autocorrelation, innovations
from tars_ops.core.watch.anomalies.event import AnomalyClass
from tars_ops.core.watch.anomalies.excursion import Excursion
from tars_ops.core.watch.anomalies.scored import Scored

LINE_BIAS = 10
"""The residuals of a line through a random walk of n samples show a correlation that is so much over n too small
(Dickey and Fuller 1979)."""
MAX_CORRELATION = 0.9995
N_BLOCKS = 6
"""A drift moves the mean of each sixth of the day the same way; a daily season, which ends where it began, cannot."""


class Trend(NamedTuple):
    """A straight line through a day."""

    first: float
    """Its value at the first sample."""
    last: float
    """Its value at the last sample."""
    score: float
    """``-log10`` of the probability of such a slope without a trend."""


def day_trend(values: FloatArray) -> Trend | None:
    """Fit a line to a whole day; None where its sixths do not all go the same way, or one of them is not known.

    Parameters
    ----------
    values : (n,) float
        The samples of 24 hours, evenly spaced, NaN at gaps.

    Notes
    -----
    Generalised least squares with AR(1) noise whose correlation is that of the line's own residuals.

    Examples
    --------
    >>> round(day_trend(np.linspace(100.0, 106.0, 1440) + np.tile([0.5, -0.5], 720)).last)
    106
    >>> day_trend(100 + np.sin(np.linspace(0, 2 * np.pi, 1440))) is None
    True
    """
    blocks = np.array_split(values, N_BLOCKS)
    if len(values) < 4 * N_BLOCKS or any(np.isnan(block).mean() > 0.5 for block in blocks):
        return None
    steps = np.sign(np.diff([np.nanmean(block) for block in blocks]))
    if abs(steps.sum()) < N_BLOCKS - 1:
        return None
    at = np.flatnonzero(~np.isnan(values))
    line = np.column_stack([np.ones(len(at)), at / (len(values) - 1)])
    residuals = values[at] - line @ np.linalg.lstsq(line, values[at], rcond=None)[0]
    rho = min(max(autocorrelation(residuals) + LINE_BIAS / len(at), 0.0), MAX_CORRELATION)
    x, y = innovations(line.T, rho).T, innovations(values[at], rho)
    fit = np.linalg.lstsq(x, y, rcond=None)[0]
    variance = float(np.sum((y - x @ fit) ** 2)) / (len(at) - 2)
    deviation = math.sqrt(variance * float(np.linalg.inv(x.T @ x)[1, 1]))
    z = abs(float(fit[1])) / max(deviation, abs(float(fit[1])) * 1e-3)
    return Trend(float(fit[0]), float(fit[0] + fit[1]), -(float(special.log_ndtr(-z)) + math.log(2)) / math.log(10))


def day_drift(one: Scored, *, tolerance: float, of_a_day: bool) -> Excursion | None:
    """Return the drift of a whole day, from the value that the line has at its start to the one at its end.

    Parameters
    ----------
    tolerance : float
        Relative change that is nobody's business.
    of_a_day : bool
        The window has 24 hours. A part of a day cannot tell a drift from the season.
    """
    if one.counts is not None or not of_a_day:
        return None
    trend = day_trend(one.values)
    if trend is None or trend.score < one.threshold:
        return None
    if abs(trend.last - trend.first) <= tolerance * abs(trend.first):
        return None
    n = len(one.values)
    return Excursion(
        start=0,
        end=n,
        peak=n - 1,
        kind=AnomalyClass.DRIFT,
        value=trend.last,
        expected=trend.first,
        lower=math.nan,
        upper=math.nan,
        score=trend.score,
    )
