"""A running day made up slot by slot: what each service counted, and how many scrapes of it arrived."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from tars_ops.core.policy import LatencyKpi, Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import (
    BAD,
    INF,
    TOTAL,
    CountTable,
    IntArray,
    KpiQuality,
    Quality,
    SeriesQuality,
    ServerQuality,
    Telemetry,
    arrivals_of,
    count_frame,
    gap_lengths_s,
    sample_frame,
)
from tars_ops.core.watch.running import running_window
from tars_ops_tests.core.factories import GA_AT, demo_policy, release

PER_SLOT = 5
"""Scrapes of a slot of 300 s."""


@dataclass(frozen=True)
class Counted:
    """What one service counted in each slot; ``newest`` tells the last slots apart, oldest first."""

    total: int = 6000
    bad: int = 0
    slow: int = 0
    arrived: int = PER_SLOT
    newest_total: tuple[int, ...] = ()
    newest_bad: tuple[int, ...] = ()
    newest_arrived: tuple[int, ...] = ()

    def row(self, what: str, n_slots: int) -> IntArray:
        row = np.full(n_slots, getattr(self, what), dtype=np.int64)
        newest = getattr(self, f"newest_{what}", ())[-n_slots:]
        row[n_slots - len(newest) :] = newest
        return row


STEADY = Counted()


def at(hours: float) -> datetime:
    """Return an instant, hours after GA."""
    return GA_AT + timedelta(hours=hours)


def running(
    services: Mapping[str, Counted],
    *,
    until: datetime,
    of: Release | None = None,
    policy: Policy | None = None,
    without: tuple[tuple[str, str], ...] = (),
    warned: tuple[str, ...] = (),
    refused: tuple[str, ...] = (),
) -> Telemetry:
    """Return what a source would tell of the running day; ``without`` are (KPI, service) that do not exist."""
    of, promises = of or release(), (policy or demo_policy()).promises
    _, window = running_window(of, promises, until)
    measurement = promises.measurement
    slot_ms = np.arange(window.start_ms, window.end_ms, 1000 * measurement.slot_s, dtype=np.int64)
    tables: dict[str, CountTable] = {}
    series: list[SeriesQuality] = []
    for name in (name for name in promises.slos if name not in refused):
        those = {service: one for service, one in sorted(services.items()) if (name, service) not in without}
        tables[promises.counter(name) or name] = _counts(promises, name, those, slot_ms)
        arrived = {service: one.row("arrived", len(slot_ms)) for service, one in those.items()}
        tables[arrivals_of(name)] = _table(tuple(those), (TOTAL,), slot_ms, [[row] for row in arrived.values()])
        series += _series(name, arrived, measurement.slot_s)
    quality = Quality(
        start_at=window.start_at,
        end_at=window.end_at,
        scrape_interval_s=measurement.scrape_interval_s,
        slot_s=measurement.slot_s,
        server=ServerQuality(product="prometheus", version="3.5.0"),
        kpis=tuple(
            KpiQuality(
                kpi=name,
                step_s=measurement.step_s,
                queries=(f"query of {name}",),
                warnings=("a shard did not answer",) if name in warned else (),
                refused="HTTP 422: too many samples" if name in refused else None,
                response_sha256="b" * 64,
            )
            for name in promises.slos
        ),
        series=tuple(series),
    )
    return Telemetry(sample_frame({}), count_frame(tables), count_frame({}), quality)


def _counts(policy: Policy, name: str, services: Mapping[str, Counted], slot_ms: IntArray) -> CountTable:
    kpi, n = policy.judged[name], len(slot_ms)
    if not isinstance(kpi, LatencyKpi):
        rows = [[one.row("bad", n), one.row("total", n)] for one in services.values()]
        return _table(tuple(services), (BAD, TOTAL), slot_ms, rows)
    assert kpi.slo is not None
    bounds = policy.histograms[kpi.histogram]
    les = (*(f"{bound:g}" for bound in bounds), INF)
    rows = [
        [one.row("total", n) - (one.row("slow", n) if bound <= kpi.slo.threshold_s else 0) for bound in bounds]
        + [one.row("total", n)]
        for one in services.values()
    ]
    return _table(tuple(services), les, slot_ms, rows)


def _table(services: tuple[str, ...], les: tuple[str, ...], slot_ms: IntArray, rows: list) -> CountTable:
    return CountTable(services, les, slot_ms, np.array(rows, np.int64).reshape(len(services), len(les), len(slot_ms)))


def _series(kpi: str, arrived: Mapping[str, IntArray], slot_s: int) -> Iterator[SeriesQuality]:
    for service, row in arrived.items():
        gaps = gap_lengths_s(row, slot_s=slot_s)
        if row.any():
            yield SeriesQuality(
                kpi=kpi,
                service=service,
                n_expected=PER_SLOT * len(row),
                n_arrived=int(row.sum()),
                n_gaps=len(gaps),
                longest_gap_s=max(gaps, default=0),
                n_nan=0,
                n_resets=0,
                n_series=1,
            )
