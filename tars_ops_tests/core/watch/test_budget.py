"""Error budgets counted by hand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tars_ops.core.policy import Policy
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.budget import Budget, budgets
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


def test_a_steady_burn_ends_when_the_rest_is_gone() -> None:
    found = spent({1: STEADY})

    assert found.exhaustion_days == pytest.approx((1 - found.spent) / found.spent_per_day, abs=1e-6)
    assert found.exhaustion_days > 100


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
