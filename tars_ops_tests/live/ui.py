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
from collections.abc import Iterator, Sequence
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

    @property
    def written(self) -> str:
        """What the servers wrote so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")


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

    def open_gate(self, asset: str, gate: str, *, day: str, release: str) -> None:
        """Open what a gate said of one day of a release."""
        self.open(f"/assets/{asset}?view=checks&checkDetail={gate}")
        self.sees("Latest execution")
        self.page.get_by_text("Partitions", exact=True).last.click()
        self.page.get_by_text(day, exact=True).first.click()
        self.page.get_by_text(release, exact=True).first.click()
        self.sees(f"{day}|{release}")
        self.sees("Metadata")

    def choose(self, job: str, *dimensions: Sequence[str]) -> Locator:
        """Open the launch dialog of a job, choose partitions in each dimension and return the dialog."""
        self.open(f"/locations/{LOCATION}/jobs/{job}/partitions")
        self.page.get_by_role("button").filter(has_text="Materialize").first.click()
        dialog = self.page.get_by_role("dialog").filter(has_text="Launch runs")
        for keys in dimensions:
            dialog.get_by_text("Select a partition or create one").first.click()
            for key in keys:
                self.page.get_by_role("menuitem").filter(has=self.page.get_by_title(key, exact=True)).click()
            self.page.keyboard.press("Escape")
        return dialog

    def backfill(self, job: str, *dimensions: Sequence[str]) -> str:
        """Launch a backfill, follow the link of its notice and return its identifier."""
        self.choose(job, *dimensions).get_by_role("button").filter(has_text="Launch backfill").click()
        self.page.get_by_text("View", exact=True).last.click()
        self.page.wait_for_url("**/runs/b/**")
        return urlsplit(self.page.url).path.split("/")[3]


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
