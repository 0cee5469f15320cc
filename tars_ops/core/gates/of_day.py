"""Did a judged day stay within the promises, near the GA day, and in good health?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tars_ops.core.gate import AlertName, Claim, Figure, Gate
from tars_ops.core.gates.promise import Spent, objective_gate, promise_evidence
from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import ALL_SERVICES, Quality
from tars_ops.core.units import percent
from tars_ops.core.verdict import Severity, Verdict, worst
from tars_ops.core.watch.anomaly import AnomalyEvents
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.stability import DailyStability, KpiDay

NO_DRIFT, NO_CRITICAL_ANOMALY = "no_kpi_drifts", "no_anomaly_is_critical"
HEALTH_FLOOR = "health_stays_above_its_floor"


def stability_gates(stability: DailyStability, policy: Policy, spent: Spent, quality: Quality) -> tuple[Gate, ...]:
    """Return every gate of a judged day: each objective, and drift."""
    return (
        *(_objective_of_day(stability, kpi, policy, spent, quality) for kpi in policy.slos),
        _no_drift(stability, policy),
    )


def _objective_of_day(stability: DailyStability, kpi: str, policy: Policy, spent: Spent, quality: Quality) -> Gate:
    rows = [row for row in stability.kpis if row.kpi == kpi and row.slo is not None]
    claims = [
        Claim(
            service=row.service,
            verdict=row.slo or Verdict.UNKNOWN,
            reason=row.reason,
            evidence=promise_evidence(kpi, row.measured, policy, spent.get((kpi, row.service)), of_day=row),
        )
        for row in rows
    ]
    return objective_gate("daily_stability", kpi, policy, claims, quality=quality)


class _Moved(NamedTuple):
    verdict: Verdict
    harm: float
    reason: str


def _no_drift(stability: DailyStability, policy: Policy) -> Gate:
    services = sorted({row.service for row in stability.kpis})
    claims = [_drift_claim(service, stability, policy) for service in services]
    return Gate(
        name=NO_DRIFT,
        alert=AlertName.KPI_DRIFTED,
        asset="daily_stability",
        severity=policy.gates.drift,
        claims=tuple(claims),
    )


def _drift_claim(service: str, stability: DailyStability, policy: Policy) -> Claim:
    moved = [_moved(row, policy) for row in stability.kpis if row.service == service]
    verdict = worst(one.verdict for one in moved)
    said = [one for one in moved if one.verdict is verdict]
    first = max(said, key=lambda one: one.harm)
    more = f", and {len(said) - 1} more" if len(said) > 1 else ""
    reason = "no KPI is beyond its limit" if verdict is Verdict.PASS else f"{first.reason}{more}"
    n_beyond = sum(one.verdict is Verdict.FAIL for one in moved)
    return Claim(service=service, verdict=verdict, reason=reason, evidence={"n_beyond": n_beyond, "n_kpis": len(moved)})


def _moved(row: KpiDay, policy: Policy) -> _Moved:
    kpi = policy.judged[row.kpi]
    if row.harm is None:
        known = row.verdict is not Verdict.UNKNOWN and row.baseline is not None
        return _Moved(Verdict.PASS if known else Verdict.UNKNOWN, 0.0, f"{row.kpi}: {row.reason}")
    in_budgets = row.drift_in == "points"
    harm = f"{row.harm:.2g} error budgets" if in_budgets else percent(row.harm)
    limit = f"{kpi.drift_fail:g}" if in_budgets else percent(kpi.drift_fail, digits=0)
    said = f"{row.kpi} is {harm} worse than on the GA day, limit {limit}"
    beyond = Verdict.WARN if row.harm > kpi.drift_warn else Verdict.PASS
    return _Moved(Verdict.FAIL if row.harm > kpi.drift_fail else beyond, row.harm / kpi.drift_fail, said)


def anomaly_gate(found: AnomalyEvents, services: Iterable[str], policy: Policy) -> Gate:
    """No service has a critical anomaly; a day on which no series could be scored is unknown."""
    claims = [_anomalies_of(service, found) for service in sorted(services)]
    return Gate(
        name=NO_CRITICAL_ANOMALY,
        alert=AlertName.ANOMALY_CRITICAL,
        asset="anomaly_events",
        severity=policy.gates.anomaly,
        claims=tuple(claims),
    )


def _anomalies_of(service: str, found: AnomalyEvents) -> Claim:
    critical = [one for one in found.events if one.service == service and one.severity is Severity.CRITICAL]
    n_events = sum(one.service == service for one in found.events)
    if critical:
        first = critical[0]
        said = (
            f"{len(critical)} critical, first {first.anomaly_class.value} of {first.kpi} "
            f"{first.started_at:%H:%M} to {first.ended_at:%H:%M} UTC"
        )
        verdict = Verdict.FAIL
    elif found.n_series == 0:
        verdict, said = Verdict.UNKNOWN, "no series could be scored"
    else:
        verdict, said = Verdict.PASS, f"{n_events} events, none critical"
    return Claim(
        service=service, verdict=verdict, reason=said, evidence={"n_critical": len(critical), "n_events": n_events}
    )


def health_gate(health: DailyHealth, policy: Policy) -> Gate:
    """The score stays above the floor of the policy; a day without a score is unknown."""
    floor, score = policy.health.floor, health.score
    if score is None:
        verdict, said = Verdict.UNKNOWN, "the day has no score: nothing that counts could be judged"
    else:
        verdict, said = Verdict.PASS if score >= floor else Verdict.FAIL, f"score {score:g} of 100, floor {floor:g}"
    weakest = min((one for one in health.parts if one.score is not None), key=lambda one: one.score or 0, default=None)
    evidence: dict[str, Figure] = {
        "score": score,
        "floor": floor,
        "weakest_part": weakest.name if weakest else None,
        "worst_service": weakest.worst_service if weakest else None,
    }
    return Gate(
        name=HEALTH_FLOOR,
        alert=AlertName.HEALTH_LOW,
        asset="daily_health",
        severity=policy.gates.health,
        claims=(Claim(service=ALL_SERVICES, verdict=verdict, reason=said, evidence=evidence),),
    )
