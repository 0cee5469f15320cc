"""Does the day that is still running ask somebody to act before it is over?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tars_ops.core.gate import AlertName, Claim, Figure, Gate
from tars_ops.core.policy import Policy
from tars_ops.core.verdict import Severity, Verdict, worst
from tars_ops.core.watch.budgets.fast_burn import Burn
from tars_ops.core.watch.running import KpiSoFar, RunningDay

NO_FAST_BURN, HOLDS_SO_FAR = "no_budget_burns_fast", "every_objective_holds_so_far"


def running_day_gates(running: RunningDay, policy: Policy) -> tuple[Gate, Gate]:
    """Return the gates of a day in progress: no budget burns fast, and every promise holds as far as the day goes."""
    return _no_fast_burn(running, policy), _holds_so_far(running, policy)


def _no_fast_burn(running: RunningDay, policy: Policy) -> Gate:
    services = sorted({one.service for one in running.burns})
    claims = [_burns(service, [one for one in running.burns if one.service == service]) for service in services]
    return Gate(
        name=NO_FAST_BURN,
        alert=AlertName.BUDGET_BURNS_FAST,
        asset="running_day",
        severity=policy.gates.fast_burn,
        claims=tuple(claims),
    )


def _burns(service: str, burns: Sequence[Burn]) -> Claim:
    first = _worst(burns)
    evidence: dict[str, Figure] = {
        "kpi": first.kpi,
        "objective_ratio": first.objective,
        "burn_rate_long": first.long.burn,
        "burn_rate_short": first.short.burn,
        "limit_burn_rate": first.limit,
        "n_bad_long": first.long.n_bad,
        "n_total_long": first.long.n_total,
        "n_bad_short": first.short.n_bad,
        "n_total_short": first.short.n_total,
        "since": f"{first.since_at:%Y-%m-%d %H:%M} UTC" if first.since_at else None,
    }
    return Claim(service=service, verdict=first.verdict, reason=f"{first.kpi}: {first.reason}", evidence=evidence)


def _worst(burns: Sequence[Burn]) -> Burn:
    verdict = worst(one.verdict for one in burns)
    return max((one for one in burns if one.verdict is verdict), key=lambda one: one.long.burn or 0.0)


def _holds_so_far(running: RunningDay, policy: Policy) -> Gate:
    services = sorted({one.service for one in running.kpis})
    claims = [_so_far([one for one in running.kpis if one.service == service]) for service in services]
    return Gate(
        name=HOLDS_SO_FAR,
        alert=AlertName.OBJECTIVE_BROKEN,
        asset="running_day",
        severity=_severity(running.kpis, policy),
        claims=tuple(claims),
    )


def _so_far(kpis: Sequence[KpiSoFar]) -> Claim:
    verdict = worst(one.verdict for one in kpis)
    said = [one for one in kpis if one.verdict is verdict]
    first = said[0]
    more = f", and {len(said) - 1} more" if len(said) > 1 and verdict is not Verdict.PASS else ""
    evidence: dict[str, Figure] = {
        "kpi": first.kpi,
        "n_bad": first.measured.n_bad,
        "n_total": first.measured.n_total,
        "burn_rate": first.burn,
        "coverage_ratio": first.coverage,
    }
    return Claim(service=first.service, verdict=verdict, reason=f"{first.kpi}: {first.reason}{more}", evidence=evidence)


def _severity(kpis: Iterable[KpiSoFar], policy: Policy) -> Severity:
    """Return the worst severity of the objectives that do not hold."""
    slos = [policy.slos[one.kpi].slo for one in kpis if one.verdict in {Verdict.FAIL, Verdict.UNKNOWN}]
    return min((slo.severity for slo in slos if slo), key=lambda one: one.rank, default=Severity.LOW)
