"""How far is each sample from the average of the samples before it? The plain chart of ``method: ewma``."""

from __future__ import annotations

import numpy as np

from tars_ops.core.errors import ContractError
from tars_ops.core.telemetry import FloatArray


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
