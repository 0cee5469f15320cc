"""How long does the demo week take, and how much memory?

A program: ``python -m tars_ops_tests.benchmarks.week [--clone]`` measures whole processes and single stages, each
several times, and writes the section "The demo week" of ``docs/reference/benchmarks.md``. Wall time on a shared machine
proves little: CPU seconds and ratios of one run are what to compare.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tars_ops.adapters.policies import Policies
from tars_ops.adapters.prometheus.client import PrometheusServer
from tars_ops.adapters.prometheus.source import PrometheusSource
from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.source import TelemetrySource
from tars_ops.adapters.sources import DEMO as DEMO_RECORDING
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.baseline import summarise
from tars_ops.core.watch.health import assess_health
from tars_ops.core.watch.stability import judge_day
from tars_ops_tests.benchmarks.page import PROJECT, measured_by, write_section
from tars_ops_tests.live.command import POLICIES
from tars_ops_tests.live.history import DEMO, load_blocks, write_openmetrics
from tars_ops_tests.live.servers import prometheus


@dataclass(frozen=True)
class Cost:
    """What one run of something took."""

    wall_s: float
    cpu_s: float
    peak_mb: float | None = None


def of_command(command: list[str], *, cwd: Path, environment: dict[str, str]) -> Cost:
    """Run a command and return what it cost, with the memory of its largest process."""
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in {0, 10, 11}:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    return Cost(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def of_call(call: Callable[[], object]) -> Cost:
    """Call a function and return what it cost in this process."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    started = time.perf_counter()
    call()
    wall_s = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    return Cost(wall_s, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def repeated(measure: Callable[[], Cost], n: int) -> Cost:
    """Measure several times and return the medians."""
    costs = [measure() for _ in range(n)]
    peaks = [cost.peak_mb for cost in costs if cost.peak_mb is not None]
    return Cost(
        statistics.median(cost.wall_s for cost in costs),
        statistics.median(cost.cpu_s for cost in costs),
        statistics.median(peaks) if peaks else None,
    )


def commands(n: int) -> dict[str, Cost]:
    """Measure the command line on homes of their own."""
    program = [sys.executable, "-m", "tars_ops.cli"]
    costs: dict[str, Cost] = {}
    with tempfile.TemporaryDirectory() as scratch:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TARS_OPS_", "DAGSTER_"))}

        def environment(home: str) -> dict[str, str]:
            own = {"TARS_OPS_STORE": f"{scratch}/{home}/store", "DAGSTER_HOME": f"{scratch}/{home}/dagster"}
            return {**inherited, **own, "TARS_OPS_POLICIES": str(POLICIES)}

        homes = iter(range(10_000))
        run = Path(scratch)
        costs["`tars-ops --help`"] = repeated(
            lambda: of_command([*program, "--help"], cwd=run, environment=environment("none")), n
        )
        imports = [sys.executable, "-c", "import tars_ops.session"]
        costs["imports alone"] = repeated(lambda: of_command(imports, cwd=run, environment=environment("none")), n)
        costs["the demo week, empty home"] = repeated(
            lambda: of_command([*program, "demo"], cwd=run, environment=environment(f"new{next(homes)}")), n
        )
        of_command([*program, "demo"], cwd=run, environment=environment("again"))
        costs["the demo week, again on the same home"] = repeated(
            lambda: of_command([*program, "demo"], cwd=run, environment=environment("again")), n
        )
        costs["`watch --day 3`, one day with its verdict"] = repeated(
            lambda: of_command(
                [*program, "watch", "tars@1.0.1", "--day", "3"], cwd=run, environment=environment("again")
            ),
            n,
        )
        archive = next(run.rglob("*-executive.zip"))
        costs["`tars-ops verify` of the bundle"] = repeated(
            lambda: of_command([*program, "verify", str(archive)], cwd=run, environment=environment("none")), n
        )
    return costs


def stages(n: int) -> dict[str, Cost]:
    """Measure a release day without Dagster, from the recording and from a real server."""
    recording = RecordingSource(DEMO_RECORDING)
    release, policy = recording.release, Policies(POLICIES).find("tars").policy
    baseline = summarise(recording.fetch(release, policy, day=0), release, policy)

    def judge(source: TelemetrySource) -> None:
        telemetry = source.fetch(release, policy, day=2)
        stability = judge_day(telemetry, baseline, release, policy, day=2)
        assess_health(stability, find_anomalies(telemetry, baseline, release, policy, day=2), policy)

    costs = {"fetch and judge a day, from the recording": repeated(lambda: of_call(lambda: judge(recording)), 3 * n)}
    with tempfile.TemporaryDirectory() as scratch:
        text, blocks = Path(scratch, "text"), Path(scratch, "tsdb")
        text.mkdir()
        load_blocks(write_openmetrics(DEMO, text), blocks)
        with prometheus(blocks) as server:
            live = PrometheusSource(PrometheusServer(server.url))
            judge(live)
            costs["fetch and judge a day, from a real Prometheus"] = repeated(lambda: of_call(lambda: judge(live)), n)
            live.close()
    return costs


def clone_to_verdict() -> Cost:
    """Measure `git clone` and `make demo` with an empty home."""
    with tempfile.TemporaryDirectory() as scratch:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("TARS_OPS_", "DAGSTER_", "VIRTUAL_ENV"))}
        command = f"git clone --quiet {PROJECT} {scratch}/clone && make --no-print-directory -C {scratch}/clone demo"
        home = Path(scratch, "home")
        home.mkdir()
        return of_command(["sh", "-c", command], cwd=Path(scratch), environment={**kept, "HOME": str(home)})


def section(costs: dict[str, Cost]) -> str:
    """Write the measurements as a section of the page."""
    rows = "\n".join(
        f"| {name} | {cost.wall_s:.2f} | {cost.cpu_s:.2f} | {'-' if cost.peak_mb is None else f'{cost.peak_mb:.0f}'} |"
        for name, cost in costs.items()
    )
    return f"""{measured_by("make bench")} Medians.

| what | wall s | CPU s | peak MB |
|---|---|---|---|
{rows}

"Peak" is the memory of the largest process; it cannot read lower than the benchmark itself, which the process is
forked from. Stages without a peak ran inside the benchmark's own process.
"""


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=3, help="runs of each measurement")
    parser.add_argument(
        "--clone", action="store_true", help="also from a clone with an empty home to the first verdict"
    )
    options = parser.parse_args()
    costs = {**commands(options.n), **stages(options.n)}
    if options.clone:
        costs["clone to first verdict, empty home"] = clone_to_verdict()
    text = section(costs)
    print(text)
    write_section("The demo week", text)


if __name__ == "__main__":
    main()
