"""Does a release week in a real Prometheus get the right verdicts?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tars_ops.adapters.policies import Policies
from tars_ops.adapters.prometheus.client import PrometheusServer
from tars_ops.adapters.prometheus.source import PrometheusSource
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.sources import DEMO as DEMO_RECORDING
from tars_ops.core.telemetry import Telemetry, count_table
from tars_ops.core.verdict import DayState, Decision, Tier, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyClass
from tars_ops_tests.live.command import POLICIES, Done, Home
from tars_ops_tests.live.history import (
    DEMO,
    GA_MS,
    ErrorRatio,
    load_blocks,
    on_day,
    true_counts,
    write_openmetrics,
)
from tars_ops_tests.live.servers import PrometheusProcess, prometheus, require

pytestmark = pytest.mark.live
WEEK = "tars@1.0.1"
GA = "2025-11-18T00:00:00Z"
SERVICES = ("chat", "gateway", "ingest", "reports", "search")
DAYS = range(1, 8)


@pytest.fixture(scope="module")
def watched(demo_server: PrometheusProcess, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, Done]:
    """The whole week, watched from the server by the command line."""
    home = Home(tmp_path_factory.mktemp("week"), demo_server.url)
    added = home.run("release", "add", WEEK, "--ga", GA)
    assert added.code == 0, added.err
    return home, home.run("watch", WEEK, "--json")


def found(home: Home, verdict: Verdict) -> set[tuple[int, str, str]]:
    return {
        (day, row.kpi, row.service) for day in DAYS for row in home.stability(WEEK, day).kpis if row.verdict is verdict
    }


def test_every_incident_fails_on_its_day_and_nothing_else_fails(watched: tuple[Home, Done]) -> None:
    home, _ = watched

    assert found(home, Verdict.FAIL) == {
        (2, "p99_latency", "search"),
        (3, "availability", "reports"),
        (6, "memory", "chat"),
        (7, "memory", "chat"),
    }


def test_the_silent_service_is_unknown_in_every_kpi_and_no_other_is(watched: tuple[Home, Done]) -> None:
    home, _ = watched

    unknown = found(home, Verdict.UNKNOWN)

    assert {(day, service) for day, _, service in unknown} == {(5, "search")}
    assert {kpi for _, kpi, _ in unknown} == set(Policies(POLICIES).find("tars").policy.judged)
    assert home.health(WEEK, 5).tier is not Tier.GREEN


def test_slow_growth_is_warned_about_before_it_fails(watched: tuple[Home, Done]) -> None:
    home, _ = watched

    warned = found(home, Verdict.WARN)

    assert {(day, "memory", "chat") for day in (2, 3, 4, 5)} <= warned
    assert {(6, "cost_per_hour", "ingest"), (7, "cost_per_hour", "ingest")} <= warned
    assert {service for _, kpi, service in warned if kpi == "memory"} == {"chat"}


def test_a_busy_service_absorbs_the_burst_that_breaks_a_quiet_one(watched: tuple[Home, Done]) -> None:
    home, _ = watched

    rows = {service: home.stability(WEEK, 3).of_service("availability", service) for service in ("gateway", "reports")}

    assert rows["gateway"] is not None
    assert rows["gateway"].verdict is Verdict.PASS
    assert rows["reports"] is not None
    assert rows["reports"].burn is not None
    assert rows["reports"].burn > 9


def test_the_incidents_are_dated_events(watched: tuple[Home, Done]) -> None:
    home, _ = watched

    spike = [e for e in home.anomalies(WEEK, 2).events if (e.kpi, e.service) == ("p99_latency", "search")]
    silence = [e for e in home.anomalies(WEEK, 5).events if e.anomaly_class is AnomalyClass.SILENCE]

    assert [f"{event.started_at:%H:%M}" for event in spike] == ["13:01"]
    assert [(e.service, f"{e.started_at:%H:%M}", f"{e.ended_at:%H:%M}") for e in silence] == [
        ("search", "02:03", "05:00")
    ]


def test_the_week_ends_watched_closer_because_memory_regressed(watched: tuple[Home, Done]) -> None:
    home, done = watched

    analysis = home.regression(WEEK, 7)

    assert done.code == 10, done.err
    assert done.json["tier"] == "AMBER"
    assert analysis.decision is Decision.WATCH_CLOSER
    assert [(one.kpi, one.service) for one in analysis.reasons] == [("memory", "chat")]


def test_every_day_had_its_verdict(watched: tuple[Home, Done]) -> None:
    home, _ = watched

    tiers = [home.regression(WEEK, as_of).tier for as_of in DAYS]

    assert tiers == [Tier.GREEN, Tier.RED, Tier.RED, Tier.AMBER, Tier.AMBER, Tier.AMBER, Tier.AMBER]
    assert [home.narrative(WEEK, as_of).tier for as_of in DAYS] == tiers


# -- what arrives -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def fetched(demo_server: PrometheusProcess) -> Iterator[dict[int, Telemetry]]:
    recording = RecordingSource(DEMO_RECORDING)
    policy = Policies(POLICIES).find("tars").policy
    source = PrometheusSource(PrometheusServer(demo_server.url))
    yield {day: source.fetch(recording.release, policy, day=day) for day in recording.days}
    source.close()


def test_recording_and_server_have_the_same_digests(fetched: dict[int, Telemetry]) -> None:
    recording = RecordingSource(DEMO_RECORDING)
    policy = Policies(POLICIES).find("tars").policy

    recorded = {day: recording.fetch(recording.release, policy, day=day).sha256 for day in recording.days}

    assert {day: one.sha256 for day, one in fetched.items()} == recorded
    assert sorted(recorded) == list(range(8))


@pytest.mark.parametrize("service", SERVICES)
def test_the_week_holds_the_events_that_happened(fetched: dict[int, Telemetry], service: str) -> None:
    """Over resets, gaps and three silent hours; a day's border moves the events between two scrapes."""
    truth = [true_counts(DEMO, service, day) for day in fetched]
    stored = [count_table(one, "availability").of(service).sum(axis=1) for one in fetched.values()]

    requests, errors = sum(one["requests"] for one in truth), sum(one["errors"] for one in truth)

    assert sum(int(total) for _, total in stored) == pytest.approx(requests, rel=1e-3)
    assert sum(int(bad) for bad, _ in stored) == pytest.approx(errors, abs=max(1, errors * 1e-3))


def expected_requests(known: dict[int, int], day: int) -> float:
    """Return the requests of a day; of an unknown one the mean of its weekday, or of all if a weekday is unknown."""
    alike = [known[one] for one in known if one % 7 == day % 7]
    if day in known:
        return known[day]
    return sum(alike) / len(alike) if len({one % 7 for one in known}) == 7 else sum(known.values()) / len(known)


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize(("kpi", "what"), [("availability", "errors"), ("p99_latency", "slow")])
def test_the_budgets_are_those_of_the_events_that_happened(
    watched: tuple[Home, Done], service: str, kpi: str, what: str
) -> None:
    """From the true events, over a real server, resets and gaps, to the reported share: a thousandth at most."""
    home, _ = watched

    budget = next(one for one in home.regression(WEEK, 7).budgets if (one.kpi, one.service) == (kpi, service))
    known = [-1, *(day.day for day in budget.days if day.n_bad is not None)]
    truth = {day: true_counts(DEMO, service, day) for day in known}
    expected = sum(
        expected_requests({day: one["requests"] for day, one in truth.items()}, day) for day in range(-22, 8)
    )
    bad = sum(one[what] for one in truth.values())
    allowed = expected * (1 - budget.objective)

    assert budget.n_prior_days == 1
    assert budget.n_period_expected == pytest.approx(expected, rel=1e-3)
    assert budget.spent == pytest.approx(bad / allowed, rel=1e-3, abs=1 / allowed)


def test_a_sample_on_the_border_belongs_to_the_window_that_starts_there(demo_server: PrometheusProcess) -> None:
    """One instance of the gateway is scraped on the full minute, so also at the GA instant itself."""
    recording = RecordingSource(DEMO_RECORDING)
    release = recording.release.model_copy(update={"day_length_s": 60, "n_days": 1})
    policy = Policies(POLICIES).find("tars").policy
    minute = policy.measurement.model_copy(update={"slot_s": 60})
    source = PrometheusSource(PrometheusServer(demo_server.url))

    first = source.fetch(release, policy.model_copy(update={"measurement": minute}), day=0)
    source.close()

    assert first.quality.window.start_ms == GA_MS
    series = first.quality.of_series("uptime", "gateway")
    assert series is not None
    assert series.n_arrived == 1


# -- a fault that burns the budget ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def burning(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Five of a hundred requests of one service fail all through day 2."""
    require("prometheus")
    require("promtool")
    fault = ErrorRatio(service="search", window=on_day(2), ratio=0.05)
    scenario = replace(DEMO, incidents=(fault,), days=range(-1, 3))
    text, blocks = tmp_path_factory.mktemp("burning-text"), tmp_path_factory.mktemp("burning-tsdb")
    load_blocks(write_openmetrics(scenario, text), blocks)
    with prometheus(blocks) as server:
        yield Home(tmp_path_factory.mktemp("burning"), server.url)


def test_a_fault_that_burns_the_budget_on_day_2_is_rolled_back_on_day_2(burning: Home) -> None:
    burning.run("release", "add", WEEK, "--ga", GA)

    done = burning.run("watch", WEEK, "--day", "2", "--json")
    analysis = burning.regression(WEEK, 2)
    states = {day.day: day.state for day in analysis.days}
    spent = next(one for one in analysis.reasons if one.code == "budget_spent")

    assert done.code == 10, done.err
    assert (done.json["decision"], done.json["tier"]) == ("roll_back", "RED")
    assert (spent.kpi, spent.service) == ("availability", "search")
    assert states[1] is DayState.MISSING
    assert {states[day] for day in range(3, 8)} == {DayState.PENDING}
    assert burning.narrative(WEEK, 2).days_missing == (1,)


def test_a_server_that_is_gone_ends_in_its_own_exit_code_and_no_verdict(tmp_path: Path) -> None:
    home = Home(tmp_path, "http://127.0.0.1:9", extra={"TARS_OPS_PROMETHEUS_DEADLINE_S": "2"})
    home.run("release", "add", WEEK, "--ga", GA)

    done = home.run("watch", WEEK, "--day", "1")

    assert done.code == 69, done.err
    assert "127.0.0.1:9" in done.err
    assert home.store.children(WEEK) == ["history", "release"]
