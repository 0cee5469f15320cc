"""A score knows only the past, does not depend on units, is silent where nothing is known, and finds what is there."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import lfilter

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.detector import DAY_SEED, HOLD_SAMPLES, WARMUP
from tars_ops.core.kernels.loops import loops
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector.detection import (
    Detection,
    Memory,
    View,
    held_off,
    onsets,
    score_threshold,
    unit_score,
)
from tars_ops.core.watch.detector.detector import detect, detect_cold, events_only, learn

GRID: dict[str, Any] = {"step_s": 300.0, "start_s": 0.0}
DAY = 288
THRESHOLD = 5.0
seeds = st.integers(0, 10_000)


def noise(n: int, seed: int = 0, *, n_series: int = 1, level: float = 100.0) -> FloatArray:
    return level + np.random.default_rng(seed).normal(0.0, 5.0, (n_series, n))


def learnt(values: FloatArray, floor: float = 0.01) -> list[Memory | None]:
    return learn(values, sigma_floor=np.full(len(values), floor), **GRID)


def warm(day: FloatArray, past: FloatArray, *, by_steps: bool = False) -> Detection:
    return detect(day, learnt(past), threshold=THRESHOLD, by_steps=by_steps, **GRID)


def cold(values: FloatArray, *, by_steps: bool = False) -> Detection:
    return detect_cold(values, threshold=THRESHOLD, by_steps=by_steps, **GRID)


def starts(values: FloatArray, past: FloatArray | None = None, threshold: float = THRESHOLD) -> list[tuple[int, int]]:
    memories = None if past is None else learnt(past)
    found = events_only(values, memories, threshold=threshold, **GRID)
    return list(zip(found.series.tolist(), found.start.tolist(), strict=True))


# Causality


@given(seeds, st.integers(1, 2 * DAY - 1))
@settings(max_examples=8, deadline=None)
def test_later_samples_never_change_an_old_score(seed: int, cut: int) -> None:
    values = noise(2 * DAY, seed)
    values[0, seed % 500 :: 97] = np.nan

    for score_of in (cold, lambda v: warm(v, noise(DAY, 1))):
        for whole, part in zip(score_of(values), score_of(values[:, :cut]), strict=True):
            np.testing.assert_array_equal(whole[:, :cut], part)


def test_the_samples_that_set_the_level_are_not_judged_by_it() -> None:
    score = warm(noise(DAY), noise(DAY, 1)).score[0]

    assert np.isnan(score[:DAY_SEED]).all()
    assert not np.isnan(score[DAY_SEED:]).any()


def test_a_sample_is_scored_before_it_teaches() -> None:
    day = noise(DAY)
    day[0, 200] = 1e6

    found = warm(day, noise(DAY, 1))

    assert found.score[0, 200] > 10
    assert abs(found.expected[0, 200] - 100) < 10
    assert abs(found.expected[0, 201] - 100) < 10


def test_a_series_without_a_past_says_nothing_in_its_warm_up() -> None:
    values = noise(2 * DAY)
    values[0, 20:WARMUP:10] += 500.0

    score = cold(values).score[0]

    assert np.isnan(score[:WARMUP]).all()
    assert not np.isnan(score[2 * WARMUP :]).any()


# Units and order


@given(st.floats(1e-6, 1e6), st.floats(-1e3, 1e3), seeds)
@settings(max_examples=8, deadline=None)
def test_neither_the_unit_nor_the_zero_point_of_a_series_matters(scale: float, shift: float, seed: int) -> None:
    past, day = noise(DAY, seed), noise(DAY, seed + 1)
    day[0, 150] += 60.0
    memories = learn(past, sigma_floor=np.array([0.01]), **GRID)
    others = learn((past + shift) * scale, sigma_floor=np.array([0.01 * scale]), **GRID)

    one = detect(day, memories, threshold=THRESHOLD, **GRID)
    other = detect((day + shift) * scale, others, threshold=THRESHOLD, **GRID)

    np.testing.assert_allclose(other.score, one.score, rtol=2e-3, atol=2e-3)
    np.testing.assert_allclose(other.upper, (one.upper + shift) * scale, rtol=1e-3)


def test_a_series_is_judged_alike_in_any_company() -> None:
    past, day = noise(DAY, 1, n_series=37), noise(DAY, 2, n_series=37)
    order = np.random.default_rng(3).permutation(37)

    together = warm(day, past)

    for one, shuffled in zip(together, warm(day[order], past[order]), strict=True):
        np.testing.assert_array_equal(shuffled, one[order])
    np.testing.assert_array_equal(warm(day[5:6], past[5:6]).score, together.score[5:6])


# Quiet series


@given(st.one_of(st.just(0.0), st.floats(1e-3, 1e6), st.floats(-1e6, -1e-3)))
@settings(max_examples=8, deadline=None)
def test_a_constant_never_alarms(level: float) -> None:
    flat = np.full((1, 2 * DAY), level)

    assert starts(flat) == []
    assert starts(flat, flat) == []
    assert not (cold(flat).score > 0).any()


FAMILIES = {
    "white": lambda r, n: r.standard_normal((8, n)),
    "ar1_0.5": lambda r, n: lfilter([1], [1, -0.5], r.standard_normal((8, n)), axis=1),
    "ar1_0.9": lambda r, n: lfilter([1], [1, -0.9], r.standard_normal((8, n)), axis=1),
    "season": lambda r, n: 6 * np.sin(2 * np.pi * np.arange(n) / DAY) + r.standard_normal((8, n)),
    "counts": lambda r, n: r.poisson(20, (8, n)).astype(float),
}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_calm_series_with_a_ga_day_hardly_ever_alarm(family: str) -> None:
    values = 100 + FAMILIES[family](np.random.default_rng(7), 8 * DAY)
    threshold = score_threshold(0.02, 300.0)

    found = [starts(day, values[:, :DAY], threshold) for day in np.split(values[:, DAY:], 7, axis=1)]

    assert sum(map(len, found)) <= 2


# What has to be found


@pytest.mark.parametrize("factor", [0.5, 1.5])
@pytest.mark.parametrize("level", [1e-3, 1.0, 1e9])
def test_a_step_of_half_on_a_flat_series_is_found_at_once(level: float, factor: float) -> None:
    flat, day = np.full((1, DAY), level), np.full((1, DAY), level)
    day[0, 200:] *= factor
    memories = learn(flat, sigma_floor=np.array([1e-3 * level]), **GRID)

    found = events_only(day, memories, threshold=THRESHOLD, **GRID)

    assert (found.series.tolist(), found.start.tolist()) == ([0], [200])
    assert starts(np.hstack([flat, day])) == [(0, DAY + 200)]


def test_a_drop_to_zero_is_far_from_a_flat_series() -> None:
    day = np.full((1, DAY), 40.0)
    day[0, 100] = 0.0

    assert warm(day, np.full((1, DAY), 40.0)).score[0, 100] > 8


def test_spikes_of_half_the_level_are_found_and_nothing_else() -> None:
    past, day = noise(DAY, 1, n_series=40), noise(DAY, 2, n_series=40)
    at = 30 + 5 * np.arange(40)
    day[np.arange(40), at] += 50.0

    found = starts(day, past, score_threshold(0.02, 300.0))

    assert len(set(found) & set(enumerate(at.tolist()))) >= 39
    assert len(found) <= 40


def test_a_wider_scatter_is_seen_by_a_view_of_its_own() -> None:
    past, day = noise(6 * DAY, 1), noise(2 * DAY, 2)
    day[0, DAY:] = 100 + 4 * (day[0, DAY:] - 100)

    views = warm(day, past).view[0]

    assert View.SPREAD in views[DAY + 20 :]
    assert View.SPREAD not in views[:DAY]


def test_a_slow_move_is_seen_by_the_view_of_the_level() -> None:
    past, day = noise(4 * DAY, 1), noise(2 * DAY, 2)
    day[0, DAY:] += np.minimum(np.arange(DAY) * 0.5, 40)

    views = warm(day, past).view[0]

    assert View.LEVEL in views[DAY:]


def test_what_an_hour_never_shows_is_seen_by_the_season() -> None:
    values = 100 + 60 * (np.arange(6 * DAY) % DAY > 144) + noise(6 * DAY, 3, level=0.0)
    values[0, 5 * DAY + 200 : 5 * DAY + 260] -= 60.0

    found = cold(values)

    assert View.SEASON in found.view[0, 5 * DAY + 200 : 5 * DAY + 260]


def test_a_heavier_past_makes_a_value_less_surprising() -> None:
    wild = 100 + 5 * np.random.default_rng(4).standard_t(3, (1, 4 * DAY))
    day = noise(DAY, 5)
    day[0, 200] = 170.0

    assert warm(day, wild).score[0, 200] < warm(day, noise(4 * DAY, 6)).score[0, 200]


# Events


def test_an_excursion_is_one_event_with_its_peak() -> None:
    past, day = noise(DAY, 1), noise(DAY, 2)
    day[0, 100:104] = [160.0, 180.0, 300.0, 160.0]

    found = events_only(day, learnt(past), threshold=THRESHOLD, **GRID)

    assert (found.start.tolist(), found.end.tolist(), found.peak.tolist()) == ([100], [104], [102])
    assert found.score[0] == pytest.approx(warm(day, past).score[0, 102])


def test_alarms_further_apart_than_the_hold_off_are_two_events() -> None:
    past, day = noise(DAY, 1), noise(DAY, 2)
    day[0, [100, 100 + HOLD_SAMPLES, 101 + 2 * HOLD_SAMPLES]] = [300.0, 300.0, 1e5]

    assert starts(day, past) == [(0, 100), (0, 101 + 2 * HOLD_SAMPLES)]


@given(seeds)
@settings(max_examples=5, deadline=None)
def test_events_are_those_of_the_scores(seed: int) -> None:
    values = noise(3 * DAY, seed, n_series=3)
    values[1, 400::70] += 45.0

    scores = cold(values).score

    marked = [(i, int(t)) for i, row in enumerate(scores) for t in np.flatnonzero(onsets(row, threshold=THRESHOLD))]
    assert starts(values) == marked


def test_a_score_counts_again_only_while_it_grows_or_after_the_hold_off() -> None:
    score = np.zeros(200)
    score[[10, 11, 12, 20, 100]] = [5.0, 4.0, 6.0, 5.9, 3.0]

    assert np.flatnonzero(held_off(score)).tolist() == [10, 12, 100]


# Gaps and what is not known


def test_a_gap_is_never_normal_and_holds_the_state() -> None:
    past, day = noise(DAY, 1), noise(DAY, 2)
    day[0, 100:200] = np.nan
    day[0, 200] = 300.0

    found = warm(day, past)

    assert np.isnan(found.score[0, 100:200]).all()
    assert found.score[0, 200] > THRESHOLD
    assert starts(day, past) == [(0, 200)]


def test_a_series_that_is_hardly_known_or_flat_without_a_floor_has_no_memory_and_no_scores() -> None:
    past = np.full((4, DAY), np.nan)
    past[0, :49], past[1, :50], past[3] = noise(49)[0], noise(50)[0], 7.0

    memories = learnt(past, floor=0.0)
    found = detect(noise(DAY, n_series=4), memories, threshold=THRESHOLD, **GRID)

    assert [one is None for one in memories] == [True, False, True, True]
    assert np.isnan(found.score[[0, 2, 3]]).all()


def test_a_memory_survives_being_written_and_read() -> None:
    (memory,) = learnt(noise(DAY))

    assert memory is not None
    assert Memory.model_validate_json(memory.model_dump_json()) == memory


@pytest.mark.parametrize(
    "wrong", [{"values": np.full((1, 9), np.inf)}, {"step_s": 0.0}, {"start_s": -1.0}, {"start_s": 86_400.0}]
)
def test_what_is_outside_its_range_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ContractError):
        detect_cold(**{"values": noise(9), "threshold": THRESHOLD, **GRID, **wrong})
    with pytest.raises(ContractError):
        score_threshold(0.0, 60.0)


def test_no_series_has_no_scores() -> None:
    none = np.empty((0, 100))

    assert cold(none).score.shape == (0, 100)
    assert learnt(none) == []
    assert starts(none) == []


def test_unit_scores_keep_the_order_and_what_is_unknown() -> None:
    score = unit_score(np.array([0.0, 1.0, 30.0, np.nan]))

    assert (np.diff(score[:3]) > 0).all()
    assert 0 <= score[0] < score[2] < 1
    assert np.isnan(score[3])


# The twin


@pytest.mark.skipif(loops("detector") is None, reason="no compiler here")
@given(seeds)
@settings(max_examples=2, deadline=None)
def test_the_twin_in_numpy_learns_and_finds_the_same(seed: int) -> None:
    r = np.random.default_rng(seed)
    values = noise(3 * DAY, seed, n_series=5)
    values[0, r.integers(300, 800, 5)] *= 3
    values[1, 400:450] = np.nan
    values[2], values[3] = r.poisson(0.3, 3 * DAY), 7.0
    values[3, 500], values[4, 600:] = 0.0, values[4, 600:] + 40
    past, day = values[:, :DAY], values[:, DAY:]

    memories = learn(past, sigma_floor=np.full(5, 0.01), **GRID)

    assert learn(past, sigma_floor=np.full(5, 0.01), by_steps=True, **GRID) == memories
    for one, other in zip(warm(day, past), warm(day, past, by_steps=True), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-9, atol=1e-12)
    for past_or_none in (memories, None):
        one, other = (events_only(day, past_or_none, threshold=4.0, by_steps=b, **GRID) for b in (False, True))
        for column, same in zip(one[:4], other[:4], strict=True):
            np.testing.assert_array_equal(same, column)
