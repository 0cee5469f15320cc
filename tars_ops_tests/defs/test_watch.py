"""Do the jobs judge what is there, and never call what is missing green?"""

from __future__ import annotations

import dagster as dg
import pytest

from tars_ops.adapters.catalogue import BY_ASSET, OF_A_VERDICT
from tars_ops.core.errors import ContractError, SourceUnavailableError
from tars_ops.core.verdict import DayState, Decision, Tier, Verdict
from tars_ops.defs.failures import reported
from tars_ops_tests.defs.conftest import WEEK, Lineage, Make


def test_a_day_without_a_baseline_fails_and_says_what_to_do(lineage: Lineage) -> None:
    result = lineage.watch(1)

    failed = [event for event in result.all_events if event.is_step_failure]
    assert not result.success
    assert "ga/baseline is not in the store; materialise it first" in str(failed[0].step_failure_data.error)


@pytest.mark.parametrize("fault", ["thin", "warned", "empty", "not_a_number"])
def test_a_day_that_nobody_knows_is_never_green(make_lineage: Make, fault: str) -> None:
    lineage = make_lineage(fault=fault, days=(1,))
    lineage.open()

    lineage.watch(1)
    lineage.judge()
    verdict = lineage.read("regression_analysis", as_of=1)
    rows = lineage.read("daily_stability", day=1).kpis

    assert {row.verdict for row in rows} == {Verdict.UNKNOWN}
    assert lineage.read("daily_health", day=1).score is None
    assert verdict.tier is Tier.UNKNOWN
    assert verdict.decision is not Decision.KEEP
    assert lineage.read("executive_narrative", as_of=1).tier is Tier.UNKNOWN


def test_a_thin_day_says_how_thin_it_is(make_lineage: Make) -> None:
    lineage = make_lineage(fault="thin", days=(1,))
    lineage.open()
    lineage.watch(1)

    assert "coverage 0.50 < 0.90" in lineage.read("daily_stability", day=1).of("availability").reason


def test_a_fault_that_burns_the_budget_is_rolled_back_the_same_day(make_lineage: Make) -> None:
    lineage = make_lineage(fault="failing_requests", days=(2,))
    lineage.open()
    lineage.watch(1)
    lineage.watch(2)
    lineage.judge()

    verdict = lineage.read("regression_analysis", as_of=2)

    assert (verdict.decision, verdict.tier) == (Decision.ROLL_BACK, Tier.RED)
    assert "budget_spent" in {reason.code for reason in verdict.reasons}
    assert {day.day: day.state for day in verdict.days}[3] is DayState.PENDING


def test_an_absent_day_is_missing_and_keeps_the_release_from_green(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    lineage.watch(4)
    lineage.judge()

    verdict = lineage.read("regression_analysis", as_of=4)
    states = {day.day: day.state for day in verdict.days}

    assert [day for day, state in states.items() if state is DayState.MISSING] == [2, 3]
    assert verdict.tier is Tier.AMBER
    assert "day_missing" in {reason.code for reason in verdict.reasons}


def test_a_verdict_as_of_an_earlier_day_stands_beside_the_later_one(lineage: Lineage) -> None:
    lineage.open()
    for day in (1, 2):
        lineage.watch(day)
    lineage.judge(2)
    before = lineage.read("regression_analysis", as_of=2)

    lineage.judge(1)

    assert lineage.read("regression_analysis", as_of=1).days[1].state is DayState.PENDING
    assert lineage.read("regression_analysis", as_of=2) == before


def test_the_same_evidence_makes_no_new_version(lineage: Lineage) -> None:
    for _ in range(2):
        lineage.open()
        lineage.watch(1)
        lineage.judge()

    versions = {
        kind.asset: lineage.store.versions(kind.key(WEEK, "as_of_01"))
        for kind in (*OF_A_VERDICT, BY_ASSET["executive_bundle"])
    }

    assert set(map(tuple, versions.values())) == {(1,)}


def test_an_unreachable_server_fails_the_run_and_stores_nothing(make_lineage: Make) -> None:
    lineage = make_lineage(fault="unreachable", days=(0,))

    result = lineage.open()

    failed = [event for event in result.all_events if event.is_step_failure]
    assert "no answer from the server" in str(failed[0].step_failure_data.error)
    assert failed[0].step_failure_data.user_failure_data.metadata["error"].value == "SourceUnavailableError"
    assert lineage.store.children(WEEK) == ["release"]


# -- the frozen baseline ----------------------------------------------------------------------------------------------


def test_a_frozen_baseline_refuses_another_content(make_lineage: Make) -> None:
    make_lineage().open()
    lineage = make_lineage(fault="worse_memory", days=(0,))

    result = lineage.open()

    failed = [event for event in result.all_events if event.is_step_failure]
    assert not result.success
    assert "is frozen" in str(failed[0].step_failure_data.error)


def test_a_refrozen_baseline_is_named_in_every_report(make_lineage: Make) -> None:
    make_lineage().open()
    lineage = make_lineage(fault="worse_memory", days=(0,))

    result = lineage.run("open_watch", WEEK, config={"ops": {"ga_baseline": {"config": {"refreeze": True}}}})
    lineage.watch(1)
    lineage.judge()
    replaced = lineage.read("ga_baseline").supersedes
    texts = [
        data.decode()
        for asset in ("retrospective", "executive_narrative")
        for path, data in lineage.store.get(BY_ASSET[asset].key(WEEK, "as_of_01")).items()
        if path.endswith(".md")
    ]

    assert result.success
    assert replaced is not None
    assert [replaced in text for text in texts] == [True, True]


# -- gates ------------------------------------------------------------------------------------------------------------


def evaluations(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetCheckEvaluation]:
    return {one.check_name: one for one in result.get_asset_check_evaluations()}


def test_a_failed_gate_is_an_error_with_its_evidence_and_hides_no_report(make_lineage: Make) -> None:
    lineage = make_lineage(fault="failing_requests", days=(1,))
    lineage.open()

    result = lineage.watch(1)
    gate = evaluations(result)["availability_keeps_its_objective"]

    assert result.success
    assert (gate.passed, gate.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert gate.partition == "day_01|tars@1.0.1"
    assert gate.metadata["objective_ratio"].value == 0.999
    assert lineage.read("daily_health", day=1).tier is Tier.RED


def test_an_unknown_gate_does_not_pass(make_lineage: Make) -> None:
    lineage = make_lineage(fault="thin", days=(1,))
    lineage.open()

    gates = evaluations(lineage.watch(1))
    for name in ("is_intact", "comes_without_warnings"):  # what arrived is whole, and nobody warned of anything
        assert gates.pop(f"daily_telemetry_{name}").passed

    assert {name: gate.passed for name, gate in gates.items()} == dict.fromkeys(gates, False)
    assert {gate.metadata["verdict"].value for gate in gates.values()} == {"unknown"}


def test_gates_hold_for_the_ga_day_too(lineage: Lineage) -> None:
    gates = evaluations(lineage.open())

    assert {name: gate.passed for name, gate in gates.items()} == dict.fromkeys(
        (
            "ga_telemetry_covers_the_window",
            "ga_telemetry_comes_without_warnings",
            "ga_telemetry_is_intact",
            "baseline_is_frozen",
            "baseline_is_long_enough",
            "baseline_is_valid",
            "availability_keeps_its_objective",
            "p99_latency_keeps_its_objective",
        ),
        True,
    )


@pytest.mark.parametrize(
    ("error", "attended", "again"),
    [
        (SourceUnavailableError("no answer"), False, True),
        (SourceUnavailableError("no answer"), True, False),
        (ContractError("wrong data"), False, False),
    ],
)
def test_only_an_error_that_may_pass_is_retried_and_only_where_nobody_waits(
    error: Exception,
    attended: bool,
    again: bool,
) -> None:
    with pytest.raises(dg.Failure) as raised, reported(retry=not attended):
        raise error

    assert raised.value.allow_retries is again
