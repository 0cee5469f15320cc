"""Can a release be watched for minutes, against a server that scrapes real processes?

A bake time is a real use: a day of a minute, counted by a Prometheus that scrapes a node exporter and a program that
measures itself.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tars_ops.core.telemetry import count_table
from tars_ops.core.verdict import DayState, Verdict
from tars_ops_tests.live.command import Done, Home
from tars_ops_tests.live.servers import instrumented_process, node_exporter, prometheus, require

pytestmark = pytest.mark.live
BAKE = "bake@1.0.0"
DAY_S = 60
REQUESTS_PER_S = 20.0

POLICY = """
version: 1
product: bake
owner: team:sre
measurement:
  selector: 'product="bake"'
  scrape_interval_s: 1
  step_s: 1
  slot_s: 5
  rate_window_s: 10
histograms:
  http_request_duration_seconds: [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10]
kpis:
  availability:
    kind: ratio
    title: Availability
    bad: http_requests_total{status=~"5.."}
    total: http_requests_total
    slo: {objective: 0.99}
  p99_latency:
    kind: latency
    title: P99 Latency
    histogram: http_request_duration_seconds
    quantile: 0.99
    slo: {threshold_s: 1}
    drift_warn: 20
    drift_fail: 50
  uptime: {kind: uptime, title: Uptime}
  free_memory:
    kind: gauge
    title: Free memory of the host
    unit: bytes
    worse: down
    promql: sum by ($service) (avg_over_time(node_memory_MemAvailable_bytes{$selector}[$recent]))
    series: node_memory_MemAvailable_bytes
    drift_warn: 0.8
    drift_fail: 0.9
"""


@pytest.fixture(scope="module")
def baked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Home, Done]]:
    """A GA minute and two more, scraped every second, then watched."""
    for binary in ("prometheus", "prometheus-node-exporter"):
        require(binary)
    root = tmp_path_factory.mktemp("bake")
    policies = root / "policies"
    policies.mkdir()
    (policies / "bake.yaml").write_text(POLICY)
    with ExitStack() as running:
        host = running.enter_context(node_exporter())
        program = running.enter_context(
            instrumented_process(service="api", version="1.0.0", requests_per_s=REQUESTS_PER_S)
        )
        server = running.enter_context(prometheus(root / "tsdb", config=_scraping(host.url, program.url)))
        home = Home(root, server.url, policies=policies)
        time.sleep(15)  # a server needs a moment to find its targets and two scrapes of them
        ga_at = datetime.now(UTC).replace(microsecond=0)
        added = home.run("release", "add", BAKE, "--ga", ga_at.isoformat(), "--days", "2", "--day-length", str(DAY_S))
        assert added.code == 0, added.err
        time.sleep(3 * DAY_S + 2)
        yield home, home.run("watch", BAKE, "--json")


def _scraping(host_url: str, program_url: str) -> str:
    host, program = (urlsplit(url).netloc for url in (host_url, program_url))
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: host
    static_configs: [{{targets: ["{host}"], labels: {{product: bake, service: host, version: 1.0.0}}}}]
  - job_name: program
    honor_labels: true
    metric_relabel_configs: [{{target_label: product, replacement: bake}}]
    static_configs: [{{targets: ["{program}"], labels: {{product: bake, service: api, version: 1.0.0}}}}]
"""


def test_a_bake_of_minutes_is_judged_from_real_scrapes(baked: tuple[Home, Done]) -> None:
    home, done = baked

    analysis = home.regression(BAKE, 2)

    assert done.code == 0, done.err
    assert [day.state for day in analysis.days] == [DayState.JUDGED, DayState.JUDGED]
    assert home.stability(BAKE, 1).of("availability").verdict is Verdict.PASS
    assert home.stability(BAKE, 2).of("free_memory").worst_service == "host"


def test_a_bake_counts_the_requests_that_were_made(baked: tuple[Home, Done]) -> None:
    home, _ = baked

    telemetry = home.telemetry(BAKE, 1)
    counted = int(count_table(telemetry, "availability").of("api")[-1].sum())

    assert counted == pytest.approx(REQUESTS_PER_S * DAY_S, rel=0.25)
    assert {one.coverage for one in telemetry.quality.series} >= {1.0}


def test_a_kpi_that_a_service_does_not_have_is_not_held_against_it(baked: tuple[Home, Done]) -> None:
    home, _ = baked

    rows = {(row.kpi, row.service) for row in home.stability(BAKE, 1).kpis}

    assert ("availability", "host") not in rows
    assert ("free_memory", "api") not in rows
    assert ("uptime", "host") in rows


def test_the_bundle_of_a_bake_verifies(baked: tuple[Home, Done], tmp_path: Path) -> None:
    home, _ = baked

    exported = home.run("export", BAKE, str(tmp_path))
    verified = home.run("verify", str(tmp_path / "bake-1.0.0-executive.tar.gz"))

    assert exported.code == 0, exported.err
    assert verified.code == 0, verified.out
