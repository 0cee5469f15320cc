"""How much may one comparison of many err, so that a whole week of them rarely errs?

What may go wrong in a week is shared out over the daily looks, the baselines, and the comparisons of one look.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.references import BaselineKind

WEIGHTS: Final[Mapping[BaselineKind, float]] = {
    BaselineKind.GA_DAY: 5.0,
    BaselineKind.PREVIOUS_RELEASE: 3.0,
    BaselineKind.STAGING: 1.0,
    BaselineKind.SLO: 1.0,
}
"""Shares of the baselines: the own GA day is the closest, staging the farthest, and an objective is judged anyway."""


def spent_on_look(day: int, n_days: int, *, alpha: float) -> float:
    """Return the chance of an error that the look of one day may spend.

    Parameters
    ----------
    day : int in 1..n_days
        The day that is looked at.
    alpha : float in (0, 1)
        Chance over all looks together.

    Notes
    -----
    The spending function of Lan and DeMets (1983) that resembles Pocock's boundary, ``alpha ln(1 + (e - 1) t)``: the
    first of seven looks gets 22 % of it, the last one 9 %. Looks are of different days, so their shares add up.

    Examples
    --------
    >>> [round(spent_on_look(day, 7, alpha=0.05), 4) for day in (1, 2, 7)]
    [0.011, 0.009, 0.0047]
    >>> round(sum(spent_on_look(day, 7, alpha=0.05) for day in range(1, 8)), 12)
    0.05
    """
    return alpha * (_spent(day / n_days) - _spent((day - 1) / n_days))


def _spent(share: float) -> float:
    return math.log1p((math.e - 1) * share)


def share_of(kind: BaselineKind, kinds: Iterable[BaselineKind]) -> float:
    """Return the share of a look that one of the baselines at hand may spend.

    Examples
    --------
    >>> share_of(BaselineKind.GA_DAY, [BaselineKind.GA_DAY, BaselineKind.PREVIOUS_RELEASE])
    0.625
    """
    return WEIGHTS[kind] / sum(WEIGHTS[one] for one in set(kinds))


def adjusted(p: FloatArray, *, n_family: int) -> FloatArray:
    """Return p-values adjusted for a family after Benjamini and Hochberg (1995).

    Parameters
    ----------
    p : (m,) float in [0, 1]
        Raw p-values of the comparisons that could be made.
    n_family : int >= m
        Comparisons that were planned, made or not.

    Examples
    --------
    >>> adjusted(np.array([0.01, 0.5, 0.02]), n_family=4).tolist()
    [0.04, 0.6666666666666666, 0.04]
    """
    if len(p) == 0:
        return p
    order = np.argsort(p, kind="stable")
    scaled = p[order] * n_family / np.arange(1, len(p) + 1)
    found = np.empty_like(p)
    found[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return found


def level_of(p_adjusted: FloatArray, *, n_family: int, alpha: float) -> float:
    """Return the level at which each interval of a family is drawn, so that it says the same as the adjusted p-values.

    Notes
    -----
    ``R alpha / m`` with R rejected of m planned, R at least 1 (Benjamini and Yekutieli 2005). A raw p-value is at or
    below it exactly where its adjusted one is at or below alpha.
    """
    n_rejected = int((p_adjusted <= alpha).sum())
    return max(1, n_rejected) * alpha / n_family
