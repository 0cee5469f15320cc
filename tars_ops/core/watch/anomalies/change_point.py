"""When did this series change, and between which two instants does that place lie?

Arrays in, places out. Each question fits two pieces to a stretch of samples and asks how much worse every other place
of the border would explain them. Neighbouring samples resemble each other, so all fits are of the innovations of an
AR(1) process; otherwise every slow wave would look like a sharp change.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from tars_ops.core.telemetry import FloatArray

MIN_SIDE = 3
"""Samples that each side of a border needs."""
MAX_CORRELATION = 0.98
"""Beyond it a stretch of a few hours cannot tell a slow wave from a random walk."""
SLACK = -2 * math.log(1 - math.sqrt(0.95))
"""Likelihood ratio within which the place lies. For a jump, 95 %: the maximum of a two-sided random walk stays below x
with the probability (1 - exp(-x / 2))^2 (Siegmund 1988); the usual 3.84 would hold 73 %. A kink moves its fit smoothly,
so 3.84 would do if ``rho`` were known; it is estimated, and the wider range makes up for that."""


class Place(NamedTuple):
    """Where a series changed, as positions in its array; the change is just before the sample ``at``."""

    at: int
    first: int
    last: int
    cost: float
    """``n log`` of the residual variance of the best fit; lower explains more."""


def jump(values: FloatArray) -> Place | None:
    """Date a change of level; None where fewer than six samples are known.

    Parameters
    ----------
    values : (n,) float
        Evenly spaced samples around the change, NaN at gaps.

    Returns
    -------
    Place or None
        Position of the first sample on the new level, with an interval that holds it in nine of ten cases.

    Notes
    -----
    Two means by least squares on innovations (methods 8). A jump of ``d`` shows with its full size in one innovation
    and with ``(1 - rho) d`` in the later ones.

    Examples
    --------
    >>> jump(np.array([5.0, 5.1, 4.9, 5.0, 5.1, 9.0, 9.1, 8.9, 9.0, 9.1]))[:3]
    (5, 5, 5)
    """
    kept, known = _known(values)
    if len(known) < 2 * MIN_SIDE:
        return None
    cost = _jump_costs(known, 0.0)
    rho = _correlation(known - _two_means(known, int(np.argmin(cost))))
    return _place(_jump_costs(known, rho), kept)


def kink(values: FloatArray) -> Place | None:
    """Date the beginning of a slope: a level, then a straight line from it; None where too little is known."""
    kept, known = _known(values)
    if len(known) < 2 * MIN_SIDE:
        return None
    hinge = np.maximum(0, np.arange(len(known))[None, :] - np.arange(len(known))[:, None] + 1.0)
    cost = _slope_costs(known, hinge, 0.0)
    best = hinge[int(np.argmin(cost))]
    line = np.column_stack([np.ones(len(known)), best])
    rho = _correlation(known - line @ np.linalg.lstsq(line, known, rcond=None)[0])
    return _place(_slope_costs(known, hinge, rho), kept)


def widening(values: FloatArray) -> Place | None:
    """Date a change of spread around a level that stays; None where too little is known.

    Examples
    --------
    >>> widening(np.array([1.0, -1, 1, -1, 1, -1, 1, -1, 9, -9, 9, -9, 9, -9, 9, -9])).at
    8
    """
    kept, known = _known(values)
    if len(known) < 2 * MIN_SIDE:
        return None
    centred = known - np.median(known)
    squares = np.cumsum(innovations(centred, _correlation(centred)) ** 2)
    n, total = np.arange(1, len(known)), squares[-1]
    tiny = max(total / len(known) * 1e-9, np.finfo(float).tiny)
    before = np.maximum(squares[:-1] / n, tiny)
    after = np.maximum((total - squares[:-1]) / (len(known) - n), tiny)
    cost = n * np.log(before) + (len(known) - n) * np.log(after)
    return _place(_inside(np.concatenate([[np.inf], cost])), kept)


def onset_of_gains(gains: FloatArray) -> Place:
    """Date the beginning of a run of evidence: ``gains`` are the steps of a log-likelihood ratio, oldest first.

    The likelihood of a change before step ``t`` is the sum of the gains from ``t`` on (Page 1954).

    Examples
    --------
    >>> onset_of_gains(np.array([-1.0, -1.0, 8.0, -0.5, 8.0]))[:3]
    (2, 0, 2)
    """
    return _place(-2 * np.cumsum(gains[::-1])[::-1], np.arange(len(gains)))


def _known(values: FloatArray) -> tuple[np.ndarray, FloatArray]:
    kept = np.flatnonzero(~np.isnan(values))
    return kept, values[kept]


def _place(cost: FloatArray, kept: np.ndarray) -> Place:
    best = int(np.argmin(cost))
    near = np.flatnonzero(cost <= cost[best] + SLACK)
    return Place(int(kept[best]), int(kept[near[0]]), int(kept[near[-1]]), float(cost[best]))


def autocorrelation(residuals: FloatArray) -> float:
    """Return the correlation of neighbouring residuals; 0 where there is nothing to correlate."""
    power = float(residuals @ residuals)
    return float(residuals[1:] @ residuals[:-1]) / power if power > 0 else 0.0


def _correlation(residuals: FloatArray) -> float:
    """Return the same, corrected for the shortness of the stretch (Kendall 1954)."""
    found = autocorrelation(residuals)
    return min(max(found + (1 + 4 * found) / len(residuals), 0.0), MAX_CORRELATION)


def innovations(values: FloatArray, rho: float) -> FloatArray:
    """Take from each sample what the one before it explains; the first keeps its weight."""
    found = values - rho * np.concatenate([np.zeros_like(values[..., :1]), values[..., :-1]], axis=-1)
    found[..., 0] = values[..., 0] * math.sqrt(1 - rho**2)
    return found


def _two_means(values: FloatArray, at: int) -> FloatArray:
    return np.where(np.arange(len(values)) < at, values[:at].mean(), values[at:].mean())


def _jump_costs(values: FloatArray, rho: float) -> FloatArray:
    steps = (np.arange(len(values))[None, :] >= np.arange(len(values))[:, None]).astype(np.float64)
    return _inside(_slope_costs(values, steps, rho))


def _slope_costs(values: FloatArray, shapes: FloatArray, rho: float) -> FloatArray:
    """Return ``n log`` of the residual variance for a level plus each of the shapes, by least squares."""
    y = innovations(values, rho)
    ones = innovations(np.ones(len(values)), rho)
    x = innovations(shapes, rho)
    # take the level out of everything, then what is left of each shape explains its share
    y = y - ones * (ones @ y) / (ones @ ones)
    x = x - np.outer(x @ ones, ones) / (ones @ ones)
    power = np.einsum("ij,ij->i", x, x)
    gain = np.divide((x @ y) ** 2, power, out=np.zeros(len(x)), where=power > 1e-12 * max(power.max(), 1e-300))
    left = np.maximum(y @ y - gain, max(float(y @ y) * 1e-9, np.finfo(float).tiny))
    return len(values) * np.log(left / len(values))


def _inside(cost: FloatArray) -> FloatArray:
    """Leave out borders with too few samples on one side."""
    cost = cost.copy()
    cost[:MIN_SIDE], cost[len(cost) - MIN_SIDE + 1 :] = np.inf, np.inf
    return cost
