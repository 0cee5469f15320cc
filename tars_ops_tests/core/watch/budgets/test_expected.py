"""Bad events to be expected: against the negative binomial, counted exactly, and against days that differ."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tars_ops.core.watch.budgets.expected import Events, Rate, persistence_of, rate_of

COUNTS = st.integers(0, 500)


def days(*bad: int, total: int = 10_000) -> list[Events]:
    return [Events(one, total) for one in bad]


@given(COUNTS, st.integers(1, 1000), st.integers(1, 10**6), st.integers(1, 10**6))
def test_independent_bad_events_are_a_gamma_poisson_mixture(seen: int, asked: int, known: int, further: int) -> None:
    mixture = stats.nbinom(seen + 0.5, known / (known + further))

    assert Rate(seen, known, 1.0).p_at_least(asked, further) == pytest.approx(
        float(mixture.sf(asked - 1)), rel=1e-6, abs=1e-12
    )


def test_no_bad_event_is_reached_for_sure() -> None:
    assert Rate(0, 1000, 1.0).p_at_least(np.array([-5.0, 0.0]), 1000).tolist() == [1.0, 1.0]
    assert Rate(0, 1000, 1.0).p_at_least(0.0, 0.0) == 1.0


@given(COUNTS, st.floats(1, 50), st.integers(1, 10**5))
def test_an_interval_holds_all_but_its_tails(seen: int, dispersion: float, further: int) -> None:
    rate = Rate(seen, 10_000, dispersion)
    fewest, most = rate.interval(further)

    assert 0 <= fewest <= most
    assert rate.p_at_least(fewest, further) >= 0.95 - 1e-9
    assert rate.p_at_least(most, further) <= 0.05 + 1e-9


@given(COUNTS, st.integers(1, 10**5), st.floats(1, 20))
def test_clumps_widen_an_interval(seen: int, further: int, dispersion: float) -> None:
    fewest, most = Rate(seen, 10_000, 1.0).interval(further)
    fewest_of_clumps, most_of_clumps = Rate(seen, 10_000, dispersion).interval(further)

    assert fewest_of_clumps <= fewest + dispersion
    assert most_of_clumps >= most - 1


@pytest.mark.parametrize(
    ("counted", "dispersion"),
    [
        (days(10), 1.0),
        (days(0, 0, 0), 1.0),
        (days(10, 10, 10, 10), 1.0),
        # chi-square 28.0 of two degrees of freedom; its 0.15 quantile is 0.3250
        (days(2, 30, 10), 29.714285714285715 / 0.3250378589955499),
        # chi-square 10 of one; its 0.15 quantile is 0.0358
        (days(5, 20), 9.0 / 0.035765779155897647),
    ],
)
def test_the_dispersion_of_a_few_days_is_taken_with_caution(counted: list[Events], dispersion: float) -> None:
    assert rate_of(counted).dispersion == pytest.approx(dispersion, rel=1e-9)


def test_more_traffic_is_not_more_dispersion() -> None:
    assert rate_of([Events(10, 10_000), Events(100, 100_000), Events(1, 1_000)]).dispersion == 1.0


def test_bad_days_in_a_row_widen_what_is_known_of_a_rate() -> None:
    wavering = days(2, 30, 10)

    assert rate_of(wavering, persistence=3.0).dispersion == pytest.approx(3 * rate_of(wavering).dispersion)
    assert rate_of(days(10, 10), persistence=3.0).dispersion == 1.0


@pytest.mark.parametrize(
    ("counted", "persistence"),
    [
        (days(1, 1, 1, 9, 9, 9), 1.0),  # too few days to say
        (days(*[5] * 10), 1.0),
        (days(*[1, 9] * 8), 1.0),
        (days(*[1] * 20, *[9] * 20), 9.0),  # no autocorrelation above 0.8 is believed
    ],
)
def test_persistence_is_learnt_from_a_long_series_only(counted: list[Events], persistence: float) -> None:
    assert persistence_of(counted) == pytest.approx(persistence)


def test_persistence_is_corrected_for_its_bias() -> None:
    seen = 0.15426356589147283  # lag one, of the ten days below
    r = seen + (1 + 4 * seen) / 10

    assert persistence_of(days(4, 6, 5, 3, 4, 6, 7, 5, 4, 5)) == pytest.approx((1 + r) / (1 - r))
