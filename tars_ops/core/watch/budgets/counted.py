"""What is known of the events of each promise of each service, day by day?

The days of the watch as they were judged, and the days before GA that the server still knew. A day that could not be
judged is not a day without bad events.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tars_ops.core.policy import LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import millis
from tars_ops.core.telemetry import BAD, TOTAL, CountTable, IntArray, Telemetry, prior_table
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.budgets.expected import Events
from tars_ops.core.watch.measure import Measured, bucket_bounds, bucket_names
from tars_ops.core.watch.stability import DailyStability

FULL_DAY_S = 86400


@dataclass(frozen=True, slots=True)
class Counted:
    """What is known of the events of one promise of one service."""

    kpi: str
    service: str
    objective: float
    since_ga: Mapping[int, Events | None]
    """By judged day, 0 is the GA day; None where the day could not be measured."""
    before: Mapping[int, Events]
    """Of the known days before GA, -1 is the last one."""
    has_weekdays: bool = True
    """Whether a day of the watch is a day of 86,400 s."""

    @property
    def known(self) -> Mapping[int, Events]:
        """Every day that counted events."""
        return {**self.before, **self.measured}

    @property
    def measured(self) -> Mapping[int, Events]:
        """Every day since GA that counted events."""
        return {day: events for day, events in self.since_ga.items() if events and events.n_total}


def counted_events(
    ga: Telemetry, baseline: GaBaseline, days: Mapping[int, DailyStability], policy: Policy
) -> Iterator[Counted]:
    """Yield the events of every promise of every service that counted any since GA."""
    found = (one for name, kpi in policy.slos.items() for one in _counted(ga, baseline, days, policy, name, kpi))
    return (one for one in found if one.measured)


def _counted(
    ga: Telemetry,
    baseline: GaBaseline,
    days: Mapping[int, DailyStability],
    policy: Policy,
    name: str,
    kpi: RatioKpi | LatencyKpi,
) -> Iterator[Counted]:
    objective = policy.objective(name)
    prior = prior_table(ga, policy.counter(name) or name, les=bucket_names(policy, kpi))
    services = {row.service for day in days.values() for row in day.kpis if row.kpi == name}
    services |= {service for service in baseline.services if baseline.of(name, service)}
    if objective is None:
        return
    for service in sorted(services):
        since_ga = {0: _events(baseline.of(name, service))}
        for day, stability in sorted(days.items()):
            row = stability.of_service(name, service)
            since_ga[day] = _events(row.measured) if row and row.slo is not Verdict.UNKNOWN else None
        before = _prior_events(prior, service, kpi, baseline)
        length_s = (baseline.end_at - baseline.start_at).total_seconds()
        yield Counted(name, service, objective, since_ga, before, has_weekdays=length_s == FULL_DAY_S)


def _events(measured: Measured | None) -> Events | None:
    return Events(*measured.burn) if measured and measured.burn else None


def _prior_events(
    prior: CountTable, service: str, kpi: RatioKpi | LatencyKpi, baseline: GaBaseline
) -> dict[int, Events]:
    """Return the events of each day before GA that the server still knew."""
    if service not in prior.services:
        return {}
    start_ms, end_ms = millis(baseline.start_at), millis(baseline.end_at)
    numbers = (prior.slot_ms - start_ms) // (end_ms - start_ms)
    counts = prior.of(service)
    found = {int(day): _bad_total(prior, counts[:, i], kpi) for i, day in enumerate(numbers)}
    return {day: events for day, events in found.items() if events.n_total > 0}


def _bad_total(table: CountTable, sums: IntArray, kpi: RatioKpi | LatencyKpi) -> Events:
    if isinstance(kpi, RatioKpi):
        count = dict(zip(table.les, sums.tolist(), strict=True))
        return Events(count.get(BAD, 0), count.get(TOTAL, 0))
    bounds = bucket_bounds(table)
    if not kpi.slo or kpi.slo.threshold_s not in bounds:
        return Events(0, 0)
    return Events(max(0, int(sums[-1] - sums[bounds.index(kpi.slo.threshold_s)])), int(sums[-1]))
