"""A week in which nothing happens has hardly any event, and none that anybody is called for."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy import signal

from tars_ops.core.telemetry import (
    BAD,
    TOTAL,
    CountTable,
    FloatArray,
    KpiQuality,
    Quality,
    SampleTable,
    SeriesQuality,
    ServerQuality,
    Telemetry,
    count_frame,
    sample_frame,
)
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyEvent
from tars_ops.core.watch.baseline import summarise
from tars_ops_tests.benchmarks.quiet import is_steady, quiet_day
from tars_ops_tests.core.factories import demo_policy, release

SERVICES = ("s1", "s2", "s3", "s4", "s5")
DAY, SLOTS = 1440, 288
N = 8 * DAY
LEVELS = {"memory": 3e8, "p50_latency": 0.05, "p95_latency": 0.2, "p99_latency": 0.3, "db_p95_latency": 0.02}
RELATIVE_NOISE = {"memory": 0.01, "p50_latency": 0.05, "p95_latency": 0.08, "p99_latency": 0.12, "db_p95_latency": 0.06}
Series = dict[str, FloatArray]


def wave(rng: np.random.Generator, size: float) -> FloatArray:
    """Noise around 1 that remembers: AR(1) with a correlation of 0.5 to 0.9 from minute to minute."""
    rho = rng.uniform(0.5, 0.9)
    return np.exp(size * signal.lfilter([np.sqrt(1 - rho**2)], [1, -rho], rng.standard_normal(N + 200))[200:])


def service(rng: np.random.Generator) -> Series:
    """One service over the GA day and a week: a day's season, a week's, growth, whole requests."""
    days = np.arange(N) / DAY
    season = 1 + rng.uniform(0.2, 0.5) * np.sin(2 * np.pi * (days - rng.uniform()))
    load = 10 ** rng.uniform(-0.3, 1.3) * season * (1 + 0.05 * np.sin(2 * np.pi * days / 7)) * (1 + 0.01 * days)
    requests = rng.poisson(load * wave(rng, 0.05) * 60)
    rate = np.convolve(requests, np.ones(5) / 300)[:N]
    slots = requests.reshape(-1, 5).sum(axis=1)
    return {
        **{name: level * wave(rng, RELATIVE_NOISE[name]) for name, level in LEVELS.items()},
        "request_rate": rate,
        "cpu": 0.02 * rate * wave(rng, 0.03),
        "cost_per_hour": (0.05 + 0.05 * rate / load.mean()) * wave(rng, 0.02),
        "uptime": np.ones(N),
        "firing_critical_alerts": np.zeros(N),
        "availability": np.array([rng.binomial(slots, 2e-4), slots]),
        "cache_hit_ratio": np.array([rng.binomial(3 * slots, 0.03), 3 * slots]),
    }


def day_of(week: dict[str, Series], day: int) -> Telemetry:
    window = release().window(day)
    minutes, slots = slice(day * DAY, (day + 1) * DAY), slice(day * SLOTS, (day + 1) * SLOTS)
    at_ms, slot_ms = (np.arange(window.start_ms, window.end_ms, step) for step in (60_000, 300_000))
    counted = ("availability", "cache_hit_ratio")
    samples = {
        kpi: SampleTable(SERVICES, at_ms, np.array([week[one][kpi][minutes] for one in SERVICES]))
        for kpi in demo_policy().judged
        if kpi not in counted
    }
    counts = {
        kpi: CountTable(SERVICES, (BAD, TOTAL), slot_ms, np.array([week[one][kpi][:, slots] for one in SERVICES]))
        for kpi in counted
    }
    quality = Quality(
        start_at=window.start_at,
        end_at=window.end_at,
        scrape_interval_s=60,
        slot_s=300,
        server=ServerQuality(product="prometheus", version="3.5.0"),
        kpis=tuple(
            KpiQuality(kpi=kpi, step_s=60, queries=("up",), response_sha256="b" * 64) for kpi in demo_policy().judged
        ),
        series=tuple(
            SeriesQuality(
                kpi=kpi,
                service=one,
                n_expected=DAY,
                n_arrived=DAY,
                n_gaps=0,
                longest_gap_s=0,
                n_nan=0,
                n_resets=0,
                n_series=1,
            )
            for kpi in demo_policy().judged
            for one in SERVICES
        ),
    )
    return Telemetry(sample_frame(samples), count_frame(counts), count_frame({}), quality)


@cache
def events_of_week(seed: int) -> tuple[AnomalyEvent, ...]:
    rng = np.random.default_rng(seed)
    week = {name: service(rng) for name in SERVICES}
    first = summarise(day_of(week, 0), release(), demo_policy())
    days = [find_anomalies(day_of(week, day), first, release(), demo_policy(), day=day) for day in range(1, 8)]
    return tuple(event for found in days for event in found.events)


@pytest.mark.parametrize("seed", [1, 2])
def test_nobody_is_called_in_a_steady_week(seed: int) -> None:
    assert [one.sentence for one in events_of_week(seed) if one.severity is Severity.CRITICAL] == []


def test_steady_weeks_of_60_series_have_about_one_event_each() -> None:
    assert [len(events_of_week(seed)) <= 3 for seed in (1, 2)] == [True, True]


def test_steady_days_of_simulated_releases_call_nobody_and_have_one_event_in_a_week() -> None:
    days = [quiet_day(number) for number in range(60) if is_steady(number)]

    assert 7 * sum(len(day.events) for day in days) / len(days) <= 2
    assert [one.sentence for day in days for one in day.events if one.severity is Severity.CRITICAL] == []
