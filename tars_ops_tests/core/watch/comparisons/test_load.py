"""CPU and cost are compared at equal load; what follows the load is learnt, not believed."""

from __future__ import annotations

import numpy as np
import pytest

from tars_ops.core.watch.comparisons.load import GUESS, GUESS_ERROR, at_equal_load, elasticity

SEASON = np.exp(0.4 * np.sin(2 * np.pi * np.arange(288) / 288))


@pytest.mark.parametrize("truth", [0.0, 0.5, 1.0])
def test_what_follows_the_load_is_learnt(truth: float) -> None:
    rng = np.random.default_rng(1)
    found = elasticity(SEASON, 3 * SEASON**truth * np.exp(0.02 * rng.standard_normal(288)))

    assert found.value == pytest.approx(truth, abs=0.05)
    assert found.error < 0.05


def test_a_load_that_is_measured_with_noise_explains_no_less() -> None:
    rng = np.random.default_rng(2)
    found = [
        elasticity(SEASON * np.exp(0.3 * rng.standard_normal(288)), SEASON * np.exp(0.02 * rng.standard_normal(288)))
        for _ in range(50)
    ]

    assert np.mean([one.value for one in found]) == pytest.approx(1.0, abs=0.06)


@pytest.mark.parametrize(
    "load", [np.ones(288), np.full(288, np.nan), np.zeros(288), np.exp(0.3 * np.random.default_rng(3).normal(size=288))]
)
def test_a_load_without_a_season_teaches_nothing(load: np.ndarray) -> None:
    assert elasticity(load, SEASON) == (GUESS, GUESS_ERROR)


def test_an_elasticity_stays_between_not_at_all_and_fully() -> None:
    assert elasticity(SEASON, SEASON**2).value == 1.0
    assert elasticity(SEASON, 1 / SEASON).value == 0.0


def test_a_load_that_is_unknown_or_0_leaves_a_gap() -> None:
    found = at_equal_load(np.ones(3), np.array([1.0, 0.0, 1.0]), np.array([2.0, 1.0, np.nan]), 1.0)

    np.testing.assert_array_equal(found, [0.5, np.nan, np.nan])
