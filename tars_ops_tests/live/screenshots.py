"""Take the pictures of the documentation from the real UI, after the demo.

A program: ``python -m tars_ops_tests.live.screenshots docs/images``.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tars_ops_tests.live.command import Home
from tars_ops_tests.live.ui import DagsterUi, Operator, browser, dagster_ui

RELEASE, BROKEN_DAY = "tars@1.0.1", "day_03"
GROUPS = ("telemetry", "watch", "verdict", "executive")
WIDTH, HEIGHT, HEIGHT_OF_THE_GRAPH = 1400, 900, 1000
MAX_BYTES = 250_000
LONGEST_BACKFILL_S = 180


def main(target: Path) -> None:
    """Write the pictures of the lineage, a partition, a gate, and a backfill before and after it ran."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="screenshots-") as scratch:
        home = Home(Path(scratch), "recording:demo")
        done = home.run("demo")
        if done.code:
            sys.exit(f"the demo ended with {done.code}: {done.err}")
        with dagster_ui(home) as ui, browser(ui, width=WIDTH, height=HEIGHT) as operator:
            _take(ui, operator, target)
    for picture in sorted(target.glob("*.png")):
        size = picture.stat().st_size
        print(f"{picture}: {size} bytes{' - TOO LARGE' if size > MAX_BYTES else ''}")


def _take(ui: DagsterUi, operator: Operator, target: Path) -> None:
    page = operator.page
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT_OF_THE_GRAPH})
    operator.open_lineage(*GROUPS)
    operator.assets_in_sight(13)
    page.get_by_text("Hide navigation", exact=True).click()
    page.get_by_label("panel_show_right").first.click()
    page.wait_for_timeout(1000)
    page.mouse.dblclick(WIDTH // 2, HEIGHT_OF_THE_GRAPH - 20)  # fits the graph to the room it has now
    page.wait_for_timeout(1000)
    page.mouse.move(WIDTH // 2, HEIGHT_OF_THE_GRAPH - 90)
    page.mouse.down()
    page.mouse.move(WIDTH // 2, HEIGHT_OF_THE_GRAPH - 30, steps=5)  # down from below the tool bar
    page.mouse.up()
    operator.picture(target / "lineage.png")
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})

    operator.open_partition("daily_stability", f"{BROKEN_DAY}|{RELEASE}")
    operator.picture(target / "partition.png")

    operator.open_gate("daily_stability", "availability_keeps_its_objective", day=BROKEN_DAY, release=RELEASE)
    operator.picture(target / "gate.png")

    operator.choose("watch_day", ["day_02", "day_03"], [RELEASE])
    operator.picture(target / "backfill.png")

    launched = operator.backfill("watch_day", ["day_02", "day_03"], [RELEASE])
    _await_success(ui, launched)
    page.reload()
    page.wait_for_timeout(5000)
    operator.picture(target / "backfill-done.png")


def _await_success(ui: DagsterUi, backfill: str) -> None:
    query = """query ($id: String!) { found: partitionBackfillOrError(backfillId: $id) {
        ... on PartitionBackfill { status } } }"""
    until = time.monotonic() + LONGEST_BACKFILL_S
    while (status := ui.ask(query, id=backfill)["found"]["status"]) != "COMPLETED_SUCCESS":
        if time.monotonic() > until:
            sys.exit(f"backfill {backfill} is {status} after {LONGEST_BACKFILL_S} s")
        time.sleep(2)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
