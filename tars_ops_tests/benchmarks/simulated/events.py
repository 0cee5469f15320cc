"""What really happened in a simulated week, scrape or no scrape?

Events are counted in slots of 5 min, quantities in steps of a minute. The fault's own events are drawn apart from the
usual ones, so that what the release is to blame for is known and not estimated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from scipy import signal, special

from tars_ops_tests.benchmarks.simulated.world import N_DAYS, N_SLOTS, SEED, SLOT_S, STEP_S, Fault, Kind, World

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

BOUNDS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
DB_BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
DB_SPREAD = 0.7
OBJECTIVE = 0.999
TAIL = 10.0
"""How much slower the requests of a tail are."""
PER_SLOT = SLOT_S // STEP_S


@dataclass(frozen=True)
class Events:
    """The GA day and the week after it; services x (bounds x) time, time in slots or steps since GA."""

    total: IntArray
    bad: IntArray
    own_bad: IntArray
    """Those of ``bad`` that the fault caused."""
    latency: IntArray
    """Requests per bucket, not cumulative, +Inf last."""
    usual_latency: FloatArray
    """Expected requests per bucket had nothing been wrong."""
    faulty_latency: FloatArray
    """Expected requests per bucket as it was."""
    db: IntArray
    lookups: IntArray
    misses: IntArray
    request_rate: FloatArray
    cpu: FloatArray
    memory: FloatArray
    prior: tuple[IntArray, IntArray, IntArray]
    """Per day before GA: all requests, bad ones, requests per bucket."""


def happened(world: World, *, days_before: int = 0) -> Events:
    """Draw what happened; ``days_before`` is the week of the release before, without the fault."""
    rng = np.random.default_rng([SEED, world.number, 1 + days_before])
    draw = _Draw(world, rng, world.fault if not days_before else None, -days_before)
    return draw.events()


class _Draw:
    def __init__(self, world: World, rng: np.random.Generator, fault: Fault | None, first_day: int) -> None:
        self.world, self.rng, self.fault, self.first_day = world, rng, fault, first_day
        self.n_slots = (N_DAYS + 1) * N_SLOTS
        self.n_services = len(world.services)

    def of(self, name: str) -> FloatArray:
        """Return a field of every service as a column."""
        return np.array([[getattr(one, name)] for one in self.world.services])

    def factor(self, *kinds: Kind, step: int = 1) -> FloatArray:
        """Return how present a fault of these kinds is, 0..1, services x time."""
        present = np.zeros((self.n_services, self.n_slots))
        if self.fault is not None and self.fault.kind in kinds:
            since = np.arange(self.n_slots) - self.fault.start_slot
            present[list(self.fault.services)] = _course(self.fault.kind, since)
        return np.repeat(present, step, axis=1)

    @property
    def size(self) -> float:
        return self.fault.size if self.fault else 0.0

    def days(self, sd: float, *, n: int = N_DAYS + 1) -> FloatArray:
        """Return the level of each day around 1, services x days."""
        return np.exp(sd * self.rng.standard_normal((self.n_services, n)))

    def noise(self, n: int, rho: float, sd: float) -> FloatArray:
        """Return autocorrelated relative noise around 1, services x n."""
        shape = (self.n_services, n + 64)
        innovations = (
            self.rng.standard_t(3, shape) / np.sqrt(3) if self.world.heavy else self.rng.standard_normal(shape)
        )
        series = np.asarray(signal.lfilter([np.sqrt(1 - rho**2)], [1, -rho], innovations, axis=1))[:, 64:]
        return np.exp(sd * np.clip(series, -8, 8))

    def slot_noise(self) -> FloatArray:
        """Return the noise of a mean over a slot."""
        rho = self.world.rho
        kept = np.arange(1, PER_SLOT)
        shrink = np.sqrt((PER_SLOT + 2 * ((PER_SLOT - kept) * rho**kept).sum()) / PER_SLOT**2)
        return self.noise(self.n_slots, rho**PER_SLOT, self.world.noise * shrink)

    def bursts(self) -> FloatArray:
        """Return short bursts, of 5 to 15 min some times a day, as a factor; 1 where the world has none."""
        factor = np.ones((self.n_services, self.n_slots))
        if self.world.heavy:
            starts = self.rng.random(factor.shape) < 2 / N_SLOTS
            size = np.where(starts, self.rng.lognormal(0.4, 0.3, factor.shape), 1.0)
            for length in range(int(self.rng.integers(1, 4))):
                factor = np.maximum(factor, np.roll(size, length, axis=1))
        return factor

    def per_slot(self, by_day: FloatArray) -> FloatArray:
        return np.repeat(by_day, N_SLOTS, axis=1)

    def expected_load(self, first_slot: int, n: int) -> FloatArray:
        """Return requests per slot that season and growth lead to, services x n; slots count from GA."""
        world = self.world
        slots = first_slot + np.arange(n)
        began = world.ga_at - timedelta(hours=world.ga_at.weekday() * 24 + world.ga_at.hour)
        hours = slots * SLOT_S / 3600 + (world.ga_at - began) / timedelta(hours=1)
        season = 1 + world.season * np.sin(2 * np.pi * (hours - 8) / 24)
        weekend = np.where((hours // 24) % 7 >= 5, world.weekend, 1.0)
        growth = (1 + world.growth_per_day) ** (slots / N_SLOTS)
        return self.of("requests_per_day") / N_SLOTS * season * weekend * growth

    def events(self) -> Events:
        world = self.world
        gone = self.factor(Kind.TRAFFIC) * self.size
        level = self.per_slot(self.days(world.day_effect)) * self.slot_noise()
        load = self.expected_load(self.first_day * N_SLOTS, self.n_slots) * level * (1 - gone)
        usual, faulty = self.latencies(load)
        latency = self.rng.poisson(faulty)
        total = latency.sum(axis=1)
        bad, own_bad = self.errors(total)
        lookups = self.rng.poisson(3 * load)
        return Events(
            total=total,
            bad=bad,
            own_bad=own_bad,
            latency=latency,
            usual_latency=usual,
            faulty_latency=faulty,
            db=self.rng.poisson(self.queries(load)),
            lookups=lookups,
            misses=self.rng.binomial(lookups, self.miss_ratio()),
            request_rate=_rate(total),
            cpu=self.cpu(load),
            memory=self.memory(),
            prior=self.prior(),
        )

    def latencies(self, load: FloatArray) -> tuple[FloatArray, FloatArray]:
        world, kinds = self.world, (Kind.LATENCY, Kind.LATENCY_FROM_GA)
        median = self.of("latency_s") * self.per_slot(self.days(world.day_effect)) * self.slot_noise() * self.bursts()
        usual = load[:, None, :] * _shares(BOUNDS_S, median, self.of("spread"))
        slower = 1 + self.size * (self.factor(*kinds) + 0.33 * self.factor(Kind.DEPENDENCY))
        tail = self.size * self.factor(Kind.LATENCY_TAIL)
        faulty = load[:, None, :] * (
            (1 - tail)[:, None, :] * _shares(BOUNDS_S, median * slower, self.of("spread"))
            + tail[:, None, :] * _shares(BOUNDS_S, median * TAIL, self.of("spread"))
        )
        return usual, faulty

    def queries(self, load: FloatArray) -> FloatArray:
        median = self.of("db_s") * self.per_slot(self.days(self.world.day_effect)) * self.slot_noise()
        slower = 1 + self.size * self.factor(Kind.DEPENDENCY)
        return 2 * load[:, None, :] * _shares(DB_BOUNDS_S, median * slower, DB_SPREAD)

    def errors(self, total: IntArray) -> tuple[IntArray, IntArray]:
        kinds = [kind for kind in Kind if kind.startswith("errors")]
        own = self.rng.binomial(total, np.minimum(1.0, (1 - OBJECTIVE) * self.size * self.factor(*kinds)))
        usual = (
            self.of("error_ratio")
            * self.per_slot(self.days(self.world.error_day_effect))
            * self._dispersed(total.shape)
        )
        return own + self.rng.binomial(total - own, np.minimum(usual, 0.5)), own

    def _dispersed(self, shape: tuple[int, ...]) -> FloatArray:
        """Return a gamma factor of mean 1: counts of bad events become beta-binomial, near enough."""
        if not self.world.dispersion:
            return np.ones(shape)
        shape_of_gamma = 1 / self.world.dispersion**2
        return self.rng.gamma(shape_of_gamma, 1 / shape_of_gamma, shape)

    def miss_ratio(self) -> FloatArray:
        more = 1 + (self.size - 1) * self.factor(Kind.CACHE)
        level = self.per_slot(self.days(self.world.day_effect)) * self.slot_noise()
        return np.minimum(0.9, self.of("miss_ratio") * level * more)

    def cpu(self, load: FloatArray) -> FloatArray:
        mean = self.of("requests_per_day") / N_SLOTS
        per_s = mean / SLOT_S * self.of("cpu_s_per_request") * (load / mean) ** self.of("elasticity")
        more = 1 + self.size * self.factor(Kind.CPU)
        level = np.repeat(
            per_s * self.per_slot(self.days(self.world.day_effect)) * self.bursts() * more, PER_SLOT, axis=1
        )
        return level * self.noise(level.shape[1], self.world.rho, self.world.noise)

    def memory(self) -> FloatArray:
        world = self.world
        days = np.arange(self.n_slots * PER_SLOT) / (N_SLOTS * PER_SLOT)
        wave = 1 + world.sawtooth * (((days + self.rng.random((self.n_services, 1))) / world.sawtooth_days) % 1 - 0.5)
        since = self.fault.start_slot / N_SLOTS if self.fault else 0.0
        leak = 1 + self.size * self.factor(Kind.MEMORY, step=PER_SLOT) * (days - since)
        level = np.repeat(self.days(world.day_effect), N_SLOTS * PER_SLOT, axis=1)
        noise = self.noise(len(days), world.rho, world.noise / 3)
        return self.of("memory_bytes") * wave * leak * level * noise

    def prior(self) -> tuple[IntArray, IntArray, IntArray]:
        """Draw the days before GA, day by day."""
        world, n = self.world, self.world.n_prior_days
        load = self.expected_load((self.first_day - n) * N_SLOTS, n * N_SLOTS)
        per_day = load.reshape(self.n_services, n, N_SLOTS).sum(axis=2) * self.days(world.day_effect, n=n)
        median = self.of("latency_s") * self.days(world.day_effect, n=n)
        buckets = self.rng.poisson(per_day[:, None, :] * _shares(BOUNDS_S, median, self.of("spread")))
        total = buckets.sum(axis=1)
        usual = self.of("error_ratio") * self.days(world.error_day_effect, n=n)
        dispersed = 1 + world.dispersion / np.sqrt(N_SLOTS) * self.rng.standard_normal(total.shape)
        return total, self.rng.binomial(total, np.clip(usual * dispersed, 0, 0.5)), buckets


def _course(kind: Kind, since: IntArray) -> FloatArray:
    """Return how present a fault is, by slots since its start."""
    match kind:
        case Kind.ERRORS_RAMP:
            return np.clip(since / (2 * N_SLOTS), 0, 1)
        case Kind.ERRORS_INTERMITTENT:
            return ((since >= 0) & (since % 24 < 4)).astype(float)
        case Kind.ERRORS_RECOVERING:
            return ((since >= 0) & (since < 12)).astype(float)
        case _:
            return (since >= 0).astype(float)


def _shares(bounds_s: tuple[float, ...], median: FloatArray, spread: FloatArray | float) -> FloatArray:
    """Return the share of lognormal durations in each bucket, services x buckets x time."""
    width = spread[:, :, None] if isinstance(spread, np.ndarray) else spread
    below = special.ndtr((np.log(bounds_s)[:, None] - np.log(median)[:, None, :]) / width)
    return np.diff(below, axis=1, prepend=0.0, append=1.0)


def _rate(total: IntArray) -> FloatArray:
    """Return requests per second, step by step, over the 5 min before: whole events over whole seconds."""
    sums = np.cumsum(np.repeat(total / PER_SLOT, PER_SLOT, axis=1), axis=1)
    before = np.concatenate([np.zeros((len(sums), PER_SLOT)), sums[:, :-PER_SLOT]], axis=1)
    rate = (sums - before) / SLOT_S
    rate[:, : PER_SLOT - 1] = rate[:, PER_SLOT - 1 : PER_SLOT]
    return rate
