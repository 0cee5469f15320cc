"""How much of an error budget would be saved by rolling back now?

What the latest day burnt beyond the usual rate, for every day that is left of the period that began with GA.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tars_ops.core import sli
from tars_ops.core.model import Frozen
from tars_ops.core.watch.budgets.budget import Budget, BudgetDay

CHANCE = 0.2
"""Of the saving lying outside its interval, for the latest day's counts alone."""
LEAST = 0.05
"""Share of a budget below which a saving is not told: quiet days differ by as much."""


class BudgetSaved(Frozen):
    """What rolling back now should save of one budget."""

    kpi: str
    service: str
    n_days: int
    """Days of the period that began with GA that are left."""
    share: float
    """Share of the period's budget, 1 = all of it."""
    low: float
    """Lower end of its interval: 80 % for the counts of the latest day, if the days to come are like it."""
    high: float
    """Upper end of its interval."""


def budget_saved(budgets: Sequence[Budget], *, latest: int) -> BudgetSaved | None:
    """Return the largest saving; None where no budget surely burns much faster than usual.

    Parameters
    ----------
    latest : int
        The latest judged day; the days to come are taken to be like it.
    """
    found = [saved for one in budgets for saved in _saved(one, latest) if saved.low > LEAST]
    return max(found, key=lambda one: (one.share, one.kpi, one.service), default=None)


def _saved(budget: Budget, latest: int) -> Iterator[BudgetSaved]:
    n_days = budget.period_days - latest - 1
    today = next((one for one in budget.days if one.day == latest), None)
    if n_days <= 0 or today is None or today.spent is None or today.n_bad is None or not today.n_total:
        return
    usual, per_share = _usual(budget), today.spent / today.n_bad * today.n_total if today.n_bad else 0.0
    dispersion = max(1.0, budget.own.dispersion) if budget.own else 1.0
    low, high = sli.bad_interval(
        round(today.n_bad / dispersion), max(1, round(today.n_total / dispersion)), alpha=CHANCE
    )
    yield BudgetSaved(
        kpi=budget.kpi,
        service=budget.service,
        n_days=n_days,
        share=n_days * max(0.0, today.spent - usual),
        low=n_days * max(0.0, low * per_share - usual),
        high=n_days * max(0.0, high * per_share - usual),
    )


def _usual(budget: Budget) -> float:
    """Return the share of the budget that a day took before GA; where that is not known, that the GA day took."""
    known = [one for one in budget.days if one.spent is not None]
    if budget.own is None:
        return _spent(next((one for one in known if one.day == 0), None))
    since_ga = sum(_spent(one) for one in known)
    return max(0.0, since_ga - budget.own_share) / max(1, len(known))


def _spent(day: BudgetDay | None) -> float:
    return day.spent or 0.0 if day else 0.0
