"""What can this day be compared with, and why not with the rest?

A baseline that was thin, broken or under quite another traffic makes every comparison with it worthless. Each is
checked for every day; what is rejected is listed with its reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from tars_ops.core.model import Frozen, Sha256
from tars_ops.core.policy import ALL_SERVICES, CostKpi, GaugeKpi, JudgedKpi, LatencyKpi, Policy
from tars_ops.core.release import Window
from tars_ops.core.telemetry import Telemetry, count_table
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.comparisons.slots import Key, SlotTable, events_of, slot_table
from tars_ops.core.watch.measure import Measured, bucket_names, by_key, measure, why_unknown
from tars_ops.core.watch.references import BaselineKind, Reference, References
from tars_ops.core.watch.stability import keeps_its_promise


class Rejected(Frozen):
    """A part of a baseline that a day is not compared with."""

    service: str
    """``*`` where it is about every service."""
    kpi: str | None
    """None where it is about every KPI of the service."""
    reason: str


class BaselineUse(Frozen):
    """What became of one baseline on one day."""

    kind: BaselineKind
    day: int
    """Day of the watch that was to be compared with it."""
    release: str | None
    """Release that ran there; None for an objective and where there is no such baseline."""
    baseline_day: int | None
    """Its day of that release's watch, 0 for the GA day; None in staging."""
    telemetry_sha256: Sha256 | None
    used: bool
    """At least one KPI of one service was compared with it."""
    reason: str
    """Why it was not used at all; empty where it was."""
    rejected: tuple[Rejected, ...]
    """What of it could not be used."""


@dataclass(frozen=True)
class Period:
    """A baseline that is there: one window, measured, slot by slot."""

    kind: BaselineKind
    release: str
    day: int | None
    window: Window
    telemetry_sha256: str
    slots: SlotTable
    measured: Mapping[Key, Measured]
    unknown: Mapping[Key, str]
    """Why a KPI of a service is not known well enough there."""
    polluted: Mapping[str, str] = field(default_factory=dict)
    """Why a service was not itself there."""

    def why_not(self, key: Key, day: SlotTable, window: Window, policy: Policy) -> str | None:
        """Say in words why a KPI of a service cannot be compared with this period; None where it can."""
        if self.window.length_s != window.length_s:
            return f"its day is of {self.window.length_s} s, not of {window.length_s} s"
        if said := self.polluted.get(key[1]) or self.unknown.get(key):
            return said
        if key not in self.slots:
            return "the service did not have this KPI there"
        if self.slots[key].n_slots != day[key].n_slots:
            return f"it is counted in {self.slots[key].n_slots} slots, not in {day[key].n_slots}"
        return None if key[0] in loads(policy) else self._other_traffic(key[1], day, policy)

    def _other_traffic(self, service: str, day: SlotTable, policy: Policy) -> str | None:
        now, then = events_of(day, policy, service), events_of(self.slots, policy, service)
        if not now or not then:
            return None
        low, high = policy.baselines.traffic_ratio
        ratio = now / then
        if low <= ratio <= high:
            return None
        return f"{now} events against {then}, {ratio:.2g} times as many, comparable are {low:g} to {high:g} times"


def loads(policy: Policy) -> set[str]:
    """Return the KPIs that explain others: the traffic itself."""
    found = (kpi.load for kpi in policy.judged.values() if isinstance(kpi, GaugeKpi | CostKpi))
    return {load for load in found if load is not None}


def ga_period(ga: Telemetry, baseline: GaBaseline, policy: Policy) -> Period:
    """Return the GA day as a baseline."""
    return Period(
        kind=BaselineKind.GA_DAY,
        release=baseline.release,
        day=0,
        window=ga.quality.window,
        telemetry_sha256=baseline.telemetry_sha256,
        slots=slot_table(ga, policy),
        measured=by_key(baseline.kpis),
        unknown={(one.kpi, one.service): one.reason for one in baseline.doubts},
        polluted=dict(_broken(by_key(baseline.kpis), policy)),
    )


def reference_period(kind: BaselineKind, reference: Reference, policy: Policy, *, beside: Window) -> Period:
    """Return a day of another release, or of staging, as a baseline of a window."""
    telemetry = reference.telemetry
    measured = by_key(measure(telemetry, policy))
    judged = reference.stability
    return Period(
        kind=kind,
        release=reference.release,
        day=reference.day,
        window=telemetry.quality.window,
        telemetry_sha256=judged.telemetry_sha256 if judged else telemetry.sha256,
        slots=slot_table(telemetry, policy, beside=beside),
        measured=measured,
        unknown=dict(_unknown(telemetry, policy)),
        polluted={**dict(_broken(measured, policy)), **dict(_incidents(reference))},
    )


def _unknown(telemetry: Telemetry, policy: Policy) -> Iterator[tuple[Key, str]]:
    for name, kpi in policy.judged.items():
        layout = _other_layout(telemetry, policy, kpi)
        for service in telemetry.quality.services:
            if said := layout or why_unknown(telemetry, policy, name, service):
                yield (name, service), said


def _other_layout(telemetry: Telemetry, policy: Policy, kpi: JudgedKpi) -> str | None:
    """Tell whether a histogram was counted in other buckets; a bucket below the fastest event leaves no trace."""
    if not isinstance(kpi, LatencyKpi):
        return None
    found, expected = count_table(telemetry, kpi.histogram).les, bucket_names(policy, kpi)
    first = expected.index(found[0]) if found and found[0] in expected else 0
    if not found or found == expected[first:]:
        return None
    return f"its buckets are {', '.join(found)}, not {', '.join(expected)}"


def _broken(measured: Mapping[Key, Measured], policy: Policy) -> Iterator[tuple[str, str]]:
    for (name, service), found in measured.items():
        if name not in policy.slos or service == ALL_SERVICES:
            continue
        promise = keeps_its_promise(policy.judged[name], found, missing=None, alpha=policy.judgement.alpha)
        if promise.verdict is Verdict.FAIL:
            yield service, f"it broke an objective itself: {promise.reason}"


def _incidents(reference: Reference) -> Iterator[tuple[str, str]]:
    for event in reference.anomalies.events if reference.anomalies else ():
        if event.severity in {Severity.CRITICAL, Severity.HIGH}:
            yield event.service, f"an incident of its own: {event.severity} {event.anomaly_class} of {event.kpi}"


def periods_of(day: int, window: Window, ga: Period, references: References, policy: Policy) -> tuple[Period, ...]:
    """Return every baseline that is there for a day, the closest first."""
    found = [ga]
    if day in references.previous:
        found.append(reference_period(BaselineKind.PREVIOUS_RELEASE, references.previous[day], policy, beside=window))
    if references.staging is not None:
        found.append(reference_period(BaselineKind.STAGING, references.staging, policy, beside=window))
    return tuple(found)


def kinds_of(references: References, policy: Policy) -> tuple[BaselineKind, ...]:
    """Return the baselines that a week is planned to be compared with, before a day of it is seen."""
    there = {
        BaselineKind.GA_DAY: True,
        BaselineKind.PREVIOUS_RELEASE: bool(references.previous),
        BaselineKind.STAGING: references.staging is not None,
        BaselineKind.SLO: bool(policy.slos),
    }
    return tuple(kind for kind, is_there in there.items() if is_there)


def uses_of(
    day: int,
    periods: tuple[Period, ...],
    rejected: Mapping[BaselineKind, list[Rejected]],
    used: set[BaselineKind],
    references: References,
    policy: Policy,
) -> Iterator[BaselineUse]:
    """Tell what became of every baseline on a day, of those that are absent too."""
    for period in periods:
        reasons = tuple(rejected.get(period.kind, ()))
        yield BaselineUse(
            kind=period.kind,
            day=day,
            release=period.release,
            baseline_day=period.day,
            telemetry_sha256=period.telemetry_sha256,
            used=period.kind in used,
            reason="" if period.kind in used else _first(reasons),
            rejected=reasons,
        )
    there = {period.kind for period in periods}
    for kind in BaselineKind:
        if kind not in there:
            is_used = kind in used
            yield BaselineUse(
                kind=kind,
                day=day,
                release=None,
                baseline_day=None,
                telemetry_sha256=None,
                used=is_used,
                reason="" if is_used else _why_absent(kind, references, policy),
                rejected=(),
            )


def _first(reasons: tuple[Rejected, ...]) -> str:
    return f"{reasons[0].service}: {reasons[0].reason}" if reasons else "no KPI of the day could be compared"


def _why_absent(kind: BaselineKind, references: References, policy: Policy) -> str:
    if kind in references.absent:
        return references.absent[kind]
    if kind is BaselineKind.SLO:
        return "no KPI with an objective could be compared" if policy.slos else "the policy promises nothing"
    if kind is BaselineKind.PREVIOUS_RELEASE and references.previous:
        return "this day of the release before is not there"
    return "none is known"
