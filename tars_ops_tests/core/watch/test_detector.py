"""A score knows only the past, does not depend on units, and is silent where nothing is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tars_ops.core.errors import ContractError
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector import (
    SEED_SAMPLES,
    Calibration,
    calibrate,
    ewma_z,
    residuals,
    score_counts,
    score_tail,
    two_sided_p,
)

EWMA: dict[str, Any] = {"alpha": 0.3, "warmup": 3, "sigma_floor": 0.5}
USUAL = Calibration(sigma=1.0, sigma_floor=0.1, upper=(2.0, 0.5), lower=(2.0, 0.5))
numbers = st.one_of(st.just(np.nan), st.floats(-1e3, 1e3))
series = st.lists(numbers, min_size=1, max_size=40).map(np.array)


def noise(n: int, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).standard_normal(n)


def tail(values: FloatArray, calibration: Calibration | None = USUAL, *, alpha: float = 0.2) -> FloatArray:
    return score_tail(values[None, :], [calibration], alpha=alpha).p[0]


# Causality


@given(series, numbers)
def test_a_new_sample_never_changes_an_old_z_score(values: FloatArray, newcomer: float) -> None:
    before = ewma_z(values, **EWMA)
    after = ewma_z(np.append(values, newcomer), **EWMA)

    np.testing.assert_array_equal(after[:-1], before)


@given(series, numbers)
def test_a_new_sample_never_changes_an_old_tail_probability(values: FloatArray, newcomer: float) -> None:
    before = tail(values)
    after = tail(np.append(values, newcomer))

    np.testing.assert_array_equal(after[:-1], before)


def test_the_samples_that_seed_the_mean_are_not_judged_by_it() -> None:
    values = np.concatenate([[np.nan, 100.0], np.zeros(20)])

    assert np.isnan(tail(values))[: SEED_SAMPLES + 1].all()
    assert not np.isnan(tail(values))[SEED_SAMPLES + 1 :].any()


def test_a_sample_is_scored_before_it_moves_the_mean() -> None:
    values = np.array([0.0] * 10 + [8.0])

    expected, found = residuals(values[None, :], alpha=0.9, sigma=np.array([np.inf]))

    assert (expected[0, -1], found[0, -1]) == (0.0, 8.0)
    assert ewma_z(values, **EWMA)[-1] == 16.0


# Units


@given(st.floats(1e-3, 1e3), st.floats(-1e3, 1e3))
@settings(max_examples=30, deadline=None)
def test_neither_the_unit_nor_the_zero_point_of_a_series_matters(scale: float, shift: float) -> None:
    past, day = noise(300, 1), noise(300, 2)
    day[100] = 9.0
    other_past, other_day = past * scale + shift, day * scale + shift

    one = tail(day, *calibrate(past[None, :], alpha=0.1, sigma_floor=np.array([0.0])), alpha=0.1)
    other = tail(other_day, *calibrate(other_past[None, :], alpha=0.1, sigma_floor=np.array([0.0])), alpha=0.1)
    z, other_z = (ewma_z(v, alpha=0.1, warmup=20, sigma_floor=f) for v, f in ((day, 0.01), (other_day, 0.01 * scale)))

    np.testing.assert_allclose(other, one, rtol=1e-4)
    np.testing.assert_allclose(other_z, z, rtol=1e-4, atol=1e-6)


# Quiet series


@given(st.floats(-1e6, 1e6), st.integers(1, 100))
def test_a_constant_never_alarms(level: float, n: int) -> None:
    values = np.full(n, level)

    assert not (tail(values) < 1).any()
    assert not (np.abs(ewma_z(values, **EWMA)) > 0).any()


def test_a_flat_series_without_a_floor_is_uncalibrated() -> None:
    flat = np.full((1, 200), 7.0)

    assert calibrate(flat, alpha=0.1, sigma_floor=np.array([0.0])) == [None]
    assert calibrate(flat, alpha=0.1, sigma_floor=np.array([0.01]))[0].sigma == 0.01


def test_a_series_that_is_hardly_known_is_uncalibrated() -> None:
    values = np.full((2, 200), np.nan)
    values[0, :49], values[1, :50] = noise(49), noise(50)

    few, enough = calibrate(values, alpha=0.1, sigma_floor=np.zeros(2))

    assert few is None
    assert enough is not None


def test_what_is_uncalibrated_is_not_scored() -> None:
    assert np.isnan(tail(noise(100), None)).all()


# Gaps


@given(series)
def test_a_gap_is_never_normal(values: FloatArray) -> None:
    gap = np.isnan(values)

    assert np.isnan(tail(values))[gap].all()
    assert np.isnan(ewma_z(values, **EWMA))[gap].all()


def test_the_mean_is_held_over_a_gap() -> None:
    values = np.array([4.0] * 6 + [np.nan] * 50 + [4.0, 9.0])

    expected, found = residuals(values[None, :], alpha=0.5, sigma=np.array([np.inf]))

    assert expected[0, -2] == 4.0
    assert found[0, -1] == 5.0
    assert ewma_z(values, **EWMA)[-1] == 10.0


def test_a_gap_is_not_counted_as_warm_up() -> None:
    values = np.array([1.0, np.nan, np.nan, np.nan, 1.0, 1.0, 1.0])

    assert np.isnan(ewma_z(values, **EWMA)).tolist() == [True] * 6 + [False]


# Robustness


def test_a_spike_moves_the_mean_by_at_most_three_deviations() -> None:
    values = np.array([0.0] * 10 + [1e6, 0.0])

    expected, _ = residuals(values[None, :], alpha=0.1, sigma=np.array([2.0]))

    assert expected[0, -1] == pytest.approx(0.1 * 3 * 2.0)


def test_a_spike_among_the_first_samples_is_not_the_expectation() -> None:
    values = np.array([1e6, 5.0, 5.0, 5.0, 5.0, 5.0])

    expected, _ = residuals(values[None, :], alpha=0.1, sigma=np.array([1.0]))

    assert expected[0, 0] == 5.0


def test_a_heavier_past_makes_a_value_less_surprising() -> None:
    calm, wild = noise(2000, 3), stats.t.rvs(3, size=2000, random_state=3)
    day = np.zeros(50)
    day[40] = 6.0

    p_calm = tail(day, *calibrate(calm[None, :], alpha=0.05, sigma_floor=np.zeros(1)))[40]
    p_wild = tail(day, *calibrate(wild[None, :], alpha=0.05, sigma_floor=np.zeros(1)))[40]

    assert p_calm < p_wild < 1


@pytest.mark.parametrize("sign", [1, -1])
def test_the_tail_probability_is_the_documented_exponential(sign: int) -> None:
    values = np.zeros(10)
    values[8] = sign * 4.0

    assert tail(values)[8] == pytest.approx(0.02 * np.exp(-(4.0 - 2.0) / 0.5))
    assert tail(values)[9] == 1.0


def test_upper_and_lower_tails_are_kept_apart() -> None:
    skewed = Calibration(sigma=1.0, sigma_floor=0.1, upper=(2.0, 5.0), lower=(2.0, 0.5))
    up, down = np.zeros(10), np.zeros(10)
    up[8], down[8] = 6.0, -6.0

    assert tail(down, skewed)[8] < tail(up, skewed)[8]


def test_no_series_has_no_scores() -> None:
    none = np.empty((0, 100))

    assert score_tail(none, [], alpha=0.1).p.shape == (0, 100)
    assert calibrate(none, alpha=0.1, sigma_floor=np.empty(0)) == []


@pytest.mark.parametrize("alpha", [0.0, -0.1, 1.1])
def test_a_weight_outside_its_range_is_refused(alpha: float) -> None:
    with pytest.raises(ContractError, match="alpha"):
        residuals(np.zeros((1, 5)), alpha=alpha, sigma=np.ones(1))
    with pytest.raises(ContractError, match="alpha"):
        ewma_z(np.zeros(5), alpha=alpha, warmup=2, sigma_floor=1.0)


@pytest.mark.parametrize(("warmup", "sigma_floor"), [(1, 1.0), (2, 0.0)])
def test_settings_that_judge_the_first_samples_or_divide_by_zero_are_refused(warmup: int, sigma_floor: float) -> None:
    with pytest.raises(ContractError):
        ewma_z(np.zeros(5), alpha=0.5, warmup=warmup, sigma_floor=sigma_floor)


# The running variance and probabilities


def test_the_running_variance_is_that_of_west_and_finch() -> None:
    values = np.array([2.0, 1.0, 3.0, 3.0])

    z = ewma_z(values, alpha=0.5, warmup=3, sigma_floor=1e-9)

    assert z[3] == pytest.approx((3.0 - 2.25) / np.sqrt(0.6875))


def test_two_sided_probabilities_are_those_of_the_normal_distribution() -> None:
    z = np.array([0.0, 1.0, -3.0, 6.0])

    np.testing.assert_allclose(two_sided_p(z), 2 * stats.norm.sf(np.abs(z)), rtol=1e-12)


def test_counts_are_scored_by_the_exact_binomial_tail_and_empty_slots_not_at_all() -> None:
    p = score_counts(np.array([0, 3, 0, 9]), np.array([50, 50, 0, 5]), p0=0.001)

    assert p[0] == 1.0
    assert p[1] == pytest.approx(stats.binom.sf(2, 50, 0.001))
    assert np.isnan(p[2])
    assert p[3] == pytest.approx(1e-15)
