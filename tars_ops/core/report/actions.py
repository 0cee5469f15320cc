"""What should be done about the findings, by whom and by when?

Every recommendation answers a finding and names it with its figures; an action item is a recommendation that somebody
has to work on, with the files that prove it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from tars_ops.core.model import Frozen
from tars_ops.core.policy import Policy
from tars_ops.core.report.burn_down import BurnDown, ServiceBudget
from tars_ops.core.report.cost import CostAnalysis
from tars_ops.core.report.degradations import Degradation
from tars_ops.core.report.drifts import UnexpectedDrift
from tars_ops.core.report.unknowns import Unknown, gaps, subject
from tars_ops.core.report.week import Week, artifact, days_text
from tars_ops.core.units import percent
from tars_ops.core.verdict import Decision, Priority, Severity

N_RECOMMENDATIONS = 10
BUDGET_AT_RISK = 0.50
REGRESSION_FILE = "regression_summary.json"
BASELINE_FILE = "ga/ga_kpi_summary.json"
DUE: Mapping[Priority, str] = {
    Priority.P0: "immediately",
    Priority.P1: "within 48 h",
    Priority.P2: "this sprint",
    Priority.P3: "when convenient",
}


class Findings(NamedTuple):
    """Everything that a recommendation may answer."""

    degradations: Sequence[Degradation]
    drifts: Sequence[UnexpectedDrift]
    cost: CostAnalysis
    burn_downs: Sequence[BurnDown]
    unknowns: Sequence[Unknown]


class Recommendation(NamedTuple):
    """Something to do, and the files that say why."""

    priority: Priority
    text: str
    evidence: tuple[str, ...]

    @property
    def tagged(self) -> str:
        """The text as the documented JSON has it."""
        return f"[{self.priority}] {self.text}"


class ActionItem(Frozen):
    """A recommendation that somebody has to work on."""

    id: str
    """Unique within its report."""
    priority: Priority
    description: str
    status: Literal["open"]
    owner: str
    due: str
    evidence: tuple[str, ...]
    """Paths within the release's tree."""


def recommendations(week: Week, findings: Findings) -> tuple[Recommendation, ...]:
    """Return the ten most urgent recommendations."""
    found = (
        *_roll_back(week),
        *_of_degradations(findings.degradations),
        *_of_missing_days(week),
        *_of_unknowns(week, findings.unknowns),
        *_of_budgets(week, findings.burn_downs),
        *_of_drifts(findings.drifts),
        *_of_cost(week, findings.cost),
        *_of_baseline(week),
        *_keep(week),
    )
    return tuple(sorted(found, key=lambda one: one.priority)[:N_RECOMMENDATIONS])


def action_items(week: Week, recommended: Sequence[Recommendation]) -> tuple[ActionItem, ...]:
    """Return the recommendations that cannot wait for a convenient moment."""
    urgent = [one for one in recommended if one.priority is not Priority.P3]
    return tuple(
        ActionItem(
            id=f"AI-{i:02d}",
            priority=one.priority,
            description=one.text,
            status="open",
            owner=week.policy.owner,
            due=DUE[one.priority],
            evidence=one.evidence,
        )
        for i, one in enumerate(urgent, start=1)
    )


def _roll_back(week: Week) -> Iterator[Recommendation]:
    if week.regression.decision is Decision.ROLL_BACK:
        why = next(one for one in week.regression.reasons if one.argues_for is Decision.ROLL_BACK)
        evidence = (REGRESSION_FILE, *(artifact(day) for day in why.days if day))
        yield Recommendation(Priority.P0, f"Roll back {week.release.key}: {why.text}", evidence)


def _of_degradations(found: Sequence[Degradation]) -> Iterator[Recommendation]:
    verbs = {
        "open": "Resolve",
        "resolved": "Find the cause",
        "unknown": "Find out whether it is over, then the cause",
    }
    for one in found:
        text = f"{verbs[one.resolution_status]}: {one.description}"
        evidence = (*(artifact(day) for day in one.days), REGRESSION_FILE)
        yield Recommendation(_priority(one), text, evidence)


def _priority(one: Degradation) -> Priority:
    match one.severity:
        case Severity.CRITICAL:
            return Priority.P0
        case Severity.HIGH:
            return Priority.P1
        case _:
            return Priority.P3 if one.resolution_status == "resolved" else Priority.P2


def _of_missing_days(week: Week) -> Iterator[Recommendation]:
    if week.missing:
        text = f"Judge {days_text(week.missing)}: nobody did, so nobody knows what happened then"
        yield Recommendation(Priority.P1, text, (REGRESSION_FILE,))


def _of_unknowns(week: Week, unknowns: Sequence[Unknown]) -> Iterator[Recommendation]:
    for gap in gaps([one for one in unknowns if one.day in week.stabilities]):
        urgent = gap.is_promise and week.latest.day in gap.days
        lost = subject(week.policy, gap)
        what = f"Restore the telemetry of {lost}" if gap.kpis[0] else f"Materialise what is missing of {lost}"
        text = f"{what}: unknown on {days_text(gap.days)} ({gap.reason})"
        evidence = tuple(artifact(day) for day in gap.days)
        yield Recommendation(Priority.P1 if urgent else Priority.P2, text, evidence)


def _of_budgets(week: Week, burn_downs: Sequence[BurnDown]) -> Iterator[Recommendation]:
    for line in burn_downs:
        if line.kpi not in week.policy.slos:
            continue
        for one in line.services:
            if is_at_risk(week.policy, one):
                text = (
                    f"Protect the error budget of {line.slo_name} of {one.service}: {percent(one.spent)} of "
                    f"{line.period_days} days is spent, {rest_text(one)}"
                )
                yield Recommendation(Priority.P1, text, (REGRESSION_FILE,))


def is_at_risk(policy: Policy, one: ServiceBudget) -> bool:
    """Tell whether a budget asks for somebody: over half spent, or ending soon."""
    if one.spent is None:
        return False
    ends_soon = one.exhaustion_days is not None and one.exhaustion_days < policy.judgement.exhaustion_days
    return one.spent > BUDGET_AT_RISK or ends_soon


def rest_text(one: ServiceBudget) -> str:
    """Say when the rest of a budget ends."""
    if one.spent is None:
        return "the rest is unknown"
    if one.spent >= 1:
        return "nothing is left"
    if one.exhaustion_days is None:
        return "the rest does not end within 90 days at the pace since GA"
    return f"the rest ends in {one.exhaustion_days:.1f} days at the pace since GA"


def _of_drifts(drifts: Sequence[UnexpectedDrift]) -> Iterator[Recommendation]:
    for one in drifts:
        verb = "Investigate" if one.investigation_needed else "Watch"
        yield Recommendation(Priority.P2, f"{verb} the drift of {one.sentence}", (artifact(one.day), BASELINE_FILE))


def _of_cost(week: Week, cost: CostAnalysis) -> Iterator[Recommendation]:
    priority = Priority.P2 if cost.cost_trend == "increasing" else Priority.P3
    evidence = tuple(artifact(day) for day in week.stabilities)
    for text in cost.cost_optimization_recommendations:
        yield Recommendation(priority, text, evidence)


def _of_baseline(week: Week) -> Iterator[Recommendation]:
    if week.baseline.supersedes:
        text = f"Confirm that the baseline was refrozen on purpose: it replaces {week.baseline.supersedes[:12]}"
        yield Recommendation(Priority.P3, text, (BASELINE_FILE,))


def _keep(week: Week) -> Iterator[Recommendation]:
    if week.regression.decision is Decision.KEEP:
        over = week.as_of >= week.release.n_days
        rest = "close the watch" if over else f"go on watching until day {week.release.n_days}"
        text = f"Keep {week.release.key} and {rest}: {week.regression.tier_reason}"
        yield Recommendation(Priority.P3, text, (REGRESSION_FILE,))
