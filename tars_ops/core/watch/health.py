"""How healthy was this day, in one number, and what should somebody do about it?

The score is 0..100 out of four parts, each shown: 100 at the ideal, 80 at the objective, 0 at the failure limit
(``docs/reference/methods.md``). A part that nobody knows is left out and the tier is capped; a day without data has no
score.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import StrEnum

import numpy as np

from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import JudgedKpi, LatencyKpi, LatencySlo, Policy, RatioKpi, UptimeKpi
from tars_ops.core.verdict import Priority, Severity, Tier, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.stability import DailyStability, KpiDay

AT_OBJECTIVE = 80.0
HEALTHY, DEGRADED = 80.0, 60.0
UPTIME_OBJECTIVE, UPTIME_FAILURE = 0.999, 0.99
FAILURE_BURN = 10.0


class HealthStatus(StrEnum):
    """The score in one word."""

    HEALTHY = "healthy"
    DEGRADED = "degraded"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class HealthPart(Frozen):
    """One part of the score."""

    name: str
    weight: float
    """Share of the score, after unknown parts were left out; 0 for an unknown one."""
    score: float | None
    """0..100; None where it is unknown."""
    worst_service: str | None
    n_unknown: int
    """KPIs of services that could not be judged."""


class Mitigation(Frozen):
    """Something to do about this day."""

    priority: Priority
    kpi: str
    service: str
    action: str
    finding: str
    """What the action answers."""


class DailyHealth(Frozen):
    """The health of one day."""

    release: str
    day: int
    start_at: Instant
    end_at: Instant
    stability_telemetry_sha256: Sha256
    score: float | None
    status: HealthStatus
    tier: Tier
    tier_reason: str
    parts: tuple[HealthPart, ...]
    lifted: bool
    """The score was lifted to 80, because every promise was kept."""
    n_anomalies: int
    n_critical_anomalies: int
    mitigations: tuple[Mitigation, ...]


def assess_health(stability: DailyStability, anomalies: AnomalyEvents, policy: Policy) -> DailyHealth:
    """Score one judged day."""
    parts = _weighed(list(_parts(stability, policy)))
    raw = sum(part.weight * part.score for part in parts if part.score is not None)
    score = round(raw, 1) if any(part.weight for part in parts) else None
    kept = _every_promise_kept(stability)
    lifted = score is not None and kept and score < AT_OBJECTIVE
    score = AT_OBJECTIVE if lifted else score
    n_critical = sum(event.severity is Severity.CRITICAL for event in anomalies.events)
    tier, reason = _tier(stability, parts, score)
    return DailyHealth(
        release=stability.release,
        day=stability.day,
        start_at=stability.start_at,
        end_at=stability.end_at,
        stability_telemetry_sha256=stability.telemetry_sha256,
        score=score,
        status=_status(score),
        tier=tier,
        tier_reason=reason,
        parts=tuple(parts),
        lifted=lifted,
        n_anomalies=len(anomalies.events),
        n_critical_anomalies=n_critical,
        mitigations=tuple(_mitigations(stability, anomalies, policy)),
    )


def _every_promise_kept(stability: DailyStability) -> bool:
    promises = [row.slo for row in stability.kpis if row.slo is not None]
    return bool(promises) and all(one is Verdict.PASS for one in promises)


def _status(score: float | None) -> HealthStatus:
    if score is None:
        return HealthStatus.UNKNOWN
    if score >= HEALTHY:
        return HealthStatus.HEALTHY
    return HealthStatus.DEGRADED if score >= DEGRADED else HealthStatus.CRITICAL


def _parts(stability: DailyStability, policy: Policy) -> Iterator[HealthPart]:
    groups = {
        "availability": {n for n, k in policy.slos.items() if isinstance(k, RatioKpi)},
        "latency": {n for n, k in policy.slos.items() if isinstance(k, LatencyKpi)},
        "uptime": {n for n, k in policy.judged.items() if isinstance(k, UptimeKpi)},
        "drift": set(policy.judged),
    }
    for name, kpis in groups.items():
        rows = [row for row in stability.kpis if row.kpi in kpis]
        scores = [(_score(name, policy.judged[row.kpi], row), row) for row in rows]
        known = [(score, row.service) for score, row in scores if score is not None]
        worst_score, worst_service = min(known, default=(None, None))
        yield HealthPart(
            name=name,
            weight=getattr(policy.health, name),
            score=worst_score,
            worst_service=worst_service,
            n_unknown=len(scores) - len(known),
        )


def _score(part: str, kpi: JudgedKpi, row: KpiDay) -> float | None:
    """Score one KPI of one service; None where it cannot be judged."""
    value = row.measured.value
    if value is None or row.coverage == 0 or row.verdict is Verdict.UNKNOWN:
        return None
    if part == "drift":
        return None if row.harm is None else _line(row.harm, (0.0, kpi.drift_warn, 2 * kpi.drift_fail))
    if part == "availability":
        return None if row.burn is None else _line(row.burn, (0.0, 1.0, FAILURE_BURN))
    if part == "latency" and isinstance(kpi, LatencyKpi) and isinstance(kpi.slo, LatencySlo):
        return _line(value / kpi.slo.threshold_s, (0.5, 1.0, 2.0))
    return _line(1 - value, (0.0, 1 - UPTIME_OBJECTIVE, 1 - UPTIME_FAILURE))


def _line(badness: float, knots: tuple[float, float, float]) -> float:
    """Return 100 at the ideal, 80 at the objective, 0 at the failure limit, straight in between."""
    return round(float(np.interp(badness, knots, (100.0, AT_OBJECTIVE, 0.0))), 1)


def _weighed(parts: Sequence[HealthPart]) -> list[HealthPart]:
    whole = sum(part.weight for part in parts if part.score is not None)
    return [
        part.model_copy(update={"weight": part.weight / whole if part.score is not None and whole else 0.0})
        for part in parts
    ]


def _tier(stability: DailyStability, parts: Sequence[HealthPart], score: float | None) -> tuple[Tier, str]:
    promises = [row for row in stability.kpis if row.slo is not None]
    if broken := [row for row in promises if row.slo is Verdict.FAIL]:
        return Tier.RED, f"{broken[0].kpi} of {broken[0].service} broke its objective"
    if not promises or all(row.slo is Verdict.UNKNOWN for row in promises):
        return Tier.UNKNOWN, "no objective could be judged"
    if next(part for part in parts if part.name == "availability").score is None:
        return Tier.UNKNOWN, "availability could not be judged"
    if unknown := [row for row in promises if row.verdict is Verdict.UNKNOWN]:
        return Tier.AMBER, f"{unknown[0].kpi} of {unknown[0].service} is unknown: {unknown[0].reason}"
    if missing := [part.name for part in parts if part.score is None and part.weight == 0 and part.n_unknown]:
        return Tier.AMBER, f"the part {missing[0]} of the health score is unknown"
    if warned := [row for row in promises if row.verdict is not Verdict.PASS]:
        return Tier.AMBER, f"{warned[0].kpi} of {warned[0].service}: {warned[0].reason}"
    if failed := [row for row in stability.kpis if row.verdict is Verdict.FAIL]:
        return Tier.AMBER, f"{failed[0].kpi} of {failed[0].service}: {failed[0].reason}"
    if score is None or score < HEALTHY:
        return Tier.AMBER, f"the health score is {score}"
    return Tier.GREEN, "every objective was kept and could be judged"


def _mitigations(stability: DailyStability, anomalies: AnomalyEvents, policy: Policy) -> Iterator[Mitigation]:
    found = [one for row in stability.kpis if (one := _mitigation(row, policy.judged[row.kpi]))]
    critical = [event for event in anomalies.events if event.severity is Severity.CRITICAL]
    found += [
        Mitigation(
            priority=Priority.P1,
            kpi=event.kpi,
            service=event.service,
            action=f"Look at {event.service} from {event.started_at:%H:%M} to {event.ended_at:%H:%M} UTC",
            finding=f"critical {event.anomaly_class.value.replace('_', ' ')} of {event.kpi}",
        )
        for event in critical
    ]
    yield from sorted(found, key=lambda one: one.priority)


def _mitigation(row: KpiDay, kpi: JudgedKpi) -> Mitigation | None:
    likely = f"; usual cause: {kpi.causes[0].lower()}" if kpi.causes else ""
    if row.slo is Verdict.FAIL:
        priority, action = Priority.P0, f"Restore {kpi.title} of {row.service} or prepare the roll-back{likely}"
    elif row.verdict is Verdict.UNKNOWN:
        priority, action = Priority.P1, f"Restore the telemetry of {row.service} ({kpi.title}) and judge the day again"
    elif row.verdict is Verdict.FAIL:
        priority, action = Priority.P1, f"Explain the drift of {kpi.title} of {row.service}{likely}"
    elif row.verdict is Verdict.WARN:
        priority, action = Priority.P2, f"Watch {kpi.title} of {row.service}{likely}"
    else:
        return None
    return Mitigation(priority=priority, kpi=row.kpi, service=row.service, action=action, finding=row.reason)
