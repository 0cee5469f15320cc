"""Is a change real? Estimates and intervals against simulations with a known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.sli import bad_interval
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.compare import autocorrelation, detrended, paired_shift, share_shift

HOURS = np.arange(24)
SEASON = 100 * (1 + 0.5 * np.sin(2 * np.pi * HOURS / 24))
N_SIMULATIONS = 200


def correlated(rng: np.random.Generator, *, rho: float, sigma: float, n: int = 24) -> FloatArray:
    """Return stationary noise whose neighbours resemble each other."""
    noise = np.empty(n)
    noise[0] = rng.standard_normal()
    for t in range(1, n):
        noise[t] = rho * noise[t - 1] + np.sqrt(1 - rho**2) * rng.standard_normal()
    return sigma * noise


def simulated(
    *, truth: float, rho: float, sigma: float = 0.05, alpha: float = 0.05
) -> list[tuple[float, float, float]]:
    rng = np.random.default_rng(20_251_118)
    found = []
    for _ in range(N_SIMULATIONS):
        before = SEASON * np.exp(correlated(rng, rho=rho, sigma=sigma))
        after = SEASON * (1 + truth) * np.exp(correlated(rng, rho=rho, sigma=sigma))
        shift = paired_shift(before, after, alpha=alpha)
        found.append((shift.lower, shift.estimate, shift.upper))
    return found


# Blocks


@given(st.floats(-0.5, 2.0))
def test_the_season_cancels(change: float) -> None:
    shift = paired_shift(SEASON, SEASON * (1 + change), alpha=0.001)

    assert shift.estimate == pytest.approx(change, abs=1e-9)
    assert shift.lower == pytest.approx(change, abs=1e-6)
    assert shift.upper == pytest.approx(change, abs=1e-6)


@pytest.mark.parametrize("truth", [0.0, 0.1, -0.2])
def test_the_interval_holds_the_truth_as_often_as_it_says(truth: float) -> None:
    found = simulated(truth=truth, rho=0.0)

    assert sum(lower <= truth <= upper for lower, _, upper in found) >= 0.90 * N_SIMULATIONS


def test_the_interval_holds_the_truth_where_hours_resemble_each_other() -> None:
    found = simulated(truth=0.1, rho=0.5)

    assert sum(lower <= 0.1 <= upper for lower, _, upper in found) >= 0.85 * N_SIMULATIONS


def test_strong_resemblance_of_neighbours_is_rarely_taken_for_a_change() -> None:
    found = simulated(truth=0.0, rho=0.8, alpha=0.001)

    rejected = sum(not lower <= 0 <= upper for lower, _, upper in found)
    beyond_the_tolerance = sum(lower > 0.05 for lower, _, _ in found)

    assert rejected <= 0.05 * N_SIMULATIONS  # a plain t interval rejects 28 %
    assert beyond_the_tolerance == 0


def test_the_estimate_is_unbiased() -> None:
    estimates = [estimate for _, estimate, _ in simulated(truth=0.2, rho=0.3)]

    assert np.mean(estimates) == pytest.approx(0.2, abs=0.01)


def test_a_change_that_grows_over_the_day_is_found() -> None:
    shift = paired_shift(SEASON, SEASON * (1 + 0.04 * HOURS), alpha=0.001)

    assert shift.estimate == pytest.approx(0.43, abs=0.01)
    assert shift.lower > 0


@given(st.floats(1e-6, 1e12), st.integers(0, 1000))
def test_the_unit_does_not_matter(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.uniform(1, 2, 24), rng.uniform(1, 2, 24)

    one, other = paired_shift(before, after, alpha=0.01), paired_shift(before * scale, after * scale, alpha=0.01)

    np.testing.assert_allclose(other, one, rtol=1e-6, atol=1e-9)


def test_blocks_that_one_period_lacks_are_left_out_of_both() -> None:
    before, after = SEASON.copy(), 1.1 * SEASON
    before[3], after[5] = np.nan, np.nan

    shift = paired_shift(before, after, alpha=0.01)

    assert shift.n == 22
    assert shift.estimate == pytest.approx(0.1)


def test_fewer_than_six_common_blocks_say_nothing() -> None:
    before, after = SEASON.copy(), SEASON.copy()
    before[5:] = np.nan

    assert paired_shift(before, after, alpha=0.01) is None
    assert paired_shift(SEASON[:6], SEASON[:6], alpha=0.01) is not None


def test_nothing_is_relative_to_a_baseline_of_zero() -> None:
    assert paired_shift(np.zeros(24), np.ones(24), alpha=0.01) is None


def test_values_that_touch_zero_are_compared_by_their_differences() -> None:
    before, after = np.full(24, 2.0), np.full(24, 3.0)
    before[0], after[0] = 0.0, 1.0

    shift = paired_shift(before, after, alpha=0.01)

    assert shift.estimate == pytest.approx(1 / before.mean())


def test_noise_widens_the_interval_and_resemblance_widens_it_more() -> None:
    def width(rho: float, sigma: float) -> float:
        return float(np.mean([upper - lower for lower, _, upper in simulated(truth=0.0, rho=rho, sigma=sigma)]))

    assert width(0.0, 0.02) < width(0.0, 0.05) < width(0.7, 0.05)


@given(st.lists(st.floats(-100, 100), min_size=6, max_size=48).map(np.array))
def test_a_correlation_stays_within_its_bounds(values: FloatArray) -> None:
    assert 0 <= autocorrelation(values) <= 0.98


def test_a_slope_is_not_noise() -> None:
    np.testing.assert_allclose(detrended(3 + 0.5 * HOURS), 0, atol=1e-12)


# Events


def test_a_change_of_a_share_is_in_points() -> None:
    shift = share_shift((5, 10_000), (100, 10_000), alpha=0.001)

    assert shift.estimate == pytest.approx(0.0095, abs=1e-12)
    assert 0 < shift.lower < shift.estimate < shift.upper
    assert shift.p < 1e-20


def test_equal_shares_do_not_differ() -> None:
    shift = share_shift((20, 10_000), (20, 10_000), alpha=0.001)

    assert shift.lower < 0 < shift.upper
    assert shift.p > 0.5


def test_the_interval_of_a_difference_is_newcombes() -> None:
    (l1, u1), (l2, u2) = bad_interval(5, 1000, alpha=0.05), bad_interval(12, 1000, alpha=0.05)
    shift = share_shift((5, 1000), (12, 1000), alpha=0.05)

    assert shift.lower == pytest.approx(0.007 - np.hypot(0.012 - l2, u1 - 0.005), abs=1e-12)
    assert shift.upper == pytest.approx(0.007 + np.hypot(u2 - 0.012, 0.005 - l1), abs=1e-12)


@pytest.mark.parametrize(("before", "after"), [((0, 0), (1, 10)), ((1, 10), (0, 0))])
def test_a_period_without_events_cannot_be_compared(before: tuple[int, int], after: tuple[int, int]) -> None:
    assert share_shift(before, after, alpha=0.01) is None


def test_the_interval_of_a_share_holds_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    truth = 0.004
    held = 0
    for _ in range(N_SIMULATIONS):
        before, after = int(rng.binomial(5000, 0.002)), int(rng.binomial(5000, 0.006))
        shift = share_shift((before, 5000), (after, 5000), alpha=0.05)
        held += shift.lower <= truth <= shift.upper

    assert held >= 0.95 * N_SIMULATIONS


@given(st.integers(0, 500), st.integers(0, 500))
def test_swapping_the_periods_turns_the_change(one: int, other: int) -> None:
    there = share_shift((one, 500), (other, 500), alpha=0.01)
    back = share_shift((other, 500), (one, 500), alpha=0.01)

    assert back.estimate == -there.estimate
    assert (back.lower, back.upper) == pytest.approx((-there.upper, -there.lower), abs=1e-12)


def test_more_bad_events_than_events_still_give_an_interval() -> None:
    shift = share_shift((0, 100), (130, 100), alpha=0.01)

    assert not np.isnan(shift).any()
