"""Does a partition that nobody registered fail in its own run, with what to do about it?"""

from __future__ import annotations

import dagster as dg
import pytest

from tars_ops.core.errors import UsageError
from tars_ops.defs.automation.jobs import WATCH_DAY, tags_of
from tars_ops.defs.automation.policy import JUDGE_AGAIN, judge_again
from tars_ops.defs.partitions import RELEASES, split
from tars_ops_tests.defs.conftest import WEEK, Lineage

NO_RELEASE = "not-a-release"


@pytest.mark.parametrize("key", ["not-a-release", "day_01|not-a-release", "day_1|tars@1.0.1", "|tars@1.0.1", "a|b|c"])
def test_a_key_that_names_no_day_or_release_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        split(key)


@pytest.mark.parametrize(
    ("key", "tags"),
    [
        (NO_RELEASE, {"tars_ops/release": NO_RELEASE}),
        (f"day_01|{NO_RELEASE}", {"tars_ops/release": NO_RELEASE, "tars_ops/day": "day_01"}),
    ],
)
def test_a_partition_of_any_name_gets_tags_so_that_it_stops_no_backfill(key: str, tags: dict[str, str]) -> None:
    assert tags_of(key) == tags


def _description(done: dg.ExecuteInProcessResult) -> str:
    (failed,) = [event for event in done.all_events if event.is_step_failure]
    return (failed.step_failure_data.user_failure_data or dg.Failure("")).description or ""


def test_a_run_of_a_partition_that_is_no_release_says_what_a_release_is(lineage: Lineage) -> None:
    lineage.instance.add_dynamic_partitions(RELEASES.name or "", [NO_RELEASE])

    done = lineage.run(WATCH_DAY, f"day_01|{NO_RELEASE}")

    assert not done.success
    assert f"release '{NO_RELEASE}' is not `product@version`" in _description(done)


def test_so_does_a_run_that_begins_with_reading_what_such_a_partition_cannot_have(lineage: Lineage) -> None:
    lineage.instance.add_dynamic_partitions(RELEASES.name or "", [NO_RELEASE])
    definitions = dg.Definitions.merge(lineage.definitions, dg.Definitions(jobs=[judge_again]))
    job = definitions.resolve_job_def(JUDGE_AGAIN)

    done = job.execute_in_process(instance=lineage.instance, partition_key=f"day_01|{NO_RELEASE}", raise_on_error=False)
    failed = [event.step_failure_data.user_failure_data for event in done.all_events if event.is_step_failure]

    assert failed
    assert all(one and f"release '{NO_RELEASE}' is not `product@version`" in (one.description or "") for one in failed)


def test_gates_without_a_partition_say_that_they_are_checked_with_their_asset(lineage: Lineage) -> None:
    """The UI executes checks without asking for one (1.13.27)."""
    gates = dg.define_asset_job("gates", dg.AssetSelection.checks_for_assets("daily_stability"))
    definitions = dg.Definitions.merge(lineage.definitions, dg.Definitions(jobs=[gates]))

    done = definitions.resolve_job_def("gates").execute_in_process(instance=lineage.instance, raise_on_error=False)

    assert not done.success
    assert "materialise the asset's partition again" in _description(done)


def test_a_release_is_a_partition_that_can_be_split() -> None:
    assert split(f"day_03|{WEEK}") == (WEEK, 3)
    assert split(WEEK) == (WEEK, 0)
