"""What do we rely on in Dagster that an upgrade could change?

Preview and beta APIs are adopted by ADR 0003; each promise that the project builds on has a test here.
"""

from __future__ import annotations

import dagster as dg
import pytest

from tars_ops.defs.failures import ATTENDED
from tars_ops.defs.gates import gates_of_a_day, gates_of_ga
from tars_ops.defs.partitions import RELEASE_DAYS
from tars_ops_tests.defs.conftest import WEEK, Lineage, Make


def test_a_gate_is_recorded_with_the_partition_it_judged(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    key = dg.AssetCheckKey(dg.AssetKey("daily_stability"), "availability_keeps_its_objective")

    (record,) = lineage.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)

    assert record.partition == "day_01|tars@1.0.1"


def test_a_failed_gate_stops_nothing_downstream(make_lineage: Make) -> None:
    lineage = make_lineage(fault="failing_requests", days=(1,))
    lineage.open()

    result = lineage.watch(1)
    materialised = {event.asset_key.to_user_string() for event in result.get_asset_materialization_events()}

    assert result.success
    assert "daily_health" in materialised


def materialised(result: dg.ExecuteInProcessResult) -> set[str]:
    keys = (event.asset_key for event in result.get_asset_materialization_events())
    return {key.to_user_string() for key in keys if key}


def test_one_step_that_checks_several_assets_records_the_partition_of_each_gate(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    recorded = {
        (key.asset_key.to_user_string(), key.name): [
            one.partition for one in lineage.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)
        ]
        for checks in (gates_of_ga, gates_of_a_day)
        for key in checks.check_keys
    }

    assert len({asset for asset, _ in recorded}) == 6
    assert {(asset.startswith("ga_"), *partitions) for (asset, _), partitions in recorded.items()} == {
        (True, WEEK),
        (False, f"day_01|{WEEK}"),
    }


def test_a_gate_that_only_warns_blocks_nothing(make_lineage: Make) -> None:
    lineage = make_lineage(fault="thin", days=(1,))
    lineage.open()

    result = lineage.watch(1)
    severities = {one.severity for one in result.get_asset_check_evaluations() if not one.passed}

    assert severities == {dg.AssetCheckSeverity.WARN}
    assert result.success
    assert materialised(result) == {"daily_telemetry", "daily_stability", "anomaly_events", "daily_health"}


@pytest.mark.parametrize("asset", ["ga_telemetry", "daily_telemetry"])
def test_a_failed_blocking_gate_fails_the_run_and_nothing_after_it_is_made(make_lineage: Make, asset: str) -> None:
    lineage = make_lineage(damaged=asset)

    opened = lineage.open()
    result = opened if asset == "ga_telemetry" else lineage.watch(1)
    failed = {one.check_name: one for one in result.get_asset_check_evaluations() if not one.passed}

    assert not result.success
    assert materialised(result) == {asset}
    assert set(failed) == {f"{asset}_is_intact"}
    assert failed[f"{asset}_is_intact"].severity is dg.AssetCheckSeverity.ERROR
    assert "differs from its digest" in (failed[f"{asset}_is_intact"].description or "")


def run_alone(lineage: Lineage, chosen: dg.AssetSelection) -> dg.ExecuteInProcessResult:
    """Run a part of the graph for day 1; a job of checks alone has to be told its partitions."""
    told = dg.PartitionedConfig(partitions_def=RELEASE_DAYS, run_config_for_partition_key_fn=lambda _: {})
    job = dg.define_asset_job("alone", chosen, config=told)
    return (
        dg.Definitions.merge(lineage.definitions, dg.Definitions(jobs=[job]))
        .resolve_job_def("alone")
        .execute_in_process(
            instance=lineage.instance,
            partition_key=f"day_01|{WEEK}",
            tags={ATTENDED: "true"},
            raise_on_error=False,
        )
    )


@pytest.mark.parametrize(
    ("asset", "name"),
    [("daily_stability", "availability_keeps_its_objective"), ("daily_telemetry", "daily_telemetry_is_intact")],
)
def test_one_gate_can_be_checked_again_alone(lineage: Lineage, asset: str, name: str) -> None:
    lineage.open()
    lineage.watch(1)
    key = dg.AssetCheckKey(dg.AssetKey(asset), name)

    again = run_alone(lineage, dg.AssetSelection.checks(key))
    history = lineage.instance.event_log_storage.get_asset_check_execution_history(key, limit=10)

    assert [(one.asset_check_key, one.passed) for one in again.get_asset_check_evaluations()] == [(key, True)]
    assert materialised(again) == set()
    assert [one.partition for one in history] == 2 * [f"day_01|{WEEK}"]


def test_the_gates_of_a_fetched_day_are_checked_before_it_is_judged(lineage: Lineage) -> None:
    """Who materialises the telemetry alone, in the UI, gets its gates and no failed step."""
    lineage.open()

    result = run_alone(lineage, dg.AssetSelection.assets("daily_telemetry"))

    assert {one.check_name: one.passed for one in result.get_asset_check_evaluations()} == dict.fromkeys(
        (f"daily_telemetry_{claim}" for claim in ("covers_the_window", "comes_without_warnings", "is_intact")), True
    )


def test_a_release_asset_sees_the_days_of_its_own_release_only(lineage: Lineage) -> None:
    mapping = dg.MultiToSingleDimensionPartitionMapping("release")
    days = dg.StaticPartitionsDefinition(["day_01", "day_02"])
    releases = dg.DynamicPartitionsDefinition(name="releases")
    both = dg.MultiPartitionsDefinition({"day": days, "release": releases})
    lineage.instance.add_dynamic_partitions("releases", ["other@2.0.0"])

    with dg.partition_loading_context(dynamic_partitions_store=lineage.instance):
        upstream = mapping.get_upstream_mapped_partitions_result_for_partitions(
            releases.subset_with_partition_keys([WEEK]), releases, both
        )

    assert set(upstream.partitions_subset.get_partition_keys()) == {"day_01|tars@1.0.1", "day_02|tars@1.0.1"}


def test_a_permanent_error_is_tried_once_and_a_passing_one_may_be_tried_again(make_lineage: Make) -> None:
    lineage = make_lineage()

    result = lineage.watch(1)
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]

    assert [event for event in result.all_events if event.is_step_up_for_retry] == []
    assert len(failures) >= 1


def test_the_definitions_load_without_a_warning_but_the_adopted_ones() -> None:
    from tars_ops_tests.defs.test_automation import run_python

    program = (
        "import warnings; warnings.simplefilter('error'); "
        "import pydantic.warnings as w; warnings.filterwarnings('ignore', category=w.PydanticDeprecatedSince20); "
        "from tars_ops.definitions import build; from tars_ops.adapters.settings import load_settings; "
        "import dagster as dg; dg.Definitions.validate_loadable(build(load_settings())); print('loaded')"
    )

    assert run_python(program) == "loaded"
