"""Is every day that is due requested, once, however often a run fails and however long nobody looked?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test

from tars_ops.adapters.catalogue import DAILY_HEALTH, GA_BASELINE
from tars_ops.adapters.history import History
from tars_ops.adapters.progress import overdue
from tars_ops.adapters.registry import Registry
from tars_ops.core.lifecycle import Code
from tars_ops.core.release import day_key
from tars_ops.defs.automation import days, jobs
from tars_ops.defs.automation.attempts import RUN_KEY_TAG
from tars_ops.defs.automation.days import MOST_PENDING, MOST_REQUESTS, Planner
from tars_ops.defs.registration import PARTITIONS
from tars_ops.defs.resources import OutboxResource, SourceResource, StoreResource
from tars_ops_tests.defs.conftest import WEEK, Lineage, Make
from tars_ops_tests.defs.sights import Sights

GA = datetime(2025, 11, 18, tzinfo=UTC)
DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
S = dg.DagsterRunStatus


def planned(
    lineage: Lineage, after: timedelta, sights: Sights | None = None, waits: Mapping[str, datetime] | None = None
) -> tuple[list[str], Planner]:
    """Run keys that are requested some time after GA, and the planner that requested them."""
    planner = Planner(
        lineage.instance,
        StoreResource(url=lineage.url),
        sights or Sights(),  # type: ignore[arg-type]
        OutboxResource(url=f"sqlite:///{lineage.url}-outbox.sqlite"),
        GA + after,
        dict(waits or {}),
    )
    return [request.run_key or "" for request in planner.requests()], planner


def keys(lineage: Lineage, after: timedelta, sights: Sights | None = None) -> list[str]:
    return planned(lineage, after, sights)[0]


def put_baseline(lineage: Lineage, release: str = WEEK) -> None:
    lineage.store.put(GA_BASELINE.key(release), {"baseline.json": b"{}"})


def put_day(lineage: Lineage, day: int, release: str = WEEK) -> None:
    lineage.store.put(DAILY_HEALTH.key(release, day_key(day)), {"health.json": b"{}"})


def ran(lineage: Lineage, key: str, status: S) -> dg.DagsterRun:
    """A run of a request, as the daemon leaves it behind."""
    release, day, _ = key.split("|")
    tags = {"tars_ops/release": release, "tars_ops/day": day, RUN_KEY_TAG: key}
    job = jobs.OPEN_WATCH if day == "ga" else jobs.WATCH_DAY
    server = GrpcServerCodeLocationOrigin(host="127.0.0.1", port=1, location_name="tars_ops")
    origin = RemoteJobOrigin(RemoteRepositoryOrigin(server, "__repository__"), job)
    return create_run_for_test(lineage.instance, job_name=job, status=status, tags=tags, remote_job_origin=origin)


def since_runs() -> timedelta:
    """Runs end at the time of the machine; from there the waits count."""
    return datetime.now(UTC) - GA


# -- what is due ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("after", "requested"),
    [
        (DAY + 10 * MINUTE - SECOND, []),
        (DAY + 10 * MINUTE, [f"{WEEK}|ga|1"]),
        (300 * DAY, [f"{WEEK}|ga|1"]),
    ],
)
def test_the_ga_day_is_requested_after_its_grace_and_no_day_before_it(
    lineage: Lineage, after: timedelta, requested: list[str]
) -> None:
    assert keys(lineage, after) == requested


def test_each_day_is_requested_by_its_own_job_and_partition(lineage: Lineage) -> None:
    put_baseline(lineage)
    put_day(lineage, 2)

    requests = planned(lineage, 4 * DAY + HOUR)[1].requests() or []
    later = Planner(
        lineage.instance,
        StoreResource(url=lineage.url),
        Sights(),  # type: ignore[arg-type]
        OutboxResource(url=f"sqlite:///{lineage.url}-other.sqlite"),
        GA + 4 * DAY + HOUR,
    ).requests()

    assert requests == []
    assert [(r.run_key, str(r.partition_key), r.job_name) for r in later] == [
        (f"{WEEK}|day_01|1", f"day_01|{WEEK}", "watch_day"),
        (f"{WEEK}|day_03|1", f"day_03|{WEEK}", "watch_day"),
    ]


def test_a_day_whose_data_are_not_complete_waits_six_hours_and_no_longer(lineage: Lineage) -> None:
    sights = Sights(newest=GA + DAY - 3 * MINUTE)

    early, planner = planned(lineage, DAY + 6 * HOUR - SECOND, sights)
    late = keys(lineage, DAY + 6 * HOUR, sights)

    assert early == []
    assert f"{WEEK}|ga" in planner.said()
    assert late == [f"{WEEK}|ga|1"]


def test_data_that_reach_within_two_scrapes_of_the_end_are_complete(lineage: Lineage) -> None:
    assert keys(lineage, DAY + HOUR, Sights(newest=GA + DAY - 2 * MINUTE)) == [f"{WEEK}|ga|1"]


def test_without_a_source_late_days_are_requested_and_the_others_wait(lineage: Lineage) -> None:
    put_baseline(lineage)
    sights = Sights(answers=False)

    requested, planner = planned(lineage, 3 * DAY + HOUR, sights)

    assert requested == [f"{WEEK}|day_01|1"]
    assert sights.n_asked == 1
    assert any("the server is away" in trouble for trouble in planner.troubles)
    assert planner.held_back == [f"{WEEK}|day_02"]


def test_nobody_is_asked_when_nothing_is_due(lineage: Lineage) -> None:
    sights = Sights(answers=False)

    requested, planner = planned(lineage, HOUR, sights)

    assert (requested, sights.n_asked, planner.said()) == ([], 0, "no day is due")


def test_a_day_beyond_the_deployment_is_said_and_the_others_are_requested(make_lineage: Make) -> None:
    lineage = make_lineage(n_days=9)
    put_baseline(lineage)

    requested, planner = planned(lineage, 100 * DAY)

    assert requested == [f"{WEEK}|day_0{day}|1" for day in range(1, 8)]
    assert any("TARS_OPS_WATCH_DAYS" in trouble for trouble in planner.troubles)


def test_a_damaged_release_hides_no_other(lineage: Lineage) -> None:
    another(lineage, "tars@2.0.0")
    for pointer in Path(lineage.url, "pointers", WEEK, "release").iterdir():
        pointer.write_text("{}")

    requested, planner = planned(lineage, 2 * DAY)

    assert requested == ["tars@2.0.0|ga|1"]
    assert any(WEEK in trouble for trouble in planner.troubles)


def another(lineage: Lineage, key: str, **changes: object) -> None:
    """Register one more release like the week's."""
    known = Registry(lineage.store).get(WEEK)
    version = key.partition("@")[2]
    Registry(lineage.store).add(known.release.model_copy(update={"version": version, **changes}), known.policy_text)
    lineage.instance.add_dynamic_partitions(PARTITIONS, [key])


# -- the end of a release ---------------------------------------------------------------------------------------------


def test_a_superseded_release_owes_the_days_that_it_served(lineage: Lineage) -> None:
    put_baseline(lineage)
    history = History(lineage.store)
    history.record(WEEK, Code.REGISTERED, at=GA, by="sensor")
    seen_at = (GA + 3 * DAY - HOUR).isoformat()
    history.record(WEEK, Code.SUPERSEDED_BY_NEWER, at=GA + 5 * DAY, by="sensor", details={"seen_at": seen_at})

    assert keys(lineage, 100 * DAY) == [f"{WEEK}|day_01|1", f"{WEEK}|day_02|1"]
    assert overdue(lineage.store, Registry(lineage.store).get(WEEK), GA + 100 * DAY) == (1, 2)


def test_a_release_that_was_rolled_back_owes_nothing(lineage: Lineage) -> None:
    put_baseline(lineage)
    history = History(lineage.store)
    history.record(WEEK, Code.REGISTERED, at=GA, by="sensor")
    history.record(WEEK, Code.WENT_BACK, at=GA + 3 * DAY, by="sensor")

    assert keys(lineage, 100 * DAY) == []
    assert overdue(lineage.store, Registry(lineage.store).get(WEEK), GA + 100 * DAY) == ()


def test_what_was_not_judged_two_hours_after_its_end_is_overdue(lineage: Lineage) -> None:
    registered = Registry(lineage.store).get(WEEK)

    early = overdue(lineage.store, registered, GA + DAY + 2 * HOUR - SECOND)
    without_baseline = overdue(lineage.store, registered, GA + 3 * DAY + 2 * HOUR)
    put_baseline(lineage)
    put_day(lineage, 1)
    with_baseline = overdue(lineage.store, registered, GA + 3 * DAY + 2 * HOUR)

    assert (early, without_baseline, with_baseline) == ((), (0, 1, 2), (2,))


# -- once, and again --------------------------------------------------------------------------------------------------


def test_two_ticks_of_one_moment_request_a_day_once(lineage: Lineage) -> None:
    assert keys(lineage, 2 * DAY) == [f"{WEEK}|ga|1"]
    assert keys(lineage, 2 * DAY + 299 * SECOND) == []


def test_a_request_that_was_never_launched_is_made_again(lineage: Lineage) -> None:
    """A daemon that dies between claim and launch delays a day; it does not lose it."""
    first = keys(lineage, 2 * DAY)

    assert keys(lineage, 2 * DAY + 300 * SECOND) == first == [f"{WEEK}|ga|1"]


@pytest.mark.parametrize("status", [S.QUEUED, S.STARTING, S.STARTED, S.CANCELING])
def test_a_day_that_a_run_is_pending_for_is_not_requested(lineage: Lineage, status: S) -> None:
    ran(lineage, f"{WEEK}|ga|1", status)

    assert keys(lineage, 300 * DAY) == []


def test_a_run_that_was_created_and_never_launched_is_taken_up_by_its_own_key(lineage: Lineage) -> None:
    """At once: there is nothing to wait for."""
    ran(lineage, f"{WEEK}|ga|1", S.FAILURE)
    ran(lineage, f"{WEEK}|ga|2", S.NOT_STARTED)

    assert keys(lineage, since_runs() + MINUTE) == [f"{WEEK}|ga|2"]


@pytest.mark.parametrize("status", [S.FAILURE, S.CANCELED, S.SUCCESS])
def test_a_finished_run_without_a_verdict_is_followed_by_another_attempt(lineage: Lineage, status: S) -> None:
    """Also one that succeeded: its artifact may have been lost since."""
    ran(lineage, f"{WEEK}|ga|1", status)

    assert keys(lineage, since_runs() + 9 * MINUTE) == []
    assert keys(lineage, since_runs() + 11 * MINUTE) == [f"{WEEK}|ga|2"]


def test_the_wait_doubles_and_a_day_is_never_given_up(lineage: Lineage) -> None:
    for attempt in range(1, 21):
        ran(lineage, f"{WEEK}|ga|{attempt}", S.FAILURE)

    assert keys(lineage, since_runs() + 6 * HOUR - MINUTE) == []
    assert keys(lineage, since_runs() + 6 * HOUR + MINUTE) == [f"{WEEK}|ga|21"]


def test_no_key_is_used_twice_when_runs_were_deleted(lineage: Lineage) -> None:
    """A key whose run is still there is ignored by Dagster for ever: the day would be lost."""
    gone = ran(lineage, f"{WEEK}|ga|1", S.FAILURE)
    ran(lineage, f"{WEEK}|ga|2", S.FAILURE)
    lineage.instance.delete_run(gone.run_id)

    assert keys(lineage, since_runs() + 7 * HOUR) == [f"{WEEK}|ga|3"]


def test_a_day_that_waits_is_not_looked_up_again(lineage: Lineage) -> None:
    ran(lineage, f"{WEEK}|ga|1", S.FAILURE)
    _, planner = planned(lineage, since_runs())

    _, later = planned(lineage, since_runs(), waits=planner.waits)

    assert list(planner.waits) == [f"{WEEK}|ga"]
    assert later.waits == planner.waits
    assert planned(lineage, since_runs() + HOUR, waits=planner.waits)[0] == [f"{WEEK}|ga|2"]


def test_a_run_that_fails_for_real_counts_as_an_attempt(make_lineage: Make) -> None:
    lineage = make_lineage(fault="unreachable", days=(0,))
    failed = lineage.definitions.resolve_job_def(jobs.OPEN_WATCH).execute_in_process(
        instance=lineage.instance,
        partition_key=WEEK,
        tags={RUN_KEY_TAG: f"{WEEK}|ga|1", "tars_ops/attended": "true"},
        raise_on_error=False,
    )

    assert not failed.success
    assert keys(lineage, since_runs() + HOUR) == [f"{WEEK}|ga|2"]


def test_runs_of_other_jobs_are_no_attempts(lineage: Lineage) -> None:
    tags = {"tars_ops/release": WEEK}
    for job in (jobs.JUDGE_RELEASE, jobs.JUDGE_RUNNING_DAY):
        create_run_for_test(lineage.instance, job_name=job, status=S.FAILURE, tags=tags)
        create_run_for_test(lineage.instance, job_name=job, status=S.STARTED, tags=tags)

    assert keys(lineage, since_runs()) == [f"{WEEK}|ga|1"]


# -- bounds -----------------------------------------------------------------------------------------------------------


def test_a_tick_requests_the_oldest_days_and_no_more_than_it_may(lineage: Lineage) -> None:
    for number in range(MOST_REQUESTS + 10):
        another(lineage, f"tars@3.{number}", ga_at=GA + number * MINUTE)

    first, planner = planned(lineage, 2 * DAY)
    second = keys(lineage, 2 * DAY + MINUTE)

    assert first[0] == f"{WEEK}|ga|1"
    assert len(first) == MOST_REQUESTS
    assert "the next tick goes on" in planner.said()
    assert len(second) == 11
    assert not set(first) & set(second)


def test_no_more_runs_are_requested_than_may_be_pending(lineage: Lineage) -> None:
    for number in range(MOST_PENDING):
        ran(lineage, f"tars@9.{number}|ga|1", S.QUEUED)

    assert keys(lineage, 2 * DAY) == []


# -- as the daemon evaluates them -------------------------------------------------------------------------------------


def test_sensor_and_schedules_request_the_same_keys_and_never_both(lineage: Lineage) -> None:
    resources = {
        "store": StoreResource(url=lineage.url),
        "source": SourceResource(address="recording:demo"),
        "outbox": OutboxResource(url=f"sqlite:///{lineage.url}-outbox.sqlite"),
    }
    repository = lineage.definitions.get_repository_def()

    def sensed():  # noqa: ANN202 - what a tick found is no public type
        context = dg.build_sensor_context(instance=lineage.instance, resources=resources, repository_def=repository)
        with dg.partition_loading_context(dynamic_partitions_store=lineage.instance):
            return days.days_are_judged.evaluate_tick(context)

    def scheduled(schedule: dg.ScheduleDefinition) -> list[dg.RunRequest]:
        context = dg.build_schedule_context(
            instance=lineage.instance,
            resources=resources,
            repository_def=repository,
            scheduled_execution_time=datetime.now(UTC),
        )
        return schedule.evaluate_tick(context).run_requests or []

    baseline = sensed()
    baseline_again = scheduled(days.baselines_that_are_due)
    put_baseline(lineage)
    by_schedule = scheduled(days.days_that_are_due)
    by_sensor = sensed()

    assert [request.run_key for request in baseline.run_requests] == [f"{WEEK}|ga|1"]
    assert baseline.run_requests[0].tags["tars_ops/day"] == "ga"
    assert baseline_again == []
    assert [request.run_key for request in by_schedule] == [f"{WEEK}|day_0{day}|1" for day in range(1, 8)]
    assert by_schedule[2].tags["tars_ops/day"] == "day_03"
    assert by_sensor.run_requests == []
    assert json.loads(by_sensor.cursor) == {}


def test_after_thirty_days_of_silence_thirty_of_thirty_days_run(tmp_path: Path) -> None:
    """The day partitions are made for the environment of a process, so it happens in one of its own."""
    done = run_python(THIRTY.format(root=str(tmp_path)), TARS_OPS_WATCH_DAYS="30")

    assert json.loads(done) == {"requested": 30, "distinct": 30, "ticks": 1, "left": 0}


THIRTY = """
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
import dagster as dg
from tars_ops_tests.defs import test_days as t
from tars_ops.adapters.store import Store
root = Path({root!r})
(root / "instance").mkdir()
with dg.DagsterInstance.local_temp(str(root / "instance")) as instance:
    recording = t.recording()
    store = Store.at(str(root / "store"))
    release = recording.release.model_copy(update={{"n_days": 30}})
    t.Registry(store).add(release, recording.policy_text)
    instance.add_dynamic_partitions("releases", [release.key])
    lineage = t.Lineage(instance, store, str(root / "store"), None)
    t.put_baseline(lineage)
    requested, n_ticks, now = [], 0, 31 * t.DAY + t.HOUR
    while keys := t.keys(lineage, now):
        requested += keys
        n_ticks += 1
        for key in keys:
            t.put_day(lineage, int(key.split("|")[1][4:]))
        now += t.MINUTE
    left = t.keys(lineage, now)
    print(json.dumps(dict(requested=len(requested), distinct=len(set(requested)), ticks=n_ticks, left=len(left))))
"""


def recording():  # noqa: ANN201
    """The recording of the demo."""
    from tars_ops.adapters.recording import RecordingSource
    from tars_ops.adapters.sources import DEMO

    return RecordingSource(DEMO)


def run_python(program: str, **environment: str) -> str:
    import os
    import subprocess
    import sys

    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
