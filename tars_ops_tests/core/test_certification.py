"""A certificate is refused by everything that is bad and by everything that is not known."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tars_ops.core.policy import Policy
from tars_ops.core.verdict import DayState, Decision, Verdict
from tars_ops.core.watch.certification import Blocker, Certification, certify
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import DailyStability
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
    verdict,
)

BROKEN = during(Change(service="api", errors=0.003))
"""A day that breaks the objective and leaves most of the budget."""
DARK = Scene(refused=("availability",))
NO_AVAILABILITY = Scene(without=(("availability", "api"), ("availability", "worker")))


def certificate(
    days: Mapping[int, Scene],
    *,
    as_of: int,
    ga: Scene = STEADY,
    judged: Mapping[int, DailyStability] | None = None,
    decision: Decision | None = None,
    policy: Policy | None = None,
) -> Certification:
    """Certify a release; ``decision`` replaces that of the evidence, so that each rule is seen alone."""
    analysis: RegressionAnalysis = verdict(days, as_of=as_of, ga=ga)
    if decision:
        analysis = analysis.model_copy(update={"decision": decision})
    known = {day: stability(day, scene, ga=ga) for day, scene in days.items() if day <= as_of}
    given = known if judged is None else judged
    return certify(analysis, baseline(ga), given, release(), policy or demo_policy())


def codes(blockers: tuple[Blocker, ...]) -> set[tuple[str, int | None]]:
    return {(one.code, one.day) for one in blockers}


def test_a_week_that_kept_everything_may_be_promoted_and_closed() -> None:
    found = certificate(steady_days(7), as_of=7)

    assert (found.may_promote, found.may_close, found.is_over) == (True, True, True)
    assert (found.promotion_blockers, found.closing_blockers) == ((), ())
    assert found.end_at == release().window(7).end_at


def test_a_good_release_may_be_promoted_before_its_watch_is_over_but_not_closed() -> None:
    found = certificate(steady_days(3), as_of=3)

    assert (found.may_promote, found.may_close, found.is_over) == (True, False, False)
    assert codes(found.closing_blockers) == {("day_pending", day) for day in (4, 5, 6, 7)}
    assert found.closing_blockers[0].text == "day_04: it ends at 2025-11-23 00:00 UTC"


@pytest.mark.parametrize(
    ("days", "as_of", "promoting", "closing"),
    [
        (steady_days(7, day_7=BROKEN), 7, {("objective_failed", 7)}, {("objective_failed", 7)}),
        (steady_days(7, day_3=BROKEN), 7, set(), {("objective_failed", 3)}),
        (steady_days(7, day_7=DARK), 7, {("objective_unknown", 7)}, {("objective_unknown", 7)}),
        (steady_days(7, day_3=DARK), 7, set(), {("objective_unknown", 3)}),
        (dict.fromkeys(range(1, 7), STEADY), 7, {("day_missing", 7)}, {("day_missing", 7)}),
        (dict.fromkeys((1, 2, 4, 5, 6, 7), STEADY), 7, set(), {("day_missing", 3)}),
        (steady_days(6), 6, set(), {("day_pending", 7)}),
    ],
    ids=["broken today", "broken before", "dark today", "dark before", "missing today", "missing before", "pending"],
)
def test_today_blocks_the_promotion_and_any_day_blocks_the_closing(
    days: dict[int, Scene], as_of: int, promoting: set[tuple[str, int]], closing: set[tuple[str, int]]
) -> None:
    found = certificate(days, as_of=as_of, decision=Decision.KEEP)

    assert codes(found.promotion_blockers) == promoting
    assert codes(found.closing_blockers) == closing
    assert (found.may_promote, found.may_close) == (not promoting, not closing)


@pytest.mark.parametrize("ga", [BROKEN, DARK], ids=["broken", "dark"])
def test_a_ga_day_that_broke_or_hid_an_objective_blocks_both(ga: Scene) -> None:
    found = certificate(steady_days(7), as_of=7, ga=ga, decision=Decision.KEEP)

    code = "objective_failed" if ga is BROKEN else "objective_unknown"
    assert (code, 0) in codes(found.promotion_blockers)
    assert (code, 0) in codes(found.closing_blockers)
    assert "availability of api on the GA day: " in next(b.text for b in found.closing_blockers if b.day == 0)


@pytest.mark.parametrize("decision", [one for one in Decision if one is not Decision.KEEP])
def test_any_decision_but_keep_blocks_both(decision: Decision) -> None:
    found = certificate(steady_days(7), as_of=7, decision=decision)

    assert codes(found.promotion_blockers) == codes(found.closing_blockers) == {("decision", None)}
    assert found.closing_blockers[0].text.startswith(f"the evidence says {decision.value.replace('_', ' ')}: ")


def test_the_decision_is_told_with_the_reason_that_argues_for_it() -> None:
    found = certificate(steady_days(7, day_7=BROKEN), as_of=7)

    (said,) = (one.text for one in found.closing_blockers if one.code == "decision")
    assert said == "the evidence says watch closer: Availability of api broke its objective on day 7"


@pytest.mark.parametrize("where", ["a day", "the GA day"])
def test_an_objective_that_no_service_has_is_unknown_and_blocks(where: str) -> None:
    ga, day = (NO_AVAILABILITY, STEADY) if where == "the GA day" else (STEADY, NO_AVAILABILITY)
    found = certificate(steady_days(7, day_7=day), as_of=7, ga=ga, decision=Decision.KEEP)

    assert not found.may_promote
    assert ("objective_unknown", 0 if where == "the GA day" else 7) in codes(found.promotion_blockers)


def test_a_certificate_of_no_service_at_all_is_refused() -> None:
    empty = baseline().model_copy(update={"services": (), "kpis": (), "doubts": ()})
    rowless = {day: stability(day).model_copy(update={"kpis": ()}) for day in range(1, 8)}

    found = certify(verdict(steady_days(7), as_of=7), empty, rowless, release(), demo_policy())

    assert {one.day for one in found.closing_blockers if one.code == "objective_unknown"} == set(range(8))
    assert {one.day for one in found.promotion_blockers} == {0, 7}


def test_a_day_that_the_verdict_calls_judged_needs_its_judgement() -> None:
    """Whoever hands in fewer days than the verdict rests on does not get a better certificate."""
    few = {day: stability(day) for day in range(1, 7)}

    found = certificate(steady_days(7), as_of=7, judged=few)

    assert verdict(steady_days(7), as_of=7).days[6].state is DayState.JUDGED
    assert codes(found.closing_blockers) == codes(found.promotion_blockers) == {("day_missing", 7)}


def test_a_policy_without_objectives_certifies_by_days_and_decision() -> None:
    tree = policy_tree()
    kpis = {name: {k: v for k, v in kpi.items() if k != "slo"} for name, kpi in tree["kpis"].items()}
    found = certificate(steady_days(3), as_of=3, policy=Policy.model_validate({**tree, "kpis": kpis}))

    assert codes(found.closing_blockers) == {("day_pending", day) for day in (4, 5, 6, 7)}


@pytest.mark.parametrize("slo", [Verdict.FAIL, Verdict.UNKNOWN])
@pytest.mark.parametrize("day", [1, 4, 7])
@pytest.mark.parametrize("kpi", ["availability", "p99_latency"])
def test_one_verdict_that_flips_flips_the_outcome_and_back(kpi: str, day: int, slo: Verdict) -> None:
    good = {one: stability(one) for one in range(1, 8)}
    rows = tuple(
        row.model_copy(update={"slo": slo, "reason": "flipped"}) if (row.kpi, row.service) == (kpi, "api") else row
        for row in good[day].kpis
    )
    bad = {**good, day: good[day].model_copy(update={"kpis": rows})}

    found = certificate(steady_days(7), as_of=7, judged=bad)

    assert certificate(steady_days(7), as_of=7, judged=good).may_close
    assert not found.may_close
    assert found.may_promote is (day != 7)
    (blocker,) = found.closing_blockers
    assert (blocker.kpi, blocker.service, blocker.day) == (kpi, "api", day)
    assert blocker.text == f"{kpi} of api on day_0{day}: flipped"


def test_a_promise_that_was_missed_by_chance_perhaps_blocks_nothing() -> None:
    judged = {day: stability(day) for day in range(1, 8)}
    rows = tuple(row.model_copy(update={"slo": row.slo and Verdict.WARN}) for row in judged[7].kpis)

    found = certificate(steady_days(7), as_of=7, judged={**judged, 7: judged[7].model_copy(update={"kpis": rows})})

    assert (found.may_promote, found.may_close) == (True, True)
