"""How is an anomaly event told in one sentence?

What happened to which KPI, when, against which expectation, and what else moved. A reader needs no other field.
"""

from __future__ import annotations

from datetime import datetime

from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.units import Unit, duration, show
from tars_ops.core.watch.anomalies.event import AnomalyClass, AnomalyEvent, Companion

NAMED = 3
"""Companions that are named; the others are counted."""


def sentence(told: AnomalyEvent, policy: Policy, *, until: datetime) -> str:
    """Tell an event; ``until`` is the end of the day, which an event that reaches it may outlast."""
    if told.anomaly_class is AnomalyClass.SILENCE:
        who = told.service if told.kpi == ALL_SERVICES else f"{policy.judged[told.kpi].title} of {told.service}"
        return f"{who} left no sample from {_clock(told.started_at)} to {_time(told.ended_at)} UTC ({_length(told)})."
    kpi = policy.judged[told.kpi]
    parts = [f"{kpi.title} of {told.service} {_happened(told, kpi.unit)}", _ending(told, until), _company(told, policy)]
    return "".join(part for part in parts if part) + "."


def _happened(told: AnomalyEvent, unit: Unit) -> str:
    value, at, usual = show(told.peak, unit), _when(told), _usual(told, unit)
    rises = told.expected is None or (told.peak or 0.0) > told.expected
    match told.anomaly_class:
        case AnomalyClass.DROP if told.peak == 0:
            return f"fell to 0 at {at} (expected {usual})"
        case AnomalyClass.SPIKE | AnomalyClass.DROP:
            return f"{'rose' if rises else 'fell'} to {value} at {at} (expected {usual})"
        case AnomalyClass.LEVEL_SHIFT:
            return f"stepped {'up' if rises else 'down'} at {at} and reached {value} (expected {usual})"
        case AnomalyClass.SPREAD:
            return f"began to scatter at {at} and reached {value} (expected {usual})"
    began = f"from {at} on" if told.change_point else f"all through {told.started_at:%Y-%m-%d}"
    return f"{'rose' if rises else 'fell'} steadily {began}, from {show(told.expected, unit)} to {value}"


def _usual(told: AnomalyEvent, unit: Unit) -> str:
    if told.lower is not None and told.upper is not None:
        return f"{show(told.lower, unit)} to {show(told.upper, unit)}"
    if told.lower is not None:
        return f"at least {show(told.lower, unit)}"
    return f"about {show(told.expected, unit)}"


def _when(told: AnomalyEvent) -> str:
    dated = told.change_point
    if dated is None or dated.earliest_at == dated.latest_at:
        return f"{_clock(dated.at if dated else told.started_at)} UTC"
    return f"{_clock(dated.at)} UTC (between {_time(dated.earliest_at)} and {_time(dated.latest_at)})"


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%d} {_time(at)}"


def _time(at: datetime) -> str:
    return f"{at:%H:%M}" if at.second == 0 else f"{at:%H:%M:%S}"


def _length(told: AnomalyEvent) -> str:
    return duration((told.ended_at - told.started_at).total_seconds())


def _ending(told: AnomalyEvent, until: datetime) -> str:
    if told.anomaly_class is AnomalyClass.SPREAD:
        return ""  # a calm half hour does not say that the scatter is over
    return "" if told.ended_at >= until else f" and was back after {_length(told)}"


def _company(told: AnomalyEvent, policy: Policy) -> str:
    if not told.companions:
        return ""
    named = ", ".join(_moved(one, told.service, policy) for one in told.companions[:NAMED])
    more = len(told.companions) - NAMED
    return f"; with it moved {named}{f' and {more} more' if more > 0 else ''}"


def _moved(one: Companion, service: str, policy: Policy) -> str:
    title = policy.judged[one.kpi].title
    whose = "" if one.service == service else f" of {one.service}"
    lag = "at once" if one.lag_s == 0 else f"{duration(abs(one.lag_s))} {'later' if one.lag_s > 0 else 'earlier'}"
    return f"{title}{whose} ({one.direction}, {lag})"
