"""Is a release compared with the one before it and with staging, and with nothing that came later?"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

import tars_ops.defs as shell
from tars_ops.adapters.archive import opened
from tars_ops.adapters.catalogue import (
    BUNDLE,
    DAILY_TELEMETRY,
    REFERENCE_BASELINES,
    REGRESSION,
    STAGING_TELEMETRY,
    as_of_key,
    tree,
)
from tars_ops.adapters.gates import Gates
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.releases import overview
from tars_ops.adapters.source import TelemetrySource
from tars_ops.adapters.store import Store
from tars_ops.core.errors import SourceUnavailableError
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window, day_key
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Decision, Severity, Verdict
from tars_ops.core.watch.comparisons.comparison import Outcome
from tars_ops.core.watch.references import NOT_PINNED, BaselineKind, ReferenceBaselines, References
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.definitions import resources
from tars_ops.defs.automation import jobs
from tars_ops.defs.automation.verdicts import stale_verdicts
from tars_ops.defs.failures import ATTENDED
from tars_ops.defs.partitions import RELEASES, partition_of
from tars_ops.defs.resources import SourceResource
from tars_ops.defs.watch.references import references_of
from tars_ops_tests.adapters.damage import flip_a_byte, lose
from tars_ops_tests.adapters.factories import POLICY_TEXT, STAGING
from tars_ops_tests.core.factories import GA_AT, STEADY, Change, Scene, during, make

SLOWER = during(Change(latency=1.3))
OLD, NEW = "tars@1.0.0", "tars@1.0.1"
WITH_STAGING = POLICY_TEXT + f"\nbaselines:\n  staging:\n    selector: '{STAGING}'\n".encode()
REFREEZE = {"ops": {"reference_baselines": {"config": {"refreeze": True}}}}


class _TwoReleases:
    """The new release is 30 % slower from its first minute, in staging as in production; the old one was not."""

    def __init__(self, fault: str) -> None:
        self._fault = fault

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        if self._fault == "unreachable":
            raise SourceUnavailableError("no answer from the server")
        if self._fault == "empty":
            return make(policy, release, day, Scene(keep=0.0))
        return make(policy, release, day, SLOWER if release.key == NEW else STEADY)

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        raise NotImplementedError

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        if self._fault:
            raise SourceUnavailableError(f"no answer for {selector}")
        before = release.model_copy(update={"ga_at": release.day_before_ga.start_at})
        return make(policy, before, 0, SLOWER)

    def close(self) -> None:
        pass


class TwoReleases(SourceResource):
    """A source that knows two releases in a row, and staging of the new one."""

    fault: str = ""

    @contextmanager
    def open(self) -> Iterator[TelemetrySource]:
        yield _TwoReleases(self.fault)


@dataclass(frozen=True)
class Product:
    """A product with two releases in a row."""

    instance: dg.DagsterInstance
    url: str
    policy_text: bytes
    fault: str = ""
    """Of the source: ``unreachable``, ``empty`` or ``no_staging``; staging does not answer in any of them."""

    @property
    def store(self) -> Store:
        return Store.at(self.url)

    def registered(self, release: str) -> Registered:
        return Registry(self.store).get(release)

    def register(self, *, day_length_s: int) -> None:
        """Make both releases known; between their GA instants lie eight days."""
        old = Release(
            product="tars",
            version="1.0.0",
            ga_at=GA_AT - timedelta(seconds=8 * day_length_s),
            policy_sha256=hashlib.sha256(self.policy_text).hexdigest(),
            day_length_s=day_length_s,
        )
        new = old.model_copy(update={"version": "1.0.1", "ga_at": GA_AT, "previous": old.key})
        for one in (old, new):
            Registry(self.store).add(one, self.policy_text)
            self.instance.add_dynamic_partitions(RELEASES.name or "", [one.key])

    def put(self, release: str, *days: int) -> None:
        """Keep the telemetry of days that nobody judged."""
        known = self.registered(release)
        for at, day in ((day_key(day), day) for day in days):
            telemetry = make(known.policy, known.release, day)
            self.store.put(DAILY_TELEMETRY.key(release, at), DAILY_TELEMETRY.encode(telemetry, at))

    def run(self, job: str, partition_key: str, config: dict | None = None) -> dg.ExecuteInProcessResult:
        source = TwoReleases(address="recording:demo", fault=self.fault)
        definitions = dg.Definitions(
            assets=dg.load_assets_from_package_module(shell, include_specs=True),
            jobs=list(jobs.ALL),
            resources=resources(store_url=self.url, source="recording:demo") | {"source": source},
            executor=dg.in_process_executor,
        )
        return definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition_key,
            run_config={**(config or {}), "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            tags={ATTENDED: "true"},
            raise_on_error=False,
        )

    def open(self, release: str, config: dict | None = None) -> References:
        """Open the watch of a release, and return what it is compared with."""
        assert self.run(jobs.OPEN_WATCH, release, config).success
        return self.references(release)

    def watch(self, release: str, day: int) -> None:
        """Judge a day."""
        assert self.run(jobs.WATCH_DAY, str(partition_of(release, day))).success

    def judge(self, release: str, as_of: int) -> RegressionAnalysis:
        """Judge a release as of a day."""
        assert self.run(jobs.JUDGE_RELEASE, release, jobs.verdict_config(as_of)).success
        return REGRESSION.decode(self.store.get(REGRESSION.key(release, as_of_key(as_of))))

    def pinned(self, release: str) -> ReferenceBaselines:
        return REFERENCE_BASELINES.decode(self.store.get(REFERENCE_BASELINES.key(release)))

    def references(self, release: str) -> References:
        return references_of(self.store, self.registered(release))


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("instance"))) as instance:
        yield instance


@pytest.fixture
def product(instance: dg.DagsterInstance, tmp_path: Path) -> Product:
    """Releases whose days are an hour long, with staging in the policy."""
    product = Product(instance, str(tmp_path / "store"), WITH_STAGING)
    product.register(day_length_s=3600)
    return product


def test_a_release_is_compared_with_the_same_day_of_the_one_before_and_with_staging(product: Product) -> None:
    product.put(OLD, 1, 2)

    found = product.open(NEW)
    staging = found.staging

    assert list(found.previous) == [1, 2]
    assert (found.previous[2].release, found.previous[2].day) == (OLD, 2)
    assert found.previous[2].telemetry.quality.window == product.registered(OLD).release.window(2)
    assert staging
    assert (staging.release, staging.day) == (NEW, None)
    assert staging.telemetry.quality.end_at == GA_AT
    assert found.absent == {
        BaselineKind.PREVIOUS_RELEASE: f"days 3, 4, 5, 6, 7 of {OLD} were not in the store when the watch opened"
    }


def test_staging_that_does_not_answer_is_absent_and_the_watch_opens_without_it(product: Product) -> None:
    found = replace(product, fault="no_staging").open(OLD)

    assert found == References(
        absent={
            BaselineKind.PREVIOUS_RELEASE: "no release before it is registered",
            BaselineKind.STAGING: f"no answer for {STAGING}",
        }
    )


def test_a_policy_without_staging_keeps_that_in_one_small_file(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    product = Product(instance, str(tmp_path / "store"), POLICY_TEXT)
    product.register(day_length_s=3600)

    found = product.open(OLD)

    assert BaselineKind.STAGING not in found.absent
    assert list(product.store.get(STAGING_TELEMETRY.key(OLD))) == ["ga/staging_telemetry/staging.json"]


def test_days_that_the_release_before_gains_later_are_pinned_only_on_demand(product: Product) -> None:
    product.put(OLD, 1)
    product.open(NEW)
    first = product.store.pointer(REFERENCE_BASELINES.key(NEW))
    product.put(OLD, 2)

    kept = product.open(NEW)
    asked = product.open(NEW, REFREEZE)

    assert first
    assert (list(kept.previous), list(asked.previous)) == ([1], [1, 2])
    assert product.pinned(NEW).supersedes == first.sha256


@pytest.mark.parametrize("fault", ["unreachable", "empty"])
def test_a_watch_that_could_not_open_pins_nothing(product: Product, fault: str) -> None:
    """What the source cannot say at the first attempt it may know at the next."""
    failed = replace(product, fault=fault).run(jobs.OPEN_WATCH, NEW)
    before = product.store.pointer(REFERENCE_BASELINES.key(NEW))

    found = product.open(NEW)

    assert (failed.success, before) == (False, None)
    assert found.staging is not None


def test_what_the_policy_does_not_ask_for_any_more_is_not_compared_with(product: Product) -> None:
    product.put(OLD, 1)
    product.open(NEW)
    nothing = WITH_STAGING.replace(b"baselines:", b"baselines:\n  previous_release: false")

    Registry(product.store).repin(NEW, nothing.replace(STAGING.encode(), b'env="pre"'))
    found = product.references(NEW)

    assert (dict(found.previous), found.staging) == ({}, None)
    assert found.absent == {
        BaselineKind.STAGING: f'pinned is staging of {STAGING}, and the policy names env="pre" since'
    }


# -- the verdict ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def week(instance: dg.DagsterInstance, tmp_path_factory: pytest.TempPathFactory) -> Product:
    """The second release of two, judged as of its first day; each day is a whole one."""
    product = Product(instance, str(tmp_path_factory.mktemp("week") / "store"), WITH_STAGING)
    product.register(day_length_s=86400)
    for release in (OLD, NEW):
        product.open(release)
        product.watch(release, 1)
    product.judge(NEW, 1)
    return product


@pytest.fixture
def judged(week: Product, tmp_path: Path) -> Product:
    """A copy of it to spoil."""
    shutil.copytree(week.url, tmp_path / "store")
    return replace(week, url=str(tmp_path / "store"))


def test_a_release_that_is_slower_from_its_first_minute_is_found_by_the_release_before_it(week: Product) -> None:
    analysis = REGRESSION.decode(week.store.get(REGRESSION.key(NEW, as_of_key(1))))

    p99 = {one.baseline: one for one in analysis.comparisons if (one.kpi, one.service) == ("p99_latency", "api")}
    slower = p99[BaselineKind.PREVIOUS_RELEASE]

    assert p99[BaselineKind.GA_DAY].outcome is Outcome.EQUIVALENT
    assert p99[BaselineKind.STAGING].outcome is Outcome.EQUIVALENT
    assert (slower.outcome, slower.severity) == (Outcome.REGRESSION, Severity.HIGH)
    assert slower.change == pytest.approx(0.3, abs=0.02)
    assert analysis.decision is Decision.WATCH_CLOSER


def test_a_release_shows_what_it_is_compared_with(week: Product) -> None:
    told = overview(week.store, week.registered(NEW))["references"]

    assert told == {
        "previous_release": f"{OLD}, day 1; days 2, 3, 4, 5, 6, 7 of {OLD} were not in the store when the watch opened",
        "staging": STAGING,
    }


def gates(product: Product) -> dict[str, Verdict]:
    registered = product.registered(NEW)
    return {one.gate.name: one.gate.verdict for one in Gates(product.store, registered).of_verdict(1)}


def test_the_bundle_names_every_digest_that_the_verdict_rests_on(judged: Product) -> None:
    key = f"{OLD}/stability/day_01/telemetry"
    stored = judged.store.pointer(key)
    held = tree(judged.store, NEW, as_of=1, kinds=(BUNDLE,))
    archive = next(data for name, data in held.items() if name.endswith(".zip"))
    files = opened(archive).files

    named = json.loads(files["ga/reference_baselines.json"])["previous_days"][0]["telemetry"]

    assert stored
    assert named == {"artifact": key, "version": 1, "files": {p: one.sha256 for p, one in stored.files.items()}}
    assert {gates(judged)[name] for name in ("bundle_verifies", "bundle_is_complete")} == {Verdict.PASS}


def test_a_watch_from_before_references_were_kept_is_still_judged(judged: Product) -> None:
    for kind in (STAGING_TELEMETRY, REFERENCE_BASELINES):
        lose(judged.url, kind.key(NEW))

    judged.judge(NEW, 1)

    assert judged.references(NEW) == References(
        absent={BaselineKind.PREVIOUS_RELEASE: NOT_PINNED, BaselineKind.STAGING: NOT_PINNED}
    )
    assert {gates(judged)[name] for name in ("bundle_verifies", "bundle_is_complete")} == {Verdict.PASS}


def test_a_verdict_is_stale_when_its_references_are_pinned_again(judged: Product) -> None:
    registered = judged.registered(NEW)
    before = list(stale_verdicts(judged.store, registered))
    judged.put(OLD, 2)

    unasked = list(stale_verdicts(judged.store, registered))
    judged.open(NEW, REFREEZE)

    assert (before, unasked) == ([], [])
    assert [as_of for as_of, _ in stale_verdicts(judged.store, registered)] == [1]


def test_a_damaged_reference_stops_the_verdict_and_is_named(judged: Product) -> None:
    path = flip_a_byte(judged.url, f"{OLD}/stability/day_01/telemetry", ending="samples.parquet")

    result = judged.run(jobs.JUDGE_RELEASE, NEW, jobs.verdict_config(1))

    failed = [event for event in result.all_events if event.is_step_failure]
    assert not result.success
    assert f"{path} differs from its digest" in str(failed[0].step_failure_data.error)
