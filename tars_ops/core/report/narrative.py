"""What does leadership have to know of this release today, on one page?

Every sentence carries a fact of the evidence, with its unit; what nobody knows is said. "Since yesterday" is found by
comparing days of the watch, never by a clock.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.report.actions import BUDGET_AT_RISK, DUE
from tars_ops.core.report.burn_down import BurnDown
from tars_ops.core.report.degradations import Degradation
from tars_ops.core.report.retrospective import OverallStatus, Retrospective
from tars_ops.core.report.week import days_text
from tars_ops.core.units import UNKNOWN_TEXT, Unit, percent, show
from tars_ops.core.verdict import DayState, Decision, Priority, Tier, Verdict
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.regression import Reason, RegressionAnalysis

N_FACTS = 3
MIN_ACTIONS, MAX_ACTIONS = 3, 5
MAX_RISKS = 5
NOTABLE_BUDGET = 1.0
"""Percentage points of a budget that are worth a sentence."""
BUDGET_AT_RISK_PERCENT = 100 * BUDGET_AT_RISK


class SlaRow(Frozen):
    """One promise on the day of the report, in words."""

    slo: str
    objective: str
    worst_service: str
    value: str
    budget_spent: str
    verdict: Verdict


class TrendRow(Frozen):
    """One figure day by day, in words; the GA day first."""

    title: str
    by_day: tuple[str, ...]
    summary: str


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
    before = previous if previous is not None and previous.as_of < retrospective.as_of else None
    since = before.as_of if before else _last_judged_before(retrospective)
    states = {state: _days_in(retrospective, state) for state in DayState}
    return Narrative(
        release=release.key,
        as_of=retrospective.as_of,
        end_at=regression.end_at,
        tier=regression.tier,
        facts=_facts(policy, retrospective, regression),
        decision=regression.decision,
        decision_text=_decision_text(release, retrospective),
        overall_status=retrospective.overall_status,
        sla=tuple(_sla_row(line, is_complement=line.kpi not in policy.slos) for line in retrospective.slo_burn_downs),
        risks=_risks(policy, retrospective),
        trends=tuple(_trends(retrospective)),
        actions=_actions(policy, retrospective),
        compared_with_day=since,
        changes=_changes(policy, retrospective, health, before, since),
        days_judged=states[DayState.JUDGED],
        days_missing=states[DayState.MISSING],
        days_pending=states[DayState.PENDING],
        unknowns=_unknowns(policy, retrospective),
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


def _days_in(retrospective: Retrospective, state: DayState) -> tuple[int, ...]:
    return tuple(one.day for one in retrospective.days if one.state is state)


def _last_judged_before(retrospective: Retrospective) -> int:
    return max((day for day in _days_in(retrospective, DayState.JUDGED) if day < retrospective.as_of), default=0)


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
        return f"No regression is active on day {latest}"
    worst = active[0]
    title = policy.kpis[worst.kpi].title
    n = f"{len(active)} regression{'s are' if len(active) > 1 else ' is'} active on day {latest}"
    return f"{n}, the worst is {title} of {worst.service} ({worst.severity})"


def _coverage_fact(retrospective: Retrospective) -> str:
    n_judged, n_unknown = len(_days_in(retrospective, DayState.JUDGED)), len(retrospective.unknowns)
    unknown = f"{n_unknown or 'no'} {'result is' if n_unknown < 2 else 'results are'} unknown"
    return f"{n_judged} of {retrospective.as_of} days were judged; {unknown}"


def _sla_row(line: BurnDown, *, is_complement: bool) -> SlaRow:
    today = line.compliance_by_day[-1]
    spent = line.budget_consumed_percent
    return SlaRow(
        slo=line.slo_name,
        objective=_objective(line, is_complement=is_complement),
        worst_service=today.service or UNKNOWN_TEXT,
        value=_value(line, today.value),
        budget_spent=UNKNOWN_TEXT if spent is None else f"{percent(spent / 100)} of {line.service}: {line.status}",
        verdict=line.verdict,
    )


def _objective(line: BurnDown, *, is_complement: bool) -> str:
    target = _value(line, line.target)
    if line.unit == "ms":
        return f"{show(1 - line.budget / 100, Unit.RATIO)} of events within {target}"
    return f"{'at most' if is_complement else 'at least'} {target}"


def _value(line: BurnDown, value: float | None) -> str:
    if line.unit == "ms":
        return show(None if value is None else value / 1000, Unit.SECONDS)
    return show(None if value is None else value / 100, Unit.RATIO)


def _risks(policy: Policy, retrospective: Retrospective) -> tuple[str, ...]:
    found = [
        *(f"{_lead(one)}: {one.description}" for one in retrospective.degradations if one.resolved_day is None),
        *_budget_risks(policy, retrospective),
        *(f"Drift of {one.sentence}" for one in retrospective.unexpected_drifts if one.investigation_needed),
        *_unknown_risks(retrospective),
    ]
    if len(found) <= MAX_RISKS:
        return tuple(found)
    return (*found[: MAX_RISKS - 1], f"{len(found) - MAX_RISKS + 1} further risks stand in the retrospective")


def _lead(one: Degradation) -> str:
    return f"Open, {one.severity}" if one.resolution_status == "open" else f"Perhaps open, {one.severity}"


def _budget_risks(policy: Policy, retrospective: Retrospective) -> Iterator[str]:
    for line in retrospective.slo_burn_downs:
        spent, left = line.budget_consumed_percent, line.days_to_exhaustion
        if spent is None or line.kpi not in policy.slos:
            continue
        ends_soon = left is not None and left < policy.judgement.exhaustion_days
        if spent > BUDGET_AT_RISK_PERCENT or ends_soon:
            gone = f"{percent(spent / 100)} of the error budget of {line.slo_name} of {line.service} is spent"
            yield gone if left is None else f"{gone}; the rest ends in {left:.1f} days at the pace since GA"


def _unknown_risks(retrospective: Retrospective) -> Iterator[str]:
    promises = [one for one in retrospective.unknowns if one.is_promise and one.kpi is not None]
    if missing := _days_in(retrospective, DayState.MISSING):
        yield f"Nobody judged {days_text(missing)}; what happened then is unknown"
    if promises:
        days = days_text(tuple(dict.fromkeys(one.day for one in promises)))
        yield f"{len(promises)} results of objectives on {days} are unknown; a breach cannot be ruled out"


def _trends(retrospective: Retrospective) -> Iterator[TrendRow]:
    over = [one for one in retrospective.days if one.state is not DayState.PENDING]
    scores = [None, *(one.health_score for one in over)]
    yield _trend("Health score (0 to 100)", scores, ["-", *(_score(one) for one in scores[1:])], relative=False)
    cost = retrospective.cost_analysis
    dollars = [cost.ga_day_cost, *(one.usd for one in cost.by_day)]
    yield _trend("Cost per day", dollars, [show(one, Unit.USD) for one in dollars])
    for totals in retrospective.totals:
        if totals.unit is Unit.PER_SECOND:
            values = [one.value for one in totals.by_day]
            yield _trend(totals.title, values, [show(one, totals.unit) for one in values])


def _score(score: float | None) -> str:
    return UNKNOWN_TEXT if score is None else f"{score:.1f}"


def _trend(title: str, values: Sequence[float | None], texts: Sequence[str], *, relative: bool = True) -> TrendRow:
    known = [day for day, value in enumerate(values) if value is not None]
    if not known:
        return TrendRow(title=title, by_day=tuple(texts), summary="not known on any day")
    first, last = known[0], known[-1]
    if first == last:
        return TrendRow(title=title, by_day=tuple(texts), summary=f"known on {_day(first)} only: {texts[first]}")
    change = _by(values[first], values[last]) if relative else ""
    summary = f"from {texts[first]} on {_day(first)} to {texts[last]} on {_day(last)}{change}"
    return TrendRow(title=title, by_day=tuple(texts), summary=summary)


def _by(before: float | None, after: float | None) -> str:
    return f" ({percent(after / before - 1, signed=True)})" if before and after is not None else ""


def _day(day: int) -> str:
    return f"day {day}" if day else "the GA day"


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


def _changes(
    policy: Policy,
    retrospective: Retrospective,
    health: Mapping[int, DailyHealth],
    before: Narrative | None,
    since: int,
) -> tuple[str, ...]:
    found = (
        *(_turns(retrospective, before) if before else ()),
        *_incident_changes(retrospective, since),
        *_health_change(health, since, retrospective.as_of),
        *_budget_changes(policy, retrospective, since),
    )
    if found:
        return found
    return (f"Since {_day(since)} no incident began or ended, and neither the health score nor a budget moved",)


def _turns(retrospective: Retrospective, before: Narrative) -> Iterator[str]:
    if before.tier is not retrospective.tier:
        yield f"The tier went from {before.tier} on day {before.as_of} to {retrospective.tier}"
    if before.decision is not retrospective.decision:
        was, now = (one.decision.replace("_", " ") for one in (before, retrospective))
        yield f"The decision went from {was} on day {before.as_of} to {now}"


def _incident_changes(retrospective: Retrospective, since: int) -> Iterator[str]:
    for one in retrospective.degradations:
        if one.day_occurred > since:
            yield f"New on day {one.day_occurred} ({one.severity}): {one.description}"
        if one.resolved_day is not None and one.resolved_day > since:
            yield f"Over on day {one.resolved_day}: {one.kpi} of {one.service}, bad on {days_text(one.days)}"
    missing = [day for day in _days_in(retrospective, DayState.MISSING) if day > since]
    if missing:
        yield f"No judgement came of {days_text(missing)}"


def _health_change(health: Mapping[int, DailyHealth], since: int, as_of: int) -> Iterator[str]:
    now, was = health.get(as_of), health.get(since)
    if now is None or was is None or now.score == was.score:
        return
    yield f"The health score went from {_score(was.score)} on day {since} to {_score(now.score)} on day {as_of}"


def _budget_changes(policy: Policy, retrospective: Retrospective, since: int) -> Iterator[str]:
    for line in retrospective.slo_burn_downs:
        gone = {one.day: one.budget_consumed for one in line.compliance_by_day}
        was, now = gone.get(since), gone.get(retrospective.as_of)
        if line.kpi not in policy.slos or was is None or now is None or now - was < NOTABLE_BUDGET:
            continue
        yield (
            f"The error budget of {line.slo_name} of {line.service} went from {percent(was / 100)} spent on "
            f"{_day(since)} to {percent(now / 100)}"
        )


def _unknowns(policy: Policy, retrospective: Retrospective) -> tuple[str, ...]:
    grouped: dict[tuple[str, str, str], list[int]] = {}
    for one in retrospective.unknowns:
        title = policy.kpis[one.kpi].title if one.kpi else "Everything"
        grouped.setdefault((title, one.service or "all services", one.reason), []).append(one.day)
    return tuple(
        f"{title} of {service} on {days_text(days)}: {reason}" for (title, service, reason), days in grouped.items()
    )
