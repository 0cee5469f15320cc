"""Which words does a judgement use, and which of two words is worse?

Closed sets only. ``unknown`` is a verdict of its own: it is worse than ``warn``, because nobody knows, and better than
``fail``, because a known failure stays known when something else is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum


class Verdict(StrEnum):
    """The outcome of one judgement."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


_FROM_BEST = (Verdict.PASS, Verdict.WARN, Verdict.UNKNOWN, Verdict.FAIL)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst of some verdicts; nothing judged is unknown.

    Examples
    --------
    >>> worst([Verdict.PASS, Verdict.UNKNOWN, Verdict.WARN])
    <Verdict.UNKNOWN: 'unknown'>
    >>> worst([])
    <Verdict.UNKNOWN: 'unknown'>
    """
    return max(verdicts, key=_FROM_BEST.index, default=Verdict.UNKNOWN)


class Severity(StrEnum):
    """How bad one finding is."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 for the worst, so that sorting puts the worst first."""
        return list(Severity).index(self)


class Priority(StrEnum):
    """How soon an action item is due."""

    P0 = "P0"
    P1 = "P1"
    P2 = "P2"
    P3 = "P3"


class Tier(StrEnum):
    """The one colour for leadership."""

    GREEN = "GREEN"
    AMBER = "AMBER"
    RED = "RED"
    UNKNOWN = "UNKNOWN"


class Decision(StrEnum):
    """What the evidence recommends to do with the release."""

    KEEP = "keep"
    WATCH_CLOSER = "watch_closer"
    ROLL_BACK = "roll_back"
    EXTEND = "extend"


class DayState(StrEnum):
    """What is known of one day of the watch, seen from the day a verdict is given for."""

    JUDGED = "judged"
    PENDING = "pending"
    MISSING = "missing"
