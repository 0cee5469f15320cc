"""The plain chart knows only the past, and a gap or its warm-up is never normal."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.errors import ContractError
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector.ewma import ewma_z

EWMA: dict[str, Any] = {"alpha": 0.3, "warmup": 3, "sigma_floor": 0.5}
numbers = st.one_of(st.just(np.nan), st.floats(-1e3, 1e3))
series = st.lists(numbers, min_size=1, max_size=40).map(np.array)


@given(series, numbers)
def test_a_new_sample_never_changes_an_old_score(values: FloatArray, newcomer: float) -> None:
    before = ewma_z(values, **EWMA)
    after = ewma_z(np.append(values, newcomer), **EWMA)

    np.testing.assert_array_equal(after[:-1], before)


@given(series)
def test_a_gap_is_never_normal(values: FloatArray) -> None:
    assert np.isnan(ewma_z(values, **EWMA))[np.isnan(values)].all()


@given(st.floats(-1e6, 1e6), st.integers(1, 100))
def test_a_constant_never_alarms(level: float, n: int) -> None:
    assert not (np.abs(ewma_z(np.full(n, level), **EWMA)) > 0).any()


@pytest.mark.parametrize(
    ("values", "last"), [([0.0] * 10 + [8.0], 16.0), ([4.0] * 6 + [np.nan] * 50 + [4.0, 9.0], 10.0)]
)
def test_a_sample_is_scored_before_it_moves_the_mean_which_a_gap_holds(values: list[float], last: float) -> None:
    assert ewma_z(np.array(values), **EWMA)[-1] == last


def test_a_gap_is_not_counted_as_warm_up() -> None:
    values = np.array([1.0, np.nan, np.nan, np.nan, 1.0, 1.0, 1.0])

    assert np.isnan(ewma_z(values, **EWMA)).tolist() == [True] * 6 + [False]


def test_the_running_variance_is_that_of_west_and_finch() -> None:
    z = ewma_z(np.array([2.0, 1.0, 3.0, 3.0]), alpha=0.5, warmup=3, sigma_floor=1e-9)

    assert z[3] == pytest.approx((3.0 - 2.25) / np.sqrt(0.6875))


@pytest.mark.parametrize(
    "wrong", [{"alpha": 0.0}, {"alpha": -0.1}, {"alpha": 1.1}, {"warmup": 1}, {"sigma_floor": 0.0}]
)
def test_settings_outside_their_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ContractError):
        ewma_z(np.zeros(5), **{**EWMA, **wrong})
