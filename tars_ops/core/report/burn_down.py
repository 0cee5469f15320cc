"""How much of each error budget is gone, and on which days was the promise kept?

One line per promise, as bad as its worst service, in the units of the documented JSON. The error rate is the same
promise as its availability, seen from the other side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tars_ops.core.model import Frozen
from tars_ops.core.policy import ComplementKpi, LatencyKpi, RatioKpi
from tars_ops.core.report.documented import DIGITS, DocumentedUnit, in_ms, in_percent, percent_of
from tars_ops.core.report.week import Week
from tars_ops.core.units import UNKNOWN_TEXT
from tars_ops.core.verdict import Verdict, worst
from tars_ops.core.watch.budgets.budget import Budget, BudgetStatus
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.stability import keeps_its_promise


class ComplianceDay(Frozen):
    """One promise on one day; the GA day is day 0. None where it is not known."""

    day: int
    value: float | None
    """Of the worst service of that day, in the promise's unit."""
    compliant: bool | None
    """Whether every service was at least as good as promised; None where one is unknown and none is worse."""
    budget_consumed: float | None
    """Percent of the period's budget that is gone at the end of the day, of the line's ``service``."""
    service: str | None
    """Whose value it is."""


class WorstBurn(Frozen):
    """The window over which a budget burnt most, against its limit."""

    day: int
    window: str
    """Name of the pair of windows in the policy."""
    burn: float
    """Burn rate of the long window."""
    limit: float
    """Burn rate that both windows must exceed to fire."""
    fired: bool
    """Whether both windows were above it with more bad events than chance explains."""

    @property
    def text(self) -> str:
        """The window in words."""
        said = f"{self.burn:.3g} over {self.window} on day {self.day}, the limit is {self.limit:.3g}"
        return f"{said}: fired" if self.fired else said


class ServiceBudget(Frozen):
    """The budget of one service; None where no event of it was counted."""

    service: str
    spent: float | None
    """Share of the period's budget."""
    own_share: float | None
    """Share of it that the release took beyond the rate before GA."""
    exhaustion_days: float | None
    """None if not within 90 days at this pace."""
    exhaustion_low_days: float | None
    """It ends no earlier, but for a chance of 5 %; None if not within 90 days."""
    exhaustion_high_days: float | None
    """It ends no later, but for a chance of 5 %; None if not within 90 days."""
    worst_burn: WorstBurn | None
    """None where no window is known."""
    n_days_unknown: int
    """Days that may have spent more."""
    n_prior_days: int | None
    """Days before GA that are counted in; 0 means the budget is anchored at GA."""
    status: BudgetStatus


class BurnDown(Frozen):
    """One promise and the budget of its worst service."""

    slo_name: str
    target: float
    """Percent, or milliseconds."""
    budget: float
    """Percent of the events that may be bad."""
    budget_consumed_percent: float | None
    days_to_exhaustion: float | None
    """None if not within 90 days at this pace, or unknown."""
    compliance_by_day: tuple[ComplianceDay, ...]
    kpi: str
    service: str | None
    """The service that has spent most of its budget."""
    unit: DocumentedUnit
    status: BudgetStatus
    verdict: Verdict
    """Whether the promise was kept on the day of the report, by every service."""
    period_days: int
    services: tuple[ServiceBudget, ...]

    @property
    def top(self) -> ServiceBudget | None:
        """The budget of the service that has spent most of it."""
        return next((one for one in self.services if one.service == self.service), None)


class _Seen(NamedTuple):
    """One service on one day."""

    service: str
    value: float | None
    verdict: Verdict


def burn_downs(week: Week) -> tuple[BurnDown, ...]:
    """Return every promise in the order of the policy, then its views from the other side."""
    promises = {name: _burn_down(week, name, kpi) for name, kpi in week.policy.slos.items()}
    complements = (
        _complement(promises[kpi.of], name, kpi)
        for name, kpi in week.policy.kpis.items()
        if isinstance(kpi, ComplementKpi) and kpi.of in promises
    )
    return (*promises.values(), *complements)


def _burn_down(week: Week, name: str, kpi: RatioKpi | LatencyKpi) -> BurnDown:
    objective = week.policy.objective(name) or 0.0
    threshold_s = kpi.slo.threshold_s if isinstance(kpi, LatencyKpi) and kpi.slo else None
    services = tuple(_service_budget(week, name, service) for service in _services(week, name))
    top = max((one for one in services if one.spent is not None), key=lambda one: one.spent or 0.0, default=None)
    budget = week.budgets.get((name, top.service)) if top else None
    return BurnDown(
        slo_name=_name(kpi.title),
        target=percent_of(objective) if threshold_s is None else round(1000 * threshold_s, DIGITS),
        budget=percent_of(1 - objective),
        budget_consumed_percent=in_percent(budget.spent) if budget else None,
        days_to_exhaustion=budget.exhaustion_days if budget else None,
        compliance_by_day=tuple(_compliance(week, name, kpi, budget)),
        kpi=name,
        service=top.service if top else None,
        unit="percent" if threshold_s is None else "ms",
        status=top.status if top else "Unknown",
        verdict=worst(one.verdict for one in _seen(week, name, kpi, week.as_of)),
        period_days=week.policy.judgement.slo_period_days,
        services=services,
    )


def _name(title: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in title.split())


def _services(week: Week, kpi: str) -> list[str]:
    return sorted({service for name, service in (*week.keys, *week.budgets) if name == kpi})


def _service_budget(week: Week, kpi: str, service: str) -> ServiceBudget:
    budget = week.budgets.get((kpi, service))
    known = [one.day for one in budget.days if one.spent is not None] if budget else []
    return ServiceBudget(
        service=service,
        spent=budget.spent if budget else None,
        own_share=budget.own_share if budget else None,
        exhaustion_days=budget.exhaustion_days if budget else None,
        exhaustion_low_days=budget.exhaustion_low_days if budget else None,
        exhaustion_high_days=budget.exhaustion_high_days if budget else None,
        worst_burn=_worst_burn(week, kpi, service),
        n_days_unknown=1 + week.as_of - len(known),
        n_prior_days=budget.n_prior_days if budget else None,
        status=budget.status if budget else "Unknown",
    )


def _worst_burn(week: Week, kpi: str, service: str) -> WorstBurn | None:
    """Return the window that burnt most against its limit, of those that fired or at least are known."""
    burns = [
        WorstBurn(
            day=one.day, window=one.window, burn=one.worst.burn, limit=one.limit, fired=one.verdict is Verdict.FAIL
        )
        for one in week.regression.burns
        if (one.kpi, one.service) == (kpi, service) and one.worst and one.worst.burn is not None and one.n_known
    ]
    return max(burns, key=lambda one: (one.fired, one.burn / one.limit), default=None)


def exhaustion_text(one: ServiceBudget) -> str:
    """Say when a budget ends, with the interval that holds it but for 5 % on either side."""
    if one.spent is None:
        return UNKNOWN_TEXT
    if one.spent >= 1:
        return "it is spent"
    if one.exhaustion_low_days is None:
        return "not within 90 days"
    point, high = (
        "not within 90 days" if days is None else f"{days:.1f} days"
        for days in (one.exhaustion_days, one.exhaustion_high_days)
    )
    return f"{point} ({one.exhaustion_low_days:.1f} days to {high})"


def _compliance(week: Week, name: str, kpi: RatioKpi | LatencyKpi, budget: Budget | None) -> Iterator[ComplianceDay]:
    consumed = {one.day: one.gone for one in budget.days} if budget else {}
    convert = in_ms if isinstance(kpi, LatencyKpi) else in_percent
    sign = 1 if isinstance(kpi, LatencyKpi) else -1
    for day in (0, *week.days):
        seen = _seen(week, name, kpi, day)
        known = [
            (sign * one.value, one) for one in seen if one.value is not None and one.verdict is not Verdict.UNKNOWN
        ]
        shown = max(known, key=lambda pair: pair[0])[1] if known else None
        yield ComplianceDay(
            day=day,
            value=convert(shown.value) if shown else None,
            compliant=_compliant([one.verdict for one in seen]),
            budget_consumed=in_percent(consumed.get(day)),
            service=shown.service if shown else None,
        )


def _compliant(verdicts: list[Verdict]) -> bool | None:
    if any(one in {Verdict.FAIL, Verdict.WARN} for one in verdicts):
        return False
    return True if verdicts and all(one is Verdict.PASS for one in verdicts) else None


def _seen(week: Week, name: str, kpi: RatioKpi | LatencyKpi, day: int) -> list[_Seen]:
    if day == 0:
        return [_seen_on_ga(week, name, kpi, service) for service in week.ga_services(name)]
    return [_Seen(row.service, row.measured.value, row.slo or Verdict.UNKNOWN) for row in week.rows_of(day, name)]


def _seen_on_ga(week: Week, name: str, kpi: RatioKpi | LatencyKpi, service: str) -> _Seen:
    found = week.baseline.of(name, service) or Measured(kpi=name, service=service, value=None)
    doubt = week.baseline.doubt(name, service)
    said = keeps_its_promise(kpi, found, missing=doubt, alpha=week.policy.judgement.alpha)
    return _Seen(service, found.value, said.verdict)


def _complement(whole: BurnDown, name: str, kpi: ComplementKpi) -> BurnDown:
    days = tuple(one.model_copy(update={"value": _rest(one.value)}) for one in whole.compliance_by_day)
    turned = {"slo_name": _name(kpi.title), "kpi": name, "target": whole.budget, "compliance_by_day": days}
    return whole.model_copy(update=turned)


def _rest(percent: float | None) -> float | None:
    return None if percent is None else round(100 - percent, DIGITS)
