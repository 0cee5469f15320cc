"""Has the release made something worse for good, and should it be kept, watched or rolled back?

Every KPI of every service is compared with the GA day by ``compare``; a regression is a harm whose whole interval lies
beyond the policy's tolerance. The decision follows explicit rules and names its reasons; what is unknown never argues
for "keep".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Literal

import numpy as np

from tars_ops.core.errors import MissingInputError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import JudgedKpi, LatencyKpi, Policy, RatioKpi, RegressionLimits, Worse
from tars_ops.core.release import Release, day_key
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.units import percent, show
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.budget import Budget, budgets
from tars_ops.core.watch.compare import Shift, paired_shift, share_shift
from tars_ops.core.watch.measure import Blocks, blocks
from tars_ops.core.watch.stability import DailyStability, Drift, KpiDay, change_text, harm_of

BlockTable = Mapping[tuple[str, str], Blocks]


class Outcome(StrEnum):
    """What a comparison says."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"


class Comparison(Frozen):
    """One KPI of one service on one day against the GA day."""

    kpi: str
    service: str
    day: int
    baseline: Literal["ga_day"] = "ga_day"
    outcome: Outcome
    severity: Severity | None
    """Of a regression; None otherwise."""
    before: float | None
    after: float | None
    change: float | None
    """Signed: relative, or in points for a ratio with an SLO."""
    change_in: Literal["relative", "points"]
    lower: float | None
    upper: float | None
    """Interval of the change, in the same unit."""
    p: float | None
    n: int
    """Blocks or events behind the interval."""
    n_effective: float
    """Those that are independent."""
    held_s: int
    """How long the harm has lasted without a break, up to the end of the day, seconds."""
    sentence: str


class Regression(Frozen):
    """A KPI of a service that got worse: now, or on an earlier day of the watch."""

    kpi: str
    service: str
    severity: Severity
    """As of the latest judged day; of its worst day where it recovered."""
    days: tuple[int, ...]
    """The days on which it was there."""
    active: bool
    """It is there on the latest judged day."""
    comparison: Comparison
    """Of the latest judged day; of the worst day where it recovered."""


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


class RegressionAnalysis(Frozen):
    """The verdict on a release as of a day."""

    release: str
    as_of: int
    end_at: Instant
    """End of the last judged window: the report's own instant."""
    policy_sha256: Sha256
    baseline_telemetry_sha256: Sha256
    baseline_supersedes: Sha256 | None
    stability_telemetry_sha256: Mapping[str, Sha256]
    """Digest of the telemetry behind each judged day."""
    days: tuple[Day, ...]
    decision: Decision
    assessment: Literal["critical", "major", "minor", "stable"]
    tier: Tier
    tier_reason: str
    reasons: tuple[Reason, ...]
    regressions: tuple[Regression, ...]
    comparisons: tuple[Comparison, ...]
    """Every comparison of the latest judged day."""
    budgets: tuple[Budget, ...]


def analyse(
    ga: Telemetry,
    baseline: GaBaseline,
    telemetries: Mapping[int, Telemetry],
    stabilities: Mapping[int, DailyStability],
    release: Release,
    policy: Policy,
    *,
    as_of: int,
) -> RegressionAnalysis:
    """Judge a release as of a day.

    Raises
    ------
    MissingInputError
        If no day up to ``as_of`` has been judged.
    """
    judged = {day: stabilities[day] for day in sorted(stabilities) if day <= as_of}
    if not judged:
        raise MissingInputError(f"no day of {release.key} up to day {as_of} has been judged; materialise one first")
    latest = max(judged)
    ga_blocks = blocks(ga, policy)
    by_day = {day: blocks(telemetries[day], policy) for day in judged}
    compared = {day: tuple(_compared(day, judged, ga_blocks, by_day, baseline, release, policy)) for day in judged}
    regressions = tuple(_regressions(compared, latest))
    spent = budgets(ga, baseline, judged, policy)
    days = tuple(_day(day, judged, release, as_of) for day in release.days)
    reasons = tuple(_reasons(days, judged, regressions, spent, release, policy))
    decision = _decision(reasons)
    tier, tier_reason = tier_of(decision, reasons, regressions, days, judged.get(as_of), as_of)
    return RegressionAnalysis(
        release=release.key,
        as_of=as_of,
        end_at=judged[latest].end_at,
        policy_sha256=release.policy_sha256,
        baseline_telemetry_sha256=baseline.telemetry_sha256,
        baseline_supersedes=baseline.supersedes,
        stability_telemetry_sha256={day_key(day): one.telemetry_sha256 for day, one in judged.items()},
        days=days,
        decision=decision,
        assessment=assessment_of(
            [one.severity for one in regressions if one.active], of_users=_slo_critical(regressions, policy)
        ),
        tier=tier,
        tier_reason=tier_reason,
        reasons=reasons,
        regressions=regressions,
        comparisons=compared[latest],
        budgets=spent,
    )


def _day(day: int, judged: Mapping[int, DailyStability], release: Release, as_of: int) -> Day:
    window = release.window(day)
    state = DayState.JUDGED if day in judged else DayState.MISSING if day <= as_of else DayState.PENDING
    verdict = judged[day].verdict if day in judged else Verdict.UNKNOWN
    return Day(day=day, state=state, verdict=verdict, start_at=window.start_at, end_at=window.end_at)


def _compared(
    day: int,
    judged: Mapping[int, DailyStability],
    ga_blocks: BlockTable,
    by_day: Mapping[int, BlockTable],
    baseline: GaBaseline,
    release: Release,
    policy: Policy,
) -> Iterator[Comparison]:
    for row in judged[day].kpis:
        kpi, key = policy.judged[row.kpi], (row.kpi, row.service)
        before, after = ga_blocks.get(key), by_day[day].get(key)
        usable = row.verdict is not Verdict.UNKNOWN and row.baseline is not None
        if not usable or before is None or after is None:
            yield _unknown(row, day)
            continue
        shift = _shift(kpi, row, before, after, baseline, alpha=policy.judgement.alpha)
        held_s = _held_s(kpi, key, day, ga_blocks, by_day, release, policy.objective(row.kpi))
        yield _comparison(kpi, row, day, shift, held_s=held_s)


def _unknown(row: KpiDay, day: int) -> Comparison:
    return Comparison(
        kpi=row.kpi,
        service=row.service,
        day=day,
        outcome=Outcome.UNKNOWN,
        severity=None,
        before=row.baseline,
        after=row.measured.value,
        change=None,
        change_in=row.drift_in,
        lower=None,
        upper=None,
        p=None,
        n=0,
        n_effective=0.0,
        held_s=0,
        sentence=f"{row.kpi} of {row.service} cannot be compared: {row.reason}",
    )


def _shift(
    kpi: JudgedKpi, row: KpiDay, before: Blocks, after: Blocks, baseline: GaBaseline, *, alpha: float
) -> Shift | None:
    if isinstance(kpi, RatioKpi) and kpi.slo:
        was = baseline.of(row.kpi, row.service)
        shift = share_shift((was.burn if was else None) or (0, 0), row.measured.burn or (0, 0), alpha=alpha)
        # a share of bad events: turn it so that up means good, as the KPI does
        return shift and shift._replace(estimate=-shift.estimate, lower=-shift.upper, upper=-shift.lower)
    return paired_shift(before.values, after.values, alpha=alpha)


def _comparison(kpi: JudgedKpi, row: KpiDay, day: int, shift: Shift | None, *, held_s: int) -> Comparison:
    if shift is None:
        return _unknown(row, day)
    scale = 1 - kpi.slo.objective if isinstance(kpi, RatioKpi) and kpi.slo else 1.0
    outcome = outcome_of(shift, kpi.worse, tolerance=kpi.tolerance * scale)
    severity = _severity(kpi, row, shift) if outcome is Outcome.REGRESSION else None
    return Comparison(
        kpi=row.kpi,
        service=row.service,
        day=day,
        outcome=outcome,
        severity=severity,
        before=row.baseline,
        after=row.measured.value,
        change=shift.estimate,
        change_in=row.drift_in,
        lower=shift.lower,
        upper=shift.upper,
        p=shift.p,
        n=shift.n,
        n_effective=shift.n_effective,
        held_s=held_s,
        sentence=_sentence(kpi, row, shift, outcome, severity),
    )


def outcome_of(shift: Shift, worse: Worse, *, tolerance: float) -> Outcome:
    """Judge an interval against the tolerance: four outcomes, no bare p-value.

    Examples
    --------
    >>> outcome_of(Shift(0.2, 0.1, 0.3, 0.0, 24, 20.0), Worse.UP, tolerance=0.05)
    <Outcome.REGRESSION: 'regression'>
    >>> outcome_of(Shift(0.2, 0.01, 0.39, 0.0, 24, 20.0), Worse.UP, tolerance=0.05)
    <Outcome.UNDECIDED: 'undecided'>
    """
    if -tolerance <= shift.lower and shift.upper <= tolerance:
        return Outcome.EQUIVALENT
    grew, fell = shift.lower > tolerance, shift.upper < -tolerance
    if not (grew or fell):
        return Outcome.UNDECIDED
    hurts = worse is Worse.EITHER or (worse is Worse.UP) == grew
    return Outcome.REGRESSION if hurts else Outcome.IMPROVEMENT


def _severity(kpi: JudgedKpi, row: KpiDay, shift: Shift) -> Severity:
    harm = (row.burn or 0.0) if isinstance(kpi, RatioKpi) and kpi.slo else harm_of(shift.estimate, kpi.worse)
    return severity_of(harm, kpi.limits)


def severity_of(harm: float, limits: RegressionLimits) -> Severity:
    """Return the severity of a harm: relative, or budgets burnt per day for a ratio with an SLO."""
    ordered = ((limits.critical, Severity.CRITICAL), (limits.high, Severity.HIGH), (limits.medium, Severity.MEDIUM))
    return next((severity for limit, severity in ordered if harm > limit), Severity.LOW)


def _sentence(kpi: JudgedKpi, row: KpiDay, shift: Shift, outcome: Outcome, severity: Severity | None) -> str:
    change = change_text(Drift(shift.estimate, row.drift_in, _budget_harm(kpi, shift)))
    points = row.drift_in == "points"
    ends = [f"{100 * end:+.3f}" if points else percent(end, signed=True) for end in (shift.lower, shift.upper)]
    word = f"{severity} regression" if severity else outcome.value
    return (
        f"{kpi.title} of {row.service} went from {show(row.baseline, kpi.unit)} "
        f"to {show(row.measured.value, kpi.unit)}: {change}, interval {ends[0]} to {ends[1]}"
        f"{' points' if points else ''} - {word}"
    )


def _budget_harm(kpi: JudgedKpi, shift: Shift) -> float:
    return max(0.0, -shift.estimate) / (1 - kpi.slo.objective) if isinstance(kpi, RatioKpi) and kpi.slo else 0.0


def _held_s(
    kpi: JudgedKpi,
    key: tuple[str, str],
    day: int,
    ga_blocks: BlockTable,
    by_day: Mapping[int, BlockTable],
    release: Release,
    objective: float | None,
) -> int:
    """Return how long a harm above the medium limit has lasted without a break, up to the end of a day."""
    n_held, n_per_day = 0, 1
    while day in by_day and key in by_day[day]:
        found = by_day[day][key]
        harmed = _harmed(kpi, ga_blocks[key], found, objective)
        n_per_day = len(harmed)
        n_trailing = n_per_day if harmed.all() else int(np.argmin(harmed[::-1]))
        n_held += n_trailing
        if n_trailing < n_per_day:
            break
        day -= 1
    return n_held * release.day_length_s // n_per_day


def _harmed(kpi: JudgedKpi, before: Blocks, after: Blocks, objective: float | None) -> np.ndarray:
    if isinstance(kpi, RatioKpi) and objective is not None:
        return after.bad > kpi.limits.medium * (1 - objective) * np.maximum(after.total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (after.values - before.values) / np.abs(before.values)
    sign = {Worse.UP: change, Worse.DOWN: -change, Worse.EITHER: np.abs(change)}[kpi.worse]
    return np.nan_to_num(sign, nan=-1.0) > kpi.limits.medium


def _regressions(compared: Mapping[int, Sequence[Comparison]], latest: int) -> Iterator[Regression]:
    found: dict[tuple[str, str], list[Comparison]] = {}
    for day in compared:
        for one in compared[day]:
            if one.outcome is Outcome.REGRESSION:
                found.setdefault((one.kpi, one.service), []).append(one)
    ranked = []
    for (kpi, service), seen in found.items():
        active = seen[-1].day == latest
        shown = seen[-1] if active else min(seen, key=lambda one: _severity_rank(one.severity))
        ranked.append(
            Regression(
                kpi=kpi,
                service=service,
                severity=shown.severity or Severity.LOW,
                days=tuple(one.day for one in seen),
                active=active,
                comparison=shown,
            )
        )
    yield from sorted(ranked, key=lambda one: (not one.active, one.severity.rank, one.kpi, one.service))


def _severity_rank(severity: Severity | None) -> int:
    return severity.rank if severity else len(Severity)


def _slo_critical(regressions: Sequence[Regression], policy: Policy) -> bool:
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


def _reasons(
    days: Sequence[Day],
    judged: Mapping[int, DailyStability],
    regressions: Sequence[Regression],
    spent: Sequence[Budget],
    release: Release,
    policy: Policy,
) -> Iterator[Reason]:
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


def _decision(reasons: Sequence[Reason]) -> Decision:
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
