"""How much of each error budget is gone, how much of that is the release's own share, and when is the rest spent?

Budgets are events: the period's budget is the share of bad events that the objective allows, of the events that the
period is expected to hold. The period rolls and ends with the latest judged day. A period of 30 days is 30 days of the
watch, so a bake time of minutes has a budget too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from tars_ops.core import sli
from tars_ops.core.model import Frozen, Share
from tars_ops.core.policy import Judgement, Policy
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.budgets.burn import TELLING_BURN, enough_events
from tars_ops.core.watch.budgets.counted import Counted, counted_events
from tars_ops.core.watch.budgets.exhaustion import Forecast, exhaustion, traffic_of
from tars_ops.core.watch.budgets.expected import Events, persistence_of, rate_of
from tars_ops.core.watch.stability import DailyStability

BudgetStatus = Literal["Critical", "At Risk", "Moderate", "Healthy", "Unknown"]


class BudgetDay(Frozen):
    """What one day took from a budget; the GA day is day 0."""

    day: int
    n_bad: int | None
    """None where the day could not be measured."""
    n_total: int | None
    burn: float | None
    """Burn rate of the day."""
    spent: float | None
    """Share of the period's budget that this day took."""
    gone: float | None
    """Share of the period's budget that is gone at the end of this day."""


class OwnShare(Frozen):
    """What the release took beyond the rate before GA, as shares of the period's budget, and how sure that is."""

    low: float
    """At least that much, but for a chance of 5 %."""
    high: float
    """At most that much, but for a chance of 5 %."""
    p_above_limit: Share
    """Chance that it is above ``roll_back.budget_share``."""
    dispersion: float
    """Variance of the bad events before GA over that of independent ones."""


class Budget(Frozen):
    """The error budget of one SLO of one service, as of a day."""

    kpi: str
    service: str
    objective: float
    period_days: int
    n_prior_days: int
    """Days before GA whose events are counted in; 0 means the budget is anchored at GA."""
    n_unknown_days: int
    """Days since GA that nobody could measure: they may have spent more."""
    n_period_expected: float
    """Events that the period is expected to hold: those counted, and a forecast of the days that were not."""
    forecast: Forecast
    """How those days are foreseen."""
    spent: float
    """Share of the period's budget that is gone, 1 = all."""
    spent_so_far: float | None
    """Bad events over those that the objective allows of the events counted so far: the mean burn rate. None where no
    day of the period is known."""
    chance: Share
    """Chance of so many bad events in the whole period if the promise were just kept."""
    n_needed: int
    """Events that a period must hold to tell a burn rate of 2 from 1; with fewer, the budget is too small to say."""
    verdict: Verdict
    """``fail`` where it is surely overspent, ``warn`` where it is overspent, ``unknown`` where traffic is too small."""
    own_share: float
    """Share of it that the release took beyond the rate before GA; all since GA where that rate is not known."""
    own: OwnShare | None
    """How sure the own share is; None where fewer than two days before GA are known."""
    spent_per_day: float
    """Mean share that a judged day since GA took."""
    exhaustion_days: float | None
    """Days until it is spent at the pace since GA; None if not within 90 days."""
    exhaustion_low_days: float | None
    """It ends no earlier, but for a chance of 5 %; None if not within 90 days."""
    exhaustion_high_days: float | None
    """It ends no later, but for a chance of 5 %; None if not within 90 days."""
    days: tuple[BudgetDay, ...]

    @property
    def status(self) -> BudgetStatus:
        """The budget in one word of the documented set."""
        if self.verdict is Verdict.UNKNOWN:
            return "Unknown"
        words: tuple[tuple[float, BudgetStatus], ...] = ((0.75, "Critical"), (0.50, "At Risk"), (0.25, "Moderate"))
        for limit, word in words:
            if self.spent > limit:
                return word
        return "Healthy"


def budgets(
    ga: Telemetry, baseline: GaBaseline, days: Mapping[int, DailyStability], policy: Policy
) -> tuple[Budget, ...]:
    """Return the budget of every SLO of every service that counted events since GA."""
    return tuple(budget_of(one, policy.judgement) for one in counted_events(ga, baseline, days, policy))


def budget_of(counted: Counted, rules: Judgement) -> Budget:
    """Return the budget of one promise of one service as of its latest day.

    Parameters
    ----------
    counted : Counted
        With one day at least that counted events since GA.
    """
    latest, period_days, objective = max(counted.since_ga), rules.slo_period_days, counted.objective
    period = range(latest - period_days + 1, latest + 1)
    known = {day: counted.known[day] for day in period if day in counted.known}
    traffic = traffic_of(counted.known, has_weekdays=counted.has_weekdays)
    n_bad, n_total = _sum(known)
    n_period = n_total + sum(traffic.of(day) for day in period if day not in known)
    allowed = sli.budget_events(n_period, objective=objective)
    persistence = persistence_of([counted.before[day] for day in sorted(counted.before)])
    pace = rate_of(list(counted.measured.values()), persistence=persistence)
    ends = exhaustion(known, traffic, pace, latest=latest, period_days=period_days, objective=objective)
    chance = sli.p_at_least(n_bad, round(max(n_period, n_total)), probability=1 - objective)
    n_needed = enough_events(TELLING_BURN, objective=objective, alpha=rules.alpha)
    n_unknown = sum(day not in known for day in period if day >= 0)
    enough = n_period >= n_needed and n_unknown <= sum(day >= 0 for day in known)
    share, own = _own(counted, period, allowed, rules, persistence=persistence)
    return Budget(
        kpi=counted.kpi,
        service=counted.service,
        objective=objective,
        period_days=period_days,
        n_prior_days=sum(day < 0 for day in known),
        n_unknown_days=n_unknown,
        n_period_expected=n_period,
        forecast=traffic.forecast,
        spent=n_bad / allowed,
        spent_so_far=sli.burn_rate(n_bad, n_total, objective=objective) if n_total else None,
        chance=chance,
        n_needed=n_needed,
        verdict=_verdict(n_bad / allowed, chance, enough=enough, alpha=rules.alpha),
        own_share=share,
        own=own,
        spent_per_day=_sum(counted.measured).n_bad / allowed / len(counted.measured),
        exhaustion_days=ends.days,
        exhaustion_low_days=ends.low,
        exhaustion_high_days=ends.high,
        days=tuple(_day(day, counted, allowed, period_days) for day in sorted(counted.since_ga)),
    )


def _sum(days: Mapping[int, Events]) -> Events:
    return Events(sum(one.n_bad for one in days.values()), sum(one.n_total for one in days.values()))


def _verdict(spent: float, chance: float, *, enough: bool, alpha: float) -> Verdict:
    """Judge what is spent; a budget that is too small, or of which most days are not known, says nothing good."""
    if spent > 1 and chance <= alpha:
        return Verdict.FAIL
    if not enough:
        return Verdict.UNKNOWN
    return Verdict.WARN if spent > 1 else Verdict.PASS


def _own(
    counted: Counted, period: range, allowed: float, rules: Judgement, *, persistence: float
) -> tuple[float, OwnShare | None]:
    """Return what the release took beyond the rate before GA, and how sure that is where the rate is known."""
    taken = _sum({day: events for day, events in counted.measured.items() if day in period})
    if not counted.before:
        return taken.n_bad / allowed, None
    usual = rate_of([counted.before[day] for day in sorted(counted.before)], persistence=persistence)
    share = max(0.0, taken.n_bad - usual.bad_ratio * taken.n_total) / allowed
    if len(counted.before) < 2:  # one day does not say how much days differ
        return share, None
    fewest, most = usual.interval(taken.n_total)
    beyond_limit = taken.n_bad - rules.roll_back.budget_share * allowed
    own = OwnShare(
        low=max(0.0, taken.n_bad - most) / allowed,
        high=max(0.0, taken.n_bad - fewest) / allowed,
        p_above_limit=1 - float(usual.p_at_least(beyond_limit, taken.n_total)),
        dispersion=usual.dispersion,
    )
    return share, own


def _day(day: int, counted: Counted, allowed: float, period_days: int) -> BudgetDay:
    events = counted.measured.get(day)
    if events is None:
        return BudgetDay(day=day, n_bad=None, n_total=None, burn=None, spent=None, gone=None)
    period = {one: counted.known[one] for one in range(day - period_days + 1, day + 1) if one in counted.known}
    return BudgetDay(
        day=day,
        n_bad=events.n_bad,
        n_total=events.n_total,
        burn=sli.burn_rate(events.n_bad, events.n_total, objective=counted.objective),
        spent=events.n_bad / allowed,
        gone=_sum(period).n_bad / allowed,
    )
