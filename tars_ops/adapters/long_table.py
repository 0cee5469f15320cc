"""How does a sorted Parquet table of samples become dense rows, a few megabytes at a time?

The table has the columns ``service``, ``kpi``, ``at`` and ``value`` and is sorted by the first three, so a series lies
in one piece and a row group is read once. Unsorted tables are refused: sorting them costs a hundred times the reading.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError, MissingInputError
from tars_ops.core.telemetry import IntArray

COLUMNS = ("service", "kpi", "at", "value")
MAX_STEPS = 2**24
"""Places of a series; more are a mistake in the time stamps, not a history."""
_BLOCK_BYTES = 2**24
_INSTANT = pa.timestamp("ms", tz="UTC")

Key = tuple[str, str]
"""Service and KPI."""


@dataclass(frozen=True, slots=True)
class Axis:
    """The instants ``start_ms``, ``start_ms + step_ms``, ... that every series of a table is laid on."""

    start_ms: int
    step_ms: int
    n: int

    def instants(self) -> IntArray:
        """Return all instants, Unix milliseconds."""
        return self.start_ms + self.step_ms * np.arange(self.n, dtype=np.int64)


class Block(NamedTuple):
    """Whole series, in the order of the table."""

    keys: tuple[Key, ...]
    values: NDArray[np.floating]
    """(n_series, n) in the table's own precision, NaN where it has no row."""


class _Run(NamedTuple):
    """Rows of one series within one row group."""

    key: Key
    at_ms: IntArray
    values: NDArray[np.floating]


class LongTable:
    """One Parquet file; every call opens it for itself, so threads may share it.

    Raises
    ------
    MissingInputError
        If there is no such file.
    ContractError
        If it is no Parquet file with these columns, or its instants have no common step.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened(dictionaries=()) as file:
            names = file.schema_arrow.names
        if missing := [name for name in COLUMNS if name not in names]:
            raise self._broken(f"it has no column {', '.join(missing)}; needed are {', '.join(COLUMNS)}")
        with self._opened() as file:
            self.n_groups, self.n_rows = file.num_row_groups, file.metadata.num_rows
            if not self.n_rows:
                raise self._broken("it has no rows")
            self.axis = self._axis(file)

    def blocks(self, first: int = 0, end: int | None = None) -> Iterator[Block]:
        """Yield the series that begin in the row groups ``first .. end - 1``, all of them by default.

        Raises
        ------
        ContractError
            If rows are out of order, an instant is off the common steps, or a key or an instant is missing.
        """
        end, known, rows = self.n_groups if end is None else end, self.axis.instants(), _Rows(self.axis.n)
        with self._opened() as file:
            previous = self._runs(file, first - 1)[-1].key if first else None
            for group in range(first, self.n_groups):
                for run in self._runs(file, group):
                    if rows.is_empty and run.key == previous:
                        continue  # the rest of a series that began before
                    if rows.is_empty or run.key != rows.keys[-1]:
                        if previous is not None and run.key < previous:
                            raise self._broken(f"{run.key} comes after {previous}; sort it by service, kpi and at")
                        if group >= end:
                            yield from rows.taken()
                            return
                        if rows.is_full:
                            yield from rows.taken()
                        rows.begin(run)
                    previous = run.key
                    self._place(run, known, rows)
                if rows.is_empty and group + 1 >= end:
                    return
        yield from rows.taken()

    def _opened(self, *, dictionaries: Sequence[str] = COLUMNS[:2]) -> pq.ParquetFile:
        if not self._path.is_file():
            raise MissingInputError(f"{self._path}: there is no such file")
        try:
            return pq.ParquetFile(self._path, read_dictionary=list(dictionaries))
        except (pa.ArrowException, OSError) as error:
            raise self._broken(f"it is no Parquet file: {error}") from error

    def _axis(self, file: pq.ParquetFile) -> Axis:
        column = file.schema_arrow.names.index("at")
        of_groups = [file.metadata.row_group(i).column(column).statistics for i in range(self.n_groups)]
        if not all(one is not None and one.has_min_max for one in of_groups):
            raise self._broken("it has no statistics of `at`; write it with statistics")
        ends = pa.array([end for one in of_groups for end in (one.min, one.max)]).cast(_INSTANT).cast(pa.int64())
        start_ms, last_ms = int(min(ends.to_pylist())), int(max(ends.to_pylist()))
        step_ms = self._step_ms(file)
        n = (last_ms - start_ms) // step_ms + 1
        if n > MAX_STEPS:
            raise self._broken(f"its smallest step, {step_ms} ms, fits {n} times into its span; look at `at`")
        return Axis(start_ms, step_ms, n)

    def _step_ms(self, file: pq.ParquetFile) -> int:
        """Return the smallest step of the first row group that has one."""
        for group in range(self.n_groups):
            steps_ms = [int(np.diff(run.at_ms).min()) for run in self._runs(file, group) if len(run.at_ms) > 1]
            if steps_ms and min(steps_ms) > 0:
                return min(steps_ms)
            if steps_ms:
                break
        raise self._broken("its first series has no two instants that increase; sort it by service, kpi and at")

    def _runs(self, file: pq.ParquetFile, group: int) -> list[_Run]:
        """Read one row group and cut it where the series changes."""
        try:
            table = file.read_row_group(group, columns=list(COLUMNS), use_threads=False).unify_dictionaries()
            columns = {name: _whole(table[name]) for name in COLUMNS}
            at_ms = columns["at"].cast(_INSTANT).cast(pa.int64())
            values = columns["value"] if pa.types.is_floating(table["value"].type) else columns["value"].cast("float64")
        except (pa.ArrowException, OSError) as error:
            raise self._broken(f"row group {group} cannot be read: {error}") from error
        if holes := [name for name in COLUMNS[:3] if table[name].null_count]:
            raise self._broken(f"row group {group} has rows without {', '.join(holes)}")
        codes = [columns[name].indices.to_numpy() for name in COLUMNS[:2]]
        names = [columns[name].dictionary.to_pylist() for name in COLUMNS[:2]]
        changes = np.flatnonzero((codes[0][1:] != codes[0][:-1]) | (codes[1][1:] != codes[1][:-1])) + 1
        bounds = [0, *changes.tolist(), table.num_rows] if table.num_rows else [0]
        at, known = at_ms.to_numpy(), values.to_numpy(zero_copy_only=False)
        return [_Run((names[0][codes[0][a]], names[1][codes[1][a]]), at[a:b], known[a:b]) for a, b in pairwise(bounds)]

    def _place(self, run: _Run, known: IntArray, rows: _Rows) -> None:
        """Lay a run on the steps; one without holes is copied as it is."""
        axis, first = self.axis, (int(run.at_ms[0]) - self.axis.start_ms) // self.axis.step_ms
        if np.array_equal(run.at_ms, known[first : first + len(run.at_ms)]):
            place: slice | IntArray = slice(first, first + len(run.at_ms))
            last = first + len(run.at_ms) - 1
        else:
            place, off = np.divmod(run.at_ms - axis.start_ms, axis.step_ms)
            if off.any() or (np.diff(place) <= 0).any() or place[0] < 0 or place[-1] >= axis.n:
                raise self._broken(
                    f"the instants of {run.key} do not increase by multiples of {axis.step_ms} ms; sort it by service, "
                    "kpi and at, and keep one sample per instant and series"
                )
            last = int(place[-1])
        if first <= rows.last:
            raise self._broken(f"the instants of {run.key} do not increase; sort it by service, kpi and at")
        rows.put(place, run.values, last)

    def _broken(self, what: str) -> ContractError:
        return ContractError(f"{self._path}: {what}")


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """Return a column in one piece, without a copy where it is one already."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


class _Rows:
    """The dense rows that are being filled; the one mutable thing here."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._values: NDArray[np.floating] = np.empty((0, n), np.float32)
        self.keys: list[Key] = []
        self.last = -1

    @property
    def is_empty(self) -> bool:
        return not self.keys

    @property
    def is_full(self) -> bool:
        return len(self.keys) == len(self._values)

    def begin(self, run: _Run) -> None:
        """Begin the series of a run."""
        if self.is_empty:
            n_rows = max(1, _BLOCK_BYTES // (self._n * run.values.itemsize))
            self._values = np.full((n_rows, self._n), np.nan, run.values.dtype)
        self.keys.append(run.key)
        self.last = -1

    def put(self, place: slice | IntArray, values: NDArray[np.floating], last: int) -> None:
        """Fill places of the series begun last; ``last`` is the greatest of them."""
        self._values[len(self.keys) - 1, place] = values
        self.last = last

    def taken(self) -> Iterator[Block]:
        """Give what is complete, if there is anything, and begin anew."""
        if self.keys:
            yield Block(tuple(self.keys), self._values[: len(self.keys)])
        self.keys = []
