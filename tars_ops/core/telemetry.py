"""What is known of one release over one window, and how well is it known?

``Telemetry`` is what a source returns and what every judgement starts from: ``samples`` for shapes, ``counts`` for
promises, ``quality`` for trust. Counts are events per slot; a day is a sum of slots, a quantile is taken last.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Instant, Sha256, Share
from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.release import Window
from tars_ops.core.units import at_most, percent

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

SAMPLE_COLUMNS: Final = ("kpi", "service", "at", "value")
COUNT_COLUMNS: Final = ("counter", "service", "le", "slot", "count")
_INSTANTS: Final = "datetime64[ms, UTC]"
_TYPES: Final = {"at": _INSTANTS, "slot": _INSTANTS, "value": "float32", "count": "int64"}
BAD, TOTAL, INF = "bad", "total", "+Inf"


class ServerQuality(Frozen):
    """Which server answered. Not part of the content digest: an upgrade of the server is not another measurement."""

    product: str
    version: str


class KpiQuality(Frozen):
    """How one KPI was asked for and what the server said about it."""

    kpi: str
    step_s: int
    """Distance of two samples, seconds."""
    queries: tuple[str, ...]
    """The exact text of every query behind the KPI."""
    warnings: tuple[str, ...] = ()
    infos: tuple[str, ...] = ()
    refused: str | None = None
    """Why the KPI could not be measured at all; None where it could."""
    response_sha256: Sha256
    """Digest of the parsed answers, in the order of the queries."""


class SeriesQuality(Frozen):
    """How much of one KPI of one service arrived."""

    kpi: str
    service: str
    n_expected: int
    """Scrapes that the window holds."""
    n_arrived: int
    """Scrapes that left a sample, of the service's best series."""
    n_gaps: int
    longest_gap_s: int
    n_nan: int
    """Samples that the server answered as NaN or infinite."""
    n_resets: int
    n_series: int

    @property
    def coverage(self) -> Share:
        """Arrived over expected scrapes, 0..1."""
        return min(1.0, self.n_arrived / self.n_expected) if self.n_expected else 0.0


class Quality(Frozen):
    """How well one window is known."""

    start_at: Instant
    end_at: Instant
    scrape_interval_s: int
    slot_s: int
    server: ServerQuality
    kpis: tuple[KpiQuality, ...]
    series: tuple[SeriesQuality, ...]

    @property
    def window(self) -> Window:
        """The window that was asked for."""
        return Window(self.start_at, self.end_at)

    @property
    def services(self) -> tuple[str, ...]:
        """Every service that left at least one sample."""
        return tuple(sorted({one.service for one in self.series if one.n_arrived}))

    def of(self, kpi: str) -> KpiQuality | None:
        """Return how a KPI was asked for."""
        return next((one for one in self.kpis if one.kpi == kpi), None)

    def of_series(self, kpi: str, service: str) -> SeriesQuality | None:
        """Return how much of a KPI of a service arrived."""
        return self._by_key.get((kpi, service))

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], SeriesQuality]:
        return {(one.kpi, one.service): one for one in self.series}

    def why_unknown(self, kpi: str, service: str, *, min_coverage: float) -> str | None:
        """Say in words why a KPI of a service cannot be judged; None where it can."""
        asked = self.of(kpi)
        if asked is None:
            return "the KPI is not part of this telemetry"
        if asked.refused:
            return f"not measured: {at_most(asked.refused, 200)}"
        if asked.warnings:
            return f"the server warned: {at_most('; '.join(asked.warnings), 200)}"
        arrived = self.of_series(kpi, service)
        if arrived is None or arrived.n_arrived == 0:
            return "no data"
        if arrived.coverage < min_coverage:
            return (
                f"coverage {arrived.coverage:.2f} < {min_coverage:.2f}: "
                f"{percent(1 - arrived.coverage)} of the scrapes are missing, longest gap {arrived.longest_gap_s} s"
            )
        return None


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One window of one release.

    Attributes
    ----------
    samples : DataFrame
        ``kpi, service, at, value``; sorted by the first three; names are sorted categories; ``at`` is the start of
        the step that the value describes (UTC, milliseconds), ``value`` float32 in the KPI's unit; no row where
        nothing arrived.
    counts : DataFrame
        ``counter, service, le, slot, count``; sorted by the first four; ``le`` is ``bad`` or ``total`` of a ratio, or a
        bucket's upper bound (cumulative, as Prometheus counts); ``slot`` is the start of the slot; ``count`` int64.
        Of a running day also the scrapes that arrived, under ``arrivals_of``.
    prior : DataFrame
        Like ``counts`` in slots of a day before GA, for the error budget; empty on every other day.
    quality : Quality
        Coverage, gaps, warnings and the queries.
    """

    samples: pd.DataFrame
    counts: pd.DataFrame
    prior: pd.DataFrame
    quality: Quality
    _columns: dict[str, _Columns] = field(default_factory=dict, init=False, repr=False, compare=False)
    """The frames as arrays, made when they are first needed."""

    def __post_init__(self) -> None:
        """Refuse frames that break the contract."""
        _check(self.samples, SAMPLE_COLUMNS, "samples")
        _check(self.counts, COUNT_COLUMNS, "counts")
        _check(self.prior, COUNT_COLUMNS, "prior")
        _check_numbers(self.samples["value"], "samples.value")
        _check_numbers(self.counts["count"], "counts.count")
        _check_numbers(self.prior["count"], "prior.count")
        _check_window(self.samples["at"], self.quality.window, "samples.at")
        _check_window(self.counts["slot"], self.quality.window, "counts.slot")

    @property
    def sha256(self) -> str:
        """Digest of the content: every value, every count and what is known of their quality.

        Independent of the file format, of the server's version and of the digests of its raw answers (a server adds
        floats in any order, so their last bit may differ), so that a recording and the server it was taken from have
        the same digest.
        """
        volatile = {"server": True, "kpis": {"__all__": {"response_sha256"}}}
        digest = hashlib.sha256(self.quality.model_dump_json(exclude=volatile).encode())
        for frame in (self.samples, self.counts, self.prior):
            for column in frame.columns:
                digest.update(_bytes(frame[column]))
        return digest.hexdigest()

    def n_samples(self, kpi: str, service: str) -> int:
        """Return how many samples of a KPI of a service are known."""
        columns = self.columns("samples")
        rows, (codes, names) = columns.rows(kpi), columns.keys[0]
        if service not in names:
            return 0
        start, end = np.searchsorted(codes[rows], [(code := names.index(service)), code + 1])
        return int(end - start)

    def columns(self, frame: Literal["samples", "counts", "prior"]) -> _Columns:
        """Return a frame as arrays."""
        if frame not in self._columns:
            self._columns[frame] = _Columns.of(getattr(self, frame))
        return self._columns[frame]


@dataclass(frozen=True, slots=True)
class _Columns:
    """A sorted frame as arrays that share its memory: the rows of one name are a slice of them."""

    names: tuple[str, ...]
    edges: IntArray
    keys: tuple[tuple[NDArray[np.integer], tuple[str, ...]], ...]
    """The columns of names after the first one: codes, and what they stand for."""
    at_ms: IntArray
    values: NDArray[np.generic]

    @staticmethod
    def of(frame: pd.DataFrame) -> _Columns:
        """Return the arrays behind a frame."""
        first, *keys, at, value = (frame[column] for column in frame.columns)
        names = tuple(first.cat.categories)
        edges = np.searchsorted(first.cat.codes.to_numpy(), np.arange(len(names) + 1))
        pairs = tuple((key.cat.codes.to_numpy(), tuple(key.cat.categories)) for key in keys)
        return _Columns(names, edges, pairs, _millis(at), value.to_numpy())

    def rows(self, name: str) -> slice:
        """Return where the rows of a name stand."""
        if name not in self.names:
            return slice(0, 0)
        place = self.names.index(name)
        return slice(int(self.edges[place]), int(self.edges[place + 1]))


def _check(frame: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    if tuple(frame.columns) != tuple(columns):
        raise ContractError(f"{name} has the columns {list(frame.columns)}, not {list(columns)}")
    for column in columns[-2:]:
        if str(frame[column].dtype) != _TYPES[column]:
            raise ContractError(f"{name}.{column} is of type {frame[column].dtype}, not {_TYPES[column]}")
    follows = np.zeros(max(0, len(frame) - 1), dtype=bool)
    same = ~follows
    for key in columns[:-1]:
        step = np.diff(_ordinal(frame[key], f"{name}.{key}"))
        follows |= same & (step > 0)
        same &= step == 0
    if same.any():
        raise ContractError(f"{name} holds a row twice: {frame.iloc[int(np.argmax(same))].to_dict()}")
    if not follows.all():
        raise ContractError(f"{name} is not sorted by {', '.join(columns[:-1])}")


def _ordinal(column: pd.Series, name: str) -> IntArray:
    if pd.api.types.is_datetime64_any_dtype(column):
        return _millis(column)
    if not isinstance(column.dtype, pd.CategoricalDtype):
        raise ContractError(f"{name} is of type {column.dtype}, not a category")
    if not column.cat.categories.is_monotonic_increasing:
        raise ContractError(f"the categories of {name} are not sorted")
    return np.asarray(column.cat.codes, dtype=np.int64)


def _check_numbers(values: pd.Series, name: str) -> None:
    found = values.to_numpy()
    if not np.isfinite(found).all():
        raise ContractError(f"{name} holds what is not a number; leave the row out, nothing is no value")
    if name.endswith("count") and (found < 0).any():
        raise ContractError(f"{name} holds {found.min()}, and no number of events is below 0")


def _check_window(at: pd.Series, window: Window, name: str) -> None:
    if at.empty:
        return
    if at.min() < window.start_at or at.max() >= window.end_at:
        raise ContractError(f"{name} leaves its window [{window.start_at}, {window.end_at})")


def _bytes(column: pd.Series) -> bytes:
    if pd.api.types.is_datetime64_any_dtype(column):
        return column.astype("int64").to_numpy().tobytes()
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy().tobytes()
    names = column.cat.remove_unused_categories()
    return "\x1f".join(names.cat.categories).encode() + names.cat.codes.to_numpy(np.int32).tobytes()


@dataclass(frozen=True, slots=True)
class SampleTable:
    """The samples of one KPI as an array: services x steps."""

    services: tuple[str, ...]
    at_ms: IntArray
    values: FloatArray
    """Shape (services, steps), NaN at gaps."""


@dataclass(frozen=True, slots=True)
class CountTable:
    """The counts of one counter as an array: services x bounds x slots."""

    services: tuple[str, ...]
    les: tuple[str, ...]
    """``bad, total`` or the bucket bounds in increasing order."""
    slot_ms: IntArray
    counts: IntArray
    """Shape (services, les, slots); 0 where nothing was counted."""

    def of(self, service: str) -> IntArray:
        """Return the counts of one service, shape (les, slots); of all services together for ``*``."""
        if service == ALL_SERVICES:
            return self.counts.sum(axis=0)
        return self.counts[self.services.index(service)]


def sample_table(telemetry: Telemetry, kpi: str) -> SampleTable:
    """Return the samples of one KPI on the grid of its step."""
    quality, columns = telemetry.quality.of(kpi), telemetry.columns("samples")
    window, step_ms = telemetry.quality.window, 1000 * (quality.step_s if quality else 60)
    at_ms = np.arange(window.start_ms, window.end_ms, step_ms, dtype=np.int64)
    rows = columns.rows(kpi)
    row, services = _used(*columns.keys[0], rows)
    values = np.full((len(services), len(at_ms)), np.nan)
    values[row, (columns.at_ms[rows] - window.start_ms) // step_ms] = columns.values[rows]
    return SampleTable(services, at_ms, values)


def count_table(telemetry: Telemetry, counter: str, *, les: Sequence[str] = ()) -> CountTable:
    """Return the counts of one counter on the grid of the slots.

    Parameters
    ----------
    les : sequence of str
        Bounds that the histogram has. A frame leaves zeros out, so a bucket in which nothing fell would be missed, and
        the bucket above it would seem to start lower than it does.
    """
    window, slot_ms = telemetry.quality.window, 1000 * telemetry.quality.slot_s
    grid = np.arange(window.start_ms, window.end_ms, slot_ms, dtype=np.int64)
    return _count_table(telemetry.columns("counts"), counter, grid, les)


def _count_table(columns: _Columns, counter: str, grid: IntArray, bounds: Sequence[str]) -> CountTable:
    rows = columns.rows(counter)
    row, services = _used(*columns.keys[0], rows)
    code, names = _used(*columns.keys[1], rows)
    les = tuple(sorted({*names, *bounds}, key=le_order))
    place = np.array([les.index(name) for name in names], dtype=np.int64)
    counts = np.zeros((len(services), len(les), len(grid)), dtype=np.int64)
    if len(row):
        counts[row, place[code], np.searchsorted(grid, columns.at_ms[rows])] = columns.values[rows]
    return CountTable(services, les, grid, counts)


def _used(codes: NDArray[np.integer], categories: tuple[str, ...], rows: slice) -> tuple[IntArray, tuple[str, ...]]:
    """Return a slice of a column of names as numbers, and the names they stand for, sorted; unused names left out."""
    some = codes[rows]
    used = np.flatnonzero(np.bincount(some, minlength=len(categories)))
    place = np.zeros(len(categories), dtype=np.int64)
    place[used] = np.arange(len(used))
    return place[some], tuple(categories[i] for i in used)


def arrivals_of(kpi: str) -> str:
    """Return the counter under which the scrapes of a KPI that arrived are kept, ``total`` per slot.

    Examples
    --------
    >>> arrivals_of("availability")
    'availability.scrapes'
    """
    return f"{kpi}.scrapes"


def prior_table(telemetry: Telemetry, counter: str, *, les: Sequence[str] = ()) -> CountTable:
    """Return the daily counts before GA of one counter, in the same shape."""
    columns = telemetry.columns("prior")
    return _count_table(columns, counter, np.unique(columns.at_ms[columns.rows(counter)]), les)


def le_order(le: str) -> tuple[float, str]:
    """Return where a bound stands: ``bad``, ``total``, then the buckets from the smallest to +Inf."""
    return (-1.0, le) if le in {BAD, TOTAL} else (float(le), le)


def _millis(at: pd.Series) -> IntArray:
    return np.asarray(at.astype("datetime64[ms, UTC]").astype("int64"), dtype=np.int64)


def utc_column(at_ms: IntArray) -> pd.Series:
    """Return milliseconds since 1970 as a column of instants in UTC."""
    return pd.Series(pd.DatetimeIndex(at_ms.astype("datetime64[ms]"), tz="UTC"))


def sample_frame(tables: Mapping[str, SampleTable]) -> pd.DataFrame:
    """Return tables of samples as one sorted frame; rows without a finite value are left out."""
    return _frame(
        SAMPLE_COLUMNS,
        (
            (kpi, service, table.at_ms[known], table.values[i][known].astype(np.float32))
            for kpi, table in sorted(tables.items())
            for i, service in enumerate(table.services)
            if (known := np.isfinite(table.values[i])).any()
        ),
        np.float32,
    )


def count_frame(tables: Mapping[str, CountTable]) -> pd.DataFrame:
    """Return tables of counts as one sorted frame; slots without an event are left out."""
    return _frame(
        COUNT_COLUMNS,
        (
            (counter, service, le, table.slot_ms[some], table.counts[i, j][some])
            for counter, table in sorted(tables.items())
            for i, service in enumerate(table.services)
            for j, le in sorted(enumerate(table.les), key=lambda pair: pair[1])
            if (some := table.counts[i, j] != 0).any()
        ),
        np.int64,
    )


def _frame(columns: Sequence[str], blocks: Iterator[tuple], dtype: type) -> pd.DataFrame:
    parts = list(blocks)
    lengths = [len(part[-1]) for part in parts]
    keys = {name: _names([part[i] for part in parts], lengths) for i, name in enumerate(columns[:-2])}
    at = np.concatenate([part[-2] for part in parts]) if parts else np.empty(0, np.int64)
    value = np.concatenate([part[-1] for part in parts]) if parts else np.empty(0, dtype)
    return pd.DataFrame({**keys, columns[-2]: utc_column(at), columns[-1]: value.astype(dtype)})


def _names(names: Sequence[str], lengths: Sequence[int]) -> pd.Categorical:
    """Repeat names into a column whose categories are sorted."""
    categories = sorted(set(names))
    place = {name: i for i, name in enumerate(categories)}
    codes = np.repeat(np.array([place[name] for name in names], dtype=np.int64), lengths)
    return pd.Categorical.from_codes(codes, categories=pd.Index(categories, dtype="str"))


def gap_lengths_s(arrived: IntArray, *, slot_s: int) -> list[int]:
    """Return the lengths of the runs of slots without a single scrape, seconds.

    Examples
    --------
    >>> gap_lengths_s(np.array([5, 0, 0, 5, 0]), slot_s=300)
    [600, 300]
    """
    empty = np.concatenate(([0], (arrived == 0).astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(empty))
    return [int(n) * slot_s for n in (edges[1::2] - edges[::2])]
