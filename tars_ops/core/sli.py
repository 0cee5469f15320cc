"""How good was the service, how much of its error budget is spent, and how sure is that?

Events are counted, never averaged: an SLI is good over valid events of the window, a quantile is read from summed
buckets, a budget is a number of events. Formulas and sources: ``docs/reference/methods.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy import special

from tars_ops.core.errors import ContractError


def sli(n_bad: float, n_total: float) -> float:
    """Return the share of good events, 0..1; NaN without events, because nothing is not 100 %.

    Examples
    --------
    >>> sli(1, 1000)
    0.999
    >>> sli(0, 0)
    nan
    """
    return 1 - n_bad / n_total if n_total > 0 else math.nan


def burn_rate(n_bad: float, n_total: float, *, objective: float) -> float:
    """Return how fast the error budget burns: 1 spends it in exactly its period (SRE workbook).

    Examples
    --------
    >>> round(burn_rate(2, 1000, objective=0.999), 9)
    2.0
    """
    return n_bad / n_total / (1 - objective) if n_total > 0 else math.nan


def budget_events(n_total: float, *, objective: float) -> float:
    """Return how many of some events may be bad.

    Examples
    --------
    >>> round(budget_events(10_000, objective=0.999), 9)
    10.0
    """
    return n_total * (1 - objective)


def p_at_least(n_bad: int, n_total: int, *, probability: float) -> float:
    """Return the chance of at least ``n_bad`` bad events when each is bad with ``probability`` (exact binomial).

    Examples
    --------
    >>> round(p_at_least(3, 50, probability=0.001), 6)
    1.9e-05
    """
    if n_bad <= 0:
        return 1.0
    if n_bad > n_total:
        return 0.0
    return float(special.betainc(n_bad, n_total - n_bad + 1, probability))


def bad_interval(n_bad: int, n_total: int, *, alpha: float = 0.05) -> tuple[float, float]:
    """Return the Clopper-Pearson interval of the share of bad events.

    Examples
    --------
    >>> [round(x, 5) for x in bad_interval(0, 1000)]
    [0.0, 0.00368]
    """
    if n_total <= 0:
        return (0.0, 1.0)
    n_bad = min(n_bad, n_total)
    low = 0.0 if n_bad == 0 else float(special.betaincinv(n_bad, n_total - n_bad + 1, alpha / 2))
    high = 1.0 if n_bad == n_total else float(special.betaincinv(n_bad + 1, n_total - n_bad, 1 - alpha / 2))
    return (low, high)


@cache
def events_needed(*, objective: float, burn: float, alpha: float) -> int:
    """Return how many events it takes until a burn rate is surely above the objective.

    With fewer of them a service may burn at ``burn`` and the exact binomial rule still cannot tell it from one that
    just keeps its promise. The number of bad events is taken as ``burn`` promises it, also between whole numbers.

    Parameters
    ----------
    burn : float > 1
        Burn rate that is to be told from 1; at most ``1 / (1 - objective)``, where every event is bad.
    alpha : float in (0, 1)
        Chance of calling a kept promise broken.

    Raises
    ------
    ContractError
        If no number of events could tell it.

    Examples
    --------
    >>> [events_needed(objective=0.999, burn=burn, alpha=0.001) for burn in (14.4, 6, 2)]
    [218, 915, 12903]
    """
    share = burn * (1 - objective)
    if burn <= 1 or share > 1 + 1e-9:
        raise ContractError(
            f"burn rate {burn:g} is not within 1 .. {1 / (1 - objective):g}, so no event tells it from 1"
        )

    def chance(n: int) -> float:
        n_bad = min(share, 1.0) * n
        return float(special.betainc(n_bad, n - n_bad + 1, 1 - objective))

    above = 1
    while chance(above) > alpha:
        above *= 2
    below = above // 2
    while above - below > 1:
        middle = (above + below) // 2
        above, below = (middle, below) if chance(middle) <= alpha else (above, middle)
    return above


class BucketQuantile(NamedTuple):
    """A quantile read from a histogram, with the bucket that holds it."""

    value: float
    lower: float
    upper: float
    """Bounds of the bucket: the true quantile lies between them. ``inf`` where it is above the last bound."""


UNKNOWN_QUANTILE = BucketQuantile(math.nan, math.nan, math.nan)


@cache
def _decimal(q: float) -> Fraction:
    """Return the decimal that somebody wrote, not the float that is nearest to it."""
    return Fraction(str(q))


def rank_of(q: float, n: float) -> float:
    """Return the rank of a quantile among ``n`` events, so that one on a border falls into the bucket that ends there.

    Examples
    --------
    >>> rank_of(0.07, 100.0), 0.07 * 100
    (7.0, 7.000000000000001)
    """
    part = _decimal(q)
    return part.numerator * int(n) / part.denominator if n.is_integer() else q * n


def quantile(bounds: Sequence[float], cumulative: Sequence[float] | np.ndarray, q: float) -> BucketQuantile:
    """Return a quantile of summed cumulative buckets, as Prometheus' ``histogram_quantile`` does.

    Parameters
    ----------
    bounds : increasing, the last one ``inf``
        Upper bounds of the buckets.
    cumulative : same length
        Events at or below each bound. Tiny decreases are repaired by a running maximum.
    q : float in (0, 1)
        The quantile.

    Returns
    -------
    BucketQuantile
        Linear within its bucket; in the last one the highest finite bound, which then means "at least". NaN without
        events.

    Examples
    --------
    >>> quantile([0.5, 1.0, math.inf], [50, 100, 100], 0.75)
    BucketQuantile(value=0.75, lower=0.5, upper=1.0)
    >>> quantile([0.1, 0.5, math.inf], [0, 0, 7], 0.5)
    BucketQuantile(value=0.5, lower=0.5, upper=inf)
    """
    if len(bounds) != len(cumulative) or len(bounds) < 2 or not math.isinf(bounds[-1]):
        raise ContractError(f"{len(bounds)} bounds and {len(cumulative)} counts are not a histogram that ends at +Inf")
    heights = np.maximum.accumulate(np.asarray(cumulative, dtype=np.float64))
    if heights[-1] <= 0:
        return UNKNOWN_QUANTILE
    rank = rank_of(q, float(heights[-1]))
    i = min(int(np.searchsorted(heights, rank, side="left")), len(bounds) - 1)
    lower = float(bounds[i - 1]) if i else 0.0
    if i == len(bounds) - 1:
        return BucketQuantile(lower, lower, math.inf)
    below = float(heights[i - 1]) if i else 0.0
    upper = float(bounds[i])
    value = lower + (upper - lower) * (rank - below) / (float(heights[i]) - below)
    return BucketQuantile(float(value), lower, upper)
