"""The decision flips where one input flips, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tars_ops.core.policy import Policy
from tars_ops.core.verdict import Decision, Severity, Tier, Verdict
from tars_ops.core.watch.budgets.budget import Budget
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome
from tars_ops.core.watch.comparisons.harm import Regression
from tars_ops.core.watch.decision import Day, Reason, confidence_of, decide, drivers_of, reasons_for, tier_of
from tars_ops.core.watch.references import BaselineKind
from tars_ops.core.watch.regression import RegressionAnalysis, day_seen
from tars_ops_tests.core.factories import (
    Change,
    Scene,
    demo_policy,
    during,
    policy_tree,
    release,
    stability,
    steady_days,
    verdict,
)

A_LITTLE_BROKEN = during(Change(service="api", errors=0.002))
KNOWN = Scene(prior_errors=1e-4)


def with_rules(**rules: object) -> Policy:
    tree = policy_tree()
    return Policy.model_validate({**tree, "judgement": {"roll_back": rules}})


def driven(found: RegressionAnalysis) -> set[tuple[str, str | None, str | None]]:
    return {(one.code, one.kpi, one.service) for one in found.drivers}


def regressed(held_s: int, *, severity: Severity = Severity.CRITICAL, kpi: str = "p95_latency") -> Regression:
    comparison = Comparison(
        kpi=kpi,
        service="api",
        day=2,
        baseline=BaselineKind.GA_DAY,
        outcome=Outcome.REGRESSION,
        severity=severity,
        before=0.1,
        after=0.2,
        change=1.0,
        change_in="relative",
        lower=0.9,
        upper=1.1,
        tolerance=0.05,
        effect=1.0,
        test=None,
        p=1e-9,
        p_adjusted=1e-8,
        alpha=0.01,
        n=288,
        n_effective=100.0,
        load=None,
        held_s=held_s,
        sentence="it is slower",
    )
    return Regression(
        kpi=kpi,
        service="api",
        severity=severity,
        days=(1, 2),
        baselines=(BaselineKind.GA_DAY,),
        active=True,
        comparison=comparison,
    )


def of_rules(
    regressions: tuple[Regression, ...] = (),
    *,
    compared: tuple[Comparison, ...] = (),
    spent: tuple[Budget, ...] = (),
    last: int = 2,
    policy: Policy | None = None,
    day_length_s: int = 86400,
) -> list[Reason]:
    judged = {day: stability(day) for day in range(1, last + 1)}
    watched = release(day_length_s=day_length_s)
    days: list[Day] = [day_seen(day, judged, watched, last) for day in watched.days]
    return list(reasons_for(days, judged, regressions, compared, spent, watched, policy or demo_policy()))


# One input flips


@pytest.mark.parametrize(
    ("broken", "decision"), [((2,), Decision.WATCH_CLOSER), ((1, 2), Decision.ROLL_BACK), ((1,), Decision.KEEP)]
)
def test_one_more_day_that_breaks_the_objective(broken: tuple[int, ...], decision: Decision) -> None:
    days: Mapping[str, Scene] = {f"day_{day}": A_LITTLE_BROKEN for day in broken}

    assert verdict(steady_days(2, **days), as_of=2).decision is decision


@pytest.mark.parametrize(("failed_days", "decision"), [(2, Decision.ROLL_BACK), (3, Decision.WATCH_CLOSER)])
def test_how_many_days_may_fail_is_the_policys(failed_days: int, decision: Decision) -> None:
    days = steady_days(2, day_1=A_LITTLE_BROKEN, day_2=A_LITTLE_BROKEN)

    assert verdict(days, as_of=2, policy=with_rules(failed_days=failed_days)).decision is decision


@pytest.mark.parametrize(("of_days", "decision"), [(2, Decision.WATCH_CLOSER), (3, Decision.ROLL_BACK)])
def test_how_far_the_rule_looks_back_is_the_policys(of_days: int, decision: Decision) -> None:
    days = steady_days(4, day_2=A_LITTLE_BROKEN, day_4=A_LITTLE_BROKEN)

    assert verdict(days, as_of=4, policy=with_rules(of_days=of_days)).decision is decision


def test_a_budget_just_over_and_just_below_its_limit() -> None:
    day = {1: during(Change(service="api", hours=(0, 10), errors=0.05), prior_errors=1e-4)}
    spent = max(one.own_share for one in verdict(day, as_of=1, ga=KNOWN).budgets)

    over, below = (verdict(day, as_of=1, ga=KNOWN, policy=with_rules(budget_share=spent * by)) for by in (0.999, 1.001))

    assert driven(over) == {("budget_spent", "availability", "api")}
    assert (over.decision, below.decision) == (Decision.ROLL_BACK, Decision.WATCH_CLOSER)


@pytest.mark.parametrize(
    ("said", "codes"), [(Verdict.FAIL, {"budget_spent"}), (Verdict.WARN, {"budget_spent"}), (Verdict.UNKNOWN, set())]
)
def test_a_budget_too_small_to_say_is_no_reason_to_roll_back(said: Verdict, codes: set[str]) -> None:
    day = {1: during(Change(service="api", hours=(0, 10), errors=0.05), prior_errors=1e-4)}
    most = max(verdict(day, as_of=1, ga=KNOWN).budgets, key=lambda one: one.own_share)

    found = of_rules(spent=(most.model_copy(update={"own_share": 1.5, "verdict": said, "exhaustion_days": None}),))

    assert {one.code for one in found} == codes


@pytest.mark.parametrize(
    ("held_h", "day_length_s", "decision"),
    [
        (23, 86400, Decision.WATCH_CLOSER),
        (24, 86400, Decision.ROLL_BACK),
        (0.9, 3600, Decision.WATCH_CLOSER),
        (1, 3600, Decision.ROLL_BACK),
    ],
)
def test_a_critical_harm_that_lasts_a_day_of_any_length(held_h: float, day_length_s: int, decision: Decision) -> None:
    assert decide(of_rules((regressed(round(3600 * held_h)),), day_length_s=day_length_s)) is decision


@pytest.mark.parametrize(("needed_s", "decision"), [(3600, Decision.ROLL_BACK), (7201, Decision.WATCH_CLOSER)])
def test_how_long_a_critical_harm_may_last_is_the_policys(needed_s: int, decision: Decision) -> None:
    assert decide(of_rules((regressed(7200),), policy=with_rules(critical_held_s=needed_s))) is decision


@pytest.mark.parametrize(
    ("kpi", "severity", "decision"),
    [
        ("p95_latency", Severity.CRITICAL, Decision.ROLL_BACK),
        ("availability", Severity.CRITICAL, Decision.ROLL_BACK),
        ("memory", Severity.CRITICAL, Decision.WATCH_CLOSER),
        ("p95_latency", Severity.HIGH, Decision.WATCH_CLOSER),
        ("p95_latency", Severity.MEDIUM, Decision.KEEP),
    ],
)
def test_what_users_feel_weighs_more(kpi: str, severity: Severity, decision: Decision) -> None:
    assert decide(of_rules((regressed(2 * 86400, severity=severity, kpi=kpi),))) is decision


def test_a_harm_that_has_recovered_is_no_reason() -> None:
    assert of_rules((regressed(2 * 86400).model_copy(update={"active": False}),)) == []


def test_only_better_in_staging_is_no_reason_to_roll_back() -> None:
    staged = regressed(2 * 86400).model_copy(update={"baselines": (BaselineKind.STAGING,)})
    both = staged.model_copy(update={"baselines": (BaselineKind.GA_DAY, BaselineKind.STAGING)})

    assert decide(of_rules((staged,))) is Decision.WATCH_CLOSER
    assert decide(of_rules((both,))) is Decision.ROLL_BACK


def test_unknown_instead_of_kept_is_watched() -> None:
    known, unknown = (
        verdict(steady_days(2, day_2=scene), as_of=2) for scene in (Scene(), Scene(warned=("availability",)))
    )

    assert (known.decision, unknown.decision) == (Decision.KEEP, Decision.WATCH_CLOSER)
    assert unknown.tier is not Tier.GREEN


# Extend


def undecided(p: float, change: float = 0.2, *, kpi: str = "p99_latency") -> Comparison:
    return regressed(0, kpi=kpi).comparison.model_copy(
        update={"outcome": Outcome.UNDECIDED, "severity": None, "day": 7, "p": p, "change": change}
    )


@pytest.mark.parametrize(
    ("last", "found", "decision"),
    [
        (7, undecided(0.01), Decision.EXTEND),
        (6, undecided(0.01), Decision.KEEP),
        (7, undecided(0.2), Decision.KEEP),
        (7, undecided(0.01, change=0.08), Decision.KEEP),
        (7, undecided(0.01, kpi="memory"), Decision.KEEP),
        (7, undecided(0.01).model_copy(update={"baseline": BaselineKind.STAGING}), Decision.KEEP),
        (7, undecided(0.01).model_copy(update={"outcome": Outcome.EQUIVALENT}), Decision.KEEP),
    ],
)
def test_a_watch_that_ends_with_a_likely_harm_of_a_promise_is_extended(
    last: int, found: Comparison, decision: Decision
) -> None:
    assert decide(of_rules(compared=(found,), last=last)) is decision


def test_the_gravest_reason_decides() -> None:
    by_code = {
        "extend": of_rules(compared=(undecided(0.01),), last=7),
        "closer": of_rules((regressed(0),)),
        "back": of_rules((regressed(86400),)),
    }

    assert decide(by_code["extend"] + by_code["closer"]) is Decision.WATCH_CLOSER
    assert decide(by_code["extend"] + by_code["closer"] + by_code["back"]) is Decision.ROLL_BACK
    assert decide([]) is Decision.KEEP


# The colour


@pytest.mark.parametrize(
    ("outcome", "tier"),
    [
        (Outcome.EQUIVALENT, Tier.GREEN),
        (Outcome.UNDECIDED, Tier.GREEN),
        (Outcome.REGRESSION, Tier.AMBER),
        (Outcome.UNKNOWN, Tier.AMBER),
    ],
)
def test_a_drift_that_is_explained_colours_nothing(outcome: Outcome, tier: Tier) -> None:
    drifted = stability(1, during(Change(service="api", memory=1.35)))
    found = regressed(0, kpi="memory").comparison.model_copy(update={"outcome": outcome})
    days = [day_seen(day, {1: drifted}, release(), 1) for day in release().days]

    assert drifted.of_service("memory", "api").verdict is Verdict.FAIL
    assert tier_of(Decision.KEEP, [], [], [found], days, drifted, 1)[0] is tier
    assert tier_of(Decision.KEEP, [], [], [], days, drifted, 1)[0] is Tier.AMBER


# How sure, and who


def test_the_drivers_are_the_reasons_of_the_decision_and_nobody_else() -> None:
    day = during(Change(service="api", hours=(0, 20), errors=0.05), Change(service="worker", memory=1.4))
    found = verdict(steady_days(2, day_2=day), as_of=2)

    assert found.decision is Decision.ROLL_BACK
    assert driven(found) == {("budget_spent", "availability", "api")}
    assert found.drivers[0].days == (2,)
    assert verdict(steady_days(2), as_of=2).drivers == ()


def test_the_confidence_is_that_of_the_surest_reason() -> None:
    days = steady_days(2, day_1=A_LITTLE_BROKEN, day_2=A_LITTLE_BROKEN)
    found = verdict(days, as_of=2)

    assert found.confidence == max(one.confidence for one in found.reasons if one.argues_for is Decision.ROLL_BACK)
    assert found.confidence > 0.99
    assert verdict(steady_days(2), as_of=2).confidence is None
    assert confidence_of(Decision.WATCH_CLOSER, [one for one in found.reasons if one.confidence is None]) is None
    assert drivers_of(Decision.KEEP, found.reasons) == ()


def test_a_day_that_only_just_fails_is_less_sure() -> None:
    worse, slightly = (
        verdict({1: during(Change(service="api", errors=extra))}, as_of=1).reasons for extra in (0.003, 0.00102)
    )
    sure = {
        len(those): next(one.confidence for one in those if one.code == "slo_failing") for those in (worse, slightly)
    }

    assert min(sure.values()) >= 0.999  # the exact binomial rule has spoken
    assert len(worse) > 0


# What is saved


def test_rolling_back_saves_what_the_latest_day_burnt_on_every_day_that_is_left() -> None:
    day = {1: during(Change(service="api", errors=0.02), prior_errors=1e-4)}
    found = verdict(day, as_of=1, ga=KNOWN)
    saved, budget = found.expected_budget_saved, next(one for one in found.budgets if one.service == "api")
    per_day = next(one.spent for one in budget.days if one.day == 1)

    assert (saved.kpi, saved.service, saved.n_days) == ("availability", "api", 28)
    assert saved.share == pytest.approx(28 * per_day, rel=0.02)
    assert saved.low < saved.share < saved.high


@pytest.mark.parametrize("ga", [Scene(), KNOWN])
def test_a_quiet_release_saves_nothing_by_rolling_back(ga: Scene) -> None:
    assert verdict(steady_days(3), as_of=3, ga=ga).expected_budget_saved is None


def test_what_recovered_is_not_saved() -> None:
    broken = during(Change(service="api", errors=0.02), prior_errors=1e-4)

    assert verdict(steady_days(2, day_1=broken), as_of=2, ga=KNOWN).expected_budget_saved is None


def test_where_nothing_is_known_from_before_the_ga_day_stands_for_usual() -> None:
    found = verdict({1: during(Change(service="api", errors=0.02))}, as_of=1).expected_budget_saved

    assert found is not None
    assert found.service == "api"
