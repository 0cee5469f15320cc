"""What did the demo product do, minute by minute, in the days around its release?

A ``Scenario`` says as data which services run and what befalls them. From it come the events that happened
(``true_counts``), what a scraper saw of them (``history``) and files that a real server loads (``write_openmetrics``,
``load_blocks``). Servers themselves are started in ``servers.py``.

Every day of every instance draws from streams of its own, one per kind of measurement: another service, another
day or an incident elsewhere never changes a number here.
"""

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import groupby
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tars_ops_tests.live.servers import require

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

PRODUCT = "tars"
GA_AT = datetime(2025, 11, 18, tzinfo=UTC)
GA_MS = int(GA_AT.timestamp()) * 1000
MINUTE_MS = 60_000
DAY_MS = 1440 * MINUTE_MS

STATUSES = ("200", "404", "500")
LATENCY_LE = ("0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf")
DB_LE = ("0.001", "0.0025", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "+Inf")

# Shares of the buckets: p50 0.04 s, p95 0.2 s, p99 0.4 s, 0.24 % above 0.5 s; queries p95 0.04 s.
LATENCY_SHARES = np.array([0.02, 0.06, 0.22, 0.30, 0.29, 0.09, 0.0176, 0.0018, 0.0005, 0.0001, 0.0, 0.0])
SLOW_SHARES = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.4, 0.6, 0.0, 0.0])
DB_SHARES = np.array([0.10, 0.20, 0.22, 0.20, 0.18, 0.085, 0.011, 0.0032, 0.0007, 0.0001, 0.0])
# What one event of each bucket adds to the sum, in units of 0.1 ms so that sums stay whole numbers.
LATENCY_TICKS = np.array([40, 80, 180, 370, 720, 1_600, 3_400, 7_000, 17_000, 35_000, 70_000, 120_000])
DB_TICKS = np.array([6, 17, 37, 72, 160, 350, 700, 1_600, 3_400, 7_000, 12_000])
TICKS_PER_S = 10_000

SEASON_AMPLITUDE = 0.4
SEASON_PEAK_HOUR = 14
TRAFFIC_GROWTH_PER_DAY = 0.01
NOT_FOUND_RATIO = 0.01
QUERIES_PER_REQUEST = 2.0
CACHE_HIT_RATIO = 0.95
CPU_NOISE_RATIO = 0.03
MEMORY_NOISE_RATIO = 0.01
PAGE_BYTES = 4096

# Columns of the events of one instance; a row is a stretch of time between a scrape and a minute's border.
STATUS = slice(0, 3)
ERRORS = 2
LATENCY = slice(3, 15)
SLOW = slice(3 + LATENCY_LE.index("0.5") + 1, 15)
DB = slice(15, 26)
CACHE = slice(26, 28)
CPU_CENTISECONDS = 28


@dataclass(frozen=True)
class Window:
    """The half-open stretch ``[starts_s, ends_s)``, counted from GA in whole minutes."""

    starts_s: int
    ends_s: int

    def __post_init__(self) -> None:
        """Refuse what the minute grid cannot hold."""
        if self.starts_s >= self.ends_s or self.starts_s % 60 or self.ends_s % 60:
            msg = f"window [{self.starts_s}, {self.ends_s}) s: not empty, and whole minutes from GA"
            raise ValueError(msg)

    def covers(self, at_ms: IntArray) -> BoolArray:
        """Tell which instants, in ms from GA, lie inside."""
        return (at_ms >= self.starts_s * 1000) & (at_ms < self.ends_s * 1000)


def moment(day: int, clock: str = "00:00") -> int:
    """Return seconds from GA to a time of day, UTC.

    >>> moment(2, "13:00")
    219600
    """
    hours, minutes = map(int, clock.split(":"))
    return (day * 24 + hours) * 3600 + minutes * 60


def on_day(day: int, starts: str = "00:00", ends: str = "24:00") -> Window:
    """Return a window inside one release day; the whole day unless told otherwise."""
    return Window(moment(day, starts), moment(day, ends))


@dataclass(frozen=True, kw_only=True)
class Service:
    """A part of the product and how it behaves when nothing is wrong.

    ``offsets_ms`` says how far into each minute each instance is scraped. Loaders read seconds as floating point
    and truncate, so only multiples of 125 ms, which are exact in binary, survive.
    """

    name: str
    requests_per_day: float
    offsets_ms: tuple[int, ...]
    error_ratio: float
    cpu_s_per_request: float
    memory_bytes: int

    def __post_init__(self) -> None:
        """Refuse offsets outside the minute or inexact in binary seconds."""
        if not self.offsets_ms or any(o % 125 or not 0 <= o < MINUTE_MS for o in self.offsets_ms):
            msg = f"{self.name}: offsets_ms {self.offsets_ms} must be multiples of 125 in [0, {MINUTE_MS})"
            raise ValueError(msg)

    @property
    def n_instances(self) -> int:
        """How many processes share the traffic."""
        return len(self.offsets_ms)


@dataclass(frozen=True, kw_only=True)
class Incident:
    """Something that befalls one service."""

    service: str


@dataclass(frozen=True, kw_only=True)
class Passing(Incident):
    """An incident that is over after a while."""

    window: Window


@dataclass(frozen=True, kw_only=True)
class Slowdown(Passing):
    """A share of the requests takes 1 to 5 s."""

    ratio: float


@dataclass(frozen=True, kw_only=True)
class FailedRequests(Passing):
    """Exactly so many requests, which would have been fine, answer 500."""

    n_requests: int


@dataclass(frozen=True, kw_only=True)
class ErrorRatio(Passing):
    """Requests answer 500 with this probability instead of the service's own."""

    ratio: float


@dataclass(frozen=True, kw_only=True)
class TrafficChange(Passing):
    """Traffic is multiplied; 0 leaves the service idle but alive."""

    factor: float


@dataclass(frozen=True, kw_only=True)
class CpuGrowth(Incident):
    """From GA on cpu grows in a straight line by this share of its GA level a day, whatever traffic does."""

    ratio_per_day: float


@dataclass(frozen=True, kw_only=True)
class Slower(Incident):
    """From the beginning of a day on every request takes this share longer."""

    ratio: float
    from_day: int = 0


@dataclass(frozen=True, kw_only=True)
class MemoryGrowth(Incident):
    """From GA on memory grows in a straight line by this share of its GA level a day."""

    ratio_per_day: float


@dataclass(frozen=True, kw_only=True)
class Unscraped(Passing):
    """No scrape of any instance succeeds or fails: there are no samples, while work and counters go on."""


@dataclass(frozen=True, kw_only=True)
class Restart(Incident):
    """One instance starts again with the same version: its counters fall to 0."""

    instance: int
    at_s: int

    def __post_init__(self) -> None:
        """Refuse what the minute grid cannot hold."""
        if self.at_s % 60:
            msg = f"restart at {self.at_s} s: whole minutes from GA"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class FiringAlert(Passing):
    """A critical alert fires, evaluated every minute."""

    alertname: str


_Kind = TypeVar("_Kind", bound=Incident)


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Which services run, on which days, and what befalls them.

    ``days`` counts from GA day, which is 0; days before it run version 1.0.0, the others 1.0.1. What would
    happen outside the days does not happen, so ``dataclasses.replace(DEMO, days=range(-1, 3))`` is a shorter demo.
    """

    services: tuple[Service, ...]
    incidents: tuple[Incident, ...] = ()
    days: range = range(-1, 8)
    seed: int = 20251118

    def __post_init__(self) -> None:
        """Refuse days with holes and incidents of services that do not exist."""
        if not self.days or self.days.step != 1:
            msg = f"days {self.days} must be consecutive and not empty"
            raise ValueError(msg)
        if unknown := {i.service for i in self.incidents} - {s.name for s in self.services}:
            msg = f"incidents name services that do not run: {sorted(unknown)}"
            raise ValueError(msg)

    def service(self, name: str) -> Service:
        """Return the service of that name."""
        return {s.name: s for s in self.services}[name]

    def befalling(self, service: Service, kind: type[_Kind]) -> list[_Kind]:
        """Return the incidents of one kind that reach one service in these days, in the order given."""
        return [i for i in self.incidents if isinstance(i, kind) and i.service == service.name and self._reaches(i)]

    def _reaches(self, incident: Incident) -> bool:
        if not isinstance(incident, Passing):
            return True
        return incident.window.ends_s > moment(self.days[0]) and incident.window.starts_s < moment(self.days.stop)


@dataclass(frozen=True, eq=False)
class Series:
    """One series as a scraper saw it: ``at_ms`` is Unix time, sorted, gaps left out; both arrays are read-only."""

    family: str
    name: str
    labels: Mapping[str, str]
    at_ms: IntArray
    values: IntArray | FloatArray


@dataclass(frozen=True, eq=False)
class History:
    """All series of a scenario."""

    scenario: Scenario
    series: tuple[Series, ...]

    def __iter__(self) -> Iterator[Series]:
        """Go through the series, families together."""
        return iter(self.series)

    def select(self, name: str, **labels: str) -> list[Series]:
        """Return the series with this name and these labels."""
        return [s for s in self.series if s.name == name and labels.items() <= s.labels.items()]


SERVICES = (
    Service(
        name="gateway",
        requests_per_day=600_000,
        offsets_ms=(0, 17_250, 41_750),
        error_ratio=0.0001,
        cpu_s_per_request=0.02,
        memory_bytes=420 << 20,
    ),
    Service(
        name="search",
        requests_per_day=200_000,
        offsets_ms=(8_500, 36_125),
        error_ratio=0.0002,
        cpu_s_per_request=0.08,
        memory_bytes=900 << 20,
    ),
    Service(
        name="ingest",
        requests_per_day=90_000,
        offsets_ms=(12_375, 52_500),
        error_ratio=0.0002,
        cpu_s_per_request=0.15,
        memory_bytes=640 << 20,
    ),
    Service(
        name="chat",
        requests_per_day=60_000,
        offsets_ms=(23_625, 47_250),
        error_ratio=0.00015,
        cpu_s_per_request=0.12,
        memory_bytes=512 << 20,
    ),
    Service(
        name="reports",
        requests_per_day=7_200,
        offsets_ms=(30_500,),
        error_ratio=0.0001,
        cpu_s_per_request=0.5,
        memory_bytes=256 << 20,
    ),
)

STEADY = Scenario(services=SERVICES)
"""A week in which nothing happens."""

DEMO = Scenario(
    services=SERVICES,
    incidents=(
        MemoryGrowth(service="chat", ratio_per_day=0.055),
        CpuGrowth(service="ingest", ratio_per_day=0.0375),
        Unscraped(service="gateway", window=on_day(0, "16:20", "16:22")),
        Unscraped(service="chat", window=on_day(1, "09:15", "09:19")),
        Slowdown(service="search", window=on_day(2, "13:00", "15:00"), ratio=0.12),
        FiringAlert(service="search", window=on_day(2, "13:00", "15:00"), alertname="HighLatency"),
        FailedRequests(service="gateway", window=on_day(3, "10:00", "10:40"), n_requests=75),
        FailedRequests(service="reports", window=on_day(3, "10:00", "10:40"), n_requests=75),
        Restart(service="gateway", instance=1, at_s=moment(4, "06:30")),
        Unscraped(service="search", window=on_day(5, "02:00", "05:00")),
        Unscraped(service="reports", window=on_day(6, "19:40", "19:47")),
    ),
)
"""The week of the demo: quiet growth everywhere, one incident of each kind."""


@lru_cache(maxsize=8)
def history(scenario: Scenario) -> History:
    """Return every series of the scenario; the same scenario always gives the same samples."""
    series = [s for service in scenario.services for s in _service_series(scenario, service)]
    series += [s for service in scenario.services for s in _alert_series(scenario, service)]
    return History(scenario, tuple(sorted(series, key=lambda s: s.family)))


def true_counts(
    scenario: Scenario, service: str, day: int, *, starts: str = "00:00", ends: str = "24:00"
) -> dict[str, int]:
    """Count what really happened to a service in ``[starts, ends)`` of a day, seen by a scraper or not.

    Returns ``requests``, ``errors`` (status 500) and ``slow`` (over 0.5 s).
    """
    if day not in scenario.days:
        msg = f"day {day} is not one of {scenario.days}"
        raise ValueError(msg)
    rows = _rows(scenario, on_day(day, starts, ends))
    events = _events(scenario, scenario.service(service))[:, rows]
    return {
        "requests": int(events[..., STATUS].sum()),
        "errors": int(events[..., STATUS][..., ERRORS].sum()),
        "slow": int(events[..., SLOW].sum()),
    }


def write_openmetrics(scenario: Scenario, directory: Path) -> list[Path]:
    """Write one OpenMetrics file per UTC day, named by its date, and return them in order."""
    directory.mkdir(parents=True, exist_ok=True)
    families = [(family, list(found)) for family, found in groupby(history(scenario), key=lambda s: s.family)]
    return [_write_day(families, day, directory) for day in scenario.days]


def load_blocks(files: Iterable[Path], tsdb_dir: Path) -> None:
    """Turn OpenMetrics files into blocks that a Prometheus server serves from ``tsdb_dir``."""
    promtool = [require("promtool"), "tsdb", "create-blocks-from", "--quiet", "--max-block-duration=24h", "openmetrics"]
    for file in files:
        loaded = subprocess.run([*promtool, file, tsdb_dir], capture_output=True, text=True, check=False)
        if loaded.returncode:
            msg = f"promtool refused {file.name}: {loaded.stdout}{loaded.stderr}"
            raise RuntimeError(msg)


# What happened


@lru_cache(maxsize=64)
def _events(scenario: Scenario, service: Service) -> IntArray:
    """Return (instances, rows, columns) counts; two rows a minute, before and after the scrape."""
    events = np.stack(
        [
            np.concatenate([_draw_day(scenario, service, instance, day) for day in scenario.days])
            for instance in range(service.n_instances)
        ]
    )
    for burst in scenario.befalling(service, FailedRequests):
        events = _with_failures(events, _rows(scenario, burst.window), _stream(scenario, service, repr(burst)), burst)
    events.setflags(write=False)
    return events


def _draw_day(scenario: Scenario, service: Service, instance: int, day: int) -> IntArray:
    offset_ms = service.offsets_ms[instance]
    at_ms = _row_starts_ms(day, offset_ms)
    expected = _requests_per_ms(scenario, service, at_ms) * np.tile([offset_ms, MINUTE_MS - offset_ms], 1440)

    def stream(purpose: str) -> np.random.Generator:
        return _stream(scenario, service, instance, day, purpose)

    latency = _poisson(stream("latency"), expected, _latency_shares(scenario, service, at_ms))
    requests = latency.sum(axis=1)
    return np.column_stack(
        [
            stream("status").multinomial(requests, _status_shares(scenario, service, at_ms)),
            latency,
            _poisson(stream("db"), QUERIES_PER_REQUEST * expected, DB_SHARES),
            _poisson(stream("cache"), expected, np.array([CACHE_HIT_RATIO, 1 - CACHE_HIT_RATIO])),
            _cpu_centiseconds(scenario, service, at_ms, requests, stream("cpu")),
        ]
    )


def _stream(scenario: Scenario, service: Service, *purpose: object) -> np.random.Generator:
    key = "/".join(map(str, (scenario.seed, service.name, *purpose)))
    return np.random.Generator(np.random.PCG64(int.from_bytes(sha256(key.encode()).digest()[:16])))


def _poisson(stream: np.random.Generator, expected: FloatArray, shares: FloatArray) -> IntArray:
    """Draw a count per row and share; rounding hides how a processor rounds the last bit of a sine."""
    return stream.poisson(np.round(expected[:, None] * shares, 6))


def _row_starts_ms(day: int, offset_ms: int) -> IntArray:
    """Return when each row of a day begins, in ms from GA: on the minute, then at the scrape."""
    minutes = day * DAY_MS + MINUTE_MS * np.arange(1440)
    return np.column_stack([minutes, minutes + offset_ms]).ravel()


def _rows(scenario: Scenario, window: Window) -> slice:
    first_s = moment(scenario.days[0])
    return slice(max(0, window.starts_s - first_s) // 30, max(0, window.ends_s - first_s) // 30)


def _requests_per_ms(scenario: Scenario, service: Service, at_ms: IntArray) -> FloatArray:
    days = at_ms / DAY_MS
    season = 1 + SEASON_AMPLITUDE * np.cos(2 * np.pi * (days - SEASON_PEAK_HOUR / 24))
    factor = season * _traffic_growth(days)
    for change in scenario.befalling(service, TrafficChange):
        factor = np.where(change.window.covers(at_ms), factor * change.factor, factor)
    return factor * service.requests_per_day / service.n_instances / DAY_MS


def _traffic_growth(days: FloatArray) -> FloatArray:
    return (1 + TRAFFIC_GROWTH_PER_DAY) ** days


def _latency_shares(scenario: Scenario, service: Service, at_ms: IntArray) -> FloatArray:
    shares = np.tile(LATENCY_SHARES, (len(at_ms), 1))
    for slower in scenario.befalling(service, Slower):
        since = at_ms >= slower.from_day * DAY_MS
        shares = np.where(since[:, None], _stretched(LATENCY_SHARES, 1 + slower.ratio), shares)
    for slow in scenario.befalling(service, Slowdown):
        slowed = (1 - slow.ratio) * shares + slow.ratio * SLOW_SHARES
        shares = np.where(slow.window.covers(at_ms)[:, None], slowed, shares)
    return shares


def _stretched(shares: FloatArray, factor: float) -> FloatArray:
    """Return the shares of the buckets when everything takes so much longer; within a bucket time is even."""
    bounds = np.array([0.0, *map(float, LATENCY_LE[:-1])])
    below = np.interp(bounds / factor, bounds, np.concatenate([[0.0], np.cumsum(shares[:-1])]))
    return np.round(np.diff(below, append=1.0), 9)


def _status_shares(scenario: Scenario, service: Service, at_ms: IntArray) -> FloatArray:
    errors = np.full(len(at_ms), service.error_ratio)
    for burst in scenario.befalling(service, ErrorRatio):
        errors = np.where(burst.window.covers(at_ms), burst.ratio, errors)
    not_found = (1 - errors) * NOT_FOUND_RATIO
    return np.column_stack([1 - errors - not_found, not_found, errors])


def _cpu_centiseconds(
    scenario: Scenario, service: Service, at_ms: IntArray, requests: IntArray, stream: np.random.Generator
) -> IntArray:
    days = at_ms / DAY_MS
    cost_s = np.full(len(at_ms), service.cpu_s_per_request)
    for growth in scenario.befalling(service, CpuGrowth):
        since_ga = np.maximum(days, 0)
        cost_s = cost_s * (1 + growth.ratio_per_day * since_ga) / _traffic_growth(since_ga)
    noise = np.maximum(0, 1 + CPU_NOISE_RATIO * stream.standard_normal(len(at_ms)))
    return np.rint(np.round(100 * requests * cost_s * noise, 6)).astype(np.int64)


def _with_failures(events: IntArray, rows: slice, stream: np.random.Generator, burst: FailedRequests) -> IntArray:
    fine = events[:, rows, STATUS.start]
    failed = stream.multivariate_hypergeometric(fine.ravel(), burst.n_requests, method="marginals")
    changed = events.copy()
    changed[:, rows, STATUS.start] -= failed.reshape(fine.shape)
    changed[:, rows, STATUS.start + ERRORS] += failed.reshape(fine.shape)
    return changed


# What a scraper saw


def _service_series(scenario: Scenario, service: Service) -> Iterator[Series]:
    for instance, events in enumerate(_events(scenario, service)):
        row_ms = np.concatenate([_row_starts_ms(day, service.offsets_ms[instance]) for day in scenario.days])
        at_ms = row_ms[1::2]
        counters = _counters(events, row_ms, _process_starts_ms(scenario, service, instance))
        memory = _memory_bytes(scenario, service, instance, at_ms)
        scraped = _scraped(scenario, service, at_ms)
        for version, of_version in (("1.0.0", at_ms < 0), ("1.0.1", at_ms >= 0)):
            keep = scraped & of_version
            labels = {"instance": f"{service.name}-{instance}:8080", "service": service.name, "version": version}
            yield from _target_series(labels, _frozen(GA_MS + at_ms[keep]), counters[keep], memory[keep])


def _process_starts_ms(scenario: Scenario, service: Service, instance: int) -> IntArray:
    restarts = [r.at_s * 1000 for r in scenario.befalling(service, Restart) if r.instance == instance]
    return np.array(sorted({scenario.days[0] * DAY_MS, max(0, scenario.days[0] * DAY_MS), *restarts}))


def _counters(events: IntArray, row_ms: IntArray, process_starts_ms: IntArray) -> IntArray:
    """Return (scrapes, columns) what each counter of the running process shows at each scrape."""
    before = np.vstack([np.zeros_like(events[:1]), np.cumsum(events, axis=0)])
    at_start = before[np.searchsorted(row_ms, process_starts_ms)]
    running = np.searchsorted(process_starts_ms, row_ms[1::2], side="right") - 1
    return before[1::2] - at_start[running]


def _memory_bytes(scenario: Scenario, service: Service, instance: int, at_ms: IntArray) -> IntArray:
    level = np.full(len(at_ms), float(service.memory_bytes))
    for growth in scenario.befalling(service, MemoryGrowth):
        level = level * (1 + growth.ratio_per_day * np.maximum(at_ms / DAY_MS, 0))
    noise = [_stream(scenario, service, instance, day, "memory").standard_normal(1440) for day in scenario.days]
    noisy = level * (1 + MEMORY_NOISE_RATIO * np.concatenate(noise))
    return PAGE_BYTES * np.rint(noisy / PAGE_BYTES).astype(np.int64)


def _scraped(scenario: Scenario, service: Service, at_ms: IntArray) -> BoolArray:
    silences = [silence.window.covers(at_ms) for silence in scenario.befalling(service, Unscraped)]
    return ~np.any(silences, axis=0) if silences else np.ones(len(at_ms), dtype=bool)


def _target_series(labels: dict[str, str], at_ms: IntArray, counters: IntArray, memory: IntArray) -> Iterator[Series]:
    if not len(at_ms):
        return
    target = {"product": PRODUCT, "job": PRODUCT, **labels}

    def series(family: str, values: IntArray | FloatArray, suffix: str = "", **more: str) -> Series:
        return Series(family, family + suffix, {**target, **more}, at_ms, _frozen(values))

    def histogram(family: str, bounds: tuple[str, ...], counts: IntArray, ticks: IntArray) -> Iterator[Series]:
        cumulative = np.cumsum(counts, axis=1)
        for bound, values in zip(bounds, cumulative.T, strict=True):
            yield series(family, values, "_bucket", le=bound)
        yield series(family, counts @ ticks / TICKS_PER_S, "_sum")
        yield series(family, cumulative[:, -1], "_count")

    yield series("up", np.ones_like(at_ms))
    yield series("tars_build_info", np.ones_like(at_ms))
    for status, values in zip(STATUSES, counters[:, STATUS].T, strict=True):
        yield series("http_requests", values, "_total", status=status)
    yield from histogram("http_request_duration_seconds", LATENCY_LE, counters[:, LATENCY], LATENCY_TICKS)
    yield from histogram("db_query_duration_seconds", DB_LE, counters[:, DB], DB_TICKS)
    yield series("redis_keyspace_hits", counters[:, CACHE.start], "_total")
    yield series("redis_keyspace_misses", counters[:, CACHE.start + 1], "_total")
    yield series("process_cpu_seconds", counters[:, CPU_CENTISECONDS] / 100, "_total")
    yield series("process_resident_memory_bytes", memory)


def _alert_series(scenario: Scenario, service: Service) -> Iterator[Series]:
    alerts = scenario.befalling(service, FiringAlert)
    minutes_ms = np.arange(scenario.days[0] * DAY_MS, scenario.days.stop * DAY_MS, MINUTE_MS)
    for alertname in dict.fromkeys(alert.alertname for alert in alerts):
        windows = [alert.window.covers(minutes_ms) for alert in alerts if alert.alertname == alertname]
        at_ms = GA_MS + minutes_ms[np.any(windows, axis=0)]
        origin = {"product": PRODUCT, "job": PRODUCT, "service": service.name}
        labels = {"alertname": alertname, "alertstate": "firing", "severity": "critical"}
        for version, of_version in (("1.0.0", at_ms < GA_MS), ("1.0.1", at_ms >= GA_MS)):
            fired = at_ms[of_version]
            if len(fired):
                carried = {**origin, **labels, "version": version}
                yield Series("ALERTS", "ALERTS", carried, _frozen(fired), _frozen(np.ones_like(fired)))


def _frozen(values: IntArray | FloatArray) -> IntArray | FloatArray:
    own = np.ascontiguousarray(values)
    own.setflags(write=False)
    return own


# What a server loads

_GAUGES = frozenset({"up", "tars_build_info", "process_resident_memory_bytes", "ALERTS"})


def _family_type(family: str) -> str:
    if family in _GAUGES:
        return "gauge"
    return "histogram" if family.endswith("_duration_seconds") else "counter"


def _write_day(families: list[tuple[str, list[Series]]], day: int, directory: Path) -> Path:
    path = directory / f"{GA_AT + timedelta(days=day):%Y-%m-%d}.om"
    first_ms = GA_MS + day * DAY_MS
    with path.open("w", encoding="ascii") as file:
        for family, found in families:
            texts = [text for series in found if (text := _lines(series, first_ms))]
            if texts:
                file.write(f"# TYPE {family} {_family_type(family)}\n")
                file.writelines(texts)
        file.write("# EOF\n")
    return path


def _lines(series: Series, first_ms: int) -> str:
    begin, end = np.searchsorted(series.at_ms, [first_ms, first_ms + DAY_MS])
    labels = ",".join(f'{key}="{value}"' for key, value in series.labels.items())
    head = f"{series.name}{{{labels}}} "
    samples = zip(series.values[begin:end].tolist(), series.at_ms[begin:end].tolist(), strict=True)
    return "".join([f"{head}{value} {at_ms // 1000}.{at_ms % 1000:03d}\n" for value, at_ms in samples])
