"""Which stretches of this day does the past not explain?

The detector scores steps; here they become events: dated, classed by their shape, weighed, told in a sentence, and with
what else moved at the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime

import numpy as np

from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window, instant
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.change_point import Place
from tars_ops.core.watch.anomalies.companions import companions
from tars_ops.core.watch.anomalies.drift import day_drift
from tars_ops.core.watch.anomalies.event import AnomalyClass, AnomalyEvent, AnomalyEvents, ChangePoint
from tars_ops.core.watch.anomalies.excursion import Excursion, excursions, runs
from tars_ops.core.watch.anomalies.scored import DAY_S, Scored, scored, tolerance
from tars_ops.core.watch.anomalies.sentence import sentence
from tars_ops.core.watch.anomalies.silence import SILENCE_S, Silence, silences
from tars_ops.core.watch.anomalies.slot_scores import MAX_SCORE
from tars_ops.core.watch.anomalies.weight import matters, severity
from tars_ops.core.watch.baseline import GaBaseline


def find_anomalies(
    telemetry: Telemetry, baseline: GaBaseline, release: Release, policy: Policy, *, day: int
) -> AnomalyEvents:
    """Find the events of one day of the watch."""
    window = release.window(day)
    every = list(scored(telemetry, baseline, policy))
    found = [one for one in every if one]
    events = [event for one in found for event in _events(one, found, baseline, window, policy)]
    events += [_silent(one, found, policy, until=window.end_at) for one in silences(telemetry, baseline, policy)]
    return AnomalyEvents(
        release=release.key,
        day=day,
        start_at=window.start_at,
        end_at=window.end_at,
        method=policy.anomalies.method,
        policy_sha256=release.policy_sha256,
        telemetry_sha256=telemetry.sha256,
        events=tuple(sorted(events, key=lambda e: (e.started_at, e.severity.rank, e.kpi, e.service))),
        n_series=len(found),
        n_uncalibrated=len(every) - len(found),
    )


def _events(
    one: Scored, series: Sequence[Scored], baseline: GaBaseline, release_day: Window, policy: Policy
) -> Iterator[AnomalyEvent]:
    kpi, before = policy.judged[one.kpi], baseline.of(one.kpi, one.service)
    found = excursions(
        one, tolerance=tolerance(kpi), merge_ms=1000 * policy.anomalies.merge_s, zeros=_zeros(one, baseline)
    )
    if not found and (drift := day_drift(one, tolerance=tolerance(kpi), of_a_day=release_day.length_s == DAY_S)):
        found = [drift]
    for excursion in found:
        if not matters(one, excursion, kpi):
            continue
        event = _event(one, excursion, severity(one, excursion, kpi, before.value if before else None))
        moved = companions(event, _onset_ms(one, excursion), series, policy)
        event = event.model_copy(update={"companions": moved})
        yield event.model_copy(update={"sentence": sentence(event, policy, until=release_day.end_at)})


def _zeros(one: Scored, baseline: GaBaseline) -> np.ndarray:
    """Mark stretches at exactly 0 that are news whatever the score: the GA day never was there."""
    spread = baseline.spread(one.kpi, one.service)
    marked = np.zeros(len(one.values), dtype=bool)
    if one.counts is None and spread is not None and spread.least > 0:
        for run in runs(one.at_ms, np.flatnonzero(one.values == 0), gap_ms=one.step_ms):
            marked[run] = len(run) * one.step_ms >= 1000 * SILENCE_S
    return marked


def _onset_ms(one: Scored, found: Excursion) -> int:
    return int(one.at_ms[found.place.at if found.place else found.start])


def _event(one: Scored, found: Excursion, weight: Severity) -> AnomalyEvent:
    score = min(found.score, MAX_SCORE)
    return AnomalyEvent(
        kpi=one.kpi,
        service=one.service,
        anomaly_class=found.kind,
        severity=weight,
        started_at=instant(int(one.at_ms[found.start])),
        ended_at=instant(int(one.at_ms[found.end - 1]) + one.step_ms),
        peak_at=instant(int(one.at_ms[found.peak])),
        peak=found.value,
        expected=_known(found.expected),
        lower=_known(found.lower),
        upper=_known(found.upper),
        p=10**-score,
        score=score,
        change_point=_change_point(one, found.place) if found.place else None,
        sentence="",
    )


def _change_point(one: Scored, place: Place) -> ChangePoint:
    at_ms = one.at_ms
    # a rate shows a change little by little: it may have begun as far back as the first sample that shows it looks
    earliest_ms = max(int(at_ms[place.first]) - one.reach_ms, int(at_ms[0]))
    return ChangePoint(
        at=instant(int(at_ms[place.at])), earliest_at=instant(earliest_ms), latest_at=instant(int(at_ms[place.last]))
    )


def _known(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _silent(silence: Silence, series: Sequence[Scored], policy: Policy, *, until: datetime) -> AnomalyEvent:
    started_at = instant(silence.start_ms)
    event = AnomalyEvent(
        kpi=silence.kpi,
        service=silence.service,
        anomaly_class=AnomalyClass.SILENCE,
        severity=Severity.HIGH,
        started_at=started_at,
        ended_at=instant(silence.end_ms),
        peak_at=started_at,
        peak=None,
        expected=None,
        lower=None,
        upper=None,
        p=10**-MAX_SCORE,
        score=MAX_SCORE,
        sentence="",
    )
    event = event.model_copy(update={"companions": companions(event, silence.start_ms, series, policy)})
    return event.model_copy(update={"sentence": sentence(event, policy, until=until)})
