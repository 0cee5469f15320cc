"""What of a simulated week reaches a scraper, as telemetry of whole days?

Scrapes that are missing take samples with them; counters go on, so their events are found in the next slot that was
scraped. A restart loses what was counted since its last scrape.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window
from tars_ops.core.telemetry import (
    BAD,
    INF,
    TOTAL,
    CountTable,
    IntArray,
    KpiQuality,
    Quality,
    SampleTable,
    SeriesQuality,
    ServerQuality,
    Telemetry,
    count_frame,
    gap_lengths_s,
    sample_frame,
)
from tars_ops_tests.benchmarks.simulated.events import BOUNDS_S, DB_BOUNDS_S, PER_SLOT, Events, FloatArray
from tars_ops_tests.benchmarks.simulated.world import N_DAYS, N_SLOTS, SEED, SLOT_S, STEP_S, Kind, World

USD_PER_CORE_HOUR, USD_PER_BYTE_HOUR = 0.12, 5e-12


class Observed:
    """A week as a scraper saw it; telemetry is made of it day by day."""

    def __init__(self, world: World, events: Events, policy: Policy, *, with_fault: bool = True) -> None:
        self.world, self.events, self.policy = world, events, policy
        self.names = tuple(one.name for one in world.services)
        rng = np.random.default_rng([SEED, world.number, 0, int(with_fault)])
        self.alive = _alive(world, rng, with_fault=with_fault)
        self.counts = dict(self._counters(_lost(world, self.alive, rng)))

    def _counters(self, lost: FloatArray) -> Iterator[tuple[str, tuple[tuple[str, ...], IntArray]]]:
        seen = self.events
        yield "availability", ((BAD, TOTAL), _scraped(np.stack([seen.bad, seen.total], axis=1), self.alive, lost))
        yield (
            "cache_hit_ratio",
            ((BAD, TOTAL), _scraped(np.stack([seen.misses, seen.lookups], axis=1), self.alive, lost)),
        )
        for name, bounds, buckets in (
            ("http_request_duration_seconds", BOUNDS_S, seen.latency),
            ("db_query_duration_seconds", DB_BOUNDS_S, seen.db),
        ):
            cumulative = np.cumsum(_scraped(buckets, self.alive, lost), axis=1)
            yield name, (_les(bounds), cumulative)

    def day(self, release: Release, day: int) -> Telemetry:
        """Return the telemetry of a day; 0 is the GA day, with the days before it."""
        window = release.window(day)
        return Telemetry(
            samples=sample_frame(dict(self._samples(window, day))),
            counts=count_frame({name: self._counted(name, window, day) for name in self.counts}),
            prior=count_frame(dict(self._prior(window)) if day == 0 else {}),
            quality=Quality(
                start_at=window.start_at,
                end_at=window.end_at,
                scrape_interval_s=STEP_S,
                slot_s=SLOT_S,
                server=ServerQuality(product="simulated", version="1"),
                kpis=tuple(_asked(name) for name in self.policy.judged),
                series=tuple(self._arrived(day)),
            ),
        )

    def _counted(self, name: str, window: Window, day: int) -> CountTable:
        les, counts = self.counts[name]
        return CountTable(self.names, les, _grid(window, SLOT_S), counts[:, :, day * N_SLOTS : (day + 1) * N_SLOTS])

    def _samples(self, window: Window, day: int) -> Iterator[tuple[str, SampleTable]]:
        part = slice(day * N_SLOTS * PER_SLOT, (day + 1) * N_SLOTS * PER_SLOT)
        gap = ~np.repeat(self.alive, PER_SLOT, axis=1)[:, part]
        for name, values in self._gauges(part):
            yield name, SampleTable(self.names, _grid(window, STEP_S), np.where(gap, np.nan, values))

    def _gauges(self, part: slice) -> Iterator[tuple[str, FloatArray]]:
        seen = self.events
        cpu, memory = seen.cpu[:, part], seen.memory[:, part]
        yield "uptime", np.ones_like(cpu)
        yield "request_rate", seen.request_rate[:, part]
        yield "cpu", cpu
        yield "memory", memory
        yield "cost_per_hour", USD_PER_CORE_HOUR * cpu + USD_PER_BYTE_HOUR * memory + 0.005
        yield "firing_critical_alerts", np.zeros_like(cpu)

    def _prior(self, window: Window) -> Iterator[tuple[str, CountTable]]:
        total, bad, buckets = self.events.prior
        day_ms = 1000 * window.length_s
        days = window.start_ms + day_ms * np.arange(-total.shape[1], 0, dtype=np.int64)
        yield "availability", CountTable(self.names, (BAD, TOTAL), days, np.stack([bad, total], axis=1))
        cumulative = np.cumsum(buckets, axis=1)
        yield "http_request_duration_seconds", CountTable(self.names, _les(BOUNDS_S), days, cumulative)

    def _arrived(self, day: int) -> Iterator[SeriesQuality]:
        alive = self.alive[:, day * N_SLOTS : (day + 1) * N_SLOTS]
        for kpi in self.policy.judged:
            for place, name in enumerate(self.names):
                if not alive[place].any():
                    continue
                gaps = gap_lengths_s(alive[place].astype(np.int64), slot_s=SLOT_S)
                yield SeriesQuality(
                    kpi=kpi,
                    service=name,
                    n_expected=N_SLOTS * PER_SLOT,
                    n_arrived=int(alive[place].sum()) * PER_SLOT,
                    n_gaps=len(gaps),
                    longest_gap_s=max(gaps, default=0),
                    n_nan=0,
                    n_resets=0,
                    n_series=1,
                )


def _alive(world: World, rng: np.random.Generator, *, with_fault: bool) -> np.ndarray:
    """Tell which slots are scraped, services x slots: runs are missing, up to the world's share of each day."""
    alive = np.ones((len(world.services), (N_DAYS + 1) * N_SLOTS), dtype=bool)
    if world.missing:
        for row in alive.reshape(-1, N_SLOTS):
            n_missing = int(rng.integers(0, round(world.missing * N_SLOTS) + 1))
            for length in np.diff([0, *np.sort(rng.integers(0, n_missing + 1, 2)), n_missing]):
                start = int(rng.integers(0, N_SLOTS - length))
                row[start : start + length] = False
    if with_fault and world.fault is not None and world.fault.kind is Kind.SILENT:
        alive[list(world.fault.services), world.fault.start_slot :] = False
    return alive


def _lost(world: World, alive: np.ndarray, rng: np.random.Generator) -> FloatArray:
    """Return the share of each slot's events that a restart takes with it."""
    lost = np.zeros(alive.shape)
    for row in lost:
        row[rng.integers(0, len(row), world.n_resets)] = rng.uniform(0.0, STEP_S / SLOT_S)
    return lost


def _scraped(counts: IntArray, alive: np.ndarray, lost: FloatArray) -> IntArray:
    """Move what happened in gaps to the next slot that was scraped; services x bounds x slots."""
    seen = np.floor(counts * (1 - lost)[:, None, :]).astype(np.int64) if lost.any() else counts
    if alive.all():
        return seen
    moved = np.zeros_like(seen)
    for i, row in enumerate(alive):
        scraped = np.flatnonzero(row)
        if len(scraped):
            ends = np.concatenate([[0], scraped[:-1] + 1])
            moved[i][:, scraped] = np.add.reduceat(seen[i][:, : scraped[-1] + 1], ends, axis=1)
    return moved


def _les(bounds: tuple[float, ...]) -> tuple[str, ...]:
    return (*(f"{bound:g}" for bound in bounds), INF)


def _grid(window: Window, step_s: int) -> IntArray:
    return np.arange(window.start_ms, window.end_ms, 1000 * step_s, dtype=np.int64)


def _asked(kpi: str) -> KpiQuality:
    return KpiQuality(kpi=kpi, step_s=STEP_S, queries=(f"query of {kpi}",), response_sha256="b" * 64)
