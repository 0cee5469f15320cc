"""What could not be judged, and why?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tars_ops.core.model import Frozen
from tars_ops.core.policy import Policy
from tars_ops.core.report.week import Week, days_text
from tars_ops.core.verdict import Verdict


class Unknown(Frozen):
    """Something that nobody knows about a day that is over."""

    kpi: str | None
    """None where it is about all of them."""
    service: str | None
    """None where it is about all of them."""
    day: int
    reason: str
    is_promise: bool
    """A KPI with an objective is concerned."""


def unknowns(week: Week) -> tuple[Unknown, ...]:
    """Return everything that could not be judged, day by day."""
    return tuple(one for day in week.days for one in _of_day(week, day))


def _of_day(week: Week, day: int) -> Iterator[Unknown]:
    if day not in week.stabilities:
        yield Unknown(kpi=None, service=None, day=day, reason="nobody judged this day", is_promise=True)
        return
    for kpi in week.policy.judged:
        rows = week.rows_of(day, kpi)
        promised = kpi in week.policy.slos
        if not rows:
            reason = week.stabilities[day].of(kpi).reason
            yield Unknown(kpi=kpi, service=None, day=day, reason=reason, is_promise=promised)
        for row in rows:
            if row.verdict is Verdict.UNKNOWN:
                yield Unknown(kpi=kpi, service=row.service, day=day, reason=row.reason, is_promise=promised)
    for name, found in (("anomalies", week.anomalies), ("health", week.health)):
        if day not in found:
            reason = f"the {name} of this day were not assessed"
            yield Unknown(kpi=None, service=None, day=day, reason=reason, is_promise=False)


class Gap(NamedTuple):
    """Unknown results of one service that belong together: the same KPIs, on some days."""

    kpis: tuple[str | None, ...]
    service: str | None
    days: tuple[int, ...]
    reason: str
    """Of the last day."""
    is_promise: bool


def gaps(found: Sequence[Unknown]) -> tuple[Gap, ...]:
    """Put unknown results together that share service, KPIs and, on one day, the reason."""
    by_cause: dict[tuple[int, str | None, str], list[Unknown]] = {}
    for one in found:
        by_cause.setdefault((one.day, one.service, one.reason), []).append(one)
    merged: dict[tuple[str | None, tuple[str | None, ...]], Gap] = {}
    for (day, service, reason), seen in by_cause.items():
        kpis = tuple(one.kpi for one in seen)
        earlier = merged[service, kpis].days if (service, kpis) in merged else ()
        promised = any(one.is_promise for one in seen)
        merged[service, kpis] = Gap(kpis, service, tuple(dict.fromkeys((*earlier, day))), reason, promised)
    return tuple(merged.values())


def subject(policy: Policy, gap: Gap) -> str:
    """Name what a gap is about: its first KPI, how many more, and the service."""
    first = gap.kpis[0]
    title = policy.kpis[first].title if first else "everything"
    n_more = len(gap.kpis) - 1
    more = f" and {n_more} other KPI{'s' if n_more > 1 else ''}" if n_more else ""
    return f"{title}{more} of {gap.service or 'all services'}"


def gap_text(policy: Policy, gap: Gap) -> str:
    """Write a gap as one line."""
    return f"{subject(policy, gap)} on {days_text(gap.days)}: {gap.reason}"
