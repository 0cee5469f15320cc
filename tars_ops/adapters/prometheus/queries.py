"""Which PromQL measures a KPI?

Pure text, no request. Every expression is grouped by the service label, so one query answers for all services. Windows
are half-open: an expression is evaluated one millisecond before the end of its step, so that a sample on a border
belongs to the step that starts there, on servers with closed ranges (Prometheus 2) and with left-open ones (3) alike.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from string import Template

from tars_ops.core.policy import CostKpi, GaugeKpi, JudgedKpi, LatencyKpi, Policy, RatioKpi, UptimeKpi
from tars_ops.core.release import Release
from tars_ops.core.telemetry import BAD, TOTAL

LOOK_BACK = "1d"
"""How far back the value of a counter at a border is looked for: counts survive gaps of scrapes up to this long."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A counter of the policy: what to ask for, and whether the answer carries ``le``."""

    expressions: tuple[tuple[str, str], ...]
    """Pairs of ``bad``/``total`` (or an empty text for buckets) and the query."""
    prior: tuple[tuple[str, str], ...]
    """The same for the days before GA; empty without an objective."""


@dataclass(frozen=True, slots=True)
class Queries:
    """Everything that is asked of a server for one release under one policy."""

    policy: Policy
    release: Release
    range_is_left_open: bool
    """The server's range selectors leave out their left end."""

    # -- pieces ---------------------------------------------------------------------------------------------------

    @property
    def _by(self) -> str:
        return f"by ({self.policy.measurement.service_label})"

    def matchers(self, *, of_version: bool) -> str:
        """Return the label matchers that pick the product, and the release where versions are told apart."""
        measurement = self.policy.measurement
        if measurement.version_label is None or not of_version:
            return measurement.selector
        return f'{measurement.selector},{measurement.version_label}="{_quoted(self.release.version)}"'

    def series(self, selector: str, *, of_version: bool = True) -> str:
        """Return a selector of the policy with the product's own matchers added.

        The name may end in a suffix, as in ``http_requests_total{status=~"5.."}``.
        """
        metric, brace, where = selector.partition("{")
        own = where.removesuffix("}") if brace else ""
        return f"{metric}{{{','.join(filter(None, (own, self.matchers(of_version=of_version))))}}}"

    def _filled(self, promql: str) -> str:
        measurement = self.policy.measurement
        return Template(promql).substitute(
            selector=self.matchers(of_version=True),
            service=measurement.service_label,
            window=f"{measurement.rate_window_s}s",
            recent=self._recent,
        )

    @property
    def _recent(self) -> str:
        return f"{self.policy.measurement.step_s + self.policy.measurement.scrape_interval_s}s"

    # -- samples --------------------------------------------------------------------------------------------------

    def samples(self, kpi: JudgedKpi) -> str:
        """Return the query whose values, one per step, are the samples of a KPI."""
        match kpi:
            case RatioKpi():
                return self._ratio_samples(kpi)
            case LatencyKpi():
                buckets = self._rate(f"{kpi.histogram}_bucket", by=f"{self._by[:-1]}, le)")
                return f"histogram_quantile({kpi.quantile!r}, {buckets})"
            case UptimeKpi():
                return f"avg {self._by} (avg_over_time({self.series(kpi.series)}[{self._recent}]))"
            case GaugeKpi():
                return self._gauge_samples(kpi)
            case CostKpi():
                parts = (f"({self._filled(p.promql)}) * {p.usd_per_unit_hour!r}" for p in kpi.prices.values())
                return " + ".join(parts)

    def _rate(self, selector: str, *, by: str | None = None) -> str:
        window = self.policy.measurement.rate_window_s
        return f"sum {by or self._by} (rate({self.series(selector)}[{window}s]))"

    def _ratio_samples(self, kpi: RatioKpi) -> str:
        bad = self._rate(kpi.bad)
        if kpi.total is not None:
            total = self._rate(kpi.total)
            return f"1 - (({bad}) or ({total}) * 0) / ({total})"
        good = self._rate(kpi.good or "")
        return f"1 - (({bad}) or ({good}) * 0) / ((({bad}) or ({good}) * 0) + (({good}) or ({bad}) * 0))"

    def _gauge_samples(self, kpi: GaugeKpi) -> str:
        query = self._filled(kpi.promql)
        if not kpi.absent_is_zero:
            return query
        return f"({query}) or (max {self._by} (count_over_time({self.series(kpi.series)}[{self._recent}])) * 0)"

    def cost_parts(self, kpi: CostKpi) -> dict[str, str]:
        """Return the query of each part of a cost, in USD per hour."""
        return {
            name: f"({self._filled(price.promql)}) * {price.usd_per_unit_hour!r}" for name, price in kpi.prices.items()
        }

    # -- counts ---------------------------------------------------------------------------------------------------

    def counted(self, kpi: RatioKpi | LatencyKpi) -> Counted:
        """Return the queries whose values, one per slot, are the events of that slot."""
        slot_s = self.policy.measurement.slot_s
        if isinstance(kpi, LatencyKpi):
            buckets, by = f"{kpi.histogram}_bucket", f"{self._by[:-1]}, le)"
            parts = [("", buckets)]
        else:
            by = self._by
            parts = [(BAD, kpi.bad), (TOTAL, kpi.total or kpi.good or "")]
        return Counted(
            expressions=tuple((le, self._events(selector, by=by, slot_s=slot_s)) for le, selector in parts),
            prior=tuple((le, self._prior_events(selector, by=by)) for le, selector in parts) if kpi.slo else (),
        )

    def _events(self, selector: str, *, by: str, slot_s: int) -> str:
        """Subtract counters at the borders of a slot: exact, and nothing between two scrapes is lost.

        A series that fell (a restart) is counted by ``increase`` over the slot; one that was not there at the start
        has counted from zero.
        """
        series = self.series(selector)
        now, then = (f"last_over_time({series}[{LOOK_BACK}]{offset})" for offset in ("", f" offset {slot_s}s"))
        fell = f"resets({series}[{slot_s + self.policy.measurement.scrape_interval_s}s]) > 0"
        steady = f"((({now}) - ({then})) unless ({fell})) >= 0"
        return f"sum {by} (({steady}) or (increase({series}[{slot_s}s]) and ({then})) or ({now}))"

    def _prior_events(self, selector: str, *, by: str) -> str:
        series = self.series(selector, of_version=False)
        return f"sum {by} (increase({series}[{self.release.day_length_s}s]))"

    # -- quality --------------------------------------------------------------------------------------------------

    def raw_series(self, kpi: JudgedKpi) -> str:
        """Return the selector of the raw series that a KPI's coverage is counted on."""
        match kpi:
            case RatioKpi():
                return kpi.total or kpi.good or ""
            case LatencyKpi():
                return f'{kpi.histogram}_bucket{{le="+Inf"}}'
            case _:
                return kpi.series

    def scrapes(self, selector: str) -> str:
        """Return the query that counts the scrapes of each slot, of each service's best series."""
        length_ms = 1000 * self.policy.measurement.slot_s - (0 if self.range_is_left_open else 1)
        return f"max {self._by} (count_over_time({self.series(selector)}[{length_ms}ms]))"

    def n_series(self, selector: str, *, over_s: int) -> str:
        """Return the query that counts the series of each service over so many seconds."""
        return f"count {self._by} (last_over_time({self.series(selector)}[{over_s}s]))"

    def n_resets(self, selector: str, *, over_s: int) -> str:
        """Return the query that counts the counter resets of each service over so many seconds."""
        return f"sum {self._by} (resets({self.series(selector)}[{over_s}s]))"


_SPECIAL = re.compile(r'(["\\])')


def _quoted(text: str) -> str:
    """Escape a text for a PromQL string; release keys hold nothing that needs it, and this does not rely on it."""
    return _SPECIAL.sub(r"\\\1", text)
