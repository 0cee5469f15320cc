"""How heavy are the tails of what surprised on the GA day?

The distance at which a surprise is rare hangs on the shape of the tail more than on anything else, and the few excesses
that the detector remembers do not tell it. A whole day tells something.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.telemetry import FloatArray, IntArray

BEYOND: Final = 0.05
"""Share of surprises on each side that are taken for the tail: 72 of a day of minutes."""
UNKNOWN: Final = 0.15
"""Shape of a tail of which nothing is known: nearly exponential."""
UNKNOWN_WEIGHT: Final = 60.0
"""Excesses that weigh as much as the prior."""
CAUTION: Final = 0.8
"""Over the root of the number of excesses, what is added to a shape: two thirds of its standard error."""
LIGHTEST: Final = 0.07
"""One day does not show that a tail is lighter: scores of moderate shifts would grow beyond what it can say."""
HEAVIEST: Final = 0.5
"""From here on a tail has no variance."""


def tail_shape(surprises: FloatArray) -> FloatArray:
    """Return the shape of the generalised Pareto tail of each series, both sides together.

    Parameters
    ----------
    surprises : (n_series, n) float
        Each sample's distance from what was expected; NaN where that is not known.

    Returns
    -------
    (n_series,) float in [0.07, 0.5]
        0 would be an exponential tail. Few excesses say little: 0.15 without any.

    Notes
    -----
    Probability-weighted moments of Hosking and Wallis (1987), of excesses in units of their side's mean. Some of
    its error is added: a tail taken for too light alarms every day, one taken for too heavy is late with small faults.

    Examples
    --------
    >>> tail_shape(np.full((1, 100), np.nan))
    array([0.15])
    """
    n_beyond = (BEYOND * (~np.isnan(surprises)).sum(axis=1)).astype(np.int64)
    sides = [_excesses(side, n_beyond) for side in (surprises, -surprises)]
    ordered = np.sort(np.concatenate(sides, axis=1), axis=1)[:, ::-1]
    count = (ordered > 0).sum(axis=1)
    some, share_above = np.maximum(count, 1), np.arange(ordered.shape[1]) / np.maximum(count - 1, 1)[:, None]
    # the mean is s / (1 - xi), that weighted with the share above s / (2 (2 - xi)): their ratio gives xi
    mean, weighted = ordered.sum(axis=1) / some, (ordered * share_above).sum(axis=1) / some
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = 2 - mean / (mean - 2 * weighted) + CAUTION / np.sqrt(some)
    shape = np.where(np.isfinite(shape), shape, UNKNOWN)
    return np.clip((count * shape + UNKNOWN_WEIGHT * UNKNOWN) / (count + UNKNOWN_WEIGHT), LIGHTEST, HEAVIEST)


def _excesses(distances: FloatArray, n_beyond: IntArray) -> NDArray[np.float64]:
    """Return how far the greatest distances lie beyond the next one, in units of their mean; 0 elsewhere."""
    longest = int(n_beyond.max(initial=0))
    highest = np.sort(np.where(np.isnan(distances), -np.inf, distances), axis=1)[:, ::-1][:, : longest + 1]
    is_beyond = np.arange(longest + 1) < n_beyond[:, None]
    start = highest[np.arange(len(highest)), n_beyond]
    excess = np.where(is_beyond, highest - np.where(n_beyond > 0, start, 0.0)[:, None], 0.0)
    mean = excess.sum(axis=1) / np.maximum(n_beyond, 1)
    return excess / np.where(mean > 0, mean, 1.0)[:, None]
