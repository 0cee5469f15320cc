"""Telemetry made up from a seed: whole days of a small product, with faults put in on purpose.

No server and no file is involved: arrays go straight into the contract of ``core.telemetry``. Equal arguments give
equal telemetry.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy import special

from tars_ops.core.policy import CostKpi, LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Release, Window
from tars_ops.core.telemetry import (
    BAD,
    INF,
    TOTAL,
    CountTable,
    FloatArray,
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
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline, summarise
from tars_ops.core.watch.health import DailyHealth, assess_health
from tars_ops.core.watch.regression import RegressionAnalysis, analyse
from tars_ops.core.watch.stability import DailyStability, judge_day

POLICY_FILE = Path(__file__).parents[2] / "policies" / "tars.yaml"
GA_AT = datetime(2025, 11, 18, tzinfo=UTC)
SPREAD_OF_LATENCY = 0.6
"""Standard deviation of the logarithm of a duration."""
USUAL_LATENCY_S: Mapping[str, float] = {"http_request_duration_seconds": 0.08, "db_query_duration_seconds": 0.01}
PRIOR_DAYS = 29


def policy_tree(**changes: Any) -> dict[str, Any]:
    return {**yaml.safe_load(POLICY_FILE.read_text(encoding="utf-8")), **changes}


@cache
def demo_policy() -> Policy:
    return Policy.model_validate(policy_tree())


def policy_with(kpi: str, **changes: Any) -> Policy:
    """Return the demo policy with other settings of one KPI."""
    tree = policy_tree()
    tree["kpis"][kpi] = {**tree["kpis"][kpi], **changes}
    return Policy.model_validate(tree)


def release(**changes: Any) -> Release:
    return Release.model_validate(
        {"product": "tars", "version": "1.0.1", "ga_at": GA_AT, "policy_sha256": "a" * 64, **changes}
    )


@dataclass(frozen=True, kw_only=True)
class Change:
    """What becomes different, for one service or for all, during some hours of the day."""

    service: str | None = None
    hours: tuple[float, float] = (0.0, 24.0)
    errors: float = 0.0
    """Share of requests that fail on top of the usual ones."""
    latency: float = 1.0
    db_latency: float = 1.0
    traffic: float = 1.0
    cpu: float = 1.0
    memory: float = 1.0
    misses: float = 1.0
    up: float = 1.0
    alerts: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One day of the product, and how much of it arrives."""

    services: tuple[str, ...] = ("api", "worker")
    changes: tuple[Change, ...] = ()
    requests_per_s: float = 20.0
    errors: float = 1e-4
    noise: float = 0.02
    keep: float = 1.0
    """Share of scrapes that arrive, evenly thinned."""
    silent: tuple[tuple[str, float, float], ...] = ()
    """(service, from hour, to hour) without any scrape."""
    nan: tuple[tuple[str, str, float], ...] = ()
    """(KPI, service, share of the day) scraped, but answered as NaN."""
    warned: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    unrecorded: tuple[str, ...] = ()
    """KPIs that nobody asked for."""
    without: tuple[tuple[str, str], ...] = ()
    """(KPI, service) that does not exist."""
    prior_errors: float | None = None
    """Share of bad requests on each of the 29 days before GA; None where nothing is known of them."""
    server_version: str = "3.5.0"


STEADY = Scene()


def during(*changes: Change, **knobs: Any) -> Scene:
    return Scene(changes=changes, **knobs)


@dataclass(frozen=True)
class _Clock:
    """The grids of one window."""

    window: Window
    step_s: int
    slot_s: int

    def grid(self, step_s: int) -> IntArray:
        return np.arange(self.window.start_ms, self.window.end_ms, 1000 * step_s, dtype=np.int64)

    def hours(self, step_s: int) -> FloatArray:
        """Hours since the start of the window, scaled so that a day of any length has 24."""
        return (self.grid(step_s) - self.window.start_ms) / (1000 * self.window.length_s) * 24


class _Service:
    """One service over one window."""

    def __init__(self, name: str, scene: Scene, clock: _Clock, rng: np.random.Generator) -> None:
        self.name, self.scene, self.clock, self.rng = name, scene, clock, rng

    def _factor(self, what: str, step_s: int) -> FloatArray:
        hours = self.clock.hours(step_s)
        factor = np.ones(len(hours))
        for change in self.scene.changes:
            if change.service in {None, self.name}:
                inside = (hours >= change.hours[0]) & (hours < change.hours[1])
                factor = np.where(inside, factor * getattr(change, what), factor)
        return factor

    def _added(self, what: str, step_s: int) -> FloatArray:
        hours = self.clock.hours(step_s)
        return np.sum(
            [
                np.where((hours >= c.hours[0]) & (hours < c.hours[1]), getattr(c, what), 0.0)
                for c in self.scene.changes
                if c.service in {None, self.name}
            ],
            axis=0,
            initial=0.0,
        ) * np.ones(len(hours))

    def alive(self, step_s: int) -> np.ndarray:
        hours = self.clock.hours(step_s)
        silent = [(hours >= a) & (hours < b) for name, a, b in self.scene.silent if name == self.name]
        return ~np.any(silent, axis=0) if silent else np.ones(len(hours), dtype=bool)

    def arrived(self) -> np.ndarray:
        """Tell which scrapes arrive."""
        n = len(self.clock.grid(self.clock.step_s))
        place = np.arange(n)
        kept = np.floor((place + 1) * self.scene.keep) > np.floor(place * self.scene.keep)
        return kept & self.alive(self.clock.step_s)

    def _noisy(self, values: FloatArray) -> FloatArray:
        return values * np.exp(self.scene.noise * self.rng.standard_normal(len(values)))

    def load(self, step_s: int) -> FloatArray:
        """Requests per second: a wave over the day times the traffic."""
        season = 1 + 0.4 * np.sin(2 * np.pi * (self.clock.hours(step_s) - 8) / 24)
        return self.scene.requests_per_s * season * self._factor("traffic", step_s)

    def _failing(self, step_s: int) -> FloatArray:
        return np.minimum(1.0, self.scene.errors + self._added("errors", step_s))

    def samples(self, kpi: str, policy: Policy) -> FloatArray:
        step_s = self.clock.step_s
        match policy.judged[kpi]:
            case LatencyKpi(histogram=histogram, quantile=q):
                usual = USUAL_LATENCY_S[histogram] * np.exp(SPREAD_OF_LATENCY * special.ndtri(q))
                return self._noisy(usual * self._latency(histogram, step_s))
            case RatioKpi() if kpi == "availability":
                n = np.maximum(self.rng.poisson(self.load(step_s) * 300), 1)
                return 1 - self.rng.binomial(n, self._failing(step_s)) / n
            case RatioKpi():
                return 1 - self._noisy(0.03 * self._factor("misses", step_s))
            case CostKpi():
                return self._noisy(0.05 * (0.5 + 0.5 * self.load(step_s) / self.scene.requests_per_s))
        return self._gauge(kpi, step_s)

    def _gauge(self, kpi: str, step_s: int) -> FloatArray:
        load = self.load(step_s)
        steady = np.ones(len(load))
        return {
            "uptime": lambda: self._factor("up", step_s),
            "request_rate": lambda: self._noisy(load),
            "cpu": lambda: self._noisy(0.02 * load * self._factor("cpu", step_s)),
            "memory": lambda: self._noisy(3e8 * steady * self._factor("memory", step_s)),
            "firing_critical_alerts": lambda: self._added("alerts", step_s),
        }[kpi]()

    def _latency(self, histogram: str, step_s: int) -> FloatArray:
        return self._factor("latency" if histogram.startswith("http") else "db_latency", step_s)

    def requests(self) -> tuple[IntArray, IntArray]:
        """Bad and valid requests per slot."""
        slot_s = self.clock.slot_s
        total = self.rng.poisson(self.load(slot_s) * slot_s) * self.alive(slot_s)
        return self.rng.binomial(total, self._failing(slot_s)), total

    def lookups(self) -> tuple[IntArray, IntArray]:
        """Missed and all look-ups of the cache per slot."""
        slot_s = self.clock.slot_s
        total = self.rng.poisson(3 * self.load(slot_s) * slot_s) * self.alive(slot_s)
        return self.rng.binomial(total, np.minimum(1.0, 0.03 * self._factor("misses", slot_s))), total

    def buckets(self, histogram: str, bounds: tuple[float, ...]) -> IntArray:
        """Cumulative events per bound and slot, the last bound being +Inf."""
        slot_s = self.clock.slot_s
        total = self.rng.poisson(self.load(slot_s) * slot_s) * self.alive(slot_s)
        median = USUAL_LATENCY_S[histogram] * self._latency(histogram, slot_s)
        below = special.ndtr((np.log(np.array(bounds))[:, None] - np.log(median)) / SPREAD_OF_LATENCY)
        shares = np.diff(below, axis=0, prepend=0.0, append=1.0)
        return np.cumsum(self.rng.multinomial(total, shares.T), axis=1).T


def telemetry(day: int = 1, scene: Scene = STEADY, *, seed: int = 1, of: Release | None = None) -> Telemetry:
    """Return one day of the demo product; the same arguments are computed once."""
    return _telemetry(day, scene, seed, of or release())


@cache
def _telemetry(day: int, scene: Scene, seed: int, of: Release) -> Telemetry:
    return make(demo_policy(), of, day, scene, seed=seed)


def make(policy: Policy, of: Release, day: int, scene: Scene = STEADY, *, seed: int = 1) -> Telemetry:
    """Return one day of any policy whose KPIs are the demo's."""
    clock = _Clock(of.window(day), policy.measurement.step_s, policy.measurement.slot_s)
    services = [
        _Service(name, scene, clock, np.random.default_rng([seed, day, *name.encode()]))
        for name in sorted(scene.services)
    ]
    return Telemetry(
        samples=sample_frame(dict(_sample_tables(policy, scene, clock, services))),
        counts=count_frame(dict(_count_tables(policy, scene, clock, services))),
        prior=count_frame(dict(_prior_tables(of, scene)) if day == 0 and scene.prior_errors is not None else {}),
        quality=Quality(
            start_at=clock.window.start_at,
            end_at=clock.window.end_at,
            scrape_interval_s=clock.step_s,
            slot_s=clock.slot_s,
            server=ServerQuality(product="prometheus", version=scene.server_version),
            kpis=tuple(_kpi_qualities(policy, scene, clock)),
            series=tuple(_series_qualities(policy, scene, clock, services)),
        ),
    )


def _asked(policy: Policy, scene: Scene) -> list[str]:
    return [name for name in policy.judged if name not in scene.unrecorded]


def _answered(policy: Policy, scene: Scene) -> list[str]:
    return [name for name in _asked(policy, scene) if name not in scene.refused]


def _sample_tables(
    policy: Policy, scene: Scene, clock: _Clock, services: list[_Service]
) -> Iterator[tuple[str, SampleTable]]:
    for kpi in _answered(policy, scene):
        those = [one for one in services if (kpi, one.name) not in scene.without]
        rows = [np.where(one.arrived(), one.samples(kpi, policy), np.nan) for one in those]
        for one, row in zip(those, rows, strict=True):
            row[: sum(round(share * len(row)) for k, s, share in scene.nan if (k, s) == (kpi, one.name))] = np.nan
        yield kpi, _table(those, clock.grid(clock.step_s), rows)
        for part in getattr(policy.judged[kpi], "prices", {}):
            parts = [np.where(one.alive(clock.slot_s), 0.0125, np.nan) for one in those]
            yield f"{kpi}.{part}", _table(those, clock.grid(clock.slot_s), parts)


def _table(services: list[_Service], at_ms: IntArray, rows: list[FloatArray]) -> SampleTable:
    return SampleTable(tuple(one.name for one in services), at_ms, np.array(rows).reshape(len(rows), len(at_ms)))


def _count_tables(
    policy: Policy, scene: Scene, clock: _Clock, services: list[_Service]
) -> Iterator[tuple[str, CountTable]]:
    grid = clock.grid(clock.slot_s)
    for kpi in _answered(policy, scene):
        counter = policy.counter(kpi)
        those = [one for one in services if (kpi, one.name) not in scene.without]
        names = tuple(one.name for one in those)
        if counter in policy.histograms:
            bounds = policy.histograms[counter]
            les = (*(f"{bound:g}" for bound in bounds), INF)
            counts = np.array([one.buckets(counter, bounds) for one in those]).reshape(len(those), len(les), len(grid))
            yield counter, CountTable(names, les, grid, counts)
        elif counter:
            pairs = [one.requests() if kpi == "availability" else one.lookups() for one in those]
            yield counter, CountTable(names, (BAD, TOTAL), grid, np.array(pairs).reshape(len(those), 2, len(grid)))


def _prior_tables(of: Release, scene: Scene) -> Iterator[tuple[str, CountTable]]:
    start_ms, day_ms = of.window(0).start_ms, 1000 * of.day_length_s
    days = np.arange(start_ms - PRIOR_DAYS * day_ms, start_ms, day_ms, dtype=np.int64)
    total = round(scene.requests_per_s * of.day_length_s)
    bad = round(total * (scene.prior_errors or 0.0))
    block = np.repeat(np.array([[bad], [total]], dtype=np.int64), len(days), axis=1)
    names = tuple(sorted(scene.services))
    yield "availability", CountTable(names, (BAD, TOTAL), days, np.array([block] * len(names)))


def _kpi_qualities(policy: Policy, scene: Scene, clock: _Clock) -> Iterator[KpiQuality]:
    for kpi in _asked(policy, scene):
        parts = [f"{kpi}.{part}" for part in getattr(policy.judged[kpi], "prices", {})]
        for name in (kpi, *parts):
            yield KpiQuality(
                kpi=name,
                step_s=clock.slot_s if name in parts else clock.step_s,
                queries=(f"query of {name}",),
                warnings=("a shard did not answer",) if kpi in scene.warned else (),
                refused="HTTP 422: too many samples" if kpi in scene.refused else None,
                response_sha256="b" * 64,
            )


def _series_qualities(policy: Policy, scene: Scene, clock: _Clock, services: list[_Service]) -> Iterator[SeriesQuality]:
    per_slot = clock.slot_s // clock.step_s
    for kpi in _answered(policy, scene):
        for one in services:
            arrived = one.arrived()
            if (kpi, one.name) in scene.without or not arrived.any():
                continue
            gaps = gap_lengths_s(arrived.reshape(-1, per_slot).sum(axis=1), slot_s=clock.slot_s)
            shares = [share for k, s, share in scene.nan if (k, s) == (kpi, one.name)]
            yield SeriesQuality(
                kpi=kpi,
                service=one.name,
                n_expected=len(arrived),
                n_arrived=int(arrived.sum()),
                n_gaps=len(gaps),
                longest_gap_s=max(gaps, default=0),
                n_nan=sum(round(share * len(arrived)) for share in shares),
                n_resets=0,
                n_series=1,
            )


# The chain of judgements


def baseline(scene: Scene = STEADY, *, seed: int = 1) -> GaBaseline:
    return _baseline(scene, seed)


@cache
def _baseline(scene: Scene, seed: int) -> GaBaseline:
    return summarise(telemetry(0, scene, seed=seed), release(), demo_policy())


def stability(day: int = 1, scene: Scene = STEADY, *, ga: Scene = STEADY, seed: int = 1) -> DailyStability:
    return _stability(day, scene, ga, seed)


@cache
def _stability(day: int, scene: Scene, ga: Scene, seed: int) -> DailyStability:
    found = telemetry(day, scene, seed=seed)
    return judge_day(found, baseline(ga, seed=seed), release(), demo_policy(), day=day)


def anomalies(day: int = 1, scene: Scene = STEADY, *, seed: int = 1) -> AnomalyEvents:
    return _anomalies(day, scene, seed)


@cache
def _anomalies(day: int, scene: Scene, seed: int) -> AnomalyEvents:
    found = telemetry(day, scene, seed=seed)
    return find_anomalies(found, baseline(seed=seed), release(), demo_policy(), day=day)


def health(day: int = 1, scene: Scene = STEADY, *, ga: Scene = STEADY, seed: int = 1) -> DailyHealth:
    judged = stability(day, scene, ga=ga, seed=seed)
    return assess_health(judged, anomalies(day, scene, seed=seed), demo_policy())


def verdict(
    days: Mapping[int, Scene], *, as_of: int, ga: Scene = STEADY, seed: int = 1, policy: Policy | None = None
) -> RegressionAnalysis:
    """Judge a release whose days are given; a day that is not given is missing."""
    return analyse(
        telemetry(0, ga, seed=seed),
        baseline(ga, seed=seed),
        {day: telemetry(day, scene, seed=seed) for day, scene in days.items()},
        {day: stability(day, scene, ga=ga, seed=seed) for day, scene in days.items()},
        release(),
        policy or demo_policy(),
        as_of=as_of,
    )


def steady_days(last: int, **others: Scene) -> dict[int, Scene]:
    """Return days 1 to ``last``, steady but for those given as ``day_2=...``."""
    return {day: others.get(f"day_{day}", STEADY) for day in range(1, last + 1)}
