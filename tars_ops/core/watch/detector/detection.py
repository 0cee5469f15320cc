"""What does the detector say of a sample, of an event, and of what a series has learnt?"""

from __future__ import annotations

import math
from enum import IntEnum
from typing import Annotated, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels import detector as kernel
from tars_ops.core.kernels.detector import HOLD_SAMPLES
from tars_ops.core.model import Frozen
from tars_ops.core.telemetry import FloatArray, IntArray

UNIT_SCORE_HALF = 4.0
"""Score that is 0.5 of the unit score: one in ten thousand."""


class View(IntEnum):
    """Which view of a series made a score."""

    NONE = 0
    """Nothing to see."""
    SURPRISE = kernel.SURPRISE
    """The sample is far from the running mean."""
    LEVEL = kernel.LEVEL
    """The running mean has left the slow mean: a shift or a drift."""
    SEASON = kernel.SEASON
    """The sample is far from what this hour of the day shows."""
    EXTREME = kernel.EXTREME
    """The sample is higher or lower than any before."""
    SPREAD = kernel.SPREAD
    """The samples scatter more than they did."""
    STATE = 6
    """Several series of a row are far from their baseline."""


class Memory(Frozen):
    """What a series has learnt on its GA day: its scales, its levels, its tails and its profile of the day."""

    n: int
    """Samples that it was learnt from."""
    sigma: Annotated[float, Field(gt=0)]
    """Usual distance of two neighbours, in the series' unit, never below the floor: the unit of the state."""
    sigma_floor: Annotated[float, Field(ge=0)]
    """Smallest believable deviation, in the series' unit."""
    centre: float
    """Zero of the state, in the series' unit."""
    state: tuple[float, ...]
    """Levels and tails at the end of the day, as ``core.kernels.detector`` orders them."""
    shape: Annotated[float, Field(ge=0, le=0.5)]
    """Shape of the tails of its surprises: 0 is exponential, from 0.5 on there is no variance."""
    profile: tuple[float | None, ...]
    """Mean of each hour of the UTC day, in units of the state; None for an hour without samples."""


class Detection(NamedTuple):
    """For each sample: how rare it is, and what was expected; all (n_series, n)."""

    score: FloatArray
    """``-log10`` of the tail probability, >= 0; NaN where nothing can be said."""
    expected: FloatArray
    """What was expected, in the series' unit."""
    lower: FloatArray
    """Least value that would not have reached the threshold."""
    upper: FloatArray
    """Greatest value that would not have reached the threshold."""
    view: NDArray[np.int8]
    """The ``View`` that made the score."""


class Flags(NamedTuple):
    """Events, one row each, ordered by series and start; all (n_events,)."""

    series: IntArray
    """Row of ``values``."""
    start: IntArray
    """First sample at or above the threshold."""
    end: IntArray
    """One behind the last such sample; at most 60 samples lie between two of one event."""
    peak: IntArray
    """Sample with the highest score."""
    score: FloatArray
    """Score of the peak."""
    view: NDArray[np.int8]
    """View that made it."""


def score_threshold(false_alarms_per_day: float, step_s: float) -> float:
    """Return the score that a calm series exceeds so many times in 86,400 s.

    Examples
    --------
    >>> round(score_threshold(0.01, 60.0), 2)
    5.16
    """
    if not (false_alarms_per_day > 0 and step_s > 0):
        raise ContractError(f"false_alarms_per_day {false_alarms_per_day} and step_s {step_s} must be above 0")
    return math.log10(86_400 / step_s / false_alarms_per_day)


def unit_score(score: FloatArray) -> FloatArray:
    """Map scores from [0, inf) to [0, 1), in the same order: ``s / (s + 4)``; NaN stays NaN.

    Examples
    --------
    >>> unit_score(np.array([0.0, 4.0, 12.0]))
    array([0.  , 0.5 , 0.75])
    """
    return score / (score + UNIT_SCORE_HALF)


def held_off(score: FloatArray) -> FloatArray:
    """Let a score count only where it exceeds the one that counted last, for 60 samples after it; others become 0.

    One excursion so counts once, and again while it grows: the scores to rank alarms by. NaN stays NaN.

    Examples
    --------
    >>> held_off(np.array([0.0, 5.0, 4.0, 6.0, 6.0]))
    array([0., 5., 0., 6., 0.])
    """
    counted, highest, age = np.where(np.isnan(score), np.nan, 0.0), 0.0, 0
    for t, one in enumerate(score.tolist()):
        age += 1
        if one > highest or (age > HOLD_SAMPLES and one > 0):
            counted[t], highest, age = one, one, 0
        elif age > HOLD_SAMPLES:
            highest = 0.0
    return counted


def onsets(score: FloatArray, *, threshold: float) -> NDArray[np.bool_]:
    """Mark the first alarm of each event of one series: alarms with at most 60 samples between them are one event.

    Examples
    --------
    >>> onsets(np.array([0.0, 7.0, 8.0, np.nan, 7.0]), threshold=6.0)
    array([False,  True, False, False, False])
    """
    with np.errstate(invalid="ignore"):
        alarms = np.flatnonzero(score >= threshold)
    first = np.ones(len(alarms), dtype=bool)
    first[1:] = np.diff(alarms) > HOLD_SAMPLES
    marks = np.zeros(len(score), dtype=bool)
    marks[alarms[first]] = True
    return marks
