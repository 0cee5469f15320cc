"""What does the two-view detector find without a compiler? The same, a step of all series at a time, in numpy.

Every operation stands in the order of ``compiled.detector`` and in single precision, so both give the same bits; only
the logarithm of a score may differ in its last digit.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.detector import (
    BLOCK,
    DAY_SEED,
    EXTREME,
    FAR,
    FAR_STRIDE,
    FARTHEST,
    HOLD_SAMPLES,
    PROFILE,
    SEED,
    TAILS,
    Constants,
    Series,
    State,
)
from tars_ops.core.telemetry import FloatArray, IntArray

N, MEAN, MIDDLE, SLOW, QUICK, WIDE, HIGH, LOW = range(8)
START, MEANS, SQUARE, WEIGHT = (slice(TAILS + 8 * i, TAILS + 8 * (i + 1)) for i in range(4))
VIEWS = (1, 2, 3, 5)
IS_FAR = np.isin(np.arange(8), FAR)[:, None]
IS_SEASON = np.isin(np.arange(8), (4, 5))[:, None]
ONE, TWO = np.float32(1), np.float32(2)
LN10 = np.float32(math.log(10))


class Limits(NamedTuple):
    """The tails during one block; arrays are (8, n_series), of records (2, n_series)."""

    start: State
    mean: State
    sigma: State
    shape: State
    limit: State
    record: State
    to_slow: State
    to_wide: State


def growth(shape: State, depth: State) -> State:
    """Return ``(exp(shape depth) - 1) / shape`` as the compiled form computes it."""
    x = shape * depth * np.float32(0.25)
    terms: State | np.float32 = ONE
    for n in range(10, 1, -1):
        terms = ONE + x * np.float32(1 / n) * terms
    power = x * terms
    power = power * (TWO + power)
    return np.asarray(power * (TWO + power) / shape, dtype=np.float32)


def limits(state: State, floor: State, day_n: State, unknown: State, k: Constants) -> Limits:
    """Turn what is known of each tail into the distances that reach the threshold in a block."""
    zero = np.float32(0)
    floors = np.tile(TWO * floor, (8, 1))
    floors[list(FAR)] = np.maximum(state[MEANS][:2].max(axis=0) * k.least_move, TWO * floor)
    start = np.maximum(state[START], floors)
    mean = np.maximum(state[MEANS], k.narrowest * start)
    heavy = np.maximum(state[SQUARE] / (TWO * mean * mean) - ONE, zero)
    shape = np.minimum(heavy / (ONE + TWO * heavy), k.heaviest)
    doubt = np.maximum(ONE - k.doubt * state[WEIGHT], zero)
    shape = np.maximum(unknown + (shape - unknown) * doubt, k.least_shape)
    sigma = np.maximum(mean * (ONE - shape), k.narrowest * start)
    depth = np.where(IS_FAR, k.depth_far, k.depth_near)
    is_patient = state[N] >= np.where(IS_SEASON, k.patience + k.per_day, k.patience)
    says = (is_patient | (state[WEIGHT] <= k.known_weight)) & (state[N] >= k.warmup) & (day_n >= ONE)
    limit = np.where(says, start + sigma * growth(shape, depth), np.float32(np.inf))
    less = np.maximum(k.depth_near - k.bonus * LN10 * np.maximum(ONE - k.bonus_fades * shape[:2], zero), zero)
    record = np.where(says[:2], start[:2] + sigma[:2] * growth(shape[:2], less), np.float32(np.inf))
    to_slow = np.maximum(k.to_slow, ONE / (day_n + ONE))
    return Limits(
        start, mean, sigma, shape, limit, record, to_slow, np.maximum(k.to_wide, ONE / (state[N] + np.float32(SEED)))
    )


class Block:
    """What one block shows of each series: sums of excesses, and the samples behind the profile."""

    def __init__(self, n_series: int) -> None:
        self.count, self.total, self.squares = np.zeros((3, 8, n_series), dtype=np.float32)
        self.known, self.moved, self.looks = np.zeros((3, n_series), dtype=np.float32)

    def learn(self, tails: list[int], distance: State, known: Limits, k: Constants) -> None:
        """Count the distances that lie beyond the start of their tail."""
        beyond = distance - known.start[tails]
        is_beyond = beyond > 0
        beyond = np.minimum(np.where(is_beyond, beyond, np.float32(0)), k.longest * known.mean[tails])
        self.count[tails] += is_beyond
        self.total[tails] += beyond
        self.squares[tails] += beyond * beyond


def follow_by_steps(
    values: NDArray[np.floating],
    series: Series,
    hours: IntArray,
    k: Constants,
    arrays: FloatArray,
    views: NDArray[np.int8],
    events: FloatArray,
) -> int:
    """Follow all series at once; fills ``arrays``, ``views`` and ``events``, and returns the number of events."""
    n_series, n = values.shape
    floor, unit = series.floor.astype(np.float32), 1.0 / series.scale
    unknown = np.where(IS_FAR, k.shape, series.shape)
    day_n = np.zeros(n_series, dtype=np.float32)
    seen = np.zeros((4, n_series), dtype=np.float32)
    is_far = np.zeros(n_series, dtype=bool)
    last, current, n_events, start = np.full(n_series, -HOLD_SAMPLES - 1), np.zeros(n_series, dtype=int), 0, 0
    while start < n:
        stop = min(start + (BLOCK if start else DAY_SEED), n)
        other = np.flatnonzero(hours[start:stop] != hours[start])
        stop = start + int(other[0]) if len(other) else stop
        scaled = np.clip((values[:, start:stop] - series.centre[:, None]) * unit[:, None], -FARTHEST, FARTHEST)
        lanes = scaled.astype(np.float32).T
        seasonal = series.state[N] >= k.per_day
        base = np.where(seasonal, series.state[PROFILE + hours[start]], np.float32(np.nan))
        block, known = Block(n_series), limits(series.state, floor, day_n, unknown, k)
        says = (series.state[N] >= k.warmup) & (day_n > 0)
        for t in range(start, stop):
            if (t - start) % FAR_STRIDE == 0:
                is_far = _look_far(series.state, block, known, seen, k)
            mean = series.state[MEAN].copy()
            is_alarm, is_record = _step(lanes[t - start], series.state, block, known, seen, base, is_far, k)
            if not (arrays.shape[1] or is_alarm.any()):
                continue
            score, view = _scores(known, seen, is_alarm, is_record, k)
            if arrays.shape[1]:
                _say(arrays[:, :, t], views[:, t], score, view, says, mean, known, seen, series)
            for i in np.flatnonzero(is_alarm):
                if t - last[i] > HOLD_SAMPLES:
                    current[i] = n_events
                    events[n_events] = i, t, 0, t, -1, 0
                    n_events += 1
                event = events[current[i]]
                event[2], last[i] = t + 1, t
                if score[i] > event[4]:
                    event[3:] = t, score[i], view[i]
        day_n += block.known
        _finish(series.state, block, hours[start], seasonal, k)
        start = stop
    return n_events


def _look_far(state: State, block: Block, known: Limits, seen: State, k: Constants) -> NDArray[np.bool_]:
    level, spread = state[MIDDLE] - state[SLOW], state[QUICK] - state[WIDE]
    distance = np.array([level, -level, spread, -spread])
    seen[1], seen[3] = level, spread
    block.learn(list(FAR), distance, known, k)
    block.looks += ONE
    return np.asarray((distance > known.limit[list(FAR)]).any(axis=0))


def _step(
    value: State,
    state: State,
    block: Block,
    known: Limits,
    seen: State,
    base: State,
    is_far: NDArray[np.bool_],
    k: Constants,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Judge one sample of every series, then move the levels; returns where an alarm is, and where a record."""
    is_known = ~np.isnan(value)
    surprise, season = value - state[MEAN], value - base
    seen[0], seen[2] = surprise, season
    is_high, is_low = value > state[HIGH], value < state[LOW]
    state[HIGH], state[LOW] = np.where(is_high, value, state[HIGH]), np.where(is_low, value, state[LOW])
    near = [0, 1, 4, 5]
    distance = np.array([surprise, -surprise, season, -season])
    is_alarm = (distance > known.limit[near]).any(axis=0) | (is_known & is_far)
    is_alarm |= (is_high & (surprise > known.record[0])) | (is_low & (-surprise > known.record[1]))
    block.learn(near, distance, known, k)
    reach = known.start[:2] + k.reach * known.mean[:2]
    move = np.where(is_known, np.maximum(np.minimum(surprise, reach[0]), -reach[1]), np.float32(0))
    limited, size, one = state[MEAN] + move, np.abs(move), is_known.astype(np.float32)
    state[MEAN] += k.to_mean * move
    state[MIDDLE] += k.to_middle * one * (limited - state[MIDDLE])
    state[SLOW] += known.to_slow * one * (limited - state[SLOW])
    state[QUICK] += k.to_quick * one * (size - state[QUICK])
    state[WIDE] += known.to_wide * one * (size - state[WIDE])
    block.known += one
    block.moved += np.where(is_known, value, np.float32(0))
    return is_alarm, is_high | is_low


def _scores(
    known: Limits, seen: State, is_alarm: NDArray[np.bool_], is_record: NDArray[np.bool_], k: Constants
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Return the score of one sample of every series and the view that made it."""
    best, name = np.zeros(seen.shape[1]), np.zeros(seen.shape[1], dtype=np.int8)
    columns = np.arange(seen.shape[1])
    for view, distance in enumerate(seen):
        tail = np.where(distance >= 0, 2 * view, 2 * view + 1)
        of = {one: getattr(known, one)[tail, columns] for one in ("start", "sigma", "shape", "limit")}
        beyond = np.abs(distance) - of["start"]
        speaks = (beyond > 0) & (of["limit"] < np.inf)
        shape, ease = of["shape"].astype(float), float(k.ease_far if view in (1, 3) else k.ease_near)
        ratio = shape * np.where(speaks, beyond, 0).astype(float) / of["sigma"].astype(float)
        score = np.where(speaks, ease + np.log1p(ratio) / shape / math.log(10), 0.0)
        names = np.full(len(score), VIEWS[view])
        if view == 0:
            bonus = k.bonus * np.maximum(ONE - k.bonus_fades * of["shape"], np.float32(0))
            breaks = speaks & is_record & (bonus > 0)
            score, names = score + np.where(breaks, bonus.astype(float), 0.0), np.where(breaks, EXTREME, names)
        name, best = np.where(score > best, names, name).astype(np.int8), np.maximum(best, score)
    least = float(k.threshold)
    best = np.where(is_alarm, np.maximum(best, least), np.where(best >= least, least * (1 - 1e-9), best))
    return best, name


def _say(
    arrays: FloatArray,
    views: NDArray[np.int8],
    score: FloatArray,
    view: NDArray[np.int8],
    says: NDArray[np.bool_],
    mean: State,
    known: Limits,
    seen: State,
    series: Series,
) -> None:
    knows, level = says & ~np.isnan(seen[0]), np.where(says, mean.astype(float), np.nan)
    arrays[0], views[:] = np.where(knows, score, np.nan), np.where(knows, view, 0)
    arrays[1] = series.centre + series.scale * level
    arrays[2] = series.centre + series.scale * (level - known.limit[1].astype(float))
    arrays[3] = series.centre + series.scale * (level + known.limit[0].astype(float))


def _finish(state: State, block: Block, hour: int, seasonal: NDArray[np.bool_], k: Constants) -> None:
    """Take what a block showed into the tails and into the profile of the day."""
    n = np.where(IS_FAR, block.looks, block.known)
    n[4:6] = block.known * seasonal
    pace = np.where(IS_FAR, k.start_far, k.start_near) * np.maximum(np.float32(100) / (state[N] + ONE), ONE)
    expected = np.where(IS_FAR, k.beyond_far, k.beyond_near) * n
    move = np.minimum(pace, k.fastest) * np.float32(3) * state[MEANS] * (block.count - expected)
    state[START] = np.maximum(state[START] + move, np.float32(0))
    count, weight, some = block.count, state[WEIGHT], np.maximum(block.count, ONE)
    share = count * weight / (ONE + count * weight)
    state[MEANS] += share * (block.total / some - state[MEANS])
    state[SQUARE] += share * (block.squares / some - state[SQUARE])
    state[WEIGHT] = np.maximum(weight / (ONE + count * weight), k.least_weight)
    before = state[PROFILE + hour].copy()
    with np.errstate(invalid="ignore"):
        shown = block.moved / block.known
    day = np.maximum(k.to_profile, ONE / (ONE + np.floor(state[N] / k.per_day)))
    after = np.where(
        np.isnan(before), shown, before + np.minimum(day * block.known / k.per_hour, ONE) * (shown - before)
    )
    state[PROFILE + hour] = np.where(block.known > 0, after, before)
    state[N] += block.known
