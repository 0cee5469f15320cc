"""Which samples of many series lie too far from their running mean?

The control chart of ``method: ewma`` for whole fleets: one pass, the state of a series is its mean, its variance and
the number of samples seen. ``ewma_z`` of ``core.watch.detector`` gives the scores behind the alarms.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.loops import loops
from tars_ops.core.telemetry import FloatArray


class EwmaAlarms(NamedTuple):
    """Where the chart alarms, and where it stands after the last sample."""

    is_alarm: NDArray[np.bool_]
    """(n_series, n); False at gaps and in warm-up, where nothing can be said."""
    mean: FloatArray
    """(n_series,) running mean; NaN without a known sample."""
    variance: FloatArray
    """(n_series,) running variance; NaN without a known sample."""


def ewma_alarms(
    values: NDArray[np.floating], *, alpha: float, warmup: int, sigma_floor: FloatArray, z_threshold: float
) -> EwmaAlarms:
    """Mark the samples whose ``ewma_z`` is beyond ``z_threshold`` on either side.

    Parameters
    ----------
    values : (n_series, n) float32 or float64
        Evenly spaced samples, oldest first, a series per row; NaN marks a gap, over which the state is held.
    alpha : float in (0, 1]
        Weight of the newest sample.
    warmup : int >= 2
        Known samples of each series before the first that is judged.
    sigma_floor : (n_series,) float > 0
        Smallest believable standard deviation of each series, in its unit.
    z_threshold : float > 0
        Standard deviations that make an alarm.

    Raises
    ------
    ContractError
        If an argument is outside its range or a value is infinite.

    Notes
    -----
    Roberts (1959), with the variance of West (1979) and Finch (2009). Squares are compared, ``d**2 > z**2 s**2``: no
    root and no division per sample.

    Examples
    --------
    >>> series = np.array([[5.0, 5.0, 5.0, 5.0, 9.0]])
    >>> ewma_alarms(series, alpha=0.3, warmup=2, sigma_floor=np.array([0.5]), z_threshold=3.0).is_alarm
    array([[False, False, False, False, True]])
    """
    if not 0 < alpha <= 1 or warmup < 2 or z_threshold <= 0 or not np.all(sigma_floor > 0):
        raise ContractError(
            f"alpha {alpha} in (0, 1], warmup {warmup} >= 2, z_threshold {z_threshold} > 0 and every sigma_floor > 0 "
            "must hold"
        )
    compiled, floor = loops("ewma"), np.asarray(sigma_floor, dtype=np.float64)
    of_rows = compiled.of_rows if compiled else of_rows_by_steps
    is_alarm, mean, variance, n_seen = of_rows(values, alpha, float(warmup), floor, z_threshold)
    mean[n_seen == 0] = variance[n_seen == 0] = np.nan
    if not np.all(np.isfinite(mean) | (n_seen == 0)):
        raise ContractError("a series holds infinite values; what is not known is NaN")
    return EwmaAlarms(is_alarm, mean, variance)


def of_rows_by_steps(
    values: NDArray[np.floating], alpha: float, warmup: float, floor: FloatArray, z_threshold: float
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray, FloatArray]:
    """Return alarms, mean, variance and number of known samples without compiled code: all series, step by step."""
    is_alarm = np.zeros(values.shape, dtype=np.bool_)
    mean, variance, seen = (np.zeros(len(values)) for _ in range(3))
    with np.errstate(invalid="ignore"):
        for t in range(values.shape[1]):
            value = values[:, t].astype(np.float64)
            known, off = ~np.isnan(value), value - mean
            is_alarm[:, t] = (seen >= warmup) & (off * off > z_threshold**2 * np.maximum(variance, floor**2))
            off = np.where(seen == 0, 0.0, off)
            mean = np.where(known, np.where(seen == 0, value, mean + alpha * off), mean)
            variance = np.where(known, (1 - alpha) * (variance + alpha * (off * off)), variance)
            seen = seen + known
    return is_alarm, mean, variance, seen
