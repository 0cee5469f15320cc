"""What befell the demo product is found, dated against the script of its week, and explained by what moved with it."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache

import pytest

from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.sources import DEMO
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyClass, AnomalyEvent
from tars_ops.core.watch.baseline import summarise
from tars_ops_tests.live import history
from tars_ops_tests.live.history import FailedRequests, Passing, Slowdown, Unscraped

DAYS = range(1, 8)


@cache
def events() -> dict[int, tuple[AnomalyEvent, ...]]:
    recording = RecordingSource(DEMO)
    release, policy = recording.release, load_policy(recording.policy_text, name="demo")
    first = summarise(recording.fetch(release, policy, day=0), release, policy)
    return {
        day: find_anomalies(recording.fetch(release, policy, day=day), first, release, policy, day=day).events
        for day in DAYS
    }


def incident(kind: type[Passing], service: str, day: int) -> tuple[datetime, datetime]:
    """Return from when to when the script lets it happen."""
    found = next(
        one.window
        for one in history.DEMO.incidents
        if isinstance(one, kind) and one.service == service and one.window.starts_s // 86400 == day
    )
    return history.GA_AT + timedelta(seconds=found.starts_s), history.GA_AT + timedelta(seconds=found.ends_s)


def of(day: int, kpi: str, service: str) -> list[AnomalyEvent]:
    return [one for one in events()[day] if (one.kpi, one.service) == (kpi, service)]


@pytest.mark.parametrize(
    ("day", "kpi", "service", "kind"),
    [
        (2, "p99_latency", "search", Slowdown),
        (2, "p95_latency", "search", Slowdown),
        (3, "availability", "gateway", FailedRequests),
        (3, "availability", "reports", FailedRequests),
    ],
)
def test_an_incident_is_one_critical_shift_dated_to_its_minutes(
    day: int, kpi: str, service: str, kind: type[Passing]
) -> None:
    starts_at, ends_at = incident(kind, service, day)

    (event,) = of(day, kpi, service)

    assert (event.anomaly_class, event.severity) == (AnomalyClass.LEVEL_SHIFT, Severity.CRITICAL)
    assert event.change_point is not None
    assert event.change_point.earliest_at <= starts_at <= event.change_point.latest_at
    assert abs(event.change_point.at - starts_at) <= timedelta(minutes=2)
    assert timedelta() <= event.ended_at - ends_at <= timedelta(minutes=5)


def test_the_slow_service_is_explained_by_its_own_latencies_and_the_failures_by_each_other() -> None:
    slow, failing = of(2, "p99_latency", "search")[0], of(3, "availability", "gateway")[0]

    assert [(one.kpi, one.service, one.lag_s) for one in slow.companions] == [("p95_latency", "search", 0)]
    assert [(one.kpi, one.service, one.lag_s) for one in failing.companions] == [("availability", "reports", 0)]


def test_the_service_that_nobody_scraped_is_silent() -> None:
    starts_at, ends_at = incident(Unscraped, "search", 5)

    (event,) = of(5, "*", "search")

    assert event.anomaly_class is AnomalyClass.SILENCE
    assert timedelta() <= event.started_at - starts_at <= timedelta(minutes=5)  # a server shows old samples so long
    assert event.ended_at == ends_at


def test_memory_that_grows_is_a_drift_of_the_whole_day() -> None:
    (event,) = of(1, "memory", "chat")

    assert (event.anomaly_class, event.change_point) == (AnomalyClass.DRIFT, None)
    assert event.sentence == "Memory of chat rose steadily all through 2025-11-19, from 1.05 GiB to 1.11 GiB."


def test_a_restart_is_no_event() -> None:
    assert [one for one in events()[4] if one.service == "gateway"] == []


def test_the_rest_of_the_week_is_quiet() -> None:
    told = {(2, "search"), (3, "gateway"), (3, "reports"), (5, "search")}
    rest = [
        one
        for day, found in events().items()
        for one in found
        if (day, one.service) not in told and one.kpi != "memory"
    ]

    assert len(rest) <= 6
    assert [one for one in rest if one.severity is Severity.CRITICAL] == []
