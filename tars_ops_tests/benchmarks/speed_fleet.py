"""How long does a whole fleet take from Parquet to events and exact KPIs, and how does that grow?

The samples are made up, row group by row group, written to a scratch directory and deleted afterwards. The job runs as
a process of its own, so that its memory is its own.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tars_ops_tests.benchmarks.page import PROJECT
from tars_ops_tests.benchmarks.week import Cost, of_command

STEP_MS, DAY_STEPS, N_DAYS, N_KPIS = 60_000, 1440, 8, 10
N_STEPS = DAY_STEPS * N_DAYS
START_MS = 1_700_006_400_000
SERIES_PER_GROUP = 91
"""About a million rows, as writers do by default."""
N_NOISES = 97
JOB = """
import sys
from pathlib import Path
from tars_ops.adapters.fleet import detect_fleet
print(detect_fleet(Path(sys.argv[1]), Path(sys.argv[2])))
"""


@dataclass(frozen=True)
class FleetJob:
    """One run of the job."""

    n_series: int
    file_bytes: int
    cost: Cost

    @property
    def n_samples(self) -> int:
        """Rows of the table."""
        return self.n_series * N_STEPS


def write_fleet(path: Path, n_series: int) -> None:
    """Write gauges of three decimals with noise of their own and, in one series of fifty, a spike."""
    rng = np.random.default_rng(4)
    noises = rng.normal(size=(N_NOISES, 2 * N_STEPS)).astype(np.float32)
    at = np.tile(START_MS + STEP_MS * np.arange(N_STEPS), SERIES_PER_GROUP)
    names = (
        pa.array([f"service-{i:05}" for i in range(n_series // N_KPIS + 1)]),
        pa.array([f"kpi-{i}" for i in range(N_KPIS)]),
    )
    with pq.ParquetWriter(
        path,
        pa.schema(
            [
                ("service", pa.dictionary(pa.int32(), pa.string())),
                ("kpi", pa.dictionary(pa.int32(), pa.string())),
                ("at", pa.timestamp("ms", tz="UTC")),
                ("value", pa.float32()),
            ]
        ),
        compression="zstd",
        use_dictionary=["service", "kpi", "value"],  # pyright: ignore[reportArgumentType] - its stub says bool
        column_encoding={"at": "DELTA_BINARY_PACKED"},
        dictionary_pagesize_limit=2**22,
    ) as writer:
        for first in range(0, n_series, SERIES_PER_GROUP):
            series = np.arange(first, min(first + SERIES_PER_GROUP, n_series))
            codes = [np.repeat(part, N_STEPS).astype(np.int32) for part in (series // N_KPIS, series % N_KPIS)]
            columns = [pa.DictionaryArray.from_arrays(pa.array(c), n) for c, n in zip(codes, names, strict=True)]
            values = np.concatenate([_gauge(noises, int(i)) for i in series])
            instants = pa.array(at[: len(values)]).cast(pa.timestamp("ms", tz="UTC"))
            batch = pa.table([*columns, instants, pa.array(values)], schema=writer.schema)
            writer.write_table(batch, row_group_size=len(values))


def _gauge(noises: np.ndarray, i: int) -> np.ndarray:
    start = (i * 7919) % N_STEPS
    values = np.float32(0.3 + 0.1 * (i % 5)) + np.float32(0.05) * noises[i % N_NOISES, start : start + N_STEPS]
    if i % 50 == 0:
        values[9000:9005] += np.float32(1.0)
    return np.round(values, 3)


def fleet_job(n_series: int) -> FleetJob:
    """Write a table of so many series and run the job on it once."""
    with tempfile.TemporaryDirectory(prefix="fleet-") as scratch:
        table, results = Path(scratch, "fleet.parquet"), Path(scratch, "results")
        write = f"from tars_ops_tests.benchmarks.speed_fleet import *; write_fleet(Path({str(table)!r}), {n_series})"
        of_command([sys.executable, "-c", write], cwd=PROJECT, environment={})
        cost = of_command([sys.executable, "-c", JOB, str(table), str(results)], cwd=PROJECT, environment={})
        return FleetJob(n_series, table.stat().st_size, cost)


def fleet_table(jobs: Sequence[FleetJob]) -> str:
    """Write the runs as a table."""
    head = "| series | M samples | bytes per sample | wall s | CPU s | M samples per CPU-second | peak MB |"
    return "\n".join([head, "|---|---|---|---|---|---|---|", *(_row(job) for job in jobs)])


def _row(job: FleetJob) -> str:
    n, cost = job.n_samples / 1e6, job.cost
    return (
        f"| {job.n_series:,} | {n:,.1f} | {job.file_bytes / job.n_samples:.2f} | {cost.wall_s:.1f} | {cost.cpu_s:.1f} "
        f"| {n / cost.cpu_s:.1f} | {cost.peak_mb or 0:,.0f} |"
    )
