"""The control chart of a fleet says what ``ewma_z`` says of each of its series."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.ewma import ewma_alarms, of_rows_by_steps
from tars_ops.core.watch.detector.ewma import ewma_z

SETTINGS: dict[str, Any] = {"alpha": 0.3, "warmup": 10, "z_threshold": 3.0}


def fleet(seed: int, *, n_series: int, n: int, gaps_ratio: float) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.standard_t(3, size=(n_series, n)) * 10.0 ** rng.integers(-3, 4, (n_series, 1))
    values[rng.random(values.shape) < gaps_ratio] = np.nan
    return values


FLEETS = st.builds(
    fleet,
    st.integers(0, 2**32),
    n_series=st.sampled_from([1, 7, 64, 70]),
    n=st.sampled_from([1, 40, 64, 65, 700]),
    gaps_ratio=st.sampled_from([0.0, 0.002, 0.2, 1.0]),
)


@settings(max_examples=25, deadline=None)
@given(FLEETS, st.sampled_from([0.05, 0.3, 1.0]))
def test_a_fleet_alarms_where_each_series_would_alone(values: np.ndarray, alpha: float) -> None:
    floor = np.linspace(0.01, 0.1, len(values))
    z = np.array([ewma_z(row, alpha=alpha, warmup=10, sigma_floor=s) for row, s in zip(values, floor, strict=True)])
    found = ewma_alarms(values, alpha=alpha, warmup=10, sigma_floor=floor, z_threshold=3.0)

    is_clear = ~(np.abs(np.abs(z) - 3) < 1e-9)
    np.testing.assert_array_equal(found.is_alarm[is_clear], (np.abs(z) > 3)[is_clear])


@settings(max_examples=25, deadline=None)
@given(FLEETS, st.sampled_from([np.float32, np.float64]))
def test_a_chart_without_the_compiler_is_the_same_to_the_last_bit(values: np.ndarray, kind: type) -> None:
    values, floor = values.astype(kind), np.full(len(values), 0.1)
    found = ewma_alarms(values, sigma_floor=floor, **SETTINGS)
    is_alarm, mean, variance, n_seen = of_rows_by_steps(values, 0.3, 10.0, floor, 3.0)

    np.testing.assert_array_equal(found.is_alarm, is_alarm)
    np.testing.assert_array_equal(found.mean, np.where(n_seen, mean, np.nan))
    np.testing.assert_array_equal(found.variance, np.where(n_seen, variance, np.nan))


@settings(max_examples=25, deadline=None)
@given(FLEETS, st.integers(0, 2**32))
def test_the_order_of_series_is_of_no_account(values: np.ndarray, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(len(values))
    floor = np.full(len(values), 0.1)

    there = ewma_alarms(values, sigma_floor=floor, **SETTINGS).is_alarm
    np.testing.assert_array_equal(ewma_alarms(values[order], sigma_floor=floor, **SETTINGS).is_alarm, there[order])


def test_a_gap_is_never_an_alarm_and_holds_the_state() -> None:
    values = np.array([[1.0, 1.0, 1.0, np.nan, np.nan, 9.0]])

    found = ewma_alarms(values, alpha=0.5, warmup=3, sigma_floor=np.array([0.1]), z_threshold=3.0)

    assert found.is_alarm.tolist() == [[False] * 5 + [True]]
    assert found.mean.tolist() == [5.0]


@pytest.mark.parametrize(
    "broken", [{"alpha": 0.0}, {"alpha": 1.1}, {"warmup": 1}, {"z_threshold": 0.0}, {"sigma_floor": np.array([0.0])}]
)
def test_settings_outside_their_range_are_refused(broken: dict[str, Any]) -> None:
    with pytest.raises(ContractError, match="must hold"):
        ewma_alarms(np.ones((1, 5)), **{"sigma_floor": np.ones(1), **SETTINGS, **broken})


@pytest.mark.parametrize("place", [0, 5, 100, 699])
def test_infinite_values_are_refused(place: int) -> None:
    values = np.ones((3, 700))
    values[1, place] = np.inf

    with pytest.raises(ContractError, match="infinite"):
        ewma_alarms(values, sigma_floor=np.ones(3), **SETTINGS)
