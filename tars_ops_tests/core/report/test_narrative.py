"""What one page tells leadership."""

from __future__ import annotations

import pytest

from tars_ops.core.errors import ContractError
from tars_ops.core.report.narrative import Narrative, build_narrative
from tars_ops.core.verdict import Decision, Severity, Tier, Verdict
from tars_ops_tests.core.report.factories import UNKNOWN, evidence, regressed, release

API = ("availability", "api")
BAD_END = {(7, *API): 0.98}


@pytest.mark.parametrize(
    ("changes", "missing", "tier"),
    [
        ({}, (), Tier.GREEN),
        ({(7, *API): 0.98}, (), Tier.RED),
        ({}, (3,), Tier.AMBER),
        ({}, (7,), Tier.UNKNOWN),
        ({(7, *API): UNKNOWN}, (), Tier.AMBER),
    ],
)
def test_it_has_the_tier_and_three_different_facts(changes: dict, missing: tuple[int, ...], tier: Tier) -> None:
    made = evidence(changes, missing=missing)
    found = made.narrative()

    assert found.tier is tier
    assert found.facts[0] == made.regression.tier_reason
    assert len(set(found.facts)) == 3
    assert all(found.facts)


def test_a_missed_objective_is_not_told_twice() -> None:
    found = evidence(BAD_END).narrative()

    assert sum("api" in one and "objective" in one for one in found.facts[1:]) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "Keep tars@1.0.1; the planned watch ended with day 7"),
        ({(7, *API): 0.98}, "Keep tars@1.0.1 for now, but watch it closer; the planned watch ended with day 7"),
        ({(6, *API): 0.98, (7, *API): 0.98}, "Roll back tars@1.0.1"),
    ],
)
def test_the_decision_is_said_in_words(changes: dict, words: str) -> None:
    assert evidence(changes).narrative().decision_text == words


def test_a_watch_that_goes_on_says_until_when() -> None:
    found = evidence(as_of=3).narrative()

    assert found.decision_text.endswith("the watch goes on until day 7")
    assert (found.days_judged, found.days_pending) == ((1, 2, 3), (4, 5, 6, 7))


def test_each_promise_names_its_worst_service_value_and_budget() -> None:
    rows = {row.slo: row for row in evidence(BAD_END).narrative().sla}

    assert list(rows) == ["Availability", "P99 Latency", "Error Rate"]
    assert rows["Availability"].objective == "at least 99.9 %"
    assert (rows["Availability"].worst_service, rows["Availability"].value) == ("api", "98 %")
    assert rows["Availability"].budget_spent == "69.0 % of api: At Risk"
    assert rows["Availability"].verdict is Verdict.FAIL
    assert rows["P99 Latency"].objective == "99 % of events within 500 ms"
    assert rows["Error Rate"].objective == "at most 0.1 %"


def test_a_promise_of_a_missing_day_is_unknown() -> None:
    row = evidence(missing=[7]).narrative().sla[0]

    assert (row.worst_service, row.value, row.verdict) == ("unknown", "unknown", Verdict.UNKNOWN)


def test_missing_days_and_unknown_results_are_listed() -> None:
    found = evidence({(5, *API): UNKNOWN}, missing=[3]).narrative()

    assert found.days_missing == (3,)
    assert found.unknowns == (
        "everything of all services on day 3: nobody judged this day",
        "Availability of api on day 5: coverage 0.50 < 0.90",
    )
    assert any("day 3" in one for one in found.risks)
    assert any("is unknown; a breach cannot be ruled out" in one for one in found.risks)


def test_trends_show_health_cost_and_requests_by_day() -> None:
    rows = {row.title: row for row in evidence({(2, "cost_per_hour", "api"): UNKNOWN}).narrative().trends}

    assert list(rows) == ["Health score (0 to 100)", "Cost per day", "Request rate"]
    assert rows["Cost per day"].by_day[:3] == ("48 USD", "48 USD", "unknown")
    assert rows["Request rate"].summary == "from 200 /s on the GA day to 200 /s on day 7 (+0.0 %)"
    assert len(rows["Health score (0 to 100)"].by_day) == 8
    assert rows["Health score (0 to 100)"].summary == "from 98.0 on day 1 to 98.0 on day 7"


def test_risks_name_each_budget_once_and_no_small_drift() -> None:
    found = evidence({**BAD_END, (7, "cpu", "worker"): 0.56}).narrative().risks

    assert sum("error budget" in one and "69.0 %" in one for one in found) == 1
    assert not any("CPU" in one for one in found)


def test_risks_are_open_and_few() -> None:
    names = [f"svc{i}" for i in range(9)]
    many = evidence({(7, "cpu", name): 0.7 for name in names}, services=names).narrative().risks
    over = evidence({(2, "cpu", "api"): 0.7}).narrative().risks

    assert len(many) == 5
    assert many[-1] == "5 further risks stand in the retrospective"
    assert over == ()


@pytest.mark.parametrize("changes", [{}, BAD_END, {(day, "cpu", "api"): 0.7 for day in (1, 3, 5)}])
def test_there_are_three_to_five_actions_with_somebody_to_do_them(changes: dict) -> None:
    found = evidence(changes).narrative().actions

    assert 3 <= len(found) <= 5
    assert {one.who for one in found} == {"team:sre"}
    assert [one.priority for one in found] == sorted(one.priority for one in found)


class TestWhatChanged:
    def test_is_found_by_comparing_days(self) -> None:
        found = evidence({(6, "cpu", "api"): 0.7, **BAD_END}).narrative()

        assert found.compared_with_day == 6
        assert any(one.startswith("New on day 7 (critical): Availability of api") for one in found.changes)
        assert "Over on day 7: CPU of api, bad on day 6" in found.changes
        assert any(one.startswith("The health score went from") for one in found.changes)
        assert any(one.startswith("The error budget of Availability of api went from 2.3 %") for one in found.changes)
        assert not any("Error Rate" in one for one in found.changes)

    def test_names_the_tier_and_the_decision_of_the_previous_narrative(self) -> None:
        before = evidence(as_of=6).narrative()
        found = evidence(BAD_END).narrative(before)

        assert "The tier went from GREEN on day 6 to RED" in found.changes
        assert "The decision went from keep on day 6 to watch closer" in found.changes

    def test_looks_back_to_the_day_of_the_previous_narrative(self) -> None:
        before = evidence({(5, "cpu", "api"): 0.7}, as_of=4).narrative()
        found = evidence({(5, "cpu", "api"): 0.7}).narrative(before)

        assert found.compared_with_day == 4
        assert any(one.startswith("New on day 5 (high): CPU of api") for one in found.changes)

    def test_a_narrative_of_the_same_day_is_not_yesterday(self) -> None:
        made = evidence(BAD_END)

        assert made.narrative(made.narrative()) == made.narrative()

    def test_a_quiet_day_says_so(self) -> None:
        (said,) = evidence().narrative().changes

        assert said.startswith("Since day 6 no incident is known to have begun or ended")

    def test_a_missing_day_is_a_change(self) -> None:
        found = evidence(missing=[7]).narrative()

        assert "No judgement came of day 7" in found.changes

    def test_the_first_day_looks_back_to_ga(self) -> None:
        found = evidence({(1, "cpu", "api"): 0.7}, as_of=1).narrative()

        assert found.compared_with_day == 0
        assert [one.partition(":")[0] for one in found.changes] == ["New on day 1 (high)"]

    def test_what_was_known_yesterday_is_not_new(self) -> None:
        (said,) = evidence({(2, "cpu", "api"): 0.7}, missing=[4]).narrative().changes

        assert said.startswith("Since day 6 no incident")


def test_active_regressions_are_a_fact() -> None:
    made = evidence(
        {(7, "cpu", "api"): 0.61}, regressions=[regressed("cpu", "api", Severity.MEDIUM, (7,), active=True)]
    )

    assert any(
        "1 regression is active on day 7, the worst is CPU of api (medium)" in one for one in made.narrative().facts
    )


def test_a_refrozen_baseline_is_said() -> None:
    assert evidence(supersedes="c" * 64).narrative().baseline_supersedes == "c" * 64


def test_it_reads_back_as_itself() -> None:
    found = evidence(BAD_END, missing=[4]).narrative()

    assert Narrative.model_validate_json(found.model_dump_json()) == found
    assert found.decision is Decision.WATCH_CLOSER


def test_parts_of_different_days_or_releases_are_refused() -> None:
    made, early = evidence(), evidence(as_of=3)
    other = evidence(of_release=release(version="1.0.0"))

    with pytest.raises(ContractError, match="as of day 3"):
        build_narrative(made.release, made.policy, early.retrospective(), made.regression, made.health, None)
    with pytest.raises(ContractError, match=r"tars@1\.0\.0"):
        build_narrative(made.release, made.policy, made.retrospective(), other.regression, made.health, None)
    with pytest.raises(ContractError, match=r"tars@1\.0\.0"):
        made.narrative(other.narrative())
