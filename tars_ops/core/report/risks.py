"""What may still go wrong, or may already have?"""

from __future__ import annotations

from collections.abc import Iterator

from tars_ops.core.policy import Policy
from tars_ops.core.report.actions import is_at_risk, rest_text
from tars_ops.core.report.degradations import Degradation
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.report.week import days_text
from tars_ops.core.units import percent
from tars_ops.core.verdict import DayState

MAX_RISKS = 5


def risks(policy: Policy, retrospective: Retrospective) -> tuple[str, ...]:
    """Return the five gravest risks; the last one counts what is left out."""
    found = [
        *(f"{_lead(one)}: {one.description}" for one in retrospective.degradations if one.resolved_day is None),
        *_of_budgets(policy, retrospective),
        *(f"Drift of {one.sentence}" for one in retrospective.unexpected_drifts if one.investigation_needed),
        *_of_unknowns(retrospective),
    ]
    if len(found) <= MAX_RISKS:
        return tuple(found)
    return (*found[: MAX_RISKS - 1], f"{len(found) - MAX_RISKS + 1} further risks stand in the retrospective")


def _lead(one: Degradation) -> str:
    return f"Open, {one.severity}" if one.resolution_status == "open" else f"Perhaps open, {one.severity}"


def _of_budgets(policy: Policy, retrospective: Retrospective) -> Iterator[str]:
    for line in retrospective.slo_burn_downs:
        if line.kpi not in policy.slos:
            continue
        for one in line.services:
            if is_at_risk(policy, one):
                gone = f"{percent(one.spent)} of the error budget of {line.slo_name} of {one.service} is spent"
                yield f"{gone}, {rest_text(one)}"


def _of_unknowns(retrospective: Retrospective) -> Iterator[str]:
    promises = [one for one in retrospective.unknowns if one.is_promise and one.kpi is not None]
    if missing := retrospective.days_in(DayState.MISSING):
        yield f"Nobody judged {days_text(missing)}; what happened then is unknown"
    if promises:
        days = days_text(tuple(dict.fromkeys(one.day for one in promises)))
        n = f"{len(promises)} result{'s' if len(promises) > 1 else ''} of objectives on {days}"
        yield f"{n} {'are' if len(promises) > 1 else 'is'} unknown; a breach cannot be ruled out"
