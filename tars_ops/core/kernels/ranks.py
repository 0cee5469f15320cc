"""Do two samples come from one distribution, as far as the order of their values tells?

The sums behind the tests of Mann-Whitney and of Kolmogorov-Smirnov, from one sort of each sample and one merge of both.
What they mean for a release is decided in ``core.watch``.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.loops import loops
from tars_ops.core.telemetry import FloatArray


class RankStatistics(NamedTuple):
    """What the joint order of two samples of ``n1`` and ``n2`` values says."""

    u: float
    """Pairs in which the later value is the greater one, a tie counting half: 0 .. n1 n2."""
    tie_term: float
    """Sum of ``t**3 - t`` over the groups of ``t`` equal values: what ties take from the variance of ``u``."""
    d: float
    """Largest distance of the two empirical distribution functions, 0 .. 1."""


def rank_statistics(before: FloatArray, after: FloatArray) -> RankStatistics:
    """Return Mann-Whitney's U of ``after``, its tie term and Kolmogorov-Smirnov's D of two samples.

    Parameters
    ----------
    before : (n1,) float
        Values in any order, at least one, without NaN.
    after : (n2,) float
        The same.

    Raises
    ------
    ContractError
        If a sample is empty or holds NaN: a gap has no rank.

    Notes
    -----
    Mann and Whitney (1947) with mid-ranks, Smirnov (1948). ``u / (n1 n2)`` estimates P(after > before) + P(tie) / 2.

    Examples
    --------
    >>> rank_statistics(np.array([1.0, 2.0, 3.0]), np.array([2.0, 5.0]))
    RankStatistics(u=4.5, tie_term=6.0, d=0.5)
    """
    first, second = _ordered(before, "before"), _ordered(after, "after")
    compiled = loops("ranks")
    return RankStatistics(*compiled.merged(first, second)) if compiled else merged_by_search(first, second)


def _ordered(values: FloatArray, name: str) -> FloatArray:
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    if not len(ordered) or np.isnan(ordered[-1]):  # NaN sorts last
        raise ContractError(f"the sample {name!r} is empty or holds NaN; leave unknown values out before ranking")
    return ordered


def merged_by_search(first: FloatArray, second: FloatArray) -> RankStatistics:
    """Return the same of two sorted samples without compiled code."""
    both = np.concatenate([first, second])
    below, upto = np.searchsorted(first, second, side="left"), np.searchsorted(first, second, side="right")
    ties = np.unique(both, return_counts=True)[1].astype(np.float64)
    places = [np.searchsorted(one, both, side="right") for one in (first, second)]
    return RankStatistics(
        u=float((below + upto).sum() / 2),
        tie_term=float((ties**3 - ties).sum()),
        d=float(np.abs(places[0] * len(second) - places[1] * len(first)).max() / (len(first) * len(second))),
    )
