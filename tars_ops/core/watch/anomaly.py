"""Which stretches of this day does the past not explain?

The detector scores samples; here they become events with a start, an end, a class and a severity. Shares of events are
scored on their counts, everything else on its samples; a service that stops reporting is an event of its own.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from enum import StrEnum

import numpy as np

from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import ALL_SERVICES, Anomalies, GaugeKpi, JudgedKpi, LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Release, instant
from tars_ops.core.telemetry import (
    BAD,
    TOTAL,
    CountTable,
    FloatArray,
    IntArray,
    SampleTable,
    Telemetry,
    count_table,
    sample_table,
)
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.detector import Scores, ewma_chart, score_counts, score_tail, two_sided_p

SILENCE_S = 900
"""A series without samples for so long is silent."""
SHORT_S = 1800
"""An excursion that is back by then was a spike or a drop, not a shift."""
_SEVERITIES = ((1e-9, Severity.CRITICAL), (1e-7, Severity.HIGH), (1e-5, Severity.MEDIUM), (1e-4, Severity.LOW))
_P, _ALPHA = 1e-5, 0.05
MIN_P = 1e-300
"""Smallest probability that is told apart from 0."""


class AnomalyClass(StrEnum):
    """What an event looks like."""

    SPIKE = "spike"
    DROP = "drop"
    LEVEL_SHIFT = "level_shift"
    SILENCE = "silence"


class AnomalyEvent(Frozen):
    """Neighbouring anomalies of one KPI of one service, merged."""

    kpi: str
    """``*`` where all of the service is silent."""
    service: str
    anomaly_class: AnomalyClass
    severity: Severity
    started_at: Instant
    ended_at: Instant
    """End of the last anomalous step."""
    peak_at: Instant
    peak: float | None
    """Most surprising value, in the KPI's unit."""
    expected: float | None
    """What was expected there."""
    p: float
    """Tail probability of the peak."""
    score: float
    """``-log10(p)``."""


class AnomalyEvents(Frozen):
    """Every event of one day."""

    release: str
    day: int
    start_at: Instant
    end_at: Instant
    method: str
    policy_sha256: Sha256
    telemetry_sha256: Sha256
    events: tuple[AnomalyEvent, ...]
    n_series: int
    """Series that were scored."""
    n_uncalibrated: int
    """Series that could not be scored, because the GA day says too little about them."""


def find_anomalies(
    telemetry: Telemetry, baseline: GaBaseline, release: Release, policy: Policy, *, day: int
) -> AnomalyEvents:
    """Find the events of one day of the watch."""
    window = release.window(day)
    events: list[AnomalyEvent] = []
    n_series = n_uncalibrated = 0
    for name, kpi in policy.judged.items():
        scored = list(_scored(telemetry, baseline, policy, name, kpi))
        n_series += sum(known for known, _ in scored)
        n_uncalibrated += sum(not known for known, _ in scored)
        events += [event for _, found in scored for event in found]
    events += _silences(telemetry, baseline, policy)
    return AnomalyEvents(
        release=release.key,
        day=day,
        start_at=window.start_at,
        end_at=window.end_at,
        method=policy.anomalies.method,
        policy_sha256=release.policy_sha256,
        telemetry_sha256=telemetry.sha256,
        events=tuple(sorted(events, key=lambda e: (e.started_at, e.severity.rank, e.kpi, e.service))),
        n_series=n_series,
        n_uncalibrated=n_uncalibrated,
    )


Scored = tuple[bool, list[AnomalyEvent]]


def _scored(telemetry: Telemetry, baseline: GaBaseline, policy: Policy, name: str, kpi: JudgedKpi) -> Iterator[Scored]:
    if isinstance(kpi, RatioKpi):
        table = count_table(telemetry, name)
        for i, service in enumerate(table.services):
            yield _scored_counts(table, table.counts[i], baseline, policy, name, service)
        return
    samples = sample_table(telemetry, name)
    scores, known = _sample_scores(samples, baseline, policy.anomalies, name)
    blurred = _near_gaps(samples.values, n=policy.measurement.rate_window_s // policy.measurement.step_s)
    for i, service in enumerate(samples.services):
        row = Scores(scores.expected[i], np.where(blurred[i], np.nan, scores.p[i]))
        # the plain chart has marked its anomalies already: whatever is below 1
        threshold = _P if policy.anomalies.method == "two_view" else 1.0
        values = samples.values[i]
        yield known[i], list(_events(name, service, kpi, policy, baseline, samples.at_ms, values, row, threshold))


def _near_gaps(values: FloatArray, *, n: int) -> np.ndarray:
    """Mark the samples within ``n`` steps of a gap: their rate saw only a part of the scrapes."""
    gap = np.isnan(values)
    reach = np.cumsum(np.pad(gap, ((0, 0), (n + 1, n))), axis=1)
    return reach[:, 2 * n + 1 :] > reach[:, : -2 * n - 1]


def _step(at_ms: IntArray) -> int:
    return int(at_ms[1] - at_ms[0]) if len(at_ms) > 1 else 0


def _sample_scores(
    samples: SampleTable, baseline: GaBaseline, settings: Anomalies, name: str
) -> tuple[Scores, list[bool]]:
    calibrations = [baseline.calibration(name, service) for service in samples.services]
    known = [one is not None for one in calibrations]
    if settings.method == "two_view" or not samples.services:
        return score_tail(samples.values, calibrations, alpha=_ALPHA), known
    warmup = max(2, math.ceil(2 / settings.alpha))
    expected, z = np.array(
        [
            ewma_chart(row, alpha=settings.alpha, warmup=warmup, sigma_floor=one.sigma_floor)
            if one
            else (row * np.nan, row * np.nan)
            for row, one in zip(samples.values, calibrations, strict=True)
        ]
    ).swapaxes(0, 1)
    p = np.where(np.abs(z) > settings.z_threshold, two_sided_p(z), np.where(np.isnan(z), np.nan, 1.0))
    return Scores(expected, p), known


def _scored_counts(
    table: CountTable, counts: IntArray, baseline: GaBaseline, policy: Policy, name: str, service: str
) -> Scored:
    before = baseline.of(name, service)
    if before is None or before.burn is None or TOTAL not in table.les:
        return False, []
    n_bad, n_total = before.burn
    usual = (n_bad + 0.5) / (n_total + 1)
    total = counts[table.les.index(TOTAL)]
    bad = counts[table.les.index(BAD)] if BAD in table.les else np.zeros_like(total)
    values = np.where(total > 0, 1 - bad / np.maximum(total, 1), np.nan)
    scores = Scores(np.full(len(values), 1 - usual), score_counts(bad, total, p0=usual))
    kpi = policy.judged[name]
    threshold = _P  # exact probabilities, whatever the method for samples
    return True, list(_events(name, service, kpi, policy, baseline, table.slot_ms, values, scores, threshold))


def _events(
    name: str,
    service: str,
    kpi: JudgedKpi,
    policy: Policy,
    baseline: GaBaseline,
    at_ms: IntArray,
    values: FloatArray,
    scores: Scores,
    threshold: float,
) -> Iterator[AnomalyEvent]:
    step_ms = _step(at_ms)
    flagged = np.flatnonzero(scores.p < threshold)
    for run in _runs(at_ms, flagged, gap_ms=1000 * policy.anomalies.merge_s):
        peak = run[np.argmin(scores.p[run])]
        p = max(float(scores.p[peak]), MIN_P)
        value, expected = float(values[peak]), _known(float(scores.expected[peak]))
        before = baseline.of(name, service)
        if not _matters(kpi, value, expected):
            continue
        yield AnomalyEvent(
            kpi=name,
            service=service,
            anomaly_class=_class(at_ms[run], step_ms, rises=value > (expected if expected is not None else value)),
            severity=_severity(kpi, p, value, before.value if before else None),
            started_at=instant(int(at_ms[run[0]])),
            ended_at=instant(int(at_ms[run[-1]]) + step_ms),
            peak_at=instant(int(at_ms[peak])),
            peak=value,
            expected=expected,
            p=p,
            score=-math.log10(p),
        )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _runs(at_ms: IntArray, flagged: IntArray, *, gap_ms: int) -> list[IntArray]:
    """Split flagged steps wherever they lie further apart than ``gap_ms``."""
    if not len(flagged):
        return []
    return np.split(flagged, np.flatnonzero(np.diff(at_ms[flagged]) > gap_ms) + 1)


def _matters(kpi: JudgedKpi, value: float, expected: float | None) -> bool:
    """Tell whether a surprise is large enough for anyone to care: more than the KPI's tolerance."""
    if expected is None or isinstance(kpi, RatioKpi):
        return True
    return abs(value - expected) > kpi.tolerance * abs(expected)


def _class(at_ms: IntArray, step_ms: int, *, rises: bool) -> AnomalyClass:
    if int(at_ms[-1] - at_ms[0]) + step_ms > 1000 * SHORT_S:
        return AnomalyClass.LEVEL_SHIFT
    return AnomalyClass.SPIKE if rises else AnomalyClass.DROP


def _severity(kpi: JudgedKpi, p: float, value: float, before: float | None) -> Severity:
    severity = next((severity for limit, severity in _SEVERITIES if p < limit), Severity.LOW)
    if severity is Severity.CRITICAL and not (_beyond_slo(kpi, value) or _far_from(kpi, value, before)):
        return Severity.HIGH
    return severity


def _beyond_slo(kpi: JudgedKpi, value: float) -> bool:
    if isinstance(kpi, RatioKpi) and kpi.slo:
        return value < kpi.slo.objective
    if isinstance(kpi, LatencyKpi) and kpi.slo:
        return value > kpi.slo.threshold_s
    return isinstance(kpi, GaugeKpi) and kpi.maximum is not None and value > kpi.maximum


def _far_from(kpi: JudgedKpi, value: float, before: float | None) -> bool:
    if before is None or isinstance(kpi, RatioKpi):
        return False
    return abs(value - before) > kpi.drift_fail * abs(before)


def _silences(telemetry: Telemetry, baseline: GaBaseline, policy: Policy) -> Iterator[AnomalyEvent]:
    """Find services that left no sample at all, of the KPIs that are always there while a service is scraped."""
    tables = [
        sample_table(telemetry, name)
        for name, kpi in policy.judged.items()
        if not isinstance(kpi, RatioKpi | LatencyKpi) and (asked := telemetry.quality.of(name)) and not asked.refused
    ]
    if not tables:
        return  # nobody listened: that is no silence
    window = telemetry.quality.window
    seen = {service for table in tables for service in table.services}
    for service in sorted({*baseline.services} - seen):
        yield _silence(service, window.start_ms, window.end_ms - window.start_ms)
    for service in sorted(seen):
        rows = [(t.at_ms, t.values[t.services.index(service)]) for t in tables if service in t.services]
        at_ms = rows[0][0]
        silent = np.all([np.isnan(values) for _, values in rows], axis=0)
        step_ms = _step(at_ms)
        for run in _runs(at_ms, np.flatnonzero(silent), gap_ms=step_ms):
            length_ms = int(at_ms[run[-1]] - at_ms[run[0]]) + step_ms
            if length_ms >= 1000 * min(SILENCE_S, window.length_s // 4):
                yield _silence(service, int(at_ms[run[0]]), length_ms)


def _silence(service: str, start_ms: int, length_ms: int) -> AnomalyEvent:
    return AnomalyEvent(
        kpi=ALL_SERVICES,
        service=service,
        anomaly_class=AnomalyClass.SILENCE,
        severity=Severity.HIGH,
        started_at=instant(start_ms),
        ended_at=instant(start_ms + length_ms),
        peak_at=instant(start_ms),
        peak=None,
        expected=None,
        p=MIN_P,
        score=-math.log10(MIN_P),
    )
