"""What do the gates of a day cost?

A program: ``python -m tars_ops_tests.benchmarks.gates [--runs 9]`` judges the same day of the demo in turn with and
without its gates, on one instance, and prints a table in Markdown. Wall time on a shared machine proves little: CPU
seconds and their difference are what to compare.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg

from tars_ops.adapters.gates import Gates
from tars_ops.adapters.registry import Registry
from tars_ops.defs.failures import ATTENDED
from tars_ops.defs.partitions import partition_of
from tars_ops_tests.benchmarks.week import Cost
from tars_ops_tests.defs.conftest import WEEK, Lineage, lineages

OF_A_DAY = dg.AssetSelection.assets("daily_telemetry", "daily_stability", "anomaly_events", "daily_health")


def jobs(lineage: Lineage) -> dict[str, dg.JobDefinition]:
    """Return the job of a day, with and without gates."""
    selections = {"with gates": OF_A_DAY, "without gates": OF_A_DAY.without_checks()}
    named = {what: dg.define_asset_job(what.replace(" ", "_"), chosen) for what, chosen in selections.items()}
    whole = dg.Definitions.merge(lineage.definitions, dg.Definitions(jobs=list(named.values())))
    return {what: whole.resolve_job_def(job.name) for what, job in named.items()}


def cost_of(work: Callable[[], object]) -> Cost:
    """Run something in this process and return what it cost."""
    wall_s, cpu_s = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - wall_s, time.process_time() - cpu_s)


def run(lineage: Lineage, job: dg.JobDefinition) -> None:
    """Judge day 3 once."""
    result = job.execute_in_process(
        instance=lineage.instance,
        partition_key=str(partition_of(WEEK, 3)),
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        tags={ATTENDED: "true"},
    )
    if not result.success:
        raise SystemExit("the day could not be judged")


def check(lineage: Lineage) -> list[object]:
    """Check the gates of day 3 from the store, without Dagster, as the alerts do."""
    return list(Gates(lineage.store, Registry(lineage.store).get(WEEK)).of_day(3))


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9)
    n_runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder, lineages(Path(folder)) as make:
        lineage = make()
        lineage.open()
        works: dict[str, Callable[[], object]] = {
            f"a day {what}": lambda job=job: run(lineage, job) for what, job in jobs(lineage).items()
        }
        works["the gates of a day alone, from the store"] = lambda: check(lineage)
        for work in works.values():
            work()
        costs = {what: [] for what in works}
        for _ in range(n_runs):
            for what, work in works.items():
                costs[what].append(cost_of(work))
    print(f"| what, median of {n_runs} | wall s | CPU s |\n|---|---|---|")
    for what, found in costs.items():
        wall_s, cpu_s = (
            statistics.median(column) for column in zip(*((c.wall_s, c.cpu_s) for c in found), strict=True)
        )
        print(f"| {what} | {wall_s:.3f} | {cpu_s:.3f} |")


if __name__ == "__main__":
    main()
