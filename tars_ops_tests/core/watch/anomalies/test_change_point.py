"""A change is dated where it was, and the interval says honestly how sure that is."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.anomalies.change_point import Place, jump, kink, onset_of_gains, widening

N, N_WEEKS = 120, 200
Dating = Callable[[FloatArray], Place | None]


def noise(rho: float, rng: np.random.Generator) -> FloatArray:
    """AR(1) of variance 1."""
    found = rng.standard_normal(N)
    for t in range(1, N):
        found[t] = rho * found[t - 1] + np.sqrt(1 - rho**2) * found[t]
    return found


def shifted(quiet: FloatArray, at: int, size: float) -> FloatArray:
    return quiet + size * (np.arange(N) >= at)


def sloped(quiet: FloatArray, at: int, size: float) -> FloatArray:
    return quiet + size * np.maximum(0, np.arange(N) - at + 1) / 60


def scattered(quiet: FloatArray, at: int, size: float) -> FloatArray:
    return quiet * np.where(np.arange(N) >= at, 1 + size, 1)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize(
    ("date", "change", "size"),
    [(jump, shifted, 1), (jump, shifted, 3), (kink, sloped, 4), (widening, scattered, 2)],
)
def test_the_interval_holds_the_true_place_nine_times_in_ten(
    date: Dating, change: Callable[..., FloatArray], size: float, rho: float
) -> None:
    rng = np.random.default_rng(7)
    held = []
    for _ in range(N_WEEKS):
        at = int(rng.integers(30, 90))
        place = date(change(noise(rho, rng), at, size))
        held.append(place is not None and place.first <= at <= place.last)

    assert np.mean(held) >= 0.9 - 2 * np.sqrt(0.09 / N_WEEKS)


def test_a_clear_jump_is_dated_to_the_sample() -> None:
    rng = np.random.default_rng(1)
    found = [jump(shifted(noise(0.5, rng), 60, 5)) for _ in range(50)]

    assert np.mean([place is not None and place.first == place.at == place.last == 60 for place in found]) > 0.9


@given(st.integers(0, 40), st.floats(-1e3, 1e3), st.floats(0.01, 1e3))
@settings(max_examples=30, deadline=None)
def test_units_and_time_shift_nothing_but_the_place(late: int, offset: float, scale: float) -> None:
    quiet = np.random.default_rng(3).standard_normal(160)
    values = quiet + 6 * (np.arange(160) >= 80)

    whole, part = jump(offset + scale * values), jump(values[late:])

    assert whole is not None
    assert part is not None
    assert whole.at == part.at + late == 80


def test_a_gap_moves_no_place() -> None:
    values = shifted(noise(0.0, np.random.default_rng(2)), 60, 6)
    values[20:35] = np.nan

    place = jump(values)

    assert place is not None
    assert place.at == 60


@pytest.mark.parametrize("date", [jump, kink, widening])
@pytest.mark.parametrize("values", [[], [1.0] * 5, [np.nan] * 50, [np.nan] * 50 + [1.0, 2.0]])
def test_too_few_samples_date_nothing(date: Dating, values: list[float]) -> None:
    assert date(np.array(values)) is None


def test_weak_evidence_leaves_the_onset_open() -> None:
    sharp, weak = np.array([-9.0] * 5 + [9.0] * 5), np.array([-0.5] * 5 + [0.5] * 5)

    assert onset_of_gains(sharp)[:3] == (5, 5, 5)
    assert onset_of_gains(weak)[:3] == (5, 0, 9)
