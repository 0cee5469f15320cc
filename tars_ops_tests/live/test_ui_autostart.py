"""Where sensors start by themselves, is a release judged to its last verdict without a click, and does the UI show it?

Real webserver, daemon and browser, with ``TARS_OPS_AUTOSTART=1``; the watch is of two days, to be over soon.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tars_ops.adapters.catalogue import BUNDLE, as_of_key
from tars_ops.adapters.settings import load_settings
from tars_ops.definitions import build
from tars_ops_tests.live.command import Home
from tars_ops_tests.live.servers import require, require_module
from tars_ops_tests.live.ui import LOCATION, REPOSITORY, DagsterUi, Operator, browser, dagster_ui

pytestmark = pytest.mark.live
RELEASE, N_DAYS, NO_RELEASE = "tars@1.0.1", 2, "not-a-release"
HERE = {"repositoryName": REPOSITORY, "repositoryLocationName": LOCATION}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """An empty home whose source is the recorded demo week."""
    require("chromium")
    require_module("playwright")
    root = tmp_path_factory.mktemp("autostart")
    own = {"TARS_OPS_OUTBOX": str(root / "outbox.sqlite"), "TARS_OPS_RELEASES": str(root / "releases")}
    return Home(root, "recording:demo", extra={**own, "TARS_OPS_AUTOSTART": "1", "TARS_OPS_WATCH_DAYS": str(N_DAYS)})


@pytest.fixture(scope="module")
def ui(home: Home) -> Iterator[DagsterUi]:
    with dagster_ui(home) as served:
        yield served


@pytest.fixture(scope="module")
def operator(ui: DagsterUi) -> Iterator[Operator]:
    with browser(ui) as person:
        yield person


@pytest.fixture(scope="module")
def judged(home: Home, ui: DagsterUi) -> DagsterUi:
    """The UI after the last verdict, its alerts and its entry in the history; a strange partition was in the way."""
    mutation = """mutation ($repository: RepositorySelector!, $key: String!) { addDynamicPartition(
        repositorySelector: $repository, partitionsDefName: "releases", partitionKey: $key) { __typename } }"""
    ui.ask(mutation, repository=HERE, key=NO_RELEASE)  # what the dialog *Add a partition* sends
    ui.until(lambda: home.store.pointer(BUNDLE.key(RELEASE, as_of_key(N_DAYS))) is not None)
    for asset, said in (("alerts", "alerts stand"), ("releases", "now at risk")):
        ui.until(lambda asset=asset, said=said: any(said in one["description"] for one in observed(ui, asset)))
    return ui


def observed(ui: DagsterUi, asset: str) -> list[dict[str, Any]]:
    """Return the observations of an asset, newest first."""
    query = """query ($key: AssetKeyInput!) { found: assetOrError(assetKey: $key) { ... on Asset {
        assetObservations(limit: 50) { partition description } } } }"""
    return ui.ask(query, key={"path": [asset]})["found"].get("assetObservations", [])


def test_everything_that_runs_by_itself_is_switched_on(operator: Operator) -> None:
    known = build(load_settings())
    names = [one.name for one in (*(known.sensors or ()), *(known.schedules or ()))]

    assert len(names) >= 8
    assert operator.switched_on(names) == names


def test_a_release_is_judged_to_its_last_verdict_without_a_click(judged: DagsterUi) -> None:
    query = "{ found: runsOrError { ... on Runs { results { jobName status tags { key value } } } } }"
    runs = judged.ask(query)["found"]["results"]

    assert {run["status"] for run in runs} == {"SUCCESS"}
    assert {run["jobName"] for run in runs} == {"open_watch", "watch_day", "judge_release"}
    assert all("dagster/sensor_name" in {tag["key"] for tag in run["tags"]} for run in runs)


@pytest.mark.parametrize(
    ("asset", "shown"),
    [
        ("alerts", ("n_firing", "ObjectiveBroken", "search", "firing")),
        ("releases", ("at_risk", "verdict_watch_closer", "verdict as of day 2: watch closer")),
    ],
)
def test_what_a_sensor_did_is_seen_at_its_asset(
    judged: DagsterUi, operator: Operator, asset: str, shown: tuple[str, ...]
) -> None:
    assert {one["partition"] for one in observed(judged, asset)} == {RELEASE}
    operator.open(f"/assets/{asset}?view=events")

    for text in shown:
        operator.sees(text)


def test_no_tick_failed_for_a_partition_that_is_no_release(judged: DagsterUi) -> None:
    query = """query ($repository: RepositorySelector!) { found: sensorsOrError(repositorySelector: $repository) {
        ... on Sensors { results { name sensorState { ticks(limit: 100) { status } } } } } }"""
    sensors = judged.ask(query, repository=HERE)["found"]["results"]

    for sensor in sensors:
        assert {tick["status"] for tick in sensor["sensorState"]["ticks"]} <= {"SUCCESS", "SKIPPED", "STARTED"}, sensor
    assert all(sensor["sensorState"]["ticks"] for sensor in sensors)
    assert " - ERROR - " not in judged.written


def test_no_page_has_an_error_or_asks_another_host(judged: DagsterUi, operator: Operator) -> None:
    assert judged.written

    assert operator.errors == []
    assert operator.foreign == []
