"""Does an operator get from the UI what the command line promises: the lineage, the evidence, a backfill, a verdict?

Real webserver, daemon and browser. Everything is launched by clicks; GraphQL only tells what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tars_ops.adapters.catalogue import BY_ASSET, OF_A_DAY, OF_A_VERDICT, as_of_key, days_with
from tars_ops_tests.live.command import Home
from tars_ops_tests.live.servers import require, require_module
from tars_ops_tests.live.ui import DagsterUi, Operator, browser, dagster_ui

pytestmark = pytest.mark.live
WEEK, GA = "tars@1.0.1", "2025-11-18T00:00:00Z"
GATE = "availability_keeps_its_objective"
GROUPS = {
    "telemetry": {"releases", "ga_telemetry", "daily_telemetry"},
    "watch": {"ga_baseline", "daily_stability", "anomaly_events", "daily_health"},
    "verdict": {"regression_analysis"},
    "executive": {"retrospective", "executive_narrative", "provenance", "compliance_index", "executive_bundle"},
}
RUN_DEADLINE_S = 240.0
UNDER_WAY = {"REQUESTED", "QUEUED", "NOT_STARTED", "STARTING", "STARTED", "CANCELING"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """The first day of the demo week, watched by the command line."""
    require("chromium")
    require_module("playwright")
    home = Home(tmp_path_factory.mktemp("ui"), "recording:demo")
    for command in (("release", "add", WEEK, "--ga", GA), ("watch", WEEK, "--day", "1")):
        done = home.run(*command)
        assert done.code == 0, done.err
    return home


@pytest.fixture(scope="module")
def ui(home: Home) -> Iterator[DagsterUi]:
    with dagster_ui(home) as served:
        yield served


@pytest.fixture(scope="module")
def operator(ui: DagsterUi) -> Iterator[Operator]:
    with browser(ui, width=2400, height=1500) as person:  # smaller, and the graph shortens names
        yield person


def settled(ui: DagsterUi, query: str, **variables: object) -> dict[str, Any]:
    """Ask for the status of a run or a backfill until it is over."""
    deadline = time.monotonic() + RUN_DEADLINE_S
    while True:
        found = ui.ask(query, **variables)["found"]
        if found["status"] not in UNDER_WAY:
            return found
        assert time.monotonic() < deadline, f"{found}\n{ui.written[-3000:]}"
        time.sleep(1)


def materialised(ui: DagsterUi, asset: str, partitions: list[str]) -> dict[str, dict[str, Any]]:
    """Return the last materialisation of each partition that has one."""
    query = """query ($key: AssetKeyInput!, $partitions: [String!]!) { found: assetNodes(assetKeys: [$key]) {
        latestMaterializationByPartition(partitions: $partitions) {
            partition runId metadataEntries { label ... on IntMetadataEntry { intValue } } } } }"""
    (node,) = ui.ask(query, key={"path": [asset]}, partitions=partitions)["found"]
    return {one["partition"]: one for one in node["latestMaterializationByPartition"] if one}


# -- what is to be seen -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_the_lineage_opens_on_its_assets(operator: Operator, group: str) -> None:
    operator.open_lineage(group)

    assert operator.assets_in_sight(len(GROUPS[group])) == GROUPS[group]


def test_the_lineage_shows_every_asset(operator: Operator) -> None:
    operator.open_lineage(*GROUPS)

    assert len(operator.assets_in_sight(13)) == 13
    for group in GROUPS:
        operator.sees(group)


def test_a_partition_shows_its_verdict_its_kpis_and_its_digest(home: Home, operator: Operator) -> None:
    pointer = home.store.pointer(BY_ASSET["daily_stability"].key(WEEK, "day_01"))

    operator.open_partition("daily_stability", f"day_01|{WEEK}")

    assert pointer is not None
    for text in ("verdict", "pass", "kpis", "p99_latency", "gateway", "sha256", pointer.sha256):
        operator.sees(text)


def test_a_gate_shows_what_it_said_of_a_day(operator: Operator) -> None:
    operator.open_gate("daily_stability", GATE, day="day_01", release=WEEK)

    operator.sees("Passed")
    for text in ("objective", "services", "gateway"):
        operator.sees(text)


# -- what is to be launched -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def backfill(ui: DagsterUi, operator: Operator) -> dict[str, Any]:
    """Days 2 and 3, launched from the page of the job."""
    launched = operator.backfill("watch_day", ["day_02", "day_03"], [WEEK])
    query = """query ($id: String!) { found: partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
        id status partitionNames runs(limit: 50) { runId status tags { key value } } } } }"""
    found = settled(ui, query, id=launched)
    runs = [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found["runs"]]
    return {**found, "runs": runs}


def test_a_backfill_makes_one_run_of_each_day_and_all_succeed(backfill: dict[str, Any]) -> None:
    ran = sorted(run["tags"]["dagster/partition"] for run in backfill["runs"])

    assert backfill["status"] == "COMPLETED_SUCCESS"
    assert [run["status"] for run in backfill["runs"]] == ["SUCCESS", "SUCCESS"]
    assert ran == [f"day_02|{WEEK}", f"day_03|{WEEK}"]


def test_every_run_of_a_backfill_says_whose_release_it_is(backfill: dict[str, Any]) -> None:
    """The queue lets one run per release through at a time, and goes by this tag."""
    assert [run["tags"].get("tars_ops/release") for run in backfill["runs"]] == [WEEK, WEEK]


@pytest.mark.parametrize("kind", OF_A_DAY, ids=lambda kind: kind.asset)
def test_a_backfill_makes_the_chosen_days_and_no_other(
    home: Home, ui: DagsterUi, backfill: dict[str, Any], kind: Any
) -> None:
    run_of = {run["tags"]["dagster/partition"]: run["runId"] for run in backfill["runs"]}

    found = materialised(ui, kind.asset, [f"day_{day:02d}|{WEEK}" for day in range(1, 8)])

    assert sorted(found) == [f"day_{day:02d}|{WEEK}" for day in (1, 2, 3)]
    assert {key: found[key]["runId"] for key in run_of} == run_of
    assert days_with(home.store, WEEK, kind, up_to=7) == [1, 2, 3]


def test_the_gate_fails_on_the_day_that_broke_the_objective(backfill: dict[str, Any], operator: Operator) -> None:
    assert backfill["status"] == "COMPLETED_SUCCESS"
    operator.open_gate("daily_stability", GATE, day="day_03", release=WEEK)

    operator.sees("Failed")
    operator.page.get_by_text("reports: 98.988 %").first.wait_for()


def test_a_verdict_launched_by_click_is_given_as_of_the_last_day(
    home: Home, ui: DagsterUi, backfill: dict[str, Any], operator: Operator
) -> None:
    assert backfill["status"] == "COMPLETED_SUCCESS"
    dialog = operator.choose("judge_release", [WEEK])
    with operator.page.expect_response(lambda reply: "LaunchPipelineExecution" in reply.url) as reply:
        dialog.get_by_role("button").filter(has_text="Launch 1 run").click()
    launched = reply.value.json()["data"]["launchPipelineExecution"]["run"]["id"]

    query = "query ($id: ID!) { found: runOrError(runId: $id) { ... on Run { id status jobName } } }"
    run = settled(ui, query, id=launched)
    told = materialised(ui, "retrospective", [WEEK])[WEEK]

    assert (run["status"], run["jobName"]) == ("SUCCESS", "judge_release")
    assert told["runId"] == launched
    assert {entry["label"]: entry.get("intValue") for entry in told["metadataEntries"]}["as_of"] == 3
    assert all(home.store.pointer(kind.key(WEEK, as_of_key(3))) for kind in OF_A_VERDICT)
    assert home.regression(WEEK, 3).as_of == 3


# -- what must not happen ---------------------------------------------------------------------------------------------


def test_no_page_has_an_error_or_asks_another_host(operator: Operator) -> None:
    for page in ("/overview", "/runs", "/jobs", "/assets", "/automation", "/deployment/locations"):
        operator.open(page)
        operator.page.wait_for_load_state("networkidle")

    assert operator.errors == []
    assert operator.foreign == []


def test_the_daemon_reports_no_error(backfill: dict[str, Any], ui: DagsterUi) -> None:
    assert backfill["status"] == "COMPLETED_SUCCESS"
    assert [line for line in ui.written.splitlines() if " ERROR" in line or "Traceback" in line] == []
