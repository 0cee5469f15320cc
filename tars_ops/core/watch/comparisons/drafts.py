"""How are two periods compared, slot by slot, before anybody says how sure that is?

Samples with the same time of day, which takes the daily season out; events as counts; quantiles through summed buckets.
A draft is a shift whose noise is laid out over the slots; ``long_run`` draws its error from them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from tars_ops.core import sli
from tars_ops.core.kernels.ranks import rank_statistics
from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.comparisons.compare import Method

MIN_SLOTS = 6
"""Fewer pairs of slots say nothing about a day."""


class Draft(NamedTuple):
    """A shift whose error is still to be drawn from its slots."""

    centre: float
    noise: FloatArray
    """(slots,) contributions whose mean is the error of the centre; NaN where unknown."""
    smallest_error: float
    """Error that independent events alone would have."""
    in_logs: bool
    n: int
    effect: float
    test: Method


def paired_draft(before: FloatArray, after: FloatArray) -> Draft | None:
    """Compare the means of two periods slot by slot.

    Parameters
    ----------
    before, after : (n,) float
        The same slots of the day in both periods, in one unit; NaN where a slot is unknown.

    Returns
    -------
    Draft or None
        Relative to ``before``; None with fewer than 6 common slots, or a baseline of 0 that did not stay 0.

    Examples
    --------
    >>> steady = np.array([10.0, 12.0, 14.0, 12.0, 10.0, 8.0])
    >>> round(math.expm1(paired_draft(steady, 1.2 * steady).centre), 3)
    0.2
    """
    common = ~(np.isnan(before) | np.isnan(after))
    n = int(common.sum())
    if n < MIN_SLOTS:
        return None
    one, other = before[common], after[common]
    in_logs = bool(one.min() > 0 and other.min() > 0)
    centre = 1.0 if in_logs else float(np.abs(one.mean()))
    if centre == 0 and np.any(one != other):
        return None
    change = np.full(len(before), np.nan)
    change[common] = np.log(other / one) if in_logs else (other - one) / (centre or 1.0)
    mean = float(change[common].mean())
    return Draft(mean, change - mean, 0.0, in_logs, n, superiority(one, other), Method.PAIRED_T)


def superiority(before: FloatArray, after: FloatArray) -> float:
    """Return the chance that a value of the later period is the higher one, ties halved.

    Notes
    -----
    The common-language effect of McGraw and Wong (1992), ``U / (n m)`` of Mann and Whitney (1947).

    Examples
    --------
    >>> superiority(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
    0.875
    """
    return rank_statistics(before, after).u / (len(before) * len(after))


def share_noise(part: IntArray | FloatArray, total: IntArray) -> FloatArray:
    """Return what each slot contributes to the error of a share: the linearised ratio estimator, shape (slots,)."""
    share = part.sum() / total.sum()
    return len(total) * (part - share * total) / total.sum()


def share_draft(before: tuple[IntArray, IntArray], after: tuple[IntArray, IntArray]) -> Draft | None:
    """Compare two shares of good events as a ratio.

    Parameters
    ----------
    before, after : (bad, total), each (slots,) int
        Events of both periods.
    """
    (n1, g1), (n2, g2) = _good(before), _good(after)
    if not (n1 and n2 and g1 and g2):
        return None
    p1, p2 = g1 / n1, g2 / n2
    noise = share_noise(after[1] - after[0], after[1]) / p2 - share_noise(before[1] - before[0], before[1]) / p1
    smallest = math.sqrt((1 - p1) / g1 + (1 - p2) / g2)
    return Draft(math.log(p2 / p1), noise, smallest, True, n1 + n2, 0.5 + (p2 - p1) / 2, Method.SHARE)


def _good(events: tuple[IntArray, IntArray]) -> tuple[int, int]:
    n_bad, n_total = int(events[0].sum()), int(events[1].sum())
    return n_total, n_total - min(n_bad, n_total)


class Buckets(NamedTuple):
    """A histogram slot by slot."""

    bounds: Sequence[float]
    """Upper bounds, the last one ``inf``."""
    counts: IntArray
    """Cumulative events, shape (bounds, slots)."""

    @property
    def sums(self) -> IntArray:
        """Events of the whole period at or below each bound."""
        return self.counts.sum(axis=1)

    def quantile(self, q: float) -> sli.BucketQuantile:
        """Return a quantile of the summed buckets."""
        return sli.quantile(self.bounds, self.sums, q)

    def smooth_quantile(self, q: float) -> float:
        """Return a quantile of the summed buckets, straight between their bounds on log-normal paper.

        Below the first bound and above the last one there is no line to lay: there it is the plain quantile, which
        meets the line at the bound.

        Notes
        -----
        Linear within a bucket, a shift of 3 % that crosses a bound of wide buckets looks like 30 %. Durations are much
        closer to log-normal than to uniform in a bucket, so comparisons use this one.

        Examples
        --------
        >>> buckets = Buckets((1.0, 10.0, math.inf), np.array([[500], [900], [1000]]))
        >>> round(buckets.smooth_quantile(0.75), 2), buckets.quantile(0.75).value
        (3.36, 6.625)
        """
        heights = np.maximum.accumulate(self.sums[:-1].astype(np.float64))
        n = float(self.sums[-1])
        places = special.ndtri(np.clip(heights / n, 0.5 / n, 1 - 0.5 / n))
        wanted = float(special.ndtri(q))
        if not places[0] < wanted <= places[-1]:
            return self.quantile(q).value
        i = int(np.searchsorted(places, wanted)) - 1
        inside = (wanted - places[i]) / (places[i + 1] - places[i])
        low, high = math.log(self.bounds[i]), math.log(self.bounds[i + 1])
        return math.exp(low + float(inside) * (high - low))

    def above(self, value: float) -> FloatArray:
        """Return the events of each slot above a value, linear within its bucket."""
        heights = np.maximum.accumulate(self.counts.astype(np.float64), axis=0)
        i = min(int(np.searchsorted(self.bounds, value, side="left")), len(self.bounds) - 1)
        lower, below = (self.bounds[i - 1], heights[i - 1]) if i else (0.0, np.zeros(heights.shape[1]))
        upper = self.bounds[i]
        inside = (value - lower) / (upper - lower) if math.isfinite(upper) else 0.0
        return heights[-1] - below - inside * (heights[i] - below)


def quantile_draft(before: Buckets | float, after: Buckets, q: float) -> Draft | None:
    """Compare two quantiles of summed buckets, or one with a promised value.

    Parameters
    ----------
    before : Buckets or float
        The earlier period in the same layout, or the promised value.
    q : float in (0, 1)
        The quantile.

    Returns
    -------
    Draft or None
        Its noise is one of ranks (shares of events), which ``in_value`` turns into one of the logarithm of the value.
        None without events, or where both quantiles are above the last bound.
    """
    now = after.quantile(q)
    was = before.quantile(q) if isinstance(before, Buckets) else sli.BucketQuantile(before, before, before)
    if not (now.value > 0 and was.value > 0) or (math.isinf(now.upper) and math.isinf(was.upper)):
        return None
    noise, smallest, n = _rank_noise(after, now.value, q)
    usual = before.smooth_quantile(q) if isinstance(before, Buckets) else before
    effect = 0.5
    if isinstance(before, Buckets):
        other, smallest_before, n_before = _rank_noise(before, was.value, q)
        noise, smallest, n = noise - other, math.hypot(smallest, smallest_before), n + n_before
        effect = _bucket_superiority(before.sums, after.sums)
    return Draft(math.log(after.smooth_quantile(q) / usual), noise, smallest, True, n, effect, Method.QUANTILE)


def _rank_noise(buckets: Buckets, value: float, q: float) -> tuple[FloatArray, float, int]:
    total = buckets.counts[-1]
    n = int(total.sum())
    noise = share_noise(buckets.above(value), total)
    return noise, math.sqrt(q * (1 - q) / n), n


def _bucket_superiority(before: IntArray, after: IntArray) -> float:
    one = np.diff(np.maximum.accumulate(before), prepend=0) / max(int(before[-1]), 1)
    other = np.diff(np.maximum.accumulate(after), prepend=0) / max(int(after[-1]), 1)
    return float(other @ (np.cumsum(one) - one / 2))


def in_value(error: float, before: Buckets | float, after: Buckets, q: float) -> float:
    """Return the error of the logarithm of a quantile from the error of its rank.

    Notes
    -----
    Woodruff (1952): the quantiles at ranks two errors away, through the buckets themselves; the steeper period's.
    """
    periods = [one for one in (before, after) if isinstance(one, Buckets)]
    return max(_steepness(one, q, 2 * error) for one in periods) / 2


def _steepness(buckets: Buckets, q: float, reach: float) -> float:
    middle = math.log(buckets.smooth_quantile(q))
    low = math.log(buckets.smooth_quantile(max(q - reach, q / 10)))
    high = math.log(buckets.smooth_quantile(min(q + reach, 1 - (1 - q) / 10)))
    return max(middle - low, high - middle)
