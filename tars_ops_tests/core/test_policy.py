"""What a policy may say, and what it promises by default."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from tars_ops.core.policy import (
    BUDGET_LIMITS,
    COST_LIMITS,
    GAUGE_LIMITS,
    LATENCY_LIMITS,
    Gates,
    Health,
    Judgement,
    LatencyKpi,
    Measurement,
    Policy,
    RatioKpi,
)
from tars_ops_tests.core.factories import demo_policy, policy_tree, policy_with


def measured(**changes: Any) -> Policy:
    tree = policy_tree()
    return Policy.model_validate({**tree, "measurement": {**tree["measurement"], **changes}})


def without_kpi(name: str) -> dict[str, Any]:
    return {key: kpi for key, kpi in policy_tree()["kpis"].items() if key != name}


# Defaults


def test_the_defaults_of_a_judgement_are_the_documented_ones() -> None:
    assert Judgement().model_dump() == {
        "slo_period_days": 30,
        "alpha": 0.001,
        "regression_alpha": 0.05,
        "exhaustion_days": 14,
        "fast_burn": {"budget_share": 0.02, "long_s": 3600, "short_s": 300},
        "burn_windows": {
            "six_hours": {"budget_share": 0.05, "long_s": 21600, "short_s": 1800},
            "three_days": {"budget_share": 0.10, "long_s": 259200, "short_s": 21600},
        },
        "roll_back": {"budget_share": 1.0, "failed_days": 2, "of_days": 3, "critical_held_s": 86400},
    }
    assert Measurement(selector='a="b"').min_coverage == 0.9


def test_a_ratio_with_an_objective_counts_its_drift_in_budgets() -> None:
    availability = demo_policy().judged["availability"]

    assert (availability.tolerance, availability.drift_warn, availability.drift_fail) == (0.1, 0.5, 1.0)
    assert availability.limits == BUDGET_LIMITS


def test_what_has_no_objective_counts_its_drift_relative_to_ga() -> None:
    for name in ("cache_hit_ratio", "memory", "p99_latency", "cost_per_hour", "uptime"):
        kpi = demo_policy().judged[name]

        assert (kpi.tolerance, kpi.drift_warn, kpi.drift_fail) == (0.05, 0.10, 0.30)


def test_a_drift_limit_that_is_written_wins_over_the_default() -> None:
    kpi = policy_with("availability", drift_warn=0.2).judged["availability"]

    assert (kpi.drift_warn, kpi.drift_fail) == (0.2, 1.0)


def test_severities_of_a_regression_start_where_the_documents_say() -> None:
    limits = [
        (one.medium, one.high, one.critical) for one in (LATENCY_LIMITS, GAUGE_LIMITS, COST_LIMITS, BUDGET_LIMITS)
    ]

    assert limits == [(0.15, 0.30, 0.50), (0.20, 0.30, 0.50), (0.10, 0.20, 0.30), (1.0, 2.0, 10.0)]
    assert demo_policy().judged["memory"].limits == GAUGE_LIMITS
    assert demo_policy().judged["cost_per_hour"].limits == COST_LIMITS
    assert demo_policy().judged["p95_latency"].limits == LATENCY_LIMITS
    assert demo_policy().judged["cache_hit_ratio"].limits == GAUGE_LIMITS
    assert demo_policy().judged["uptime"].limits == GAUGE_LIMITS


def test_fifty_events_are_the_fewest_that_are_judged() -> None:
    kpis = demo_policy().judged.values()

    assert {kpi.min_events for kpi in kpis if isinstance(kpi, RatioKpi | LatencyKpi)} == {50}


def test_the_weights_of_health_are_the_documented_ones_and_sum_to_one() -> None:
    weights = Health().model_dump(exclude={"floor"})

    assert Health().floor == 60
    assert weights == {"availability": 0.4, "latency": 0.3, "uptime": 0.15, "drift": 0.15}
    assert sum(weights.values()) == pytest.approx(1, abs=1e-12)


def test_what_is_damaged_or_burns_is_critical_and_what_is_incomplete_is_not() -> None:
    by_severity: dict[str, set[str]] = {}
    for rule, severity in Gates().model_dump(mode="json").items():
        by_severity.setdefault(severity, set()).add(rule)

    assert by_severity == {
        "critical": {"evidence", "regression", "rollback", "fast_burn"},
        "high": {"unknown", "baseline", "anomaly", "health", "on_time"},
        "medium": {"telemetry", "drift", "certification"},
    }


# What a policy knows of its KPIs


def test_a_complement_is_reported_and_not_judged() -> None:
    assert "error_rate" in demo_policy().kpis
    assert "error_rate" not in demo_policy().judged


def test_only_kpis_with_an_objective_have_a_budget() -> None:
    assert set(demo_policy().slos) == {"availability", "p99_latency"}


@pytest.mark.parametrize(
    ("kpi", "objective"), [("availability", 0.999), ("p99_latency", 0.99), ("p95_latency", None), ("memory", None)]
)
def test_the_objective_is_a_share_of_good_events(kpi: str, objective: float | None) -> None:
    assert demo_policy().objective(kpi) == objective


@pytest.mark.parametrize(
    ("kpi", "counter"),
    [
        ("availability", "availability"),
        ("p50_latency", "http_request_duration_seconds"),
        ("p99_latency", "http_request_duration_seconds"),
        ("db_p95_latency", "db_query_duration_seconds"),
        ("memory", None),
    ],
)
def test_quantiles_of_one_histogram_share_its_counts(kpi: str, counter: str | None) -> None:
    assert demo_policy().counter(kpi) == counter


# What is refused


@pytest.mark.parametrize(
    "threshold_s",
    [0.3, 0.49999, 20.0],
)
def test_a_latency_objective_that_is_no_bucket_bound_is_refused(threshold_s: float) -> None:
    with pytest.raises(ValidationError, match="is no bucket bound"):
        policy_with("p99_latency", slo={"threshold_s": threshold_s})


def test_an_unknown_histogram_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a key of `histograms`"):
        policy_with("p99_latency", histogram="nothing_seconds")


@pytest.mark.parametrize("bounds", [[0.5, 0.1, 1.0], [0.1, 0.1, 0.5], [0.5]])
def test_bounds_that_do_not_increase_are_refused(bounds: list[float]) -> None:
    tree = policy_tree()
    tree["histograms"]["http_request_duration_seconds"] = bounds

    with pytest.raises(ValidationError):
        Policy.model_validate(tree)


@pytest.mark.parametrize("of", ["nothing", "memory", "error_rate"])
def test_a_complement_of_anything_but_a_ratio_is_refused(of: str) -> None:
    with pytest.raises(ValidationError, match="is not a KPI of kind ratio"):
        policy_with("error_rate", of=of)


def test_a_complement_whose_ratio_is_gone_is_refused() -> None:
    with pytest.raises(ValidationError, match="is not a KPI of kind ratio"):
        Policy.model_validate(policy_tree(kpis=without_kpi("availability")))


@pytest.mark.parametrize(
    "changes",
    [
        {"objective": 99.9},
        {"objective": 1.0},
        {"objective": 0.0},
        {"objective": float("nan")},
        {"objective": 0.999, "extra": 1},
    ],
)
def test_an_objective_is_a_share_between_none_and_all(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        policy_with("availability", slo=changes)


@pytest.mark.parametrize(
    ("kpi", "changes"),
    [
        ("memory", {"drift_warn": 0.3}),
        ("memory", {"drift_warn": 0.4}),
        ("memory", {"tolerance": 0.2}),
        ("availability", {"drift_warn": 2.0}),
        ("memory", {"regression": {"medium": 0.3, "high": 0.3, "critical": 0.5}}),
        ("memory", {"regression": {"medium": 0.3, "high": 0.4, "critical": 0.35}}),
    ],
)
def test_limits_out_of_order_are_refused(kpi: str, changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="does not hold"):
        policy_with(kpi, **changes)


@pytest.mark.parametrize("changes", [{"total": None}, {"good": "x_total"}])
def test_a_ratio_has_bad_events_and_exactly_one_other_counter(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="exactly one of"):
        policy_with("availability", **changes)


@pytest.mark.parametrize(
    ("promql", "message"),
    [
        ("sum(up)", r"\$selector is missing"),
        ("sum by ($service) (up)", r"\$selector is missing"),
        ("sum(up{$selector})", r"\$service is missing"),
        ("sum by ($service) (rate(up{$selector}[$range]))", r"unknown placeholder \$range"),
        ("sum by ($service) (up{$selector}) > $5", "names no placeholder"),
    ],
)
def test_a_query_that_would_mix_releases_or_services_is_refused(promql: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        policy_with("memory", promql=promql)


@pytest.mark.parametrize(
    "selector", ["", "up{", 'up{a="b"', "up or down", 'up{a="b"}\n', "up{a=b}", "sum(up)", 'up{a="b"}[5m]']
)
def test_what_is_no_series_selector_is_refused(selector: str) -> None:
    with pytest.raises(ValidationError, match="is not a series selector"):
        policy_with("memory", series=selector)


@pytest.mark.parametrize("matchers", ["", "a=b", '{a="b"}', 'a="b"} or up{', 'a="b",', 'a="b"\n'])
def test_what_is_no_list_of_matchers_is_refused(matchers: str) -> None:
    with pytest.raises(ValidationError, match="is not a list of label matchers"):
        measured(selector=matchers)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"step_s": 90}, "multiple of scrape_interval_s"),
        ({"slot_s": 90}, "multiple of step_s"),
        ({"rate_window_s": 119}, "at least two scrapes"),
    ],
)
def test_grids_that_do_not_fit_into_each_other_are_refused(changes: dict[str, int], rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        measured(**changes)


@pytest.mark.parametrize("weights", [{"availability": 0.5}, {"drift": 0.0}])
def test_weights_that_do_not_sum_to_one_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(ValidationError, match="not to 1"):
        Health(**weights)


@pytest.mark.parametrize("name", ["fast_burn", "since_ga"])
def test_a_burn_window_has_a_name_of_its_own(name: str) -> None:
    pair = {"budget_share": 0.1, "long_s": 3600, "short_s": 300}

    with pytest.raises(ValidationError, match="choose a name of your own"):
        Judgement.model_validate({"burn_windows": {name: pair}})


def test_the_short_window_of_a_pair_is_the_shorter_one() -> None:
    with pytest.raises(ValidationError, match=r"short_s \(3600\) must be below long_s \(3600\)"):
        Judgement.model_validate({"burn_windows": {"odd": {"budget_share": 0.1, "long_s": 3600, "short_s": 3600}}})


@pytest.mark.parametrize(
    "changes",
    [
        {"product": "Tars"},
        {"product": "a|b"},
        {"product": "tars\n"},
        {"owner": "nobody"},
        {"version": 2},
        {"kpis": {}},
        {"surprise": 1},
        {"judgement": {"alpha": 0.06}},
        {"judgement": {"slo_period_days": 0}},
        {"anomalies": {"alpha": 0}},
        {"anomalies": {"method": "oracle"}},
    ],
)
def test_a_policy_outside_its_rules_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Policy.model_validate(policy_tree(**changes))


def test_a_policy_cannot_be_changed_afterwards() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        demo_policy().product = "other"


# Releases by sight


def test_releases_are_not_looked_for_unless_the_policy_says_where() -> None:
    assert Measurement(selector='a="b"').build_info is None
    assert measured(build_info='app_build_info{job="x"}').measurement.build_info == 'app_build_info{job="x"}'


def test_a_build_info_series_needs_a_label_that_tells_versions_apart() -> None:
    with pytest.raises(ValidationError, match="build_info tells releases apart by version_label, which is null"):
        measured(build_info="app_build_info", version_label=None)
