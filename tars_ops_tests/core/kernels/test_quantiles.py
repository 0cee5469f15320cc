"""Means and exact quantiles of rows, against numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.quantiles import of_rows_by_sorting, summarise_rows

WANTED = [0.0, 0.5, 0.95, 0.99, 1.0]
Draw = Callable[[np.random.Generator], np.ndarray]
TABLES = st.tuples(st.integers(1, 4), st.integers(1, 80)).flatmap(
    lambda shape: arrays(
        np.float64, shape, elements=st.floats(-1e9, 1e9) | st.integers(-2, 2).map(float) | st.just(np.nan)
    )
)


@given(TABLES)
def test_quantiles_are_those_of_numpy_to_the_last_bit(values: np.ndarray) -> None:
    found = summarise_rows(values, WANTED)

    for row, n_known, quantiles in zip(values, found.n_known, found.quantiles, strict=True):
        known = row[~np.isnan(row)]
        assert n_known == len(known)
        if len(known):
            np.testing.assert_array_equal(quantiles, np.quantile(known, WANTED))


@given(TABLES)
def test_rows_without_the_compiler_are_the_same(values: np.ndarray) -> None:
    fast, plain = summarise_rows(values, WANTED), of_rows_by_sorting(values, np.array(WANTED))

    np.testing.assert_array_equal(fast.n_known, plain.n_known)
    np.testing.assert_array_equal(fast.quantiles, plain.quantiles)
    np.testing.assert_allclose(fast.mean, plain.mean, rtol=1e-12, atol=1e-6)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize(
    "draw",
    [
        lambda rng: rng.normal(size=(3, 1440)),
        lambda rng: rng.standard_t(1.5, size=(3, 1440)),
        lambda rng: rng.poisson(3, size=(3, 1440)),
        lambda rng: np.where(rng.random((3, 1440)) < 0.002, 1e30, rng.normal(size=(3, 1440))),
        lambda rng: 2.0 ** rng.integers(-120, 120, (3, 1440)),
        lambda rng: rng.normal(size=(3, 1440)) * 5e-324**0.5,
        lambda rng: rng.choice([-np.inf, 0.0, np.inf], size=(3, 1440), p=[0.01, 0.98, 0.01]),
        lambda _: np.repeat([[0.0, 1.0]], 720, axis=1),
    ],
    ids=["normal", "heavy", "counts", "outliers", "octaves", "tiny", "infinite", "halves"],
)
def test_no_shape_of_a_day_makes_a_quantile_wrong(kind: type, draw: Draw) -> None:
    values = draw(np.random.default_rng(7)).astype(kind)

    found = summarise_rows(values, WANTED).quantiles

    np.testing.assert_array_equal(found, of_rows_by_sorting(values, np.array(WANTED)).quantiles)


def test_a_row_without_values_is_unknown() -> None:
    found = summarise_rows(np.full((1, 3), np.nan), [0.5])

    assert found.n_known.tolist() == [0]
    assert np.isnan([found.mean[0], found.quantiles[0, 0]]).all()


@pytest.mark.parametrize(("shape", "wanted"), [((3,), [0.5]), ((1, 3), [1.5]), ((1, 3), [-0.1]), ((1, 3), [np.nan])])
def test_what_is_no_table_or_no_quantile_is_refused(shape: tuple[int, ...], wanted: list[float]) -> None:
    with pytest.raises(ContractError, match="must be in"):
        summarise_rows(np.zeros(shape), wanted)
