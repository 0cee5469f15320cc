"""What does the detector say about a whole fleet, and what were its KPIs each day?

From one sorted Parquet table to two small ones, in bounded memory: each thread reads row groups, lays them out as dense
rows and runs the compiled loops over them, which hold no interpreter lock.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tars_ops.adapters.export import write_file
from tars_ops.adapters.long_table import Axis, Block, Key, LongTable
from tars_ops.core.errors import CannotCreateError, ContractError
from tars_ops.core.kernels.quantiles import summarise_rows
from tars_ops.core.policy import Anomalies
from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.detector.detection import Flags, View, score_threshold
from tars_ops.core.watch.detector.detector import events_only

QUANTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
EVENTS_FILE, KPIS_FILE = "events.parquet", "kpis.parquet"
_DAY_MS = 86_400_000
_SPANS_PER_WORKER = 4
"""More spans than workers: the last ones end at about the same time."""
_INSTANT = pa.timestamp("ms", tz="UTC")


class FleetFindings(NamedTuple):
    """How much was read and found."""

    n_series: int
    n_samples: int
    n_events: int


class _Findings(NamedTuple):
    """What one block holds; the columns count series from the first of the block."""

    keys: tuple[Key, ...]
    events: Flags
    day: IntArray
    """(n_days,) Unix milliseconds of each midnight."""
    n_known: IntArray
    """(n_series, n_days)."""
    mean: FloatArray
    quantiles: FloatArray
    """(n_series, n_days, n_quantiles)."""


def detect_fleet(
    path: Path, output: Path, *, false_alarms_per_day: float | None = None, n_workers: int | None = None
) -> FleetFindings:
    """Find the events of every series of a table, and its mean and exact quantiles of each UTC day.

    Parameters
    ----------
    path : Path
        Parquet with the columns ``service``, ``kpi``, ``at``, ``value``, sorted by the first three. Each series learns
        what is usual on its way and says nothing while it warms up.
    output : Path
        Directory for ``events.parquet`` and ``kpis.parquet``; their rows are in the order of the table.
    false_alarms_per_day : float in (0, 1], optional
        How many false alarms a calm series may raise per day; that of the policies' default if None.
    n_workers : int, optional
        Threads; as many as there are processors if None. Their number changes nothing in the files.

    Raises
    ------
    ContractError, MissingInputError
        As `LongTable`, or if a value is infinite.
    CannotCreateError
        If a result cannot be written.
    """
    table = LongTable(path)
    rate = Anomalies().false_alarms_per_day if false_alarms_per_day is None else false_alarms_per_day
    threshold = score_threshold(rate, table.axis.step_ms / 1000)
    n_workers = n_workers or len(os.sched_getaffinity(0))
    bounds = np.linspace(0, table.n_groups, min(table.n_groups, _SPANS_PER_WORKER * n_workers) + 1).astype(int).tolist()

    def judge(span: tuple[int, int]) -> list[_Findings]:
        return [_judge(block, table.axis, threshold) for block in table.blocks(*span)]

    with ThreadPoolExecutor(n_workers) as pool:
        spans = pool.map(judge, pairwise(bounds))
        found = [block for span in spans for block in span]
    events = _events_table(found, table.axis)
    _write(output / EVENTS_FILE, events)
    _write(output / KPIS_FILE, _kpis_table(found))
    return FleetFindings(sum(len(block.keys) for block in found), table.n_rows, events.num_rows)


def _judge(block: Block, axis: Axis, threshold: float) -> _Findings:
    if np.isinf(block.values).any():
        key = block.keys[int(np.isinf(block.values).any(axis=1).argmax())]
        raise ContractError(f"the series {key} holds infinite values; leave out rows that are not known")
    start_s = axis.start_ms % _DAY_MS / 1000
    flags = events_only(block.values, None, step_s=axis.step_ms / 1000, start_s=start_s, threshold=threshold)
    midnights = _midnights(axis)
    cuts = [*_first_places(axis, midnights), axis.n]
    of_days = [
        summarise_rows(np.ascontiguousarray(block.values[:, a:b]), list(QUANTILES.values())) for a, b in pairwise(cuts)
    ]
    n_known, mean, quantiles = (np.stack(parts, axis=1) for parts in zip(*of_days, strict=True))
    return _Findings(block.keys, flags, midnights, n_known, mean, quantiles)


def _midnights(axis: Axis) -> IntArray:
    """Return where each UTC day begins that the axis touches, Unix milliseconds."""
    first, last = axis.start_ms // _DAY_MS, (axis.start_ms + (axis.n - 1) * axis.step_ms) // _DAY_MS
    return _DAY_MS * np.arange(first, last + 1, dtype=np.int64)


def _first_places(axis: Axis, midnights: IntArray) -> list[int]:
    """Return the first place of the axis within each day."""
    return np.maximum(0, -((axis.start_ms - midnights) // axis.step_ms)).tolist()


def _events_table(found: Sequence[_Findings], axis: Axis) -> pa.Table:
    flags = [block.events for block in found]
    keys = [[block.keys[i] for i in block.events.series.tolist()] for block in found]
    at = [[axis.start_ms + axis.step_ms * part for part in (one.start, one.end, one.peak)] for one in flags]
    start, end, peak = (_joined(parts) for parts in zip(*at, strict=True))
    return pa.table(
        {
            **_key_columns([key for of_block in keys for key in of_block]),
            "start_at": pa.array(start).cast(_INSTANT),
            "end_at": pa.array(end).cast(_INSTANT),
            "peak_at": pa.array(peak).cast(_INSTANT),
            "score": _joined([one.score for one in flags]),
            "view": pa.array([View(v).name.lower() for one in flags for v in one.view.tolist()], pa.string()),
        }
    )


def _kpis_table(found: Sequence[_Findings]) -> pa.Table:
    """Make a row of each series and day; a day of which nothing is known has none."""
    is_known = [block.n_known > 0 for block in found]
    keys = [block.keys[i] for block, known in zip(found, is_known, strict=True) for i in np.nonzero(known)[0].tolist()]
    days = [block.day[np.nonzero(known)[1]] for block, known in zip(found, is_known, strict=True)]

    def column(parts: Iterable[NDArray]) -> NDArray:
        return _joined([part[known] for part, known in zip(parts, is_known, strict=True)])

    return pa.table(
        {
            **_key_columns(keys),
            "day": pa.array(_joined(days)).cast(_INSTANT),
            "n_samples": column(block.n_known for block in found),
            "mean": column(block.mean for block in found),
            **{name: column(block.quantiles[:, :, i] for block in found) for i, name in enumerate(QUANTILES)},
        }
    )


def _key_columns(keys: Sequence[Key]) -> dict[str, pa.Array]:
    names = list(zip(*keys, strict=True)) or [(), ()]
    columns = zip(("service", "kpi"), names, strict=True)
    return {column: pa.array(values, pa.string()).dictionary_encode() for column, values in columns}


def _joined(parts: Iterable[NDArray]) -> NDArray:
    return np.concatenate(list(parts))


def _write(path: Path, table: pa.Table) -> None:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", store_schema=False)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_file(path, out.getvalue())
    except OSError as error:
        raise CannotCreateError(f"writing {path} failed: {error}") from error
