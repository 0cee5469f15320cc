"""The lineage on a store, an instance and a source of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

import tars_ops.defs as shell
from tars_ops.adapters.catalogue import BY_ASSET, as_of_key
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.sources import DEMO
from tars_ops.adapters.store import Store
from tars_ops.core.release import Release, day_key
from tars_ops.definitions import resources
from tars_ops.defs.automation import jobs
from tars_ops.defs.failures import ATTENDED
from tars_ops.defs.partitions import RELEASES, partition_of
from tars_ops.defs.resources import AsOf, SourceResource, StoreResource
from tars_ops_tests.defs.damaged import DamagingIOManager
from tars_ops_tests.defs.faults import FaultySource

WEEK = "tars@1.0.1"


@dataclass(frozen=True)
class Lineage:
    """The whole graph, ready to run."""

    instance: dg.DagsterInstance
    store: Store
    url: str
    definitions: dg.Definitions

    def run(self, job: str, partition_key: str, *, config: dict | None = None) -> dg.ExecuteInProcessResult:
        """Run a job for a partition; a failure is for the test to look at."""
        return self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=partition_key,
            run_config=config or {},
            tags={ATTENDED: "true"},
            raise_on_error=False,
        )

    def open(self) -> dg.ExecuteInProcessResult:
        """Freeze the baseline."""
        return self.run(jobs.OPEN_WATCH, WEEK)

    def watch(self, day: int) -> dg.ExecuteInProcessResult:
        """Judge a day."""
        return self.run(jobs.WATCH_DAY, str(partition_of(WEEK, day)))

    def judge(self, as_of: int = 0) -> dg.ExecuteInProcessResult:
        """Judge the release as of a day."""
        return self.run(jobs.JUDGE_RELEASE, WEEK, config=jobs.verdict_config(as_of))

    def read(self, asset: str, *, day: int = 0, as_of: int = 0):  # noqa: ANN201 - any artifact
        """Return a stored artifact."""
        kind = BY_ASSET[asset]
        at = day_key(day) if day else as_of_key(as_of) if as_of else ""
        return kind.decode(self.store.get(kind.key(WEEK, at)))


Make = Callable[..., Lineage]


@pytest.fixture
def make_lineage(tmp_path: Path) -> Iterator[Make]:
    """Build a lineage; ``fault`` on ``days`` spoils the telemetry, an asset is ``damaged`` after it was stored."""
    with lineages(tmp_path) as make:
        yield make


@contextmanager
def lineages(folder: Path) -> Iterator[Make]:
    """Build lineages on one instance and one store in a folder."""
    (folder / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(folder / "instance")) as instance:

        def make(*, fault: str = "", days: tuple[int, ...] = (), damaged: str = "", **changes: object) -> Lineage:
            store = Store.at(str(folder / "store"))
            recording = RecordingSource(DEMO)
            release = Release.model_validate({**recording.release.model_dump(), **changes})
            Registry(store).add(release, recording.policy_text)
            instance.add_dynamic_partitions(RELEASES.name or "", [release.key])
            source = SourceResource(address="recording:demo")
            if fault:
                source = FaultySource(address="recording:demo", fault=fault, days=list(days))
            given = resources(store_url=str(folder / "store"), source="recording:demo") | {"source": source}
            if damaged:
                disk, as_of = StoreResource(url=str(folder / "store")), AsOf.configure_at_launch()
                given |= {"as_of": as_of, "io_manager": DamagingIOManager(damaged=damaged, store=disk, as_of=as_of)}
            definitions = dg.Definitions(
                assets=dg.load_assets_from_package_module(shell, include_specs=True),
                asset_checks=dg.load_asset_checks_from_package_module(shell),
                jobs=list(jobs.ALL),
                resources=given,
                executor=dg.in_process_executor,
            )
            return Lineage(instance, store, str(folder / "store"), definitions)

        yield make


@pytest.fixture
def lineage(make_lineage: Make) -> Lineage:
    """The lineage on the recording as it is."""
    return make_lineage()
