"""What is the verdict on a release as of a day?

``comparison`` says what got worse, ``budget`` what was spent, ``decision`` what follows; here they become one document.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tars_ops.core.errors import MissingInputError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, day_key
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import DayState, Decision, Tier, Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.budget import Budget, budgets
from tars_ops.core.watch.comparison import Comparison, Regression, compared, regressions_of
from tars_ops.core.watch.decision import Day, Reason, assessment_of, critical_of_users, decide, reasons_for, tier_of
from tars_ops.core.watch.measure import blocks
from tars_ops.core.watch.stability import DailyStability


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
    by_comparison = {day: tuple(compared(day, judged, ga_blocks, by_day, baseline, release, policy)) for day in judged}
    regressions = tuple(regressions_of(by_comparison, latest))
    spent = budgets(ga, baseline, judged, policy)
    days = tuple(day_seen(day, judged, release, as_of) for day in release.days)
    reasons = tuple(reasons_for(days, judged, regressions, spent, release, policy))
    decision = decide(reasons)
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
            [one.severity for one in regressions if one.active], of_users=critical_of_users(regressions, policy)
        ),
        tier=tier,
        tier_reason=tier_reason,
        reasons=reasons,
        regressions=regressions,
        comparisons=by_comparison[latest],
        budgets=spent,
    )


def day_seen(day: int, judged: Mapping[int, DailyStability], release: Release, as_of: int) -> Day:
    """Return a day as a verdict as of a day sees it: judged, missing or pending."""
    window = release.window(day)
    state = DayState.JUDGED if day in judged else DayState.MISSING if day <= as_of else DayState.PENDING
    verdict = judged[day].verdict if day in judged else Verdict.UNKNOWN
    return Day(day=day, state=state, verdict=verdict, start_at=window.start_at, end_at=window.end_at)
