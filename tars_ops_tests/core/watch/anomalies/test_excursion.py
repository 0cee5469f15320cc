"""A stretch of alarms has a shape: how far it reaches, what it looks like, and when it began."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.anomalies.drift import day_drift
from tars_ops.core.watch.anomalies.event import AnomalyClass
from tars_ops.core.watch.anomalies.excursion import Excursion, excursions
from tars_ops.core.watch.anomalies.scored import Scored, alarms

N, THRESHOLD, HOUR_MS = 1440, 5.0, 3_600_000
NONE = np.zeros(N, dtype=bool)


def series(values: FloatArray, alarm: FloatArray | list[int], **changes: Any) -> Scored:
    """A series whose usual level is 100, with alarms at some steps."""
    score = np.zeros(len(values))
    score[np.array(alarm, dtype=int)] = 8.0
    score[np.isnan(values)] = np.nan
    made = Scored(
        kpi="memory",
        service="api",
        at_ms=60_000 * np.arange(len(values)),
        step_ms=60_000,
        values=values,
        score=score,
        expected=np.full(len(values), 100.0),
        lower=np.full(len(values), 90.0),
        upper=np.full(len(values), 110.0),
        is_spread=np.zeros(len(values), dtype=bool),
        threshold=THRESHOLD,
    )
    return made._replace(**changes)


def noise(seed: int = 0) -> FloatArray:
    return 100 + np.random.default_rng(seed).standard_normal(N)


def shape(one: Scored, *, tolerance: float = 0.05, zeros: np.ndarray = NONE) -> list[Excursion]:
    return excursions(one, tolerance=tolerance, merge_ms=HOUR_MS, zeros=zeros)


def raised(start: int, end: int, by: float) -> FloatArray:
    values = noise()
    values[start:end] += by
    return values


@pytest.mark.parametrize(
    ("end", "by", "kind"),
    [
        (601, 50, AnomalyClass.SPIKE),
        (630, 50, AnomalyClass.SPIKE),
        (631, 50, AnomalyClass.LEVEL_SHIFT),
        (601, -50, AnomalyClass.DROP),
        (630, -50, AnomalyClass.DROP),
        (900, -50, AnomalyClass.LEVEL_SHIFT),
    ],
)
def test_half_an_hour_parts_a_spike_from_a_shift(end: int, by: float, kind: AnomalyClass) -> None:
    (found,) = shape(series(raised(600, end, by), [600]))

    assert (found.kind, found.start, found.end) == (kind, 600, end)


def test_a_slope_is_a_drift_that_begins_before_the_first_alarm() -> None:
    ramp = noise() + 0.5 * np.clip(np.arange(N) - 600, 0, 180)

    (found,) = shape(series(ramp, [640]))

    assert found.kind is AnomalyClass.DRIFT
    assert found.place is not None
    assert found.place.first <= 600 <= found.place.last


def test_scatter_around_a_level_that_stays_is_a_spread() -> None:
    values = noise()
    values[600:] = 100 + 12 * (values[600:] - 100)
    alarm = [int(t) for t in np.flatnonzero(np.abs(values - 100) > 25)[:3]]

    (found,) = shape(series(values, alarm, is_spread=np.ones(N, dtype=bool)))

    assert found.kind is AnomalyClass.SPREAD
    assert found.place is not None
    assert found.place.first <= 600 <= found.place.last


def test_samples_away_on_both_sides_are_a_spread_whatever_scored_them() -> None:
    values = noise()
    values[600:] = 100 + 12 * (values[600:] - 100)
    alarm = [int(t) for t in np.flatnonzero(np.abs(values - 100) > 25)]

    found = shape(series(values, alarm))[0]

    assert found.kind is AnomalyClass.SPREAD


def test_the_echo_of_an_excursion_is_part_of_it_and_not_longer() -> None:
    """The running mean followed the shift, so that the return looks strange too."""
    followed = np.where((np.arange(N) > 610) & (np.arange(N) < 760), 150.0, 100.0)

    (found,) = shape(series(raised(600, 700, 50), [600, 601, 700, 701, 730], expected=followed))

    assert (found.start, found.end, found.kind) == (600, 700, AnomalyClass.LEVEL_SHIFT)


@pytest.mark.parametrize(("second", "n"), [(650, 1), (660, 1), (661, 2)])
def test_excursions_within_an_hour_are_one(second: int, n: int) -> None:
    values = raised(600, 601, 50)
    values[second] += 50

    assert len(shape(series(values, [600, second]))) == n


def test_an_alarm_within_the_tolerance_is_none() -> None:
    values = raised(600, 610, 8)

    assert shape(series(values, [600]), tolerance=0.2) == []
    assert len(shape(series(values, [600]), tolerance=0.01)) == 1


def test_an_alarm_without_an_expectation_is_one_step_long() -> None:
    (found,) = shape(series(raised(600, 900, 50), [600], expected=np.full(N, np.nan)))

    assert (found.start, found.end) == (600, 601)


def test_a_gap_neither_ends_an_excursion_nor_is_one() -> None:
    values = raised(600, 900, 50)
    values[650:700] = np.nan

    (found,) = shape(series(values, [600]))

    assert found.end == 900
    assert not alarms(series(np.full(N, np.nan), [600]), THRESHOLD, 0.0).any()


def test_a_stretch_at_0_is_a_drop_however_long_and_unlikely() -> None:
    values = noise()
    values[600:900] = 0
    zeros = values == 0

    (found,) = shape(series(values, []), zeros=zeros)

    assert (found.kind, found.start, found.end, found.value) == (AnomalyClass.DROP, 600, 900, 0)
    assert found.score == THRESHOLD


@pytest.mark.parametrize(("of_a_day", "n"), [(True, 1), (False, 0)])
def test_only_a_whole_day_can_drift(of_a_day: bool, n: int) -> None:
    one = series(np.linspace(100, 120, N) + noise() - 100, [])

    found = day_drift(one, tolerance=0.05, of_a_day=of_a_day)

    assert (found is not None) is bool(n)


def test_a_drift_within_the_tolerance_is_nobodys_business() -> None:
    one = series(np.linspace(100, 104, N) + noise() - 100, [])

    assert day_drift(one, tolerance=0.05, of_a_day=True) is None
    assert day_drift(one, tolerance=0.03, of_a_day=True) is not None


def test_counts_do_not_drift_by_their_samples() -> None:
    counts = (np.zeros(N, dtype=np.int64), np.ones(N, dtype=np.int64))

    assert day_drift(series(np.linspace(1.0, 0.5, N), [], counts=counts), tolerance=0.0, of_a_day=True) is None
