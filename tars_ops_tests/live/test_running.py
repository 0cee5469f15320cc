"""Is a day in progress judged the same from a real server, and how soon does it tell of a failure and of an outage?"""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.source import TelemetrySource
from tars_ops.adapters.sources import DEMO, open_source
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry, count_table
from tars_ops.core.verdict import Decision, Verdict
from tars_ops.core.watch.running import RunningDay, judge_running, newest_instant, running_window
from tars_ops_tests.live.command import Home
from tars_ops_tests.live.servers import PrometheusProcess, instrumented_process, prometheus, require

pytestmark = pytest.mark.live

# A recorded week, looked at while it ran

RECORDING = RecordingSource(DEMO)
WEEK = RECORDING.release
POLICY = load_policy(RECORDING.policy_text, name="policy of the demo")


def seen(source: TelemetrySource, until: datetime) -> Telemetry:
    _, window = running_window(WEEK, POLICY, until)
    return source.fetch_window(WEEK, POLICY, window)


def moment(day: int, clock: str) -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return WEEK.ga_at + timedelta(days=day, hours=hours, minutes=minutes)


@pytest.fixture(scope="module")
def server(demo_server: PrometheusProcess) -> Iterator[TelemetrySource]:
    source = open_source(demo_server.url)
    yield source
    source.close()


@pytest.mark.parametrize(
    "until",
    [moment(0, "00:05"), moment(0, "12:00"), moment(1, "00:10"), moment(3, "10:10"), moment(5, "08:00")],
    ids=str,
)
def test_server_and_recording_count_the_same_events_of_a_running_day(server: TelemetrySource, until: datetime) -> None:
    live, recorded = seen(server, until), seen(RECORDING, until)

    for counter in ("availability", "http_request_duration_seconds"):
        one, other = (count_table(telemetry, counter) for telemetry in (live, recorded))
        assert (one.services, one.les, one.slot_ms.tolist()) == (other.services, other.les, other.slot_ms.tolist())
        assert one.counts.tolist() == other.counts.tolist()
    assert [judge_running(one, None, WEEK, POLICY).decision for one in (live, recorded)] == [
        judge_running(live, None, WEEK, POLICY).decision
    ] * 2


@pytest.mark.parametrize(
    ("until", "verdict", "said"),
    [
        (moment(3, "10:04"), Verdict.FAIL, "availability of reports: "),
        (moment(5, "02:07"), Verdict.UNKNOWN, "availability of search: "),
        (moment(5, "02:13"), Verdict.UNKNOWN, "availability of search: no data since 02:0"),
        (moment(4, "13:37"), Verdict.PASS, "every promise is kept so far"),
    ],
    ids=str,
)
def test_any_minute_can_be_judged_to_the_minute(
    server: TelemetrySource, until: datetime, verdict: Verdict, said: str
) -> None:
    telemetry = seen(server, until)
    found = judge_running(telemetry, None, WEEK, POLICY)

    assert found.until_at == until
    assert {one.short.start_at for one in found.burns} == {until - timedelta(minutes=5)}
    assert (found.verdict, found.reason[: len(said)]) == (verdict, said)


# A product that breaks, and dies, while somebody looks

BAKE = Release(
    product="bake",
    version="1.0.0",
    ga_at=datetime.now(UTC).replace(microsecond=0),
    policy_sha256="0" * 64,
    day_length_s=3600,
    n_days=1,
)
BAKE_POLICY = """
version: 1
product: bake
owner: team:sre
measurement:
  selector: 'product="bake"'
  scrape_interval_s: 1
  step_s: 1
  slot_s: 5
  rate_window_s: 10
kpis:
  availability:
    kind: ratio
    title: Availability
    bad: http_requests_total{status=~"5.."}
    total: http_requests_total
    slo: {objective: 0.99}
"""
"""A day of an hour: the long window has 150 s, the short one 10."""
SHORT_S = 10


def scraping(program_url: str) -> str:
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: program
    honor_labels: true
    metric_relabel_configs: [{{target_label: product, replacement: bake}}]
    static_configs: [{{targets: ["{urlsplit(program_url).netloc}"], labels: {{service: api, version: 1.0.0}}}}]
"""


def test_a_failure_and_an_outage_are_told_within_seconds_where_a_day_is_an_hour(tmp_path: Path) -> None:
    require("prometheus")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "bake.yaml").write_text(BAKE_POLICY)
    with ExitStack() as running:
        program = ExitStack()
        running.callback(program.close)
        process = program.enter_context(instrumented_process(service="api", version="1.0.0", requests_per_s=40))
        server = running.enter_context(prometheus(tmp_path / "tsdb", config=scraping(process.url)))
        home = Home(tmp_path, server.url, policies=tmp_path / "policies")
        time.sleep(10)  # a server needs a moment to find its targets
        ga_at = datetime.now(UTC).replace(microsecond=0)
        options = ("--ga", ga_at.isoformat(), "--days", "1", "--day-length", "3600")
        assert home.run("release", "add", BAKE.key, *options).code == 0
        release, policy = BAKE.model_copy(update={"ga_at": ga_at}), load_policy(BAKE_POLICY.encode(), name="bake")
        source = open_source(server.url)
        running.callback(source.close)

        def so_far() -> RunningDay:
            until = newest_instant(release, policy, datetime.now(UTC))
            assert until is not None
            _, window = running_window(release, policy, until)
            return judge_running(source.fetch_window(release, policy, window), None, release, policy)

        time.sleep(12)
        healthy = so_far()
        urllib.request.urlopen(f"{process.url}/break").close()
        failing, failing_after_s = awaited(so_far, lambda found: found.advises_roll_back, deadline_s=60)
        told = home.run("watch", BAKE.key, "--so-far", "--json")
        program.close()
        silent, silent_after_s = awaited(so_far, lambda found: found.burns[0].verdict is Verdict.UNKNOWN, deadline_s=60)

    assert (healthy.verdict, healthy.decision) == (Verdict.PASS, Decision.KEEP)
    assert "since" in failing.reason
    assert failing_after_s < 40
    assert (told.code, told.json["decision"], told.json["provisional"]) == (10, "roll_back", True)
    assert "availability of api: no data since" in silent.reason or "coverage" in silent.burns[0].reason
    assert silent_after_s < 2 * SHORT_S
    print(f"failing after {failing_after_s:.1f} s, silent after {silent_after_s:.1f} s")


def awaited(
    look: Callable[[], RunningDay], holds: Callable[[RunningDay], bool], *, deadline_s: float
) -> tuple[RunningDay, float]:
    """Look again and again until something holds; return what was found and after how many seconds."""
    started = time.monotonic()
    while True:
        found, after_s = look(), time.monotonic() - started
        if holds(found):
            return found, after_s
        assert after_s < deadline_s, found.reason
        time.sleep(0.5)
