"""Is the error of a mean what it says, however long the noise remembers?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.comparisons.long_run import mean_errors
from tars_ops_tests.benchmarks.calibration import correlated

ROWS = 2000


def missed(rows: FloatArray, *, alpha: float = 0.05) -> float:
    """Return the share of rows whose interval does not hold their true mean, 0."""
    found = mean_errors(rows)
    p = 2 * special.stdtr(found.freedom, -np.abs(np.nanmean(rows, axis=1)) / found.error)
    return float((p <= alpha).mean())


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8, 0.95])
@pytest.mark.parametrize("n", [60, 288])
def test_the_interval_holds_the_truth_however_long_the_noise_remembers(n: int, rho: float) -> None:
    assert missed(correlated(np.random.default_rng(n), (ROWS, n), rho=rho)) <= 0.10


@pytest.mark.parametrize("rho", [0.8, 0.95])
def test_a_memory_behind_white_noise_is_seen(rho: float) -> None:
    rng = np.random.default_rng(3)
    rows = correlated(rng, (ROWS, 288), rho=rho**5) + rng.standard_normal((ROWS, 288))

    assert missed(rows) <= 0.10


def test_heavy_tails_do_not_make_it_bold() -> None:
    rng = np.random.default_rng(4)

    assert missed(rng.standard_t(3, size=(ROWS, 288))) <= 0.06


def test_gaps_do_not_make_it_bold() -> None:
    rng = np.random.default_rng(5)
    rows = correlated(rng, (ROWS, 288), rho=0.5)
    rows[:, 100:125] = np.nan
    rows[rng.random(rows.shape) < 0.02] = np.nan

    assert missed(rows) <= 0.08


def test_it_is_not_so_careful_that_nothing_is_ever_sure() -> None:
    rows = correlated(np.random.default_rng(6), (ROWS, 288), rho=0.5)

    assert np.median(mean_errors(rows).error) <= 1.25 * np.sqrt(3 / 288)


def test_a_trend_over_a_long_row_is_not_noise() -> None:
    rng = np.random.default_rng(7)
    flat = rng.standard_normal((20, 288))
    steep = flat + np.linspace(-5, 5, 288)

    np.testing.assert_allclose(mean_errors(steep).error, mean_errors(flat).error, rtol=1e-9)


def test_a_row_that_never_changes_has_no_error() -> None:
    found = mean_errors(np.full((1, 50), 3.0))

    assert (found.error[0], found.n[0], found.n_effective[0]) == (0.0, 50.0, 50.0)


@given(st.integers(0, 10_000), st.floats(1e-6, 1e6), st.floats(-1e3, 1e3))
def test_scale_and_level_do_not_matter(seed: int, scale: float, level: float) -> None:
    rows = np.random.default_rng(seed).standard_normal((3, 60))

    np.testing.assert_allclose(mean_errors(scale * (rows + level)).error, scale * mean_errors(rows).error, rtol=1e-6)


@given(st.integers(0, 10_000), st.integers(2, 300))
def test_what_is_said_of_a_row_stays_within_its_bounds(seed: int, n: int) -> None:
    found = mean_errors(np.random.default_rng(seed).standard_normal((2, n)))

    assert (found.error >= 0).all()
    assert ((found.rho >= 0) & (found.rho <= 0.98)).all()
    assert ((found.n_effective >= 1) & (found.n_effective <= n)).all()
    assert (found.freedom >= 1).all()


def test_other_rows_do_not_change_a_row() -> None:
    rows = np.random.default_rng(8).standard_normal((5, 288))

    np.testing.assert_allclose(mean_errors(rows).error[2:3], mean_errors(rows[2:3]).error, rtol=1e-12)
