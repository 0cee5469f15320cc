"""How surprising are so many bad events, in one slot or little by little over many?

Exact probabilities of counts: no approximation fails at night, when a slot holds few events or none. Bad events come
in clumps, so the share of a slot varies by more than chance; by how much is learnt from the GA day.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import special

from tars_ops.core.telemetry import FloatArray, IntArray

TWO_LOOKS = math.log10(2)
MAX_SCORE = 300.0
"""Beyond it, probabilities are not told apart from 0."""
GUESS, GUESS_ERROR = 1.0, 1.0
"""Squared variation before any data: as that of an exponential, and as little known as that."""


def clumping(bad: IntArray, total: IntArray) -> float:
    """Return how much the share of bad events varies from slot to slot, beyond chance.

    Returns
    -------
    float >= 0
        Its variance over its squared mean; shrunk to the guess by its own error, which is large where bad events are
        few.

    Notes
    -----
    By moments: ``var(bad) = n p (1 - p) + variation (n p)^2``.

    Examples
    --------
    >>> round(clumping(np.tile([0, 40], 144), np.full(288, 1000)), 2)
    0.95
    >>> clumping(np.zeros(288, dtype=int), np.full(288, 10)) > 0.9
    True
    """
    share = (bad.sum() + 0.5) / (total.sum() + 1)
    mean = share * total
    chance = mean * (1 - share)
    power = float(mean @ mean)
    if power <= 0:
        return GUESS
    own = float(np.sum((bad - mean) ** 2 - chance)) / power
    error = math.sqrt(float(np.sum(2 * chance**2 + chance))) / power
    weight = GUESS_ERROR**2 / (GUESS_ERROR**2 + error**2)
    return max(0.0, weight * own + (1 - weight) * GUESS)


def count_scores(
    bad: IntArray, total: IntArray, *, usual: float, unusual: float, threshold: float, variation: float = 0.0
) -> FloatArray:
    """Score each slot by the more surprising of two looks: at itself, and at the stretch around it.

    Parameters
    ----------
    bad, total : (n_slots,) int
        Bad and valid events.
    usual, unusual : float in (0, 1)
        Share of bad events of the GA day, and the smallest one worth knowing.
    threshold : float > 0
        Score of an alarm.
    variation : float >= 0
        As ``clumping`` returns it.

    Returns
    -------
    (n_slots,) float
        ``-log10`` of the tail probability, NaN without events. Two looks may raise no more alarms than one, so each
        counts for half.
    """
    gains = burn_gains(bad, total, usual=usual, unusual=unusual) / (1 + variation * usual * total)
    burns = np.where(total > 0, burn_scores(gains, threshold + TWO_LOOKS), np.nan)
    return np.clip(
        np.fmax(slot_scores(bad, total, usual=usual, variation=variation), burns) - TWO_LOOKS, 0.0, MAX_SCORE
    )


def slot_scores(bad: IntArray, total: IntArray, *, usual: float, variation: float = 0.0) -> FloatArray:
    """Score each slot by the chance of so many bad events at the usual share.

    The exact binomial; where the share varies by more than that has room for, the negative binomial of the same mean
    and variance. Slots without events are NaN: nothing happened is not "normal".

    Examples
    --------
    >>> slot_scores(np.array([0, 1, 0]), np.array([25, 25, 0]), usual=1e-3).round(3)
    array([0.   , 1.607,   nan])
    >>> [slot_scores(np.array([9]), np.array([1000]), usual=1e-3, variation=v).round(1).tolist() for v in (0, 1)]
    [[6.0], [2.7]]
    """
    n_bad, n_all = np.maximum(bad, 1), np.maximum(total, 1)
    p = special.betainc(n_bad, np.maximum(total - bad, 0) + 1, usual)
    wider = variation - 1 / n_all
    size = 1 / np.where(wider > 0, wider, 1.0)
    p = np.where(wider > 0, special.betainc(n_bad, size, usual * n_all / (usual * n_all + size)), p)
    score = np.abs(np.log10(np.maximum(np.where(bad > 0, p, 1.0), 10**-MAX_SCORE)))
    return np.where(total > 0, score, np.nan)


def burn_gains(bad: IntArray, total: IntArray, *, usual: float, unusual: float) -> FloatArray:
    """Return each slot's step of the log-likelihood ratio of an unusual against the usual share of bad events."""
    return bad * math.log(unusual / usual) + (total - bad) * math.log((1 - unusual) / (1 - usual))


def burn_scores(gains: FloatArray, threshold: float) -> FloatArray:
    """Score slow burns: the cumulated evidence of each stretch in which bad events were more frequent.

    The chart ``C = max(0, C + gain)`` of Page (1954) exceeds ``h`` in a calm series less than once in ``exp(h)`` slots
    (Lorden 1971), so ``C / ln 10`` is compared with the same threshold as a single slot's score. A stretch that does
    exceed it reaches from the last 0 before to its highest point, after which the chart starts again at 0.

    Examples
    --------
    >>> burn_scores(np.array([-1.0, 6.0, 6.0, -1.0, -1.0]), 5.0).round(2)
    array([0.  , 5.21, 5.21, 0.  , 0.  ])
    """
    scores, start = np.zeros(len(gains)), 0
    while start < len(gains):
        chart = np.cumsum(gains[start:])
        below = np.flatnonzero(chart <= 0)
        end = start + (int(below[0]) if len(below) else len(chart))
        best = float(chart[: end - start].max(initial=0.0)) / math.log(10)
        if best >= threshold:
            end = start + int(np.argmax(chart[: end - start])) + 1
            scores[start:end] = best
        start = max(end, start + 1)
    return scores


def most_bad(total: IntArray, usual: float, threshold: float, *, variation: float = 0.0) -> FloatArray:
    """Return the most bad events of a slot that would have raised no alarm.

    Examples
    --------
    >>> [most_bad(np.array([1000]), 1e-3, 4.0, variation=v).tolist() for v in (0, 1)]
    [[6.0], [13.0]]
    """
    most, too_many = np.zeros(len(total), dtype=np.int64), total + 1
    while (too_many - most > 1).any():
        middle = (most + too_many) // 2
        is_calm = ~(slot_scores(middle, total, usual=usual, variation=variation) >= threshold)
        most, too_many = np.where(is_calm, middle, most), np.where(is_calm, too_many, middle)
    return most.astype(np.float64)
