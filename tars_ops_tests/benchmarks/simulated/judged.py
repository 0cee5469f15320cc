"""What does the verdict say of a simulated week, evening by evening?

The real path from telemetry to advice: the GA day is summarised, each day judged, and the release analysed as of every
day. No store and no orchestration is involved.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Decision, Tier
from tars_ops.core.watch.baseline import GaBaseline, summarise
from tars_ops.core.watch.budgets.ladder import burns_of
from tars_ops.core.watch.comparisons.looks import looked_at
from tars_ops.core.watch.references import NO_REFERENCES, Reference, References
from tars_ops.core.watch.regression import RegressionAnalysis, analyse, concluded
from tars_ops.core.watch.stability import DailyStability, judge_day
from tars_ops_tests.benchmarks.simulated.events import Events, happened
from tars_ops_tests.benchmarks.simulated.observed import Observed
from tars_ops_tests.benchmarks.simulated.truth import Judged, truth_of
from tars_ops_tests.benchmarks.simulated.world import N_DAYS, SLOT_S, World, drawn

PRODUCT = "tars"


@dataclass(frozen=True)
class Look:
    """The verdict on one evening."""

    day: int
    decision: Decision
    tier: Tier
    tier_reason: str
    reasons: tuple[str, ...]
    """Code, KPI and service of each."""
    advised: tuple[str, ...]
    """What argued for rolling back, in words."""
    regressions: tuple[str, ...]
    """KPI, service and severity of each that is active."""


@dataclass(frozen=True)
class WeekSeen:
    """A week, the truth about it and what was said of it."""

    world: World
    truth: Judged
    looks: tuple[Look, ...]
    fast_burns_h: tuple[tuple[str, float], ...]
    """Where a budget burnt too fast while its day was still running: KPI and service, hours from GA to the alarm."""

    @property
    def advice_day(self) -> int | None:
        """First evening on which rolling back was advised."""
        return next((one.day for one in self.looks if one.decision is Decision.ROLL_BACK), None)

    @property
    def advice_h(self) -> float:
        """Hours from the start of the fault to the advice; infinite where there was none."""
        if self.advice_day is None or self.world.fault is None:
            return math.inf
        return (self.advice_day + 1) * 24 - self.world.fault.start_slot * SLOT_S / 3600

    @property
    def alarm_h(self) -> float:
        """Hours from the start of the fault to the first alarm of the running day; infinite where there was none."""
        if self.world.fault is None:
            return math.inf
        began_h = self.world.fault.start_slot * SLOT_S / 3600
        return min((at_h - began_h for _, at_h in self.fast_burns_h if at_h >= began_h), default=math.inf)

    @property
    def flagged(self) -> tuple[str, ...]:
        """Every KPI of a service that was ever called a regression."""
        return tuple(sorted({one for look in self.looks for one in look.regressions}))


@dataclass(frozen=True)
class Week:
    """A week as the judgement gets it."""

    world: World
    events: Events
    release: Release
    ga: Telemetry
    baseline: GaBaseline
    days: dict[int, Telemetry]
    judged: dict[int, DailyStability]
    references: References

    def verdict(self, policy: Policy, *, as_of: int) -> RegressionAnalysis:
        """Judge the release as of a day."""
        return analyse(
            self.ga,
            self.baseline,
            {day: self.days[day] for day in range(1, as_of + 1)},
            {day: self.judged[day] for day in range(1, as_of + 1)},
            self.release,
            policy,
            as_of=as_of,
            references=self.references,
        )

    def evenings(self, policy: Policy) -> dict[int, RegressionAnalysis]:
        """Judge the release as of every day; days are compared once, because a later look changes nothing."""
        looks = looked_at(self.ga, self.baseline, self.days, self.judged, self.release, policy, self.references)
        burns = burns_of(self.ga, self.days, self.judged, self.release, policy)
        return {
            day: concluded(looks, burns, self.ga, self.baseline, self.judged, self.release, policy, as_of=day)
            for day in self.release.days
        }


def week(world: World, policy: Policy) -> Week:
    """Let a week happen, scrape it and judge its days."""
    return _week(world, policy, days_before=0)


def _week(world: World, policy: Policy, *, days_before: int) -> Week:
    events = happened(world, days_before=days_before)
    release = release_of(world, days_before=days_before)
    observed = Observed(world, events, policy, with_fault=not days_before)
    ga = observed.day(release, 0)
    baseline = summarise(ga, release, policy)
    days = {day: observed.day(release, day) for day in release.days}
    judged = {day: judge_day(days[day], baseline, release, policy, day=day) for day in release.days}
    previous = world.previous_days if not days_before else None
    references = _references(world, policy, previous) if previous else NO_REFERENCES
    return Week(world, events, release, ga, baseline, days, judged, references)


def _references(world: World, policy: Policy, days_before: int) -> References:
    before = _week(world, policy, days_before=days_before)
    return References(
        previous={
            day: Reference(
                telemetry=before.days[day], release=before.release.key, day=day, stability=before.judged[day]
            )
            for day in before.release.days
        }
    )


def release_of(world: World, *, days_before: int = 0) -> Release:
    """Return the release of a world, or the one before it."""
    ga_at = world.ga_at - timedelta(days=days_before)
    version = "1.0.0" if days_before else "1.0.1"
    return Release(product=PRODUCT, version=version, ga_at=ga_at, policy_sha256="a" * 64, n_days=N_DAYS)


def seen(number: int, policy: Policy, *, faulty: bool) -> WeekSeen:
    """Draw a week by its number and look at it every evening."""
    one = week(drawn(number, faulty=faulty), policy)
    evenings = one.evenings(policy)
    return WeekSeen(
        world=one.world,
        truth=truth_of(one.world, one.events, policy),
        looks=tuple(_look(analysis, day) for day, analysis in evenings.items()),
        fast_burns_h=tuple(_fast_burns(evenings[N_DAYS], one.release)),
    )


def _fast_burns(analysis: RegressionAnalysis, release: Release) -> Iterator[tuple[str, float]]:
    for burn in analysis.burns:
        if burn.window == "fast_burn" and burn.fired_at is not None:
            yield f"{burn.kpi} {burn.service}", (burn.fired_at - release.ga_at).total_seconds() / 3600


def _look(analysis: RegressionAnalysis, day: int) -> Look:
    return Look(
        day=day,
        decision=analysis.decision,
        tier=analysis.tier,
        tier_reason=analysis.tier_reason,
        reasons=tuple(f"{one.code} {one.kpi} {one.service}" for one in analysis.reasons),
        advised=tuple(one.text for one in analysis.reasons if one.argues_for is Decision.ROLL_BACK),
        regressions=tuple(f"{one.kpi} {one.service} {one.severity}" for one in analysis.regressions if one.active),
    )
