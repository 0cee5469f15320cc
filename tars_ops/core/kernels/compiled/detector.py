"""How are many series judged by the two-view detector at the speed of memory?

A series alone is a chain of dependent steps, so sixteen run side by side: a block of each is laid across into a buffer
with a lane per series and stepped through there, without a branch. What needs a division or a power is done once per
block. State and work are flat arrays, one row of sixteen lanes after another, so that the compiler sees every distance.
The mathematics and the twin in numpy are in ``core.kernels.detector``; both do the same operations in the same order.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.detector import (
    BLOCK,
    DAY_SEED,
    EXTREME,
    FAR_STRIDE,
    FARTHEST,
    HOLD_SAMPLES,
    LEVELS,
    PROFILE,
    SEED,
    TAILS,
    Constants,
)
from tars_ops.core.kernels.jit import compiled

LANES = 16
Lanes = NDArray[np.float32]

ZERO, ONE, TWO, QUARTER = np.float32(0), np.float32(1), np.float32(2), np.float32(0.25)
HUNDRED, THREE, NEVER, UNKNOWN = np.float32(100), np.float32(3), np.float32(np.inf), np.float32(np.nan)
SEEDED, LN10 = np.float32(SEED), np.float32(math.log(10))
T2, T3, T4, T5, T6, T7, T8, T9, T10 = (np.float32(1 / n) for n in range(2, 11))

# Rows of the state: the levels, then (start, mean, square, weight) of eight tails, then the profile of the day.
N, MEAN, MIDDLE, SLOW = (row * LANES for row in LEVELS[:4])
QUICK, WIDE, HIGH, LOW = (row * LANES for row in LEVELS[4:])
FROM, MEANS, SQUARE, WEIGHT = (row * LANES for row in range(TAILS, PROFILE, 8))
HOUR = PROFILE * LANES

# Rows of the work of one block: eight rows, one per tail, of each of the first eight.
START, LONGEST, LIMIT, SIGMA, SHAPE, COUNT, SUM, SQUARES = (8 * row * LANES for row in range(8))
FLOOR, DEPTH, RECORD, REACH = ((64 + row) * LANES for row in (0, 8, 16, 18))
BASE, TO_SLOW, TO_WIDE, KNOWN, MOVED, SEASONAL, LOOKS = ((84 + row) * LANES for row in range(7))
MEAN_EXCESS, CREDIT, UNLEARNT = 91 * LANES, 99 * LANES, 107 * LANES
N_WORK = 115

# Rows of what one sample showed: distances in the four views, a record, an alarm, the mean before it.
BROKEN, ALARM, EXPECTED, FAR = (row * LANES for row in (4, 5, 6, 7))
N_SEEN = 8


@compiled
def _growth(shape: np.float32, depth: np.float32) -> np.float32:
    """Return ``(exp(shape depth) - 1) / shape`` without a call: ten terms for a quarter of it, squared twice."""
    x = shape * depth * QUARTER
    terms = ONE + x * T7 * (ONE + x * T8 * (ONE + x * T9 * (ONE + x * T10)))
    terms = ONE + x * T2 * (ONE + x * T3 * (ONE + x * T4 * (ONE + x * T5 * (ONE + x * T6 * terms))))
    power = x * terms
    power = power * (TWO + power)
    power = power * (TWO + power)
    return power / shape


@compiled
def _begin(state: Lanes, work: Lanes, day_n: Lanes, k: Constants) -> None:  # noqa: C901 - one loop after another
    """Turn what is known of each tail into the distances that reach the threshold in this block."""
    for j in range(LANES):  # a slow move matters from the size of a usual surprise on
        least = max(max(state[MEANS + j], state[MEANS + LANES + j]) * k.least_move, work[FLOOR + j])
        work[FLOOR + 2 * LANES + j], work[FLOOR + 3 * LANES + j] = least, least
        work[FLOOR + 6 * LANES + j], work[FLOOR + 7 * LANES + j] = least, least
    for tail in range(8):
        patience = k.patience + k.per_day if tail in (4, 5) else k.patience
        for j in range(LANES):
            work[CREDIT + tail * LANES + j] = ONE if state[N + j] >= patience else k.known_weight
    for i in range(8 * LANES):
        start, mean = max(state[FROM + i], work[FLOOR + i]), state[MEANS + i]
        mean = max(mean, k.narrowest * start)
        heavy = max(state[SQUARE + i] / (TWO * mean * mean) - ONE, ZERO)
        shape = min(heavy / (ONE + TWO * heavy), k.heaviest)
        doubt = max(ONE - k.doubt * state[WEIGHT + i], ZERO)
        unlearnt = work[UNLEARNT + i]
        shape = max(unlearnt + (shape - unlearnt) * doubt, k.least_shape)
        work[START + i], work[LONGEST + i], work[SHAPE + i] = start, k.longest * mean, shape
        work[MEAN_EXCESS + i] = mean
        work[SIGMA + i] = max(mean * (ONE - shape), k.narrowest * start)
    for i in range(8 * LANES):
        limit = work[START + i] + work[SIGMA + i] * _growth(work[SHAPE + i], work[DEPTH + i])
        work[LIMIT + i] = limit if state[WEIGHT + i] <= work[CREDIT + i] else NEVER
    for i in range(8 * LANES):
        work[COUNT + i], work[SUM + i], work[SQUARES + i] = ZERO, ZERO, ZERO
    for i in range(2 * LANES):
        shape = work[SHAPE + i]
        less = max(k.depth_near - k.bonus * LN10 * max(ONE - k.bonus_fades * shape, ZERO), ZERO)
        limit = work[START + i] + work[SIGMA + i] * _growth(shape, less)
        work[RECORD + i] = limit if work[LIMIT + i] < NEVER else NEVER
        work[REACH + i] = work[START + i] + k.reach * work[MEAN_EXCESS + i]
    for j in range(LANES):
        if state[N + j] < k.warmup or day_n[j] < ONE:
            for own in range(0, 8 * LANES, LANES):
                work[LIMIT + own + j] = NEVER
            work[RECORD + j], work[RECORD + LANES + j] = NEVER, NEVER
        work[TO_SLOW + j] = max(k.to_slow, ONE / (day_n[j] + ONE))
        work[TO_WIDE + j] = max(k.to_wide, ONE / (state[N + j] + SEEDED))
        work[KNOWN + j], work[MOVED + j], work[LOOKS + j] = ZERO, ZERO, ZERO


@compiled
def _learn(work: Lanes, own: int, distance: np.float32) -> None:
    """Count a distance that lies beyond the start of its tail."""
    beyond = distance - work[START + own]
    is_beyond = beyond > ZERO
    beyond = beyond if is_beyond else ZERO
    beyond = min(beyond, work[LONGEST + own])
    work[COUNT + own] += ONE if is_beyond else ZERO
    work[SUM + own] += beyond
    work[SQUARES + own] += beyond * beyond


@compiled
def _step(values: Lanes, state: Lanes, work: Lanes, seen: Lanes, k: Constants) -> None:
    """Judge one sample of every lane, then move the levels."""
    for j in range(LANES):
        value = values[j]
        is_known = value == value  # noqa: PLR0124 - NaN
        mean, middle, slow = state[MEAN + j], state[MIDDLE + j], state[SLOW + j]
        quick, wide, high, low = state[QUICK + j], state[WIDE + j], state[HIGH + j], state[LOW + j]
        surprise, season = value - mean, value - work[BASE + j]
        is_high, is_low = value > high, value < low
        state[HIGH + j] = value if is_high else high
        state[LOW + j] = value if is_low else low
        is_alarm = (
            (surprise > work[LIMIT + j])
            | (-surprise > work[LIMIT + LANES + j])
            | (season > work[LIMIT + 4 * LANES + j])
            | (-season > work[LIMIT + 5 * LANES + j])
            | (is_high & (surprise > work[RECORD + j]))
            | (is_low & (-surprise > work[RECORD + LANES + j]))
            | (is_known & (seen[FAR + j] > ZERO))
        )
        seen[j], seen[2 * LANES + j] = surprise, season
        seen[BROKEN + j] = ONE if is_high | is_low else ZERO
        seen[ALARM + j] = ONE if is_alarm else ZERO
        seen[EXPECTED + j] = mean
        _learn(work, j, surprise)
        _learn(work, LANES + j, -surprise)
        _learn(work, 4 * LANES + j, season)
        _learn(work, 5 * LANES + j, -season)
        known = ONE if is_known else ZERO
        move = min(surprise, work[REACH + j])
        move = max(move, -work[REACH + LANES + j])
        move = move if is_known else ZERO
        limited = mean + move
        size = max(move, -move)
        state[MEAN + j] = mean + k.to_mean * move
        state[MIDDLE + j] = middle + k.to_middle * known * (limited - middle)
        state[SLOW + j] = slow + work[TO_SLOW + j] * known * (limited - slow)
        state[QUICK + j] = quick + k.to_quick * known * (size - quick)
        state[WIDE + j] = wide + work[TO_WIDE + j] * known * (size - wide)
        work[KNOWN + j] += known
        work[MOVED + j] += value if is_known else ZERO


@compiled
def _look_far(state: Lanes, work: Lanes, seen: Lanes) -> None:
    """Judge the levels that move slowly: every fourth sample is often enough for them."""
    for j in range(LANES):
        level, spread = state[MIDDLE + j] - state[SLOW + j], state[QUICK + j] - state[WIDE + j]
        is_far = (
            (level > work[LIMIT + 2 * LANES + j])
            | (-level > work[LIMIT + 3 * LANES + j])
            | (spread > work[LIMIT + 6 * LANES + j])
            | (-spread > work[LIMIT + 7 * LANES + j])
        )
        seen[FAR + j] = ONE if is_far else ZERO
        seen[LANES + j], seen[3 * LANES + j] = level, spread
        _learn(work, 2 * LANES + j, level)
        _learn(work, 3 * LANES + j, -level)
        _learn(work, 6 * LANES + j, spread)
        _learn(work, 7 * LANES + j, -spread)
        work[LOOKS + j] += ONE


@compiled
def _until_alarm(lanes: Lanes, t: int, stop: int, state: Lanes, work: Lanes, seen: Lanes, k: Constants) -> int:
    """Step on to the first sample of the block that alarms in any lane, or to the end of the block."""
    while t < stop:
        if t % FAR_STRIDE == 0:
            _look_far(state, work, seen)
        _step(lanes[t], state, work, seen, k)
        alarms = 0
        for j in range(LANES):
            alarms += 1 if seen[ALARM + j] > ZERO else 0
        if alarms:
            break
        t += 1
    return t


@compiled
def _finish(state: Lanes, work: Lanes, hour: int, k: Constants) -> None:
    """Take what a block showed into the tails and into the profile of the day."""
    for tail in range(8):
        is_far, is_season = tail in (2, 3, 6, 7), tail in (4, 5)
        beyond = k.beyond_far if is_far else k.beyond_near
        rate, least = k.start_far if is_far else k.start_near, k.least_weight
        own = tail * LANES
        for j in range(LANES):
            n = work[KNOWN + j] * work[SEASONAL + j] if is_season else work[LOOKS + j] if is_far else work[KNOWN + j]
            start, mean = state[FROM + own + j], state[MEANS + own + j]
            square, weight = state[SQUARE + own + j], state[WEIGHT + own + j]
            count = work[COUNT + own + j]
            pace = min(rate * max(HUNDRED / (state[N + j] + ONE), ONE), k.fastest)
            state[FROM + own + j] = max(start + pace * THREE * mean * (count - beyond * n), ZERO)
            share = count * weight / (ONE + count * weight)
            some = max(count, ONE)
            state[MEANS + own + j] = mean + share * (work[SUM + own + j] / some - mean)
            state[SQUARE + own + j] = square + share * (work[SQUARES + own + j] / some - square)
            state[WEIGHT + own + j] = max(weight / (ONE + count * weight), least)
    at = HOUR + hour * LANES
    for j in range(LANES):
        n = work[KNOWN + j]
        shown = work[MOVED + j] / n
        days = np.float32(math.floor(state[N + j] / k.per_day))
        share = min(max(k.to_profile, ONE / (ONE + days)) * n / k.per_hour, ONE)
        before = state[at + j]
        after = before + share * (shown - before) if before == before else shown  # noqa: PLR0124 - NaN
        state[at + j] = after if n > ZERO else before
        state[N + j] += n


@compiled
def _score(work: Lanes, seen: Lanes, j: int, k: Constants) -> tuple[float, int]:
    """Return the score of one sample and the view that made it."""
    best, best_view = 0.0, 0
    for view in range(4):
        distance = seen[view * LANES + j]
        tail = (2 * view if distance >= ZERO else 2 * view + 1) * LANES + j
        beyond = max(distance, -distance) - work[START + tail]
        if not (beyond > ZERO and work[LIMIT + tail] < NEVER):
            continue
        shape = np.float64(work[SHAPE + tail])
        ease = np.float64(k.ease_far if view in (1, 3) else k.ease_near)
        score = ease + math.log1p(shape * np.float64(beyond) / np.float64(work[SIGMA + tail])) / shape / math.log(10.0)
        name = (1, 2, 3, 5)[view]
        if view == 0 and seen[BROKEN + j] > ZERO:
            bonus = np.float64(k.bonus * max(ONE - k.bonus_fades * work[SHAPE + tail], ZERO))
            score, name = score + bonus, EXTREME if bonus > 0 else name
        if score > best:
            best, best_view = score, name
    if seen[ALARM + j] > ZERO:
        best = max(best, np.float64(k.threshold))
    elif best >= k.threshold:
        best = np.float64(k.threshold) * (1 - 1e-9)
    return best, best_view


@compiled
def _lay_across(values, first, start, stop, centre, scale, lanes) -> None:  # noqa: ANN001 - any float
    """Copy a block of sixteen rows into columns, in units of their scale; past the last row, the last row again."""
    for j in range(LANES):
        row = values[min(first + j, len(values) - 1)]
        middle, unit = centre[j], 1.0 / scale[j]
        for t in range(start, stop):
            scaled = (row[t] - middle) * unit
            scaled = scaled if not scaled > FARTHEST else FARTHEST
            scaled = scaled if not scaled < -FARTHEST else -FARTHEST
            lanes[t - start, j] = scaled


@compiled
def _say(arrays, views, row, t, j, says, work, seen, centre, scale, k) -> None:  # noqa: ANN001 - as below
    """Write what is said of one sample; the level of a series that may not speak yet is not known either."""
    score, view = _score(work, seen, j, k)
    knows = says and not np.isnan(seen[j])
    mean = np.float64(seen[EXPECTED + j]) if says else np.nan
    arrays[0, row, t], views[row, t] = score if knows else np.nan, view if knows else 0
    arrays[1, row, t] = centre + scale * mean
    arrays[2, row, t] = centre + scale * (mean - np.float64(work[LIMIT + LANES + j]))
    arrays[3, row, t] = centre + scale * (mean + np.float64(work[LIMIT + j]))


@compiled
def follow(values, first, state, hours, centre, scale, floor, shape, k, arrays, views, events, n_events):  # noqa: ANN001, ANN201, C901, PLR0912
    """Follow sixteen series from row ``first`` on; returns the number of events found so far.

    ``arrays`` is (4, n_series, n) for score, expected, lower and upper, or (4, 0, 0) where only events are asked for;
    ``events`` has the columns series, start, end, peak, score, view.
    """
    n_rows, n = min(LANES, len(values) - first), values.shape[1]
    work, seen = np.zeros(N_WORK * LANES, np.float32), np.zeros(N_SEEN * LANES, np.float32)
    lanes = np.empty((BLOCK, LANES), np.float32)
    last, current = np.full(LANES, -HOLD_SAMPLES - 1), np.zeros(LANES, np.int64)
    for own in range(0, 8 * LANES, LANES):
        work[FLOOR + own : FLOOR + own + LANES] = TWO * floor
        is_far = own // LANES in (2, 3, 6, 7)
        work[DEPTH + own : DEPTH + own + LANES] = k.depth_far if is_far else k.depth_near
        for j in range(LANES):
            work[UNLEARNT + own + j] = k.shape if is_far else shape[j]
    day_n, says = np.zeros(LANES, np.float32), np.zeros(LANES, np.bool_)
    is_full = arrays.shape[1] > 0
    start = 0
    while start < n:
        hour, stop = hours[start], start + 1
        longest = BLOCK if start else DAY_SEED
        while stop < n and stop - start < longest and hours[stop] == hour:
            stop += 1
        _lay_across(values, first, start, stop, centre, scale, lanes)
        for j in range(LANES):
            is_seasonal = state[N + j] >= k.per_day
            work[SEASONAL + j] = ONE if is_seasonal else ZERO
            work[BASE + j] = state[HOUR + hour * LANES + j] if is_seasonal else UNKNOWN
        _begin(state, work, day_n, k)
        for j in range(LANES):
            says[j] = state[N + j] >= k.warmup and day_n[j] > ZERO
        t = start
        while t < stop:
            if is_full:
                if (t - start) % FAR_STRIDE == 0:
                    _look_far(state, work, seen)
                _step(lanes[t - start], state, work, seen, k)
                for j in range(n_rows):
                    _say(arrays, views, first + j, t, j, says[j], work, seen, centre[j], scale[j], k)
            else:
                t = start + _until_alarm(lanes, t - start, stop - start, state, work, seen, k)
            if t < stop:
                for j in range(n_rows):
                    if seen[ALARM + j] > ZERO:
                        score, view = _score(work, seen, j, k)
                        if t - last[j] > HOLD_SAMPLES:
                            current[j] = n_events
                            events[n_events, 0], events[n_events, 1], events[n_events, 4] = first + j, t, -1.0
                            n_events += 1
                        event = events[current[j]]
                        event[2], last[j] = t + 1, t
                        if score > event[4]:
                            event[3], event[4], event[5] = t, score, view
            t += 1
        for j in range(LANES):
            day_n[j] += work[KNOWN + j]
        _finish(state, work, hour, k)
        start = stop
    return n_events
