"""What the retrospective claims, and what it must never claim."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tars_ops.core.errors import ContractError, MissingInputError
from tars_ops.core.report.actions import is_at_risk, rest_text
from tars_ops.core.report.burn_down import ServiceBudget, exhaustion_text
from tars_ops.core.report.cost import trend_of as cost_trend_of
from tars_ops.core.report.degradations import Degradation
from tars_ops.core.report.documented import in_ms
from tars_ops.core.report.retrospective import OverallStatus, Retrospective
from tars_ops.core.report.successes import Success
from tars_ops.core.verdict import Decision, Severity, Tier, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyClass
from tars_ops.core.watch.budgets.budget import Budget
from tars_ops.core.watch.budgets.ladder import BurnOfDay, LongWindow
from tars_ops_tests.core.report.factories import (
    GA_AT,
    POLICY_FILE,
    UNKNOWN,
    Evidence,
    event,
    evidence,
    policy,
    regressed,
    release,
)

DOCUMENTED: dict[str, Any] = {
    "generation_timestamp": None,
    "ga_day_timestamp": None,
    "seven_day_end_timestamp": None,
    "successes": [
        {
            "category": None,
            "description": None,
            "metric_name": None,
            "target_value": None,
            "actual_value": None,
            "achievement_percent": None,
        }
    ],
    "degradations": [
        {
            "day_occurred": None,
            "category": None,
            "description": None,
            "severity": None,
            "impact": None,
            "resolution_status": None,
            "resolution_details": None,
        }
    ],
    "unexpected_drifts": [
        {
            "metric_name": None,
            "baseline_value": None,
            "final_value": None,
            "drift_percent": None,
            "trend": None,
            "potential_causes": None,
            "investigation_needed": None,
        }
    ],
    "cost_analysis": {
        "ga_day_cost": None,
        "seven_day_total_cost": None,
        "daily_average_cost": None,
        "cost_trend": None,
        "cost_breakdown": {"compute": None, "storage": None, "network": None, "other": None},
        "cost_optimization_recommendations": None,
    },
    "slo_burn_downs": [
        {
            "slo_name": None,
            "target": None,
            "budget": None,
            "budget_consumed_percent": None,
            "days_to_exhaustion": None,
            "compliance_by_day": [{"day": None, "value": None, "compliant": None, "budget_consumed": None}],
        }
    ],
    "recommendations_v1_0_2": None,
    "process_improvements": None,
    "action_items": [
        {
            "priority": None,
            "description": None,
            "status": None,
            "id": None,
            "owner": None,
            "due": None,
            "evidence": None,
        }
    ],
    "release": None,
    "as_of": None,
    "days": [{"day": None, "state": None, "verdict": None}],
    "decision": None,
    "tier": None,
    "tier_reason": None,
    "reasons": None,
    "overall_status": None,
    "recommendations": None,
    "next_version": None,
    "unknowns": None,
    "provenance": {"policy_sha256": None, "baseline_telemetry_sha256": None, "baseline_supersedes": None},
}
API, WORKER = ("availability", "api"), ("cpu", "worker")
CPU_DRIFT = {(day, "cpu", "api"): 0.5 + 0.02 * (day - 1) for day in range(1, 7)} | {(7, "cpu", "api"): 0.6}
ALL_KINDS = {**CPU_DRIFT, (2, *API): 0.985}


def missing_keys(documented: Any, found: Any, path: str = "$") -> list[str]:
    if isinstance(documented, list):
        assert found, f"{path} is empty: the test must fill it"
        return [key for one in found for key in missing_keys(documented[0], one, path)]
    if not isinstance(documented, dict):
        return []
    absent = [f"{path}.{key}" for key in documented if key not in found]
    return absent + [
        key
        for name, inner in documented.items()
        if name in found
        for key in missing_keys(inner, found[name], f"{path}.{name}")
    ]


def only(found: tuple[Degradation, ...]) -> Degradation:
    assert len(found) == 1, [one.description for one in found]
    return found[0]


def success(report: Retrospective, metric: str) -> Success | None:
    return next((one for one in report.successes if one.metric_name == metric), None)


def burn_down(report: Retrospective, name: str) -> Any:
    return next(one for one in report.slo_burn_downs if one.slo_name == name)


def test_every_documented_key_is_there() -> None:
    found = evidence(ALL_KINDS).retrospective().model_dump(mode="json")

    assert missing_keys(DOCUMENTED, found) == []


def test_the_report_reads_back_as_itself() -> None:
    report = evidence(ALL_KINDS, missing=[4]).retrospective()

    assert Retrospective.model_validate_json(report.model_dump_json()) == report


def test_its_instants_come_from_the_evidence() -> None:
    found = evidence(as_of=3).retrospective().model_dump(mode="json")

    assert found["generation_timestamp"] == "2025-11-22T00:00:00Z"
    assert found["ga_day_timestamp"] == "2025-11-18T00:00:00Z"
    assert found["seven_day_end_timestamp"] == "2025-11-26T00:00:00Z"
    assert [day["state"] for day in found["days"]] == ["judged"] * 3 + ["pending"] * 4
    assert found["days"][3]["verdict"] is None


def test_days_after_the_report_are_left_out() -> None:
    whole, early = evidence({(5, *API): 0.9}), evidence({(5, *API): 0.9}, as_of=3)
    mixed = Evidence(*whole[:6], early.regression)

    assert mixed.retrospective() == early.retrospective()


class TestASteadyWeek:
    def test_is_excellent_and_kept(self) -> None:
        report = evidence().retrospective()

        assert (report.overall_status, report.tier, report.decision) == (
            OverallStatus.EXCELLENT,
            Tier.GREEN,
            Decision.KEEP,
        )
        assert (report.degradations, report.unexpected_drifts, report.unknowns) == ((), (), ())

    def test_has_a_success_for_every_promise(self) -> None:
        report = evidence().retrospective()

        assert [one.metric_name for one in report.successes] == [
            "availability",
            "error_rate",
            "p99_latency",
            "db_p95_latency",
            "cache_hit_ratio",
            "firing_critical_alerts",
            "critical_incident_count",
            "cost_per_hour",
        ]

    def test_measures_achievement_against_the_target(self) -> None:
        report = evidence().retrospective()
        achieved = {one.metric_name: one.achievement_percent for one in report.successes}

        assert achieved["availability"] == pytest.approx(100 * 0.9999 / 0.999, abs=0.01)
        assert achieved["p99_latency"] == pytest.approx(100 * 0.5 / 0.3, abs=0.01)
        assert achieved["error_rate"] == 999
        assert achieved["firing_critical_alerts"] == 100

    def test_opens_no_action_item_but_says_to_keep_the_release(self) -> None:
        report = evidence().retrospective()

        assert report.action_items == ()
        assert [one[:9] for one in report.recommendations] == ["[P3] Keep"]

    def test_still_yields_improvements_with_their_findings(self) -> None:
        improvements = evidence().retrospective().process_improvements

        assert 3 <= len(improvements) <= 5
        assert all("(finding: " in one for one in improvements)


class TestTheResolutionIsLookedUp:
    def test_a_day_that_was_good_again_resolves_it(self) -> None:
        found = only(evidence({(2, *API): 0.985}).retrospective().degradations)

        assert (found.day_occurred, found.days, found.resolution_status) == (2, (2,), "resolved")
        assert found.resolved_day == 3
        assert "day 3" in found.resolution_details
        assert "99.99 %" in found.resolution_details

    def test_a_second_bad_day_is_no_recovery(self) -> None:
        found = only(evidence({(2, *API): 0.985, (3, *API): 0.985}).retrospective().degradations)

        assert found.days == (2, 3)
        assert found.resolved_day == 4
        assert "day 3" not in found.resolution_details

    def test_a_last_bad_day_is_open(self) -> None:
        found = only(evidence({(7, *API): 0.985}).retrospective().degradations)

        assert (found.resolution_status, found.resolved_day) == ("open", None)
        assert "day 7" in found.resolution_details

    @pytest.mark.parametrize("as_of", [4, 5])
    def test_days_that_are_missing_afterwards_leave_it_unknown(self, as_of: int) -> None:
        found = only(evidence({(3, *API): 0.985}, as_of=as_of, missing=[4, 5]).retrospective().degradations)

        assert (found.resolution_status, found.resolved_day) == ("unknown", None)
        assert "day 4 is missing" in found.resolution_details

    def test_a_day_that_is_unknown_afterwards_leaves_it_unknown(self) -> None:
        found = only(evidence({(6, *API): 0.985, (7, *API): UNKNOWN}).retrospective().degradations)

        assert found.resolution_status == "unknown"
        assert "coverage 0.50" in found.resolution_details

    def test_a_recovery_seen_after_a_gap_names_the_gap(self) -> None:
        found = only(evidence({(2, *API): 0.985}, missing=[3]).retrospective().degradations)

        assert (found.resolution_status, found.resolved_day) == ("resolved", 4)
        assert "day 3 is missing" in found.resolution_details

    def test_an_unknown_day_does_not_end_an_incident(self) -> None:
        changes = {(2, *API): 0.985, (3, *API): UNKNOWN, (4, *API): 0.985}

        assert only(evidence(changes).retrospective().degradations).days == (2, 4)

    def test_a_warning_ends_a_failure_and_is_said(self) -> None:
        found = only(evidence({(2, "cpu", "api"): 0.7, (3, "cpu", "api"): 0.6}).retrospective().degradations)

        assert (found.resolution_status, found.resolved_day) == ("resolved", 3)
        assert found.resolution_details == "Within its limits again, with a warning, on day 3, at 0.6 cores"

    def test_a_regression_that_has_only_become_noisy_is_not_over(self) -> None:
        changes = {(6, "cpu", "api"): 0.62, (7, "cpu", "api"): 0.63}
        found = evidence(changes, regressions=[regressed("cpu", "api", Severity.MEDIUM, (6,), active=False)])

        one = only(found.retrospective().degradations)

        assert (one.resolution_status, one.resolved_day) == ("unknown", None)
        assert "on day 7 it was still +26.0 % from the GA day" in one.resolution_details
        assert found.retrospective().unexpected_drifts == ()

    def test_a_relapse_is_an_incident_of_its_own(self) -> None:
        found = evidence({(2, *API): 0.985, (5, *API): 0.985}).retrospective().degradations

        assert [(one.days, one.resolved_day) for one in found] == [((2,), 3), ((5,), 6)]

    def test_another_service_does_not_resolve_it(self) -> None:
        changes = {(day, *API): 0.985 for day in range(2, 8)}

        assert only(evidence(changes).retrospective().degradations).resolution_status == "open"


class TestDegradations:
    @pytest.mark.parametrize(
        ("value", "severity"),
        [(0.98, Severity.CRITICAL), (0.995, Severity.HIGH), (0.9985, Severity.MEDIUM)],
    )
    def test_a_broken_objective_is_as_bad_as_the_budgets_it_burnt(self, value: float, severity: Severity) -> None:
        assert only(evidence({(2, *API): value}).retrospective().degradations).severity is severity

    def test_a_broken_latency_objective_is_measured_in_budgets_too(self) -> None:
        found = only(evidence({(2, "p99_latency", "api"): 0.6}).retrospective().degradations)

        assert found.severity is Severity.HIGH  # 3 % slow of 1 % allowed, not +100 %

    def test_a_missed_objective_that_is_not_sure_is_medium(self) -> None:
        report = evidence({(2, *API): 0.99895}).retrospective()

        assert only(report.degradations).severity is Severity.MEDIUM
        assert success(report, "availability") is None

    def test_a_kpi_without_objective_is_as_bad_as_its_harm(self) -> None:
        changes = {(2, "cpu", "api"): 0.7, (2, "memory", "worker"): 3.2e8}
        found = evidence(changes).retrospective().degradations

        assert [(one.kpi, one.severity) for one in found] == [
            ("memory", Severity.CRITICAL),
            ("cpu", Severity.HIGH),
        ]

    def test_a_failed_day_is_at_least_medium(self) -> None:
        kpis = yaml.safe_load(POLICY_FILE.read_text(encoding="utf-8"))["kpis"]
        lenient = policy(kpis={**kpis, "cpu": {**kpis["cpu"], "regression": {"medium": 1, "high": 2, "critical": 3}}})
        found = evidence({(2, "cpu", "api"): 0.7}, of_policy=lenient).retrospective().degradations

        assert only(found).severity is Severity.MEDIUM

    def test_it_names_kpi_service_and_figures_with_units(self) -> None:
        found = only(evidence({(2, "cpu", "api"): 0.7}).retrospective().degradations)

        assert found.description.startswith("CPU of api, day 2: 0.7 cores, +40.0 % from 0.5 cores")
        assert found.impact == "+40.0 % from the GA day on day 2"

    def test_the_impact_counts_the_events_of_every_bad_day(self) -> None:
        found = only(evidence({(2, *API): 0.985, (3, *API): 0.985}).retrospective().degradations)

        assert found.impact.startswith("3000 of 200000 events failed on days 2 and 3, 100.0 % of the error budget")

    def test_an_improvement_is_none(self) -> None:
        report = evidence({(day, "cpu", "api"): 0.3 for day in range(1, 8)}).retrospective()

        assert (report.degradations, report.unexpected_drifts) == ((), ())
        assert report.overall_status is OverallStatus.EXCELLENT

    def test_a_regression_is_one_even_where_no_day_failed(self) -> None:
        changes = {(day, "cpu", "api"): 0.61 for day in (6, 7)}
        found = evidence(changes, regressions=[regressed("cpu", "api", Severity.MEDIUM, (6, 7), active=True)])

        one = only(found.retrospective().degradations)

        assert (one.severity, one.days, one.resolution_status) == (Severity.MEDIUM, (6, 7), "open")
        assert "medium regression" in one.description


class TestWhatIsUnknown:
    def test_is_never_a_success(self) -> None:
        report = evidence({(4, *API): UNKNOWN}).retrospective()

        assert success(report, "availability") is None
        assert success(report, "error_rate") is None
        assert success(report, "p99_latency") is not None

    @pytest.mark.parametrize("kpi", ["cache_hit_ratio", "firing_critical_alerts"])
    def test_is_no_success_of_a_comfort_limit_either(self, kpi: str) -> None:
        assert success(evidence({(4, kpi, "api"): UNKNOWN}).retrospective(), kpi) is None

    def test_is_listed_with_its_reason(self) -> None:
        report = evidence({(4, *WORKER): UNKNOWN}).retrospective()

        assert [(one.day, one.kpi, one.service, one.reason) for one in report.unknowns] == [
            (4, *WORKER, "coverage 0.50 < 0.90")
        ]

    @pytest.mark.parametrize("key", [API, WORKER])
    def test_is_never_excellent(self, key: tuple[str, str]) -> None:
        report = evidence({(4, *key): UNKNOWN}).retrospective()

        assert report.overall_status is OverallStatus.STABLE

    def test_a_missing_day_is_listed_and_leaves_no_success(self) -> None:
        report = evidence(missing=[3]).retrospective()

        assert report.days[2].state == "missing"
        assert [(one.day, one.kpi) for one in report.unknowns] == [(3, None)]
        assert report.successes == ()
        assert report.overall_status is OverallStatus.STABLE

    def test_a_week_without_a_judgement_today_is_unknown(self) -> None:
        report = evidence(missing=[7]).retrospective()

        assert (report.tier, report.overall_status) == (Tier.UNKNOWN, OverallStatus.UNKNOWN)

    def test_a_known_critical_stays_known(self) -> None:
        report = evidence({(2, *API): 0.98}, missing=[7]).retrospective()

        assert (report.tier, report.overall_status) == (Tier.UNKNOWN, OverallStatus.CRITICAL)

    def test_assessments_that_are_missing_are_unknown(self) -> None:
        whole = evidence()
        report = whole._replace(anomalies={}, health={}).retrospective()

        assert success(report, "critical_incident_count") is None
        assert len(report.unknowns) == 14
        assert report.days[0].health_score is None

    def test_a_kpi_that_nobody_has_is_unknown(self) -> None:
        whole = evidence(as_of=1)
        day = whole.stabilities[1]
        rows = tuple(row for row in day.kpis if row.kpi != "cache_hit_ratio")
        report = whole._replace(stabilities={1: day.model_copy(update={"kpis": rows})}).retrospective()

        assert [(one.kpi, one.service) for one in report.unknowns] == [("cache_hit_ratio", None)]
        assert success(report, "cache_hit_ratio") is None


class TestSuccesses:
    def test_the_worst_service_is_named(self) -> None:
        found = success(evidence({(5, "p99_latency", "worker"): 0.305}).retrospective(), "p99_latency")

        assert found is not None
        assert (found.worst_service, found.worst_value, found.actual_value) == ("worker", "305 ms", "305 ms")

    def test_one_service_below_its_comfort_limit_is_enough_to_lose_it(self) -> None:
        report = evidence({(2, "cache_hit_ratio", "worker"): 0.89}).retrospective()

        assert success(report, "cache_hit_ratio") is None

    def test_a_total_weighs_its_events(self) -> None:
        found = success(evidence({(2, *API): 0.9995}).retrospective(), "availability")

        assert found is not None
        assert found.actual_value == "99.987 %"

    @pytest.mark.parametrize("seen", [event(3), event(3, severity=Severity.HIGH, kind=AnomalyClass.SILENCE, kpi="*")])
    def test_a_critical_anomaly_or_a_silence_loses_it(self, seen: Any) -> None:
        report = evidence(events={3: [seen]}).retrospective()

        assert success(report, "critical_incident_count") is None

    def test_all_services_together_must_keep_it_too(self) -> None:
        whole = evidence(as_of=1)
        day = whole.stabilities[1]
        reported = tuple(
            one.model_copy(update={"value": 0.6}) if one.kpi == "p99_latency" else one for one in day.reported
        )
        report = whole._replace(stabilities={1: day.model_copy(update={"reported": reported})}).retrospective()

        assert success(report, "p99_latency") is None

    def test_a_kpi_that_failed_by_its_drift_loses_it(self) -> None:
        report = evidence({(2, "p99_latency", "api"): 0.45}).retrospective()

        assert success(report, "p99_latency") is None

    def test_a_day_on_which_no_series_was_scored_loses_it(self) -> None:
        whole = evidence()
        blind = {**whole.anomalies, 2: whole.anomalies[2].model_copy(update={"n_series": 0})}

        assert success(whole._replace(anomalies=blind).retrospective(), "critical_incident_count") is None

    @pytest.mark.parametrize("other", [1.0, 0.8])
    def test_cost_of_one_service_that_drifted_loses_it(self, other: float) -> None:
        changes = {(3, "cost_per_hour", "api"): 1.2, (3, "cost_per_hour", "worker"): other}

        assert success(evidence(changes).retrospective(), "cost_per_hour") is None


class TestDrifts:
    def test_twenty_percent_asks_for_an_investigation_with_three_causes(self) -> None:
        (found,) = evidence(CPU_DRIFT).retrospective().unexpected_drifts

        assert (found.metric_name, found.service) == ("cpu", "api")
        assert found.drift_percent == 20.0
        assert found.investigation_needed
        assert found.trend == "increasing"
        assert found.potential_causes == policy().kpis["cpu"].causes  # type: ignore[union-attr]

    def test_twelve_percent_does_not(self) -> None:
        (found,) = evidence({(7, "cpu", "api"): 0.56}).retrospective().unexpected_drifts

        assert not found.investigation_needed

    @pytest.mark.parametrize("value", [0.54, 0.66, 0.4])
    def test_less_or_more_or_better_is_none(self, value: float) -> None:
        assert evidence({(7, "cpu", "api"): value}).retrospective().unexpected_drifts == ()

    def test_points_of_an_objective_are_none(self) -> None:
        assert evidence({(7, *API): 0.9992}).retrospective().unexpected_drifts == ()

    def test_a_kpi_that_went_back_is_none(self) -> None:
        assert evidence({(5, "cpu", "api"): 0.6}).retrospective().unexpected_drifts == ()

    def test_companions_come_first_the_most_harmful_at_the_top(self) -> None:
        changes = {(7, "cpu", "api"): 0.6, (7, "memory", "api"): 2.3e8, (7, "request_rate", "api"): 125.0}
        changes |= {(7, "cost_per_hour", "worker"): 1.25}
        found = {one.metric_name: one for one in evidence(changes).retrospective().unexpected_drifts}

        assert found["cpu"].potential_causes == (
            "moved together with Request rate of api (+25.0 %)",
            "moved together with Memory of api (+15.0 %)",
            "More work per request in the new release",
        )

    def test_an_incident_that_is_over_hides_no_drift(self) -> None:
        found = evidence({(2, "cpu", "api"): 0.7, (7, "cpu", "api"): 0.6}).retrospective().unexpected_drifts

        assert [one.metric_name for one in found] == ["cpu"]

    def test_a_regression_of_weight_is_listed_as_a_degradation_instead(self) -> None:
        changes = {(7, "cpu", "api"): 0.61}
        medium = evidence(changes, regressions=[regressed("cpu", "api", Severity.MEDIUM, (7,), active=True)])
        low = evidence(changes, regressions=[regressed("cpu", "api", Severity.LOW, (7,), active=True)])

        assert medium.retrospective().unexpected_drifts == ()
        assert len(medium.retrospective().degradations) == 1
        assert len(low.retrospective().unexpected_drifts) == 1
        assert low.retrospective().degradations == ()

    def test_an_unknown_row_is_none(self) -> None:
        whole = evidence({(7, "cpu", "api"): 0.6})
        day = whole.stabilities[7]
        rows = tuple(
            row.model_copy(update={"verdict": Verdict.UNKNOWN}) if (row.kpi, row.service) == ("cpu", "api") else row
            for row in day.kpis
        )
        mixed = whole._replace(stabilities={**whole.stabilities, 7: day.model_copy(update={"kpis": rows})})

        assert mixed.retrospective().unexpected_drifts == ()

    def test_a_first_day_has_no_trend(self) -> None:
        (found,) = evidence({(1, "cpu", "api"): 0.6}, as_of=1).retrospective().unexpected_drifts

        assert found.trend is None


class TestCost:
    @pytest.mark.parametrize(
        ("late", "trend"), [(1.15, "increasing"), (1.0, "stable"), (0.8, "decreasing"), (1.05, "stable")]
    )
    def test_the_trend_compares_the_halves(self, late: float, trend: str) -> None:
        changes = {(day, "cost_per_hour", name): late for day in (4, 5, 6, 7) for name in ("api", "worker")}

        assert evidence(changes).retrospective().cost_analysis.cost_trend == trend

    def test_three_days_are_too_early(self) -> None:
        assert evidence(as_of=3).retrospective().cost_analysis.cost_trend == "too early"
        assert cost_trend_of([1, 1, 1, 1]) == "stable"

    def test_it_is_in_dollars_per_day(self) -> None:
        cost = evidence().retrospective().cost_analysis

        assert (cost.ga_day_cost, cost.daily_average_cost, cost.seven_day_total_cost) == (48, 48, 336)

    def test_a_day_of_a_bake_time_is_shorter(self) -> None:
        cost = evidence(of_release=release(day_length_s=3600)).retrospective().cost_analysis

        assert (cost.ga_day_cost, cost.daily_average_cost) == (2, 2)

    def test_an_unknown_or_missing_day_is_left_out_and_said(self) -> None:
        cost = evidence({(2, "cost_per_hour", "api"): UNKNOWN}, missing=[5]).retrospective().cost_analysis

        assert (cost.n_days_known, cost.seven_day_total_cost, cost.daily_average_cost) == (5, 240, 48)
        assert cost.by_day[1].usd is None
        assert cost.note.startswith("Days 2 and 5 are unknown")

    def test_an_unknown_ga_day_is_null_and_the_days_are_still_known(self) -> None:
        changes = {(0, "cost_per_hour", name): UNKNOWN for name in ("api",)}
        cost = evidence(changes).retrospective().cost_analysis

        assert cost.ga_day_cost is None
        assert cost.n_days_known == 7

    def test_a_day_without_any_judged_service_is_unknown(self) -> None:
        changes = {(0, "cost_per_hour", name): UNKNOWN for name in ("api", "worker")}

        assert evidence(changes).retrospective().cost_analysis.n_days_known == 0

    def test_parts_that_are_not_given_are_null(self) -> None:
        parts = {day: {"compute": 1.5, "other": 0.5} for day in range(1, 8)}
        known = evidence().retrospective(cost_parts=parts).cost_analysis.cost_breakdown
        unknown = evidence().retrospective().cost_analysis.cost_breakdown

        assert known.model_dump() == {"compute": 36, "storage": None, "network": None, "other": 12}
        assert set(unknown.model_dump().values()) == {None}

    def test_a_part_that_misses_a_day_is_null(self) -> None:
        parts = {day: {"compute": 1.5} for day in range(1, 7)}

        assert evidence().retrospective(cost_parts=parts).cost_analysis.cost_breakdown.compute is None

    def test_a_rise_is_explained_with_figures(self) -> None:
        changes = {(day, "cost_per_hour", "api"): 1.29 for day in (4, 5, 6, 7)}
        advice = evidence(changes).retrospective().cost_analysis.cost_optimization_recommendations

        assert advice[0].startswith("Stop the rise: from 48 USD per day")

    def test_without_a_finding_there_is_no_advice(self) -> None:
        assert evidence().retrospective().cost_analysis.cost_optimization_recommendations == ()


def with_days_before(budget: Budget, *, share: float) -> Budget:
    days = tuple(day.model_copy(update={"gone": (day.gone or 0.0) + share}) for day in budget.days)
    return budget.model_copy(update={"days": days})


def burn_of_day(day: int, *, burn: float, limit: float, verdict: Verdict, n_known: int = 288) -> BurnOfDay:
    window = LongWindow(start_at=GA_AT, end_at=GA_AT, n_bad=10, n_total=1000, burn=burn, chance=1e-9, short_burn=burn)
    return BurnOfDay(
        kpi="availability",
        service="api",
        day=day,
        window="six_hours",
        length_s=21600,
        limit=limit,
        n_needed=915,
        verdict=verdict,
        reason="",
        n_ends=288,
        n_known=n_known,
        n_fired=int(verdict is Verdict.FAIL),
        fired_at=None,
        worst=window,
        latest=window,
    )


class TestBudgets:
    def test_targets_are_in_the_documented_units(self) -> None:
        found = [(one.slo_name, one.target, one.budget) for one in evidence().retrospective().slo_burn_downs]

        assert found == [("Availability", 99.9, 0.1), ("P99 Latency", 500, 1.0), ("Error Rate", 0.1, 0.1)]

    def test_one_bad_day_takes_its_share_and_leaves_a_date(self) -> None:
        found = burn_down(evidence({(2, *API): 0.985}).retrospective(), "Availability")

        assert found.service == "api"
        assert found.budget_consumed_percent == pytest.approx(100 * (1500 + 70) / 3000)
        assert found.days_to_exhaustion == pytest.approx((3000 - 1570) / (1570 / 8))
        assert found.status == "At Risk"

    def test_each_day_adds_up_to_the_whole(self) -> None:
        found = burn_down(evidence({(2, *API): 0.985}).retrospective(), "Availability")
        days = found.compliance_by_day

        assert [one.day for one in days] == list(range(8))
        assert [one.compliant for one in days] == [True, True, False, True, True, True, True, True]
        assert days[2].value == 98.5
        assert days[2].service == "api"
        assert days[-1].budget_consumed == found.budget_consumed_percent

    def test_a_day_that_nobody_knows_is_null(self) -> None:
        changes = {(2, *API): 0.985, (4, *API): UNKNOWN, (4, "availability", "worker"): 0.99995}
        found = burn_down(evidence(changes, missing=[3]).retrospective(), "Availability")
        days = found.compliance_by_day

        assert (days[3].value, days[3].compliant, days[3].budget_consumed) == (None, None, None)
        assert (days[4].value, days[4].service, days[4].compliant) == (99.995, "worker", None)
        assert days[4].budget_consumed is None
        assert {one.service: one.n_days_unknown for one in found.services} == {"api": 2, "worker": 1}

    def test_a_promise_that_was_missed_by_chance_is_missed(self) -> None:
        found = burn_down(evidence({(2, *API): 0.99895}).retrospective(), "Availability")

        assert found.compliance_by_day[2].compliant is False

    def test_what_was_spent_before_ga_is_gone_from_the_start(self) -> None:
        whole = evidence()
        spent = tuple(with_days_before(one, share=0.2) for one in whole.regression.budgets)
        before = whole._replace(regression=whole.regression.model_copy(update={"budgets": spent}))
        days = burn_down(before.retrospective(), "Availability").compliance_by_day

        assert days[0].budget_consumed == pytest.approx(20 + 100 / 300)
        assert days[7].budget_consumed == pytest.approx(20 + 800 / 300)

    @pytest.mark.parametrize(
        ("spent", "left", "at_risk", "words"),
        [
            (0.6, 40.0, True, "the rest ends in 40.0 days at the pace since GA"),
            (0.4, 6.0, True, "the rest ends in 6.0 days at the pace since GA"),
            (0.4, 40.0, False, "the rest ends in 40.0 days at the pace since GA"),
            (0.2, None, False, "the rest does not end within 90 days at the pace since GA"),
            (1.2, 0.0, True, "nothing is left"),
            (None, None, False, "the rest is unknown"),
        ],
    )
    def test_a_budget_asks_for_somebody_when_half_is_gone_or_it_ends_soon(
        self, *, spent: float | None, left: float | None, at_risk: bool, words: str
    ) -> None:
        one = ServiceBudget(
            service="api",
            spent=spent,
            own_share=spent,
            exhaustion_days=left,
            exhaustion_low_days=left,
            exhaustion_high_days=left,
            worst_burn=None,
            n_days_unknown=0,
            n_prior_days=0,
            status="Unknown",
        )

        assert (is_at_risk(policy(), one), rest_text(one)) == (at_risk, words)

    @pytest.mark.parametrize(
        ("spent", "days", "low", "high", "words"),
        [
            (0.4, 7.0, 5.5, 9.0, "7.0 days (5.5 days to 9.0 days)"),
            (0.4, 7.0, 5.5, None, "7.0 days (5.5 days to not within 90 days)"),
            (0.4, None, 24.0, None, "not within 90 days (24.0 days to not within 90 days)"),
            (0.4, None, None, None, "not within 90 days"),
            (1.2, 0.0, 0.0, 0.0, "it is spent"),
            (None, None, None, None, "unknown"),
        ],
    )
    def test_the_end_of_a_budget_has_an_interval(
        self, spent: float | None, days: float | None, low: float | None, high: float | None, words: str
    ) -> None:
        line = burn_down(evidence().retrospective(), "Availability").services[0]
        ends = {"spent": spent, "exhaustion_days": days, "exhaustion_low_days": low, "exhaustion_high_days": high}

        assert exhaustion_text(line.model_copy(update=ends)) == words

    def test_the_worst_window_is_one_that_fired_before_one_that_burnt_more(self) -> None:
        whole = evidence()
        burns = (
            burn_of_day(2, burn=30.0, limit=14.4, verdict=Verdict.PASS),
            burn_of_day(3, burn=7.0, limit=6.0, verdict=Verdict.FAIL),
            burn_of_day(4, burn=90.0, limit=6.0, verdict=Verdict.UNKNOWN, n_known=0),
        )
        seen = whole._replace(regression=whole.regression.model_copy(update={"burns": burns}))
        api, worker = burn_down(seen.retrospective(), "Availability").services

        assert worker.worst_burn is None
        assert api.worst_burn is not None
        assert api.worst_burn.text == "7 over six_hours on day 3, the limit is 6: fired"

    def test_the_error_rate_is_the_same_promise_from_the_other_side(self) -> None:
        report = evidence({(2, *API): 0.985}).retrospective()
        good, bad = burn_down(report, "Availability"), burn_down(report, "Error Rate")

        assert bad.compliance_by_day[2].value == 1.5
        assert bad.budget_consumed_percent == good.budget_consumed_percent

    def test_latency_is_in_milliseconds_and_spends_budget(self) -> None:
        found = burn_down(evidence({(7, "p99_latency", "worker"): 0.6}).retrospective(), "P99 Latency")

        assert (found.unit, found.compliance_by_day[7].value, found.verdict) == ("ms", 600, "fail")
        assert found.service == "worker"
        assert in_ms(None) is None

    def test_services_stand_beside_the_worst(self) -> None:
        found = burn_down(evidence({(2, *API): 0.985}).retrospective(), "Availability")

        assert [(one.service, one.status) for one in found.services] == [("api", "At Risk"), ("worker", "Healthy")]

    def test_a_promise_that_was_never_measured_has_no_budget(self) -> None:
        changes = {(day, "availability", name): UNKNOWN for day in range(8) for name in ("api", "worker")}
        found = burn_down(evidence(changes).retrospective(), "Availability")

        assert (found.budget_consumed_percent, found.days_to_exhaustion, found.status) == (None, None, "Unknown")


class TestRecommendations:
    def test_there_are_at_most_ten_the_most_urgent_first(self) -> None:
        names = [f"svc{i}" for i in range(8)]
        changes = {(day, "cpu", name): 0.7 for name in names for day in (2, 4, 6)}
        changes |= {(7, "availability", "svc3"): 0.98}
        report = evidence(changes, services=names).retrospective()
        tags = [one[:4] for one in report.recommendations]

        assert len(tags) == 10
        assert tags == sorted(tags)
        assert tags[0] == "[P0]"
        assert report.recommendations_v1_0_2 == report.recommendations

    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({(2, *API): 0.98}, "[P0] Find the cause: Availability of api, day 2: 98.000 %"),
            ({(7, *API): 0.995}, "[P1] Resolve: Availability of api, day 7: 99.500 %"),
            ({(2, *API): 0.985}, "[P1] Protect the error budget of Availability of api: 52.3 %"),
            (CPU_DRIFT, "[P2] Investigate the drift of CPU of api: 0.6 cores, +20.0 %"),
            ({(7, *API): UNKNOWN}, "[P1] Restore the telemetry of Availability of api: unknown on day 7"),
            ({(3, *WORKER): UNKNOWN}, "[P2] Restore the telemetry of CPU of worker: unknown on day 3"),
            ({(7, *WORKER): UNKNOWN}, "[P2] Restore the telemetry of CPU of worker: unknown on day 7"),
            ({(3, *API): UNKNOWN}, "[P2] Restore the telemetry of Availability of api: unknown on day 3"),
            ({(3, *API): 0.9985}, "[P3] Find the cause: Availability of api, day 3: 99.850 %"),
            ({(7, *API): 0.9985}, "[P2] Resolve: Availability of api, day 7: 99.850 %"),
        ],
    )
    def test_each_names_its_finding(self, changes: Any, text: str) -> None:
        found = evidence(changes).retrospective().recommendations

        assert any(one.startswith(text) for one in found), found

    def test_what_one_gap_took_is_restored_by_one_action(self) -> None:
        gap = {(day, kpi, "api"): UNKNOWN for day in (4, 5) for kpi in ("availability", "cpu", "memory")}
        (said,) = (one for one in evidence(gap).retrospective().recommendations if "Restore" in one)

        assert said.startswith("[P2] Restore the telemetry of Availability and 2 other KPIs of api: unknown on days 4")

    def test_assessments_that_are_missing_are_materialised(self) -> None:
        found = evidence()._replace(anomalies={}).retrospective().recommendations

        assert any("Materialise what is missing of everything of all services" in one for one in found)

    def test_a_roll_back_comes_first(self) -> None:
        report = evidence({(6, *API): 0.98, (7, *API): 0.98}).retrospective()

        assert report.decision is Decision.ROLL_BACK
        assert report.recommendations[0].startswith("[P0] Roll back tars@1.0.1: ")
        assert report.overall_status is OverallStatus.CRITICAL

    def test_the_most_urgent_comes_first_whatever_it_is_about(self) -> None:
        tags = [one[:4] for one in evidence({(7, *API): 0.9985}, missing=[3]).retrospective().recommendations]

        assert tags == sorted(tags)
        assert {"[P1]", "[P2]"} <= set(tags)

    def test_only_a_release_to_keep_is_to_be_kept(self) -> None:
        assert not any("Keep" in one for one in evidence(missing=[3]).retrospective().recommendations)

    def test_a_missing_day_is_asked_for_once(self) -> None:
        assert sum("day 3" in one for one in evidence(missing=[3]).retrospective().recommendations) == 1

    def test_missing_days_ask_to_be_judged(self) -> None:
        assert any(
            one.startswith("[P1] Judge days 3 and 4")
            for one in evidence(missing=[3, 4]).retrospective().recommendations
        )

    def test_action_items_have_an_owner_a_date_and_evidence(self) -> None:
        found = evidence(ALL_KINDS).retrospective().action_items

        assert [one.id for one in found] == [f"AI-{i:02d}" for i in range(1, len(found) + 1)]
        assert {one.owner for one in found} == {"team:sre"}
        assert found[0].due == "immediately"
        assert found[0].evidence == ("stability/day_02_summary.json", "regression_summary.json")
        assert {one.priority for one in found} <= {"P0", "P1", "P2"}

    @pytest.mark.parametrize(
        ("version", "following"), [("1.0.1", "1.0.2"), ("v3.9.9", "v3.9.10"), ("2025-11", None), ("1.02.3", None)]
    )
    def test_the_next_version_is_a_patch_or_unknown(self, version: str, following: str | None) -> None:
        assert evidence(of_release=release(version=version)).retrospective().next_version == following


def improvements(made: Evidence) -> str:
    return "\n".join(made.retrospective().process_improvements)


class TestProcessImprovements:
    @pytest.mark.parametrize(
        ("changes", "text"),
        [
            ({(2, *API): 0.985}, "Slow down releases until the error budget recovers (finding: 52.3 %"),
            ({(2, *API): 0.985}, "Add a check of availability under load"),
            ({(2, "cpu", "api"): 0.7, (3, "cpu", "api"): 0.7}, "cpu of api was bad on days 2 and 3"),
            ({(4, *WORKER): UNKNOWN}, "(finding: CPU of worker on day 4: coverage 0.50 < 0.90)"),
            ({}, "Use the spare error budget"),
            ({}, "is anchored at GA"),
        ],
    )
    def test_each_follows_from_a_finding(self, changes: Any, text: str) -> None:
        assert text in improvements(evidence(changes))

    def test_a_budget_between_spare_and_short_asks_for_nothing(self) -> None:
        found = improvements(evidence({(2, *API): 0.99}))

        assert "spare" not in found
        assert "Slow down" not in found

    def test_an_incident_of_one_day_is_not_called_long(self) -> None:
        assert "Agree how long" not in improvements(evidence({(2, "cpu", "api"): 0.7}))

    def test_missing_days_ask_for_a_schedule(self) -> None:
        assert improvements(evidence(missing=[3])).startswith("Judge every day from a schedule")

    @pytest.mark.parametrize(("n_events", "noisy"), [(10, False), (11, True)])
    def test_many_anomalies_ask_for_fewer_alarms(self, *, n_events: int, noisy: bool) -> None:
        events = {3: [event(3, severity=Severity.LOW)] * n_events}

        assert (f"{n_events} anomaly events on day 3" in improvements(evidence(events=events))) is noisy

    def test_what_is_in_order_is_not_mentioned(self) -> None:
        whole = evidence(of_release=release(previous="tars@1.0.0", artifact_sha256="e" * 64))
        spent = tuple(one.model_copy(update={"n_prior_days": 22}) for one in whole.regression.budgets)
        found = improvements(whole._replace(regression=whole.regression.model_copy(update={"budgets": spent})))

        assert "Register" not in found
        assert "anchored" not in found

    def test_there_are_at_most_five(self) -> None:
        made = evidence({(2, *API): 0.985, (4, *API): 0.985, (5, *WORKER): UNKNOWN}, missing=[3], supersedes="c" * 64)

        assert len(made.retrospective().process_improvements) == 5


class TestOverallStatus:
    @pytest.mark.parametrize(
        ("changes", "status"),
        [
            ({(2, *API): 0.98}, OverallStatus.CRITICAL),
            ({(day, "cpu", "api"): 0.7 for day in (1, 3, 5)}, OverallStatus.NEEDS_ATTENTION),
            ({(3, "cpu", "api"): 0.7}, OverallStatus.STABLE),
            ({(7, *API): 0.9985}, OverallStatus.NEEDS_ATTENTION),
            ({(6, *API): 0.9985, (7, *API): 0.9985}, OverallStatus.CRITICAL),
            ({(7, "p99_latency", "api"): 0.34}, OverallStatus.STABLE),
        ],
    )
    def test_is_as_bad_as_the_worst_finding_and_the_tier(self, changes: Any, status: OverallStatus) -> None:
        assert evidence(changes).retrospective().overall_status is status


class TestTheEvidenceBelongsTogether:
    def test_another_release_is_refused(self) -> None:
        other = evidence(of_release=release(version="1.0.0"))

        with pytest.raises(ContractError, match=r"tars@1\.0\.0"):
            evidence()._replace(regression=other.regression).retrospective()

    def test_another_baseline_is_refused(self) -> None:
        whole = evidence()
        other = whole.baseline.model_copy(update={"telemetry_sha256": "d" * 64})

        with pytest.raises(ContractError, match="another baseline"):
            whole._replace(baseline=other).retrospective()

    def test_a_day_that_was_judged_again_is_refused(self) -> None:
        whole = evidence()
        again = whole.stabilities[3].model_copy(update={"telemetry_sha256": "d" * 64})

        with pytest.raises(ContractError, match="day_03 was judged again"):
            whole._replace(stabilities={**whole.stabilities, 3: again}).retrospective()

    def test_a_day_that_is_not_given_is_refused(self) -> None:
        whole = evidence()

        with pytest.raises(MissingInputError, match="day_01"):
            whole._replace(stabilities={}).retrospective()


def test_a_refrozen_baseline_is_said() -> None:
    report = evidence(supersedes="c" * 64).retrospective()

    assert report.provenance.baseline_supersedes == "c" * 64
    assert any("refrozen" in one for one in report.recommendations)
