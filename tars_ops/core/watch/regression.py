"""What is the verdict on a release as of a day?

``comparison`` says what got worse, ``budget`` what was spent, ``decision`` what follows; here they become one document.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from tars_ops.core.errors import MissingInputError
from tars_ops.core.model import Frozen, Instant, Sha256, Share
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, day_key
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import DayState, Decision, Tier, Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.budgets.budget import Budget, budgets
from tars_ops.core.watch.budgets.ladder import BurnOfDay, burns_of
from tars_ops.core.watch.budgets.saving import BudgetSaved, budget_saved
from tars_ops.core.watch.comparisons.comparison import Comparison
from tars_ops.core.watch.comparisons.harm import Regression, regressions_of
from tars_ops.core.watch.comparisons.looks import Looks, looked_at
from tars_ops.core.watch.comparisons.validity import BaselineUse
from tars_ops.core.watch.decision import (
    Day,
    Driver,
    Reason,
    assessment_of,
    confidence_of,
    critical_of_users,
    decide,
    drivers_of,
    reasons_for,
    tier_of,
)
from tars_ops.core.watch.references import NO_REFERENCES, References
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
    confidence: Share | None
    """How sure the fact behind the decision is; None where it is not a matter of chance."""
    drivers: tuple[Driver, ...]
    """The KPIs and days that the decision rests on, the gravest first; empty where it is to keep the release."""
    expected_budget_saved: BudgetSaved | None
    """What rolling back now should save; None where no budget surely burns much faster than usual."""
    assessment: Literal["critical", "major", "minor", "stable"]
    tier: Tier
    tier_reason: str
    reasons: tuple[Reason, ...]
    regressions: tuple[Regression, ...]
    comparisons: tuple[Comparison, ...]
    """Every comparison of the latest judged day, with every baseline."""
    baselines: tuple[BaselineUse, ...]
    """What became of every baseline on every judged day."""
    budgets: tuple[Budget, ...]
    burns: tuple[BurnOfDay, ...]
    """How fast every budget burnt on every judged day, over every window."""


def analyse(
    ga: Telemetry,
    baseline: GaBaseline,
    telemetries: Mapping[int, Telemetry],
    stabilities: Mapping[int, DailyStability],
    release: Release,
    policy: Policy,
    *,
    as_of: int,
    references: References = NO_REFERENCES,
) -> RegressionAnalysis:
    """Judge a release as of a day.

    Parameters
    ----------
    references : References
        Other baselines than the GA day and the objectives.

    Raises
    ------
    MissingInputError
        If no day up to ``as_of`` has been judged.
    """
    judged = _judged(stabilities, release, as_of)
    looks = looked_at(ga, baseline, telemetries, judged, release, policy, references)
    burns = burns_of(ga, telemetries, judged, release, policy)
    return concluded(looks, burns, ga, baseline, judged, release, policy, as_of=as_of)


def _judged(stabilities: Mapping[int, DailyStability], release: Release, as_of: int) -> dict[int, DailyStability]:
    judged = {day: stabilities[day] for day in sorted(stabilities) if day <= as_of}
    if not judged:
        raise MissingInputError(f"no day of {release.key} up to day {as_of} has been judged; materialise one first")
    return judged


def concluded(
    looks: Looks,
    burns: Sequence[BurnOfDay],
    ga: Telemetry,
    baseline: GaBaseline,
    stabilities: Mapping[int, DailyStability],
    release: Release,
    policy: Policy,
    *,
    as_of: int,
) -> RegressionAnalysis:
    """Conclude from the daily looks and burn rates what the verdict as of a day is; later ones are left out.

    Raises
    ------
    MissingInputError
        If no day up to ``as_of`` has been judged.
    """
    judged = _judged(stabilities, release, as_of)
    latest = max(judged)
    regressions = tuple(regressions_of({day: looks.comparisons[day] for day in judged}, latest))
    spent = budgets(ga, baseline, judged, policy)
    days = tuple(day_seen(day, judged, release, as_of) for day in release.days)
    compared = looks.comparisons[latest]
    reasons = tuple(reasons_for(days, judged, regressions, compared, spent, release, policy))
    decision = decide(reasons)
    tier, tier_reason = tier_of(decision, reasons, regressions, compared, days, judged.get(as_of), as_of)
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
        confidence=confidence_of(decision, reasons),
        drivers=drivers_of(decision, reasons),
        expected_budget_saved=budget_saved(spent, latest=latest),
        assessment=assessment_of(
            [one.severity for one in regressions if one.active], of_users=critical_of_users(regressions, policy)
        ),
        tier=tier,
        tier_reason=tier_reason,
        reasons=reasons,
        regressions=regressions,
        comparisons=compared,
        baselines=tuple(one for one in looks.baselines if one.day <= as_of),
        budgets=spent,
        burns=tuple(one for one in burns if one.day <= as_of),
    )


def day_seen(day: int, judged: Mapping[int, DailyStability], release: Release, as_of: int) -> Day:
    """Return a day as a verdict as of a day sees it: judged, missing or pending."""
    window = release.window(day)
    state = DayState.JUDGED if day in judged else DayState.MISSING if day <= as_of else DayState.PENDING
    verdict = judged[day].verdict if day in judged else Verdict.UNKNOWN
    return Day(day=day, state=state, verdict=verdict, start_at=window.start_at, end_at=window.end_at)
