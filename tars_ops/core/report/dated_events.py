"""Which anomaly events of the week should a reader know, and when was each of them?"""

from __future__ import annotations

from tars_ops.core.model import Frozen, Instant
from tars_ops.core.report.week import Week
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.event import AnomalyClass

SHOWN = 20
"""More than a reader takes in; the files of the days have all of them."""


class DatedEvent(Frozen):
    """An anomaly event as the report tells it."""

    day: int
    kpi: str
    """``*`` where all of the service is silent."""
    service: str
    anomaly_class: AnomalyClass
    severity: Severity
    began_at: Instant
    """When it changed, where that could be dated; else the first anomalous step."""
    sentence: str
    """What happened, when, against which expectation, and what moved with it."""


def dated_events(week: Week) -> tuple[DatedEvent, ...]:
    """Return the most severe events of the judged days, in the order of time."""
    events = [(day, event) for day, found in week.anomalies.items() for event in found.events]
    most_severe = sorted(events, key=lambda pair: (pair[1].severity.rank, -pair[1].score, pair[1].started_at))[:SHOWN]
    told = [
        DatedEvent(
            day=day,
            kpi=event.kpi,
            service=event.service,
            anomaly_class=event.anomaly_class,
            severity=event.severity,
            began_at=event.change_point.at if event.change_point else event.started_at,
            sentence=event.sentence,
        )
        for day, event in most_severe
    ]
    return tuple(sorted(told, key=lambda one: (one.began_at, one.severity.rank, one.service, one.kpi)))
