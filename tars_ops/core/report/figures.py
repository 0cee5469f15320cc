"""Which figures of the week fit on one page, and how are they written?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tars_ops.core.model import Frozen
from tars_ops.core.policy import Policy
from tars_ops.core.report.burn_down import BurnDown, exhaustion_text
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.units import UNKNOWN_TEXT, Unit, percent, show
from tars_ops.core.verdict import DayState, Verdict


class SlaRow(Frozen):
    """One promise on the day of the report, in words."""

    slo: str
    objective: str
    worst_service: str
    value: str
    budget_spent: str
    budget_ends: str
    """When the rest of it is spent."""
    verdict: Verdict


class TrendRow(Frozen):
    """One figure day by day, in words; the GA day first."""

    title: str
    by_day: tuple[str, ...]
    summary: str


def sla_rows(policy: Policy, retrospective: Retrospective) -> tuple[SlaRow, ...]:
    """Return every promise as it stood on the day of the report."""
    lines = retrospective.slo_burn_downs
    return tuple(_sla_row(line, is_complement=line.kpi not in policy.slos) for line in lines)


def _sla_row(line: BurnDown, *, is_complement: bool) -> SlaRow:
    today = line.compliance_by_day[-1]
    spent = line.budget_consumed_percent
    return SlaRow(
        slo=line.slo_name,
        objective=_objective(line, is_complement=is_complement),
        worst_service=today.service or UNKNOWN_TEXT,
        value=_value(line, today.value),
        budget_spent=UNKNOWN_TEXT if spent is None else f"{percent(spent / 100)} of {line.service}: {line.status}",
        budget_ends=exhaustion_text(line.top) if line.top else UNKNOWN_TEXT,
        verdict=line.verdict,
    )


def _objective(line: BurnDown, *, is_complement: bool) -> str:
    target = _value(line, line.target)
    if line.unit == "ms":
        return f"{show(1 - line.budget / 100, Unit.RATIO)} of events within {target}"
    return f"{'at most' if is_complement else 'at least'} {target}"


def _value(line: BurnDown, value: float | None) -> str:
    if line.unit == "ms":
        return show(None if value is None else value / 1000, Unit.SECONDS)
    return show(None if value is None else value / 100, Unit.RATIO)


def trend_rows(retrospective: Retrospective) -> tuple[TrendRow, ...]:
    """Return health, cost and traffic day by day."""
    return tuple(_trends(retrospective))


def _trends(retrospective: Retrospective) -> Iterator[TrendRow]:
    over = [one for one in retrospective.days if one.state is not DayState.PENDING]
    scores = [None, *(one.health_score for one in over)]
    yield _trend("Health score (0 to 100)", scores, ["-", *(score_text(one) for one in scores[1:])], relative=False)
    cost = retrospective.cost_analysis
    dollars = [cost.ga_day_cost, *(one.usd for one in cost.by_day)]
    yield _trend("Cost per day", dollars, [show(one, Unit.USD) for one in dollars])
    for totals in retrospective.totals:
        if totals.unit is Unit.PER_SECOND:
            values = [one.value for one in totals.by_day]
            yield _trend(totals.title, values, [show(one, totals.unit) for one in values])


def score_text(score: float | None) -> str:
    """Write a health score."""
    return UNKNOWN_TEXT if score is None else f"{score:.1f}"


def _trend(title: str, values: Sequence[float | None], texts: Sequence[str], *, relative: bool = True) -> TrendRow:
    known = [day for day, value in enumerate(values) if value is not None]
    if not known:
        return TrendRow(title=title, by_day=tuple(texts), summary="not known on any day")
    first, last = known[0], known[-1]
    if first == last:
        return TrendRow(title=title, by_day=tuple(texts), summary=f"known on {day_text(first)} only: {texts[first]}")
    change = _by(values[first], values[last]) if relative else ""
    summary = f"from {texts[first]} on {day_text(first)} to {texts[last]} on {day_text(last)}{change}"
    return TrendRow(title=title, by_day=tuple(texts), summary=summary)


def _by(before: float | None, after: float | None) -> str:
    return f" ({percent(after / before - 1, signed=True)})" if before and after is not None else ""


def day_text(day: int) -> str:
    """Name a day; 0 is the GA day."""
    return f"day {day}" if day else "the GA day"
