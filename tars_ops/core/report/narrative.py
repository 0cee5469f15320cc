"""What does leadership have to know of this release today, on one page?

Every sentence carries a fact of the evidence, with its unit; what nobody knows is said. "Since yesterday" is found by
comparing days of the watch, never by a clock.
"""

from __future__ import annotations

from collections.abc import Mapping

from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.report.actions import DUE
from tars_ops.core.report.changes import Standing, changes, last_judged_before
from tars_ops.core.report.figures import SlaRow, TrendRow, sla_rows, trend_rows
from tars_ops.core.report.retrospective import OverallStatus, Retrospective
from tars_ops.core.report.risks import risks
from tars_ops.core.report.unknowns import gap_text, gaps
from tars_ops.core.units import percent
from tars_ops.core.verdict import DayState, Decision, Priority, Tier
from tars_ops.core.watch.decision import Reason
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.regression import RegressionAnalysis

N_FACTS = 3
MIN_ACTIONS, MAX_ACTIONS = 3, 5


class Action(Frozen):
    """Something to do, and who does it."""

    priority: Priority
    text: str
    who: str
    due: str


class Narrative(Frozen):
    """One page about one release as of one day."""

    release: str
    as_of: int
    end_at: Instant
    """End of the last judged window."""
    tier: Tier
    facts: tuple[str, str, str]
    """What sets the tier, the deciding fact first."""
    decision: Decision
    decision_text: str
    overall_status: OverallStatus
    sla: tuple[SlaRow, ...]
    risks: tuple[str, ...]
    trends: tuple[TrendRow, ...]
    actions: tuple[Action, ...]
    compared_with_day: int
    """The day that ``changes`` looks back to; 0 is the GA day."""
    changes: tuple[str, ...]
    days_judged: tuple[int, ...]
    days_missing: tuple[int, ...]
    days_pending: tuple[int, ...]
    unknowns: tuple[str, ...]
    policy_sha256: Sha256
    baseline_telemetry_sha256: Sha256
    baseline_supersedes: Sha256 | None
    """Digest of the baseline that was replaced on purpose."""


def build_narrative(
    release: Release,
    policy: Policy,
    retrospective: Retrospective,
    regression: RegressionAnalysis,
    health: Mapping[int, DailyHealth],
    previous: Narrative | None,
) -> Narrative:
    """Tell the story of a release as of the day of its retrospective.

    Parameters
    ----------
    previous : Narrative or None
        The one of an earlier day; one of the same or a later day is not looked at.

    Raises
    ------
    ContractError
        If the parts are of different releases or days.
    """
    _check(release, retrospective, regression, previous)
    before = _standing(previous) if previous is not None and previous.as_of < retrospective.as_of else None
    since = before.as_of if before else last_judged_before(retrospective)
    return Narrative(
        release=release.key,
        as_of=retrospective.as_of,
        end_at=regression.end_at,
        tier=regression.tier,
        facts=_facts(policy, retrospective, regression),
        decision=regression.decision,
        decision_text=_decision_text(release, retrospective),
        overall_status=retrospective.overall_status,
        sla=sla_rows(policy, retrospective),
        risks=risks(policy, retrospective),
        trends=trend_rows(retrospective),
        actions=_actions(policy, retrospective),
        compared_with_day=since,
        changes=changes(policy, retrospective, health, since=since, before=before),
        days_judged=retrospective.days_in(DayState.JUDGED),
        days_missing=retrospective.days_in(DayState.MISSING),
        days_pending=retrospective.days_in(DayState.PENDING),
        unknowns=tuple(gap_text(policy, gap) for gap in gaps(retrospective.unknowns)),
        policy_sha256=retrospective.provenance.policy_sha256,
        baseline_telemetry_sha256=retrospective.provenance.baseline_telemetry_sha256,
        baseline_supersedes=retrospective.provenance.baseline_supersedes,
    )


def _check(
    release: Release, retrospective: Retrospective, regression: RegressionAnalysis, previous: Narrative | None
) -> None:
    named = {retrospective.release, regression.release, *([previous.release] if previous else [])}
    if strange := sorted(named - {release.key}):
        raise ContractError(f"the evidence is of {strange[0]}, the narrative of {release.key}")
    if retrospective.as_of != regression.as_of:
        raise ContractError(
            f"the retrospective is as of day {retrospective.as_of}, the regression analysis of day {regression.as_of}"
        )


def _standing(previous: Narrative) -> Standing:
    return Standing(previous.as_of, previous.tier, previous.decision)


def _decision_text(release: Release, retrospective: Retrospective) -> str:
    over = retrospective.as_of >= release.n_days
    rest = (
        f"the planned watch ended with day {release.n_days}"
        if over
        else f"the watch goes on until day {release.n_days}"
    )
    match retrospective.decision:
        case Decision.KEEP:
            return f"Keep {release.key}; {rest}"
        case Decision.WATCH_CLOSER:
            return f"Keep {release.key} for now, but watch it closer; {rest}"
        case Decision.ROLL_BACK:
            return f"Roll back {release.key}"
        case Decision.EXTEND:
            return f"Extend the watch of {release.key}; {rest}"


def _facts(policy: Policy, retrospective: Retrospective, regression: RegressionAnalysis) -> tuple[str, str, str]:
    """Take the deciding fact, the further reasons, then what else the tier looks at."""
    candidates = (
        regression.tier_reason,
        *(one.text for one in regression.reasons if not _is_told(retrospective, one, regression.tier_reason)),
        _budget_fact(policy, retrospective),
        _regression_fact(policy, regression),
        _coverage_fact(retrospective),
    )
    first, second, third = list(dict.fromkeys(candidates))[:N_FACTS]
    return first, second, third


def _is_told(retrospective: Retrospective, reason: Reason, told: str) -> bool:
    """Tell whether a missed objective is the deciding fact itself, in other words."""
    said, key = told.removeprefix(f"{reason.service}: "), (reason.kpi, reason.service)
    of_same = (one.description for one in retrospective.degradations if (one.kpi, one.service) == key)
    return reason.code == "slo_failing" and any(said in one for one in of_same)


def _budget_fact(policy: Policy, retrospective: Retrospective) -> str:
    lines = [
        line
        for line in retrospective.slo_burn_downs
        if line.kpi in policy.slos and line.budget_consumed_percent is not None
    ]
    if not lines:
        return "No error budget could be computed"
    worst = max(lines, key=lambda line: line.budget_consumed_percent or 0.0)
    spent = percent((worst.budget_consumed_percent or 0.0) / 100)
    return f"The most spent error budget is {worst.slo_name} of {worst.service}: {spent} of {worst.period_days} days"


def _regression_fact(policy: Policy, regression: RegressionAnalysis) -> str:
    active = [one for one in regression.regressions if one.active]
    latest = max(one.day for one in regression.days if one.state is DayState.JUDGED)
    if not active:
        return f"No regression is known to be active on day {latest}"
    worst = active[0]
    title = policy.kpis[worst.kpi].title
    n = f"{len(active)} regression{'s are' if len(active) > 1 else ' is'} active on day {latest}"
    return f"{n}, the worst is {title} of {worst.service} ({worst.severity})"


def _coverage_fact(retrospective: Retrospective) -> str:
    n_judged, n_unknown = len(retrospective.days_in(DayState.JUDGED)), len(retrospective.unknowns)
    unknown = f"{n_unknown or 'no'} {'result is' if n_unknown < 2 else 'results are'} unknown"
    return f"{n_judged} of {retrospective.as_of} days were judged; {unknown}"


def _actions(policy: Policy, retrospective: Retrospective) -> tuple[Action, ...]:
    """Take the most urgent action items; where there are few, what can wait and how to do better next time."""
    urgent = [
        Action(priority=one.priority, text=one.description, who=one.owner, due=one.due)
        for one in retrospective.action_items[:MAX_ACTIONS]
    ]
    tag = f"[{Priority.P3}] "
    calm = [one.removeprefix(tag) for one in retrospective.recommendations if one.startswith(tag)]
    rest = [
        Action(priority=Priority.P3, text=text, who=policy.owner, due=DUE[Priority.P3])
        for text in (*calm, *retrospective.process_improvements)
    ]
    return (*urgent, *rest[: max(0, MIN_ACTIONS - len(urgent))])
