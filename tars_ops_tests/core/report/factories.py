"""Weeks made by hand: values in, the real models and the real verdicts out, without telemetry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tars_ops.core.policy import ALL_SERVICES, ComplementKpi, JudgedKpi, LatencyKpi, Policy, RatioKpi, UptimeKpi
from tars_ops.core.release import Release, day_key
from tars_ops.core.report.narrative import Narrative, build_narrative
from tars_ops.core.report.retrospective import Retrospective, build_retrospective
from tars_ops.core.verdict import Severity, worst
from tars_ops.core.watch import decision, regression, stability
from tars_ops.core.watch.anomalies.event import AnomalyClass, AnomalyEvent, AnomalyEvents
from tars_ops.core.watch.baseline import Doubt, GaBaseline
from tars_ops.core.watch.budgets import budget
from tars_ops.core.watch.budgets.counted import Counted
from tars_ops.core.watch.budgets.expected import Events
from tars_ops.core.watch.comparisons.compare import Method
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome
from tars_ops.core.watch.comparisons.harm import Regression
from tars_ops.core.watch.health import DailyHealth, assess_health
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.references import BaselineKind
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import DailyStability

POLICY_FILE = Path(__file__).parents[3] / "policies" / "tars.yaml"
GA_AT = datetime(2025, 11, 18, tzinfo=UTC)
SERVICES = ("api", "worker")
TOTAL = 100_000
USUAL: Mapping[str, float] = {
    "availability": 0.9999,
    "uptime": 1.0,
    "p50_latency": 0.05,
    "p95_latency": 0.2,
    "p99_latency": 0.3,
    "request_rate": 100.0,
    "cpu": 0.5,
    "memory": 2e8,
    "db_p95_latency": 0.02,
    "cache_hit_ratio": 0.97,
    "cost_per_hour": 1.0,
    "firing_critical_alerts": 0.0,
}
UNKNOWN = "unknown"
THIN = "coverage 0.50 < 0.90"
Changes = Mapping[Any, float | str]
"""(day, KPI, service) -> another value than the usual one, or UNKNOWN."""


def policy(**changes: Any) -> Policy:
    return Policy.model_validate({**yaml.safe_load(POLICY_FILE.read_text(encoding="utf-8")), **changes})


def release(**changes: Any) -> Release:
    return Release.model_validate(
        {"product": "tars", "version": "1.0.1", "ga_at": GA_AT, "policy_sha256": "a" * 64, **changes}
    )


class Evidence(NamedTuple):
    """The arguments of ``build_retrospective``, in its order."""

    release: Release
    policy: Policy
    baseline: GaBaseline
    stabilities: Mapping[int, DailyStability]
    anomalies: Mapping[int, AnomalyEvents]
    health: Mapping[int, DailyHealth]
    regression: RegressionAnalysis

    def retrospective(self, **options: Any) -> Retrospective:
        return build_retrospective(*self, **options)

    def narrative(self, previous: Narrative | None = None) -> Narrative:
        return build_narrative(self.release, self.policy, self.retrospective(), self.regression, self.health, previous)


def evidence(
    changes: Changes | None = None,
    *,
    as_of: int = 7,
    missing: Sequence[int] = (),
    services: Sequence[str] = SERVICES,
    regressions: Sequence[Regression] = (),
    events: Mapping[int, Sequence[AnomalyEvent]] | None = None,
    supersedes: str | None = None,
    of_release: Release | None = None,
    of_policy: Policy | None = None,
) -> Evidence:
    """Make the evidence of a week in which everything is as usual but for some changes."""
    watched, promises = of_release or release(), of_policy or policy()
    usual = {**(changes or {})}
    baseline = _baseline(usual, watched, promises, services, supersedes)
    days = [day for day in range(1, as_of + 1) if day not in missing]
    stabilities = {day: _stability(day, usual, watched, promises, baseline, services) for day in days}
    anomalies = {day: _anomalies(day, watched, (events or {}).get(day, ())) for day in days}
    health = {day: assess_health(stabilities[day], anomalies[day], promises) for day in days}
    analysis = _analysis(watched, promises, baseline, stabilities, tuple(regressions), as_of)
    return Evidence(watched, promises, baseline, stabilities, anomalies, health, analysis)


def _measured(name: str, kpi: JudgedKpi, service: str, value: float) -> Measured:
    if isinstance(kpi, RatioKpi):
        n_bad = round((1 - value) * TOTAL)
        return Measured(kpi=name, service=service, value=1 - n_bad / TOTAL, n_bad=n_bad, n_total=TOTAL)
    if isinstance(kpi, LatencyKpi):
        slow = 3000 if kpi.slo and value > kpi.slo.threshold_s else 100
        return Measured(kpi=name, service=service, value=value, lower=value, upper=2 * value, n_bad=slow, n_total=TOTAL)
    return Measured(kpi=name, service=service, value=value, n_samples=1440)


def _total(name: str, kpi: JudgedKpi, found: Sequence[Measured]) -> Measured:
    values = [one.value or 0.0 for one in found]
    if isinstance(kpi, RatioKpi):
        n_bad, n_total = sum(one.n_bad or 0 for one in found), sum(one.n_total or 0 for one in found)
        return Measured(kpi=name, service=ALL_SERVICES, value=1 - n_bad / n_total, n_bad=n_bad, n_total=n_total)
    if isinstance(kpi, LatencyKpi):
        return Measured(kpi=name, service=ALL_SERVICES, value=max(values), n_bad=0, n_total=TOTAL)
    mean = isinstance(kpi, UptimeKpi)
    return Measured(kpi=name, service=ALL_SERVICES, value=sum(values) / (len(values) if mean else 1))


def _day(changes: Changes, promises: Policy, services: Sequence[str], day: int) -> dict[tuple[str, str], Measured]:
    found = {}
    for name, kpi in promises.judged.items():
        for service in services:
            value = changes.get((day, name, service), USUAL[name])
            known = USUAL[name] if isinstance(value, str) else value
            found[name, service] = _measured(name, kpi, service, known)
    return found


def _totals(promises: Policy, measured: Mapping[tuple[str, str], Measured]) -> list[Measured]:
    totals = [
        _total(name, kpi, [one for (kpi_name, _), one in measured.items() if kpi_name == name])
        for name, kpi in promises.judged.items()
    ]
    whole = {one.kpi: one for one in totals}
    turned = [
        whole[kpi.of].model_copy(update={"kpi": name, "value": 1 - (whole[kpi.of].value or 0.0)})
        for name, kpi in promises.kpis.items()
        if isinstance(kpi, ComplementKpi)
    ]
    return [*totals, *turned]


def _baseline(
    changes: Changes, watched: Release, promises: Policy, services: Sequence[str], supersedes: str | None
) -> GaBaseline:
    window, measured = watched.window(0), _day(changes, promises, services, 0)
    return GaBaseline(
        release=watched.key,
        start_at=window.start_at,
        end_at=window.end_at,
        policy_sha256=watched.policy_sha256,
        telemetry_sha256="b" * 64,
        services=tuple(services),
        kpis=(*measured.values(), *_totals(promises, measured)),
        spreads=(),
        doubts=tuple(
            Doubt(kpi=kpi, service=service, reason=THIN)
            for (day, kpi, service), value in changes.items()
            if day == 0 and value == UNKNOWN
        ),
        supersedes=supersedes,
    )


def _stability(
    day: int, changes: Changes, watched: Release, promises: Policy, baseline: GaBaseline, services: Sequence[str]
) -> DailyStability:
    window, measured = watched.window(day), _day(changes, promises, services, day)
    rows = []
    for (name, service), one in measured.items():
        unknown = changes.get((day, name, service)) == UNKNOWN
        rows.append(
            stability._judge(
                promises.judged[name],
                promises,
                one,
                baseline,
                missing=THIN if unknown else None,
                coverage=0.5 if unknown else 1.0,
            )
        )
    return DailyStability(
        release=watched.key,
        day=day,
        start_at=window.start_at,
        end_at=window.end_at,
        policy_sha256=watched.policy_sha256,
        telemetry_sha256=f"{day:064d}",
        baseline_telemetry_sha256=baseline.telemetry_sha256,
        verdict=worst(row.verdict for row in rows),
        kpis=tuple(rows),
        reported=tuple(_totals(promises, measured)),
    )


def _anomalies(day: int, watched: Release, events: Sequence[AnomalyEvent]) -> AnomalyEvents:
    window = watched.window(day)
    return AnomalyEvents(
        release=watched.key,
        day=day,
        start_at=window.start_at,
        end_at=window.end_at,
        method="two_view",
        policy_sha256=watched.policy_sha256,
        telemetry_sha256=f"{day:064d}",
        events=tuple(events),
        n_series=24,
        n_uncalibrated=0,
    )


def event(
    day: int,
    *,
    severity: Severity = Severity.CRITICAL,
    kind: AnomalyClass = AnomalyClass.SPIKE,
    kpi: str = "cpu",
    service: str = "api",
) -> AnomalyEvent:
    started_at = GA_AT + timedelta(days=day, hours=3)
    return AnomalyEvent(
        kpi=kpi,
        service=service,
        anomaly_class=kind,
        severity=severity,
        started_at=started_at,
        ended_at=started_at + timedelta(minutes=20),
        peak_at=started_at,
        peak=2.0,
        expected=0.5,
        lower=0.4,
        upper=0.6,
        p=1e-12,
        score=12.0,
        sentence=f"CPU of {service} rose to 2 cores at {started_at:%Y-%m-%d %H:%M} UTC (expected 0.4 to 0.6 cores).",
    )


def regressed(
    kpi: str, service: str, severity: Severity, days: Sequence[int], *, active: bool, change: float = 0.2
) -> Regression:
    comparison = Comparison(
        kpi=kpi,
        service=service,
        day=days[-1],
        baseline=BaselineKind.GA_DAY,
        outcome=Outcome.REGRESSION,
        severity=severity,
        before=1.0,
        after=1.0 + change,
        change=change,
        change_in="relative",
        lower=change - 0.01,
        upper=change + 0.01,
        tolerance=0.05,
        effect=1.0,
        test=Method.PAIRED_T,
        p=1e-9,
        p_adjusted=1e-8,
        alpha=0.01,
        n=24,
        n_effective=20.0,
        load=None,
        held_s=3600,
        sentence=f"{kpi} of {service} went up by {100 * change:.0f} % - {severity} regression",
    )
    return Regression(
        kpi=kpi,
        service=service,
        severity=severity,
        days=tuple(days),
        baselines=(BaselineKind.GA_DAY,),
        active=active,
        comparison=comparison,
    )


def _analysis(
    watched: Release,
    promises: Policy,
    baseline: GaBaseline,
    stabilities: Mapping[int, DailyStability],
    regressions: tuple[Regression, ...],
    as_of: int,
) -> RegressionAnalysis:
    spent = tuple(_budgets(promises, baseline, stabilities))
    days = tuple(regression.day_seen(day, stabilities, watched, as_of) for day in watched.days)
    reasons = tuple(decision.reasons_for(days, stabilities, regressions, (), spent, watched, promises))
    chosen = decision.decide(reasons)
    tier, tier_reason = decision.tier_of(chosen, reasons, regressions, (), days, stabilities.get(as_of), as_of)
    return RegressionAnalysis(
        release=watched.key,
        as_of=as_of,
        end_at=stabilities[max(stabilities)].end_at,
        policy_sha256=watched.policy_sha256,
        baseline_telemetry_sha256=baseline.telemetry_sha256,
        baseline_supersedes=baseline.supersedes,
        stability_telemetry_sha256={day_key(day): one.telemetry_sha256 for day, one in stabilities.items()},
        days=days,
        decision=chosen,
        confidence=decision.confidence_of(chosen, reasons),
        drivers=decision.drivers_of(chosen, reasons),
        expected_budget_saved=None,
        assessment="stable",
        tier=tier,
        tier_reason=tier_reason,
        reasons=reasons,
        regressions=regressions,
        comparisons=(),
        baselines=(),
        budgets=spent,
        burns=(),
    )


def _budgets(promises: Policy, baseline: GaBaseline, stabilities: Mapping[int, DailyStability]) -> list[budget.Budget]:
    found = []
    for name in promises.slos:
        for service in sorted({row.service for day in stabilities.values() for row in day.kpis}):
            since_ga = {0: _events(baseline.of(name, service))}
            for day, judged in stabilities.items():
                row = judged.of_service(name, service)
                since_ga[day] = _events(row.measured) if row and row.slo != "unknown" else None
            objective = promises.objective(name) or 0.0
            if any(since_ga.values()):
                found.append(budget.budget_of(Counted(name, service, objective, since_ga, {}), promises.judgement))
    return found


def _events(measured: Measured | None) -> Events | None:
    return Events(*measured.burn) if measured and measured.burn else None
