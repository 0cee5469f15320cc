"""What does a product promise, how is it measured, and how far may it move?

A policy is the YAML file of one product, parsed into frozen models that refuse unknown keys. Every number behind a
verdict has a name here, so that a report can print it. Files hold base units and ratios, never percent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property
from string import Template
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeFloat, PositiveFloat, PositiveInt, model_validator

from tars_ops.core.model import Frozen, Ratio, Share
from tars_ops.core.units import Unit
from tars_ops.core.verdict import Severity

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,47}$")]
"""Of a KPI: lower case, digits, underscores."""

LabelName = Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]{0,63}$")]

_MATCHER = r'[a-zA-Z_][a-zA-Z0-9_]*(?:=|!=|=~|!~)"(?:[^"\\\n]|\\.)*"'
_MATCHERS = re.compile(rf"^(?:{_MATCHER})(?:,{_MATCHER})*\Z")
_SELECTOR = re.compile(rf"^(?P<metric>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{{(?P<where>{_MATCHER}(?:,{_MATCHER})*)?\}})?\Z")
ALL_SERVICES: Final = "*"
"""Names the total that stands beside the services; no service can be called so."""
PLACEHOLDERS = frozenset({"selector", "service", "window", "recent"})


def _is_selector(text: str) -> str:
    if not _SELECTOR.match(text):
        msg = f'{text!r} is not a series selector such as `http_requests_total{{status=~"5.."}}`'
        raise ValueError(msg)
    return text


def _is_matchers(text: str) -> str:
    if not _MATCHERS.match(text):
        msg = f'{text!r} is not a list of label matchers such as `product="tars"`'
        raise ValueError(msg)
    return text


def _is_promql(text: str) -> str:
    template = Template(text)
    if not template.is_valid():
        msg = f"{text!r} holds a `$` that names no placeholder; `$$` writes a dollar sign"
        raise ValueError(msg)
    names = set(template.get_identifiers())
    if strange := sorted(names - PLACEHOLDERS):
        msg = f"unknown placeholder ${strange[0]}; known are {', '.join(f'${name}' for name in sorted(PLACEHOLDERS))}"
        raise ValueError(msg)
    if missing := sorted({"selector", "service"} - names):
        msg = f"${missing[0]} is missing: a query selects one release and groups by service"
        raise ValueError(msg)
    return text


Selector = Annotated[str, AfterValidator(_is_selector)]
"""``metric`` or ``metric{label="value"}``; the policy's own matchers are added to it."""

Matchers = Annotated[str, AfterValidator(_is_matchers)]
"""``label="value",other=~"pattern"``."""

PromQL = Annotated[str, AfterValidator(_is_promql)]
"""A query with ``$selector``, ``$service`` and, if it needs them, ``$window`` (the range of rates) and
``$recent`` (one step and one scrape: a range that holds the newest sample)."""


class Worse(StrEnum):
    """The direction of change that hurts."""

    UP = "up"
    DOWN = "down"
    EITHER = "either"


class RegressionLimits(Frozen):
    """How large a lasting harm must be for each severity: relative, or budgets burnt per day for ratios with an SLO."""

    medium: PositiveFloat
    """Harm above which a regression is of medium severity; below it is low."""
    high: PositiveFloat
    """Harm above which it is high: it asks for a closer watch."""
    critical: PositiveFloat
    """Harm above which it is critical."""

    @model_validator(mode="after")
    def _are_ordered(self) -> Self:
        if not self.medium < self.high < self.critical:
            msg = f"medium ({self.medium}) < high ({self.high}) < critical ({self.critical}) does not hold"
            raise ValueError(msg)
        return self


LATENCY_LIMITS = RegressionLimits(medium=0.15, high=0.30, critical=0.50)
GAUGE_LIMITS = RegressionLimits(medium=0.20, high=0.30, critical=0.50)
COST_LIMITS = RegressionLimits(medium=0.10, high=0.20, critical=0.30)
BUDGET_LIMITS = RegressionLimits(medium=1.0, high=2.0, critical=10.0)


class _Kpi(Frozen):
    """What every indicator has: a title, a direction and how far it may drift."""

    title: Annotated[str, Field(min_length=1, max_length=80)]
    """Name of the KPI in tables and sentences."""
    drift_warn: PositiveFloat = 0.10
    """Harmful change from the baseline that asks for attention; relative, or budgets for a ratio with an SLO."""
    drift_fail: PositiveFloat = 0.30
    """Harmful change from the baseline that is a failure; same unit as ``drift_warn``."""
    tolerance: PositiveFloat = 0.05
    """Change that nobody needs to know of, however certain; same unit as ``drift_warn``."""
    causes: tuple[Annotated[str, Field(min_length=1, max_length=120)], ...] = ()
    """Usual causes of a drift, most likely first."""

    @model_validator(mode="after")
    def _limits_are_ordered(self) -> Self:
        if not self.tolerance <= self.drift_warn < self.drift_fail:
            msg = (
                f"tolerance ({self.tolerance}) <= drift_warn ({self.drift_warn}) < drift_fail ({self.drift_fail}) "
                "does not hold"
            )
            raise ValueError(msg)
        return self


class RatioSlo(Frozen):
    """A promise on the share of good events."""

    objective: Ratio
    """Promised share of good events, for example 0.999."""
    severity: Severity = Severity.HIGH
    """How bad a day is that breaks it; it decides who is woken."""


class LatencySlo(Frozen):
    """A promise on a latency quantile: at least ``quantile`` of the events take at most ``threshold_s``."""

    threshold_s: PositiveFloat
    """A bound of the histogram's buckets, seconds."""
    severity: Severity = Severity.HIGH
    """How bad a day is that breaks it; it decides who is woken."""


class RatioKpi(_Kpi):
    """A share of good events out of two counters, weighted by events and exact."""

    kind: Literal["ratio"] = "ratio"
    """What is measured, and how."""
    unit: Literal[Unit.RATIO] = Unit.RATIO
    """Unit of the values."""
    worse: Literal[Worse.DOWN] = Worse.DOWN
    """Direction of change that hurts."""
    bad: Selector
    """Counter of bad events. Absent while ``total`` counts means no bad events."""
    total: Selector | None = None
    """Counter of all valid events; give this or ``good``."""
    good: Selector | None = None
    """Counter of good events; give this or ``total``."""
    slo: RatioSlo | None = None
    min_events: PositiveInt = 50
    """Fewer valid events in a day leave the KPI unknown."""
    minimum: Share | None = None
    """Comfort limit without a budget: below it the KPI is warned about."""
    drift_warn: PositiveFloat = 0.10
    drift_fail: PositiveFloat = 0.30
    tolerance: PositiveFloat = 0.05
    regression: RegressionLimits | None = None

    @model_validator(mode="before")
    @classmethod
    def _drift_counts_in_budgets_where_there_is_an_slo(cls, raw: object) -> object:
        if isinstance(raw, Mapping) and raw.get("slo") is not None:
            return {"drift_warn": 0.5, "drift_fail": 1.0, "tolerance": 0.1, **raw}
        return raw

    @model_validator(mode="after")
    def _has_two_counters(self) -> Self:
        if (self.total is None) == (self.good is None):
            msg = "give `bad` with exactly one of `total` and `good`"
            raise ValueError(msg)
        return self

    @property
    def limits(self) -> RegressionLimits:
        """Severity limits of a regression."""
        return self.regression or (BUDGET_LIMITS if self.slo else GAUGE_LIMITS)


class ComplementKpi(Frozen):
    """One minus another ratio: reported beside it, neither gated nor scored a second time."""

    kind: Literal["complement"] = "complement"
    """What is measured, and how."""
    unit: Literal[Unit.RATIO] = Unit.RATIO
    """Unit of the values."""
    worse: Literal[Worse.UP] = Worse.UP
    """Direction of change that hurts."""
    title: Annotated[str, Field(min_length=1, max_length=80)]
    """Name of the KPI in tables and sentences."""
    of: Name
    """Name of the ratio KPI that this one is the rest of."""


class LatencyKpi(_Kpi):
    """A quantile of a duration, taken last, from summed histogram buckets."""

    kind: Literal["latency"] = "latency"
    """What is measured, and how."""
    unit: Literal[Unit.SECONDS] = Unit.SECONDS
    """Unit of the values."""
    worse: Literal[Worse.UP] = Worse.UP
    """Direction of change that hurts."""
    histogram: Name
    """A key of the policy's ``histograms``."""
    quantile: Ratio
    """Share of the events that are at most as slow as the value, for example 0.99."""
    slo: LatencySlo | None = None
    maximum: PositiveFloat | None = None
    """Comfort limit without a budget, seconds."""
    min_events: PositiveInt = 50
    """Fewer events in a day leave the KPI unknown; at least ``1 / (1 - quantile)`` are always needed."""
    regression: RegressionLimits = LATENCY_LIMITS

    @property
    def limits(self) -> RegressionLimits:
        """Severity limits of a regression."""
        return self.regression


class UptimeKpi(_Kpi):
    """The mean of ``up``: a probe of the scrape, a proxy of availability and labelled as such."""

    kind: Literal["uptime"] = "uptime"
    """What is measured, and how."""
    unit: Literal[Unit.RATIO] = Unit.RATIO
    """Unit of the values."""
    worse: Literal[Worse.DOWN] = Worse.DOWN
    """Direction of change that hurts."""
    series: Selector = "up"
    """The series whose mean is the uptime; coverage is counted on it."""
    regression: RegressionLimits = GAUGE_LIMITS

    @property
    def limits(self) -> RegressionLimits:
        """Severity limits of a regression."""
        return self.regression


class GaugeKpi(_Kpi):
    """A quantity that a query gives per service, summarised over the day."""

    kind: Literal["gauge"] = "gauge"
    """What is measured, and how."""
    unit: Unit
    """Base unit of the query's values; reports write it beside every figure."""
    worse: Worse
    """Direction of change that hurts; ``either`` counts both."""
    promql: PromQL
    """Query of the samples, one series per service."""
    series: Selector
    """The raw series behind the query: coverage is counted on it."""
    statistic: Literal["mean", "max"] = "mean"
    """How the samples of a day become its value."""
    across: Literal["sum", "mean", "max"] = "sum"
    """How services add up to the total that stands beside them."""
    absent_is_zero: bool = False
    """The query's series exist only while something is wrong: where ``series`` answers, absence is 0."""
    maximum: NonNegativeFloat | None = None
    """Comfort limit: above it the KPI is warned about."""
    load: Name | None = None
    """KPI whose amount explains this one, such as the request rate: periods are compared at equal load."""
    regression: RegressionLimits = GAUGE_LIMITS

    @property
    def limits(self) -> RegressionLimits:
        """Severity limits of a regression."""
        return self.regression


class Price(Frozen):
    """What one unit of a measured resource costs."""

    promql: PromQL
    """Query of the amount in use, one series per service."""
    usd_per_unit_hour: PositiveFloat
    """Price of one unit for one hour."""
    note: Annotated[str, Field(max_length=120)] = ""
    """What the unit is and where the price comes from, for readers."""


CostPart = Literal["compute", "storage", "network", "other"]


class CostKpi(_Kpi):
    """US dollars per hour: measured resources times the policy's prices, in up to four parts."""

    kind: Literal["cost"] = "cost"
    """What is measured, and how."""
    unit: Literal[Unit.USD] = Unit.USD
    """Unit of the values."""
    worse: Literal[Worse.UP] = Worse.UP
    """Direction of change that hurts."""
    prices: Annotated[Mapping[CostPart, Price], Field(min_length=1)]
    """Measured resources and what they cost, by part; the cost is their sum."""
    series: Selector
    """The raw series that coverage is counted on."""
    load: Name | None = None
    """KPI whose amount explains this one, such as the request rate: periods are compared at equal load."""
    regression: RegressionLimits = COST_LIMITS

    @property
    def limits(self) -> RegressionLimits:
        """Severity limits of a regression."""
        return self.regression


Kpi = Annotated[
    RatioKpi | ComplementKpi | LatencyKpi | UptimeKpi | GaugeKpi | CostKpi,
    Field(discriminator="kind"),
]
JudgedKpi = RatioKpi | LatencyKpi | UptimeKpi | GaugeKpi | CostKpi


class Measurement(Frozen):
    """How the product is scraped and how its series are told apart."""

    selector: Matchers
    """Matchers that every series of the product carries."""
    service_label: LabelName = "service"
    """Label that names the service; every KPI is judged for each of its values."""
    version_label: LabelName | None = "version"
    """Label that holds the version, so that overlapping releases do not mix; null where there is none."""
    build_info: Selector | None = None
    """Series that every running process exports with its version, such as `app_build_info`: a version that is seen
    there for the first time is a new release. Null where releases are registered by hand or by manifest."""
    services: tuple[str, ...] = ()
    """Services that must answer; empty takes those of the GA day."""
    scrape_interval_s: Annotated[int, Field(ge=1, le=300)] = 60
    """Distance of two scrapes of the server; coverage is counted against it."""
    step_s: Annotated[int, Field(ge=1, le=3600)] = 60
    """Distance of two samples."""
    slot_s: Annotated[int, Field(ge=1, le=3600)] = 300
    """Length of a slot of counts: short burn-rate windows are sums of slots."""
    rate_window_s: Annotated[int, Field(ge=2, le=3600)] = 300
    """Range of the rates behind the samples; at least two scrapes."""
    min_coverage: Ratio = 0.90
    """Arrived over expected scrapes; below it a KPI is unknown."""

    @model_validator(mode="after")
    def _grids_fit(self) -> Self:
        rules = (
            (self.step_s % self.scrape_interval_s == 0, "step_s must be a multiple of scrape_interval_s"),
            (self.slot_s % self.step_s == 0, "slot_s must be a multiple of step_s"),
            (self.rate_window_s >= 2 * self.scrape_interval_s, "rate_window_s must hold at least two scrapes"),
            (
                self.build_info is None or self.version_label is not None,
                "build_info tells releases apart by version_label, which is null",
            ),
        )
        for holds, rule in rules:
            if not holds:
                raise ValueError(rule)
        return self


class Anomalies(Frozen):
    """How the anomaly detector is set."""

    method: Literal["two_view", "ewma"] = "two_view"
    """``two_view`` asks how surprising a sample is after its own past and how far it is from the GA day; ``ewma`` is
    the plain chart of the predecessor."""
    false_alarms_per_day: Annotated[float, Field(gt=0, le=1)] = 0.02
    """Sensitivity: how many false alarms one series may raise per day of 86,400 s; only for ``method: two_view``."""
    alpha: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Weight of the newest sample in the running mean; only for ``method: ewma``."""
    z_threshold: PositiveFloat = 3.0
    """Standard deviations that make an anomaly; only for ``method: ewma``."""
    merge_s: PositiveInt = 3600
    """Anomalies of one series closer than this are one event."""
    resolution: Annotated[float, Field(gt=0, le=0.1)] = 1e-3
    """Smallest believable deviation, as a share of the baseline's median."""


class Staging(Frozen):
    """Where the same version ran before GA."""

    selector: Matchers
    """Matchers that its series carry, in place of ``measurement.selector``."""


class Baselines(Frozen):
    """What a release is compared with besides its GA day and its objectives."""

    previous_release: bool = True
    """The same day of the release before it, where that was watched."""
    staging: Staging | None = None
    """The day before GA in staging; null where there is none."""
    traffic_ratio: tuple[PositiveFloat, PositiveFloat] = (0.5, 2.0)
    """Events of the judged day over those of a baseline: outside of these a baseline is not comparable."""

    @model_validator(mode="after")
    def _ratio_is_a_range(self) -> Self:
        low, high = self.traffic_ratio
        if not low < 1 < high:
            msg = f"traffic_ratio {list(self.traffic_ratio)} must lie around 1, such as [0.5, 2.0]"
            raise ValueError(msg)
        return self


class Health(Frozen):
    """How the parts of the health score are weighted; they sum to one."""

    availability: Share = 0.40
    """Weight of the worst burn rate of a ratio with an objective."""
    latency: Share = 0.30
    """Weight of the worst latency with an objective."""
    uptime: Share = 0.15
    """Weight of the worst uptime."""
    drift: Share = 0.15
    """Weight of the worst harmful drift of any KPI."""
    floor: Annotated[float, Field(ge=0, le=100)] = 60.0
    """Score, 0..100, below which the day's gate does not hold."""

    @model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.availability + self.latency + self.uptime + self.drift
        if abs(total - 1) > 1e-9:
            msg = f"the weights sum to {total:g}, not to 1"
            raise ValueError(msg)
        return self


class BurnPair(Frozen):
    """Two windows that end together: where both burn above the limit, a budget burns too fast.

    The lengths are those of a day of 86,400 s; a shorter day has shorter windows, of at least one slot.
    """

    budget_share: Ratio
    """Share of the period's budget that may be gone after the long window."""
    long_s: Annotated[int, Field(ge=60, le=7 * 86400)]
    """Long window: what burns there matters."""
    short_s: Annotated[int, Field(ge=10, le=7 * 86400)]
    """Short window: what burns there still burns."""

    @model_validator(mode="after")
    def _short_is_shorter(self) -> Self:
        if self.short_s >= self.long_s:
            msg = f"short_s ({self.short_s}) must be below long_s ({self.long_s})"
            raise ValueError(msg)
        return self

    def rate(self, period_days: int) -> float:
        """Return the burn rate that spends ``budget_share`` of a period's budget within the long window.

        Examples
        --------
        >>> pair = BurnPair(budget_share=0.05, long_s=6 * 3600, short_s=1800)
        >>> [round(pair.rate(days), 9) for days in (30, 28, 14, 7, 90)]
        [6.0, 5.6, 2.8, 1.4, 18.0]
        """
        return self.budget_share * period_days * 86400 / self.long_s


class FastBurn(BurnPair):
    """When a budget burns too fast to wait for the end of the day: the first of the ``burn_windows``."""

    budget_share: Ratio = 0.02
    """Share of the period's budget that may be gone after the long window."""
    long_s: Annotated[int, Field(ge=60, le=86400)] = 3600
    """Long window: what burns there is worth waking somebody."""
    short_s: Annotated[int, Field(ge=10, le=86400)] = 300
    """Short window: what burns there still burns."""


SLOWER_BURN = {
    "six_hours": BurnPair(budget_share=0.05, long_s=6 * 3600, short_s=1800),
    "three_days": BurnPair(budget_share=0.10, long_s=3 * 86400, short_s=6 * 3600),
}
"""The second and third pair of the Site Reliability Workbook, alerting on SLOs."""
FAST_BURN, SINCE_GA = "fast_burn", "since_ga"
"""Rungs of the ladder that have a name of their own."""


class RollBack(Frozen):
    """What it takes to advise a roll-back; each rule alone is enough."""

    budget_share: PositiveFloat = 1.0
    """Share of a period's error budget that the release alone has burnt."""
    failed_days: PositiveInt = 2
    """Days that break an objective, of the latest ``of_days``."""
    of_days: PositiveInt = 3
    """How many of the latest judged days are looked at."""
    critical_held_s: Annotated[int, Field(ge=0, le=7 * 86400)] = 86400
    """How long a critical regression of a ratio or a latency has lasted, for a day of 86,400 s; a shorter day has a
    shorter time."""

    @model_validator(mode="after")
    def _days_fit(self) -> Self:
        if self.failed_days > self.of_days:
            msg = f"failed_days ({self.failed_days}) must be at most of_days ({self.of_days})"
            raise ValueError(msg)
        return self


class Judgement(Frozen):
    """The numbers behind the words of a verdict."""

    slo_period_days: Annotated[int, Field(ge=1, le=90)] = 30
    """Days that an error budget is promised over."""
    alpha: Annotated[float, Field(gt=0, le=0.05)] = 0.001
    """Chance of calling a met objective missed, per KPI, service and day."""
    regression_alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.05
    """Chance of calling any KPI of any service a regression in a week without one, over all looks and baselines."""
    exhaustion_days: PositiveFloat = 14
    """A budget that ends sooner asks for a closer watch."""
    fast_burn: FastBurn = FastBurn()
    burn_windows: Mapping[Name, BurnPair] = SLOWER_BURN
    """Slower burns by name, judged on every day that is over, as ``fast_burn`` is: as a default 5 % of the budget in
    6 h and 10 % in 3 days."""
    roll_back: RollBack = RollBack()

    @model_validator(mode="after")
    def _names_are_free(self) -> Self:
        if taken := sorted({FAST_BURN, SINCE_GA} & set(self.burn_windows)):
            msg = f"burn_windows.{taken[0]}: this name stands for another window; choose a name of your own"
            raise ValueError(msg)
        return self

    @property
    def ladder(self) -> Mapping[str, BurnPair]:
        """Every pair of burn windows by name, that of the running day first."""
        return {FAST_BURN: self.fast_burn, **self.burn_windows}


class Gates(Frozen):
    """How bad it is where a rule other than an objective does not hold; each objective has its own ``severity``."""

    unknown: Severity = Severity.HIGH
    """What could not be judged is at most this severe."""
    telemetry: Severity = Severity.MEDIUM
    """Scrapes are missing, or the server warned."""
    evidence: Severity = Severity.CRITICAL
    """A stored artifact or a bundle differs from its digest, or lacks a file."""
    baseline: Severity = Severity.HIGH
    """The GA day is too short, too bad or too little known to compare with."""
    drift: Severity = Severity.MEDIUM
    """A KPI is farther from the GA day than its ``drift_fail``."""
    anomaly: Severity = Severity.HIGH
    """A critical anomaly was found."""
    health: Severity = Severity.HIGH
    """The health score is below its ``floor``."""
    regression: Severity = Severity.CRITICAL
    """A critical regression is active."""
    rollback: Severity = Severity.CRITICAL
    """The evidence advises to roll back."""
    certification: Severity = Severity.MEDIUM
    """The week is over and the release cannot be closed as stable."""
    fast_burn: Severity = Severity.CRITICAL
    """An error budget burns fast on the running day."""
    on_time: Severity = Severity.HIGH
    """A day that is over was not judged."""


class Policy(Frozen):
    """The promises of one product."""

    version: Literal[1]
    """Version of this file format."""
    product: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
    """Name of the product, the part of a release key before the `@`."""
    owner: Annotated[str, Field(pattern=r"^(team:[a-z0-9_-]+|[^@\s]+@[^@\s]+)$")]
    """Who answers for the product: ``team:name`` or an e-mail address."""
    measurement: Measurement
    histograms: Mapping[Name, Annotated[tuple[PositiveFloat, ...], Field(min_length=2)]] = {}
    """Upper bounds of the buckets of each histogram, seconds, without +Inf."""
    kpis: Annotated[Mapping[Name, Kpi], Field(min_length=1)]
    """The indicators by name, in the order in which reports show them."""
    judgement: Judgement = Judgement()
    baselines: Baselines = Baselines()
    anomalies: Anomalies = Anomalies()
    health: Health = Health()
    gates: Gates = Gates()

    @model_validator(mode="after")
    def _references_hold(self) -> Self:
        for bounds in self.histograms.values():
            if list(bounds) != sorted(set(bounds)):
                msg = "histograms: bounds must be strictly increasing"
                raise ValueError(msg)
        for name, kpi in self.kpis.items():
            if isinstance(kpi, LatencyKpi):
                self._histogram_fits(name, kpi)
            if isinstance(kpi, ComplementKpi) and not isinstance(self.kpis.get(kpi.of), RatioKpi):
                msg = f"kpis.{name}.of: {kpi.of!r} is not a KPI of kind ratio"
                raise ValueError(msg)
            if isinstance(kpi, GaugeKpi | CostKpi) and kpi.load is not None:
                self._load_fits(name, kpi.load)
        return self

    def _load_fits(self, name: str, load: str) -> None:
        other = self.kpis.get(load)
        if not isinstance(other, GaugeKpi) or other.load is not None or load == name:
            msg = f"kpis.{name}.load: {load!r} is not another KPI of kind gauge without a load of its own"
            raise ValueError(msg)

    def _histogram_fits(self, name: str, kpi: LatencyKpi) -> None:
        bounds = self.histograms.get(kpi.histogram)
        if bounds is None:
            msg = f"kpis.{name}.histogram: {kpi.histogram!r} is not a key of `histograms`"
            raise ValueError(msg)
        if kpi.slo and kpi.slo.threshold_s not in bounds:
            msg = (
                f"kpis.{name}.slo.threshold_s: {kpi.slo.threshold_s:g} is no bucket bound of {kpi.histogram}; "
                f"its bounds are {', '.join(f'{b:g}' for b in bounds)}"
            )
            raise ValueError(msg)

    @cached_property
    def judged(self) -> dict[str, JudgedKpi]:
        """The KPIs that get a verdict, in the order of the file."""
        return {name: kpi for name, kpi in self.kpis.items() if not isinstance(kpi, ComplementKpi)}

    @cached_property
    def slos(self) -> dict[str, RatioKpi | LatencyKpi]:
        """The KPIs with an objective and an error budget."""
        return {n: k for n, k in self.kpis.items() if isinstance(k, RatioKpi | LatencyKpi) and k.slo}

    @property
    def promises(self) -> Policy:
        """The same policy with no KPI but those that have an objective."""
        return self.model_copy(update={"kpis": dict(self.slos)})

    def objective(self, kpi: str) -> float | None:
        """Return the promised share of good events of a KPI; None where nothing is promised."""
        match self.slos.get(kpi):
            case RatioKpi(slo=RatioSlo(objective=objective)):
                return objective
            case LatencyKpi(quantile=quantile):
                return quantile
            case _:
                return None

    def counter(self, kpi: str) -> str | None:
        """Return the name under which the counts of a KPI are stored: its own, or its histogram's."""
        match self.kpis[kpi]:
            case RatioKpi():
                return kpi
            case LatencyKpi(histogram=histogram):
                return histogram
            case _:
                return None
