"""Budgets, intervals and quantiles against arithmetic by hand, against scipy.stats and against Prometheus' rules."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from tars_ops.core.errors import ContractError
from tars_ops.core.sli import (
    bad_interval,
    budget_events,
    burn_rate,
    events_needed,
    p_at_least,
    quantile,
    sli,
)

EXACT = pytest.approx
BOUNDS = [0.1, 0.25, 0.5, 1.0, math.inf]


@st.composite
def events(draw: st.DrawFn) -> tuple[int, int]:
    total = draw(st.integers(1, 100_000))
    return draw(st.integers(0, total)), total


@st.composite
def histograms(draw: st.DrawFn) -> tuple[list[float], list[int]]:
    finite = draw(st.lists(st.floats(1e-3, 100), min_size=1, max_size=8, unique=True).map(sorted))
    counts = draw(st.lists(st.integers(0, 1000), min_size=len(finite) + 1, max_size=len(finite) + 1))
    return [*finite, math.inf], np.cumsum(counts).tolist()


@pytest.mark.parametrize(
    ("bad", "total", "objective", "share", "burn", "budget"),
    [
        (0, 1000, 0.999, 1.0, 0.0, 1.0),
        (1, 1000, 0.999, 0.999, 1.0, 1.0),
        (17, 40_000, 0.999, 0.999575, 0.425, 40.0),
        (300, 1_000_000, 0.9995, 0.9997, 0.6, 500.0),
        (50, 1000, 0.99, 0.95, 5.0, 10.0),
        (7, 7, 0.9, 0.0, 10.0, 0.7),
    ],
)
def test_shares_burn_rates_and_budgets_are_those_counted_by_hand(
    bad: int, total: int, objective: float, share: float, burn: float, budget: float
) -> None:
    assert sli(bad, total) == EXACT(share, abs=1e-9)
    assert burn_rate(bad, total, objective=objective) == EXACT(burn, abs=1e-9)
    assert budget_events(total, objective=objective) == EXACT(budget, abs=1e-9)


def test_a_quiet_day_weighs_as_much_as_its_events() -> None:
    weighted = sli(1_000 + 500, 1_000_000 + 10_000)
    averaged = (sli(1_000, 1_000_000) + sli(500, 10_000)) / 2

    assert weighted == EXACT(0.998514851485, abs=1e-9)
    assert averaged == EXACT(0.9745, abs=1e-9)


def test_nothing_is_not_everything() -> None:
    assert math.isnan(sli(0, 0))
    assert math.isnan(burn_rate(0, 0, objective=0.999))


@given(events(), st.floats(1e-6, 0.5))
def test_the_tail_is_the_binomial_one(counted: tuple[int, int], probability: float) -> None:
    bad, total = counted

    assert p_at_least(bad, total, probability=probability) == EXACT(
        float(stats.binom.sf(bad - 1, total, probability)), rel=1e-6, abs=1e-290
    )


def test_more_bad_events_than_events_are_impossible() -> None:
    assert p_at_least(11, 10, probability=0.5) == 0.0
    assert p_at_least(200, 100, probability=0.001) == 0.0


@given(events(), st.sampled_from([0.05, 0.01, 0.001]))
def test_the_interval_is_that_of_clopper_and_pearson(counted: tuple[int, int], alpha: float) -> None:
    bad, total = counted
    low, high = bad_interval(bad, total, alpha=alpha)

    assert low == EXACT(0.0 if bad == 0 else float(stats.beta.ppf(alpha / 2, bad, total - bad + 1)), rel=1e-6)
    assert high == EXACT(1.0 if bad == total else float(stats.beta.ppf(1 - alpha / 2, bad + 1, total - bad)), rel=1e-6)
    assert low <= bad / total <= high


def test_of_no_events_anything_may_be_bad() -> None:
    assert bad_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize(
    ("cumulative", "q", "value", "lower", "upper"),
    [
        ([50, 50, 100, 100, 100], 0.75, 0.375, 0.25, 0.5),
        ([100, 100, 100, 100, 100], 0.5, 0.05, 0.0, 0.1),
        ([0, 0, 0, 0, 7], 0.5, 1.0, 1.0, math.inf),
        ([0, 0, 0, 10, 10], 0.5, 0.75, 0.5, 1.0),
        ([99, 99, 99, 99, 100], 0.99, 0.1, 0.0, 0.1),
        ([98, 98, 98, 99, 100], 0.99, 1.0, 0.5, 1.0),
        ([98, 98, 98, 98, 100], 0.99, 1.0, 1.0, math.inf),
    ],
)
def test_a_quantile_follows_the_rules_of_prometheus(
    cumulative: list[int], q: float, value: float, lower: float, upper: float
) -> None:
    found = quantile(BOUNDS, cumulative, q)

    assert found == EXACT((value, lower, upper), abs=1e-9)


def test_a_step_down_is_repaired_by_the_running_maximum() -> None:
    torn, whole = [50, 60, 59, 90, 100], [50, 60, 60, 90, 100]

    assert quantile(BOUNDS, torn, 0.8) == quantile(BOUNDS, whole, 0.8)


def test_without_events_there_is_no_quantile() -> None:
    assert all(math.isnan(one) for one in quantile(BOUNDS, [0] * 5, 0.5))


@pytest.mark.parametrize(
    ("bounds", "cumulative"),
    [([], []), ([math.inf], [5]), ([0.1, 0.5], [1, 2]), ([0.1, 0.5, math.inf], [1, 2])],
)
def test_what_does_not_end_at_infinity_is_no_histogram(bounds: list[float], cumulative: list[int]) -> None:
    with pytest.raises(ContractError, match="not a histogram"):
        quantile(bounds, cumulative, 0.5)


@given(histograms(), st.floats(0.01, 0.99))
def test_a_quantile_lies_in_its_bucket(histogram: tuple[list[float], list[int]], q: float) -> None:
    bounds, cumulative = histogram
    assume(cumulative[-1] > 0)

    value, lower, upper = quantile(bounds, cumulative, q)

    assert lower <= value <= upper
    assert upper in bounds


@given(histograms(), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_a_higher_quantile_is_not_lower(histogram: tuple[list[float], list[int]], one: float, other: float) -> None:
    bounds, cumulative = histogram
    assume(cumulative[-1] > 0)
    low, high = sorted((one, other))

    below, above = quantile(bounds, cumulative, low).value, quantile(bounds, cumulative, high).value

    assert below <= above * (1 + 1e-12)


@given(st.lists(st.floats(0, 12), min_size=1, max_size=300), st.decimals("0.001", "0.999", places=3))
def test_the_bucket_of_a_quantile_is_that_of_the_event_of_its_rank(values: list[float], q: Decimal) -> None:
    """The rank is that of the decimal somebody wrote: 7 % of 100 events is the seventh, not the one after it."""
    cumulative = [sum(value <= bound for value in values) for bound in BOUNDS]
    rank = math.ceil(Fraction(q) * len(values))
    true = sorted(values)[rank - 1]

    value, lower, upper = quantile(BOUNDS, cumulative, float(q))

    assert lower <= true <= upper
    assert upper == next(bound for bound in BOUNDS if true <= bound)
    assert lower <= value <= upper


def test_a_rank_on_a_border_falls_into_the_bucket_that_ends_there() -> None:
    assert quantile([0.1, 5.0, 10.0, math.inf], [7, 7, 100, 100], 0.07) == EXACT((0.1, 0.0, 0.1))


# How many events it takes


@pytest.mark.parametrize(
    ("objective", "burn"), [(0.999, 14.4), (0.999, 6.0), (0.999, 2.0), (0.99, 5.0), (0.9, 5.0), (0.4, 1 / 0.6)]
)
def test_one_event_less_could_not_tell_the_burn_rate(objective: float, burn: float) -> None:
    def chance(n: int) -> float:
        n_bad = min(1.0, burn * (1 - objective)) * n
        return float(stats.beta.cdf(1 - objective, n_bad, n - n_bad + 1))

    n = events_needed(objective=objective, burn=burn, alpha=0.001)

    assert chance(n) <= 0.001 < chance(n - 1)


@pytest.mark.parametrize("burn", [1.0, 0.5, 1001.0])
def test_no_number_of_events_tells_what_cannot_be(burn: float) -> None:
    with pytest.raises(ContractError, match="no event tells it from 1"):
        events_needed(objective=0.999, burn=burn, alpha=0.001)
