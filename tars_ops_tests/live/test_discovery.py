"""Are the releases found that a real server saw, with their GA, and are their days requested when they are there?"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import dagster as dg
import pytest

from tars_ops.adapters.history import History
from tars_ops.adapters.manifests import read_manifests
from tars_ops.adapters.policies import Policies
from tars_ops.adapters.prometheus.client import PrometheusServer
from tars_ops.adapters.prometheus.sightings import PrometheusSightings
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.settings import PROJECT
from tars_ops.adapters.store import Store
from tars_ops.core.lifecycle import Code
from tars_ops.core.release import Window
from tars_ops.definitions import build, resources
from tars_ops.defs.automation import releases
from tars_ops.defs.automation.attempts import RUN_KEY_TAG
from tars_ops.defs.automation.days import Planner
from tars_ops.defs.automation.releases import Finder
from tars_ops.defs.registration import PARTITIONS
from tars_ops.defs.resources import OutboxResource, SourceResource, StoreResource
from tars_ops_tests.live.history import load_blocks
from tars_ops_tests.live.servers import PrometheusProcess, instrumented_process, prometheus, require
from tars_ops_tests.live.test_bake import POLICY as BAKE_POLICY

pytestmark = pytest.mark.live
MINUTE = timedelta(minutes=1)
T0 = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=20)
TARS = (PROJECT / "policies" / "tars.yaml").read_text()
LONG = "9" * 300


def at(clock: str) -> datetime:
    hours, minutes = map(int, clock.split(":"))
    return T0 + timedelta(hours=hours, minutes=minutes)


RAN = {
    ("tars", "1.0.0"): [("00:00", "06:00")],
    ("tars", "1.0.1"): [("05:13", "08:00"), ("08:12", "10:30"), ("11:15", "20:00")],
    ("tars", "1.0.2"): [("10:00", "11:20")],
    ("shop", "2.0.0"): [("00:00", "20:00")],
    ("shop", "2.0.1"): [("07:00", "20:00")],
    ("shop", "evil|name,x"): [("07:30", "20:00")],
    ("shop", LONG): [("07:30", "20:00")],
}
"""A canary, a flap, a going back, an overlap without end, and two names that are none. Scraped on each full minute."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrometheusProcess]:
    for binary in ("prometheus", "promtool"):
        require(binary)
    root = tmp_path_factory.mktemp("discovery")
    lines = [
        f'build_info{{product="{product}",version="{version}",service="api"}} 1 {int((T0 + n * MINUTE).timestamp())}'
        for (product, version), stretches in RAN.items()
        for start, end in stretches
        for n in range(int((at(start) - T0) / MINUTE), int((at(end) - T0) / MINUTE))
    ]
    text = root / "history.om"
    text.write_text("\n".join(["# TYPE build_info gauge", *lines, "# EOF", ""]))
    load_blocks([text], root / "tsdb")
    with prometheus(root / "tsdb") as running:
        yield running


@dataclass
class Deployment:
    """Everything that survives the restart of a daemon."""

    root: Path
    url: str
    cursor: str | None = None

    @property
    def store(self) -> Store:
        return Store.at(str(self.root / "store"))

    @contextmanager
    def started(self) -> Iterator[dg.DagsterInstance]:
        """A daemon's process opens everything anew."""
        (self.root / "instance").mkdir(exist_ok=True)
        with dg.DagsterInstance.local_temp(str(self.root / "instance")) as instance:
            yield instance

    def tick(self, now: datetime) -> Finder:
        """One tick of a daemon that was started for it."""
        with self.started() as instance:
            finder = Finder(instance, self.store, 7, now)
            policies = {one.policy.product: one for one in Policies(self.root / "policies").all()}
            finder.follow_manifests(read_manifests(self.root / "releases"), policies)
            finder.announce_all()
            source = SourceResource(address=self.url)
            self.cursor = finder.follow_sightings(source, policies.values(), self.cursor)
            return finder

    def codes(self, key: str) -> list[Code]:
        return [entry.code for entry in History(self.store).entries(key)]

    def ga_at(self, key: str) -> datetime:
        return Registry(self.store).get(key).release.ga_at


@pytest.fixture
def deployment(server: PrometheusProcess, tmp_path: Path) -> Deployment:
    (tmp_path / "policies").mkdir()
    for product in ("tars", "shop"):
        text = TARS.replace("product: tars", f"product: {product}").replace('product="tars"', f'product="{product}"')
        (tmp_path / "policies" / f"{product}.yaml").write_text(text.replace("tars_build_info", "build_info"))
    return Deployment(tmp_path, server.url)


REGISTERED = ["shop@2.0.0", "shop@2.0.1", "tars@1.0.0", "tars@1.0.1", "tars@1.0.2"]
"""The server is younger than the look-back, so that its first versions begin with it."""


def test_one_look_back_finds_every_release_with_its_ga_to_the_minute(deployment: Deployment) -> None:
    found = deployment.tick(at("20:00"))

    assert sorted(found.found) == REGISTERED
    assert deployment.ga_at("tars@1.0.1") == at("05:13")
    assert deployment.ga_at("tars@1.0.2") == at("10:00")
    assert deployment.ga_at("shop@2.0.1") == at("07:00")
    assert Registry(deployment.store).get("tars@1.0.2").release.previous == "tars@1.0.1"


def test_hostile_versions_are_said_and_never_become_partitions(deployment: Deployment) -> None:
    found = deployment.tick(at("20:00"))

    assert sum("is no release" in trouble for trouble in found.troubles) == 2
    with deployment.started() as instance:
        assert sorted(instance.get_dynamic_partitions(PARTITIONS)) == REGISTERED


@pytest.mark.parametrize("every_min", [1200, 97, 30])
def test_however_often_it_looks_and_restarts_it_tells_the_same_story(deployment: Deployment, every_min: int) -> None:
    now = at("00:05")
    while now < at("20:00"):
        deployment.tick(now)
        now += every_min * MINUTE
    deployment.tick(at("20:00"))

    assert deployment.codes("tars@1.0.0") == [Code.REGISTERED, Code.SUPERSEDED_BY_NEWER]
    assert deployment.ga_at("tars@1.0.1") == at("05:13")
    assert deployment.ga_at("tars@1.0.2") == at("10:00")
    assert deployment.codes("tars@1.0.2") == [Code.REGISTERED, Code.WENT_BACK]
    assert set(deployment.codes("tars@1.0.1")) <= {Code.REGISTERED, Code.FLAPPED, Code.SUPERSEDED_BY_NEWER}
    assert deployment.codes("shop@2.0.0") == deployment.codes("shop@2.0.1") == [Code.REGISTERED]


def test_absence_begins_with_the_last_sample_and_not_five_minutes_later(deployment: Deployment) -> None:
    deployment.tick(at("20:00"))

    entry = History(deployment.store).entries("tars@1.0.0")[-1]

    assert entry.details["seen_at"] == at("06:00").isoformat()


def test_the_newest_sample_is_a_real_one(deployment: Deployment, server: PrometheusProcess) -> None:
    deployment.tick(at("20:00"))
    registered = Registry(deployment.store).get("tars@1.0.0")
    sightings = PrometheusSightings(PrometheusServer(server.url))

    newest = [sightings.newest_at(registered.release, registered.policy, end_at=at(end)) for end in ("05:30", "06:10")]
    none = sightings.newest_at(registered.release, registered.policy, end_at=at("12:00"))
    sightings.close()

    assert newest == [at("05:29"), at("05:59")]
    assert none is None


def test_a_sample_on_the_border_belongs_to_the_minute_that_it_begins(
    deployment: Deployment, server: PrometheusProcess
) -> None:
    policy = Policies(deployment.root / "policies").find("tars").policy
    sightings = PrometheusSightings(PrometheusServer(server.url))

    before = sightings.seen(policy, Window(at("05:10"), at("05:13"))).versions
    after = sightings.seen(policy, Window(at("05:13"), at("05:14"))).versions
    sightings.close()

    assert set(before) == {"1.0.0"}
    assert after["1.0.1"] == (Window(at("05:13"), at("05:14")),)


def test_the_sensor_itself_registers_them(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TARS_OPS_POLICIES", str(deployment.root / "policies"))
    monkeypatch.setenv("TARS_OPS_RELEASES", str(deployment.root / "releases"))
    with deployment.started() as instance:
        store = StoreResource(url=str(deployment.root / "store"))
        source = SourceResource(address=deployment.url)
        for cursor in (None, "kept"):
            context = dg.build_sensor_context(
                instance=instance,
                cursor=found.cursor if cursor else None,  # noqa: F821 - bound by the first round
                resources={"store": store, "source": source},
            )
            found = releases.releases_are_registered.evaluate_tick(context)

        assert sorted(instance.get_dynamic_partitions(PARTITIONS)) == REGISTERED
        assert found.skip_message is not None
        assert found.skip_message.startswith("no new release")


# -- days -------------------------------------------------------------------------------------------------------------

DAY_S, N_DAYS = 10, 5


def test_after_a_down_time_every_day_of_a_bake_runs_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody looks while a release of short days is scraped; then ticks and runs alternate until nothing is due."""
    require("prometheus")
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "bake.yaml").write_text(BAKE_POLICY)
    (tmp_path / "releases").mkdir()
    monkeypatch.setenv("TARS_OPS_POLICIES", str(tmp_path / "policies"))
    with ExitStack() as running:
        program = running.enter_context(instrumented_process(service="api", version="1.0.0"))
        server = running.enter_context(prometheus(tmp_path / "tsdb", config=_scraping(program.url)))
        time.sleep(8)
        ga_at = datetime.now(UTC).replace(microsecond=0)
        (tmp_path / "releases" / "bake.yaml").write_text(
            f'product: bake\nversion: "1.0.0"\nga_at: {ga_at.isoformat()}\nn_days: {N_DAYS}\nday_length_s: {DAY_S}\n'
        )
        time.sleep((N_DAYS + 2) * DAY_S + 2)
        deployment = Deployment(tmp_path, server.url)
        deployment.tick(datetime.now(UTC))
        requested = list(_until_nothing_is_due(deployment))

    assert requested == ["ga|1", *(f"day_{day:02d}|1" for day in range(1, N_DAYS + 1))]


def _until_nothing_is_due(deployment: Deployment) -> Iterator[str]:
    given = resources(store_url=str(deployment.root / "store"), source=deployment.url)
    definitions = build_with(given)
    with deployment.started() as instance:
        outbox = OutboxResource(url=f"sqlite:///{deployment.root}/outbox.sqlite")
        store, source = StoreResource(url=str(deployment.root / "store")), SourceResource(address=deployment.url)
        while requests := Planner(instance, store, source, outbox, datetime.now(UTC)).requests():
            for request in requests:
                yield (request.run_key or "").partition("|")[2]
                done = definitions.resolve_job_def(request.job_name or "").execute_in_process(
                    instance=instance,
                    partition_key=str(request.partition_key),
                    tags={RUN_KEY_TAG: request.run_key or "", "tars_ops/attended": "true"},
                    raise_on_error=False,
                )
                assert done.success, [event.message for event in done.all_events if event.is_step_failure]


def build_with(given: dict[str, object]) -> dg.Definitions:
    from tars_ops.adapters.settings import load_settings

    built = build(load_settings())
    return dg.Definitions(
        assets=built.assets, asset_checks=built.asset_checks, jobs=built.jobs, resources=given, executor=built.executor
    )


def _scraping(program_url: str) -> str:
    return f"""
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: program
    honor_labels: true
    metric_relabel_configs: [{{target_label: product, replacement: bake}}]
    static_configs: [{{targets: ["{urlsplit(program_url).netloc}"], labels: {{service: api, version: 1.0.0}}}}]
"""
