"""When a rolling budget ends: by hand, day by day with fractions, and where it never does."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.watch.budgets.exhaustion import HORIZON_DAYS, Exhaustion, Forecast, exhaustion, traffic_of
from tars_ops.core.watch.budgets.expected import Events, rate_of

OBJECTIVE = 0.999
A_DAY = 100_000


def burning(*, before: float, since: float, n_since: int, period: int = 30, total: int = A_DAY) -> dict[int, Events]:
    """Return days at steady burn rates, ``n_since`` of them since GA."""
    days = range(n_since - period, n_since)
    return {day: Events(round((since if day >= 0 else before) * total / 1000), total) for day in days}


def ends(days: Mapping[int, Events], *, period: int = 30, objective: float = OBJECTIVE) -> Exhaustion:
    latest = max(days)
    known = {day: one for day, one in days.items() if day > latest - period}
    pace = rate_of([one for day, one in days.items() if day >= 0])
    traffic = traffic_of(known, has_weekdays=True)
    return exhaustion(known, traffic, pace, latest=latest, period_days=period, objective=objective)


@pytest.mark.parametrize(
    ("before", "since", "n_since", "days"),
    [
        (0.5, 2.0, 3, 7.0),  # R = 0.35: a straight line says 5.25
        (0.0, 2.0, 3, 12.0),  # what leaves was free of errors: the straight line is right
        (0.5, 1.5, 1, (1 - (29 * 0.5 + 1.5) / 30) * 30),
        (1.0, 2.0, 1, 0.0),
        (0.5, 0.9, 3, None),  # burns faster than before, and never fast enough
        (2.0, 0.5, 25, None),  # burns slower than what leaves
        (0.9, 0.9, 3, None),
        (0.0, 1.5, 8, 12.0),
        (0.99, 1.05, 3, 2.0),
        (0.0, 1.0, 5, 25.0),  # exactly the rate that spends the budget in exactly its period
    ],
)
def test_a_steady_burn_ends_when_it_outweighs_what_leaves(
    before: float, since: float, n_since: int, days: float | None
) -> None:
    found = ends(burning(before=before, since=since, n_since=n_since)).days

    assert found == (None if days is None else pytest.approx(days, abs=1e-9))


def test_the_worked_example_leaves_a_third_and_is_not_a_straight_line() -> None:
    days = burning(before=0.5, since=2.0, n_since=3)
    rest = 1 - sum(one.n_bad for one in days.values()) / (30 * A_DAY * (1 - OBJECTIVE))
    found = ends(days)

    assert rest == pytest.approx(0.35, abs=1e-9)
    assert rest * 30 / 2.0 == pytest.approx(5.25, abs=1e-9)
    assert found.days == pytest.approx(7.0, abs=1e-9)
    assert found.low is not None
    assert found.high is not None
    assert found.low <= 7.0 <= found.high


@pytest.mark.parametrize(("bad_day", "days"), [(-10, (1 - 23.6 / 30) / 0.04), (-26, 22.0)])
def test_a_bad_day_that_leaves_in_time_gives_its_share_back(bad_day: int, days: float) -> None:
    counted = {**burning(before=0.0, since=1.2, n_since=3), bad_day: Events(2000, A_DAY)}

    assert ends(counted).days == pytest.approx(days, abs=1e-9)


@st.composite
def weeks(draw: st.DrawFn) -> dict[int, Events]:
    n_since, n_before = draw(st.integers(1, 9)), draw(st.integers(0, 29))
    totals = st.integers(1_000, 50_000)
    return {
        day: Events(draw(st.integers(0, 60)), draw(totals))
        for day in range(-n_before, n_since)
        if day == 0 or draw(st.integers(0, 9))
    }


@given(weeks(), st.sampled_from([7, 14, 30, 90]), st.booleans())
def test_the_end_is_that_of_a_count_with_fractions(days: dict[int, Events], period: int, has_weekdays: bool) -> None:
    latest = max(days)
    known = {day: one for day, one in days.items() if day > latest - period}
    traffic = traffic_of(known, has_weekdays=has_weekdays)
    since = [one for day, one in days.items() if day >= 0]
    pace = Fraction(sum(one.n_bad for one in since), sum(one.n_total for one in since))
    found = exhaustion(known, traffic, rate_of(since), latest=latest, period_days=period, objective=0.999).days

    def rest(k: int) -> Fraction:
        period_of_k = range(latest + k - period + 1, latest + k + 1)
        total = sum(Fraction(known[day].n_total if day in known else traffic.of(day)) for day in period_of_k)
        to_come = sum(Fraction(traffic.of(day)) for day in period_of_k if day > latest)
        n_bad = sum(known[day].n_bad for day in period_of_k if day in known)
        return Fraction(total) / 1000 - n_bad - pace * Fraction(to_come)

    k = next((k for k in range(HORIZON_DAYS + 1) if rest(k) <= 0), None)
    if k is None:
        assert found is None or rest(round(found)) < 1e-6
    elif k == 0:
        assert found == pytest.approx(0.0, abs=1e-9)
    else:
        assert found == pytest.approx(float(k - 1 + rest(k - 1) / (rest(k - 1) - rest(k))), abs=1e-6)


@given(weeks())
def test_an_interval_holds_the_estimate(days: dict[int, Events]) -> None:
    found = ends(days)
    low, point, high = (HORIZON_DAYS if one is None else one for one in (found.low, found.days, found.high))

    assert 0 <= low <= high
    assert low <= point + 1 / 24


def test_what_is_spent_is_spent_for_sure() -> None:
    assert ends(burning(before=1.2, since=1.0, n_since=2)) == Exhaustion(0.0, 0.0, 0.0)


def test_a_budget_may_last_for_sure_for_ninety_days() -> None:
    assert ends(burning(before=0.1, since=0.1, n_since=8)) == Exhaustion(None, None, None)


def test_days_that_differ_widen_the_interval() -> None:
    even = burning(before=0.5, since=2.0, n_since=4)
    uneven = {**even, 0: Events(0, A_DAY), 1: Events(400, A_DAY), 2: Events(0, A_DAY), 3: Events(400, A_DAY)}

    assert ends(uneven).days == pytest.approx(ends(even).days)
    assert (ends(uneven).low or 0) < (ends(even).low or 0)
    assert (ends(uneven).high or HORIZON_DAYS) > (ends(even).high or HORIZON_DAYS)


# Traffic


def test_a_day_is_foreseen_by_its_weekday_where_every_weekday_is_known() -> None:
    days = {day: Events(0, 1000 + 100 * (day % 7)) for day in range(-13, 1)}
    found = traffic_of(days, has_weekdays=True)

    assert found.forecast is Forecast.WEEKDAY_MEANS
    assert [found.of(day) for day in range(1, 9)] == [1000 + 100 * (day % 7) for day in range(1, 9)]


@pytest.mark.parametrize(("n_days", "has_weekdays"), [(6, True), (14, False)])
def test_a_day_is_foreseen_by_the_mean_where_weekdays_are_not_known(n_days: int, *, has_weekdays: bool) -> None:
    days = {-day: Events(0, 1000 + day) for day in range(n_days)}
    found = traffic_of(days, has_weekdays=has_weekdays)

    assert found.forecast is Forecast.DAILY_MEAN
    assert found.of(3) == pytest.approx(1000 + (n_days - 1) / 2)
