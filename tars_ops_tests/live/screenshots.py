"""Take the pictures of the documentation from the real UI, after the demo.

A program: ``python -m tars_ops_tests.live.screenshots docs/images``.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from tars_ops_tests.live.command import Home
from tars_ops_tests.live.ui import DagsterUi, Operator, browser, dagster_ui

if TYPE_CHECKING:
    from playwright.sync_api import ViewportSize

RELEASE, BROKEN_DAY = "tars@1.0.1", "day_03"
GROUPS = ("telemetry", "watch", "verdict", "executive")
GATE = "availability_keeps_its_objective"
WEEK = [f"day_{day:02d}" for day in range(1, 8)]
WIDTH, HEIGHT, HEIGHT_OF_THE_GRAPH, HEIGHT_OF_A_LIST = 1400, 900, 1750, 680
WIDE: ViewportSize = {"width": 2300, "height": 1250}
"""Room for two lists of partitions and the evidence beside them."""
MAX_BYTES = 250_000


def main(target: Path) -> None:
    """Write the pictures, first of a home that runs by itself, then of one that people launch."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        home = Home(Path(scratch), "recording:demo", extra={"TARS_OPS_OUTBOX": f"{scratch}/outbox.sqlite"})
        done = home.run("demo")
        if done.code:
            sys.exit(f"the demo ended with {done.code}: {done.err}")
        by_itself = replace(home, extra={**home.extra, "TARS_OPS_AUTOSTART": "1"})
        with dagster_ui(by_itself) as ui, browser(ui, width=WIDTH, height=HEIGHT) as operator:
            _take_automation(ui, operator, target)
        with dagster_ui(home) as ui, browser(ui, width=WIDTH, height=HEIGHT) as operator:
            _take_lineage(operator, target)
            _take_evidence(operator, target)
            _take_backfill(ui, operator, target)
    for picture in sorted(target.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture}: {size} bytes{' - TOO LARGE' if size > MAX_BYTES else ''}")


def _take_automation(ui: DagsterUi, operator: Operator, target: Path) -> None:
    operator.page.set_viewport_size({"width": WIDTH, "height": HEIGHT_OF_A_LIST})
    query = """{ found: assetOrError(assetKey: {path: ["alerts"]}) { ... on Asset {
        assetObservations(limit: 1) { description } } } }"""
    ui.until(lambda: bool(ui.ask(query)["found"].get("assetObservations")))
    operator.open("/automation")
    operator.sees("days_are_judged")
    operator.picture(target / "automation.png")

    operator.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    operator.open("/assets/alerts?view=events")
    operator.sees("n_firing")
    operator.page.get_by_text("Hide navigation", exact=True).click()
    operator.picture(target / "alerts.png")


def _take_lineage(operator: Operator, target: Path) -> None:
    page = operator.page
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT_OF_THE_GRAPH})
    operator.open_lineage(*GROUPS)
    operator.assets_in_sight(1)
    page.get_by_text("Hide navigation", exact=True).click()
    page.get_by_label("panel_show_right").first.click()
    page.wait_for_timeout(1000)
    page.mouse.dblclick(WIDTH - 200, HEIGHT // 2)  # where nothing is: fits the graph to the room it has now
    page.wait_for_timeout(1000)
    operator.picture(target / "lineage.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def _take_evidence(operator: Operator, target: Path) -> None:
    operator.open_partition("daily_stability", f"{BROKEN_DAY}|{RELEASE}")
    operator.picture(target / "partition.png")

    operator.page.set_viewport_size(WIDE)
    operator.open_gate("daily_stability", GATE, day=BROKEN_DAY, release=RELEASE)
    operator.picture(target / "gate.png")
    operator.page.set_viewport_size({"width": WIDTH, "height": HEIGHT})


def _take_backfill(ui: DagsterUi, operator: Operator, target: Path) -> None:
    operator.choose("watch_day", WEEK, [RELEASE])
    operator.picture(target / "backfill.png")

    launched = operator.backfill(operator.choose("watch_day", WEEK, [RELEASE]))
    if (done := ui.backfill(launched)).status != "COMPLETED_SUCCESS":
        sys.exit(f"backfill {launched} is {done.status}")
    operator.page.reload()
    operator.page.wait_for_timeout(5000)
    operator.picture(target / "backfill-done.png")

    operator.open_history_of("daily_stability", GATE)
    operator.picture(target / "gate-history.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
