"""What is a product like that never existed, and what could befall its release?

A ``World`` is drawn from a number: the same number gives the same services, habits and fault. Rates are those of one
service when nothing is wrong; everything that makes a quiet week hard to judge is a field.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

SEED = 20_251_120
N_DAYS = 7
DAY_S, SLOT_S, STEP_S = 86_400, 300, 60
N_SLOTS, N_STEPS = DAY_S // SLOT_S, DAY_S // STEP_S
TRAFFIC_PER_DAY = (5_000, 60_000, 300_000, 1_200_000, 5_000_000)
"""From a service that a few people use to one that everybody does."""


class Kind(StrEnum):
    """What a fault does."""

    ERRORS = "errors, sudden"
    ERRORS_RAMP = "errors, ramp over 2 days"
    ERRORS_INTERMITTENT = "errors, 20 min of every 2 h"
    ERRORS_QUIET = "errors of the quietest service"
    ERRORS_FROM_GA = "errors from the GA minute on"
    ERRORS_RECOVERING = "errors for 1 h, then none"
    LATENCY = "latency, all requests"
    LATENCY_TAIL = "latency, some requests x10"
    LATENCY_FROM_GA = "latency from the GA minute on"
    DEPENDENCY = "database slow"
    CACHE = "cache misses"
    CPU = "cpu step"
    MEMORY = "memory leak"
    TRAFFIC = "traffic drop"
    SILENT = "telemetry lost"


SIZES: dict[Kind, tuple[float, ...]] = {
    Kind.ERRORS: (2, 5, 10, 30, 100),
    Kind.ERRORS_RAMP: (2, 5, 10, 30, 100),
    Kind.ERRORS_INTERMITTENT: (5, 10, 30, 100),
    Kind.ERRORS_QUIET: (5, 10, 30, 100),
    Kind.ERRORS_FROM_GA: (2, 5, 10, 30, 100),
    Kind.ERRORS_RECOVERING: (50, 200, 1000),
    Kind.LATENCY: (0.1, 0.2, 0.3, 0.5, 1.0, 3.0),
    Kind.LATENCY_TAIL: (0.005, 0.01, 0.02, 0.05, 0.12),
    Kind.LATENCY_FROM_GA: (0.3, 1.0, 3.0),
    Kind.DEPENDENCY: (0.2, 0.5, 1.0, 3.0),
    Kind.CACHE: (1.5, 3, 6),
    Kind.CPU: (0.1, 0.2, 0.35, 0.6, 1.0),
    Kind.MEMORY: (0.03, 0.06, 0.12, 0.25),
    Kind.TRAFFIC: (0.1, 0.3, 0.6, 0.95),
    Kind.SILENT: (1,),
}
"""Errors in budget rates; latency, cpu as added shares; tail as share of requests; memory per day; the rest factors."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What goes wrong, how badly, since when and where."""

    kind: Kind
    size: float
    start_slot: int
    """Slots of 5 min since GA."""
    services: tuple[int, ...]
    """Places of the services in ``World.services``."""

    @property
    def words(self) -> str:
        """Say what the fault is, for a table."""
        day, slot = divmod(self.start_slot, N_SLOTS)
        where = ",".join(f"s{i}" for i in self.services)
        return f"{self.kind} {self.size:g} at {where} from day {day} {slot * SLOT_S // 3600:02d} h"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One service when nothing is wrong."""

    name: str
    requests_per_day: float
    error_ratio: float
    latency_s: float
    """Median; durations are lognormal."""
    spread: float
    db_s: float
    miss_ratio: float
    cpu_s_per_request: float
    memory_bytes: float
    elasticity: float
    """How cpu follows traffic: cpu is in proportion to traffic to this power."""


@dataclass(frozen=True, kw_only=True)
class World:
    """A product and its habits, in all of which nothing is wrong, and a fault or none."""

    number: int
    services: tuple[Service, ...]
    ga_at: datetime
    season: float
    """Amplitude of the daily wave of traffic, relative."""
    weekend: float
    """Traffic of a Saturday or Sunday over that of a weekday."""
    growth_per_day: float
    rho: float
    """First-order autocorrelation of the noise from one minute to the next."""
    noise: float
    """Standard deviation of that noise, relative."""
    day_effect: float
    """Standard deviation of a KPI's level from one day to the next, relative."""
    error_day_effect: float
    """The same of the error rate."""
    heavy: bool
    """Noise of Student's t with 3 degrees of freedom, and bursts."""
    dispersion: float
    """Relative standard deviation of the error rate from slot to slot."""
    missing: float
    """Largest share of a day's scrapes that is missing."""
    n_resets: int
    """Restarts of an instance in the week, per service."""
    sawtooth: float
    """Amplitude of the slow wave of memory, relative."""
    sawtooth_days: float
    n_prior_days: int
    """How many days before GA the server still knows."""
    previous_days: int | None
    """How many days before this GA the release before was released; None where it was not watched."""
    fault: Fault | None = None


def drawn(number: int, *, faulty: bool) -> World:
    """Draw a release week by its number; a fault is put into the same world."""
    rng = np.random.default_rng([SEED, number])
    world = World(
        number=number,
        services=tuple(_service(i, per_day, rng) for i, per_day in enumerate(TRAFFIC_PER_DAY)),
        ga_at=datetime(2025, 11, 3, tzinfo=UTC) + timedelta(hours=int(rng.integers(0, 7 * 24))),
        season=float(rng.uniform(0.0, 0.6)),
        weekend=float(rng.choice([1.0, 0.9, 0.75, 0.6])),
        growth_per_day=float(rng.uniform(-0.005, 0.02)),
        rho=float(rng.choice([0.0, 0.3, 0.5, 0.8, 0.9, 0.95])),
        noise=float(rng.choice([0.01, 0.03, 0.1])),
        day_effect=float(rng.choice([0.0, 0.01, 0.02, 0.03])),
        error_day_effect=float(rng.choice([0.0, 0.1, 0.25])),
        heavy=bool(rng.random() < 0.3),
        dispersion=float(rng.choice([0.0, 0.5, 1.5])),
        missing=float(rng.choice([0.0, 0.0, 0.03, 0.08])),
        n_resets=int(rng.choice([0, 0, 1, 4])),
        sawtooth=float(rng.choice([0.0, 0.0, 0.03, 0.06])),
        sawtooth_days=float(rng.uniform(0.2, 1.5)),
        n_prior_days=int(rng.choice([0, 6, 29, 29, 29])),
        previous_days=int(rng.choice([7, 10, 14])) if rng.random() < 0.25 else None,
    )
    return World(**{**vars(world), "fault": _fault(rng)}) if faulty else world


def _service(i: int, per_day: float, rng: np.random.Generator) -> Service:
    return Service(
        name=f"s{i}",
        requests_per_day=per_day * float(rng.uniform(0.7, 1.4)),
        error_ratio=0.001 * float(rng.uniform(0.02, 0.35)),
        latency_s=float(rng.uniform(0.02, 0.085)),
        spread=float(rng.uniform(0.45, 0.62)),
        db_s=float(rng.uniform(0.004, 0.015)),
        miss_ratio=float(rng.uniform(0.02, 0.07)),
        cpu_s_per_request=float(rng.uniform(0.005, 0.2)),
        memory_bytes=float(rng.uniform(2e8, 2e9)),
        elasticity=float(rng.uniform(0.5, 1.0)),
    )


def _fault(rng: np.random.Generator) -> Fault:
    kind = list(Kind)[int(rng.integers(len(Kind)))]
    from_ga = kind in {Kind.ERRORS_FROM_GA, Kind.LATENCY_FROM_GA}
    n_hit = int(rng.choice([1, 1, 1, 2, 5])) if kind is not Kind.SILENT else 1
    places = rng.choice(5, size=n_hit, replace=False)
    return Fault(
        kind=kind,
        size=float(rng.choice(SIZES[kind])),
        start_slot=0 if from_ga else int(rng.integers(N_SLOTS, 6 * N_SLOTS)),
        services=(0,) if kind is Kind.ERRORS_QUIET else tuple(sorted(int(i) for i in places)),
    )
