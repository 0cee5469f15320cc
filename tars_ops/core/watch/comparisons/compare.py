"""How far does one period lie from another, and how sure is that?

Two kinds of shift, of means and of shares of counted events, answer the same questions: the estimate, its interval, and
how likely so large a shift is beyond a bound. Nothing here knows a policy.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple, Protocol

from scipy import special

SMALLEST_ERROR = 1e-12
SMALLEST_TAIL = 1e-15
"""Of an interval; a p-value below it is 0."""


class Method(StrEnum):
    """How two periods were compared."""

    PAIRED_T = "paired_t"
    """Student's t on paired slots, with the samples that are independent."""
    QUANTILE = "bucket_quantile"
    """Quantiles of summed buckets, their ranks moved by the error of the counts (Woodruff 1952)."""
    SHARE = "share_ratio"
    """Ratio of two shares of counted events."""
    COUNTS = "count_difference"
    """Difference of two shares, on the exact intervals of both (Newcombe 1998)."""


class Shift(Protocol):
    """How far one period lies from another."""

    @property
    def estimate(self) -> float:
        """Relative change, or difference in points."""
        ...

    @property
    def n(self) -> int:
        """Slots or events behind it."""
        ...

    @property
    def n_effective(self) -> float:
        """Those that are independent."""
        ...

    @property
    def effect(self) -> float:
        """Chance, 0..1, that a value of the later period is the higher one; 0.5 where nothing changed."""
        ...

    @property
    def test(self) -> Method:
        """How it was found."""
        ...

    def ends(self, tail: float) -> tuple[float, float]:
        """Return the interval that leaves ``tail`` on each side."""
        ...

    def p_above(self, bound: float) -> float:
        """Return the p-value of "the shift is not above ``bound``"."""
        ...

    def p_below(self, bound: float) -> float:
        """Return the p-value of "the shift is not below ``bound``"."""
        ...


@dataclass(frozen=True, slots=True)
class MeanShift:
    """A shift with a standard error, of logarithms or of plain differences."""

    centre: float
    error: float
    freedom: float
    in_logs: bool
    n: int
    n_effective: float
    effect: float
    test: Method

    @property
    def estimate(self) -> float:
        """Relative change."""
        return self._back(self.centre)

    def ends(self, tail: float) -> tuple[float, float]:
        """Return the interval that leaves ``tail`` on each side."""
        half = float(special.stdtrit(self.freedom, 1 - max(tail, SMALLEST_TAIL))) * self._error
        return self._back(self.centre - half), self._back(self.centre + half)

    def p_above(self, bound: float) -> float:
        """Return the p-value of "the shift is not above ``bound``"."""
        return float(special.stdtr(self.freedom, (self._to(bound) - self.centre) / self._error))

    def p_below(self, bound: float) -> float:
        """Return the p-value of "the shift is not below ``bound``"."""
        return float(special.stdtr(self.freedom, (self.centre - self._to(bound)) / self._error))

    def widened(self, error: float, *, freedom: float = math.inf) -> MeanShift:
        """Return the shift with a further, independent error.

        Notes
        -----
        Degrees of freedom after Welch (1947) and Satterthwaite (1946).
        """
        here, there = self.error**2, error**2
        if there == 0:
            return self
        joint = (
            (here + there) ** 2 / (here**2 / self.freedom + there**2 / freedom) if here or freedom < math.inf else 1e9
        )
        return replace(self, error=math.sqrt(here + there), freedom=min(joint, 1e9))

    @property
    def _error(self) -> float:
        return max(self.error, SMALLEST_ERROR)

    def _back(self, value: float) -> float:
        return math.expm1(min(value, 700.0)) if self.in_logs else value

    def _to(self, bound: float) -> float:
        if not self.in_logs:
            return bound
        return math.log1p(bound) if bound > -1 else -math.inf


class Events(NamedTuple):
    """Bad and valid events of a period; none of a promise, which is a share that nobody counted."""

    n_bad: float
    n_total: float

    @property
    def share(self) -> float:
        """Share of bad events."""
        return self.n_bad / self.n_total


@dataclass(frozen=True, slots=True)
class ShareShift:
    """A difference of two shares of good events, in points: positive is better."""

    before: Events | float
    """Counted events, or the share of bad ones that was promised."""
    after: Events
    dispersion: float
    """Variance of the counts over that of independent events, at least 1."""
    test: Method = Method.COUNTS

    @property
    def estimate(self) -> float:
        """Change of the share of good events, in points."""
        return self._was - self.after.share

    @property
    def n(self) -> int:
        """Events behind the shift."""
        return int(self.after.n_total + (self.before.n_total if isinstance(self.before, Events) else 0))

    @property
    def n_effective(self) -> float:
        """Independent events that are worth as much."""
        return self.n / self.dispersion

    @property
    def effect(self) -> float:
        """Chance that an event of the later period is the better one, ties halved."""
        return 0.5 + self.estimate / 2

    @property
    def _was(self) -> float:
        return self.before.share if isinstance(self.before, Events) else self.before

    def ends(self, tail: float) -> tuple[float, float]:
        """Return the interval that leaves ``tail`` on each side.

        Notes
        -----
        Newcombe (1998), method 10, on the intervals of Clopper and Pearson (1934) of the counts over the dispersion.
        """
        level = 2 * max(tail, SMALLEST_TAIL)
        was, now = self._was, self.after.share
        l1, u1 = self._interval(self.before, level) if isinstance(self.before, Events) else (was, was)
        l2, u2 = self._interval(self.after, level)
        more, fewer = math.hypot(now - l2, u1 - was), math.hypot(u2 - now, was - l1)
        return was - now - fewer, was - now + more

    def _interval(self, events: Events, level: float) -> tuple[float, float]:
        n_bad, n_total = events.n_bad / self.dispersion, events.n_total / self.dispersion
        low = float(special.betaincinv(n_bad, n_total - n_bad + 1, level / 2)) if n_bad > 0 else 0.0
        high = float(special.betaincinv(n_bad + 1, n_total - n_bad, 1 - level / 2)) if n_bad < n_total else 1.0
        return low, high

    def p_above(self, bound: float) -> float:
        """Return the p-value of "the shift is not above ``bound``"."""
        return _smallest_tail(lambda tail: self.ends(tail)[0] - bound)

    def p_below(self, bound: float) -> float:
        """Return the p-value of "the shift is not below ``bound``"."""
        return _smallest_tail(lambda tail: bound - self.ends(tail)[1])


def _smallest_tail(beyond: Callable[[float], float]) -> float:
    """Return the smallest tail with which an interval still lies beyond a bound; 1 where even its middle does not.

    Parameters
    ----------
    beyond : function of a tail
        How far the end of the interval lies beyond the bound; close to linear in the normal quantile of the tail, so
        that false position (Illinois) needs few steps.
    """
    near, far = 0.0, -float(special.ndtri(SMALLEST_TAIL))
    at_near, at_far = beyond(0.5), beyond(SMALLEST_TAIL)
    if at_near <= 0:
        return 1.0
    if at_far > 0:
        return 0.0
    z = far
    for _ in range(40):
        z = far - at_far * (far - near) / (at_far - at_near)
        at_z = beyond(float(special.ndtr(-z)))
        if abs(at_z) <= 1e-9 * (at_near - at_far) or far - near < 1e-6:
            break
        if at_z > 0:
            near, at_near, at_far = z, at_z, at_far / 2
        else:
            far, at_far, at_near = z, at_z, at_near / 2
    return float(special.ndtr(-z))
