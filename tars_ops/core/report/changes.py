"""What is different from the last time somebody looked?

Days of the watch are compared, never clocks: the same evidence tells the same story whenever it is told.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from tars_ops.core.policy import Policy
from tars_ops.core.report.figures import day_text, score_text
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.report.week import days_text
from tars_ops.core.units import percent
from tars_ops.core.verdict import DayState, Decision, Tier
from tars_ops.core.watch.health import DailyHealth

NOTABLE_PERCENT = 1.0
"""Of an error budget: less is not worth a sentence."""


class Standing(NamedTuple):
    """What was said of the release on an earlier day."""

    as_of: int
    tier: Tier
    decision: Decision


def last_judged_before(retrospective: Retrospective) -> int:
    """Return the judged day before the day of the report; 0, the GA day, where there is none."""
    judged = retrospective.days_in(DayState.JUDGED)
    return max((day for day in judged if day < retrospective.as_of), default=0)


def changes(
    policy: Policy,
    retrospective: Retrospective,
    health: Mapping[int, DailyHealth],
    *,
    since: int,
    before: Standing | None,
) -> tuple[str, ...]:
    """Return what happened after a day, up to the day of the report; never empty."""
    found = (
        *(_turns(retrospective, before) if before else ()),
        *_incidents(policy, retrospective, since),
        *_health(health, since, retrospective.as_of),
        *_budgets(policy, retrospective, since),
    )
    quiet = (
        f"Since {day_text(since)} no incident is known to have begun or ended, and no known error budget moved by "
        f"{NOTABLE_PERCENT:g} % or more"
    )
    return found or (quiet,)


def _turns(retrospective: Retrospective, before: Standing) -> Iterator[str]:
    if before.tier is not retrospective.tier:
        yield f"The tier went from {before.tier} on day {before.as_of} to {retrospective.tier}"
    if before.decision is not retrospective.decision:
        was, now = (one.decision.replace("_", " ") for one in (before, retrospective))
        yield f"The decision went from {was} on day {before.as_of} to {now}"


def _incidents(policy: Policy, retrospective: Retrospective, since: int) -> Iterator[str]:
    for one in retrospective.degradations:
        if one.day_occurred > since:
            yield f"New on day {one.day_occurred} ({one.severity}): {one.description}"
        if one.resolved_day is not None and one.resolved_day > since:
            title = policy.kpis[one.kpi].title
            yield f"Over on day {one.resolved_day}: {title} of {one.service}, bad on {days_text(one.days)}"
    missing = [day for day in retrospective.days_in(DayState.MISSING) if day > since]
    if missing:
        yield f"No judgement came of {days_text(missing)}"


def _health(health: Mapping[int, DailyHealth], since: int, as_of: int) -> Iterator[str]:
    was, now = (health[day].score if day in health else None for day in (since, as_of))
    if since and was != now:
        yield f"The health score went from {score_text(was)} on day {since} to {score_text(now)} on day {as_of}"


def _budgets(policy: Policy, retrospective: Retrospective, since: int) -> Iterator[str]:
    for line in retrospective.slo_burn_downs:
        gone = {one.day: one.budget_consumed for one in line.compliance_by_day}
        was, now = gone.get(since), gone.get(retrospective.as_of)
        if line.kpi in policy.slos and was is not None and now is not None and now - was >= NOTABLE_PERCENT:
            spent = f"{percent(was / 100)} spent on {day_text(since)} to {percent(now / 100)}"
            yield f"The error budget of {line.slo_name} of {line.service} went from {spent}"
