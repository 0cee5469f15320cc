"""Quiet days differ a little: the difference is learnt from their steps, within bounds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tars_ops.core.watch.comparisons.compare import MeanShift, Method
from tars_ops.core.watch.comparisons.day_effect import LARGEST, NOT_LEARNT, DayEffects
from tars_ops.core.watch.comparisons.slots import Key

KPIS = ("cpu", "memory", "p50_latency", "p95_latency")


def shift(centre: float, error: float = 0.001) -> MeanShift:
    return MeanShift(centre, error, 50.0, in_logs=True, n=288, n_effective=100.0, effect=0.5, test=Method.PAIRED_T)


def days(effect: float, *, n_days: int = 3, seed: int = 1, faults: dict[Key, float] | None = None) -> list:
    """Return the shifts of some days whose level scatters around that of the GA day, which scatters too."""
    rng = np.random.default_rng(seed)
    keys = [(kpi, f"s{i}") for kpi in KPIS for i in range(5)]
    ga = {key: effect * rng.standard_normal() for key in keys}
    return [
        {key: shift(effect * rng.standard_normal() - ga[key] + (faults or {}).get(key, 0.0)) for key in keys}
        for _ in range(n_days)
    ]


@pytest.mark.parametrize("truth", [0.01, 0.02])
def test_the_day_effect_is_learnt_from_the_steps_between_days(truth: float) -> None:
    learnt = [DayEffects(days(truth, seed=seed)).of("cpu").deviation for seed in range(20)]

    assert np.median(learnt) == pytest.approx(truth, rel=0.35)


def test_a_fault_of_one_service_does_not_hide_behind_it() -> None:
    fault = {(kpi, "s0"): 0.5 for kpi in KPIS}

    assert DayEffects(days(0.0, faults=fault)).of("cpu") == NOT_LEARNT


def test_where_everything_moved_at_once_something_happened() -> None:
    everywhere = {(kpi, f"s{i}"): 0.5 for kpi in KPIS for i in range(5)}

    assert DayEffects(days(0.0, n_days=1, faults=everywhere)).of("cpu").deviation == LARGEST


def test_noise_within_a_day_is_not_counted_twice() -> None:
    quiet = [{(kpi, f"s{i}"): shift(0.01 * (-1) ** i, error=0.02) for kpi in KPIS for i in range(5)}]

    assert DayEffects(quiet).of("cpu") == NOT_LEARNT


def test_a_kpi_that_never_moved_has_no_day_effect() -> None:
    found = [{**day, **{("uptime", f"s{i}"): shift(0.0) for i in range(5)}} for day in days(0.02)]

    assert DayEffects(found).of("uptime") == NOT_LEARNT
    assert DayEffects(found).of("cpu").deviation > 0.01


def test_few_steps_teach_nothing() -> None:
    assert DayEffects([{("cpu", "s0"): shift(0.2)}]).of("cpu") == NOT_LEARNT
    assert DayEffects([]).of("cpu") == NOT_LEARNT


def test_a_shift_is_widened_by_it() -> None:
    found = shift(0.1, error=0.03).widened(0.04, freedom=10)

    assert found.error == pytest.approx(0.05)
    assert 10 < found.freedom < 50
    assert found.p_above(0.05) > shift(0.1, error=0.03).p_above(0.05)
    assert shift(0.1).widened(0.0) == shift(0.1)
    assert math.isfinite(shift(0.1, error=0.0).widened(0.01).freedom)
