"""Does a deployment find, judge, tell and forget releases by itself, even if it is killed in the middle?

The real daemon, Prometheus and Alertmanager, and two releases of a product that measures itself: one announced by a
manifest, whose days are half a minute; one that is merely seen running. Nobody clicks and no command starts anything.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from tars_ops.adapters.catalogue import BUNDLE, CERTIFICATION, DAILY_HEALTH, OF_A_DAY, OF_A_VERDICT, as_of_key
from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registry
from tars_ops.core.lifecycle import Code, State
from tars_ops.core.release import day_key
from tars_ops.defs.automation.jobs import JUDGE_RELEASE, JUDGE_RUNNING_DAY, OPEN_WATCH, WATCH_DAY
from tars_ops_tests.live.automated import (
    Run,
    Standing,
    announce,
    daemon_pid,
    deployed,
    eventually,
    runs_of,
    standing,
)
from tars_ops_tests.live.command import Home
from tars_ops_tests.live.servers import alertmanager, instrumented_process, prometheus, require
from tars_ops_tests.live.ui import DagsterUi, dagster_ui

pytestmark = pytest.mark.live

ANNOUNCED, SEEN = "bake@1.0.0", "bake@1.0.1"
DAY_S, N_DAYS = 30, 2
UI_URL, RUNBOOK_URL = "http://dagster.example.org:3000", "https://runbooks.example.org"
POLICY = """
version: 1
product: bake
owner: team:sre
measurement:
  selector: 'product="bake"'
  build_info: app_build_info
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
LABELS = {"alertname", "gate", "service", "release", "product", "environment"}
ANNOTATIONS = {"summary", "description", "day", "severity", "verdict", "runbook_url", "verdict_url", "evidence_sha256"}


@dataclass(frozen=True)
class FirstLife:
    """What was seen until the daemon was killed."""

    killed_at: datetime
    told: Sequence[Standing]
    """Of the last day; the daemon was held before it could tell."""
    paged: Sequence[Standing]
    """Of the release that was well until somebody stopped its process."""
    log: str


@dataclass(frozen=True)
class Story:
    """What was seen, in the order in which it happened."""

    home: Home
    started_at: datetime
    ga_at: datetime
    first: FirstLife
    paged: Sequence[Standing]
    """Of the release that was well, after its process was stopped."""
    fired: Sequence[Standing]
    """Of the announced release, as of its last day."""
    left: Sequence[Standing]
    """What still stood of it after somebody decided to roll it back."""
    runs: Sequence[Run]
    log: str
    """Of the second life."""

    def about(self, job: str, release: str) -> Counter[str]:
        """Return how many runs of a job succeeded, by what they judged."""
        done = [run for run in self.runs if run.status == "SUCCESS"]
        return Counter(run.about[2] for run in done if run.about[:2] == (job, release))

    def states(self, release: str) -> list[State]:
        """Return every state that a release was in, one after the other."""
        states = [entry.to_state for entry in History(self.home.store).entries(release)]
        return [state for state, before in zip(states, [None, *states], strict=False) if state is not before]


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Let it all happen once."""
    for binary in ("prometheus", "prometheus-alertmanager"):
        require(binary)
    root = tmp_path_factory.mktemp("automation")
    with ExitStack() as running:
        programs = [
            running.enter_context(instrumented_process(product="bake", service="api", version=key.partition("@")[2]))
            for key in (ANNOUNCED, SEEN)
        ]
        server = running.enter_context(prometheus(root / "tsdb", config=scraping([one.url for one in programs])))
        receiver = running.enter_context(alertmanager(root / "alertmanager"))
        home = deployed(
            root,
            source=server.url,
            alertmanager_url=receiver.url,
            policies={"bake": POLICY},
            ui_url=UI_URL,
            runbook_url=RUNBOOK_URL,
            grace_s="2",
            provisional_every_s="30",
        )
        started_at = datetime.now(UTC)
        time.sleep(5)  # a server needs a moment to find its targets
        ga_at = datetime.now(UTC).replace(microsecond=0)
        announce(home, ANNOUNCED, ga_at=ga_at, n_days=N_DAYS, day_length_s=DAY_S)
        breaking = threading.Timer(DAY_S, lambda: urllib.request.urlopen(f"{programs[0].url}/break").close())
        breaking.start()
        running.callback(breaking.cancel)
        with dagster_ui(home) as ui:
            first = killed_between_verdict_and_delivery(home, ui, receiver.url)
        os.kill(programs[1].pid, signal.SIGKILL)
        with dagster_ui(home) as ui:
            fired, paged = everything_is_told(home, receiver.url)
            decided = home.run("release", "decide", ANNOUNCED, "roll-back", "--why", "half of its answers are errors")
            assert decided.code == 0, decided.err
            eventually(lambda: not about(receiver.url, ANNOUNCED), within_s=90)
            left, runs, log = about(receiver.url, ANNOUNCED), runs_of(ui), ui.written
        yield Story(home, started_at, ga_at, first, paged, fired, left, runs, log)


def scraping(urls: Sequence[str]) -> str:
    targets = json.dumps([urlsplit(url).netloc for url in urls])
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: programs
    honor_labels: true
    static_configs: [{{targets: {targets}}}]
"""


def about(url: str, release: str) -> list[Standing]:
    return [one for one in standing(url) if one.labels["release"] == release]


def of_the_last_day(url: str) -> list[Standing]:
    found = (one for one in about(url, ANNOUNCED) if one.annotations.get("day") == str(N_DAYS))
    return [one for one in found if one.annotations["provisional"] == "false"]


def killed_between_verdict_and_delivery(home: Home, ui: DagsterUi, url: str) -> FirstLife:
    """Hold the daemon as soon as the run of the last day is at work, and kill it when the verdict is stored."""
    health, telemetry = (kind.key(ANNOUNCED, day_key(N_DAYS)) for kind in (DAILY_HEALTH, OF_A_DAY[0]))
    assert eventually(lambda: home.store.versions(telemetry), within_s=300, every_s=0.05), ui.written[-4000:]
    daemon = daemon_pid(ui)
    os.kill(daemon, signal.SIGSTOP)
    judged = eventually(lambda: home.store.versions(health), within_s=60, every_s=0.2)
    found = FirstLife(datetime.now(UTC), of_the_last_day(url), about(url, SEEN), ui.written)
    os.kill(daemon, signal.SIGKILL)
    assert judged, found.log[-4000:]
    return found


def everything_is_told(home: Home, url: str) -> tuple[list[Standing], list[Standing]]:
    """Wait until the last verdict is there and told, and the release without a process is told of too."""
    bundle = BUNDLE.key(ANNOUNCED, as_of_key(N_DAYS))
    names = {"ObjectiveBroken", "NotCertified"}

    def is_told() -> bool:
        found = {one.name for one in about(url, ANNOUNCED)}
        return bool(home.store.versions(bundle)) and names <= found and bool(pages(url))

    eventually(is_told, within_s=180)
    return about(url, ANNOUNCED), pages(url)


def pages(url: str) -> list[Standing]:
    return [one for one in about(url, SEEN) if one.name == "BudgetBurnsFast"]


# -- found ------------------------------------------------------------------------------------------------------------


def test_a_release_is_registered_by_its_manifest_and_another_by_sight(story: Story) -> None:
    announced, seen = (Registry(story.home.store).get(key).release for key in (ANNOUNCED, SEEN))

    assert (announced.ga_at, announced.n_days, announced.day_length_s) == (story.ga_at, N_DAYS, DAY_S)
    assert abs(seen.ga_at - story.started_at) <= timedelta(minutes=1)
    assert seen.day_length_s == 86400
    assert set(Registry(story.home.store).all_keys()) == {ANNOUNCED, SEEN}


# -- judged -----------------------------------------------------------------------------------------------------------


def test_every_day_is_judged_by_one_run(story: Story) -> None:
    assert story.about(OPEN_WATCH, ANNOUNCED) == {"ga": 1}
    assert story.about(WATCH_DAY, ANNOUNCED) == {day_key(day): 1 for day in range(1, N_DAYS + 1)}
    assert story.about(JUDGE_RELEASE, ANNOUNCED) == {as_of_key(day): 1 for day in range(1, N_DAYS + 1)}


def test_no_moment_of_a_running_day_is_judged_twice(story: Story) -> None:
    moments = [story.about(JUDGE_RUNNING_DAY, key) for key in (ANNOUNCED, SEEN)]

    assert moments[1].total() >= 2
    assert [set(found.values()) - {1} for found in moments] == [set(), set()]


def test_no_run_failed_but_those_that_the_kill_interrupted(story: Story) -> None:
    interrupted = [run for run in story.runs if run.created_at <= story.first.killed_at]

    assert [run.about for run in story.runs if run.status == "FAILURE" and run not in interrupted] == []


@pytest.mark.parametrize("day", range(1, N_DAYS + 1))
def test_every_judged_day_has_its_verdict_and_a_bundle_that_verifies(story: Story, day: int, tmp_path: Path) -> None:
    store, at = story.home.store, as_of_key(day)
    files = store.get(BUNDLE.key(ANNOUNCED, at))
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)

    verified = {name: story.home.run("verify", str(tmp_path / name)) for name in files if name.endswith((".zip", "gz"))}

    assert all(store.versions(kind.key(ANNOUNCED, at)) for kind in OF_A_VERDICT)
    assert {name: done.code for name, done in verified.items()} == dict.fromkeys(verified, 0)
    assert len(verified) == 2


def test_a_release_that_fails_is_refused_its_certificate(story: Story) -> None:
    certification = CERTIFICATION.decode(story.home.store.get(CERTIFICATION.key(ANNOUNCED, as_of_key(N_DAYS))))

    assert (certification.may_promote, certification.may_close) == (False, False)
    assert certification.is_over


def test_the_history_tells_the_whole_story(story: Story) -> None:
    states = story.states(ANNOUNCED)
    codes = [entry.code for entry in History(story.home.store).entries(ANNOUNCED)]

    assert states[:3] == [State.CANDIDATE, State.BASELINING, State.WATCHING]
    assert states[-2:] == [State.ROLLBACK_RECOMMENDED, State.ROLLED_BACK]
    assert {Code.VERDICT_ROLL_BACK, Code.BUDGET_BURNS_FAST} & set(codes)
    assert codes[-1] is Code.DECIDED_ROLL_BACK
    assert story.states(SEEN)[:2] == [State.CANDIDATE, State.BASELINING]


# -- told -------------------------------------------------------------------------------------------------------------


def test_a_release_that_fails_is_told_with_everything_that_a_person_needs(story: Story) -> None:
    (alert,) = (one for one in story.fired if one.labels["gate"] == "availability_keeps_its_objective")
    told = alert.annotations
    partition = quote(f"{day_key(N_DAYS)}|{ANNOUNCED}")

    assert alert.labels == {
        "alertname": "ObjectiveBroken",
        "gate": "availability_keeps_its_objective",
        "service": "api",
        "release": ANNOUNCED,
        "product": "bake",
        "environment": "production",
        "kpi": "availability",
    }
    assert told.keys() >= ANNOTATIONS
    assert (told["day"], told["severity"], told["verdict"]) == (str(N_DAYS), "high", "fail")
    assert told["runbook_url"] == f"{RUNBOOK_URL}/ObjectiveBroken.md"
    assert told["verdict_url"] == f"{UI_URL}/assets/daily_stability?view=partitions&partition={partition}"


def test_an_alert_names_the_digest_of_what_is_stored(story: Story) -> None:
    stored = {
        kind.asset: pointer.sha256
        for kind in OF_A_DAY
        if (pointer := story.home.store.pointer(kind.key(ANNOUNCED, day_key(N_DAYS))))
    }
    told = {
        asset: one.annotations["evidence_sha256"]
        for one in story.fired
        if (asset := urlsplit(one.annotations["verdict_url"]).path.rpartition("/")[2]) in stored
    }

    assert told
    assert told == {asset: stored[asset] for asset in told}


def test_alerts_have_the_labels_of_their_kind_and_no_others(story: Story) -> None:
    for one in (*story.fired, *story.paged):
        assert one.labels.keys() - {"kpi"} == LABELS


def test_a_stopped_process_pages_while_the_day_runs(story: Story) -> None:
    (page,) = story.paged

    assert page.annotations["provisional"] == "true"
    assert page.annotations["verdict"] == "unknown"
    assert page.annotations["day"] == "0"


def test_a_young_release_that_is_well_pages_nobody(story: Story) -> None:
    assert [one.annotations["summary"] for one in story.first.paged] == []


def test_alerts_end_when_the_release_is_decided_upon(story: Story) -> None:
    assert story.fired
    assert [one.annotations["summary"] for one in story.left] == []


# -- killed -----------------------------------------------------------------------------------------------------------


def test_what_was_judged_and_not_told_before_the_kill_is_told_after_it(story: Story) -> None:
    assert story.first.told == []
    assert any(one.annotations["day"] == str(N_DAYS) for one in story.fired)


def test_the_daemon_reports_no_error(story: Story) -> None:
    lines = [line for log in (story.first.log, story.log) for line in log.splitlines()]

    assert [line for line in lines if "ERROR" in line or "Traceback" in line] == []
