"""How many bad events are to be expected of some traffic, given the days that were counted?

Bad events come in clumps: one bad minute spoils many requests, and days differ by more than chance. The clumps are
Poisson with a Gamma-distributed rate, and their size is the dispersion of the daily counts. Nothing is drawn at
random: every chance is an incomplete beta function. Formulas and sources: ``docs/reference/methods.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import special

from tars_ops.core.telemetry import FloatArray

PRIOR_CLUMPS = 0.5
"""Jeffreys' prior of a Poisson rate: half a clump was seen before the first day."""
CAUTION = 0.15
"""Chance that the dispersion of a few days is larger than it is taken for."""
SHORTEST_SERIES = 8
"""Fewer days say nothing about how long a bad day lasts."""
LONGEST_MEMORY = 0.8
"""Largest autocorrelation of days that is believed."""
N_HALVINGS = 60
"""Halves a root down to the last bits of a float."""


class Events(NamedTuple):
    """What was counted of one promise: bad events among valid ones."""

    n_bad: int
    n_total: int


class Rate(NamedTuple):
    """The share of bad events that some days showed, and how much it wavers from day to day."""

    n_bad: int
    n_total: int
    dispersion: float
    """Variance of the bad events of some days over that of independent ones, 1 or more: the size of a clump."""

    @property
    def bad_ratio(self) -> float:
        """The share of bad events that was seen."""
        return self.n_bad / self.n_total

    def p_at_least(self, n_bad: FloatArray | float, n_total: FloatArray | float) -> FloatArray:
        """Return the chance that at least ``n_bad`` of ``n_total`` further events are bad; 1 where none is asked for.

        Examples
        --------
        >>> rate = Rate(n_bad=10, n_total=10_000, dispersion=1.0)
        >>> rate.p_at_least(np.array([0.0, 1.0, 10.0, 30.0]), 10_000).round(4).tolist()
        [1.0, 0.9993, 0.5449, 0.0008]
        """
        clumps = np.asarray(n_bad, dtype=np.float64) / self.dispersion
        shape = self.n_bad / self.dispersion + PRIOR_CLUMPS
        further = np.asarray(n_total, dtype=np.float64)
        chance = special.betainc(np.maximum(clumps, math.ulp(0.0)), shape, further / (self.n_total + further))
        return np.where(clumps > 0, chance, 1.0)

    def interval(self, n_total: float, *, tail: float = 0.05) -> tuple[float, float]:
        """Return the fewest and the most bad events that ``n_total`` further ones hold, each but for a chance ``tail``.

        Whole clumps, rounded outward.

        Examples
        --------
        >>> Rate(n_bad=10, n_total=10_000, dispersion=1.0).interval(10_000)
        (4.0, 20.0)
        >>> Rate(n_bad=0, n_total=10_000, dispersion=1.0).interval(10_000)
        (0.0, 3.0)
        """
        fewest, most = (self._reached_with(chance, n_total) / self.dispersion for chance in (1 - tail, tail))
        return math.floor(fewest) * self.dispersion, math.ceil(most) * self.dispersion

    def _reached_with(self, chance: float, n_total: float) -> float:
        low, high = 0.0, 1.0
        while self.p_at_least(high, n_total) > chance:
            low, high = high, 2 * high
        for _ in range(N_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.p_at_least(middle, n_total) > chance else (low, middle)
        return high


def rate_of(days: Sequence[Events], *, persistence: float = 1.0) -> Rate:
    """Return the rate of some days that counted events.

    The dispersion is Pearson's chi-square over a low quantile of what independence gives: of a few days it is more
    often taken for too large than for too small. A single day says nothing about it, and is taken for independent.

    Parameters
    ----------
    persistence : float >= 1
        How much longer than a day a bad day lasts, from a longer series; see ``persistence_of``.

    Examples
    --------
    >>> rate_of([Events(10, 10_000), Events(10, 10_000)])
    Rate(n_bad=20, n_total=20000, dispersion=1.0)
    >>> round(rate_of([Events(2, 10_000), Events(30, 10_000), Events(10, 10_000)]).dispersion, 1)
    91.4
    """
    bad, total = _columns(days)
    n_bad, n_total = int(bad.sum()), int(total.sum())
    if len(days) < 2 or n_bad == 0:
        return Rate(n_bad, n_total, 1.0)
    expected = total * (n_bad / n_total)
    pearson = float(((bad - expected) ** 2 / expected).sum())
    usual = float(special.chdtri(len(days) - 1, 1 - CAUTION))
    return Rate(n_bad, n_total, max(1.0, pearson / usual * persistence))


def persistence_of(days: Sequence[Events]) -> float:
    """Return by how much bad days in a row widen what is known of a rate, 1 or more; 1 for a short series.

    ``(1 + r) / (1 - r)`` of the autocorrelation ``r`` of the daily shares, corrected for its bias (Kendall 1954).

    Examples
    --------
    >>> persistence_of([Events(n, 1000) for n in (5, 1, 5, 1, 5, 1, 5, 1)])
    1.0
    >>> round(persistence_of([Events(n, 1000) for n in (1, 1, 1, 1, 5, 5, 5, 5)]), 1)
    9.0
    """
    if len(days) < SHORTEST_SERIES:
        return 1.0
    bad, total = _columns(days)
    share = bad / total
    if share.max() == share.min():
        return 1.0
    apart = share - share.mean()
    seen = float(apart[1:] @ apart[:-1] / (apart @ apart))
    r = min(LONGEST_MEMORY, max(0.0, seen + (1 + 4 * seen) / len(days)))
    return (1 + r) / (1 - r)


def _columns(days: Sequence[Events]) -> FloatArray:
    return np.array(days, dtype=np.float64).reshape(-1, 2).T
