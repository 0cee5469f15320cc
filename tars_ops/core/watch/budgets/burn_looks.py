"""Seen from the end of every slot of a day, does a pair of burn windows fire, and is that known?

Arrays in, arrays out: sums up to each border of a slot since GA, so that a window is one subtraction, however far it
reaches back.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import FloatArray, IntArray

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Lane:
    """One promise of one service since GA, and the days that are judged.

    ``bad``, ``total`` and ``seen`` are sums up to each border of a slot, from 0 at GA; a slot is seen if the service
    left anything in it and its day could be judged.
    """

    kpi: str
    service: str
    objective: float
    days: tuple[int, ...]
    n_slots: int
    """Slots of a day."""
    bad: IntArray
    total: IntArray
    seen: IntArray


class Rung(NamedTuple):
    """A pair of windows in slots."""

    name: str
    n_long: int | None
    """None reaches back to GA."""
    n_short: int
    limit: float


class Looks(NamedTuple):
    """One pair of windows, seen from the end of every slot of a day."""

    end: IntArray
    """Borders of slots, from 0 at GA."""
    start: IntArray
    """Where the long window starts."""
    short: IntArray
    """Where the short window starts."""
    fits: BoolArray
    """The long window does not reach back behind GA."""
    over: BoolArray
    """Both windows burn above the limit."""
    fired: BoolArray
    """And chance does not explain it in either."""
    known: BoolArray
    """Windows and traffic are complete enough to say so or not."""
    missing: BoolArray
    """Too many slots of a window are not there."""
    few: BoolArray
    """The long window holds too few events, or the short one none while the long one is above the limit."""


def looks_of(lane: Lane, rung: Rung, day: int, policy: Policy, *, n_needed: int) -> Looks:
    """Look back from the end of every slot of a day.

    Parameters
    ----------
    n_needed : int
        Events without which the long window says nothing.
    """
    end = np.arange(day * lane.n_slots + 1, (day + 1) * lane.n_slots + 1)
    start = np.zeros_like(end) if rung.n_long is None else end - rung.n_long
    fits = start >= 0
    start, short = np.maximum(start, 0), np.maximum(end - rung.n_short, 0)
    bad, total, seen = (column[end] - column[start] for column in (lane.bad, lane.total, lane.seen))
    short_bad, short_total, short_seen = (column[end] - column[short] for column in (lane.bad, lane.total, lane.seen))
    error_ratio, alpha, share = 1 - lane.objective, policy.judgement.alpha, policy.measurement.min_coverage
    burns = fits & (bad > rung.limit * error_ratio * total)
    over = burns & (short_bad > rung.limit * error_ratio * short_total)
    sure = (_chance(bad, total, error_ratio) <= alpha) & (_chance(short_bad, short_total, error_ratio) <= alpha)
    missing = (seen < share * (end - start)) | (short_seen < share * (end - short))
    few = (total < n_needed) | (burns & (short_total == 0))
    return Looks(end, start, short, fits, over, over & sure, fits & ~missing & ~few, missing, few)


def _chance(n_bad: IntArray, n_total: IntArray, error_ratio: float) -> FloatArray:
    """Return the exact binomial chance of so many bad events; see ``sli.p_at_least``."""
    chance = special.betainc(np.maximum(n_bad, 1), np.maximum(n_total - n_bad, 0) + 1, error_ratio)
    return np.where(n_bad > 0, chance, 1.0)


def hottest(lane: Lane, looks: Looks) -> int | None:
    """Return which look burnt most, the earliest of equals: of those that fired, else of the known ones, else of all.

    None where no window holds an event.
    """
    total = lane.total[looks.end] - lane.total[looks.start]
    bad = lane.bad[looks.end] - lane.bad[looks.start]
    holds = looks.fits & (total > 0)
    among = next((one & holds for one in (looks.fired, looks.known, holds) if (one & holds).any()), None)
    return None if among is None else int(np.argmax(np.where(among, bad / np.maximum(total, 1), -1.0)))


def why_unknown(looks: Looks, n_needed: int) -> str:
    """Say what most of the looks that are not known lack."""
    causes = {
        "the window reaches back behind GA": ~looks.fits,
        "slots of the window are missing": looks.fits & looks.missing,
        f"too few events; {n_needed} in the window tell enough": looks.fits & ~looks.missing & looks.few,
    }
    return max(causes, key=lambda cause: int(causes[cause].sum()))
