"""How much of each error budget is gone, how much of that is the release's own share, and when is the rest spent?

Budgets are events: the period's budget is the share of bad events that the objective allows, of the events that the
period is expected to hold. A period of 30 days is 30 days of the watch, so a bake time of minutes has a budget too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tars_ops.core import sli
from tars_ops.core.model import Frozen
from tars_ops.core.policy import LatencyKpi, Policy, RatioKpi
from tars_ops.core.telemetry import BAD, TOTAL, CountTable, IntArray, Telemetry, prior_table
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.measure import Measured, bucket_bounds, bucket_names
from tars_ops.core.watch.stability import DailyStability


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


class Budget(Frozen):
    """The error budget of one SLO of one service, as of a day."""

    kpi: str
    service: str
    objective: float
    period_days: int
    n_prior_days: int
    """Days before GA whose events are counted in; 0 means the budget is anchored at GA."""
    n_period_expected: float
    """Events that the period is expected to hold."""
    spent: float
    """Share of the period's budget that is gone, 1 = all."""
    own_share: float
    """Share of it that the release took beyond the rate before GA; all since GA where that rate is not known."""
    spent_per_day: float
    """Mean share that a judged day since GA took."""
    exhaustion_days: float | None
    """Days until it is spent at that pace; None if never."""
    days: tuple[BudgetDay, ...]

    @property
    def status(self) -> str:
        """The budget in one word of the documented set."""
        for limit, word in ((0.75, "Critical"), (0.50, "At Risk"), (0.25, "Moderate")):
            if self.spent > limit:
                return word
        return "Healthy"


def budgets(
    ga: Telemetry, baseline: GaBaseline, days: Mapping[int, DailyStability], policy: Policy
) -> tuple[Budget, ...]:
    """Return the budget of every SLO of every service that counted events since GA."""
    return tuple(one for name, kpi in policy.slos.items() for one in _budgets(ga, baseline, days, policy, name, kpi))


def _budgets(
    ga: Telemetry,
    baseline: GaBaseline,
    days: Mapping[int, DailyStability],
    policy: Policy,
    name: str,
    kpi: RatioKpi | LatencyKpi,
) -> Iterator[Budget]:
    objective = policy.objective(name)
    prior = prior_table(ga, policy.counter(name) or name, les=bucket_names(policy, kpi))
    services = {row.service for day in days.values() for row in day.kpis if row.kpi == name}
    services |= {service for service in baseline.services if baseline.of(name, service)}
    for service in sorted(services):
        counted: dict[int, Measured | None] = {0: baseline.of(name, service)}
        for day, stability in sorted(days.items()):
            row = stability.of_service(name, service)
            counted[day] = row.measured if row and row.slo != "unknown" else None
        before = _prior_events(prior, service, kpi)
        if objective is not None and any(one and one.burn and one.burn[1] for one in counted.values()):
            yield _budget(name, service, objective, policy.judgement.slo_period_days, counted, before)


def _prior_events(prior: CountTable, service: str, kpi: RatioKpi | LatencyKpi) -> list[tuple[int, int]]:
    """Return (bad, total) of each day before GA that the server still knew."""
    if service not in prior.services:
        return []
    counts = prior.of(service)
    pairs = [_bad_total(prior, counts[:, i], kpi) for i in range(counts.shape[1])]
    return [(bad, total) for bad, total in pairs if total > 0]


def _bad_total(table: CountTable, sums: IntArray, kpi: RatioKpi | LatencyKpi) -> tuple[int, int]:
    if isinstance(kpi, RatioKpi):
        count = dict(zip(table.les, sums.tolist(), strict=True))
        return count.get(BAD, 0), count.get(TOTAL, 0)
    bounds = bucket_bounds(table)
    if not kpi.slo or kpi.slo.threshold_s not in bounds:
        return 0, 0
    return max(0, int(sums[-1] - sums[bounds.index(kpi.slo.threshold_s)])), int(sums[-1])


def _budget(
    name: str,
    service: str,
    objective: float,
    period_days: int,
    counted: Mapping[int, Measured | None],
    before: list[tuple[int, int]],
) -> Budget:
    known = [one.burn for one in counted.values() if one and one.burn and one.burn[1]]
    n_bad, n_total = (sum(column) for column in zip(*known, strict=True))
    n_period = n_total / len(known) * period_days
    allowed = sli.budget_events(n_period, objective=objective)
    kept = before[-max(0, period_days - len(counted)) :] if period_days > len(counted) else []
    prior_bad, prior_total = (sum(column) for column in zip(*kept, strict=True)) if kept else (0, 0)
    usual = prior_bad / prior_total if prior_total else 0.0
    spent, per_day = (n_bad + prior_bad) / allowed, n_bad / allowed / len(known)
    return Budget(
        kpi=name,
        service=service,
        objective=objective,
        period_days=period_days,
        n_prior_days=len(kept),
        n_period_expected=n_period,
        spent=spent,
        own_share=max(0.0, n_bad - usual * n_total) / allowed,
        spent_per_day=per_day,
        exhaustion_days=sli.exhaustion_days(spent=spent, spent_per_day=per_day),
        days=tuple(_day(day, one, objective, allowed) for day, one in counted.items()),
    )


def _day(day: int, measured: Measured | None, objective: float, allowed: float) -> BudgetDay:
    if measured is None or measured.burn is None or measured.burn[1] == 0:
        return BudgetDay(day=day, n_bad=None, n_total=None, burn=None, spent=None)
    n_bad, n_total = measured.burn
    return BudgetDay(
        day=day,
        n_bad=n_bad,
        n_total=n_total,
        burn=sli.burn_rate(n_bad, n_total, objective=objective),
        spent=n_bad / allowed,
    )
