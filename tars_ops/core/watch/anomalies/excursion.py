"""From which step to which was a series away, what did that look like, and when did it begin?

A detector that learns on calls a new level usual after a while. So an excursion is measured by what was expected when
it began: it lasts until the samples are back there, and the step back is its end, not another event.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.anomalies.change_point import Place, jump, kink, onset_of_gains, widening
from tars_ops.core.watch.anomalies.event import AnomalyClass
from tars_ops.core.watch.anomalies.scored import Scored, alarms
from tars_ops.core.watch.anomalies.slot_scores import burn_gains

SHORT_S = 1800
"""An excursion that is back by then was a spike or a drop, not a shift."""
AROUND_S = 3600
"""A change is dated by so much before and after the first alarm."""
MIN_AROUND = 12
"""And by at least so many samples."""
MINOR_SIDE = 0.25
"""Share of the samples on the other side that makes a spread."""
SETTLED = 5
"""A series is back when most of so many samples are."""


class Excursion(NamedTuple):
    """A stretch of one series, as positions in its arrays."""

    start: int
    end: int
    """One behind the last step that was away."""
    peak: int
    kind: AnomalyClass
    value: float
    """At the peak, in the KPI's unit."""
    expected: float
    """What was expected at the start: later expectations follow the excursion."""
    lower: float
    upper: float
    """Range at the start that would have raised no alarm; NaN for an end that is not there."""
    score: float
    place: Place | None = None
    """Where the change lies."""


def excursions(one: Scored, *, tolerance: float, merge_ms: int, zeros: np.ndarray) -> list[Excursion]:
    """Return the excursions of a series, oldest first.

    Parameters
    ----------
    tolerance : float >= 0
        Relative distance from the expectation that is nobody's business.
    merge_ms : int
        Excursions closer than this are one.
    zeros : (n_steps,) bool
        Steps at 0 that are news by themselves.
    """
    flagged = alarms(one, one.threshold, tolerance) | zeros
    spans: list[tuple[int, int]] = []
    for found in runs(one.at_ms, np.flatnonzero(flagged), gap_ms=merge_ms):
        run = _without_echoes(one, found, spans[-1], tolerance, merge_ms) if spans else found
        if not len(run):
            continue
        if spans and run[0] < spans[-1][1]:  # alarms within an excursion are measured by its own onset
            run = np.concatenate([[spans[-1][0]], run])
        start, end = int(run[0]), _end(one, run, tolerance)
        if spans and one.at_ms[start] - one.at_ms[spans[-1][1] - 1] <= merge_ms:
            start, end = spans[-1][0], max(end, spans.pop()[1])
        spans.append((start, end))
    return [_excursion(one, start, end, flagged, zeros, tolerance) for start, end in spans]


def runs(at_ms: IntArray, flagged: IntArray, *, gap_ms: int) -> Sequence[IntArray]:
    """Split flagged steps wherever they lie further apart than ``gap_ms``."""
    if not len(flagged):
        return []
    return np.split(flagged, np.flatnonzero(np.diff(at_ms[flagged]) > gap_ms) + 1)


def _away(one: Scored, start: int, tolerance: float) -> np.ndarray:
    """Mark the steps that are nearer to an onset than to what was expected there."""
    distance = np.abs(one.values - one.expected[start])
    with np.errstate(invalid="ignore"):
        return distance > max(distance[start] / 2, tolerance * abs(one.expected[start]))


def _without_echoes(one: Scored, run: IntArray, before: tuple[int, int], tolerance: float, merge_ms: int) -> IntArray:
    """Leave out alarms at the level that was left before: the running mean had followed the excursion.

    What was learnt during an excursion is unlearnt in as long a time behind it.
    """
    if np.isnan(one.expected[before[0]]):
        return run
    start_ms, end_ms = int(one.at_ms[before[0]]), int(one.at_ms[before[1] - 1])
    late = one.at_ms[run] - end_ms > max(merge_ms, end_ms - start_ms)
    return run[late | _away(one, before[0], tolerance)[run]]


def _end(one: Scored, run: IntArray, tolerance: float) -> int:
    """Return where a run of alarms ends: nearer to what was expected at its onset than to the onset, and staying so."""
    start = int(run[0])
    if np.isnan(one.values[start] - one.expected[start]):
        return int(run[-1]) + 1
    away = _away(one, start, tolerance)
    known = start + 1 + np.flatnonzero(~np.isnan(one.values[start + 1 :]))
    n_away = np.convolve(away[known], np.ones(SETTLED, dtype=int))[SETTLED - 1 :] if len(known) else known
    back = known[~away[known] & (n_away <= SETTLED // 2)]
    settled = int(back[0]) if len(back) else len(away)
    real = run[away[run]]  # alarms at the old level are echoes here too
    return max(settled, int(real[-1]) + 1 if len(real) else start + 1)


def _excursion(
    one: Scored, start: int, end: int, flagged: np.ndarray, zeros: np.ndarray, tolerance: float
) -> Excursion:
    falls = one.values[start] < one.expected[start]
    # a sample on the way back is still away, but surprises by coming back
    same_side = ((one.values < one.expected[start]) == falls) & ((one.values < one.expected) == falls)
    steps = start + np.flatnonzero((flagged & same_side & _away(one, start, tolerance))[start:end])
    steps = steps if len(steps) else np.array([start])
    zero = steps[zeros[steps]]
    peak = int(zero[0]) if len(zero) else int(steps[np.argmax(np.nan_to_num(one.score[steps]))])
    found = Excursion(
        start=start,
        end=end,
        peak=peak,
        kind=AnomalyClass.DROP if falls else AnomalyClass.SPIKE,
        value=float(one.values[peak]),
        expected=float(one.expected[start]),
        lower=float(one.lower[start]),
        upper=float(one.upper[start]),
        score=max(float(np.nan_to_num(one.score[steps]).max()), one.threshold),
    )
    if len(zero):
        return found._replace(kind=AnomalyClass.DROP)
    lasts = (end - start) * one.step_ms > 1000 * SHORT_S
    if one.is_spread[peak] or (lasts and _has_both_sides(one, start, end, tolerance)):
        return found._replace(kind=AnomalyClass.SPREAD, place=_dated(one, start, end, widening))
    return _lasting(one, found) if lasts else found


def _has_both_sides(one: Scored, start: int, end: int, tolerance: float) -> bool:
    """Tell whether the samples that are away lie above as well as below: then the scatter changed, not the level."""
    away = _away(one, start, tolerance)[start:end]
    below = np.mean(one.values[start:end][away] < one.expected[start]) if away.any() else 0.0
    return bool(MINOR_SIDE <= below <= 1 - MINOR_SIDE)


def _lasting(one: Scored, found: Excursion) -> Excursion:
    """Tell a step from a slope, and date it."""
    if one.counts is not None:
        return found._replace(kind=AnomalyClass.LEVEL_SHIFT, place=_dated_counts(*one.counts, found))
    step, slope = (_dated(one, found.start, found.end, change) for change in (jump, kink))
    if step and slope and slope.cost < step.cost:
        return found._replace(kind=AnomalyClass.DRIFT, place=slope)
    return found._replace(kind=AnomalyClass.LEVEL_SHIFT, place=step)


def _dated_counts(bad: IntArray, total: IntArray, found: Excursion) -> Place:
    """Date a burn by the share of bad events that it really had."""
    during = slice(found.start, found.end)
    share = (bad[during].sum() + 0.5) / (total[during].sum() + 1)
    return onset_of_gains(burn_gains(bad, total, usual=1 - found.expected, unusual=share)[: found.end])


def _dated(one: Scored, start: int, end: int, change: Callable[[FloatArray], Place | None]) -> Place | None:
    """Date a change by the samples around an onset, those of the excursion alone behind it."""
    n = max(MIN_AROUND, 1000 * AROUND_S // max(one.step_ms, 1))
    left, right = max(0, start - n), min(max(end, start + MIN_AROUND), start + n)
    place = change(one.values[left:right])
    return place and place._replace(at=left + place.at, first=left + place.first, last=left + place.last)
