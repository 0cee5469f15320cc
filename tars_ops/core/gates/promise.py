"""Does every service keep an objective, and by how much? The gate of one SLO, on the GA day and on every day."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from tars_ops.core import sli
from tars_ops.core.gate import AlertName, Claim, Figure, Gate
from tars_ops.core.policy import ALL_SERVICES, LatencySlo, Policy, RatioSlo
from tars_ops.core.telemetry import Quality
from tars_ops.core.units import show
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.core.watch.budgets.budget import Budget
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.stability import KpiDay

KEEPS = "_keeps_its_objective"
Spent = Mapping[tuple[str, str], Budget]
"""The error budget of each (KPI, service)."""


def promised_gate(kpi: str) -> str:
    """Return the name of the gate of an objective.

    Examples
    --------
    >>> promised_gate("availability")
    'availability_keeps_its_objective'
    """
    return f"{kpi}{KEEPS}"


def objective_gate(
    asset: str, kpi: str, policy: Policy, claims: Sequence[Claim], *, quality: Quality | None = None
) -> Gate:
    """Return the gate of an objective; a KPI that no service has is unknown, one without a promise not applicable."""
    slo, asked = _slo(policy, kpi), quality.of(kpi) if quality else None
    nothing = Claim(service=ALL_SERVICES, verdict=Verdict.UNKNOWN, reason="no service of the release has this KPI")
    return Gate(
        name=promised_gate(kpi),
        alert=AlertName.OBJECTIVE_BROKEN,
        asset=asset,
        severity=slo.severity if slo else Severity.LOW,
        claims=tuple(claims) or (nothing,),
        kpi=kpi,
        query=asked.queries[0] if asked and asked.queries else None,
        not_applicable="" if slo else f"the policy of {policy.product} promises nothing for {kpi}",
    )


def _slo(policy: Policy, kpi: str) -> RatioSlo | LatencySlo | None:
    found = policy.slos.get(kpi)
    return found.slo if found else None


def promise_evidence(
    kpi: str, found: Measured, policy: Policy, budget: Budget | None, *, of_day: KpiDay | None = None
) -> dict[str, Figure]:
    """Return the figures behind a promise: objective, SLI and its interval, events, burn rate, budget left."""
    objective = policy.objective(kpi)
    events = found.burn if found.burn and found.burn[1] else None
    low, high = sli.bad_interval(min(events), events[1]) if events else (None, None)
    burn = sli.burn_rate(*events, objective=objective) if events and objective is not None else None
    slo = _slo(policy, kpi)
    return {
        "objective_ratio": objective,
        **({"threshold_s": slo.threshold_s} if isinstance(slo, LatencySlo) else {}),
        "value": show(found.value, policy.judged[kpi].unit),
        "sli_ratio": sli.sli(*events) if events else None,
        "sli_lower_ratio": None if high is None else 1 - high,
        "sli_upper_ratio": None if low is None else 1 - low,
        "n_bad": found.n_bad,
        "n_total": found.n_total,
        "burn_rate": of_day.burn if of_day else burn,
        "budget_left_ratio": None if budget is None else 1 - budget.spent,
        "coverage_ratio": of_day.coverage if of_day else None,
    }


def not_promised(asset: str, kpis: Iterable[str], policy: Policy) -> Iterator[Gate]:
    """Yield the gates of objectives that other policies promise and this one does not."""
    return (objective_gate(asset, kpi, policy, ()) for kpi in kpis if kpi not in policy.slos)
