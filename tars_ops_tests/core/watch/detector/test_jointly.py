"""A row of KPIs is scored by its state: causal, without units, and an anomaly that lasts does not become the norm."""

from __future__ import annotations

import numpy as np
import pytest

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.detector import WARMUP
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector.jointly import detect_jointly

STEP_S = 300.0


def table(n: int = 900, seed: int = 0) -> FloatArray:
    return np.random.default_rng(seed).normal(10.0, 1.0, (6, n))


def test_rows_where_several_kpis_moved_a_little_stand_out() -> None:
    values = table()
    values[1:4, 700:760] += 5.0

    score = detect_jointly(values, step_s=STEP_S)

    assert np.nanmax(score[WARMUP:700]) < np.nanmin(score[710:760])


def test_a_new_row_never_changes_an_old_score() -> None:
    values = table()

    np.testing.assert_array_equal(
        detect_jointly(values[:, :500], step_s=STEP_S), detect_jointly(values, step_s=STEP_S)[:500]
    )


def test_neither_units_nor_zero_points_nor_the_order_of_kpis_matter() -> None:
    values = table()
    scale, shift = np.array([[1e-3], [1.0], [7.0], [1e6], [2.0], [3.0]]), np.arange(6)[:, None]

    other = detect_jointly((values * scale + shift)[::-1], step_s=STEP_S)

    np.testing.assert_allclose(other, detect_jointly(values, step_s=STEP_S), rtol=1e-5, atol=1e-6)


def test_an_anomaly_that_lasts_does_not_become_the_norm() -> None:
    values = table(2000)
    values[:3, 600:] += 8.0

    score = detect_jointly(values, step_s=STEP_S)

    assert score[1999] > 5


def test_a_calm_history_speaks_from_the_first_row_on() -> None:
    values = table(60, seed=1)
    values[:3, 30:] += 8.0

    score = detect_jointly(values, step_s=STEP_S, baseline=table())

    assert not np.isnan(score).any()
    assert score[:30].max() < score[40:].min()


def test_without_a_history_the_first_rows_are_unknown_and_so_is_a_row_without_values() -> None:
    values = table()
    values[:, 500] = np.nan

    score = detect_jointly(values, step_s=STEP_S)

    assert np.isnan(score[:WARMUP]).all()
    assert np.isnan(score[500])
    assert not np.isnan(score[501:]).any()


def test_constant_kpis_never_alarm_and_one_that_leaves_its_constant_does() -> None:
    values = np.full((4, 600), 3.0)
    values[0, 500:] = 3.1

    score = detect_jointly(values, step_s=STEP_S)

    assert not (score[:500] > 0).any()
    assert score[510] > 5


@pytest.mark.parametrize("wrong", [{"baseline": np.zeros((3, 10))}, {"baseline": np.full((6, 10), np.inf)}])
def test_a_history_of_other_kpis_or_infinite_values_is_refused(wrong: dict[str, FloatArray]) -> None:
    with pytest.raises(ContractError):
        detect_jointly(table(), step_s=STEP_S, **wrong)
