"""Should the release be kept, watched closer or rolled back, and why?

Explicit rules over budgets, objectives, regressions and what is not known. Each reason names KPI, service, days and
figures; what is unknown never argues for "keep". The numbers: ``docs/reference/methods.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tars_ops.core.model import Frozen, Instant
from tars_ops.core.policy import LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Release, day_key
from tars_ops.core.units import percent
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.budget import Budget
from tars_ops.core.watch.comparison import Regression
from tars_ops.core.watch.stability import DailyStability


class Reason(Frozen):
    """One reason of the decision."""

    code: Literal[
        "budget_spent",
        "slo_failing",
        "critical_regression",
        "high_regression",
        "budget_ends_soon",
        "slo_unknown",
        "day_missing",
    ]
    argues_for: Decision
    kpi: str | None
    service: str | None
    days: tuple[int, ...]
    text: str


class Day(Frozen):
    """One day of the watch as the decision sees it."""

    day: int
    state: DayState
    verdict: Verdict
    start_at: Instant
    end_at: Instant


def critical_of_users(regressions: Sequence[Regression], policy: Policy) -> bool:
    """Tell whether a critical regression of a ratio or a latency is active: of what users feel."""
    return any(
        one.active and one.severity is Severity.CRITICAL and isinstance(policy.judged[one.kpi], RatioKpi | LatencyKpi)
        for one in regressions
    )


def assessment_of(severities: Sequence[Severity], *, of_users: bool) -> Literal["critical", "major", "minor", "stable"]:
    """Return the documented word for the active regressions.

    Parameters
    ----------
    of_users : bool
        A critical one is of a ratio or a latency: of what users feel.
    """
    n = {severity: severities.count(severity) for severity in Severity}
    if of_users or n[Severity.CRITICAL] >= 3:
        return "critical"
    if n[Severity.CRITICAL] >= 1 or n[Severity.HIGH] >= 5:
        return "major"
    if n[Severity.HIGH] >= 2 or n[Severity.MEDIUM] >= 5:
        return "minor"
    return "stable"


def reasons_for(
    days: Sequence[Day],
    judged: Mapping[int, DailyStability],
    regressions: Sequence[Regression],
    spent: Sequence[Budget],
    release: Release,
    policy: Policy,
) -> Iterator[Reason]:
    """Yield every reason that argues against keeping the release, the gravest kind first."""
    yield from _spent_budgets(spent, policy)
    yield from _failing_slos(judged, policy)
    yield from _regression_reasons(regressions, release, policy)
    yield from _ending_budgets(spent, policy)
    yield from _unknown_slos(judged[max(judged)], policy)
    if missing := tuple(day.day for day in days if day.state is DayState.MISSING):
        names = ", ".join(day_key(day) for day in missing)
        text = f"{names} of the watch {'is' if len(missing) == 1 else 'are'} missing: nobody judged what happened then"
        yield Reason(
            code="day_missing", argues_for=Decision.WATCH_CLOSER, kpi=None, service=None, days=missing, text=text
        )


def _spent_budgets(spent: Sequence[Budget], policy: Policy) -> Iterator[Reason]:
    for one in spent:
        if one.own_share > 1:
            days = tuple(day.day for day in one.days if day.burn is not None and day.burn > 1)
            text = (
                f"{policy.judged[one.kpi].title} of {one.service}: the release alone has spent "
                f"{percent(one.own_share, digits=0)} of the error budget of {one.period_days} days"
            )
            yield Reason(
                code="budget_spent",
                argues_for=Decision.ROLL_BACK,
                kpi=one.kpi,
                service=one.service,
                days=days,
                text=text,
            )


def _failing_slos(judged: Mapping[int, DailyStability], policy: Policy) -> Iterator[Reason]:
    latest = max(judged)
    last_three = [day for day in judged if day > latest - 3]
    failed: dict[tuple[str, str], list[int]] = {}
    for day in last_three:
        for row in judged[day].kpis:
            if row.slo is Verdict.FAIL:
                failed.setdefault((row.kpi, row.service), []).append(day)
    for (kpi, service), days in failed.items():
        if len(days) >= 2 or latest in days:
            text = f"{policy.judged[kpi].title} of {service} broke its objective on {_days_text(days)}"
            yield Reason(
                code="slo_failing",
                argues_for=Decision.ROLL_BACK if len(days) >= 2 else Decision.WATCH_CLOSER,
                kpi=kpi,
                service=service,
                days=tuple(days),
                text=text,
            )


def _regression_reasons(regressions: Sequence[Regression], release: Release, policy: Policy) -> Iterator[Reason]:
    for one in regressions:
        if not one.active or one.severity not in {Severity.CRITICAL, Severity.HIGH}:
            continue
        lasts = one.comparison.held_s >= release.day_length_s
        of_users = isinstance(policy.judged[one.kpi], RatioKpi | LatencyKpi)
        roll_back = one.severity is Severity.CRITICAL and of_users and lasts
        yield Reason(
            code="critical_regression" if one.severity is Severity.CRITICAL else "high_regression",
            argues_for=Decision.ROLL_BACK if roll_back else Decision.WATCH_CLOSER,
            kpi=one.kpi,
            service=one.service,
            days=one.days,
            text=one.comparison.sentence,
        )


def _ending_budgets(spent: Sequence[Budget], policy: Policy) -> Iterator[Reason]:
    for one in spent:
        left = one.exhaustion_days
        if left is not None and left < policy.judgement.exhaustion_days and one.own_share <= 1:
            text = (
                f"{policy.judged[one.kpi].title} of {one.service}: {percent(one.spent, digits=0)} of the error budget "
                f"is spent, the rest ends in {left:.1f} days at the pace since GA"
            )
            yield Reason(
                code="budget_ends_soon",
                argues_for=Decision.WATCH_CLOSER,
                kpi=one.kpi,
                service=one.service,
                days=(),
                text=text,
            )


def _unknown_slos(latest: DailyStability, policy: Policy) -> Iterator[Reason]:
    for row in latest.kpis:
        if row.slo is not None and row.verdict is Verdict.UNKNOWN:
            yield Reason(
                code="slo_unknown",
                argues_for=Decision.WATCH_CLOSER,
                kpi=row.kpi,
                service=row.service,
                days=(latest.day,),
                text=f"{policy.judged[row.kpi].title} of {row.service} could not be judged: {row.reason}",
            )


def _days_text(days: Sequence[int]) -> str:
    return " and ".join(f"day {day}" for day in days)


def decide(reasons: Sequence[Reason]) -> Decision:
    """Return the gravest decision that a reason argues for; keep where there is none."""
    argued = {one.argues_for for one in reasons}
    for decision in (Decision.ROLL_BACK, Decision.WATCH_CLOSER):
        if decision in argued:
            return decision
    return Decision.KEEP


def tier_of(
    decision: Decision,
    reasons: Sequence[Reason],
    regressions: Sequence[Regression],
    days: Sequence[Day],
    latest: DailyStability | None,
    as_of: int,
) -> tuple[Tier, str]:
    """Return the colour for leadership, and the fact that sets it.

    Parameters
    ----------
    latest : DailyStability or None
        The day the verdict is given for; None where it is missing.
    """
    first = next((one.text for one in reasons if one.argues_for is decision), "")
    promises = [row for row in latest.kpis if row.slo is not None] if latest else []
    if decision is Decision.ROLL_BACK:
        return Tier.RED, first
    if critical := [one for one in regressions if one.active and one.severity is Severity.CRITICAL]:
        return Tier.RED, critical[0].comparison.sentence
    if broken := [row for row in promises if row.slo is Verdict.FAIL]:
        return Tier.RED, f"{broken[0].service}: {broken[0].reason}"
    if all(row.slo is Verdict.UNKNOWN for row in promises):
        why = "no objective of day" if latest else "there is no judgement of day"
        return Tier.UNKNOWN, f"{why} {as_of}{' could be judged' if latest else ''}"
    if decision is Decision.WATCH_CLOSER:
        return Tier.AMBER, first
    if warned := [row for row in promises if row.verdict is not Verdict.PASS]:
        return Tier.AMBER, f"{warned[0].kpi} of {warned[0].service}: {warned[0].reason}"
    if latest and latest.verdict in {Verdict.FAIL, Verdict.UNKNOWN}:
        other = next(row for row in latest.kpis if row.verdict is latest.verdict)
        return Tier.AMBER, f"{other.kpi} of {other.service}: {other.reason}"
    n_judged = sum(day.state is DayState.JUDGED for day in days)
    return (
        Tier.GREEN,
        f"every objective was kept on day {as_of} and no regression is active after {n_judged} judged days",
    )
