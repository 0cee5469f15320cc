"""How do many series go through one control chart at the speed of memory?

A series alone is a chain of dependent steps, so 64 of them run side by side: a tile of each is laid across into a
buffer with a lane per series, stepped through there, and its alarms are laid back. A tile without gaps after the
warm-up takes the short step; a gap poisons the mean of its lane, and the tile is done again with the careful step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.jit import compiled
from tars_ops.core.telemetry import FloatArray

N_LANES = 64
N_ACROSS = 8
"""Rows that are laid across at once."""
N_TILE = 512
"""Samples of a tile: 64 series of them stay in the second cache."""
N_FIRST = 64
"""Samples of the first tile, the only one that is always stepped through carefully."""

Flags = NDArray[np.uint8]


@compiled
def of_rows(
    values: FloatArray, alpha: float, warmup: float, floor: FloatArray, z_threshold: float
) -> tuple[NDArray[np.bool_], FloatArray, FloatArray, FloatArray]:
    """Return alarms, mean, variance and number of known samples of each row."""
    n, m = values.shape
    flags = np.zeros((n, m), np.uint8)
    found = np.zeros((3, n))
    lanes, marks = np.empty((N_TILE, N_LANES), values.dtype), np.empty((N_TILE, N_LANES), np.uint8)
    bound = np.empty(N_LANES)
    for first in range(0, n, N_LANES):
        state = np.zeros((3, N_LANES))
        for lane in range(N_LANES):
            bound[lane] = floor[min(first + lane, n - 1)] ** 2
        start = 0
        while start < m:
            width = min(N_TILE if start else N_FIRST, m - start)
            for lane in range(0, N_LANES, N_ACROSS):
                _lay_across(values, first + lane, start, lanes[:width, lane : lane + N_ACROSS])
            _step_through(lanes[:width], marks[:width], state, bound, alpha, warmup, z_threshold)
            for lane in range(0, N_LANES, N_ACROSS):
                _lay_back(flags, first + lane, start, marks[:width, lane : lane + N_ACROSS])
            start += width
        for lane in range(min(N_LANES, n - first)):
            found[:, first + lane] = state[:, lane]
    return flags.view(np.bool_), found[0], found[1], found[2]


@compiled
def _step_through(
    lanes: FloatArray,
    marks: Flags,
    state: FloatArray,
    bound: FloatArray,
    alpha: float,
    warmup: float,
    z_threshold: float,
) -> None:
    """Step all lanes through one tile; ``state`` is their mean, variance and number of known samples."""
    is_warm = state[2].min() >= warmup
    if is_warm:
        mean, variance = state[0].copy(), state[1].copy()
        for t in range(len(lanes)):
            _step(lanes[t], marks[t], mean, variance, bound, alpha, z_threshold * z_threshold)
        if not np.isnan(mean.sum()):
            state[0], state[1] = mean, variance
            state[2] += len(lanes)
            return
    for t in range(len(lanes)):
        _step_carefully(lanes[t], marks[t], state[0], state[1], state[2], bound, alpha, warmup, z_threshold**2)


@compiled
def _step(
    values: FloatArray,
    marks: Flags,
    mean: FloatArray,
    variance: FloatArray,
    bound: FloatArray,
    alpha: float,
    z_squared: float,
) -> None:
    keep = 1 - alpha
    for lane in range(N_LANES):
        off = values[lane] - mean[lane]
        square, spread, least = off * off, variance[lane], bound[lane]
        marks[lane] = square > z_squared * (max(least, spread))
        mean[lane] = mean[lane] + alpha * off
        variance[lane] = keep * (spread + alpha * square)


@compiled
def _step_carefully(
    values: FloatArray,
    marks: Flags,
    mean: FloatArray,
    variance: FloatArray,
    seen: FloatArray,
    bound: FloatArray,
    alpha: float,
    warmup: float,
    z_squared: float,
) -> None:
    keep = 1 - alpha
    for lane in range(N_LANES):
        value, spread, least, n = np.float64(values[lane]), variance[lane], bound[lane], seen[lane]
        off = value - mean[lane]
        square = off * off
        marks[lane] = (n >= warmup) & (square > z_squared * (max(least, spread)))
        square = square if n > 0 else 0.0
        next_mean = mean[lane] + alpha * off if n > 0 else value
        is_known = not np.isnan(value)
        mean[lane] = next_mean if is_known else mean[lane]
        variance[lane] = keep * (spread + alpha * square) if is_known else spread
        seen[lane] = n + 1.0 if is_known else n


@compiled
def _lay_across(values: FloatArray, first: int, start: int, lanes: FloatArray) -> None:
    """Copy a tile of eight rows into columns; past the last row, the last row again."""
    last = len(values) - 1
    row0, row1 = values[min(first, last)], values[min(first + 1, last)]
    row2, row3 = values[min(first + 2, last)], values[min(first + 3, last)]
    row4, row5 = values[min(first + 4, last)], values[min(first + 5, last)]
    row6, row7 = values[min(first + 6, last)], values[min(first + 7, last)]
    for t in range(len(lanes)):
        at = start + t
        lanes[t, 0], lanes[t, 1], lanes[t, 2], lanes[t, 3] = row0[at], row1[at], row2[at], row3[at]
        lanes[t, 4], lanes[t, 5], lanes[t, 6], lanes[t, 7] = row4[at], row5[at], row6[at], row7[at]


@compiled
def _lay_back(flags: Flags, first: int, start: int, marks: Flags) -> None:
    """Copy eight columns into a tile of rows; what lies past the last row repeats it."""
    last = len(flags) - 1
    row0, row1 = flags[min(first, last)], flags[min(first + 1, last)]
    row2, row3 = flags[min(first + 2, last)], flags[min(first + 3, last)]
    row4, row5 = flags[min(first + 4, last)], flags[min(first + 5, last)]
    row6, row7 = flags[min(first + 6, last)], flags[min(first + 7, last)]
    for t in range(len(marks)):
        at = start + t
        row0[at], row1[at], row2[at], row3[at] = marks[t, 0], marks[t, 1], marks[t, 2], marks[t, 3]
        row4[at], row5[at], row6[at], row7[at] = marks[t, 4], marks[t, 5], marks[t, 6], marks[t, 7]
