import http.client
import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from urllib.parse import urlencode, urlsplit

import numpy as np
import pytest

from tars_ops_tests.live.history import (
    DAY_MS,
    DEMO,
    GA_MS,
    LATENCY_LE,
    MINUTE_MS,
    SERVICES,
    STEADY,
    ErrorRatio,
    FiringAlert,
    Incident,
    Restart,
    Scenario,
    Series,
    Service,
    Slowdown,
    TrafficChange,
    Unscraped,
    Window,
    history,
    moment,
    on_day,
    true_counts,
    write_openmetrics,
)
from tars_ops_tests.live.servers import PrometheusProcess

NAMES = [service.name for service in SERVICES]
ON_THE_BORDER = Service(
    name="edge",
    requests_per_day=20_000,
    offsets_ms=(0,),
    error_ratio=0.001,
    cpu_s_per_request=0.01,
    memory_bytes=64 << 20,
)


def edge(*incidents: Incident) -> Scenario:
    """One instance scraped on the minute, so that day borders are samples."""
    return Scenario(services=(ON_THE_BORDER,), incidents=incidents, days=range(4))


def only(found: list[Series]) -> Series:
    (series,) = found
    return series


def value_at(series: Series, at_s: int) -> float:
    """The sample at exactly ``at_s`` seconds from GA."""
    return float(series.values[series.at_ms == GA_MS + 1000 * at_s].item())


def gain(found: list[Series], window: Window) -> float:
    return sum(value_at(series, window.ends_s) - value_at(series, window.starts_s) for series in found)


def of_day(series: Series, day: int) -> np.ndarray:
    begin, end = np.searchsorted(series.at_ms, [GA_MS + day * DAY_MS, GA_MS + (day + 1) * DAY_MS])
    return series.values[begin:end]


def daily_mean(metric: str, service: str, day: int) -> float:
    return float(
        np.mean([of_day(s, day).mean() for s in history(DEMO).select(metric, service=service) if s.at_ms[0] >= GA_MS])
    )


def cpu_s(service: str, day: int) -> float:
    found = history(DEMO).select("process_cpu_seconds_total", service=service, version="1.0.1")
    return sum(float(of_day(s, day)[-1] - of_day(s, day)[0]) for s in found)


def latency_quantile(service: str, day: int, quantile: float) -> float:
    """What ``histogram_quantile`` makes of the day."""
    found = [history(DEMO).select("http_request_duration_seconds_bucket", service=service, le=le) for le in LATENCY_LE]
    counts = [sum(float(of_day(s, day)[-1] - of_day(s, day)[0]) for s in at if s.at_ms[0] >= GA_MS) for at in found]
    bounds = [0.0, *map(float, LATENCY_LE[:-1])]
    return float(np.interp(quantile * counts[-1], [0.0, *counts[:-1]], bounds))


def samples(scenario: Scenario, service: str) -> dict[tuple[str, ...], tuple[bytes, bytes]]:
    found = [s for s in history(scenario) if s.labels["service"] == service]
    return {(s.name, *s.labels.values()): (s.at_ms.tobytes(), s.values.tobytes()) for s in found}


# The generator


def test_the_demo_is_the_same_on_every_machine() -> None:
    assert true_counts(DEMO, "gateway", 2) == {"requests": 614_187, "errors": 70, "slow": 1_452}
    assert true_counts(DEMO, "reports", 3) == {"requests": 7_510, "errors": 76, "slow": 18}


def test_another_seed_is_another_week() -> None:
    assert samples(replace(STEADY, seed=1), "reports") != samples(STEADY, "reports")


@pytest.mark.parametrize("name", NAMES)
def test_a_service_does_not_notice_who_else_runs(name: str) -> None:
    alone = replace(STEADY, services=(STEADY.service(name),))

    assert samples(alone, name) == samples(STEADY, name)


@pytest.mark.parametrize("incident", DEMO.incidents, ids=lambda i: f"{type(i).__name__}-{i.service}")
def test_an_incident_leaves_other_services_alone(incident: Incident) -> None:
    troubled = replace(STEADY, incidents=(incident,))
    others = [name for name in NAMES if name != incident.service]

    assert samples(troubled, incident.service) != samples(STEADY, incident.service)
    assert all(samples(troubled, name) == samples(STEADY, name) for name in others)


@pytest.mark.parametrize("name", NAMES)
def test_an_incident_leaves_what_other_days_count_alone(name: str) -> None:
    troubled = {("search", 2), ("gateway", 3), ("reports", 3)}
    quiet = [day for day in DEMO.days if (name, day) not in troubled]

    assert [true_counts(DEMO, name, day) for day in quiet] == [true_counts(STEADY, name, day) for day in quiet]


def test_fewer_days_are_the_same_days() -> None:
    short = replace(DEMO, days=range(-1, 2))

    assert true_counts(short, "chat", 1) == true_counts(DEMO, "chat", 1)
    assert not history(short).select("ALERTS")


@pytest.mark.parametrize(
    "scenario",
    [
        edge(),
        edge(ErrorRatio(service="edge", window=on_day(2), ratio=0.05)),
        edge(Slowdown(service="edge", window=on_day(1, "13:00", "15:00"), ratio=0.12)),
        edge(TrafficChange(service="edge", window=on_day(1), factor=3)),
        edge(Unscraped(service="edge", window=on_day(1, "02:00", "05:00"))),
    ],
    ids=["steady", "errors", "slow", "traffic", "unscraped"],
)
@pytest.mark.parametrize("day", [0, 1, 2])
def test_truth_is_what_the_counters_gain(scenario: Scenario, day: int) -> None:
    week, window = history(scenario), on_day(day)
    total = gain(week.select("http_request_duration_seconds_count"), window)

    assert true_counts(scenario, "edge", day) == {
        "requests": gain(week.select("http_requests_total"), window),
        "errors": gain(week.select("http_requests_total", status="500"), window),
        "slow": total - gain(week.select("http_request_duration_seconds_bucket", le="0.5"), window),
    }
    assert total == true_counts(scenario, "edge", day)["requests"]


def test_truth_of_a_day_is_the_sum_of_its_parts() -> None:
    parts = [
        true_counts(DEMO, "search", 2, starts=a, ends=b) for a, b in pairwise(["00:00", "13:00", "15:00", "24:00"])
    ]

    assert {key: sum(part[key] for part in parts) for key in parts[0]} == true_counts(DEMO, "search", 2)


def test_truth_needs_no_scrapes() -> None:
    assert true_counts(DEMO, "search", 5) == true_counts(STEADY, "search", 5)


@pytest.mark.parametrize("name", NAMES)
def test_every_service_is_busy_enough_to_judge(name: str) -> None:
    assert min(true_counts(DEMO, name, day)["requests"] for day in DEMO.days) > 5_000


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("day", STEADY.days)
def test_a_steady_day_is_well_inside_every_objective(name: str, day: int) -> None:
    counts = true_counts(STEADY, name, day)

    assert counts["errors"] <= 0.0006 * counts["requests"]
    assert counts["slow"] <= 0.004 * counts["requests"]


def test_requests_are_counted_alike_by_status_and_by_latency() -> None:
    for count in history(DEMO).select("http_request_duration_seconds_count"):
        target = {key: count.labels[key] for key in ("instance", "version")}
        by_status = [s.values for s in history(DEMO).select("http_requests_total", **target)]
        by_le = [s.values for s in history(DEMO).select("http_request_duration_seconds_bucket", **target)]

        np.testing.assert_array_equal(count.values, np.sum(by_status, axis=0))
        np.testing.assert_array_equal(count.values, by_le[-1])
        assert np.all(np.diff(by_le, axis=0) >= 0)


# What befalls the demo


def test_ga_starts_every_process_anew_and_one_exactly_on_the_border() -> None:
    border = history(DEMO).select("http_requests_total", instance="gateway-0:8080", version="1.0.1", status="200")
    old = history(DEMO).select("http_requests_total", version="1.0.0")

    assert (only(border).at_ms[0], only(border).values[0]) == (GA_MS, 0)
    assert max(s.at_ms[-1] for s in old) < GA_MS


@pytest.mark.parametrize("day", DEMO.days)
def test_one_instance_is_sampled_on_every_day_border(day: int) -> None:
    found = history(DEMO).select("up", instance="gateway-0:8080")

    assert any(GA_MS + day * DAY_MS in series.at_ms for series in found)


@pytest.mark.parametrize(
    ("service", "day", "n_missed"), [("gateway", 0, 2), ("chat", 1, 4), ("search", 5, 180), ("reports", 6, 7)]
)
def test_scrapes_are_missing_where_they_should(service: str, day: int, n_missed: int) -> None:
    scraped = [s for s in history(DEMO) if s.name != "ALERTS"]
    found = [s for s in scraped if s.labels["service"] == service and s.labels.get("version") == "1.0.1"]

    assert {len(of_day(series, day)) for series in found} == {1440 - n_missed}


def test_search_is_silent_on_day_five() -> None:
    begin, end = GA_MS + 1000 * moment(5, "02:00"), GA_MS + 1000 * moment(5, "05:00")
    found = [s.at_ms for s in history(DEMO) if s.labels["service"] == "search"]

    assert not any(np.any((at_ms >= begin) & (at_ms < end)) for at_ms in found)


def test_counters_fall_only_where_a_process_restarts() -> None:
    counters = [s for s in history(DEMO) if s.name.endswith(("_total", "_bucket", "_count"))]
    falls = {(s.labels["instance"], int(at)) for s in counters for at in s.at_ms[1:][np.diff(s.values) < 0]}

    assert {(i, at - at % MINUTE_MS) for i, at in falls} == {("gateway-1:8080", GA_MS + 1000 * moment(4, "06:30"))}


def test_a_restarted_counter_begins_at_zero() -> None:
    restarted = edge(Restart(service="edge", instance=0, at_s=moment(1, "06:30")))
    total = only(history(restarted).select("http_request_duration_seconds_count"))

    assert value_at(total, moment(1, "06:30")) == 0
    assert value_at(total, moment(2)) == true_counts(restarted, "edge", 1, starts="06:30")["requests"]


def test_the_slow_afternoon_breaks_p99_but_hardly_moves_p95_and_p50() -> None:
    assert latency_quantile("search", 0, 0.99) < 0.5 < latency_quantile("search", 2, 0.99)
    assert latency_quantile("search", 2, 0.95) < 1.3 * latency_quantile("search", 0, 0.95)
    assert latency_quantile("search", 2, 0.50) < 1.05 * latency_quantile("search", 0, 0.50)


def test_the_alert_fires_while_search_is_slow() -> None:
    alert = only(history(DEMO).select("ALERTS"))

    assert alert.labels.items() >= {"alertname": "HighLatency", "severity": "critical", "service": "search"}.items()
    assert (alert.at_ms[[0, -1]] - GA_MS).tolist() == [1000 * moment(2, "13:00"), 1000 * moment(2, "14:59")]


def test_an_alert_that_fires_twice_is_one_series() -> None:
    windows = [on_day(1, "01:00", "01:02"), on_day(2, "01:00", "01:02")]
    twice = edge(*(FiringAlert(service="edge", window=window, alertname="Down") for window in windows))

    assert len(only(history(twice).select("ALERTS")).at_ms) == 4


@pytest.mark.parametrize(("service", "broken"), [("gateway", False), ("reports", True)])
def test_the_same_burst_breaks_only_the_small_service(service: str, *, broken: bool) -> None:
    counts, steady = true_counts(DEMO, service, 3), true_counts(STEADY, service, 3)

    assert counts == {**steady, "errors": steady["errors"] + 75}
    assert (counts["errors"] > 0.001 * counts["requests"]) is broken


def test_memory_of_chat_leaks() -> None:
    level = [daily_mean("process_resident_memory_bytes", "chat", day) for day in range(8)]

    np.testing.assert_allclose(np.diff(level), 0.055 * (512 << 20), rtol=0.05)


def test_cpu_of_ingest_grows_but_not_by_a_third() -> None:
    ratios = [cpu_s("ingest", day) / cpu_s("ingest", 0) for day in range(1, 8)]

    assert ratios == sorted(ratios)
    assert 1.22 < ratios[-1] < 1.29


# At the door


def test_an_incident_of_an_unknown_service_is_refused() -> None:
    with pytest.raises(ValueError, match="serach"):
        edge(ErrorRatio(service="serach", window=on_day(2), ratio=0.05))


def test_an_offset_that_floating_seconds_would_move_is_refused() -> None:
    with pytest.raises(ValueError, match="multiples of 125"):
        replace(ON_THE_BORDER, offsets_ms=(0, 100))


def test_truth_of_a_day_that_never_was_is_refused() -> None:
    with pytest.raises(ValueError, match="day 9"):
        true_counts(DEMO, "search", 9)


def test_a_file_holds_one_utc_day(tmp_path_factory: pytest.TempPathFactory) -> None:
    files = write_openmetrics(edge(), tmp_path_factory.mktemp("text"))
    lines = files[1].read_text().splitlines()
    at_s = [float(line.rsplit(" ", 1)[1]) for line in lines if not line.startswith("#")]

    assert [file.name for file in files] == [f"2025-11-{day}.om" for day in (18, 19, 20, 21)]
    assert (min(at_s), max(at_s)) == (GA_MS / 1000 + moment(1), GA_MS / 1000 + moment(2) - 60)
    assert lines[-1] == "# EOF"
    assert lines.count("# TYPE http_requests counter") == 1


# A real server


def ask(server: PrometheusProcess, path: str, parameters: Mapping[str, str | float]) -> object:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    try:
        connection.request("GET", f"/api/v1/{path}?{urlencode(parameters)}")
        answer = json.load(connection.getresponse())
    finally:
        connection.close()
    assert answer["status"] == "success", answer
    return answer["data"]


def query(server: PrometheusProcess, promql: str, at_s: float) -> list:
    return ask(server, "query", {"query": promql, "time": GA_MS / 1000 + at_s})["result"]


@pytest.mark.live
def test_the_server_holds_every_series_and_sample(demo_server: PrometheusProcess) -> None:
    span = {"start": GA_MS / 1000 + moment(-1), "end": GA_MS / 1000 + moment(8)}
    found = ask(demo_server, "series", {"match[]": '{product="tars"}', **span})
    names = {series.name for series in history(DEMO)}
    counts = [query(demo_server, f"sum(count_over_time({name}[9d]))", moment(8)) for name in names]

    assert len(found) == len(history(DEMO).series)
    assert sum(int(count[0]["value"][1]) for count in counts) == sum(len(series.at_ms) for series in history(DEMO))


@pytest.mark.live
@pytest.mark.parametrize("service", ["gateway", "ingest"])
def test_a_days_increase_is_the_truth_within_a_percent(demo_server: PrometheusProcess, service: str) -> None:
    promql = f'sum(increase(http_requests_total{{service="{service}"}}[1d]))'
    ((_, increase),) = (result["value"] for result in query(demo_server, promql, moment(3)))

    assert float(increase) == pytest.approx(true_counts(DEMO, service, 2)["requests"], rel=0.01)


@pytest.mark.live
def test_the_server_has_nothing_of_the_silence(demo_server: PrometheusProcess) -> None:
    assert not query(demo_server, '{service="search"}[3h]', moment(5, "05:00"))
    assert query(demo_server, '{service="search"}[3h]', moment(5, "05:01"))


@pytest.mark.live
def test_instants_and_values_survive_the_files(demo_server: PrometheusProcess) -> None:
    labels = {"instance": "search-1:8080", "version": "1.0.1"}
    (found,) = query(demo_server, 'process_cpu_seconds_total{instance="search-1:8080"}[1d]', moment(6))
    made = only(history(DEMO).select("process_cpu_seconds_total", **labels))
    of_the_day = (made.at_ms >= GA_MS + 5 * DAY_MS) & (made.at_ms < GA_MS + 6 * DAY_MS)

    assert [round(1000 * at_s) for at_s, _ in found["values"]] == made.at_ms[of_the_day].tolist()
    assert [float(value) for _, value in found["values"]] == made.values[of_the_day].tolist()
