"""Is everything that is due requested, once, and nothing else?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from tars_ops.adapters.catalogue import PROVENANCE
from tars_ops.defs.automation import attempts, days, jobs, verdicts
from tars_ops.defs.resources import OutboxResource, SourceResource, StoreResource
from tars_ops_tests.defs.conftest import WEEK, Lineage

GA = datetime(2025, 11, 18, tzinfo=UTC)


def tick(lineage: Lineage, schedule: dg.ScheduleDefinition, at: datetime) -> list[dg.RunRequest]:
    """Evaluate a schedule as the daemon would at an instant."""
    context = dg.build_schedule_context(
        instance=lineage.instance,
        scheduled_execution_time=at,
        resources={
            "store": StoreResource(url=lineage.url),
            "source": SourceResource(address="recording:demo"),
            "outbox": OutboxResource(url=f"sqlite:///{lineage.url}-outbox.sqlite"),
        },
        repository_def=lineage.definitions.get_repository_def(),
    )
    return list(schedule.evaluate_tick(context).run_requests or [])


def sensed(lineage: Lineage) -> list[dg.RunRequest]:
    """Evaluate the sensor of verdicts and return what it requests."""
    return [*(sensed_result(lineage, None).run_requests or [])]


def sensed_result(lineage: Lineage, cursor: str | None) -> SensorExecutionData:
    """Evaluate the sensor of verdicts after a tick that left a cursor."""
    context = dg.build_sensor_context(
        cursor=cursor,
        instance=lineage.instance,
        resources={"store": StoreResource(url=lineage.url)},
        repository_def=lineage.definitions.get_repository_def(),
    )
    with dg.partition_loading_context(dynamic_partitions_store=lineage.instance):
        return verdicts.verdict_follows_every_judged_day.evaluate_tick(context)


def test_a_baseline_is_requested_when_the_ga_day_is_over_and_not_before(lineage: Lineage) -> None:
    schedule = days.baselines_that_are_due

    early = tick(lineage, schedule, GA + timedelta(days=1, minutes=9))
    over = tick(lineage, schedule, GA + timedelta(days=1, minutes=20))

    assert early == []
    assert [request.partition_key for request in over] == [WEEK]


def test_a_frozen_baseline_is_not_requested_again(lineage: Lineage) -> None:
    lineage.open()

    assert tick(lineage, days.baselines_that_are_due, GA + timedelta(days=30)) == []


def test_no_day_is_requested_before_its_baseline(lineage: Lineage) -> None:
    assert tick(lineage, days.days_that_are_due, GA + timedelta(days=30)) == []


@pytest.mark.parametrize(
    ("after", "due"),
    [
        (timedelta(days=2, minutes=5), []),
        (timedelta(days=2, minutes=30), ["day_01|tars@1.0.1"]),
        (timedelta(days=4, minutes=30), [f"day_0{day}|tars@1.0.1" for day in (1, 2, 3)]),
        (timedelta(days=300), [f"day_0{day}|tars@1.0.1" for day in range(1, 8)]),
    ],
)
def test_every_day_that_is_over_is_requested_however_late(lineage: Lineage, after: timedelta, due: list[str]) -> None:
    lineage.open()

    requests = tick(lineage, days.days_that_are_due, GA + after)

    assert [str(request.partition_key) for request in requests] == due
    assert len({request.run_key for request in requests}) == len(due)


def test_a_judged_day_is_not_requested_again(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)

    requests = tick(lineage, days.days_that_are_due, GA + timedelta(days=3, minutes=30))

    assert [str(request.partition_key) for request in requests] == ["day_02|tars@1.0.1"]


def test_a_verdict_is_requested_as_of_every_judged_day_and_then_no_more(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    lineage.watch(2)

    first = sensed(lineage)
    for request in first:
        lineage.run(jobs.JUDGE_RELEASE, str(request.partition_key), config=dict(request.run_config))

    assert [request.run_config for request in first] == [jobs.verdict_config(1), jobs.verdict_config(2)]
    assert sensed(lineage) == []


def test_a_verdict_whose_run_failed_is_requested_again_after_a_wait(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    (first,) = sensed(lineage)
    run = lineage.instance.create_run_for_job(
        lineage.definitions.resolve_job_def(jobs.JUDGE_RELEASE),
        tags=dict(first.tags),
        status=dg.DagsterRunStatus.FAILURE,
    )
    attempt = attempts.next_verdict(lineage.instance, WEEK, 1, first.tags[attempts.EVIDENCE_TAG])

    assert run.status is dg.DagsterRunStatus.FAILURE
    assert sensed(lineage) == []
    assert attempt
    assert attempt.number == 2
    assert attempt.not_before


def test_a_verdict_that_is_being_made_is_not_requested(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    (first,) = sensed(lineage)
    lineage.instance.create_run_for_job(
        lineage.definitions.resolve_job_def(jobs.JUDGE_RELEASE),
        tags=dict(first.tags),
        status=dg.DagsterRunStatus.STARTED,
    )

    assert sensed(lineage) == []


def test_a_tick_without_time_leaves_the_rest_to_the_next_one(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    store = StoreResource(url=lineage.url)

    hurried = verdicts.look(store, [WEEK], {}, may_go_on=lambda: False)
    calm = verdicts.look(store, [WEEK], hurried.marks, may_go_on=lambda: True)

    assert (hurried.stale, hurried.marks) == ({}, {})
    assert [as_of for as_of, _ in calm.stale[WEEK]] == [1]


def test_a_release_with_nothing_new_is_not_read_again(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    lineage.judge(1)
    first = sensed_result(lineage, None)
    Path(lineage.url, "pointers", PROVENANCE.key(WEEK, "as_of_01"), "000001.json").unlink()

    assert first.run_requests == []
    assert sensed_result(lineage, first.cursor).skip_message == "no verdict is due"


def test_new_evidence_of_an_early_day_asks_for_every_later_verdict_again(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(2)
    lineage.judge(2)
    known = {request.run_key for request in sensed(lineage)}

    lineage.watch(1)
    requests = sensed(lineage)

    assert known == set()
    assert [request.run_config for request in requests] == [jobs.verdict_config(1), jobs.verdict_config(2)]


@pytest.mark.parametrize("started", ["0", "1"])
def test_schedules_and_sensor_start_by_themselves_only_where_the_deployment_says_so(started: str) -> None:
    """The status is part of the definitions, so it is read in a process with that environment."""
    program = (
        "from tars_ops.defs.automation import days, verdicts; "
        "sensor = verdicts.verdict_follows_every_judged_day; "
        "print(days.days_that_are_due.default_status.name, sensor.default_status.name)"
    )
    done = run_python(program, TARS_OPS_AUTOSTART=started)

    assert done == ("RUNNING RUNNING" if started == "1" else "STOPPED STOPPED")


def run_python(program: str, **environment: str) -> str:
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()
