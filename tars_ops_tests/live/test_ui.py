"""Does an operator get from the UI what the command line promises: the lineage, the evidence, a backfill, a verdict?

Real webserver, daemon and browser. Everything is launched by clicks; GraphQL only tells what came of it. All of it in
one home, so the order matters: a day fails, the week is judged, the policy changes, a verdict follows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tars_ops.adapters.catalogue import BY_ASSET, OF_A_DAY, OF_A_VERDICT, Kind, as_of_key, days_with
from tars_ops.adapters.history import History
from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.recording import RecordingSource, record
from tars_ops.adapters.settings import load_settings
from tars_ops.adapters.sources import DEMO
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry
from tars_ops.definitions import build
from tars_ops_tests.live.command import POLICIES, Home
from tars_ops_tests.live.servers import require, require_module
from tars_ops_tests.live.ui import Backfill, DagsterUi, Operator, Run, browser, dagster_ui

pytestmark = pytest.mark.live
WEEK, TWIN, GA = "tars@1.0.1", "tars@1.0.2", "2025-11-18T00:00:00Z"
GATE = "availability_keeps_its_objective"
DAYS = [f"day_{day:02d}" for day in range(1, 8)]
GROUPS = {
    "telemetry": {"releases", "ga_telemetry", "staging_telemetry", "daily_telemetry"},
    "watch": {
        *("ga_baseline", "reference_baselines", "daily_stability", "anomaly_events", "daily_health"),
        *("running_telemetry", "running_day", "alerts"),
    },
    "verdict": {"regression_analysis", "release_certification"},
    "executive": {"retrospective", "executive_narrative", "provenance", "compliance_index", "executive_bundle"},
}
NO_RELEASE = "not-a-release"


class _Twin(RecordingSource):
    """The demo week, whoever asks for it."""

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        del release
        return super().fetch(self.release, policy, day=day)


def _twin(path: Path) -> Path:
    """Record the first two days of the demo week as those of a release that was watched beside it."""
    source = _Twin(DEMO)
    release, text = source.release.model_copy(update={"version": TWIN.partition("@")[2]}), source.policy_text
    path.write_bytes(record(source, release, load_policy(text, name="tars.yaml"), text, days=range(3)))
    return path


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source of the UI, in a file that can be taken away."""
    return Path(shutil.copyfile(DEMO, tmp_path_factory.mktemp("source") / "week.zip"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, recording: Path) -> Home:
    """The first day of the demo week and two days of another release, watched by the command line."""
    require("chromium")
    require_module("playwright")
    root = tmp_path_factory.mktemp("ui")
    policies = Path(shutil.copytree(POLICIES, root / "policies"))
    home = Home(root, f"recording:{recording}", policies)
    beside = Home(root, f"recording:{_twin(root / 'twin.zip')}", policies)
    for at, command in (
        (home, ("release", "add", WEEK, "--ga", GA)),
        (home, ("watch", WEEK, "--day", "1")),
        (beside, ("release", "add", TWIN, "--ga", GA)),
        (beside, ("watch", TWIN, "--day", "1", "--day", "2")),
    ):
        done = at.run(*command)
        assert done.code in {0, 10}, done.err
    return home


@pytest.fixture(scope="module")
def ui(home: Home) -> Iterator[DagsterUi]:
    with dagster_ui(home) as served:
        yield served


@pytest.fixture(scope="module")
def operator(ui: DagsterUi) -> Iterator[Operator]:
    with browser(ui, width=2400, height=1500) as person:  # smaller, and the graph shortens names
        yield person


def materialised(ui: DagsterUi, asset: str, partitions: list[str]) -> dict[str, dict[str, Any]]:
    """Return the last materialisation of each partition that has one."""
    query = """query ($key: AssetKeyInput!, $partitions: [String!]!) { found: assetNodes(assetKeys: [$key]) {
        latestMaterializationByPartition(partitions: $partitions) {
            partition runId metadataEntries { label ... on IntMetadataEntry { intValue } } } } }"""
    (node,) = ui.ask(query, key={"path": [asset]}, partitions=partitions)["found"]
    return {one["partition"]: one for one in node["latestMaterializationByPartition"] if one}


def one_at_a_time(runs: list[Run]) -> bool:
    """Tell whether each run began after the one before it had ended."""
    return all(before.end_s <= after.start_s for before, after in pairwise(sorted(runs, key=lambda run: run.start_s)))


# -- what is to be seen -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_of_the_lineage_opens_on_its_assets(operator: Operator, group: str) -> None:
    operator.open_lineage(group)

    assert operator.assets_in_sight(len(GROUPS[group])) == GROUPS[group]


def test_the_lineage_shows_every_asset(operator: Operator) -> None:
    operator.open_lineage(*GROUPS)

    n_made_by_runs = sum(map(len, GROUPS.values())) - len({"releases", "alerts"})
    operator.page.get_by_text(f"Materialize all ({n_made_by_runs})").first.wait_for()
    for group in GROUPS:
        operator.sees(group)


def test_a_partition_shows_its_verdict_its_kpis_and_its_digest(home: Home, operator: Operator) -> None:
    pointer = home.store.pointer(BY_ASSET["daily_stability"].key(WEEK, "day_01"))

    operator.open_partition("daily_stability", f"day_01|{WEEK}")

    assert pointer is not None
    for text in ("verdict", "pass", "kpis", "p99_latency", "gateway", "sha256", pointer.sha256):
        operator.sees(text)


@pytest.mark.parametrize(
    ("asset", "gate", "day", "shown"),
    [
        ("daily_stability", GATE, "day_01", ("objective_ratio", "n_bad", "gateway")),
        ("daily_health", "health_stays_above_its_floor", "day_01", ("score",)),
        ("regression_analysis", "no_regression_is_critical", "", ("pass",)),
        ("executive_bundle", "bundle_verifies", "", ("both archives match their manifest", "n_differences")),
    ],
)
def test_a_gate_shows_what_it_said(operator: Operator, asset: str, gate: str, day: str, shown: tuple[str, ...]) -> None:
    operator.open_gate(asset, gate, day=day, release=WEEK)

    for text in ("Passed", "findings", "figures", "evidence_sha256", *shown):
        operator.sees(text)


def test_a_gate_that_cannot_be_judged_yet_says_so(operator: Operator) -> None:
    operator.open_gate("release_certification", "release_can_be_closed_as_stable", release=WEEK)

    for text in ("Passed", "not_applicable"):
        operator.sees(text)


def test_nothing_runs_by_itself_where_nobody_switched_it_on(operator: Operator) -> None:
    known = build(load_settings())
    names = [one.name for one in (*(known.sensors or ()), *(known.schedules or ()))]

    assert len(names) >= 8
    assert operator.switched_on(names) == []


# -- a day that fails -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def failed(ui: DagsterUi, operator: Operator, recording: Path) -> Run:
    """Day 2, launched while the source was away."""
    away = recording.rename(recording.with_suffix(".away"))
    try:
        return ui.run(operator.launch(operator.choose("watch_day", ["day_02"], [WEEK])))
    finally:
        away.rename(recording)


def test_a_failed_day_says_what_is_wrong_and_who_acts(failed: Run, operator: Operator) -> None:
    operator.open(f"/runs/{failed.run_id}")
    operator.page.get_by_text("View full message", exact=True).first.click()

    assert failed.status == "FAILURE"
    for text in ("MissingInputError", "who acts", "the operator: materialise or register what the message names"):
        operator.sees(text)
    operator.page.get_by_text("there is no recording week.zip").first.wait_for()


def test_a_failed_day_is_judged_when_it_is_launched_again(
    home: Home, failed: Run, ui: DagsterUi, operator: Operator
) -> None:
    before = days_with(home.store, WEEK, BY_ASSET["daily_health"], up_to=7)

    again = ui.run(operator.launch_again_from_failure(failed.run_id))

    assert (again.status, again.partition, again.tags["tars_ops/release"]) == ("SUCCESS", f"day_02|{WEEK}", WEEK)
    assert before == [1]
    assert days_with(home.store, WEEK, BY_ASSET["daily_health"], up_to=7) == [1, 2]


# -- a week -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def week(failed: Run, ui: DagsterUi, operator: Operator) -> Backfill:
    """All days, launched from the page of the job."""
    assert failed.status == "FAILURE"
    return ui.backfill(operator.backfill(operator.choose("watch_day", DAYS, [WEEK])))


def test_a_backfill_makes_one_run_of_each_day_and_all_succeed(week: Backfill) -> None:
    assert week.status == "COMPLETED_SUCCESS"
    assert {run.status for run in week.runs} == {"SUCCESS"}
    assert week.partitions == [f"{day}|{WEEK}" for day in DAYS]


def test_the_days_of_one_release_run_one_at_a_time(week: Backfill) -> None:
    assert {run.tags.get("tars_ops/release") for run in week.runs} == {WEEK}
    assert one_at_a_time(list(week.runs))


@pytest.mark.parametrize("kind", OF_A_DAY, ids=lambda kind: kind.asset)
def test_a_backfill_makes_every_day(home: Home, ui: DagsterUi, week: Backfill, kind: Kind) -> None:
    found = materialised(ui, kind.asset, week.partitions)

    assert {key: one["runId"] for key, one in found.items()} == {run.partition: run.run_id for run in week.runs}
    assert days_with(home.store, WEEK, kind, up_to=7) == [1, 2, 3, 4, 5, 6, 7]


def test_the_gate_fails_on_the_day_that_broke_the_objective(week: Backfill, operator: Operator) -> None:
    assert week.status == "COMPLETED_SUCCESS"
    operator.open_gate("daily_stability", GATE, day="day_03", release=WEEK)

    for text in ("Failed", "findings", "figures", "objective_ratio", "burn_rate"):
        operator.sees(text)
    operator.page.get_by_text("reports: 98.988 %").first.wait_for()


def test_the_history_of_a_gate_holds_every_judgement_of_a_day(week: Backfill, operator: Operator) -> None:
    """Day 1 was judged twice: by the command line, and by the backfill."""
    assert week.status == "COMPLETED_SUCCESS"
    rows = operator.open_history_of("daily_stability", GATE)

    assert rows.filter(has_text=f"day_01|{WEEK}").count() == 2


# -- two releases -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rectangle(week: Backfill, ui: DagsterUi, operator: Operator) -> Backfill:
    """Two days of two releases, launched from the page of an asset: without a job, and so without its tags."""
    assert week.status == "COMPLETED_SUCCESS"
    chosen = operator.choose_of_asset("daily_stability", DAYS[:2], [WEEK, TWIN])
    return ui.backfill(operator.backfill(chosen))


def test_days_of_two_releases_are_one_run_each(rectangle: Backfill) -> None:
    assert rectangle.status == "COMPLETED_SUCCESS"
    assert {(run.job, run.status) for run in rectangle.runs} == {("__ASSET_JOB", "SUCCESS")}
    assert rectangle.partitions == sorted(f"{day}|{release}" for day in DAYS[:2] for release in (WEEK, TWIN))


@pytest.mark.parametrize("release", [WEEK, TWIN])
def test_a_backfill_without_a_job_runs_one_day_of_a_release_at_a_time(rectangle: Backfill, release: str) -> None:
    runs = [run for run in rectangle.runs if run.tags["dagster/partition/release"] == release]

    assert len(runs) == 2
    assert one_at_a_time(runs)


# -- what is judged by another policy ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def judged_again(home: Home, rectangle: Backfill, ui: DagsterUi, operator: Operator) -> Backfill:
    """Day 3 by a promise that it kept, pinned and launched as the how-to says."""
    assert rectangle.status == "COMPLETED_SUCCESS"
    file = home.policies / "tars.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("objective: 0.999\n", "objective: 0.95\n", 1), "utf-8")
    config = f"{{ops: {{pin_the_policy: {{config: {{release: {WEEK}, by: ann, why: the contract says 95 %}}}}}}}}"
    pinned = ui.run(operator.launch_from_launchpad("change_policy", config))
    frozen = ui.run(operator.launch(operator.choose("freeze_again", [WEEK])))
    assert (pinned.status, frozen.status) == ("SUCCESS", "SUCCESS")
    return ui.backfill(operator.backfill(operator.choose("judge_again", ["day_03", "day_04"], [WEEK])))


def test_a_day_passes_by_a_promise_that_it_kept(judged_again: Backfill, operator: Operator) -> None:
    assert judged_again.status == "COMPLETED_SUCCESS"
    operator.open_gate("daily_stability", GATE, day="day_03", release=WEEK)

    operator.sees("Passed")


def test_the_history_of_the_gate_shows_both_judgements(judged_again: Backfill, operator: Operator) -> None:
    assert judged_again.status == "COMPLETED_SUCCESS"
    rows = operator.open_history_of("daily_stability", GATE).filter(has_text=f"day_03|{WEEK}")

    assert ["Failed" in row for row in rows.all_inner_texts()] == [False, True]


def test_a_verdict_launched_by_click_is_given_as_of_the_last_day(
    home: Home, ui: DagsterUi, judged_again: Backfill, operator: Operator
) -> None:
    assert judged_again.status == "COMPLETED_SUCCESS"
    launched = operator.launch(operator.choose("judge_release", [WEEK]))
    beside = operator.launch(operator.choose_of_asset("release_certification", [WEEK]))
    run, other = ui.run(launched), ui.run(beside)
    told = materialised(ui, "retrospective", [WEEK])[WEEK]

    assert one_at_a_time([run, other])  # also without a job, and so without its tags
    assert (run.status, run.job, told["runId"]) == ("SUCCESS", "judge_release", run.run_id)
    assert {entry["label"]: entry.get("intValue") for entry in told["metadataEntries"]}["as_of"] == 7
    assert all(home.store.pointer(kind.key(WEEK, as_of_key(7))) for kind in OF_A_VERDICT)
    assert home.regression(WEEK, 7).policy_sha256 == home.stability(WEEK, 3).policy_sha256


def test_the_history_of_the_release_says_who_changed_its_policy(home: Home, judged_again: Backfill) -> None:
    assert judged_again.status == "COMPLETED_SUCCESS"
    shown = home.run("release", "show", WEEK).out

    for text in ("policy_changed", "ann", "the contract says 95 %"):
        assert text in shown


def test_a_running_day_that_is_launched_with_an_instant_has_its_gates(ui: DagsterUi, operator: Operator) -> None:
    chosen = operator.choose("judge_running_day", [WEEK])
    operator.configure(chosen, "{ops: {running_telemetry: {config: {until: '2025-11-21T13:00:00Z'}}}}")
    run = ui.run(operator.launch(chosen))
    operator.open_gate("running_day", "every_objective_holds_so_far", release=WEEK)

    assert run.status == "SUCCESS"
    for text in ("findings", "figures", "evidence_sha256"):
        operator.sees(text)


# -- what the UI offers and cannot be done ----------------------------------------------------------------------------


def _error(ui: DagsterUi, run: Run) -> str:
    """Return what the step of a failed run said."""
    query = """query ($id: ID!) { found: runOrError(runId: $id) { ... on Run { eventConnection { events {
        ... on ExecutionStepFailureEvent { failureMetadata { description } } } } } } }"""
    events = ui.ask(query, id=run.run_id)["found"]["eventConnection"]["events"]
    told = {one["failureMetadata"]["description"] for one in events if one.get("failureMetadata")}
    assert len(told) == 1
    return told.pop()


@pytest.fixture(scope="module")
def strange(judged_again: Backfill, ui: DagsterUi, operator: Operator) -> Backfill:
    """A partition that somebody added in the dialog, in a backfill with a release that there is."""
    assert judged_again.status == "COMPLETED_SUCCESS"
    operator.add_partition("judge_again", NO_RELEASE)
    return ui.backfill(operator.backfill(operator.choose("judge_again", ["day_01"], [WEEK, NO_RELEASE])))


def test_a_partition_that_is_no_release_fails_alone_and_says_why(strange: Backfill, ui: DagsterUi) -> None:
    outcome = {run.partition: run.status for run in strange.runs}
    (refused,) = [run for run in strange.runs if run.status == "FAILURE"]

    assert outcome == {f"day_01|{WEEK}": "SUCCESS", f"day_01|{NO_RELEASE}": "FAILURE"}
    assert f"release '{NO_RELEASE}' is not `product@version`" in _error(ui, refused)


def test_gates_that_are_executed_without_a_partition_say_what_to_do(ui: DagsterUi, operator: Operator) -> None:
    """Dagster does not ask for a partition where checks are executed without their asset (1.13.27)."""
    operator.open(f"/assets/daily_stability?view=checks&checkDetail={GATE}")
    button = operator.page.get_by_role("button").filter(has_text="Execute all")
    run = ui.run(operator.launch_by(button))

    assert run.status == "FAILURE"
    assert "materialise the asset's partition again" in _error(ui, run)


# -- what must not happen ---------------------------------------------------------------------------------------------


def test_a_sensor_that_is_switched_on_by_click_survives_a_partition_that_is_no_release(
    home: Home, strange: Backfill, ui: DagsterUi, operator: Operator
) -> None:
    """The one of the lifecycle has something to say: the baseline was frozen again."""
    assert strange.runs
    operator.open("/automation")
    operator.sees("lifecycle_follows_the_evidence")
    operator.switch_of("lifecycle_follows_the_evidence").locator("xpath=..").click()

    ui.until(lambda: "baseline_refrozen" in [one.code for one in History(home.store).entries(WEEK)])


def test_no_page_has_an_error_or_asks_another_host(operator: Operator) -> None:
    for page in ("/overview", "/runs", "/jobs", "/assets", "/automation", "/deployment/locations"):
        operator.open(page)
        operator.page.wait_for_load_state("networkidle")

    assert operator.errors == []
    assert operator.foreign == []


def test_the_daemon_reports_no_error_but_those_that_were_provoked(
    week: Backfill, failed: Run, strange: Backfill, ui: DagsterUi
) -> None:
    provoked = {run.run_id for run in (failed, *strange.runs)}
    said = [line for line in ui.written.splitlines() if " ERROR" in line or " - ERROR - " in line]

    assert week.status == "COMPLETED_SUCCESS"
    assert [line for line in said if not any(run in line for run in provoked) and "__ASSET_JOB" not in line] == []
