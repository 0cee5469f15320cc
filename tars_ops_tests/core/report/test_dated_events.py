"""A report tells the events that matter most, in the order in which they happened."""

from __future__ import annotations

from datetime import timedelta

from tars_ops.adapters.rendering import retrospective_markdown
from tars_ops.core.report.dated_events import SHOWN
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.event import ChangePoint
from tars_ops_tests.core.report.factories import GA_AT, event, evidence


def test_the_most_severe_events_are_told_in_the_order_of_time() -> None:
    days = {3: [event(3, severity=Severity.LOW)] * SHOWN, 5: [event(5)], 2: [event(2, severity=Severity.HIGH)]}

    found = evidence(events=days).retrospective().dated_events

    assert [(one.day, one.severity) for one in (found[0], found[-1])] == [(2, Severity.HIGH), (5, Severity.CRITICAL)]
    assert len(found) == SHOWN
    assert found[-1].sentence == event(5).sentence


def test_an_event_begins_where_its_change_was_dated() -> None:
    at = GA_AT + timedelta(days=3, hours=2)
    dated = event(3).model_copy(update={"change_point": ChangePoint(at=at, earliest_at=at, latest_at=at)})

    found = evidence(events={3: [event(3), dated]}).retrospective().dated_events

    assert [one.began_at for one in found] == [at, event(3).started_at]


def test_the_report_tells_each_event_in_its_sentence_and_a_week_without_says_so() -> None:
    eventful, quiet = (retrospective_markdown(evidence(events=days).retrospective()) for days in ({3: [event(3)]}, {}))

    assert "- **Day 3, critical spike:** CPU of api rose to 2 cores at 2025-11-21 03:00 UTC" in eventful
    assert "No stretch of a judged day was further from its past than chance allows." in quiet
