"""How are exact quantiles found without sorting?

The place of a value among equal buckets between minimum and maximum grows with the value, so the buckets are in order,
and a rank lies in the bucket where the running count passes it. Only what this bucket holds is looked at again, until a
handful is left to be put in order: five steps per value for the first look, whatever the number of quantiles.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.jit import compiled
from tars_ops.core.telemetry import FloatArray, IntArray

Places = NDArray[np.int32]
Look = tuple[Places, Places]
"""The bucket of each value, and the running count at the end of each bucket."""

N_BUCKETS = 256
"""A kilobyte of counts stays in the nearest cache, and of a day of minutes puts a few values into each."""
N_SORTED = 32
"""So few values are sorted by insertion."""
N_LANES = 8
"""Sums and extremes are kept in lanes: one order of additions everywhere, and the compiler can use its vectors."""


@compiled
def of_rows(values: FloatArray, wanted: FloatArray) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the number of known values of each row, their mean and the wanted quantiles."""
    n_rows, n = values.shape
    n_known, mean = np.zeros(n_rows, np.int64), np.full(n_rows, np.nan)
    found = np.full((n_rows, len(wanted)), np.nan)
    row, held = np.empty(n), np.empty(n)
    look = (np.empty(n, np.int32), np.empty(N_BUCKETS, np.int32))
    again = (np.empty(n, np.int32), np.empty(N_BUCKETS, np.int32))
    for i in range(n_rows):
        m = _known(values[i], row)
        n_known[i] = m
        if m == 0:
            continue
        mean[i] = _sum(row[:m]) / m
        low, high = _extent(row[:m])
        if not _into_buckets(row[:m], low, high, look[0], look[1]):
            found[i, :] = low
            continue
        for k in range(len(wanted)):
            rank = (m - 1) * wanted[k]
            first = int(rank)
            below, above = _pair(row[:m], first, look, again, held)
            found[i, k] = _between(below, above, rank - first)
    return n_known, mean, found


@compiled
def _known(values: FloatArray, row: FloatArray) -> int:
    """Copy what is not NaN, in float64, and return how many these are."""
    n_nan = 0
    for t in range(len(values)):
        row[t] = values[t]
        n_nan += values[t] != values[t]
    if n_nan == 0:
        return len(values)
    m = 0
    for t in range(len(values)):
        if values[t] == values[t]:
            row[m] = values[t]
            m += 1
    return m


@compiled
def _sum(row: FloatArray) -> float:
    sums = np.zeros(N_LANES)
    whole = len(row) - len(row) % N_LANES
    for t in range(0, whole, N_LANES):
        for lane in range(N_LANES):
            sums[lane] += row[t + lane]
    for t in range(whole, len(row)):
        sums[t - whole] += row[t]
    return ((sums[0] + sums[1]) + (sums[2] + sums[3])) + ((sums[4] + sums[5]) + (sums[6] + sums[7]))


@compiled
def _extent(row: FloatArray) -> tuple[float, float]:
    lows, highs = np.full(N_LANES, math.inf), np.full(N_LANES, -math.inf)
    whole = len(row) - len(row) % N_LANES
    for t in range(0, whole, N_LANES):
        for lane in range(N_LANES):
            value = row[t + lane]
            lows[lane] = min(lows[lane], value)
            highs[lane] = max(highs[lane], value)
    for t in range(whole, len(row)):
        lows[0], highs[0] = min(lows[0], row[t]), max(highs[0], row[t])
    return lows.min(), highs.max()


@compiled
def _into_buckets(row: FloatArray, low: float, high: float, place: Places, ends: Places) -> bool:
    """Give each value its bucket and count up to the end of each bucket; False if all values are one."""
    if low == high:
        return False
    scale = N_BUCKETS / (high - low)
    if not math.isfinite(high - low) or not math.isfinite(scale):
        scale = 0.0
    for t in range(len(row)):
        bucket = int((row[t] - low) * scale) if scale > 0 else int(row[t] > low)
        place[t] = min(bucket, N_BUCKETS - 1)
    ends[:] = 0
    for t in range(len(row)):
        ends[place[t]] += 1
    for bucket in range(1, N_BUCKETS):
        ends[bucket] += ends[bucket - 1]
    return True


@compiled
def _pair(row: FloatArray, first: int, look: Look, again: Look, held: FloatArray) -> tuple[float, float]:
    """Return the values of the rank ``first`` and of the next one, or of ``first`` twice where it is the last.

    Where both are in one bucket, that one is looked at again: it lacks the smallest or the largest value, so this ends.
    """
    m, place, ends = len(row), look[0], look[1]
    while True:
        bucket = np.searchsorted(ends, first, side="right")
        last = np.searchsorted(ends, min(first + 1, m - 1), side="right")
        if last != bucket:
            return _around(row[:m], place, bucket, last)
        skipped = ends[bucket - 1] if bucket > 0 else 0
        m, row, first = _hold(row[:m], place, bucket, held), held, first - skipped
        if m <= N_SORTED:
            _sort(held[:m])
            return held[first], held[min(first + 1, m - 1)]
        place, ends = again
        low, high = _extent(held[:m])
        if not _into_buckets(held[:m], low, high, place, ends):
            return low, low


@compiled
def _around(row: FloatArray, place: Places, bucket: np.intp, last: np.intp) -> tuple[float, float]:
    """Return the largest value of one bucket and the smallest of a later one."""
    below, above = -math.inf, math.inf
    for t in range(len(row)):
        if place[t] == bucket:
            below = max(below, row[t])
        elif place[t] == last:
            above = min(above, row[t])
    return below, above


@compiled
def _hold(row: FloatArray, place: Places, bucket: np.intp, held: FloatArray) -> int:
    """Copy one bucket to the front of ``held`` (which may be ``row``) and return its size."""
    n_held = 0
    for t in range(len(row)):
        if place[t] == bucket:
            held[n_held] = row[t]
            n_held += 1
    return n_held


@compiled
def _sort(held: FloatArray) -> None:
    for t in range(1, len(held)):
        value, u = held[t], t
        while u > 0 and held[u - 1] > value:
            held[u] = held[u - 1]
            u -= 1
        held[u] = value


@compiled
def _between(below: float, above: float, share: float) -> float:
    """Interpolate as ``numpy.quantile`` does, from the nearer end."""
    if below == above or share == 0:
        return below
    return below + (above - below) * share if share < 0.5 else above - (above - below) * (1 - share)
