"""How surprising is each step of each series of a day?

Shares of events are scored on their counts, everything else on its samples; either way a score is ``-log10`` of a
probability, so that one threshold and one notion of severity serve all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy import special

from tars_ops.core.policy import Anomalies, CostKpi, GaugeKpi, JudgedKpi, LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Window
from tars_ops.core.telemetry import (
    BAD,
    INF,
    TOTAL,
    CountTable,
    FloatArray,
    IntArray,
    SampleTable,
    Telemetry,
    count_table,
    sample_table,
)
from tars_ops.core.watch.anomalies.expectation import Expectations, expectations, expecting
from tars_ops.core.watch.anomalies.explained import Explained, by_calendar, by_load, by_nothing
from tars_ops.core.watch.anomalies.slot_scores import MAX_SCORE, TWO_LOOKS, count_scores, most_bad
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.detector.detection import Detection, View, score_threshold
from tars_ops.core.watch.detector.detector import detect
from tars_ops.core.watch.detector.ewma import ewma_chart

DAY_S = 86_400
MIN_BEYOND = 5
"""Events of a slot beyond a quantile, below which it is not judged: one or two slow events would set it."""


class Scored(NamedTuple):
    """One KPI of one service over a day; arrays are (n_steps,)."""

    kpi: str
    service: str
    at_ms: IntArray
    step_ms: int
    values: FloatArray
    """In the KPI's unit; NaN where nothing arrived, or nothing happened that could be good or bad."""
    score: FloatArray
    """``-log10`` of the tail probability; NaN where nothing can be said."""
    expected: FloatArray
    lower: FloatArray
    upper: FloatArray
    """Range that would have raised no alarm; NaN for an end that is not there."""
    is_spread: np.ndarray
    """The score speaks of the scatter of the samples and not of their level."""
    threshold: float
    counts: tuple[IntArray, IntArray] | None = None
    """Bad and valid events behind each value, of counts; None of samples."""
    reach_ms: int = 0
    """How far back a sample looks: a rate sees a change before the change has filled its window."""
    explained: Explained | None = None
    """What load and calendar explain; None where they do not concern the series."""


def scored(telemetry: Telemetry, baseline: GaBaseline, policy: Policy) -> Iterator[Scored | None]:
    """Yield every series with its scores; None for one that the GA day says too little about."""
    detected = {
        name: one
        for name, kpi in policy.judged.items()
        if not isinstance(kpi, RatioKpi) and (one := _detected(sample_table(telemetry, name), baseline, policy, name))
    }
    for name, kpi in policy.judged.items():
        if isinstance(kpi, RatioKpi):
            table = count_table(telemetry, name)
            yield from (_counted(table, i, baseline, policy, name) for i in range(len(table.services)))
        elif name in detected:
            samples = detected[name].samples
            thin = _is_thin(telemetry, kpi, samples) if isinstance(kpi, LatencyKpi) else np.isnan(samples.values)
            yield from _sampled(name, detected, thin, baseline, policy)


class _Detected(NamedTuple):
    samples: SampleTable
    known: np.ndarray
    """(n_services,) whether the GA day says enough about a series."""
    found: Detection
    usual: Expectations
    threshold: float


def _detected(samples: SampleTable, baseline: GaBaseline, policy: Policy, name: str) -> _Detected | None:
    if not samples.services:
        return None
    settings = policy.anomalies
    memories = [baseline.memory(name, service) for service in samples.services]
    step_s = step_of(samples.at_ms) / 1000
    if settings.method == "ewma":
        threshold = float(_two_sided(settings.z_threshold))
        found = _charted(samples.values, [m.sigma_floor if m else None for m in memories], settings)
    else:
        threshold = score_threshold(settings.false_alarms_per_day, step_s)
        start_s = samples.at_ms[0] / 1000 % DAY_S
        found = detect(samples.values, memories, step_s=step_s, start_s=start_s, threshold=threshold)
    usual = expectations(found, samples, memories)
    known = np.array([one is not None for one in memories])
    return _Detected(samples, known, expecting(found, usual), usual, threshold)


def _sampled(
    name: str, detected: dict[str, _Detected], unjudged: np.ndarray, baseline: GaBaseline, policy: Policy
) -> Iterator[Scored | None]:
    measurement = policy.measurement
    samples, known, found, _, threshold = detected[name]
    step_ms = step_of(samples.at_ms)
    blurred = unjudged | near_gaps(samples.values, n=measurement.rate_window_s // measurement.step_s)
    for i, service in enumerate(samples.services):
        if not known[i]:
            yield None
            continue
        yield Scored(
            kpi=name,
            service=service,
            at_ms=samples.at_ms,
            step_ms=step_ms,
            values=samples.values[i],
            score=np.minimum(np.where(blurred[i], np.nan, found.score[i]), MAX_SCORE),
            expected=found.expected[i],
            lower=np.maximum(found.lower[i], 0.0) if is_never_negative(baseline, name, service) else found.lower[i],
            upper=found.upper[i],
            is_spread=found.view[i] == View.SPREAD,
            threshold=threshold,
            reach_ms=1000 * (measurement.rate_window_s - measurement.step_s),
            explained=_explained(name, service, detected, baseline, policy),
        )


def _explained(
    name: str, service: str, detected: dict[str, _Detected], baseline: GaBaseline, policy: Policy
) -> Explained | None:
    """Return what the load of a KPI explains, or of a load the calendar."""
    mine, load = detected[name], _load_of(policy.judged[name])
    if load in detected and service in detected[load].samples.services:
        it = detected[load]
        place = it.samples.services.index(service)
        usual = it.usual.of(mine.found.view[mine.samples.services.index(service)], place)
        reach = policy.measurement.rate_window_s // policy.measurement.step_s
        return by_load(it.samples.values[place], usual, reach=reach)
    if name in {_load_of(one) for one in policy.judged.values()}:
        ga_day = Window(start_at=baseline.start_at, end_at=baseline.end_at)
        return by_calendar(mine.samples.at_ms, ga_day, policy.baselines.traffic_ratio)
    return None


def _load_of(kpi: JudgedKpi) -> str | None:
    return kpi.load if isinstance(kpi, GaugeKpi | CostKpi) else None


def step_of(at_ms: IntArray) -> int:
    """Return the distance of two steps, milliseconds; 0 of a single one."""
    return int(at_ms[1] - at_ms[0]) if len(at_ms) > 1 else 0


def near_gaps(values: FloatArray, *, n: int) -> np.ndarray:
    """Mark the samples within ``n`` steps of a gap: their rate saw only a part of the scrapes."""
    gap = np.isnan(values)
    reach = np.cumsum(np.pad(gap, ((0, 0), (n + 1, n))), axis=1)
    return reach[:, 2 * n + 1 :] > reach[:, : -2 * n - 1]


def _two_sided(z: FloatArray | float) -> FloatArray:
    """Return ``-log10`` of the chance of a standard normal value at least as far from 0."""
    return -(special.log_ndtr(-np.abs(z)) + math.log(2)) / math.log(10)


def _is_thin(telemetry: Telemetry, kpi: LatencyKpi, samples: SampleTable) -> np.ndarray:
    """Mark the samples of slots with few events beyond the quantile: one or two slow ones set it."""
    counts = count_table(telemetry, kpi.histogram)
    thin = np.isnan(samples.values)
    if INF not in counts.les:
        return thin
    slot = np.searchsorted(counts.slot_ms, samples.at_ms, side="right") - 1
    for i, service in enumerate(samples.services):
        if service in counts.services:
            thin[i] |= counts.of(service)[counts.les.index(INF)][slot] * (1 - kpi.quantile) < MIN_BEYOND - 1e-9
    return thin


def _charted(values: FloatArray, floors: list[float | None], settings: Anomalies) -> Detection:
    """Score samples by the plain chart of the predecessor; a series without an alarm is not gone through in detail."""
    from tars_ops.core.kernels.ewma import ewma_alarms

    warmup = max(2, math.ceil(2 / settings.alpha))
    sigma_floor = np.array([floor or math.inf for floor in floors])  # of unknown size: nothing is beyond it
    chart = ewma_alarms(
        values, alpha=settings.alpha, warmup=warmup, sigma_floor=sigma_floor, z_threshold=settings.z_threshold
    )
    quiet = np.full(values.shape[1], np.nan)
    rows = [
        ewma_chart(row, alpha=settings.alpha, warmup=warmup, sigma_floor=floor)
        if is_alarm.any() and floor
        else (quiet, quiet)
        for row, is_alarm, floor in zip(values, chart.is_alarm, floors, strict=True)
    ]
    expected, z = np.array(rows).swapaxes(0, 1)
    with np.errstate(invalid="ignore"):  # a sample on the mean tells nothing about the deviation
        reach = settings.z_threshold * np.abs(values - expected) / np.where(z == 0, np.nan, np.abs(z))
    score = np.where(np.isnan(z), np.nan, _two_sided(z))
    return Detection(score, expected, expected - reach, expected + reach, np.zeros(values.shape, dtype=np.int8))


def _counted(table: CountTable, i: int, baseline: GaBaseline, policy: Policy, name: str) -> Scored | None:
    service = table.services[i]
    before = baseline.of(name, service)
    if before is None or before.burn is None or TOTAL not in table.les:
        return None
    n_bad, n_total = before.burn
    usual = (n_bad + 0.5) / (n_total + 1)
    total = table.counts[i, table.les.index(TOTAL)]
    bad = np.minimum(table.counts[i, table.les.index(BAD)], total) if BAD in table.les else np.zeros_like(total)
    threshold = score_threshold(policy.anomalies.false_alarms_per_day, step_of(table.slot_ms) / 1000)
    unusual = _unusual(policy.judged[name], usual)
    variation = baseline.variation(name, service)
    share = np.where(total > 0, 1 - bad / np.maximum(total, 1), np.nan)
    return Scored(
        kpi=name,
        service=service,
        at_ms=table.slot_ms,
        step_ms=step_of(table.slot_ms),
        values=share,
        score=count_scores(bad, total, usual=usual, unusual=unusual, threshold=threshold, variation=variation),
        expected=np.full(len(share), 1 - usual),
        lower=1 - most_bad(total, usual, threshold + TWO_LOOKS, variation=variation) / np.maximum(total, 1),
        upper=np.full(len(share), np.nan),
        is_spread=np.zeros(len(share), dtype=bool),
        threshold=threshold,
        counts=(bad, total),
    )


def _unusual(kpi: JudgedKpi, usual: float) -> float:
    """Return the smallest share of bad events that is worth knowing: twice the usual, or a budget burning steadily."""
    promised = 1 - kpi.slo.objective if isinstance(kpi, RatioKpi) and kpi.slo else 0.0
    return min(max(2 * usual, promised), 0.5 + usual / 2)


def is_never_negative(baseline: GaBaseline, kpi: str, service: str) -> bool:
    """Tell whether a series has no values below 0, so that no range need reach there."""
    spread = baseline.spread(kpi, service)
    return spread is not None and spread.least >= 0


def tolerance(kpi: JudgedKpi) -> float:
    """Return the relative distance from the expectation that is nobody's business; 0 where it counts in budgets."""
    return 0.0 if isinstance(kpi, RatioKpi) and kpi.slo else kpi.tolerance


def alarms(one: Scored, threshold: float, tolerated: float, *, steps: slice = slice(None)) -> np.ndarray:
    """Mark the steps whose score reaches a threshold, with a value further from what is explained than tolerated."""
    score, value, expected = one.score[steps], one.values[steps], one.expected[steps]
    least, most = (part[steps] for part in one.explained or by_nothing(len(one.values)))
    low, high = np.minimum(least * expected, most * expected), np.maximum(least * expected, most * expected)
    with np.errstate(invalid="ignore"):
        is_near = (value >= low - tolerated * np.abs(low)) & (value <= high + tolerated * np.abs(high))
        return (score >= threshold) & ~is_near
