"""What does one tick of each sensor cost, with 10, 100 and 1,000 releases?

A program: ``python -m tars_ops_tests.benchmarks.sensors [--releases N ...]`` prints a table. Every release is a whole
judged week of the demo. Three ticks are measured: the first, which knows nothing; one that has nothing to do; and, for
the days, one on releases of which nothing was ever judged. CPU seconds, because wall time on a shared machine proves
little; a tick waits for nothing but the disk.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from tars_ops.adapters.catalogue import OF_A_DAY, OF_GA, PROVENANCE, as_of_key, digests
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.registry import ENTRY, Registry
from tars_ops.adapters.settings import Settings
from tars_ops.adapters.sources import DEMO
from tars_ops.adapters.store import Store
from tars_ops.core.release import Release
from tars_ops.definitions import build
from tars_ops.defs.automation import jobs
from tars_ops.defs.partitions import partition_of
from tars_ops.defs.registration import PARTITIONS, register

WEEK = "tars@1.0.1"
NEVER_JUDGED = "never judged"


Week = dict[str, dict[str, bytes]]
"""Files of every artifact of a release, by key."""


def judged_week(root: Path, recording: RecordingSource) -> Week:
    """Return the demo week, judged as of each day."""
    settings = Settings(TARS_OPS_STORE=str(root / "template"))  # type: ignore[call-arg]
    store = Store.at(settings.store_url)
    definitions = build(settings)
    Registry(store).add(recording.release, recording.policy_text)
    (root / "judging").mkdir()
    with dg.DagsterInstance.local_temp(str(root / "judging")) as instance:
        instance.add_dynamic_partitions(PARTITIONS, [WEEK])
        runs = [(jobs.OPEN_WATCH, WEEK, {})]
        for day in recording.release.days:
            runs += [
                (jobs.WATCH_DAY, str(partition_of(WEEK, day)), {}),
                (jobs.JUDGE_RELEASE, WEEK, jobs.verdict_config(day)),
            ]
        for job, partition_key, config in runs:
            definitions.resolve_job_def(job).execute_in_process(
                instance=instance, partition_key=partition_key, run_config=config
            )
    kept = (key for key in _keys(store, WEEK) if key != f"{WEEK}/{ENTRY}" and "/history" not in key)
    return {key: store.get(key) for key in kept}


def cloned(template: Week, target: Store, recording: RecordingSource, number: int) -> Release:
    """Put one more judged week into a store: other release, same evidence."""
    release = recording.release.model_copy(update={"version": f"1.{number}.0"})
    register(target, release, recording.policy_text, at=datetime.now(UTC), by="benchmark")
    for key, files in template.items():
        target.put(key.replace(WEEK, release.key, 1), files)
    for day in release.days:
        key = PROVENANCE.key(release.key, as_of_key(day))
        inputs = digests(target, release.key, as_of=day, kinds=(*OF_GA, *OF_A_DAY))
        fitting = PROVENANCE.decode(target.get(key)).model_copy(update={"inputs": inputs})
        target.put(key, PROVENANCE.encode(fitting, as_of_key(day)))
    return release


def _keys(store: Store, folder: str) -> Iterator[str]:
    if store.versions(folder):
        yield folder
    for name in store.children(folder):
        yield from _keys(store, f"{folder}/{name}")


@contextmanager
def deployment(root: Path, name: str, releases: list[Release]) -> Iterator[tuple[dg.DagsterInstance, dg.Definitions]]:
    """Open an instance that knows these releases."""
    home = root / f"home-{name}"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        instance.add_dynamic_partitions(PARTITIONS, [release.key for release in releases])
        yield instance, build(Settings(TARS_OPS_STORE=str(root / f"store-{name}")))  # type: ignore[call-arg]


def tick(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, definitions: dg.Definitions, cursor: str | None
) -> tuple[float, str | None, int]:
    """Evaluate a sensor once; return CPU seconds, cursor and the number of requests."""
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=definitions.get_repository_def(),
        resources={name: definitions.resources[name] for name in sensor.required_resource_keys},
    )
    started = time.process_time()
    with dg.partition_loading_context(dynamic_partitions_store=instance):
        found = sensor.evaluate_tick(context)
    return time.process_time() - started, found.cursor or cursor, len(found.run_requests or [])


def measure(root: Path, n: int, template: Week, recording: RecordingSource) -> Iterator[tuple[str, float, float, int]]:
    """Yield sensor, CPU seconds of the first tick and of an idle one, and what the idle one requested."""
    target = Store.at(str(root / f"store-{n}"))
    releases = [cloned(template, target, recording, number) for number in range(n)]
    with deployment(root, str(n), releases) as (instance, definitions):
        for sensor in definitions.sensors or ():
            first_s, cursor, _ = tick(sensor, instance, definitions, None)
            for _ in range(3):
                _, cursor, _ = tick(sensor, instance, definitions, cursor)
            idle = [tick(sensor, instance, definitions, cursor) for _ in range(3)]
            yield sensor.name, first_s, statistics.median(one[0] for one in idle), idle[-1][2]


def measure_backlog(root: Path, n: int, recording: RecordingSource) -> tuple[float, int]:
    """Return CPU seconds and requests of a tick of the days when nothing was ever judged."""
    target = Store.at(str(root / f"store-backlog-{n}"))
    releases = [recording.release.model_copy(update={"version": f"1.{number}.0"}) for number in range(n)]
    for release in releases:
        register(target, release, recording.policy_text, at=datetime.now(UTC), by="benchmark")
    with deployment(root, f"backlog-{n}", releases) as (instance, definitions):
        (sensor,) = (one for one in definitions.sensors or () if one.name == "days_are_judged")
        seconds, _, n_requests = tick(sensor, instance, definitions, None)
        return seconds, n_requests


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--releases", type=int, nargs="+", default=[10, 100, 1000])
    sizes = parser.parse_args().releases
    with tempfile.TemporaryDirectory(prefix="sensors-") as scratch:
        root = Path(scratch)
        os.environ["TARS_OPS_OUTBOX"] = str(root / "outbox.sqlite")
        os.environ["TARS_OPS_RELEASES"] = str(root / "releases")
        recording = RecordingSource(DEMO)
        template = judged_week(root, recording)
        print("| sensor | releases | first tick, CPU s | idle tick, CPU s | idle requests |\n|---|---:|---:|---:|---:|")
        for n in sizes:
            for name, first_s, idle_s, n_requests in measure(root, n, template, recording):
                print(f"| `{name}` | {n} | {first_s:.2f} | {idle_s:.2f} | {n_requests} |", flush=True)
            seconds, n_requests = measure_backlog(root, n, recording)
            print(f"| `days_are_judged`, {NEVER_JUDGED} | {n} | {seconds:.2f} | - | {n_requests} |", flush=True)


if __name__ == "__main__":
    main()
