"""A fleet from one table: the same findings however it is cut, and nothing from a table that cannot be trusted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tars_ops.adapters.fleet import EVENTS_FILE, KPIS_FILE, detect_fleet
from tars_ops.adapters.long_table import LongTable
from tars_ops.core.errors import CannotCreateError, ContractError, MissingInputError
from tars_ops.core.policy import Anomalies
from tars_ops.core.watch.detector.detection import View, score_threshold
from tars_ops.core.watch.detector.detector import events_only

START = pd.Timestamp("2025-11-18 10:00", tz="UTC")
N, STEP_S = 1440, 60


def fleet() -> pd.DataFrame:
    """Six series over parts of two days: whole, late, with holes, and one that breaks."""
    rng = np.random.default_rng(3)
    frames = []
    for i, key in enumerate(
        [("api", "cpu"), ("api", "rate"), ("db", "cpu"), ("db", "rate"), ("web", "cpu"), ("web", "x")]
    ):
        values = rng.normal(0.5, 0.02, N)
        if i == 4:
            values[1200:1220] += 2.0
        is_there = np.ones(N, dtype=bool) if i % 3 == 0 else rng.random(N) > 0.1 if i % 3 == 1 else np.arange(N) > 400
        at = START + pd.to_timedelta(STEP_S * np.arange(N), unit="s")
        frame = pd.DataFrame({"service": key[0], "kpi": key[1], "at": at, "value": values.astype(np.float32)})
        frames.append(frame[is_there])
    return pd.concat(frames, ignore_index=True)


def written(frame: pd.DataFrame, path: Path, **options: Any) -> Path:
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, **options)
    return path


def results(path: Path, output: Path, **options: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    detect_fleet(path, output, **options)
    return pd.read_parquet(output / EVENTS_FILE), pd.read_parquet(output / KPIS_FILE)


def test_the_kpis_of_a_day_are_exact(tmp_path: Path) -> None:
    frame = fleet()
    _, kpis = results(written(frame, tmp_path / "in.parquet", row_group_size=1000), tmp_path)
    of_days = frame.astype({"value": float}).groupby(["service", "kpi", frame["at"].dt.floor("D")])["value"]
    expected = of_days.agg(["size", "mean", *(lambda x, q=q: x.quantile(q) for q in (0.5, 0.95, 0.99))]).to_numpy()

    np.testing.assert_allclose(kpis[["n_samples", "mean", "p50", "p95", "p99"]].to_numpy(), expected, rtol=1e-12)
    assert list(kpis["day"].unique()) == [START.floor("D"), START.floor("D") + pd.Timedelta(days=1)]


def test_the_events_are_those_of_each_series_alone(tmp_path: Path) -> None:
    frame = fleet()
    events, _ = results(written(frame, tmp_path / "in.parquet"), tmp_path)
    threshold, rows = score_threshold(Anomalies().false_alarms_per_day, STEP_S), []
    for (service, kpi), series in frame.groupby(["service", "kpi"]):
        place = ((series["at"] - START).dt.total_seconds() // STEP_S).astype(int).to_numpy()
        values = np.full((1, N), np.nan, np.float32)
        values[0, place] = series["value"]
        found = events_only(values, None, step_s=STEP_S, start_s=36_000, threshold=threshold)  # pyright: ignore[reportArgumentType]
        for start, end, peak, view in zip(found.start, found.end, found.peak, found.view, strict=True):
            instants = [START + pd.Timedelta(seconds=STEP_S * int(one)) for one in (start, end, peak)]
            rows.append([service, kpi, *instants, View(view).name.lower()])

    columns = ["service", "kpi", "start_at", "end_at", "peak_at", "view"]
    assert events[columns].astype({"service": str, "kpi": str}).to_numpy().tolist() == rows
    assert ("web", "cpu") in {(service, kpi) for service, kpi, *_ in rows}


@pytest.mark.parametrize("row_group_size", [2, 7, 1000, 100_000])
@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_row_groups_and_threads_change_nothing(tmp_path: Path, row_group_size: int, n_workers: int) -> None:
    frame = fleet()
    if row_group_size < 100:
        frame = frame[frame["at"] < START + pd.Timedelta(minutes=20)]
    whole = results(written(frame, tmp_path / "one.parquet"), tmp_path / "whole")
    path = written(frame, tmp_path / "cut.parquet", row_group_size=row_group_size)
    cut = results(path, tmp_path / "cut", n_workers=n_workers)

    for a, b in zip(whole, cut, strict=True):
        pd.testing.assert_frame_equal(a, b)


@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame.astype({"service": "category", "kpi": "category"}),
        lambda frame: frame.assign(at=frame["at"].astype("datetime64[us, UTC]")),
        lambda frame: frame.assign(at=frame["at"].dt.tz_convert("Europe/Berlin")),
        lambda frame: frame.assign(extra=1)[["extra", "value", "at", "kpi", "service"]],
    ],
)
def test_the_same_table_in_other_types_says_the_same(tmp_path: Path, change: Callable[[Any], Any]) -> None:
    frame = fleet()
    there = results(written(frame, tmp_path / "one.parquet"), tmp_path / "one")
    other = results(written(change(frame), tmp_path / "other.parquet"), tmp_path / "other")

    for a, b in zip(there, other, strict=True):
        pd.testing.assert_frame_equal(a, b)


def test_a_missing_value_is_a_gap_like_a_missing_row(tmp_path: Path) -> None:
    frame = fleet()
    holes = frame.assign(value=frame["value"].where(np.arange(len(frame)) % 50 > 0))
    there = results(written(holes, tmp_path / "one.parquet"), tmp_path / "one")
    other = results(written(holes.dropna(), tmp_path / "other.parquet"), tmp_path / "other")

    for a, b in zip(there, other, strict=True):
        pd.testing.assert_frame_equal(a, b)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda frame: frame.iloc[::-1], "that increase"),
        (lambda frame: frame.sort_values(["at", "service", "kpi"]), "that increase|comes after"),
        (lambda frame: pd.concat([frame, frame.iloc[:100]]), "comes after"),
        (lambda frame: pd.concat([frame.iloc[:1440], frame.iloc[:100], frame.iloc[1440:]]), "increase"),
        (lambda frame: pd.concat([frame.iloc[700:1400], frame.iloc[:700], frame.iloc[1400:]]), "increase"),
        (lambda frame: pd.concat([frame, frame.iloc[-100:]]), "increase"),
        (lambda frame: frame.assign(at=frame["at"] + pd.to_timedelta(7 * (frame.index == 5000), "s")), "multiples"),
        (lambda frame: frame.assign(value=frame["value"].where(frame.index != 5000, np.inf)), "the series .* infinite"),
        (lambda frame: frame.assign(service=frame["service"].where(frame.index != 5000)), "rows without service"),
        (lambda frame: frame.assign(at=frame["at"].where(frame.index != 5000)), "rows without at"),
        (lambda frame: frame.drop(columns="kpi"), "no column kpi"),
        (lambda frame: frame.iloc[:0], "no rows"),
        (lambda frame: frame.iloc[:1], "that increase"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("row_group_size", [700, 100_000])
def test_a_table_that_breaks_the_contract_is_refused(
    tmp_path: Path, change: Callable[[Any], Any], told: str, row_group_size: int
) -> None:
    path = written(change(fleet()), tmp_path / "in.parquet", row_group_size=row_group_size)

    with pytest.raises(ContractError, match=told):
        detect_fleet(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_without_statistics_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="statistics"):
        LongTable(written(fleet(), tmp_path / "in.parquet", write_statistics=False))


def test_what_is_no_parquet_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "in.parquet"
    path.write_bytes(b"service,kpi\n")

    with pytest.raises(ContractError, match="no Parquet file"):
        LongTable(path)
    with pytest.raises(MissingInputError, match="no such file"):
        LongTable(tmp_path / "other.parquet")


def test_a_result_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")

    with pytest.raises(CannotCreateError, match=r"events\.parquet"):
        detect_fleet(written(fleet(), tmp_path / "in.parquet"), tmp_path / "out")
