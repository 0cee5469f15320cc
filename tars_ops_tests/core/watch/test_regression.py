"""Keep, watch closer or roll back: the rules, the reasons, and what must not change the answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.errors import MissingInputError
from tars_ops.core.policy import BUDGET_LIMITS, LATENCY_LIMITS, Policy, Worse
from tars_ops.core.telemetry import COUNT_COLUMNS, SAMPLE_COLUMNS, Telemetry
from tars_ops.core.units import percent
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.baseline import summarise
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome, outcome_of, severity_of
from tars_ops.core.watch.comparisons.harm import Regression
from tars_ops.core.watch.decision import Reason, assessment_of
from tars_ops.core.watch.references import BaselineKind
from tars_ops.core.watch.regression import RegressionAnalysis, analyse
from tars_ops.core.watch.stability import judge_day
from tars_ops_tests.core.factories import (
    STEADY,
    Change,
    Scene,
    baseline,
    demo_policy,
    during,
    policy_tree,
    release,
    stability,
    steady_days,
    telemetry,
    verdict,
)

FIVE_PERCENT = during(Change(service="api", errors=0.05))
A_LITTLE_BROKEN = during(Change(service="api", errors=0.002))
SLOW = during(Change(service="api", latency=1.6))
SERIOUS = {Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL}


def reasons(found: RegressionAnalysis, code: str) -> list[Reason]:
    return [one for one in found.reasons if one.code == code]


def regression(found: RegressionAnalysis, kpi: str, service: str = "api") -> Regression:
    return next(one for one in found.regressions if (one.kpi, one.service) == (kpi, service))


def comparison(found: RegressionAnalysis, kpi: str, service: str = "api") -> Comparison:
    return next(one for one in of_ga(found) if (one.kpi, one.service) == (kpi, service))


def of_ga(found: RegressionAnalysis) -> list[Comparison]:
    return [one for one in found.comparisons if one.baseline is BaselineKind.GA_DAY]


def judged(telemetries: Mapping[int, Telemetry], *, as_of: int) -> RegressionAnalysis:
    """Judge telemetry made by hand; day 0 is the GA day."""
    first = summarise(telemetries[0], release(), demo_policy())
    days = {day: found for day, found in telemetries.items() if day}
    stabilities = {day: judge_day(found, first, release(), demo_policy(), day=day) for day, found in days.items()}
    return analyse(telemetries[0], first, days, stabilities, release(), demo_policy(), as_of=as_of)


# Quiet weeks


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("noise", [0.02, 0.1])
def test_a_steady_week_is_kept_and_green(seed: int, noise: float) -> None:
    calm = Scene(noise=noise)

    found = verdict(dict.fromkeys(range(1, 8), calm), as_of=7, ga=calm, seed=seed)

    assert [one for one in found.regressions if one.severity in SERIOUS] == []
    assert (found.decision, found.tier, found.assessment) == (Decision.KEEP, Tier.GREEN, "stable")
    assert found.reasons == ()


def test_no_day_of_a_steady_week_is_doubted() -> None:
    found = [verdict(steady_days(day), as_of=day) for day in range(1, 8)]

    assert {(one.decision, one.tier) for one in found} == {(Decision.KEEP, Tier.GREEN)}


@pytest.mark.parametrize(
    "better",
    [
        Change(latency=0.4, db_latency=0.4),
        Change(memory=0.4, cpu=0.4),
    ],
)
def test_an_improvement_is_never_a_regression(better: Change) -> None:
    found = verdict(dict.fromkeys((1, 2, 3), during(better)), as_of=3)

    assert found.regressions == ()
    assert (found.decision, found.tier) == (Decision.KEEP, Tier.GREEN)
    assert Outcome.IMPROVEMENT in {one.outcome for one in found.comparisons}


def test_fewer_errors_are_an_improvement() -> None:
    found = verdict(steady_days(1), as_of=1, ga=Scene(errors=8e-4))

    assert comparison(found, "availability").outcome is Outcome.IMPROVEMENT
    assert found.decision is Decision.KEEP


# Roll back


def test_five_percent_errors_of_one_service_on_day_2_are_rolled_back() -> None:
    found = verdict(steady_days(2, day_2=FIVE_PERCENT), as_of=2)
    why = reasons(found, "budget_spent")[0]

    assert (found.decision, found.tier) == (Decision.ROLL_BACK, Tier.RED)
    assert (why.kpi, why.service, why.argues_for) == ("availability", "api", Decision.ROLL_BACK)
    assert 2 in why.days
    assert "Availability of api: the release alone has spent 16" in why.text
    assert "% of the error budget of 30 days" in why.text
    assert found.tier_reason == why.text


def test_the_day_before_the_errors_is_kept() -> None:
    assert verdict(steady_days(2, day_2=FIVE_PERCENT), as_of=1).decision is Decision.KEEP


def test_an_objective_that_fails_on_two_of_the_last_three_days_is_rolled_back() -> None:
    found = verdict(steady_days(4, day_2=A_LITTLE_BROKEN, day_4=A_LITTLE_BROKEN), as_of=4)
    why = reasons(found, "slo_failing")

    assert found.decision is Decision.ROLL_BACK
    assert reasons(found, "budget_spent") == []
    assert [(one.argues_for, one.days) for one in why] == [(Decision.ROLL_BACK, (2, 4))]
    assert why[0].text == "Availability of api broke its objective on day 2 and day 4"


def test_failures_more_than_three_days_apart_do_not_add_up() -> None:
    found = verdict(steady_days(4, day_1=A_LITTLE_BROKEN, day_4=A_LITTLE_BROKEN), as_of=4)

    assert reasons(found, "slo_failing")[0].days == (4,)
    assert found.decision is Decision.WATCH_CLOSER


def test_failures_of_two_services_do_not_add_up() -> None:
    other = during(Change(service="worker", errors=0.002))

    found = verdict(steady_days(2, day_1=other, day_2=A_LITTLE_BROKEN), as_of=2)

    assert [(one.service, one.argues_for) for one in reasons(found, "slo_failing")] == [("api", Decision.WATCH_CLOSER)]


def test_a_single_failing_day_is_watched_and_red() -> None:
    found = verdict(steady_days(2, day_2=A_LITTLE_BROKEN), as_of=2)

    assert (found.decision, found.tier) == (Decision.WATCH_CLOSER, Tier.RED)
    assert "slo_failing" in {one.code for one in found.reasons}


def test_a_failure_that_is_over_is_no_longer_red() -> None:
    found = verdict(steady_days(3, day_2=A_LITTLE_BROKEN), as_of=3)

    assert found.tier is not Tier.RED
    assert [(one.active, one.days) for one in found.regressions] == [(False, (2,))]


def test_a_critical_latency_for_a_day_is_rolled_back() -> None:
    found = verdict(steady_days(2, day_2=SLOW), as_of=2)
    why = [one for one in reasons(found, "critical_regression") if one.argues_for is Decision.ROLL_BACK]

    assert (found.decision, found.tier, found.assessment) == (Decision.ROLL_BACK, Tier.RED, "critical")
    assert {one.service for one in why} == {"api"}
    assert "p50_latency" in {one.kpi for one in why}
    assert regression(found, "p50_latency").comparison.held_s == 86400
    assert "Latency p50 of api went from 83.1 ms to" in regression(found, "p50_latency").comparison.sentence


@pytest.mark.parametrize("hours", [(0, 2), (11, 13), (22, 24)])
def test_a_critical_latency_for_two_hours_is_not_rolled_back(hours: tuple[float, float]) -> None:
    found = verdict(steady_days(2, day_2=during(Change(service="api", hours=hours, latency=3.0))), as_of=2)

    assert found.decision is not Decision.ROLL_BACK
    assert [one for one in found.reasons if one.argues_for is Decision.ROLL_BACK] == []


def test_a_critical_latency_for_23_hours_is_watched_and_red_but_not_yet_rolled_back() -> None:
    found = verdict(steady_days(2, day_2=during(Change(service="api", hours=(1, 24), latency=1.7))), as_of=2)

    assert regression(found, "p50_latency").severity is Severity.CRITICAL
    assert regression(found, "p50_latency").comparison.held_s == 23 * 3600
    assert (found.decision, found.tier) == (Decision.WATCH_CLOSER, Tier.RED)


def test_a_harm_is_as_old_as_its_last_break() -> None:
    days = steady_days(3, day_1=SLOW, day_2=SLOW, day_3=during(Change(service="api", hours=(1, 24), latency=1.6)))
    found = [comparison(verdict(days, as_of=day), "p50_latency").held_s for day in (1, 2, 3)]

    assert found == [24 * 3600, 48 * 3600, 23 * 3600]


def test_a_missing_day_breaks_the_age_of_a_harm() -> None:
    days = {1: SLOW, 3: SLOW}

    assert comparison(verdict(days, as_of=3), "p50_latency").held_s == 86400


def test_a_harm_that_nobody_can_vouch_for_is_not_rolled_back() -> None:
    warned = replace(SLOW, warned=("p50_latency", "p95_latency", "p99_latency"))
    found = verdict(steady_days(2, day_2=warned), as_of=2)

    assert found.decision is Decision.WATCH_CLOSER
    assert comparison(found, "p50_latency").outcome is Outcome.UNKNOWN
    assert found.regressions == ()


def test_a_critical_gauge_is_watched_and_red_but_not_rolled_back() -> None:
    found = verdict(steady_days(2, day_2=during(Change(memory=1.8))), as_of=2)

    assert (found.decision, found.tier, found.assessment) == (Decision.WATCH_CLOSER, Tier.RED, "major")
    assert regression(found, "memory").severity is Severity.CRITICAL


# Watch closer


def test_forty_percent_more_memory_are_watched() -> None:
    found = verdict(steady_days(2, day_2=during(Change(service="worker", memory=1.4))), as_of=2)
    why = reasons(found, "high_regression")

    assert (found.decision, found.tier) == (Decision.WATCH_CLOSER, Tier.AMBER)
    assert [(one.kpi, one.service) for one in why] == [("memory", "worker")]
    assert regression(found, "memory", "worker").severity is Severity.HIGH
    assert comparison(found, "memory", "worker").change == pytest.approx(0.4, abs=0.01)
    assert percent(0.4, digits=0, signed=True)[:3] in why[0].text


def test_a_medium_regression_is_kept_and_named() -> None:
    found = verdict(steady_days(2, day_2=during(Change(service="worker", memory=1.25))), as_of=2)

    assert regression(found, "memory", "worker").severity is Severity.MEDIUM
    assert found.decision is Decision.KEEP


def test_a_missing_day_is_watched_and_never_green() -> None:
    found = verdict({1: STEADY, 3: STEADY}, as_of=3)

    assert found.decision is Decision.WATCH_CLOSER
    assert found.tier is Tier.AMBER
    assert [(one.code, one.days) for one in found.reasons] == [("day_missing", (2,))]
    assert "day_02 of the watch is missing" in found.reasons[0].text


def test_without_the_day_that_is_asked_for_the_colour_is_unknown() -> None:
    found = verdict({1: STEADY, 2: STEADY}, as_of=3)

    assert (found.decision, found.tier) == (Decision.WATCH_CLOSER, Tier.UNKNOWN)
    assert found.tier_reason == "there is no judgement of day 3"
    assert [day.state for day in found.days] == [DayState.JUDGED] * 2 + [DayState.MISSING] + [DayState.PENDING] * 4


@pytest.mark.parametrize(
    "blind",
    [
        Scene(keep=0.5),
        Scene(services=()),
        Scene(services=("worker",)),
        Scene(silent=(("api", 0, 24),)),
        Scene(warned=("availability",)),
        Scene(refused=("p99_latency",)),
        Scene(unrecorded=("availability",)),
        Scene(without=(("p99_latency", "worker"),)),
        during(Change(traffic=0.0)),
    ],
    ids=["thin", "empty", "absent", "silent", "warned", "refused", "unrecorded", "gone", "no events"],
)
def test_an_unknown_promise_on_the_latest_day_is_watched_and_never_green(blind: Scene) -> None:
    found = verdict(steady_days(3, day_3=blind), as_of=3)

    assert found.decision is Decision.WATCH_CLOSER
    assert found.tier in {Tier.AMBER, Tier.UNKNOWN}
    assert reasons(found, "slo_unknown") != []


def test_a_promise_that_was_never_measured_is_never_green() -> None:
    nowhere = Scene(without=(("availability", "api"), ("availability", "worker")))

    found = verdict(dict.fromkeys((1, 2), nowhere), as_of=2, ga=nowhere)

    assert (found.decision, found.tier) == (Decision.WATCH_CLOSER, Tier.AMBER)


def test_a_day_that_nobody_knows_has_the_colour_unknown() -> None:
    found = verdict(steady_days(3, day_3=Scene(keep=0.5)), as_of=3)

    assert found.tier is Tier.UNKNOWN
    assert found.tier_reason == "no objective of day 3 could be judged"
    assert {one.outcome for one in found.comparisons} == {Outcome.UNKNOWN}


def test_a_budget_that_ends_soon_is_watched() -> None:
    on_the_edge = Scene(errors=1.02e-3, prior_errors=9.9e-4)
    found = verdict(dict.fromkeys((1, 2), on_the_edge), as_of=2, ga=on_the_edge)
    why = reasons(found, "budget_ends_soon")

    assert found.decision is Decision.WATCH_CLOSER
    assert {one.kpi for one in why} == {"availability"}
    assert "the rest ends in" in why[0].text


# Days


def test_pending_days_are_never_counted() -> None:
    week = steady_days(7, day_5=FIVE_PERCENT)

    assert verdict(week, as_of=3) == verdict(steady_days(3), as_of=3)


def test_a_pending_day_is_neither_judged_nor_missing() -> None:
    found = verdict(steady_days(3), as_of=3)

    assert [day.state for day in found.days] == [DayState.JUDGED] * 3 + [DayState.PENDING] * 4
    assert {day.verdict for day in found.days[3:]} == {Verdict.UNKNOWN}
    assert found.end_at == release().window(3).end_at


@pytest.mark.parametrize("days", [{}, {3: STEADY}])
def test_without_a_judged_day_there_is_no_verdict(days: Mapping[int, Scene]) -> None:
    with pytest.raises(MissingInputError, match="up to day 2"):
        verdict(days, as_of=2)


def test_the_reason_of_a_colour_argues_for_it() -> None:
    slow_and_a_little_broken = replace(SLOW, changes=(*SLOW.changes, Change(service="worker", errors=0.002)))
    found = verdict(steady_days(2, day_2=slow_and_a_little_broken), as_of=2)

    assert found.decision is Decision.ROLL_BACK
    assert found.tier_reason in {one.text for one in found.reasons if one.argues_for is Decision.ROLL_BACK}


def test_a_recovered_regression_shows_its_worst_day() -> None:
    days = steady_days(3, day_1=during(Change(memory=1.25)), day_2=during(Change(memory=1.4)))
    found = regression(verdict(days, as_of=3), "memory")

    assert (found.active, found.days, found.severity, found.comparison.day) == (False, (1, 2), Severity.HIGH, 2)


def test_the_verdict_names_the_evidence_that_it_rests_on() -> None:
    found = verdict(steady_days(2), as_of=2)

    assert found.stability_telemetry_sha256 == {"day_01": telemetry(1).sha256, "day_02": telemetry(2).sha256}
    assert found.baseline_telemetry_sha256 == telemetry(0).sha256
    assert RegressionAnalysis.model_validate_json(found.model_dump_json()) == found


# What must not change the answer


def renamed(found: Telemetry, names: Mapping[str, str]) -> Telemetry:
    frames = {}
    for name, columns in (("samples", SAMPLE_COLUMNS), ("counts", COUNT_COLUMNS), ("prior", COUNT_COLUMNS)):
        frame = getattr(found, name)
        services = frame["service"].cat.rename_categories(names)
        services = services.cat.reorder_categories(sorted(services.cat.categories))
        frames[name] = frame.assign(service=services).sort_values(list(columns[:-1]), ignore_index=True)
    series = tuple(one.model_copy(update={"service": names[one.service]}) for one in found.quality.series)
    return replace(found, **frames, quality=found.quality.model_copy(update={"series": series}))


def scaled(found: Telemetry, kpis: set[str], factor: float) -> Telemetry:
    values = found.samples["value"].to_numpy(np.float32)
    values = np.where(found.samples["kpi"].isin(kpis), values * np.float32(factor), values).astype(np.float32)
    return replace(found, samples=found.samples.assign(value=values))


def week_with_faults() -> dict[int, Telemetry]:
    faults = during(Change(service="api", errors=0.003, memory=1.4), Change(service="worker", latency=1.6))
    return {0: telemetry(0), 1: telemetry(1), 2: telemetry(2, faults)}


def test_the_order_of_services_does_not_matter() -> None:
    names = {"api": "zebra", "worker": "ant"}
    one = judged(week_with_faults(), as_of=2)
    other = judged({day: renamed(found, names) for day, found in week_with_faults().items()}, as_of=2)

    def facts(found: RegressionAnalysis, of: Mapping[str, str]) -> set[tuple[str, str, Outcome, float | None, int]]:
        return {(c.kpi, of[c.service], c.outcome, c.change, c.held_s) for c in of_ga(found)}

    assert facts(one, names) == facts(other, {name: name for name in names.values()})
    assert (one.decision, one.tier, one.assessment) == (other.decision, other.tier, other.assessment)
    assert one.decision is Decision.ROLL_BACK


@pytest.mark.parametrize("factor", [2.0**-20, 2.0**10])
def test_the_unit_of_a_gauge_does_not_matter(factor: float) -> None:
    gauges = {"memory", "cpu", "request_rate", "cost_per_hour"}
    one = judged(week_with_faults(), as_of=2)
    other = judged({day: scaled(found, gauges, factor) for day, found in week_with_faults().items()}, as_of=2)

    def facts(found: RegressionAnalysis) -> list[tuple[str, str, Outcome, Severity | None]]:
        return [(c.kpi, c.service, c.outcome, c.severity) for c in of_ga(found)]

    assert facts(one) == facts(other)
    for here, there in zip(one.comparisons, other.comparisons, strict=True):
        assert here.change == (None if there.change is None else pytest.approx(there.change, rel=1e-6, abs=1e-9))
    assert one.decision is other.decision


def test_events_that_the_counters_cannot_explain_do_not_stop_a_verdict() -> None:
    found = telemetry(1)
    rows = (found.counts["counter"] == "availability") & (found.counts["le"] == "bad")
    counts = found.counts.assign(count=np.where(rows, 10**9, found.counts["count"]))

    assert judged({0: telemetry(0), 1: replace(found, counts=counts)}, as_of=1).decision is Decision.ROLL_BACK


# The rules alone


@pytest.mark.parametrize(
    ("lower", "upper", "worse", "is_harm", "outcome"),
    [
        (0.06, 0.30, Worse.UP, True, Outcome.REGRESSION),
        (0.06, 0.30, Worse.DOWN, False, Outcome.IMPROVEMENT),
        (0.06, 0.30, Worse.EITHER, True, Outcome.REGRESSION),
        (-0.30, -0.06, Worse.UP, False, Outcome.IMPROVEMENT),
        (-0.30, -0.06, Worse.DOWN, True, Outcome.REGRESSION),
        (-0.05, 0.05, Worse.UP, False, Outcome.EQUIVALENT),
        (0.05, 0.30, Worse.UP, False, Outcome.UNDECIDED),
        (-0.10, 0.30, Worse.UP, False, Outcome.UNDECIDED),
        (0.04, 0.06, Worse.EITHER, False, Outcome.UNDECIDED),
    ],
)
def test_an_interval_is_judged_against_the_tolerance(
    lower: float, upper: float, worse: Worse, is_harm: bool, outcome: Outcome
) -> None:
    assert outcome_of((lower, upper), (-0.05, 0.05), worse, is_harm=is_harm) is outcome


@given(st.floats(-1, 1), st.floats(0, 1), st.floats(0.01, 0.5), st.booleans())
def test_up_and_down_are_mirror_images(centre: float, half: float, tolerance: float, is_harm: bool) -> None:
    bounds = (-tolerance, tolerance)
    there = outcome_of((centre - half, centre + half), bounds, Worse.UP, is_harm=is_harm)
    mirrored = outcome_of((-centre - half, -centre + half), bounds, Worse.DOWN, is_harm=is_harm)

    assert there is mirrored


@pytest.mark.parametrize(
    ("harm", "severity"),
    [
        (0.10, Severity.LOW),
        (0.15, Severity.LOW),
        (0.16, Severity.MEDIUM),
        (0.31, Severity.HIGH),
        (0.50, Severity.HIGH),
        (0.51, Severity.CRITICAL),
    ],
)
def test_the_severity_of_a_latency_is_the_documented_one(harm: float, severity: Severity) -> None:
    assert severity_of(harm, LATENCY_LIMITS) is severity


@pytest.mark.parametrize(
    ("burn", "severity"),
    [(1.0, Severity.LOW), (1.1, Severity.MEDIUM), (2.1, Severity.HIGH), (10.1, Severity.CRITICAL)],
)
def test_the_severity_of_a_share_counts_budgets_per_day(burn: float, severity: Severity) -> None:
    assert severity_of(burn, BUDGET_LIMITS) is severity


C, H, M, L = Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW


@pytest.mark.parametrize(
    ("severities", "of_users", "word"),
    [
        ([], False, "stable"),
        ([L] * 9, False, "stable"),
        ([H], False, "stable"),
        ([M] * 4, False, "stable"),
        ([M] * 5, False, "minor"),
        ([H] * 2, False, "minor"),
        ([H] * 4, False, "minor"),
        ([H] * 5, False, "major"),
        ([C], False, "major"),
        ([C] * 2, False, "major"),
        ([C] * 3, False, "critical"),
        ([C], True, "critical"),
    ],
)
def test_the_assessment_in_one_word(severities: list[Severity], of_users: bool, word: str) -> None:
    assert assessment_of(severities, of_users=of_users) == word


def test_the_change_of_a_share_is_in_points_of_good_events() -> None:
    found = comparison(verdict(steady_days(1, day_1=FIVE_PERCENT), as_of=1), "availability")
    before, after = baseline().of("availability", "api"), stability(1, FIVE_PERCENT).of_service("availability", "api")

    assert found.change_in == "points"
    assert found.change == pytest.approx(after.measured.value - before.value, abs=1e-12)
    assert found.lower < found.change < found.upper < 0
    assert "points (50 error budgets)" in found.sentence


def test_a_policy_without_promises_is_never_green() -> None:
    kpis = {
        name: kpi for name, kpi in policy_tree()["kpis"].items() if "slo" not in kpi and kpi["kind"] != "complement"
    }
    bare = Policy.model_validate(policy_tree(kpis=kpis))
    first = summarise(telemetry(0), release(), bare)
    day = judge_day(telemetry(1), first, release(), bare, day=1)

    found = analyse(telemetry(0), first, {1: telemetry(1)}, {1: day}, release(), bare, as_of=1)

    assert found.tier is Tier.UNKNOWN
    assert demo_policy().slos != {}
