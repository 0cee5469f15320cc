"""What is usual for a series, and where does it leave that?

Arrays in, scores out; nothing here knows a KPI or a policy. Two views of one series: is a sample rare among the
series' own surprises, and has the series left its slow level, its day or its scatter. A sample is scored before it
teaches. The loops are in ``core.kernels.detector``; rows of several series are scored together in ``jointly``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.detector import (
    DAY_SEED,
    N_STATE,
    PROFILE,
    SEED,
    SEED_WEIGHT,
    TAILS,
    Constants,
    Found,
    Series,
    constants,
    follow,
    seeded,
)
from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.detector.detection import Detection, Flags, Memory
from tars_ops.core.watch.detector.tail_shape import UNKNOWN, tail_shape

MIN_SAMPLES = 50
"""A series with fewer known samples says too little about itself."""
WARM = Constants(bonus=0.0, shape=UNKNOWN, doubt=50.0)
"""With a GA day, a shape is what that day tells, not the last 50 excesses (the inverse of ``doubt``); and a record is
no news: one day is too short to know the extremes, and every later day would break them again."""
AT_ONCE = 1024
"""Series that are learnt from together: what is said of every sample of a day takes 46 kB a series."""
COLD_RESOLUTION = 1e-3
"""Smallest believable deviation of a series without a GA day, as a share of its median size: as in the policies."""


def learn(
    values: NDArray[np.floating], *, step_s: float, start_s: float, sigma_floor: FloatArray, by_steps: bool = False
) -> list[Memory | None]:
    """Learn from the GA day what is usual for each series.

    Parameters
    ----------
    values : (n_series, n) float
        The GA day, oldest first; NaN marks a gap.
    step_s : float > 0
        Distance of two samples.
    start_s : float in [0, 86400)
        Second of the UTC day of the first sample.
    sigma_floor : (n_series,) float >= 0
        Smallest believable deviation of each series, in its unit.
    by_steps : bool
        Take the numpy form even where there is a compiled one.

    Returns
    -------
    list of Memory, one per series
        None where fewer than 50 samples are known, or the series has neither spread nor floor: unknown, not "normal".

    Raises
    ------
    ContractError
        If a value is infinite or an argument outside its range.
    """
    _check(values, step_s, start_s)
    floors, k = (
        np.asarray(sigma_floor, dtype=float),
        constants(step_s=step_s, threshold=1.0, chosen=Constants(warmup=0.0)),
    )
    hours, memories = _hours(values.shape[1], step_s, start_s), list[Memory | None]()
    for rows in (slice(first, first + AT_ONCE) for first in range(0, len(values), AT_ONCE)):
        memories += _learnt(values[rows], floors[rows], hours, k, by_steps=by_steps)
    return memories


def _learnt(
    values: NDArray[np.floating], floors: FloatArray, hours: IntArray, k: Constants, *, by_steps: bool
) -> list[Memory | None]:
    known = (~np.isnan(values)).sum(axis=1)
    moves = np.array([np.ptp(row[~np.isnan(row)]) if n else 0.0 for row, n in zip(values, known, strict=True)])
    series = _seeded(values, floors)
    follow(values, series, hours, k, is_full=False, by_steps=by_steps)
    # again, for tails that remember nothing of the seed; without a season, which one day cannot tell from itself
    series.state[0], series.state[TAILS + 24 : PROFILE] = 0, SEED_WEIGHT
    found = follow(values, series, hours, k, is_full=True, by_steps=by_steps)
    shapes = tail_shape(values - found.arrays[1])
    is_known = (known >= MIN_SAMPLES) & ((moves > 0) | (floors > 0))
    return [_memory(series, i, float(floors[i]), float(shapes[i])) if is_known[i] else None for i in range(len(values))]


def _memory(series: Series, i: int, floor: float, shape: float) -> Memory:
    state = series.state[:, i]
    return Memory(
        n=int(state[0]),
        sigma=float(series.scale[i]),
        sigma_floor=floor,
        centre=float(series.centre[i]),
        state=tuple(state[:PROFILE].tolist()),
        shape=shape,
        profile=tuple(None if math.isnan(one) else one for one in state[PROFILE:].tolist()),
    )


def detect(
    values: NDArray[np.floating],
    memories: Sequence[Memory | None],
    *,
    step_s: float,
    start_s: float,
    threshold: float,
    by_steps: bool = False,
) -> Detection:
    """Score each sample of a day by what its series has learnt on the GA day and has seen since.

    The level starts anew from the first five samples, which are not judged; scales, tails, extremes and the profile of
    the day are those of the GA day, and learn on. A series without a memory has no scores.

    Parameters
    ----------
    values : (n_series, n) float
        One day, or any stretch, oldest first; NaN marks a gap, over which the state is held.
    memories : n_series of Memory or None
    step_s, start_s, by_steps
        As in ``learn``.
    threshold : float > 0
        Score of an alarm, for the expected range.

    Raises
    ------
    ContractError
        If a value is infinite or an argument outside its range.
    """
    found, known = _warm(values, memories, step_s, start_s, threshold, is_full=True, by_steps=by_steps)
    arrays, views = np.full((4, *values.shape), np.nan), np.zeros(values.shape, dtype=np.int8)
    arrays[:, known], views[known] = found.arrays, found.views
    return Detection(*arrays, view=views)


def _warm(
    values: NDArray[np.floating],
    memories: Sequence[Memory | None],
    step_s: float,
    start_s: float,
    threshold: float,
    *,
    is_full: bool,
    by_steps: bool,
) -> tuple[Found, IntArray]:
    """Follow the series that have a memory; also returns their rows."""
    _check(values, step_s, start_s)
    known = np.array([i for i, one in enumerate(memories) if one is not None], dtype=np.int64)
    own = values if len(known) == len(values) else values[known]
    series = _remembered([one for one in memories if one is not None], own)
    k = constants(step_s=step_s, threshold=threshold, chosen=WARM)
    return follow(own, series, _hours(values.shape[1], step_s, start_s), k, is_full=is_full, by_steps=by_steps), known


def _remembered(memories: Sequence[Memory], values: NDArray[np.floating]) -> Series:
    """Return series as their memories hold them, at the level of the first samples of ``values``."""
    state = np.empty((N_STATE, len(memories)), dtype=np.float32)
    for i, one in enumerate(memories):
        state[:PROFILE, i] = one.state
        state[PROFILE:, i] = [math.nan if level is None else level for level in one.profile]
    centre, scale = (np.array([getattr(one, name) for one in memories]) for name in ("centre", "sigma"))
    for i, row in enumerate(values[:, :DAY_SEED]):
        if not np.isnan(row).all():
            state[1:4, i] = (np.nanmedian(row) - centre[i]) / scale[i]
    shape = np.array([one.shape for one in memories], dtype=np.float32)
    return Series(state, centre, scale, np.array([one.sigma_floor for one in memories]) / scale, shape)


def detect_cold(
    values: NDArray[np.floating], *, step_s: float, start_s: float, threshold: float, by_steps: bool = False
) -> Detection:
    """Score series without a GA day: each learns on its way and says nothing of its first 144 known samples."""
    found = _cold(values, step_s, start_s, threshold, is_full=True, by_steps=by_steps)
    return Detection(*found.arrays, view=found.views)


def _cold(
    values: NDArray[np.floating], step_s: float, start_s: float, threshold: float, *, is_full: bool, by_steps: bool
) -> Found:
    _check(values, step_s, start_s)
    k = constants(step_s=step_s, threshold=threshold)
    hours = _hours(values.shape[1], step_s, start_s)
    return follow(values, _seeded(values, None), hours, k, is_full=is_full, by_steps=by_steps)


def _seeded(values: NDArray[np.floating], floor: FloatArray | None) -> Series:
    """Return series seeded with their first known samples; a short series repeats what it has."""
    first = np.full((len(values), SEED), np.nan)
    first[:, : values.shape[1]] = values[:, :SEED]
    for i in np.flatnonzero(np.isnan(first).any(axis=1)):
        known = values[i][~np.isnan(values[i])][:SEED]
        first[i] = np.resize(known, SEED) if len(known) else 0.0
    return seeded(first, COLD_RESOLUTION * np.median(np.abs(first), axis=1) if floor is None else floor)


def events_only(
    values: NDArray[np.floating],
    memories: Sequence[Memory | None] | None,
    *,
    step_s: float,
    start_s: float,
    threshold: float,
    by_steps: bool = False,
) -> Flags:
    """Return the events alone, without scores of every sample: the form for many series.

    Parameters are those of ``detect``; without memories the series learn on their way, as in ``detect_cold``.
    """
    if memories is None:
        found = _cold(values, step_s, start_s, threshold, is_full=False, by_steps=by_steps)
        rows = np.arange(len(values))
    else:
        found, rows = _warm(values, memories, step_s, start_s, threshold, is_full=False, by_steps=by_steps)
    series, start, end, peak = found.events[:, :4].astype(np.int64).T
    return Flags(rows[series], start, end, peak, found.events[:, 4], found.events[:, 5].astype(np.int8))


def _hours(n: int, step_s: float, start_s: float) -> IntArray:
    return ((start_s + step_s * np.arange(n)) % 86_400 // 3600).astype(np.int64)


def _check(values: NDArray[np.floating], step_s: float, start_s: float) -> None:
    if not (step_s > 0 and 0 <= start_s < 86_400):
        raise ContractError(f"step_s {step_s} > 0 and start_s {start_s} in [0, 86400) must hold")
    extremes = (reduce(values, axis=None, initial=0.0) for reduce in (np.fmin.reduce, np.fmax.reduce))
    if not all(map(math.isfinite, extremes)):
        raise ContractError("a value is infinite; leave it NaN where it is not known")
