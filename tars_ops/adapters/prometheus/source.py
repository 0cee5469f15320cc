"""How do a server's answers become telemetry?

One query per KPI and piece, grouped by service; shared series are asked for once. What the server refuses marks its KPI
as not measured; what the server warns about is carried along. Only an unreachable server is an error.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from tars_ops.adapters.prometheus.client import PrometheusServer, Reply
from tars_ops.adapters.prometheus.queries import Queries
from tars_ops.core.errors import ConfigurationError, ContractError, QueryRefusedError
from tars_ops.core.policy import ALL_SERVICES, CostKpi, JudgedKpi, LatencyKpi, Policy, RatioKpi
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
    arrivals_of,
    count_frame,
    gap_lengths_s,
    le_order,
    sample_frame,
)
from tars_ops.core.units import at_most
from tars_ops.core.watch.staging import of_staging

PRIOR_DAYS = 29
"""Days before GA that complete an error budget of 30 days."""
MAX_SERVICE_NAME = 200
NO_SAMPLES = SampleTable((), np.empty(0, np.int64), np.empty((0, 0)))


class PrometheusSource:
    """Telemetry from a live server."""

    def __init__(self, server: PrometheusServer) -> None:
        self._server = server

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        """Ask the server for a day of a release; see ``TelemetrySource``."""
        if release.day_length_s % policy.measurement.slot_s:
            raise ConfigurationError(
                f"a day of {release.day_length_s} s of {release.key} is no multiple of measurement.slot_s "
                f"({policy.measurement.slot_s}) of the policy; change one of them"
            )
        return self._fetch(release, policy, release.window(day), of=_Part.GA_DAY if day == 0 else _Part.DAY)

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        """Ask the server for a window of a release; see ``TelemetrySource``."""
        return self._fetch(release, policy.promises, window, of=_Part.RUNNING_DAY)

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        """Ask the server for staging on the day before GA; see ``TelemetrySource``."""
        return self._fetch(release, of_staging(policy, selector), release.day_before_ga, of=_Part.DAY)

    def _fetch(self, release: Release, policy: Policy, window: Window, *, of: _Part) -> Telemetry:
        build = self._server.build()
        fetch = _Fetch(self._server, Queries(policy, release, build.range_is_left_open), window, of=of)
        return fetch.telemetry(ServerQuality(product=build.product, version=build.version))

    def close(self) -> None:
        """Close the session."""
        self._server.close()


class _Part(Enum):
    """What of a release is fetched."""

    GA_DAY = auto()
    """With the daily counts before it."""
    DAY = auto()
    RUNNING_DAY = auto()
    """Counts and the scrapes behind them, without samples: the day is judged again in a moment."""


@dataclass
class _Kpi:
    """What was collected for one KPI so far."""

    step_s: int
    queries: list[str] = field(default_factory=list)
    warnings: set[str] = field(default_factory=set)
    infos: set[str] = field(default_factory=set)
    digests: list[str] = field(default_factory=list)
    refused: str | None = None


class _Fetch:
    """One window of one release, collected from one server."""

    def __init__(self, server: PrometheusServer, queries: Queries, window: Window, *, of: _Part) -> None:
        self._server, self._queries, self._window, self._of = server, queries, window, of
        self._measurement = queries.policy.measurement
        self._replies: dict[tuple[str, int, int, int], Reply | QueryRefusedError] = {}
        self._kpis: dict[str, _Kpi] = {}
        self._samples: dict[str, SampleTable] = {}
        self._counts: dict[str, CountTable] = {}
        self._prior: dict[str, CountTable] = {}
        self._series: list[SeriesQuality] = []

    def telemetry(self, server: ServerQuality) -> Telemetry:
        for name, kpi in self._queries.policy.judged.items():
            self._collect(name, lambda name=name, kpi=kpi: self._measure(name, kpi))
            if isinstance(kpi, CostKpi):
                self._cost_parts(name, kpi)
        return Telemetry(
            samples=sample_frame(self._samples),
            counts=count_frame(self._counts),
            prior=count_frame(self._prior),
            quality=Quality(
                start_at=self._window.start_at,
                end_at=self._window.end_at,
                scrape_interval_s=self._measurement.scrape_interval_s,
                slot_s=self._measurement.slot_s,
                server=server,
                kpis=tuple(self._kpi_quality(name, kpi) for name, kpi in self._kpis.items()),
                series=tuple(self._series),
            ),
        )

    def _collect(self, name: str, measure: Callable[[], None], *, step_s: int | None = None) -> None:
        """Run the queries of one KPI; a refusal marks the KPI and leaves no half of it behind."""
        self._kpis[name] = _Kpi(step_s or self._measurement.step_s)
        try:
            measure()
        except (QueryRefusedError, ContractError) as refusal:
            self._kpis[name].refused = at_most(str(refusal), 500)
            self._samples.pop(name, None)
            self._series = [one for one in self._series if one.kpi != name]

    def _measure(self, name: str, kpi: JudgedKpi) -> None:
        if self._of is not _Part.RUNNING_DAY:
            self._samples[name] = self._sample_table(name, self._queries.samples(kpi), self._measurement.step_s)
        if isinstance(kpi, RatioKpi | LatencyKpi):
            self._count(name, kpi)
        self._quality_of(name, kpi, self._samples.get(name, NO_SAMPLES))

    def _cost_parts(self, name: str, kpi: CostKpi) -> None:
        slot_s = self._measurement.slot_s
        for part, query in self._queries.cost_parts(kpi).items():
            of_part = f"{name}.{part}"

            def measure(of_part: str = of_part, query: str = query) -> None:
                self._samples[of_part] = self._sample_table(of_part, query, slot_s)

            self._collect(of_part, measure, step_s=slot_s)

    # -- asking ---------------------------------------------------------------------------------------------------

    def _ask(self, name: str, query: str, start_ms: int, end_ms: int, step_ms: int) -> Reply:
        """Ask once per query and grid; every KPI that uses the answer records it."""
        key = (query, start_ms, end_ms, step_ms)
        if key not in self._replies:
            try:
                self._replies[key] = self._request(query, start_ms, end_ms, step_ms)
            except QueryRefusedError as refusal:
                self._replies[key] = refusal
        reply = self._replies[key]
        kpi = self._kpis[name]
        kpi.queries.append(query)
        if isinstance(reply, QueryRefusedError):
            raise reply
        kpi.warnings.update(reply.warnings)
        kpi.infos.update(reply.infos)
        kpi.digests.append(reply.sha256)
        return reply

    def _request(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> Reply:
        if not step_ms:
            return self._server.instant(query, at_ms=end_ms)
        return self._server.range(query, start_ms=start_ms, end_ms=end_ms, step_ms=step_ms)

    def _grid(self, step_s: int) -> IntArray:
        return np.arange(self._window.start_ms, self._window.end_ms, 1000 * step_s, dtype=np.int64)

    def _on_grid(self, name: str, query: str, step_s: int) -> Iterator[tuple[dict[str, str], IntArray, np.ndarray]]:
        """Yield labels, places on the grid and values; each evaluation stands one millisecond before its step's end."""
        step_ms, start_ms = 1000 * step_s, self._window.start_ms
        reply = self._ask(name, query, start_ms + step_ms - 1, self._window.end_ms - 1, step_ms)
        for series in reply.series:
            yield dict(series.labels), (series.at_ms + 1 - start_ms) // step_ms - 1, series.values

    def _service(self, labels: dict[str, str]) -> str:
        label = self._measurement.service_label
        service = labels.get(label, "")
        if not service or service == ALL_SERVICES or len(service) > MAX_SERVICE_NAME or not service.isprintable():
            raise ContractError(
                f"the server has series whose label {label!r} is {at_most(service, 40)!r}; name the label that holds "
                "the service in measurement.service_label, or drop these series by measurement.selector"
            )
        return service

    # -- samples and counts ---------------------------------------------------------------------------------------

    def _sample_table(self, name: str, query: str, step_s: int) -> SampleTable:
        grid = self._grid(step_s)
        rows: dict[str, np.ndarray] = {}
        for labels, place, values in self._on_grid(name, query, step_s):
            service = self._service(labels)
            if service in rows:
                raise ContractError(f"the query of {name} has more than one series for service {service!r}: {query}")
            rows[service] = np.full(len(grid), np.nan)
            rows[service][place] = values
        services = tuple(sorted(rows))
        table = np.array([rows[service] for service in services]).reshape(len(services), len(grid))
        # float32 is what is stored: judge what is stored, not what was received
        return SampleTable(services, grid, table.astype(np.float32).astype(np.float64))

    def _count(self, name: str, kpi: RatioKpi | LatencyKpi) -> None:
        counter = self._queries.policy.counter(name) or name
        counted = self._queries.counted(kpi)
        slots = self._grid(self._measurement.slot_s)
        blocks = {
            (service, le): values
            for part, query in counted.expressions
            for service, le, values in self._counted(name, query, part, slots)
        }
        table = _count_table(blocks, slots, with_good=isinstance(kpi, RatioKpi) and kpi.good is not None)
        if isinstance(kpi, LatencyKpi):
            self._same_buckets(kpi, table)
        self._counts[counter] = table
        if self._of is _Part.GA_DAY and counted.prior:
            self._count_prior(name, counter, counted.prior)

    def _counted(self, name: str, query: str, part: str, slots: IntArray) -> Iterator[tuple[str, str, IntArray]]:
        for labels, place, values in self._on_grid(name, query, self._measurement.slot_s):
            events = np.zeros(len(slots), dtype=np.int64)
            known = np.isfinite(values)
            events[place[known]] = np.rint(values[known]).astype(np.int64)
            yield self._service(labels), part or _le(labels), events

    def _count_prior(self, name: str, counter: str, expressions: tuple[tuple[str, str], ...]) -> None:
        day_ms = 1000 * self._queries.release.day_length_s
        start_ms = self._window.start_ms - PRIOR_DAYS * day_ms
        days = np.arange(start_ms, self._window.start_ms, day_ms, dtype=np.int64)
        blocks: dict[tuple[str, str], IntArray] = {}
        for part, query in expressions:
            reply = self._ask(name, query, start_ms + day_ms - 1, self._window.start_ms - 1, day_ms)
            for series in reply.series:
                events = np.zeros(len(days), dtype=np.int64)
                known = np.isfinite(series.values)
                place = (series.at_ms + 1 - start_ms) // day_ms - 1
                events[place[known]] = np.rint(series.values[known]).astype(np.int64)
                labels = dict(series.labels)
                blocks[self._service(labels), part or _le(labels)] = events
        self._prior[counter] = _count_table(blocks, days, with_good=False)

    def _same_buckets(self, kpi: LatencyKpi, table: CountTable) -> None:
        expected = {_le_text(bound) for bound in self._queries.policy.histograms[kpi.histogram]} | {INF}
        if table.les and set(table.les) != expected:
            strange = sorted(set(table.les) ^ expected)
            raise ContractError(
                f"the buckets of {kpi.histogram} differ from the policy's `histograms` at le = {', '.join(strange)}; "
                "quantiles of different layouts cannot be compared"
            )

    # -- quality --------------------------------------------------------------------------------------------------

    def _quality_of(self, name: str, kpi: JudgedKpi, samples: SampleTable) -> None:
        raw = self._queries.raw_series(kpi)
        slot_s, scrape_s = self._measurement.slot_s, self._measurement.scrape_interval_s
        per_slot = slot_s // scrape_s
        slots = self._grid(slot_s)
        over_s = self._window.length_s
        n_series = self._per_service(name, self._queries.n_series(raw, over_s=over_s))
        counts = isinstance(kpi, RatioKpi | LatencyKpi)
        n_resets = self._per_service(name, self._queries.n_resets(raw, over_s=over_s)) if counts else {}
        scrapes: dict[tuple[str, str], IntArray] = {}
        for labels, place, values in self._on_grid(name, self._queries.scrapes(raw), slot_s):
            service = self._service(labels)
            arrived = np.zeros(len(slots), dtype=np.int64)
            arrived[place] = np.minimum(values, per_slot).astype(np.int64)
            scrapes[service, TOTAL] = arrived
            gaps = gap_lengths_s(arrived, slot_s=slot_s)
            row = samples.values[samples.services.index(service)] if service in samples.services else np.empty(0)
            self._series.append(
                SeriesQuality(
                    kpi=name,
                    service=service,
                    n_expected=len(slots) * per_slot,
                    n_arrived=int(arrived.sum()),
                    n_gaps=len(gaps),
                    longest_gap_s=max(gaps, default=0),
                    n_nan=int((~np.isfinite(row)).sum()),
                    n_resets=n_resets.get(service, 0),
                    n_series=n_series.get(service, 0),
                )
            )

        if self._of is _Part.RUNNING_DAY:
            self._counts[arrivals_of(name)] = _count_table(scrapes, slots, with_good=False)

    def _per_service(self, name: str, query: str) -> dict[str, int]:
        reply = self._ask(name, query, 0, self._window.end_ms - 1, 0)
        return {self._service(dict(one.labels)): int(one.values[-1]) for one in reply.series}

    def _kpi_quality(self, name: str, kpi: _Kpi) -> KpiQuality:
        return KpiQuality(
            kpi=name,
            step_s=kpi.step_s,
            queries=tuple(kpi.queries),
            warnings=tuple(sorted(kpi.warnings)),
            infos=tuple(sorted(kpi.infos)),
            refused=kpi.refused,
            response_sha256=hashlib.sha256("".join(kpi.digests).encode()).hexdigest(),
        )


def _le(labels: dict[str, str]) -> str:
    if "le" not in labels:
        raise ContractError("the server has a histogram bucket without the label `le`")
    return INF if labels["le"] == INF else _le_text(float(labels["le"]))


def _le_text(bound: float) -> str:
    """Write a bound the same way whatever the server's version: Prometheus 3 writes ``1.0`` where 2 writes ``1``."""
    return f"{bound:g}"


def _count_table(blocks: dict[tuple[str, str], IntArray], slots: IntArray, *, with_good: bool) -> CountTable:
    """Arrange counted events; ``with_good`` turns a counter of good events into one of all events."""
    services = tuple(sorted({service for service, _ in blocks}))
    names = {le for _, le in blocks}
    if with_good and BAD in names:
        names.add(TOTAL)  # no good event at all: every event was bad
    les = tuple(sorted(names, key=le_order))
    counts = np.zeros((len(services), len(les), len(slots)), dtype=np.int64)
    for (service, le), events in blocks.items():
        counts[services.index(service), les.index(le)] = events
    if with_good and BAD in les:
        counts[:, les.index(TOTAL)] += counts[:, les.index(BAD)]
    return CountTable(services, les, slots, counts)
