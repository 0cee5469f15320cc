"""Is a day in progress judged from what is there, as often as it is due, and never twice at once?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registry
from tars_ops.core.lifecycle import Code
from tars_ops.core.verdict import Decision, Verdict
from tars_ops.core.watch.running import RunningDay
from tars_ops.defs.automation import jobs, running
from tars_ops.defs.partitions import RELEASES
from tars_ops.defs.resources import SourceResource, StoreResource
from tars_ops_tests.defs.conftest import WEEK, Lineage, Make

GA = datetime(2025, 11, 18, tzinfo=UTC)
LIVE = "http://127.0.0.1:1"
EVERY = timedelta(seconds=900)
LAST = GA + timedelta(days=8, seconds=-1)
"""The last second of the watch."""


def judge(lineage: Lineage, until: datetime) -> RunningDay:
    """Judge the running day as the sensor would have it."""
    done = lineage.run(jobs.JUDGE_RUNNING_DAY, WEEK, config=jobs.running_config(until))
    assert done.success
    return lineage.read("running_day")


# The assets


def test_the_ga_day_is_judged_without_a_baseline(lineage: Lineage) -> None:
    found = judge(lineage, GA + timedelta(hours=6))

    assert (found.day, found.verdict, found.decision) == (0, Verdict.PASS, Decision.KEEP)
    assert {row.service for row in found.kpis} == {"chat", "gateway", "ingest", "reports", "search"}


def test_a_budget_that_burns_is_seen_within_minutes_and_every_look_is_kept(lineage: Lineage) -> None:
    lineage.open()

    before, during = (judge(lineage, GA + timedelta(days=3, hours=10, minutes=m)) for m in (0, 10))

    assert (before.verdict, before.decision) == (Verdict.PASS, Decision.KEEP)
    assert (during.day, during.decision) == (3, Decision.ROLL_BACK)
    assert during.reason.startswith("availability of reports:")
    assert lineage.store.versions(f"{WEEK}/running/day") == [1, 2]


def test_an_outage_is_unknown_while_it_lasts(lineage: Lineage) -> None:
    lineage.open()

    found = judge(lineage, GA + timedelta(days=5, hours=2, minutes=30))

    assert found.verdict is Verdict.UNKNOWN
    assert "availability of search: no data since 02:05 UTC" in found.reason


@pytest.mark.parametrize(
    ("fault", "verdict", "decision"),
    [
        ("thin", Verdict.UNKNOWN, Decision.WATCH_CLOSER),
        ("warned", Verdict.UNKNOWN, Decision.WATCH_CLOSER),
        ("empty", Verdict.UNKNOWN, Decision.WATCH_CLOSER),
        ("newly_silent", Verdict.UNKNOWN, Decision.WATCH_CLOSER),
        ("failing_requests", Verdict.FAIL, Decision.ROLL_BACK),
    ],
)
def test_missing_data_is_never_green(make_lineage: Make, fault: str, verdict: Verdict, decision: Decision) -> None:
    found = judge(make_lineage(fault=fault), GA + timedelta(hours=6))

    assert (found.verdict, found.decision) == (verdict, decision)


@pytest.mark.parametrize(
    ("until", "error"),
    [
        ("yesterday", "UsageError"),
        ("2025-11-18T06:00:00", "UsageError"),
        ("2025-11-18T00:00:00Z", "NotYetError"),
        ("2026-11-18T00:00:00Z", "UsageError"),
        ("2025-11-18T06:01:00Z", "ContractError"),  # within a slot of the recording
    ],
)
def test_an_instant_that_cannot_be_judged_is_refused(lineage: Lineage, until: str, error: str) -> None:
    config = {"ops": {"running_telemetry": {"config": {"until": until}}}}

    done = lineage.run(jobs.JUDGE_RUNNING_DAY, WEEK, config=config)
    failures = [event.step_failure_data.user_failure_data for event in done.all_events if event.is_step_failure]

    assert [one.metadata["error"].value for one in failures if one] == [error]


def test_a_provisional_judgement_leaves_days_and_verdicts_alone(lineage: Lineage) -> None:
    lineage.open()
    lineage.watch(1)
    before = {name: lineage.store.versions(f"{WEEK}/{name}") for name in ("ga/baseline", "stability/day_01/summary")}

    judge(lineage, GA + timedelta(days=2, hours=1))

    assert {name: lineage.store.versions(f"{WEEK}/{name}") for name in before} == before
    assert "running" not in str(lineage.store.pointer(f"{WEEK}/ga/baseline"))


# What is due


def look(lineage: Lineage, now: datetime, **wake_at: datetime) -> running.Looked:
    """Look as the sensor does at an instant; ``wake_at`` as in its cursor, products for releases."""
    waking = {f"{product}@1.0.1": at for product, at in wake_at.items()}
    known = set(Registry(lineage.store).all_keys())
    return running.look(StoreResource(url=lineage.url), waking, known=known, now=now, every_s=900)


@pytest.mark.parametrize(
    ("now", "until", "again_at"),
    [
        (GA - timedelta(days=1), None, GA - timedelta(days=1) + EVERY),
        (GA - timedelta(seconds=1), None, GA + timedelta(minutes=6)),
        (GA + timedelta(seconds=359), None, GA + timedelta(minutes=6)),
        (GA + timedelta(minutes=6), GA + timedelta(minutes=5), GA + timedelta(minutes=21)),
        (GA + timedelta(days=3, seconds=419), GA + timedelta(days=3, minutes=5), GA + timedelta(days=3, seconds=1319)),
        (LAST, LAST - timedelta(seconds=119), LAST + EVERY),
        (GA + timedelta(days=8), None, GA + timedelta(days=8) + EVERY),
    ],
)
def test_a_day_runs_from_ga_to_the_end_of_the_watch(
    lineage: Lineage, now: datetime, until: datetime | None, again_at: datetime
) -> None:
    found = look(lineage, now)

    assert list(found.due) == ([(WEEK, until)] if until else [])
    assert (found.wake_at, found.errors) == ({WEEK: again_at}, [])


@pytest.mark.parametrize(("seconds", "n"), [(-60, 0), (-1, 0), (0, 1), (3600, 1)])
def test_a_running_day_is_due_again_when_its_time_has_come(lineage: Lineage, seconds: int, n: int) -> None:
    wake_at = GA + timedelta(days=1)

    found = look(lineage, wake_at + timedelta(seconds=seconds), tars=wake_at)

    assert (len(found.due), len(found.wake_at)) == (n, n)


def test_a_day_is_not_looked_at_again_before_there_is_anything_newer(lineage: Lineage) -> None:
    now = GA + timedelta(days=1, seconds=61)

    found = running.look(StoreResource(url=lineage.url), {}, known={WEEK}, now=now, every_s=30)

    assert found.wake_at == {WEEK: GA + timedelta(days=1, seconds=120)}


def test_a_release_that_is_closed_is_left_alone(lineage: Lineage) -> None:
    for code in (Code.REGISTERED, Code.GA_STARTED, Code.BASELINE_FROZEN, Code.DECIDED_ROLL_BACK):
        History(lineage.store).record(WEEK, code, at=GA, by="test", why="to see")

    assert look(lineage, GA + timedelta(days=2)).due == []


def add(lineage: Lineage, *products: str) -> None:
    """Register the week under other names, too."""
    tars = Registry(lineage.store).get(WEEK)
    for product in products:
        Registry(lineage.store).add(tars.release.model_copy(update={"product": product}), tars.policy_text)


def test_the_longest_waiting_comes_first_and_a_newcomer_before_all(lineage: Lineage) -> None:
    add(lineage, "alpha", "beta")
    now = GA + timedelta(days=2)

    found = look(lineage, now, alpha=now - EVERY, tars=now - 2 * EVERY)

    assert [one.release for one in found.due] == ["beta@1.0.1", WEEK, "alpha@1.0.1"]


def test_a_release_that_cannot_be_read_stops_no_other(lineage: Lineage) -> None:
    add(lineage, "alpha")
    policy_text = Registry(lineage.store).get(WEEK).policy_text
    lineage.store.put("alpha@1.0.1/release", {"release.json": b"{}", "policy.yaml": policy_text})

    found = look(lineage, GA + timedelta(days=1))

    assert [one.release for one in found.due] == [WEEK]
    assert [error.partition(":")[0] for error in found.errors] == ["alpha@1.0.1"]
    assert set(found.wake_at) == {WEEK, "alpha@1.0.1"}


# The sensor


def tick(lineage: Lineage, *, source: str = LIVE, cursor: str | None = None) -> dg.SensorExecutionData:
    """Evaluate the sensor as the daemon would, now."""
    context = dg.build_sensor_context(
        instance=lineage.instance,
        cursor=cursor,
        resources={"store": StoreResource(url=lineage.url), "source": SourceResource(address=source)},
        repository_def=lineage.definitions.get_repository_def(),
    )
    with dg.partition_loading_context(dynamic_partitions_store=lineage.instance):
        return running.running_days_are_judged.evaluate_tick(context)


@pytest.fixture
def live(make_lineage: Make) -> Lineage:
    """A release that went GA two hours ago."""
    return make_lineage(ga_at=(datetime.now(UTC) - timedelta(hours=2)).replace(microsecond=0))


def test_the_running_day_is_requested_once_and_then_waited_for(live: Lineage) -> None:
    first = tick(live)
    second = tick(live, cursor=first.cursor)
    requests = first.run_requests or []

    assert [str(one.partition_key) for one in requests] == [WEEK]
    assert requests[0].tags["tars_ops/release"] == WEEK
    until = datetime.fromisoformat(requests[0].tags[running.RUNNING_TAG])
    assert requests[0].run_config == jobs.running_config(until)
    assert timedelta(seconds=60) <= datetime.now(UTC) - until < timedelta(seconds=130)
    assert (second.run_requests or [], second.cursor) == ([], first.cursor)


@pytest.mark.parametrize("status", [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED])
def test_a_judgement_that_still_runs_is_waited_for_and_then_made_up_for(
    live: Lineage, status: dg.DagsterRunStatus
) -> None:
    run = dg.DagsterRun(job_name=jobs.JUDGE_RUNNING_DAY, status=status, tags=jobs.tags_of(WEEK))
    live.instance.add_run(run)

    while_it_runs = tick(live)
    live.instance.delete_run(run.run_id)
    afterwards = tick(live, cursor=while_it_runs.cursor)

    assert while_it_runs.run_requests == []
    assert len(afterwards.run_requests or []) == 1


def test_what_one_tick_cannot_request_the_next_one_does(live: Lineage) -> None:
    products = [f"p{n}" for n in range(running.MOST_RUNS)]
    add(live, *products)
    live.instance.add_dynamic_partitions(RELEASES.name or "", [f"{product}@1.0.1" for product in products])

    first = tick(live)
    second = tick(live, cursor=first.cursor)
    requests = [str(one.partition_key) for found in (first, second) for one in found.run_requests or []]

    assert [len(one.run_requests or []) for one in (first, second)] == [running.MOST_RUNS, 1]
    assert sorted(requests) == Registry(live.store).all_keys()


def test_a_cursor_that_nobody_can_read_costs_one_judgement(live: Lineage) -> None:
    assert len(tick(live, cursor="of an older version").run_requests or []) == 1


def test_a_recording_has_no_running_day(live: Lineage) -> None:
    found = tick(live, source="recording:demo")

    assert found.run_requests == []
    assert "a recording holds whole days" in str(found.skip_message)


def test_a_release_that_is_forgotten_leaves_the_cursor(live: Lineage) -> None:
    cursor = tick(live).cursor
    live.instance.delete_dynamic_partition(RELEASES.name or "", WEEK)

    assert tick(live, cursor=cursor).cursor == "{}"
