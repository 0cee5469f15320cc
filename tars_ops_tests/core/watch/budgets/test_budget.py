"""Error budgets counted by hand."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.policy import Judgement, Policy
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.budgets.budget import Budget, budget_of, budgets
from tars_ops.core.watch.budgets.counted import Counted
from tars_ops.core.watch.budgets.exhaustion import Forecast
from tars_ops.core.watch.budgets.expected import Events
from tars_ops_tests.benchmarks.budgets import WORLDS, World, holds, month
from tars_ops_tests.core.factories import (
    STEADY,
    Change,
    Scene,
    baseline,
    demo_policy,
    during,
    policy_tree,
    stability,
    telemetry,
)

PERFECT = Scene(errors=0.0)


def spent(
    days: Mapping[int, Scene], *, ga: Scene = STEADY, kpi: str = "availability", service: str = "api", period: int = 30
) -> Budget:
    policy = Policy.model_validate(policy_tree(judgement={"slo_period_days": period}))
    judged = {day: stability(day, scene, ga=ga) for day, scene in days.items()}
    found = budgets(telemetry(0, ga), baseline(ga), judged, policy)
    return next(one for one in found if (one.kpi, one.service) == (kpi, service))


def events(day: int, scene: Scene = STEADY, *, kpi: str = "availability") -> tuple[int, int]:
    row = stability(day, scene).of_service(kpi, "api")
    assert row is not None
    assert row.measured.burn is not None
    return row.measured.burn


def on_ga_day(kpi: str = "availability") -> tuple[int, int]:
    one = baseline().of(kpi, "api")
    assert one is not None
    assert one.burn is not None
    return one.burn


def test_a_budget_is_the_allowed_share_of_the_events_of_its_period() -> None:
    (bad_0, total_0), (bad_1, total_1) = on_ga_day(), events(1)
    found = spent({1: STEADY})

    assert found.n_period_expected == pytest.approx((total_0 + total_1) / 2 * 30, abs=1e-6)
    assert found.spent == pytest.approx((bad_0 + bad_1) / (found.n_period_expected * 0.001), abs=1e-9)
    assert found.spent_per_day == pytest.approx(found.spent / 2, abs=1e-9)
    assert [one.spent for one in found.days] == pytest.approx(
        [bad / (found.n_period_expected * 0.001) for bad in (bad_0, bad_1)]
    )


def test_a_budget_of_a_latency_counts_the_slow_requests() -> None:
    (bad_0, total_0), (bad_1, total_1) = on_ga_day("p99_latency"), events(1, kpi="p99_latency")
    found = spent({1: STEADY}, kpi="p99_latency")

    assert found.objective == 0.99
    assert found.spent == pytest.approx((bad_0 + bad_1) / ((total_0 + total_1) / 2 * 30 * 0.01), abs=1e-9)


def test_without_days_before_ga_a_budget_is_anchored_at_ga() -> None:
    found = spent({1: STEADY})

    assert found.n_prior_days == 0
    assert found.own_share == pytest.approx(found.spent, abs=1e-12)


def test_the_release_owns_what_it_took_beyond_the_rate_before_ga() -> None:
    ga = Scene(prior_errors=1e-4)
    found = spent({1: STEADY}, ga=ga)
    bad, total = (a + b for a, b in zip(on_ga_day(), events(1), strict=True))

    assert found.n_prior_days == 28
    assert found.own_share == pytest.approx(max(0.0, bad - 1e-4 * total) / (found.n_period_expected * 0.001), abs=1e-5)
    assert found.spent == pytest.approx((bad + 28 * 172.8) / (found.n_period_expected * 0.001), rel=0.01)


def test_a_release_that_is_better_than_before_owns_nothing() -> None:
    found = spent({1: STEADY}, ga=Scene(prior_errors=5e-4))

    assert found.own_share == 0.0
    assert found.spent > 0.4


def test_days_before_ga_leave_the_period_as_days_of_the_watch_enter_it() -> None:
    ga = Scene(prior_errors=1e-4)

    assert [spent(dict.fromkeys(range(1, n + 1), STEADY), ga=ga).n_prior_days for n in (1, 3, 7)] == [28, 26, 22]
    assert spent({1: STEADY}, ga=ga, period=2).n_prior_days == 0


def test_five_percent_errors_during_one_day_spend_more_than_the_whole_budget() -> None:
    found = spent({1: STEADY, 2: during(Change(service="api", errors=0.05))})

    assert found.own_share == pytest.approx(0.05 / 0.001 / 30, rel=0.02)
    assert found.exhaustion_days == 0.0
    assert found.status == "Critical"
    assert spent({1: STEADY, 2: during(Change(service="api", errors=0.05))}, service="worker").status == "Healthy"


def test_what_burns_nothing_never_ends() -> None:
    found = spent({1: PERFECT}, ga=PERFECT)

    assert (found.spent, found.own_share, found.exhaustion_days) == (0.0, 0.0, None)
    assert [one.burn for one in found.days] == [0.0, 0.0]


def test_a_steady_burn_below_the_objective_never_ends() -> None:
    found = spent({1: STEADY})

    assert (found.exhaustion_days, found.exhaustion_low_days, found.exhaustion_high_days) == (None, None, None)


def test_a_steady_burn_above_the_objective_ends_within_the_period() -> None:
    burning = Scene(errors=2e-3)
    found = spent({1: burning}, ga=burning)

    assert found.exhaustion_days == pytest.approx((1 - found.spent) / found.spent_per_day, abs=1e-6)
    assert found.exhaustion_days == pytest.approx(13, rel=0.02)
    assert 0 < (found.exhaustion_low_days or 0) <= 13.1


@pytest.mark.parametrize("blind", [Scene(keep=0.5), Scene(warned=("availability",)), during(Change(traffic=0.0))])
def test_a_day_that_nobody_knows_takes_nothing_and_is_not_called_free(blind: Scene) -> None:
    found = spent({1: STEADY, 2: blind})

    assert [(one.day, one.n_bad is None) for one in found.days] == [(0, False), (1, False), (2, True)]
    assert (found.days[2].burn, found.days[2].spent) == (None, None)
    assert found.spent == pytest.approx(spent({1: STEADY}).spent, abs=1e-12)


def test_a_ga_day_that_nobody_knows_is_left_out() -> None:
    found = spent({1: STEADY}, ga=Scene(keep=0.5))

    assert found.days[0].n_bad is None
    assert found.n_period_expected == 30 * events(1)[1]


def test_a_service_that_nobody_ever_counted_has_no_budget() -> None:
    blind = Scene(keep=0.5)
    judged = {1: stability(1, blind, ga=blind)}

    assert budgets(telemetry(0, blind), baseline(blind), judged, demo_policy()) == ()


def test_every_promise_of_every_service_has_a_budget() -> None:
    found = budgets(telemetry(0), baseline(), {1: stability()}, demo_policy())

    assert {(one.kpi, one.service) for one in found} == {
        (kpi, service) for kpi in ("availability", "p99_latency") for service in ("api", "worker")
    }
    assert stability().of("availability").verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("share", "word"),
    [
        (0.25, "Healthy"),
        (0.26, "Moderate"),
        (0.5, "Moderate"),
        (0.51, "At Risk"),
        (0.75, "At Risk"),
        (0.76, "Critical"),
    ],
)
def test_a_budget_in_one_word(share: float, word: str) -> None:
    assert spent({1: STEADY}).model_copy(update={"spent": share}).status == word


# Counts by hand

A_MILLION = 1_000_000
RULES = Judgement()


def counted(
    since_ga: Mapping[int, Events | None], before: Mapping[int, Events] | None = None, *, objective: float = 0.999
) -> Counted:
    return Counted("availability", "api", objective, since_ga, before or {})


@pytest.mark.parametrize(
    ("since_ga", "before", "expected", "spent", "so_far", "own"),
    [
        # 300 bad of 30 million expected, of which 30,000 are allowed
        ({0: (100, 1_000_000), 1: (200, 1_000_000)}, {}, 30e6, 0.01, 0.15, 0.01),
        # a busy day and a quiet one weigh as many events as they have
        ({0: (1_000, 1_000_000), 1: (500, 10_000)}, {}, 15_150_000, 1500 / 15_150, 1500 / 1010, 1500 / 15_150),
        # a day that nobody knows is foreseen, and spends nothing
        ({0: (100, 1_000_000), 1: None, 2: (200, 1_000_000)}, {}, 30e6, 0.01, 0.15, 0.01),
        # 28 days before GA at 0.05 %: 14,000 bad; the release doubles it
        (
            {0: (1_000, 1_000_000), 1: (1_000, 1_000_000)},
            {-day: (500, 1_000_000) for day in range(1, 30)},
            30e6,
            16_000 / 30_000,
            16_000 / 30_000,
            1_000 / 30_000,
        ),
        # weekends before GA have half of the traffic; a Saturday and a Monday that are not known are foreseen as such
        (
            {0: (0, 1_000_000)},
            {-day: (0, 500_000 if day % 7 in {1, 2} else 1_000_000) for day in range(1, 30) if day not in {8, 10}},
            30e6 - 9 * 0.5e6,
            0.0,
            0.0,
            0.0,
        ),
    ],
)
def test_budgets_are_those_counted_by_hand(
    since_ga: Mapping[int, tuple[int, int] | None],
    before: Mapping[int, tuple[int, int]],
    expected: float,
    spent: float,
    so_far: float,
    own: float,
) -> None:
    found = budget_of(
        counted(
            {day: Events(*one) if one else None for day, one in since_ga.items()},
            {day: Events(*one) for day, one in before.items()},
        ),
        RULES,
    )

    assert found.n_period_expected == pytest.approx(expected, abs=1e-6)
    assert found.spent == pytest.approx(spent, abs=1e-9)
    assert found.spent_so_far == pytest.approx(so_far, abs=1e-9)
    assert found.own_share == pytest.approx(own, abs=1e-9)


@st.composite
def histories(draw: st.DrawFn) -> tuple[dict[int, Events | None], dict[int, Events]]:
    def events() -> Events:
        n_total = draw(st.integers(1, 10**7))
        return Events(draw(st.integers(0, min(n_total, 10**5))), n_total)

    since = {day: events() if day == 0 or draw(st.booleans()) else None for day in range(draw(st.integers(1, 9)))}
    return since, {-day: events() for day in range(1, draw(st.integers(0, 29)) + 1)}


@given(histories(), st.sampled_from([7, 14, 30]), st.sampled_from(["0.9", "0.99", "0.999", "0.9995"]))
def test_a_budget_is_the_one_of_exact_fractions(
    history: tuple[dict[int, Events | None], dict[int, Events]], period: int, objective: str
) -> None:
    since, before = history
    found = budget_of(counted(since, before, objective=float(objective)), Judgement(slo_period_days=period))
    error_ratio, latest = 1 - Fraction(objective), max(since)
    known = {day: one for day, one in {**since, **before}.items() if one}
    inside = {day: one for day, one in known.items() if latest - period < day <= latest}
    n_bad, n_total = (Fraction(sum(one[i] for one in inside.values())) for i in (0, 1))
    allowed = Fraction(found.n_period_expected) * error_ratio
    usual = (
        [Fraction(sum(column)) for column in zip(*before.values(), strict=True)]
        if before
        else [Fraction(0), Fraction(1)]
    )
    own = [(one.n_bad, one.n_total) for day, one in inside.items() if day >= 0]
    taken = [Fraction(sum(column)) for column in zip(*own, strict=True)] if own else [Fraction(0), Fraction(0)]

    assert found.spent == pytest.approx(float(n_bad / allowed), rel=1e-9)
    assert found.spent_so_far == (pytest.approx(float(n_bad / n_total / error_ratio), rel=1e-9) if inside else None)
    assert found.own_share == pytest.approx(
        float(max(Fraction(0), taken[0] - usual[0] / usual[1] * taken[1]) / allowed), rel=1e-9, abs=1e-12
    )
    assert [(one.n_bad, one.n_total) for one in found.days] == [since[day] or (None, None) for day in sorted(since)]
    assert found.days[-1].gone == (pytest.approx(found.spent, rel=1e-9) if since[latest] else None)


def test_a_day_that_left_the_period_spends_nothing_any_more() -> None:
    days = {0: Events(5_000, A_MILLION), **{day: Events(0, A_MILLION) for day in range(1, 8)}}
    found = budget_of(counted(days), Judgement(slo_period_days=7))

    assert [one.gone for one in found.days] == pytest.approx([5 / 7] * 7 + [0.0])
    assert (found.spent, found.own_share) == (0.0, 0.0)


# The release's own share


USUAL = {-day: Events(500, A_MILLION) for day in range(1, 30)}


def own(n_bad: int, before: Mapping[int, Events]) -> Budget:
    return budget_of(counted({0: Events(n_bad, A_MILLION), 1: Events(n_bad, A_MILLION)}, before), RULES)


def test_without_two_days_before_ga_nobody_knows_how_sure_the_own_share_is() -> None:
    assert own(500, {}).own is None
    assert own(500, {-1: Events(500, A_MILLION)}).own is None
    assert own(500, {-1: Events(500, A_MILLION), -2: Events(500, A_MILLION)}).own is not None


@pytest.mark.parametrize(("n_bad", "p_above_limit"), [(500, 0.0), (15_400, 0.0), (15_500, 0.5), (15_650, 1.0)])
def test_the_chance_that_a_release_spent_a_whole_budget(n_bad: int, p_above_limit: float) -> None:
    found = own(n_bad, USUAL)

    assert found.own is not None
    assert found.own.p_above_limit == pytest.approx(p_above_limit, abs=0.06)
    assert found.own.low <= found.own_share <= found.own.high


def test_days_that_differ_before_ga_make_the_own_share_less_sure() -> None:
    wavering = {day: Events(0 if day % 2 else 1_000, A_MILLION) for day in USUAL}
    even, uneven = own(2_000, USUAL), own(2_000, wavering)

    assert even.own is not None
    assert uneven.own is not None
    assert uneven.own.dispersion > 100 > even.own.dispersion
    assert uneven.own_share == pytest.approx(even.own_share, rel=0.05)
    assert uneven.own.high - uneven.own.low > 5 * (even.own.high - even.own.low)


@pytest.mark.parametrize("world", [WORLDS[0], WORLDS[2]])
def test_intervals_hold_what_is_true_in_nine_months_of_ten(world: World) -> None:
    held = [holds(month(world, 200_000, 5, number)) for number in range(200)]

    assert min(sum(own for own, _ in held), sum(ends for _, ends in held)) >= 0.9 * len(held)


# Too little to say


@pytest.mark.parametrize(
    ("n_bad", "n_total", "verdict", "status"),
    [
        (0, 100, Verdict.UNKNOWN, "Unknown"),  # 3,000 events a period: 3 bad ones are the whole budget
        (4, 100, Verdict.UNKNOWN, "Unknown"),  # four failures of 100 requests spend it, and may be chance
        (50, 100, Verdict.FAIL, "Critical"),  # no chance
        (0, 1_000, Verdict.PASS, "Healthy"),
        (31, 1_000, Verdict.WARN, "Critical"),  # all of it is gone, by chance perhaps
        (60, 1_000, Verdict.FAIL, "Critical"),
    ],
)
def test_a_budget_of_few_events_is_unknown_and_says_how_many_it_needs(
    n_bad: int, n_total: int, verdict: Verdict, status: str
) -> None:
    found = budget_of(counted({0: Events(n_bad, n_total)}), RULES)

    assert (found.verdict, found.status, found.n_needed) == (verdict, status, 12_903)


def test_a_budget_is_unknown_where_most_days_since_ga_are() -> None:
    known = Events(0, A_MILLION)

    assert budget_of(counted({0: known, 1: None}), RULES).verdict is Verdict.PASS
    assert budget_of(counted({0: known, 1: None, 2: None}), RULES).verdict is Verdict.UNKNOWN
    assert budget_of(counted({0: known, 1: None, 2: None}), RULES).n_unknown_days == 2


def test_a_bake_time_has_no_weekdays() -> None:
    days = {day: Events(0, 1_000 * (day + 1)) for day in range(8)}
    bake = Counted("availability", "api", 0.999, days, {}, has_weekdays=False)

    assert budget_of(bake, RULES).forecast is Forecast.DAILY_MEAN
    assert budget_of(counted(days), RULES).forecast is Forecast.WEEKDAY_MEANS
