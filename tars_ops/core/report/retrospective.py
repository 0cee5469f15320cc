"""What did the watch of this release find, as of one day?

The whole week in one value: the documented JSON is its dump. The questions behind its parts are answered by the other
modules of this folder; here they are put together and summed up in one word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.report.actions import ActionItem, Findings, action_items, recommendations
from tars_ops.core.report.burn_down import BurnDown, burn_downs
from tars_ops.core.report.cost import CostAnalysis, CostParts, cost_analysis
from tars_ops.core.report.dated_events import DatedEvent, dated_events
from tars_ops.core.report.degradations import Degradation, degradations
from tars_ops.core.report.drifts import UnexpectedDrift, unexpected_drifts
from tars_ops.core.report.improvements import process_improvements
from tars_ops.core.report.successes import Success, successes
from tars_ops.core.report.unknowns import Unknown, unknowns
from tars_ops.core.report.week import Week, week_of
from tars_ops.core.units import Unit
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.decision import Day, Reason
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import DailyStability

_SEMVER = re.compile(r"^(v?)(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?\Z")
MANY_HIGH = 2


class OverallStatus(StrEnum):
    """The week in one word."""

    CRITICAL = "CRITICAL"
    NEEDS_ATTENTION = "NEEDS ATTENTION"
    STABLE = "STABLE"
    EXCELLENT = "EXCELLENT"
    UNKNOWN = "UNKNOWN"


class WatchDay(Frozen):
    """One day of the watch."""

    day: int
    state: DayState
    verdict: Verdict | None
    """None while the day is pending."""
    health_score: float | None
    """0..100."""
    n_anomalies: int | None
    start_at: Instant
    end_at: Instant


class DayTotal(Frozen):
    """A KPI over all services on one day; the GA day is day 0. None where it is not known."""

    day: int
    value: float | None


class Totals(Frozen):
    """A KPI over all services, day by day."""

    kpi: str
    title: str
    unit: Unit
    by_day: tuple[DayTotal, ...]


class Provenance(Frozen):
    """What the report was made from."""

    policy_sha256: Sha256
    baseline_telemetry_sha256: Sha256
    baseline_supersedes: Sha256 | None
    """Digest of the baseline that was replaced on purpose."""
    stability_telemetry_sha256: Mapping[str, Sha256]


class Retrospective(Frozen):
    """The week of one release as of a day; None means unknown."""

    generation_timestamp: Instant
    """End of the last judged window, so that the same evidence makes the same report."""
    ga_day_timestamp: Instant
    seven_day_end_timestamp: Instant
    """End of the planned watch."""
    successes: tuple[Success, ...]
    degradations: tuple[Degradation, ...]
    unexpected_drifts: tuple[UnexpectedDrift, ...]
    cost_analysis: CostAnalysis
    slo_burn_downs: tuple[BurnDown, ...]
    recommendations_v1_0_2: tuple[str, ...]
    """The documented name of ``recommendations``, whatever the next version is."""
    process_improvements: tuple[str, ...]
    action_items: tuple[ActionItem, ...]

    release: str
    as_of: int
    days: tuple[WatchDay, ...]
    decision: Decision
    tier: Tier
    tier_reason: str
    reasons: tuple[Reason, ...]
    overall_status: OverallStatus
    recommendations: tuple[str, ...]
    next_version: str | None
    """The next patch; None where the version does not say what that is."""
    unknowns: tuple[Unknown, ...]
    dated_events: tuple[DatedEvent, ...]
    """The most severe anomaly events, in the order of time."""
    totals: tuple[Totals, ...]
    provenance: Provenance

    def days_in(self, state: DayState) -> tuple[int, ...]:
        """Return the days in one state."""
        return tuple(one.day for one in self.days if one.state is state)


def build_retrospective(
    release: Release,
    policy: Policy,
    baseline: GaBaseline,
    stabilities: Mapping[int, DailyStability],
    anomalies: Mapping[int, AnomalyEvents],
    health: Mapping[int, DailyHealth],
    regression: RegressionAnalysis,
    *,
    cost_parts: CostParts | None = None,
) -> Retrospective:
    """Put the retrospective together as of the day of the regression analysis; later days are left out.

    Parameters
    ----------
    cost_parts : mapping of day to part to float, optional
        Mean US dollars per hour of each part over all services.

    Raises
    ------
    ContractError
        If the parts are of different releases, baselines or versions of a day.
    MissingInputError
        If a day that the analysis judged is not given.
    """
    week = week_of(release, policy, baseline, stabilities, anomalies, health, regression)
    incidents = degradations(week)
    findings = Findings(
        incidents,
        unexpected_drifts(week, incidents),
        cost_analysis(week, cost_parts),
        burn_downs(week),
        unknowns(week),
    )
    recommended = recommendations(week, findings)
    tagged = tuple(one.tagged for one in recommended)
    return Retrospective(
        generation_timestamp=regression.end_at,
        ga_day_timestamp=release.ga_at,
        seven_day_end_timestamp=release.window(release.n_days).end_at,
        successes=successes(week),
        degradations=tuple(findings.degradations),
        unexpected_drifts=tuple(findings.drifts),
        cost_analysis=findings.cost,
        slo_burn_downs=tuple(findings.burn_downs),
        recommendations_v1_0_2=tagged,
        process_improvements=process_improvements(week, findings),
        action_items=action_items(week, recommended),
        release=release.key,
        as_of=regression.as_of,
        days=tuple(_watch_day(week, day) for day in regression.days),
        decision=regression.decision,
        tier=regression.tier,
        tier_reason=regression.tier_reason,
        reasons=regression.reasons,
        overall_status=overall_status(regression, findings.degradations, findings.unknowns),
        recommendations=tagged,
        next_version=next_version(release.version),
        unknowns=tuple(findings.unknowns),
        dated_events=dated_events(week),
        totals=tuple(_totals(week, name) for name in policy.judged),
        provenance=_provenance(regression),
    )


def _watch_day(week: Week, day: Day) -> WatchDay:
    health, anomalies = week.health.get(day.day), week.anomalies.get(day.day)
    return WatchDay(
        day=day.day,
        state=day.state,
        verdict=None if day.state is DayState.PENDING else day.verdict,
        health_score=health.score if health else None,
        n_anomalies=len(anomalies.events) if anomalies else None,
        start_at=day.start_at,
        end_at=day.end_at,
    )


def _totals(week: Week, kpi: str) -> Totals:
    found = {0: week.ga_total(kpi), **{day: week.total(day, kpi) for day in week.days}}
    by_day = tuple(DayTotal(day=day, value=one.value if one else None) for day, one in found.items())
    return Totals(kpi=kpi, title=week.title(kpi), unit=week.kpi(kpi).unit, by_day=by_day)


def _provenance(regression: RegressionAnalysis) -> Provenance:
    return Provenance(
        policy_sha256=regression.policy_sha256,
        baseline_telemetry_sha256=regression.baseline_telemetry_sha256,
        baseline_supersedes=regression.baseline_supersedes,
        stability_telemetry_sha256=regression.stability_telemetry_sha256,
    )


def overall_status(
    regression: RegressionAnalysis, found: Sequence[Degradation], unknown: Sequence[Unknown]
) -> OverallStatus:
    """Sum up the week in one word that never sounds better than the decision or the tier.

    What is known to be critical stays so when something else is unknown.
    """
    severities = [one.severity for one in found]
    if Severity.CRITICAL in severities or regression.decision is Decision.ROLL_BACK:
        return OverallStatus.CRITICAL
    if regression.tier is Tier.UNKNOWN:
        return OverallStatus.UNKNOWN
    if severities.count(Severity.HIGH) > MANY_HIGH or regression.tier is Tier.RED:
        return OverallStatus.NEEDS_ATTENTION
    if found or unknown or regression.tier is not Tier.GREEN:
        return OverallStatus.STABLE
    return OverallStatus.EXCELLENT


def next_version(version: str) -> str | None:
    """Return the version that a patch of a release would have; None where it is not a semantic version.

    Examples
    --------
    >>> [next_version(one) for one in ("1.0.1", "v2.3.9", "1.0.1-rc.1", "2025-11-18")]
    ['1.0.2', 'v2.3.10', '1.0.1', None]
    """
    if not (match := _SEMVER.match(version)):
        return None
    prefix, major, minor, patch, candidate = match.groups()
    return f"{prefix}{major}.{minor}.{int(patch) + (0 if candidate else 1)}"
