"""What do we rely on in Dagster that an upgrade could change?

Preview and beta APIs are adopted by ADR 0003; each promise that the project builds on has a test here.
"""

from __future__ import annotations

import dagster as dg

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
