"""What was each KPI of each service over one window?

The one place where samples and counts become values. Ratios and quantiles come from summed counts, everything else from
samples; nothing is judged here. The total over all services stands beside them under the service ``*``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

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
from tars_ops.core.watch.comparisons.drafts import Buckets


class Measured(Frozen):
    """One KPI of one service over one window, in the KPI's unit; None where it is unknown."""

    kpi: str
    service: str
    value: float | None
    lower: float | None = None
    """Lower end of what the value may be: a bucket's bound, or the interval of a share."""
    upper: float | None = None
    """Upper end; None also where a quantile is above the last bucket."""
    smooth: float | None = None
    """The quantile read smoothly across the buckets, the base of every change; null where the KPI is no quantile."""
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

    @property
    def comparable(self) -> float | None:
        """The value that changes are taken from."""
        return self.value if self.smooth is None else self.smooth

    @property
    def is_open_ended(self) -> bool:
        """Whether this is a quantile above the last bound, of which only the least value is known."""
        return self.smooth is not None and self.upper is None


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
    n_known, asked = telemetry.n_samples(name, service), telemetry.quality.of(name)
    if n_known == 0 or asked is None:
        return "the server answered no number"
    share = n_known / math.ceil(telemetry.quality.window.length_s / asked.step_s)
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
    smooth = Buckets(bounds, sums[:, np.newaxis]).smooth_quantile(kpi.quantile) if n_total else math.nan
    n_bad = None
    if kpi.slo and kpi.slo.threshold_s in bounds:
        n_bad = max(0, n_total - int(sums[bounds.index(kpi.slo.threshold_s)]))
    return Measured(
        kpi=name,
        service=service,
        value=_known(found.value),
        lower=_known(found.lower),
        upper=_known(found.upper),
        smooth=_known(smooth),
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
