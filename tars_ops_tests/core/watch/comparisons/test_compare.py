"""Is a change real? Estimates, intervals and p-values against simulations with a known truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import special

from tars_ops.core.sli import bad_interval
from tars_ops.core.watch.comparisons.compare import Events, MeanShift, Method, ShareShift
from tars_ops.core.watch.comparisons.drafts import (
    Buckets,
    in_value,
    paired_draft,
    quantile_draft,
    share_draft,
    superiority,
)
from tars_ops_tests.benchmarks.calibration import coverage, false_flags, power

SLOTS = np.arange(288)
SEASON = 100 * (1 + 0.5 * np.sin(2 * np.pi * SLOTS / 288))
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)


def mean_shift(centre: float = 0.1, error: float = 0.02, *, in_logs: bool = True) -> MeanShift:
    return MeanShift(centre, error, 30.0, in_logs=in_logs, n=288, n_effective=31.0, effect=0.9, test=Method.PAIRED_T)


def lognormal(median_s: float, *, n: int = 1_000_000, spread: float = 0.6, n_slots: int = 1) -> Buckets:
    """Return the buckets that so many durations leave on average."""
    below = special.ndtr((np.log(np.array(BOUNDS[:-1])) - math.log(median_s)) / spread)
    counts = np.round(n / n_slots * np.append(below, 1.0)).astype(np.int64)
    return Buckets(BOUNDS, np.repeat(counts[:, None], n_slots, axis=1))


# Samples


@given(st.floats(-0.5, 2.0))
def test_the_season_cancels(change: float) -> None:
    draft = paired_draft(SEASON, SEASON * (1 + change))

    assert math.expm1(draft.centre) == pytest.approx(change, abs=1e-9)
    assert np.abs(draft.noise).max() < 1e-9


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("heavy", [False, True])
def test_the_interval_holds_the_truth_as_often_as_it_says(rho: float, heavy: bool) -> None:
    assert coverage(240, rho=rho, n_pairs=400, heavy=heavy) >= 0.90


def test_a_real_shift_is_found() -> None:
    assert power(240, rho=0.5, tolerance=0.02, level=0.02, n_pairs=200) >= 0.95


def test_equal_days_are_not_flagged() -> None:
    assert false_flags(20, rho=0.8, n_families=40, tolerance=0.05) == 0


@given(st.floats(1e-6, 1e12), st.integers(0, 1000))
def test_the_unit_does_not_matter(scale: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.uniform(1, 2, 24), rng.uniform(1, 2, 24)

    one, other = paired_draft(before, after), paired_draft(before * scale, after * scale)

    assert other.centre == pytest.approx(one.centre, abs=1e-9)
    np.testing.assert_allclose(other.noise, one.noise, atol=1e-9)
    assert other.effect == one.effect


def test_slots_that_one_period_lacks_are_left_out_of_both() -> None:
    before, after = SEASON.copy(), 1.1 * SEASON
    before[3], after[5] = np.nan, np.nan

    draft = paired_draft(before, after)

    assert draft.n == 286
    assert np.flatnonzero(np.isnan(draft.noise)).tolist() == [3, 5]
    assert math.expm1(draft.centre) == pytest.approx(0.1)


def test_fewer_than_six_common_slots_say_nothing() -> None:
    before = SEASON[:24].copy()
    before[5:] = np.nan

    assert paired_draft(before, SEASON[:24]) is None
    assert paired_draft(SEASON[:6], SEASON[:6]) is not None


def test_nothing_is_relative_to_a_baseline_of_zero() -> None:
    assert paired_draft(np.zeros(24), np.ones(24)) is None
    assert paired_draft(np.zeros(24), np.zeros(24)).centre == 0.0


def test_values_that_touch_zero_are_compared_by_their_differences() -> None:
    before, after = np.full(24, 2.0), np.full(24, 3.0)
    before[0], after[0] = 0.0, 1.0

    draft = paired_draft(before, after)

    assert (draft.in_logs, draft.centre) == (False, pytest.approx(1 / before.mean()))


@given(st.lists(st.floats(-10, 10), min_size=1, max_size=20), st.lists(st.floats(-10, 10), min_size=1, max_size=20))
def test_the_effect_counts_the_pairs_in_which_the_later_value_is_higher(one: list[float], other: list[float]) -> None:
    pairs = [(b > a) + (b == a) / 2 for a in one for b in other]

    assert superiority(np.array(one), np.array(other)) == pytest.approx(np.mean(pairs))


# What a shift says


@given(st.floats(-0.3, 0.5), st.floats(0.001, 0.2), st.floats(0.0005, 0.4), st.booleans())
def test_the_interval_and_the_p_value_say_the_same(centre: float, error: float, tail: float, in_logs: bool) -> None:
    shift = mean_shift(centre, error, in_logs=in_logs)
    lower, upper = shift.ends(tail)

    assert shift.p_above(lower) == pytest.approx(tail, rel=1e-6)
    assert shift.p_below(upper) == pytest.approx(tail, rel=1e-6)


@given(st.integers(0, 400), st.integers(1, 400), st.floats(1, 20), st.floats(0.001, 0.4))
def test_the_interval_and_the_p_value_of_counts_say_the_same(x1: int, x2: int, phi: float, tail: float) -> None:
    shift = ShareShift(Events(x1, 50_000), Events(x2, 50_000), phi)
    lower, upper = shift.ends(tail)

    assert shift.p_above(lower) == pytest.approx(tail, rel=1e-3)
    assert shift.p_below(upper) == pytest.approx(tail, rel=1e-3)


def test_what_is_impossible_to_lose_is_never_below_its_tolerance() -> None:
    assert mean_shift(-0.5).p_below(-1.5) == 1.0
    assert mean_shift(-0.5, in_logs=False).p_below(-1.5) > 0.999


# Counts


def test_a_change_of_a_share_is_in_points_of_good_events() -> None:
    shift = ShareShift(Events(5, 10_000), Events(100, 10_000), 1.0)
    lower, upper = shift.ends(0.001)

    assert shift.estimate == pytest.approx(-0.0095, abs=1e-12)
    assert lower < shift.estimate < upper < 0
    assert shift.p_below(0.0) < 1e-12


def test_the_interval_of_a_difference_is_newcombes() -> None:
    (l1, u1), (l2, u2) = bad_interval(5, 1000, alpha=0.05), bad_interval(12, 1000, alpha=0.05)
    lower, upper = ShareShift(Events(5, 1000), Events(12, 1000), 1.0).ends(0.025)

    assert -upper == pytest.approx(0.007 - np.hypot(0.012 - l2, u1 - 0.005), abs=1e-12)
    assert -lower == pytest.approx(0.007 + np.hypot(u2 - 0.012, 0.005 - l1), abs=1e-12)


@given(st.integers(0, 500), st.integers(0, 500))
def test_swapping_the_periods_turns_the_change(one: int, other: int) -> None:
    there = ShareShift(Events(one, 500), Events(other, 500), 1.0)
    back = ShareShift(Events(other, 500), Events(one, 500), 1.0)

    assert back.estimate == -there.estimate
    assert back.ends(0.01) == pytest.approx([-end for end in reversed(there.ends(0.01))], abs=1e-12)


@pytest.mark.parametrize(("before", "after"), [(0.002, 0.006), (1e-4, 1e-4), (0.0, 0.0)])
def test_the_interval_of_counts_holds_the_truth_as_often_as_it_says(before: float, after: float) -> None:
    rng = np.random.default_rng(7)
    pairs = zip(rng.binomial(5000, before, 400), rng.binomial(5000, after, 400), strict=True)
    ends = [ShareShift(Events(int(x), 5000), Events(int(y), 5000), 1.0).ends(0.025) for x, y in pairs]

    assert np.mean([low <= before - after <= high for low, high in ends]) >= 0.95


def test_events_that_come_in_bursts_count_for_less() -> None:
    calm, wild = (ShareShift(Events(20, 10_000), Events(60, 10_000), phi) for phi in (1.0, 4.0))

    assert wild.p_below(0.0) > calm.p_below(0.0)
    assert wild.n_effective == calm.n_effective / 4


def test_a_promise_has_no_error_of_its_own() -> None:
    promised, counted = (
        ShareShift(0.001, Events(50, 20_000), 1.0),
        ShareShift(Events(20, 20_000), Events(50, 20_000), 1.0),
    )

    assert promised.estimate == pytest.approx(counted.estimate)
    assert promised.p_below(0.0) < counted.p_below(0.0)
    assert promised.n == 20_000


def test_the_good_share_of_a_ratio_changes_relatively() -> None:
    total = np.full(24, 1000)
    draft = share_draft((np.full(24, 100), total), (np.full(24, 190), total))

    assert draft.centre == pytest.approx(math.log(0.81 / 0.90))
    assert np.abs(draft.noise).max() < 1e-12
    assert draft.smallest_error == pytest.approx(math.sqrt(0.1 / 21_600 + 0.19 / 19_440))
    assert share_draft((total, total), (np.zeros(24, int), total)) is None


# Quantiles


@pytest.mark.parametrize("median_ms", [24.0, 24.75, 25.5, 60.0, 99.0])
@pytest.mark.parametrize("q", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("change", [0.03, 0.6])
def test_a_bound_between_two_quantiles_does_not_make_the_change_larger(
    median_ms: float, q: float, change: float
) -> None:
    before, after = lognormal(median_ms / 1000), lognormal((1 + change) * median_ms / 1000)

    assert math.expm1(quantile_draft(before, after, q).centre) == pytest.approx(change, rel=0.05)


@given(st.floats(0.003, 3.0), st.floats(0.01, 0.995))
def test_a_smooth_quantile_lies_in_the_bucket_of_the_plain_one(median_s: float, q: float) -> None:
    buckets = lognormal(median_s)
    plain = buckets.quantile(q)
    assume(plain.lower > 0 and math.isfinite(plain.upper))

    assert plain.lower * (1 - 1e-6) <= buckets.smooth_quantile(q) <= plain.upper * (1 + 1e-6)


def test_quantiles_above_the_last_bound_cannot_be_compared() -> None:
    assert quantile_draft(lognormal(100.0), lognormal(200.0), 0.99) is None
    assert quantile_draft(lognormal(0.08), Buckets(BOUNDS, np.zeros((12, 1), int)), 0.99) is None


@pytest.mark.parametrize("median_s", [0.02, 0.026, 0.06, 0.08])
def test_the_error_of_a_quantile_is_that_of_its_rank_through_the_buckets(median_s: float) -> None:
    rng = np.random.default_rng(1)
    n, q = 20_000, 0.95
    shares = np.diff(lognormal(median_s).sums, prepend=0) / lognormal(median_s).sums[-1]
    drawn = [Buckets(BOUNDS, np.cumsum(rng.multinomial(n, shares))[:, None]) for _ in range(300)]
    spread = np.std([math.log(one.smooth_quantile(q)) for one in drawn])
    rank_error = math.sqrt(q * (1 - q) / n)

    assert in_value(rank_error, drawn[0], drawn[1], q) == pytest.approx(spread, rel=0.35)


def test_the_effect_of_slower_requests_is_more_than_a_half() -> None:
    same, slower = (quantile_draft(lognormal(0.08), lognormal(0.08 * by), 0.5).effect for by in (1.0, 1.5))

    assert same == pytest.approx(0.5)
    assert slower > 0.6
