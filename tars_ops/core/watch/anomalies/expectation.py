"""What did the view expect that made a score, where it is not the running mean?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.telemetry import FloatArray, SampleTable
from tars_ops.core.watch.detector.detection import Detection, Memory, View


class Expectations(NamedTuple):
    """What each kind of view expects of each sample; all (n_series, n)."""

    running: FloatArray
    """The running mean."""
    level: FloatArray
    """The mean of the day so far; NaN before the first sample."""
    season: FloatArray
    """The GA day's mean of that hour; NaN where it is not known."""

    def of(self, view: NDArray[np.int8], i: int | slice = slice(None)) -> FloatArray:
        """Return what the view of each sample expected of it, of all series or of the series ``i``."""
        of_season = (view == View.SEASON) & ~np.isnan(self.season[i])
        return np.where(view == View.LEVEL, self.level[i], np.where(of_season, self.season[i], self.running[i]))


def expectations(found: Detection, samples: SampleTable, memories: Sequence[Memory | None]) -> Expectations:
    """Return what was expected of a day's samples, view by view."""
    before = np.nancumsum(samples.values, axis=1) - np.nan_to_num(samples.values)
    n_before = np.cumsum(~np.isnan(samples.values), axis=1) - ~np.isnan(samples.values)
    level = np.where(n_before > 0, before / np.maximum(n_before, 1), np.nan)
    hour = samples.at_ms // 3_600_000 % 24
    return Expectations(found.expected, level, np.array([_profile(one)[hour] for one in memories]))


def expecting(found: Detection, usual: Expectations) -> Detection:
    """Say what each view expected, where that is not the running mean.

    A score of the level is held against the mean of the day so far, one of the season against the hour's profile.
    """
    is_other = (found.view == View.LEVEL) | ((found.view == View.SEASON) & ~np.isnan(usual.season))
    unknown = np.where(is_other, np.nan, 0.0)
    return found._replace(
        expected=usual.of(found.view),
        lower=found.lower + unknown,
        upper=found.upper + unknown,
    )


def _profile(memory: Memory | None) -> FloatArray:
    """Return the mean of each hour of the UTC day in the series' unit, NaN where it is not known."""
    if memory is None:
        return np.full(24, np.nan)
    levels = np.array([np.nan if one is None else one for one in memory.profile])
    return memory.centre + memory.sigma * levels
