"""Should the release be kept, watched closer or rolled back, and why?

Explicit rules over budgets, objectives, regressions and what is not known. Each reason names KPI, service, days and
figures; what is unknown never argues for "keep". The numbers: ``docs/reference/methods.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from tars_ops.core import sli
from tars_ops.core.model import Frozen, Instant, Share
from tars_ops.core.policy import LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Release, day_key
from tars_ops.core.units import percent
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.budgets.budget import Budget
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome
from tars_ops.core.watch.comparisons.harm import Regression
from tars_ops.core.watch.references import BaselineKind
from tars_ops.core.watch.stability import DailyStability, KpiDay, harm_of

LIKELY_P = 0.05
"""A harm beyond the tolerance is likely, though not sure: the p-value of one comparison taken alone."""
_FROM_GRAVEST = (Decision.ROLL_BACK, Decision.WATCH_CLOSER, Decision.EXTEND)


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
        "undecided",
    ]
    argues_for: Decision
    kpi: str | None
    service: str | None
    days: tuple[int, ...]
    confidence: Share | None = None
    """How sure the fact is: 1 less its chance if it were not so; None where it is no matter of chance."""
    text: str


class Driver(Frozen):
    """A KPI of a service, and the days on which it drives the decision."""

    code: str
    """Code of the reason."""
    kpi: str | None
    """None where the reason is about none."""
    service: str | None
    days: tuple[int, ...]


class Day(Frozen):
    """One day of the watch as the decision sees it."""

    day: int
    state: DayState
    verdict: Verdict
    start_at: Instant
    end_at: Instant


def critical_of_users(regressions: Sequence[Regression], policy: Policy) -> bool:
    """Tell whether a critical regression of a ratio or a latency is active: of what users feel."""
    return any(_is_red(one) and isinstance(policy.judged[one.kpi], RatioKpi | LatencyKpi) for one in regressions)


def is_of_staging(regression: Regression) -> bool:
    """Tell whether only staging was better: another environment, so no ground for more than a closer watch."""
    return set(regression.baselines) == {BaselineKind.STAGING}


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
    compared: Sequence[Comparison],
    spent: Sequence[Budget],
    release: Release,
    policy: Policy,
) -> Iterator[Reason]:
    """Yield every reason that argues against keeping the release, the gravest kind first.

    Parameters
    ----------
    compared : sequence of Comparison
        Those of the latest judged day.
    """
    yield from _spent_budgets(spent, policy)
    yield from _failing_slos(judged, policy)
    yield from _regression_reasons(regressions, release, policy)
    yield from _ending_budgets(spent, policy)
    yield from _unknown_slos(judged[max(judged)], policy)
    yield from _undecided(compared, days, policy)
    if missing := tuple(day.day for day in days if day.state is DayState.MISSING):
        names = ", ".join(day_key(day) for day in missing)
        text = f"{names} of the watch {'is' if len(missing) == 1 else 'are'} missing: nobody judged what happened then"
        yield Reason(
            code="day_missing", argues_for=Decision.WATCH_CLOSER, kpi=None, service=None, days=missing, text=text
        )


def _spent_budgets(spent: Sequence[Budget], policy: Policy) -> Iterator[Reason]:
    for one in spent:
        if _is_spent(one, policy):
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
                confidence=one.own.p_above_limit if one.own else None,
                text=text,
            )


def _failing_slos(judged: Mapping[int, DailyStability], policy: Policy) -> Iterator[Reason]:
    latest, rule = max(judged), policy.judgement.roll_back
    failed: dict[tuple[str, str], dict[int, float]] = {}
    for day in (day for day in judged if day > latest - rule.of_days):
        for row in judged[day].kpis:
            if row.slo is Verdict.FAIL:
                failed.setdefault((row.kpi, row.service), {})[day] = _chance_kept(row, policy)
    for (kpi, service), days in failed.items():
        lasts = len(days) >= rule.failed_days
        if lasts or latest in days:
            text = f"{policy.judged[kpi].title} of {service} broke its objective on {_days_text(tuple(days))}"
            yield Reason(
                code="slo_failing",
                argues_for=Decision.ROLL_BACK if lasts else Decision.WATCH_CLOSER,
                kpi=kpi,
                service=service,
                days=tuple(days),
                confidence=max(0.0, 1 - sum(days.values())),
                text=text,
            )


def _chance_kept(row: KpiDay, policy: Policy) -> float:
    """Return the chance of a day's bad events if its promise were just kept."""
    objective = policy.objective(row.kpi)
    if objective is None or row.measured.burn is None:
        return 1.0
    return sli.p_at_least(*row.measured.burn, probability=1 - objective)


def _regression_reasons(regressions: Sequence[Regression], release: Release, policy: Policy) -> Iterator[Reason]:
    needed_s = policy.judgement.roll_back.critical_held_s * release.day_length_s / 86400
    for one in regressions:
        if not one.active or one.severity not in {Severity.CRITICAL, Severity.HIGH}:
            continue
        lasts = one.comparison.held_s >= needed_s and not is_of_staging(one)
        of_users = isinstance(policy.judged[one.kpi], RatioKpi | LatencyKpi)
        roll_back = one.severity is Severity.CRITICAL and of_users and lasts
        yield Reason(
            code="critical_regression" if one.severity is Severity.CRITICAL else "high_regression",
            argues_for=Decision.ROLL_BACK if roll_back else Decision.WATCH_CLOSER,
            kpi=one.kpi,
            service=one.service,
            days=one.days,
            confidence=None if one.comparison.p_adjusted is None else 1 - one.comparison.p_adjusted,
            text=one.comparison.sentence,
        )


def _ending_budgets(spent: Sequence[Budget], policy: Policy) -> Iterator[Reason]:
    for one in spent:
        left = one.exhaustion_days
        if left is not None and left < policy.judgement.exhaustion_days and not _is_spent(one, policy):
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


def _is_spent(budget: Budget, policy: Policy) -> bool:
    # one failure overspends the budget of a service that hardly anybody calls: that is no reason to roll back
    return budget.own_share > policy.judgement.roll_back.budget_share and budget.verdict is not Verdict.UNKNOWN


def _undecided(compared: Sequence[Comparison], days: Sequence[Day], policy: Policy) -> Iterator[Reason]:
    """Yield what looks bad on the last day of the watch and is not sure: more days would tell."""
    last = days[-1]
    if last.state is not DayState.JUDGED:
        return
    for one in compared:
        kpi = policy.judged[one.kpi]
        if one.outcome is not Outcome.UNDECIDED or one.kpi not in policy.slos or one.change is None or one.p is None:
            continue
        if one.p > LIKELY_P:
            continue
        scale = 1 - kpi.slo.objective if isinstance(kpi, RatioKpi) and kpi.slo else 1.0
        if harm_of(one.change, kpi.worse) > kpi.drift_warn * scale and one.baseline is not BaselineKind.STAGING:
            yield Reason(
                code="undecided",
                argues_for=Decision.EXTEND,
                kpi=one.kpi,
                service=one.service,
                days=(one.day,),
                text=f"{one.sentence}; the watch ends before it could be decided",
            )


def _days_text(days: Sequence[int]) -> str:
    return " and ".join(f"day {day}" for day in days)


def decide(reasons: Sequence[Reason]) -> Decision:
    """Return the gravest decision that a reason argues for; keep where there is none."""
    argued = {one.argues_for for one in reasons}
    return next((decision for decision in _FROM_GRAVEST if decision in argued), Decision.KEEP)


def confidence_of(decision: Decision, reasons: Sequence[Reason]) -> float | None:
    """Return the confidence of a decision: of the surest reason that argues for it, because each is enough alone."""
    found = [one.confidence for one in reasons if one.argues_for is decision and one.confidence is not None]
    return max(found, default=None)


def drivers_of(decision: Decision, reasons: Sequence[Reason]) -> tuple[Driver, ...]:
    """Return the KPIs and days that drive a decision, the gravest first."""
    return tuple(
        Driver(code=one.code, kpi=one.kpi, service=one.service, days=one.days)
        for one in reasons
        if one.argues_for is decision
    )


def tier_of(
    decision: Decision,
    reasons: Sequence[Reason],
    regressions: Sequence[Regression],
    compared: Sequence[Comparison],
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
    if critical := [one for one in regressions if _is_red(one)]:
        return Tier.RED, critical[0].comparison.sentence
    if broken := [row for row in promises if row.slo is Verdict.FAIL]:
        return Tier.RED, f"{broken[0].service}: {broken[0].reason}"
    if all(row.slo is Verdict.UNKNOWN for row in promises):
        why = "no objective of day" if latest else "there is no judgement of day"
        return Tier.UNKNOWN, f"{why} {as_of}{' could be judged' if latest else ''}"
    if decision in {Decision.WATCH_CLOSER, Decision.EXTEND}:
        return Tier.AMBER, first
    if warned := [row for row in promises if row.verdict is not Verdict.PASS]:
        return Tier.AMBER, f"{warned[0].kpi} of {warned[0].service}: {warned[0].reason}"
    doubted = (row for row in latest.kpis if row.verdict in {Verdict.FAIL, Verdict.UNKNOWN}) if latest else ()
    if other := next((row for row in doubted if not _is_explained(row, compared)), None):
        return Tier.AMBER, f"{other.kpi} of {other.service}: {other.reason}"
    n_judged = sum(day.state is DayState.JUDGED for day in days)
    return (
        Tier.GREEN,
        f"every objective was kept on day {as_of} and no regression is active after {n_judged} judged days",
    )


def _is_explained(row: KpiDay, compared: Sequence[Comparison]) -> bool:
    """Tell whether noise, the load or the calendar explain a failed drift: it was compared, and is no regression."""
    found = {one.outcome for one in compared if (one.kpi, one.service) == (row.kpi, row.service)} - {Outcome.UNKNOWN}
    return row.verdict is Verdict.FAIL and bool(found) and Outcome.REGRESSION not in found


def _is_red(regression: Regression) -> bool:
    return regression.active and regression.severity is Severity.CRITICAL and not is_of_staging(regression)
