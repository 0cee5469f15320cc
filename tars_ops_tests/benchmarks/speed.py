"""How fast is each kernel and each stage, against the libraries that do the same, and a whole fleet?

A program: ``python -m tars_ops_tests.benchmarks.speed [--scale 1.0] [--without-fleet]`` takes about ten minutes and
writes the section "Speed" of ``docs/reference/benchmarks.md``. What competes runs in turns in one process, and CPU
seconds with those of all threads are compared.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from tars_ops_tests.benchmarks.page import measured_by, write_section
from tars_ops_tests.benchmarks.speed_fleet import fleet_job, fleet_table
from tars_ops_tests.benchmarks.speed_ingest import fetch_table, json_table, parquet_table, zip_table
from tars_ops_tests.benchmarks.speed_kernels import detector_table, ewma_table, quantiles_table, ranks_table

FLEETS = (100, 1_000, 10_000, 100_000)


def stages(scale: float, n_rounds: int) -> str:
    """Measure kernels and stages and return their tables; ``scale`` makes the work smaller."""

    def scaled(n: int) -> int:
        return max(int(n * scale), 16)

    measured: list[Callable[[], str]] = [
        lambda: json_table(scaled(156), n_rounds),
        lambda: fetch_table(n_rounds),
        lambda: ewma_table(scaled(1024), n_rounds),
        lambda: detector_table(scaled(1024), n_rounds),
        lambda: quantiles_table(scaled(4096), n_rounds),
        lambda: ranks_table(scaled(1000), n_rounds),
        lambda: parquet_table(scaled(700), n_rounds),
        lambda: zip_table(scaled(500), n_rounds),
    ]
    tables = []
    for measure in measured:
        tables.append(measure())
        print(tables[-1], flush=True)
    return "\n\n".join(tables)


def fleets(scale: float) -> str:
    """Run the whole job on growing fleets."""
    jobs = []
    for n_series in FLEETS:
        jobs.append(fleet_job(max(int(n_series * scale), 1)))
        print(fleet_table(jobs[-1:]), flush=True)
    return f"""A fleet from one sorted Parquet table to its events and the mean, p50, p95 and p99 of each series and day
(`tars-ops detect`): 8 days of minutes, ten KPIs per service. The whole process, which starts in about two seconds.

{fleet_table(jobs)}"""


def main() -> None:
    """Measure everything and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the work; below 1 nothing is written")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-fleet", action="store_true")
    options = parser.parse_args()
    # the fleets first: the memory of a child cannot read lower than what its parent has grown to
    of_fleets = [] if options.without_fleet else [fleets(options.scale)]
    parts = [stages(options.scale, options.rounds), *of_fleets]
    if options.scale < 1:
        return
    text = "\n\n".join([f"{measured_by('make bench-speed')} Medians of {options.rounds} interleaved rounds.", *parts])
    write_section("Speed", text)


if __name__ == "__main__":
    main()
