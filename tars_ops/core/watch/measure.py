"""What was each KPI of each service over one window?

The one place where samples and counts become values. Ratios and quantiles come from summed counts, everything else from
samples; nothing is judged here. The total over all services stands beside them under the service ``*``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from tars_ops.core import sli
from tars_ops.core.model import Frozen
from tars_ops.core.policy import (
    ALL_SERVICES,
    ComplementKpi,
    CostKpi,
    GaugeKpi,
    JudgedKpi,
    LatencyKpi,
    Policy,
    RatioKpi,
    UptimeKpi,
)
from tars_ops.core.telemetry import (
    BAD,
    INF,
    TOTAL,
    CountTable,
    FloatArray,
    IntArray,
    SampleTable,
    Telemetry,
    count_table,
    sample_table,
)

BLOCKS_PER_DAY = 24
"""A day is compared in hours; a shorter day in as many blocks as its slots allow."""


class Measured(Frozen):
    """One KPI of one service over one window, in the KPI's unit; None where it is unknown."""

    kpi: str
    service: str
    value: float | None
    lower: float | None = None
    """Lower end of what the value may be: a bucket's bound, or the interval of a share."""
    upper: float | None = None
    """Upper end; None also where a quantile is above the last bucket."""
    n_bad: int | None = None
    """Events beyond the promise, of a KPI that counts events."""
    n_total: int | None = None
    """Valid events, of a KPI that counts events."""
    n_samples: int = 0
    """Samples behind the value, of a KPI that does not."""

    @property
    def burn(self) -> tuple[int, int] | None:
        """Bad and valid events, where both are known."""
        return None if self.n_bad is None or self.n_total is None else (self.n_bad, self.n_total)


@dataclass(frozen=True, slots=True)
class Blocks:
    """One KPI of one service, hour by hour.

    ``values`` has one number per block, NaN where nothing is known; ``bad`` and ``total`` count the events of a KPI
    that counts, and are empty arrays otherwise.
    """

    values: FloatArray
    bad: IntArray
    total: IntArray


def measure(telemetry: Telemetry, policy: Policy) -> tuple[Measured, ...]:
    """Return every KPI of every service that left data, and of all services together, in the order of the policy."""
    return tuple(one for name, kpi in policy.kpis.items() for one in _measure(telemetry, policy, name, kpi))


def _measure(telemetry: Telemetry, policy: Policy, name: str, kpi: JudgedKpi | ComplementKpi) -> Iterator[Measured]:
    match kpi:
        case RatioKpi():
            table = count_table(telemetry, name)
            return (_ratio(name, service, table.of(service).sum(axis=1), table.les) for service in _with_total(table))
        case ComplementKpi(of=of):
            whole = policy.kpis[of]
            return (_complement(name, one) for one in _measure(telemetry, policy, of, whole))
        case LatencyKpi():
            table = count_table(telemetry, kpi.histogram, les=bucket_names(policy, kpi))
            return (
                _latency(name, service, kpi, table.of(service).sum(axis=1), table) for service in _with_total(table)
            )
        case _:
            return _sampled(name, kpi, sample_table(telemetry, name))


def why_unknown(telemetry: Telemetry, policy: Policy, name: str, service: str) -> str | None:
    """Say in words why a KPI of a service cannot be judged; None where it can.

    Scrapes that arrive are not enough where the value comes from samples: they may hold NaN. Counted KPIs have NaN
    samples whenever nothing happens, and are judged on their events.
    """
    needed = policy.measurement.min_coverage
    said = telemetry.quality.why_unknown(name, service, min_coverage=needed)
    if said or isinstance(policy.judged[name], RatioKpi | LatencyKpi):
        return said
    table = sample_table(telemetry, name)
    n_known = int((~np.isnan(table.values[table.services.index(service)])).sum()) if service in table.services else 0
    if n_known == 0:
        return "the server answered no number"
    share = n_known / len(table.at_ms)
    return f"numbers for {share:.2f} < {needed:.2f} of the steps" if share < needed else None


def _with_total(table: CountTable | SampleTable) -> tuple[str, ...]:
    return (*table.services, ALL_SERVICES) if table.services else ()


def _ratio(name: str, service: str, sums: IntArray, les: tuple[str, ...]) -> Measured:
    n_bad, n_total = _bad_total(sums, les)
    if not n_total:
        return Measured(kpi=name, service=service, value=None, n_bad=n_bad, n_total=n_total)
    low, high = sli.bad_interval(min(n_bad, n_total), n_total)
    return Measured(
        kpi=name,
        service=service,
        value=sli.sli(n_bad, n_total),
        lower=1 - high,
        upper=1 - low,
        n_bad=n_bad,
        n_total=n_total,
    )


def _bad_total(sums: IntArray, les: tuple[str, ...]) -> tuple[int, int]:
    count = dict(zip(les, sums.tolist(), strict=True))
    return count.get(BAD, 0), count.get(TOTAL, 0)


def _complement(name: str, whole: Measured) -> Measured:
    def flip(share: float | None) -> float | None:
        return None if share is None else 1 - share

    turned = {"kpi": name, "value": flip(whole.value), "lower": flip(whole.upper), "upper": flip(whole.lower)}
    return whole.model_copy(update=turned)


def _latency(name: str, service: str, kpi: LatencyKpi, sums: IntArray, table: CountTable) -> Measured:
    bounds = bucket_bounds(table)
    found = sli.quantile(bounds, sums, kpi.quantile) if bounds else sli.UNKNOWN_QUANTILE
    n_total = int(sums[-1]) if bounds else 0
    n_bad = None
    if kpi.slo and kpi.slo.threshold_s in bounds:
        n_bad = max(0, n_total - int(sums[bounds.index(kpi.slo.threshold_s)]))
    return Measured(
        kpi=name,
        service=service,
        value=_known(found.value),
        lower=_known(found.lower),
        upper=_known(found.upper),
        n_bad=n_bad,
        n_total=n_total,
    )


def bucket_names(policy: Policy, kpi: JudgedKpi) -> tuple[str, ...]:
    """Return the bounds of a KPI's buckets as Prometheus writes them, +Inf last; none of a KPI without buckets.

    The policy's layout is the server's: a source refuses any other.
    """
    if not isinstance(kpi, LatencyKpi):
        return ()
    return (*(f"{bound:g}" for bound in policy.histograms[kpi.histogram]), INF)


def bucket_bounds(table: CountTable) -> tuple[float, ...]:
    """Return the upper bounds of a histogram's buckets; empty where it does not end at +Inf."""
    if len(table.les) < 2 or table.les[-1] != INF:
        return ()
    return tuple(math.inf if le == INF else float(le) for le in table.les)


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _sampled(name: str, kpi: UptimeKpi | GaugeKpi | CostKpi, table: SampleTable) -> Iterator[Measured]:
    statistic = _statistic(kpi)
    rows = {service: table.values[i] for i, service in enumerate(table.services)}
    for service, values in {**rows, **({ALL_SERVICES: across(kpi, table.values)} if rows else {})}.items():
        known = values[~np.isnan(values)]
        value = float(statistic(known)) if len(known) else None
        yield Measured(kpi=name, service=service, value=value, n_samples=len(known))


def _statistic(kpi: UptimeKpi | GaugeKpi | CostKpi) -> Callable[[FloatArray], np.floating]:
    return np.max if isinstance(kpi, GaugeKpi) and kpi.statistic == "max" else np.mean


def across(kpi: UptimeKpi | GaugeKpi | CostKpi, values: FloatArray) -> FloatArray:
    """Return services x steps as one series; a step that a service misses is unknown for all."""
    if isinstance(kpi, UptimeKpi) or (isinstance(kpi, GaugeKpi) and kpi.across == "mean"):
        return values.mean(axis=0)
    if isinstance(kpi, GaugeKpi) and kpi.across == "max":
        return values.max(axis=0)
    return values.sum(axis=0)


def blocks(telemetry: Telemetry, policy: Policy) -> dict[tuple[str, str], Blocks]:
    """Return every judged KPI of every service hour by hour; keys are (KPI, service)."""
    found: dict[tuple[str, str], Blocks] = {}
    for name, kpi in policy.judged.items():
        found.update(_blocks(telemetry, policy, name, kpi))
    return found


def n_blocks(n_slots: int) -> int:
    """Return into how many equal blocks a day of so many slots is cut.

    Examples
    --------
    >>> [n_blocks(288), n_blocks(12), n_blocks(7)]
    [24, 12, 7]
    """
    return next(n for n in range(min(BLOCKS_PER_DAY, n_slots), 0, -1) if n_slots % n == 0)


def _blocks(
    telemetry: Telemetry, policy: Policy, name: str, kpi: JudgedKpi
) -> Iterator[tuple[tuple[str, str], Blocks]]:
    if isinstance(kpi, RatioKpi | LatencyKpi):
        table = count_table(telemetry, policy.counter(name) or name, les=bucket_names(policy, kpi))
        for i, service in enumerate(table.services):
            yield (name, service), _counted_blocks(kpi, table, table.counts[i])
        return
    samples = sample_table(telemetry, name)
    n = n_blocks(telemetry.quality.window.length_s // telemetry.quality.slot_s)
    for i, service in enumerate(samples.services):
        empty = np.empty(0, np.int64)
        yield (name, service), Blocks(_block_means(samples.values[i].reshape(n, -1)), empty, empty)


def _block_means(values: FloatArray) -> FloatArray:
    """Average the known samples of each block; a block that is less than half known is unknown."""
    known = ~np.isnan(values)
    n = known.sum(axis=1)
    sums = np.where(known, values, 0.0).sum(axis=1)
    return np.where(n * 2 >= values.shape[1], sums / np.maximum(n, 1), np.nan)


def _counted_blocks(kpi: RatioKpi | LatencyKpi, table: CountTable, counts: IntArray) -> Blocks:
    n = n_blocks(counts.shape[1])
    sums = counts.reshape(counts.shape[0], n, -1).sum(axis=2)
    if isinstance(kpi, RatioKpi):
        pairs = [_bad_total(sums[:, j], table.les) for j in range(n)]
        bad, total = np.array(pairs, dtype=np.int64).T
        values = np.where(total > 0, 1 - bad / np.maximum(total, 1), np.nan)
        return Blocks(values, bad, total)
    bounds = bucket_bounds(table)
    if not bounds:
        return Blocks(np.full(n, np.nan), np.zeros(n, np.int64), np.zeros(n, np.int64))
    values = np.array([sli.quantile(bounds, sums[:, j], kpi.quantile).value for j in range(n)])
    good = sums[bounds.index(kpi.slo.threshold_s)] if kpi.slo and kpi.slo.threshold_s in bounds else sums[-1]
    return Blocks(values, sums[-1] - good, sums[-1])


def by_key(measured: tuple[Measured, ...]) -> Mapping[tuple[str, str], Measured]:
    """Index measurements by (KPI, service)."""
    return {(one.kpi, one.service): one for one in measured}


def cost_parts(telemetry: Telemetry, policy: Policy) -> dict[str, float]:
    """Return the mean US dollars per hour of each priced part of the cost, over all services; unknown parts lack."""
    parts: dict[str, float] = {}
    for name, kpi in policy.judged.items():
        for part in kpi.prices if isinstance(kpi, CostKpi) else ():
            table = sample_table(telemetry, f"{name}.{part}")
            known = [row[~np.isnan(row)] for row in table.values]
            if known and all(len(row) for row in known):
                parts[part] = parts.get(part, 0.0) + float(sum(row.mean() for row in known))
    return parts
