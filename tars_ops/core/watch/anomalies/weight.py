"""Is an excursion worth an event, and how severe is it?"""

from __future__ import annotations

import numpy as np

from tars_ops.core.policy import CostKpi, GaugeKpi, JudgedKpi, LatencyKpi, RatioKpi
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.excursion import SHORT_S, Excursion
from tars_ops.core.watch.anomalies.scored import Scored
from tars_ops.core.watch.stability import harm_of

_SEVERITIES = ((9.0, Severity.CRITICAL), (7.0, Severity.HIGH), (5.0, Severity.MEDIUM))
"""Scores beyond which an event is so severe."""
BLIP = 1.0
"""What is back within half an hour and breaks no promise has to be ten times rarer: at 0.02 false alarms per series and
day sixty series would raise eight of them in every steady week, and nobody can act on what is over."""


def matters(one: Scored, found: Excursion, kpi: JudgedKpi) -> bool:
    """Tell whether an excursion is worth an event.

    Bad events are summed to the day's error budget and prices to the day's cost: an excursion has to take more of them
    than is tolerated. A sample has to be away for long, to break a promise, to be 0, or to be ten times rarer than an
    alarm.
    """
    during = slice(found.start, found.end)
    if one.counts is not None and isinstance(kpi, RatioKpi) and kpi.slo is not None:
        bad, total = one.counts
        return bool(bad[during].sum() > kpi.tolerance * (1 - kpi.slo.objective) * total.sum())
    if one.counts is None and not (
        _lasts(one, found) or _beyond_slo(kpi, found.value) or found.value == 0 or found.score >= one.threshold + BLIP
    ):
        return False
    if isinstance(kpi, CostKpi):
        extra = np.nansum(one.values[during] - found.expected)
        return bool(abs(extra) > kpi.tolerance * np.nansum(np.abs(one.values)))
    return True


def severity(one: Scored, found: Excursion, kpi: JudgedKpi, before: float | None) -> Severity:
    """Weigh an excursion by its score; ``before`` is the KPI's value of the GA day, None where it is not known.

    Critical are only promises and limits that are broken, and what stays far on the worse side for longer than a spike:
    nobody is called for a blip of a KPI that promises nothing, nor for a fall of the cost.
    """
    weighed = next((weight for limit, weight in _SEVERITIES if found.score > limit), Severity.LOW)
    if weighed is Severity.CRITICAL and not (
        _beyond_slo(kpi, found.value) or (_lasts(one, found) and _far_from(kpi, found.value, before))
    ):
        return Severity.HIGH
    return weighed


def _lasts(one: Scored, found: Excursion) -> bool:
    return (found.end - found.start) * one.step_ms > 1000 * SHORT_S


def _beyond_slo(kpi: JudgedKpi, value: float) -> bool:
    if isinstance(kpi, RatioKpi) and kpi.slo:
        return value < kpi.slo.objective
    if isinstance(kpi, LatencyKpi) and kpi.slo:
        return value > kpi.slo.threshold_s
    return isinstance(kpi, GaugeKpi) and kpi.maximum is not None and value > kpi.maximum


def _far_from(kpi: JudgedKpi, value: float, before: float | None) -> bool:
    if before is None or isinstance(kpi, RatioKpi):
        return False
    return harm_of(value - before, kpi.worse) > kpi.drift_fail * abs(before)
