"""Whole release weeks that never happened: what the verdict says of them, evening by evening."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from tars_ops.core.verdict import Decision, Tier, Verdict
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops_tests.benchmarks.simulated.events import happened
from tars_ops_tests.benchmarks.simulated.judged import Week, week
from tars_ops_tests.benchmarks.simulated.truth import Truth, truth_of
from tars_ops_tests.benchmarks.simulated.world import N_SLOTS, Fault, Kind, World, drawn
from tars_ops_tests.core.factories import demo_policy

QUIET, BUSY = 0, 1
"""Places of a service with five thousand requests a day, and of one with a million."""
NOON_OF_DAY_2 = 2 * N_SLOTS + N_SLOTS // 2


def world(kind: Kind | None = None, size: float = 1.0, *, service: int = BUSY, start: int = NOON_OF_DAY_2) -> World:
    five = drawn(0, faulty=False)
    two = (five.services[0], five.services[3])
    calm = replace(five, services=two, previous_days=None, missing=0.0, n_resets=0, n_prior_days=29)
    fault = Fault(kind=kind, size=size, start_slot=start, services=(service,)) if kind else None
    return replace(calm, fault=fault)


@cache
def happening(one: World) -> Week:
    return week(one, demo_policy())


def verdict(one: World, *, as_of: int) -> RegressionAnalysis:
    return happening(one).verdict(demo_policy(), as_of=as_of)


def test_a_week_without_a_fault_is_kept_and_green_to_its_end() -> None:
    evenings = [verdict(world(), as_of=day) for day in (1, 4, 7)]

    assert {one.decision for one in evenings} == {Decision.KEEP}
    assert {one.tier for one in evenings} == {Tier.GREEN}
    assert not any(one.regressions for one in evenings)


def test_errors_that_burn_the_budget_are_rolled_back_on_the_day_on_which_that_is_right() -> None:
    burning = world(Kind.ERRORS, 30)
    truth = truth_of(burning, happened(burning), demo_policy())

    before, on_the_day = (verdict(burning, as_of=day) for day in (1, truth.right_day or 0))

    assert (truth.truth, truth.right_day) == (Truth.BURNS, 3)
    assert before.decision is Decision.KEEP
    assert on_the_day.decision is Decision.ROLL_BACK
    assert on_the_day.tier is Tier.RED
    assert {one.service for one in on_the_day.reasons if one.argues_for is Decision.ROLL_BACK} == {"s3"}


@pytest.mark.parametrize("as_of", [2, 3, 7])
def test_a_service_whose_telemetry_is_lost_is_never_green_and_never_kept(as_of: int) -> None:
    silent = world(Kind.SILENT)

    evening = verdict(silent, as_of=as_of)
    lost = happening(silent).judged[as_of].of_service("availability", "s3")

    assert lost is not None
    assert lost.verdict is Verdict.UNKNOWN
    assert evening.tier is not Tier.GREEN
    assert evening.decision is Decision.WATCH_CLOSER


def test_an_hour_of_errors_that_leaves_most_of_the_budget_is_no_reason_to_roll_back() -> None:
    recovering = world(Kind.ERRORS_RECOVERING, 200)

    evenings = [verdict(recovering, as_of=day) for day in (2, 3, 7)]

    assert Decision.ROLL_BACK not in {one.decision for one in evenings}
    assert evenings[0].tier is Tier.RED, "the objective failed on that day"


def test_a_slower_service_is_a_regression_of_its_latencies_and_of_no_other_service() -> None:
    evening = verdict(world(Kind.LATENCY, 1.0), as_of=4)

    slower = {one.kpi for one in evening.regressions if one.service == "s3"}

    assert {"p50_latency", "p95_latency", "p99_latency"} <= slower
    assert {one.service for one in evening.regressions} == {"s3"}


def test_errors_of_a_service_that_few_people_use_are_not_overlooked() -> None:
    evening = verdict(world(Kind.ERRORS_QUIET, 30, service=QUIET), as_of=4)

    assert evening.decision is Decision.ROLL_BACK


def test_the_same_number_is_the_same_week_and_a_fault_changes_the_world_only_by_itself() -> None:
    one, again, other = drawn(7, faulty=True), drawn(7, faulty=True), drawn(7, faulty=False)

    assert one == again
    assert replace(one, fault=None) == other
    assert happening(other).ga.sha256 == week(other, demo_policy()).ga.sha256


def test_an_evening_knows_nothing_of_the_days_after_it() -> None:
    one = happening(world(Kind.LATENCY, 1.0))
    with_previous = week(replace(one.world, previous_days=7), demo_policy())

    evenings = [seen.evenings(demo_policy())[3] for seen in (one, with_previous)]

    assert evenings == [seen.verdict(demo_policy(), as_of=3) for seen in (one, with_previous)]
