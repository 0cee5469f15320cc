"""How surprising is each sample of a series, given the samples before it?

The front of the two-view detector: its constants, the state that a series has learnt, and one pass over many series,
compiled (``compiled.detector``) or in numpy (``detector_steps``), with the same operations in the same order. What the
numbers mean for a release is decided in ``core.watch.detector``; the formulas are in docs/reference/methods.md.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.loops import loops
from tars_ops.core.telemetry import FloatArray, IntArray

State = NDArray[np.float32]

LEVELS: Final = tuple(range(8))
"""Rows of a state: known samples, three means (fast, middle, slow), two scatters, highest and lowest value."""
TAILS: Final = 8
"""First of 32 rows: start, mean excess, mean squared excess and weight of eight tails, two of each of four views."""
PROFILE: Final = 40
"""First of 24 rows: the mean of each hour of the UTC day."""
N_STATE: Final = 64

SURPRISE, LEVEL, SEASON, EXTREME, SPREAD = 1, 2, 3, 4, 5
"""What a score is made by (``core.watch.detector.detection.View``)."""
FAR: Final = (2, 3, 6, 7)
"""Tails of the views of level and spread; the others are those of surprise and season."""

BLOCK: Final = 64
"""Tails are learnt in blocks of at most so many samples, which never cross an hour of the day."""
DAY_SEED: Final = 5
"""The first so many samples of a pass set its level and are not judged by it."""
SEED: Final = 64
"""The first known samples of a series without a past set its scales."""
SEED_WEIGHT: Final = 0.25
"""Weight of the first excess of a tail: its seed counts as four."""
WARMUP: Final = 144
"""Known samples before a series without a past is judged: the scales and some of each tail are known by then."""
HOLD_SAMPLES: Final = 60
"""Alarms with at most so many samples between them are one event."""
FAR_STRIDE: Final = 4
"""The views of level and spread move slowly: they look at every fourth sample."""
FARTHEST: Final = 1e15
"""Distances beyond it, in scales, are not told apart: their squares must fit."""


class Constants(NamedTuple):
    """The detector's constants and, of one pass, its threshold and its step; every field is a float32."""

    beyond_near: float = 0.02
    """Share of surprises beyond the start of a tail; 2 % leave 14 a side of a day of minutes."""
    beyond_far: float = 0.02
    """The same of the views of level and spread, whose samples depend on each other."""
    start_near: float = 0.02
    """Pace of the stochastic approximation of a start, in mean excesses."""
    start_far: float = 0.005
    least_weight: float = 0.02
    """Weight of the newest excess: the memory is about its inverse, 50 excesses."""
    fastest: float = 0.1
    """Limit of the pace while a series is young."""
    narrowest: float = 0.15
    """Smallest mean excess as a share of the start: that of a normal tail is 0.18."""
    shape: float = 0.3
    """Shape of the generalised Pareto tail of which nothing is known yet: heavy, so that the unknown does not alarm."""
    heaviest: float = 0.3
    """Largest shape believed: a tail whose variance is still finite."""
    least_shape: float = 0.001
    """An exponential tail, as far as numbers go."""
    doubt: float = 10.0
    """The shape is believed in as the weight of an excess falls below the inverse of this."""
    known_weight: float = 0.1
    """A tail speaks after its first six excesses, when their weight is below this."""
    patience: float = 2 * WARMUP
    """Or after so many samples: a flat series has no excesses. The season's tails wait for a day more."""
    longest: float = 100.0
    """Longest excess that is learnt from, in mean excesses."""
    reach: float = 0.8
    """A sample moves the means by at most the start of the tail and so many mean excesses."""
    least_move: float = 1.0
    """Smallest start of the tails of level and spread, in mean excesses of surprises: less is nobody's business."""
    bonus: float = 2.0
    """What a new highest or lowest value adds to a surprise, in powers of ten."""
    bonus_fades: float = 4.0
    """Share of the bonus that each unit of shape takes: heavy tails break records as a habit."""
    to_mean: float = 0.12
    """Weight of the newest sample in the fast mean."""
    to_middle: float = 0.03
    to_slow: float = 0.001
    to_quick: float = 0.03
    """Weight of the newest surprise in the fast scatter."""
    to_wide: float = 0.002
    to_profile: float = 0.13
    """Weight of a new day in the mean of its hours."""
    warmup: float = WARMUP
    threshold: float = 5.0
    """Score that is an alarm."""
    per_hour: float = 60.0
    """Samples in an hour."""
    per_day: float = 1440.0
    ease_near: float = 0.0
    """Score at the start of a tail: ``-log10`` of the share beyond it."""
    ease_far: float = 0.0
    depth_near: float = 0.0
    """Logarithm, base e, of the share at the start of a tail over that at the threshold."""
    depth_far: float = 0.0


def constants(*, step_s: float, threshold: float, chosen: Constants | None = None) -> Constants:
    """Return the constants of a pass: those of the product, or the chosen ones."""
    base = chosen or Constants()
    eases = {side: -math.log10(getattr(base, f"beyond_{side}")) for side in ("near", "far")}
    own = {
        "threshold": threshold,
        "per_hour": 3600 / step_s,
        "per_day": 86_400 / step_s,
        **{f"ease_{side}": ease for side, ease in eases.items()},
        **{f"depth_{side}": max(threshold - ease, 0.0) * math.log(10) for side, ease in eases.items()},
    }
    return Constants._make(np.float32(value) for value in base._replace(**own))


class Series(NamedTuple):
    """What is known of several series before a pass; in units of their scale around their centre."""

    state: State
    """(64, n_series), see ``LEVELS``, ``TAILS`` and ``PROFILE``; a pass moves it on."""
    centre: FloatArray
    """(n_series,) in the unit of the values."""
    scale: FloatArray
    """(n_series,) > 0, in the unit of the values."""
    floor: FloatArray
    """(n_series,) smallest believable deviation, in scales."""
    shape: State
    """(n_series,) shape of the tails of surprise and season before a pass teaches more; those of level and spread have
    that of the constants."""


class Found(NamedTuple):
    """What a pass found."""

    arrays: FloatArray
    """(4, n_series, n): score, expected, least and greatest value without an alarm; (4, 0, 0) if not asked for."""
    views: NDArray[np.int8]
    """(n_series, n), what made each score."""
    events: FloatArray
    """(n_events, 6): series, start, end, peak, score and view."""


def seeded(first: FloatArray, floor: FloatArray) -> Series:
    """Return series that begin with the (n_series, SEED) known samples ``first``."""
    centre = np.median(first, axis=1)
    wide = np.abs(first - centre[:, None]).mean(axis=1)
    scale = np.maximum(np.abs(np.diff(first, axis=1)).mean(axis=1), floor)
    scale = np.maximum(scale, np.maximum(1e-9 * np.abs(first).max(axis=1), 1e-290))
    state = np.zeros((N_STATE, len(first)), dtype=np.float32)
    state[1] = (np.median(first[:, :DAY_SEED], axis=1) - centre) / scale
    state[4:6], state[6], state[7] = 1, -np.inf, np.inf
    spread = np.maximum(wide / scale, 1.0)
    for tail, size in enumerate((1.0, 1.0, spread, spread, spread, spread, 1.0, 1.0)):
        state[TAILS + tail], state[TAILS + 8 + tail] = 2 * size, size
        state[TAILS + 16 + tail], state[TAILS + 24 + tail] = (
            4 * size**2,
            SEED_WEIGHT,
        )  # twice an exponential's square: heavy
    state[PROFILE:] = np.nan
    return Series(state, centre, scale, floor / scale, np.full(len(first), Constants().shape, dtype=np.float32))


def follow(
    values: NDArray[np.floating],
    series: Series,
    hours: IntArray,
    k: Constants,
    *,
    is_full: bool,
    by_steps: bool = False,
) -> Found:
    """Follow series through a pass, moving their state on.

    Parameters
    ----------
    values : (n_series, n) float32 or float64
        Evenly spaced samples, NaN at gaps.
    hours : (n,) int
        Hour of the UTC day of each sample, 0..23.
    is_full : bool
        Whether to say something of every sample; events alone are some ten times as fast.
    by_steps : bool
        Take the numpy form even where there is a compiled one.
    """
    n_series, n = values.shape
    n_full = (n_series, n) if is_full else (0, 0)
    arrays, views = np.empty((4, *n_full)), np.zeros(n_full, dtype=np.int8)
    events = np.empty((n_series * (n // (HOLD_SAMPLES + 1) + 1), 6))
    compiled = None if by_steps else loops("detector")
    if compiled is None:
        from tars_ops.core.kernels.detector_steps import follow_by_steps

        n_events = follow_by_steps(values, series, hours, k, arrays, views, events)
        return Found(arrays, views, np.array(sorted(events[:n_events].tolist())).reshape(-1, 6))
    n_events, lanes = 0, compiled.LANES
    for first in range(0, n_series, lanes):
        rows = np.minimum(np.arange(first, first + lanes), n_series - 1)
        state = series.state[:, rows].ravel()
        own = (series.centre[rows], series.scale[rows], series.floor[rows].astype(np.float32), series.shape[rows])
        n_events = compiled.follow(values, first, state, hours, *own, k, arrays, views, events, n_events)
        n_rows = min(lanes, n_series - first)
        series.state[:, first : first + n_rows] = state.reshape(N_STATE, lanes)[:, :n_rows]
    found = events[:n_events]
    return Found(arrays, views, found[np.lexsort((found[:, 1], found[:, 0]))])
