"""How does a test use the UI as an operator does: Dagster's own webserver and daemon, and a browser that clicks?

Belongs here: starting both, asking GraphQL what happened, and the few gestures that a page needs. What a page has to
show is each test's own business.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from tars_ops_tests.live.command import POLICIES, Home
from tars_ops_tests.live.servers import ServerError, ServerProcess, free_port, require, require_module, serving

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

ROOT = POLICIES.parent
LOCATION, REPOSITORY = "tars_ops", "__repository__"
LOOPBACK = frozenset({"127.0.0.1", "localhost"})
START_DEADLINE_S = 180.0
PAGE_DEADLINE_S = 60.0
RUN_DEADLINE_S = 240.0
UNDER_WAY = {"REQUESTED", "QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING", "CANCELLING", "FAILING"}
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass(frozen=True)
class DagsterUi(ServerProcess):
    """A running webserver with its daemon and code location."""

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Send a GraphQL document and return its data."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(f"{self.url}/graphql", body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=PAGE_DEADLINE_S) as reply:
            answer = json.loads(reply.read())
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def run(self, run_id: str) -> Run:
        """Wait until a run is over and say what came of it."""
        query = f"query ($id: ID!) {{ found: runOrError(runId: $id) {{ ... on Run {{ {_RUN} }} }} }}"
        return _run(self._settled(query, id=run_id))

    def backfill(self, backfill_id: str) -> Backfill:
        """Wait until a backfill is over and say what came of it."""
        query = f"""query ($id: String!) {{ found: partitionBackfillOrError(backfillId: $id) {{
            ... on PartitionBackfill {{ status runs(limit: 100) {{ {_RUN} }} }} }} }}"""
        found = self._settled(query, id=backfill_id)
        return Backfill(found["status"], tuple(_run(one) for one in found["runs"]))

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds that the daemon has to do."""
        deadline = time.monotonic() + RUN_DEADLINE_S
        while not holds():
            assert time.monotonic() < deadline, self.written[-3000:]
            time.sleep(1)

    def _settled(self, query: str, **variables: object) -> dict[str, Any]:
        deadline = time.monotonic() + RUN_DEADLINE_S
        while (found := self.ask(query, **variables)["found"])["status"] in UNDER_WAY:
            assert time.monotonic() < deadline, f"{found}\n{self.written[-3000:]}"
            time.sleep(1)
        return found

    @property
    def written(self) -> str:
        """What the servers wrote so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


_RUN = "runId status jobName startTime endTime tags { key value }"


@dataclass(frozen=True)
class Run:
    """A run that is over."""

    run_id: str
    status: str
    job: str
    tags: dict[str, str]
    start_s: float
    """Seconds since 1970."""
    end_s: float

    @property
    def partition(self) -> str:
        """What it was launched for."""
        return self.tags.get("dagster/partition", "")


@dataclass(frozen=True)
class Backfill:
    """A backfill that is over, with its runs."""

    status: str
    runs: tuple[Run, ...]

    @property
    def partitions(self) -> list[str]:
        """The partition of each run, sorted; one that ran twice is there twice."""
        return sorted(run.partition for run in self.runs)


def _run(found: dict[str, Any]) -> Run:
    tags = {tag["key"]: tag["value"] for tag in found["tags"]}
    return Run(found["runId"], found["status"], found["jobName"], tags, found["startTime"] or 0, found["endTime"] or 0)


@contextmanager
def dagster_ui(home: Home) -> Iterator[DagsterUi]:
    """Serve a home as ``make ui`` does: webserver, daemon and code location, on a port of their own."""
    url = f"http://127.0.0.1:{(port := free_port())}"
    command = [sys.executable, "-m", "dagster", "dev", "--workspace", str(ROOT / "workspace.yaml")]
    instance = Path(home.environment["DAGSTER_HOME"])
    instance.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(ROOT / "dagster.yaml", instance / "dagster.yaml")
    with (
        tempfile.TemporaryDirectory(prefix="dagster-ui-") as own,
        serving(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            url,
            "/server_info",
            Path(own, "log"),
            cwd=ROOT,
            env=home.environment,
            deadline_s=START_DEADLINE_S,
        ) as server,
    ):
        ui = DagsterUi(server.url, server.pid, server.log)
        _await_daemons(ui)
        yield ui


def _await_daemons(ui: DagsterUi) -> None:
    """Wait for every daemon's first heartbeat; a code location that does not load ends the waiting."""
    deadline = time.monotonic() + START_DEADLINE_S
    query = """{
        instance { daemonHealth { allDaemonStatuses { required healthy } } }
        workspace: workspaceOrError { ... on Workspace { locationEntries { locationOrLoadError {
            __typename ... on PythonError { message } } } } } }"""
    while True:
        found = ui.ask(query)
        for location in found["workspace"]["locationEntries"]:
            if location["locationOrLoadError"] and "message" in location["locationOrLoadError"]:
                raise ServerError(location["locationOrLoadError"]["message"])
        daemons = [one for one in found["instance"]["daemonHealth"]["allDaemonStatuses"] if one["required"]]
        if daemons and all(one["healthy"] for one in daemons):
            return
        if time.monotonic() > deadline:
            raise ServerError(f"the daemon is not healthy: {daemons}; it wrote:\n{ui.written[-4000:]}")
        time.sleep(1)


@dataclass(frozen=True)
class Operator:
    """A person at the UI, and what the browser noticed meanwhile."""

    page: Page
    base: str
    errors: list[str] = field(default_factory=list)
    """Errors on the console and exceptions of the page; the UI's own library warns on every page."""
    foreign: list[str] = field(default_factory=list)
    """Requests to any host but this one."""

    def open(self, path: str) -> None:
        """Go to a page."""
        self.page.goto(f"{self.base}{path}")

    def sees(self, text: str, *, within: Locator | None = None) -> None:
        """Wait until a text is to be seen."""
        (within or self.page).get_by_text(text, exact=True).first.wait_for()

    def picture(self, path: Path) -> None:
        """Save what is to be seen, when it no longer moves."""
        self.page.mouse.move(0, 0)
        self.page.wait_for_timeout(1500)
        self.page.screenshot(path=path, animations="disabled")

    def open_lineage(self, *groups: str) -> None:
        """Open the graph of all assets with these groups expanded."""
        expanded = ",".join(f"global@global:{group}" for group in groups)
        self.open(f"/asset-groups?expanded={quote(expanded, safe='')}")

    def assets_in_sight(self, n: int) -> set[str]:
        """Return the names on the graph, as soon as there are so many."""
        names = self.page.locator("[class*=AssetNode_assetName]")
        names.nth(n - 1).wait_for()
        return set(names.all_inner_texts())

    def open_partition(self, asset: str, partition: str) -> None:
        """Open what is known of one partition of an asset."""
        self.open(f"/assets/{asset}?view=partitions&partition={quote(partition, safe='')}")
        self.sees("Metadata")

    def open_gate(self, asset: str, gate: str, *, release: str, day: str = "") -> None:
        """Open what a gate said of a release, or of one day of it."""
        self.open(f"/assets/{asset}?view=checks&checkDetail={gate}")
        self.sees("Latest execution")
        self.page.get_by_text("Partitions", exact=True).last.click()
        lists = self.page.get_by_placeholder("Filter by").first
        for key in filter(None, (day, release)):
            lists.locator(f"xpath=following::*[text()='{key}']").first.click()
        self.sees(f"{day}|{release}" if day else release)
        self.sees("Metadata")

    def open_history_of(self, asset: str, gate: str) -> Locator:
        """Open every evaluation of a gate, newest first, and return the rows."""
        self.open(f"/assets/{asset}?view=checks&checkDetail={gate}")
        self.page.get_by_text("Execution history", exact=True).last.click()
        self.sees("Target materialization")
        return self.page.locator("tr").filter(has_text="|")

    def choose(self, job: str, *dimensions: Sequence[str]) -> Locator:
        """Open the launch dialog of a job, choose partitions in each dimension and return the dialog."""
        return self._choose(f"/locations/{LOCATION}/jobs/{job}/partitions", dimensions)

    def choose_of_asset(self, asset: str, *dimensions: Sequence[str]) -> Locator:
        """Do the same on the page of an asset, without a job."""
        return self._choose(f"/assets/{asset}?view=partitions", dimensions)

    def _choose(self, path: str, dimensions: Sequence[Sequence[str]]) -> Locator:
        dialog = self._launch_dialog(path)
        for keys in dimensions:
            dialog.get_by_text("Select a partition or create one").first.click()
            for key in keys:
                self.page.get_by_role("menuitem").filter(has=self.page.get_by_title(key, exact=True)).click()
            self.page.keyboard.press("Escape")
        return dialog

    def _launch_dialog(self, path: str) -> Locator:
        self.open(path)
        self.page.get_by_role("button").filter(has_text="Materialize").first.click()
        return self.page.get_by_role("dialog").filter(has_text="Launch runs")

    def add_partition(self, job: str, key: str) -> None:
        """Add a partition in the launch dialog, as anybody can who sees it."""
        self._launch_dialog(f"/locations/{LOCATION}/jobs/{job}/partitions").get_by_text("Add a partition").click()
        self.page.get_by_placeholder("name", exact=True).fill(key)
        self.page.get_by_role("button").filter(has_text="Save").click()
        self.page.get_by_text("Partition name", exact=True).wait_for(state="hidden")

    def configure(self, dialog: Locator, config: str) -> None:
        """Give the runs of a launch dialog their configuration, in YAML."""
        dialog.get_by_text("Config", exact=True).click()
        dialog.get_by_role("button").filter(has_text="Add config").click()
        self._write(config)
        self.page.get_by_role("button").filter(has_text="Save config").last.click()

    def launch(self, dialog: Locator) -> str:
        """Launch the one run of a dialog and return its identifier."""
        return self.launch_by(dialog.get_by_role("button").filter(has_text="Launch 1 run"))

    def launch_from_launchpad(self, job: str, config: str) -> str:
        """Write the configuration of a job into its launchpad, launch it and return the run."""
        self.open(f"/locations/{LOCATION}/jobs/{job}/playground")
        self._write(config)
        self.sees("No errors")
        return self.launch_by(self.page.get_by_role("button").filter(has_text="Launch Run").last)

    def launch_again_from_failure(self, run_id: str) -> str:
        """Re-execute a failed run from the step that failed, and return the new run."""
        self.open(f"/runs/{run_id}")
        button = self.page.get_by_role("button").filter(has_text="Re-execute all")
        button.locator("xpath=following::button[1]").click()
        return self.launch_by(self.page.get_by_role("menuitem").filter(has_text="From failure"))

    def backfill(self, dialog: Locator) -> str:
        """Launch the backfill of a dialog, follow the link of its notice and return its identifier."""
        dialog.get_by_role("button").filter(has_text="Launch backfill").click()
        self.page.get_by_text("View", exact=True).last.click()
        self.page.wait_for_url("**/runs/b/**")
        return urlsplit(self.page.url).path.split("/")[3]

    def switch_of(self, name: str) -> Locator:
        """Return the switch of a sensor or schedule on the page *Automation*."""
        row = self.page.get_by_text(name, exact=True).locator(
            "xpath=ancestor::*[count(.//input[@type='checkbox'])=2][1]"  # one to select it, one to switch it
        )
        return row.locator("input[type=checkbox]").last

    def switched_on(self, names: Sequence[str]) -> list[str]:
        """Open *Automation* and return which of these sensors and schedules are switched on."""
        self.open("/automation")
        for name in names:
            self.sees(name)
        self.page.wait_for_load_state("networkidle")  # the switches are set after the rows are drawn
        return [name for name in names if self.switch_of(name).is_checked()]

    def _write(self, text: str) -> None:
        self.page.locator(".CodeMirror").last.click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(text)

    def launch_by(self, button: Locator) -> str:
        """Click what launches a run and return its identifier."""
        with self.page.expect_response(lambda reply: "op=Launch" in reply.url) as reply:
            button.click()
        (answer,) = reply.value.json()["data"].values()
        launched = answer["launchMultipleRunsResult"][0] if "launchMultipleRunsResult" in answer else answer
        return launched["run"]["id"]


@contextmanager
def browser(ui: DagsterUi, *, width: int = 1600, height: int = 1000) -> Iterator[Operator]:
    """Open a browser with one page for the UI."""
    require_module("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=require("chromium"), args=FLAGS)
        try:
            page = chromium.new_page(viewport={"width": width, "height": height}, timezone_id="UTC", locale="en-GB")
            page.set_default_timeout(PAGE_DEADLINE_S * 1000)
            operator = Operator(page, ui.url)
            page.on("console", lambda said: operator.errors.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: operator.errors.append(str(error)))
            page.on("request", lambda request: _note(request.url, operator.foreign))
            page.on("websocket", lambda socket: _note(socket.url, operator.foreign))
            yield operator
        finally:
            chromium.close()


def _note(url: str, foreign: list[str]) -> None:
    if (host := urlsplit(url).hostname) and host not in LOOPBACK:
        foreign.append(url)
