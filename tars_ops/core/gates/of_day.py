"""Did a judged day stay within the promises, near the GA day, and in good health?"""

from __future__ import annotations

from typing import NamedTuple

from tars_ops.core.gate import AlertName, Claim, Figure, Gate
from tars_ops.core.gates.promise import Spent, objective_gate, promise_evidence
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.telemetry import Quality
from tars_ops.core.units import percent
from tars_ops.core.verdict import Severity, Tier, Verdict, worst
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.stability import DailyStability, KpiDay, keeps_its_promise

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
            reason=_promise_in_words(row, policy),
            evidence=promise_evidence(kpi, row.measured, policy, spent.get((kpi, row.service)), of_day=row),
        )
        for row in rows
    ]
    return objective_gate("daily_stability", kpi, policy, claims, quality=quality)


def _promise_in_words(row: KpiDay, policy: Policy) -> str:
    """Say what became of the promise alone: the row's own reason may speak of its drift."""
    if row.slo is Verdict.UNKNOWN:
        return row.reason
    return keeps_its_promise(policy.judged[row.kpi], row.measured, missing=None, alpha=policy.judgement.alpha).reason


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
    if row.harm is None or row.verdict is Verdict.UNKNOWN:  # a thin day has figures too, and they say nothing
        known = row.verdict in {Verdict.PASS, Verdict.WARN}
        return _Moved(Verdict.PASS if known else Verdict.UNKNOWN, 0.0, f"{row.kpi}: {row.reason}")
    in_budgets = row.drift_in == "points"
    harm = f"{row.harm:.2g} error budgets" if in_budgets else percent(row.harm)
    limit = f"{kpi.drift_fail:g}" if in_budgets else percent(kpi.drift_fail, digits=0)
    said = f"{row.kpi} is {harm} worse than on the GA day, limit {limit}"
    beyond = Verdict.WARN if row.harm > kpi.drift_warn else Verdict.PASS
    return _Moved(Verdict.FAIL if row.harm > kpi.drift_fail else beyond, row.harm / kpi.drift_fail, said)


def anomaly_gate(found: AnomalyEvents, stability: DailyStability, policy: Policy) -> Gate:
    """No service has a critical anomaly; a service of which nothing is known on this day is unknown."""
    known = {row.service for row in stability.kpis if row.verdict is not Verdict.UNKNOWN}
    services = sorted({row.service for row in stability.kpis})
    claims = [_anomalies_of(service, found, is_known=service in known) for service in services]
    return Gate(
        name=NO_CRITICAL_ANOMALY,
        alert=AlertName.ANOMALY_CRITICAL,
        asset="anomaly_events",
        severity=policy.gates.anomaly,
        claims=tuple(claims),
    )


def _anomalies_of(service: str, found: AnomalyEvents, *, is_known: bool) -> Claim:
    critical = [one for one in found.events if one.service == service and one.severity is Severity.CRITICAL]
    n_events = sum(one.service == service for one in found.events)
    if critical:
        first = critical[0]
        said = (
            f"{len(critical)} critical, first {first.anomaly_class.value} of {first.kpi} "
            f"{first.started_at:%H:%M} to {first.ended_at:%H:%M} UTC"
        )
        verdict = Verdict.FAIL
    elif found.n_series == 0 or not is_known:
        verdict, said = Verdict.UNKNOWN, "none of its series could be scored: nothing of it is known on this day"
    else:
        verdict, said = Verdict.PASS, f"{n_events} events, none critical"
    return Claim(
        service=service, verdict=verdict, reason=said, evidence={"n_critical": len(critical), "n_events": n_events}
    )


def health_gate(health: DailyHealth, policy: Policy) -> Gate:
    """The score stays above the floor of the policy; a day that leaves out what counts is unknown."""
    floor, score = policy.health.floor, health.score
    verdict, said = _healthy(health, floor)
    weakest = min((one for one in health.parts if one.score is not None), key=lambda one: one.score or 0, default=None)
    evidence: dict[str, Figure] = {
        "score": score,
        "floor": floor,
        "n_unknown": sum(one.n_unknown for one in health.parts),
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


def _healthy(health: DailyHealth, floor: float) -> tuple[Verdict, str]:
    if health.score is None:
        return Verdict.UNKNOWN, "the day has no score: nothing that counts could be judged"
    said = f"score {health.score:g} of 100, floor {floor:g}"
    if health.score < floor:
        return Verdict.FAIL, said
    if health.tier is Tier.UNKNOWN:
        return Verdict.UNKNOWN, f"{said}, but {health.tier_reason}"
    if left_out := [one.name for one in health.parts if one.n_unknown]:
        return Verdict.WARN, f"{said}; unknown KPIs are left out of {', '.join(left_out)}"
    return Verdict.PASS, said
