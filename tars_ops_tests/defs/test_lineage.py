"""Is the graph the one that the architecture promises?"""

from __future__ import annotations

from collections.abc import Iterator

import dagster as dg
import pytest

from tars_ops.adapters.catalogue import BY_ASSET
from tars_ops.adapters.settings import load_settings
from tars_ops.definitions import build

EDGES = {
    "releases": set(),
    "ga_telemetry": {"releases"},
    "ga_baseline": {"ga_telemetry"},
    "staging_telemetry": {"ga_telemetry"},
    "reference_baselines": {"ga_baseline", "staging_telemetry"},
    "daily_telemetry": {"releases"},
    "daily_stability": {"daily_telemetry", "ga_baseline"},
    "anomaly_events": {"daily_telemetry", "ga_baseline"},
    "daily_health": {"daily_stability", "anomaly_events"},
    "running_telemetry": {"releases"},
    "running_day": {"running_telemetry", "ga_baseline"},
    "regression_analysis": {
        "ga_telemetry",
        "ga_baseline",
        "reference_baselines",
        "daily_telemetry",
        "daily_stability",
    },
    "release_certification": {"ga_baseline", "daily_stability", "regression_analysis"},
    "retrospective": {
        "ga_telemetry",
        "ga_baseline",
        "daily_telemetry",
        "daily_stability",
        "anomaly_events",
        "daily_health",
        "regression_analysis",
    },
    "executive_narrative": {"retrospective", "regression_analysis", "daily_health"},
    "provenance": {"ga_telemetry", "daily_telemetry", "regression_analysis"},
    "compliance_index": {"executive_narrative", "provenance"},
    "executive_bundle": {
        "release_certification",
        "retrospective",
        "executive_narrative",
        "compliance_index",
        "provenance",
    },
    "alerts": {"regression_analysis", "running_day"},
}
GROUPS = {
    "telemetry": {"releases", "ga_telemetry", "staging_telemetry", "daily_telemetry"},
    "watch": {
        "ga_baseline",
        "reference_baselines",
        "daily_stability",
        "anomaly_events",
        "daily_health",
        "running_telemetry",
        "running_day",
        "alerts",
    },
    "verdict": {"regression_analysis", "release_certification"},
    "executive": {"retrospective", "executive_narrative", "provenance", "compliance_index", "executive_bundle"},
}
DAILY = {"daily_telemetry", "daily_stability", "anomaly_events", "daily_health"}


@pytest.fixture
def graph() -> Iterator[dg.AssetGraph]:
    """The graph of the code location, resolved while an instance is open: Dagster keeps one in a global."""
    with dg.DagsterInstance.local_temp():
        yield build(load_settings()).resolve_asset_graph()


def test_the_lineage_is_the_one_of_the_architecture(graph: dg.AssetGraph) -> None:
    found = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }

    assert found == EDGES


def test_every_asset_stands_in_its_group_with_an_owner_a_kind_and_a_description(graph: dg.AssetGraph) -> None:
    nodes = {key.to_user_string(): graph.get(key) for key in graph.get_all_asset_keys()}

    assert {group: {n for n, node in nodes.items() if node.group_name == group} for group in GROUPS} == GROUPS
    assert [name for name, node in nodes.items() if not node.owners] == []
    assert [name for name, node in nodes.items() if not (node.description or "").strip()] == []
    assert [name for name, node in nodes.items() if not any(t.startswith("dagster/kind/") for t in node.tags)] == []


def test_days_are_partitioned_by_day_and_release_and_everything_else_by_release(graph: dg.AssetGraph) -> None:
    daily = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if isinstance(graph.get(key).partitions_def, dg.MultiPartitionsDefinition)
    }

    assert daily == DAILY


def test_every_materialised_asset_has_a_place_in_the_catalogue() -> None:
    assert set(BY_ASSET) == set(EDGES) - {"releases", "alerts"}


def test_objectives_have_a_gate_on_the_ga_day_and_on_every_day(graph: dg.AssetGraph) -> None:
    gates = {(key.asset_key.to_user_string(), key.name) for key in graph.asset_check_keys}

    promised = [(asset, f"{kpi}_keeps_its_objective") for asset in ("ga_baseline", "daily_stability") for kpi in SLOS]
    assert {gate for gate in gates if gate[1].endswith("_keeps_its_objective")} == set(promised)


def test_every_artifact_that_somebody_acts_on_has_its_gates(graph: dg.AssetGraph) -> None:
    gates: dict[str, set[str]] = {}
    for key in graph.asset_check_keys:
        gates.setdefault(key.asset_key.to_user_string(), set()).add(key.name)

    assert gates == GATES


@pytest.mark.parametrize("asset", ["ga_telemetry", "daily_telemetry"])
def test_damaged_evidence_is_the_only_thing_that_blocks(graph: dg.AssetGraph, asset: str) -> None:
    blocking = {
        (key.asset_key.to_user_string(), key.name)
        for key in graph.asset_check_keys
        if graph.get_check_spec(key).blocking
    }

    assert (asset, f"{asset}_is_intact") in blocking
    assert {name.endswith("_is_intact") for _, name in blocking} == {True}


SLOS = ("availability", "p99_latency")
TELEMETRY_GATES = ("covers_the_window", "comes_without_warnings", "is_intact")
GATES = {
    "ga_telemetry": {f"ga_telemetry_{claim}" for claim in TELEMETRY_GATES},
    "ga_baseline": {
        "baseline_is_frozen",
        "baseline_is_long_enough",
        "baseline_is_valid",
        *(f"{kpi}_keeps_its_objective" for kpi in SLOS),
    },
    "daily_telemetry": {f"daily_telemetry_{claim}" for claim in TELEMETRY_GATES},
    "daily_stability": {"no_kpi_drifts", *(f"{kpi}_keeps_its_objective" for kpi in SLOS)},
    "anomaly_events": {"no_anomaly_is_critical"},
    "daily_health": {"health_stays_above_its_floor"},
    "running_day": {"no_budget_burns_fast", "every_objective_holds_so_far"},
    "regression_analysis": {"no_regression_is_critical", "no_rollback_is_advised"},
    "release_certification": {"release_can_be_closed_as_stable"},
    "executive_bundle": {"bundle_verifies", "bundle_is_complete"},
}
