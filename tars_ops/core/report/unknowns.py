"""What could not be judged, and why?"""

from __future__ import annotations

from collections.abc import Iterator

from tars_ops.core.model import Frozen
from tars_ops.core.report.week import Week
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
