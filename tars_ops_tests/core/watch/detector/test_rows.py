"""Rows of somebody else's table: each gets one score, in time's order, from the past alone."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.errors import ContractError
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector.rows import MAX_GAP, RowScores, grid_of, score_rows

STEP_S = 300.0
N = 1500


def noise(n_kpis: int = 1, *, n: int = N, seed: int = 0) -> FloatArray:
    return 100 + np.random.default_rng(seed).standard_normal((n_kpis, n))


def times(n: int = N) -> FloatArray:
    return 1_392_000_000 + STEP_S * np.arange(n)


def broken(n_kpis: int = 1) -> FloatArray:
    """Noise with a fault in row 1200."""
    values = noise(n_kpis)
    values[:, 1200:1203] += 60
    return values


# The grid


@given(st.lists(st.floats(0, 1e7), max_size=60))
def test_no_two_rows_share_a_cell_and_time_is_kept(at_s: list[float]) -> None:
    cell = grid_of(np.array(at_s)).cell

    order = np.argsort(np.array(at_s), kind="stable")
    assert len(cell) == len(at_s)
    assert (np.diff(cell[order]) > 0).all()


@given(st.lists(st.floats(0, 1e12), min_size=2, max_size=60))
def test_rows_far_apart_do_not_fill_the_memory(at_s: list[float]) -> None:
    assert grid_of(np.array(at_s)).n_cells <= MAX_GAP * len(at_s)


@pytest.mark.parametrize(
    ("at_s", "cell"),
    [
        ([0, 300, 600], [0, 1, 2]),
        ([0, 300, 600, 1500], [0, 1, 2, 5]),
        ([0, 300, 300, 600, 900, 1800], [0, 1, 2, 3, 4, 6]),
        ([600, 0, 300], [2, 0, 1]),
        ([0, 300, 600, 600 + 3 * 86_400 + 300], [0, 1, 2, 4]),
        ([], []),
        ([5], [0]),
    ],
)
def test_a_row_lies_on_the_cell_of_its_time(at_s: list[float], cell: list[int]) -> None:
    assert grid_of(np.array(at_s, dtype=float)).cell.tolist() == cell


# The scores


@pytest.mark.parametrize("n_kpis", [1, 4])
def test_a_fault_is_scored_higher_than_everything_before_it(n_kpis: int) -> None:
    score = score_rows(times(), broken(n_kpis)).score

    assert score[1200] > score[:1200].max()
    assert ((score >= 0) & (score <= 1)).all()


@pytest.mark.parametrize("n_kpis", [1, 4])
@pytest.mark.parametrize("n", [10, 400, 1201])
def test_a_row_is_scored_by_itself_and_earlier_rows_alone(n_kpis: int, n: int) -> None:
    values = broken(n_kpis)

    whole, part = score_rows(times(), values), score_rows(times()[:n], values[:, :n])

    np.testing.assert_array_equal(whole.score[:n], part.score)
    np.testing.assert_array_equal(whole.event[:n], part.event)


@given(st.permutations(range(60)))
@settings(max_examples=20, deadline=None)
def test_rows_in_the_wrong_order_are_scored_in_that_of_their_times(order: list[int]) -> None:
    shuffled = np.concatenate([np.arange(N - 60), N - 60 + np.array(order)])
    values = broken()

    sorted_score, score = score_rows(times(), values).score, score_rows(times()[shuffled], values[:, shuffled]).score

    np.testing.assert_array_equal(score, sorted_score[shuffled])


def test_a_row_without_a_value_is_never_an_alarm() -> None:
    values = broken()
    values[0, 1190:1210] = np.nan

    found = score_rows(times(), values)

    assert not found.event[1190:1210].any()
    assert found.score[1190:1210].max() == 0


def test_constants_and_nothing_are_no_alarm() -> None:
    constant, nothing = (score_rows(times(), np.full((1, N), level)) for level in (7.0, np.nan))

    assert not constant.event.any()
    assert not nothing.event.any()


@pytest.mark.parametrize("n", [0, 1, 2])
def test_a_short_table_has_as_many_scores_as_rows(n: int) -> None:
    found = score_rows(times(n), noise(n=n))

    assert (len(found.score), len(found.event)) == (n, n)
    assert not found.event.any()


def test_an_alarm_needs_the_threshold_of_the_policies_or_another() -> None:
    strict, lax = (score_rows(times(), noise(), false_alarms_per_day=rate).event.sum() for rate in (1e-6, 1.0))

    assert strict <= lax


@pytest.mark.parametrize("n_kpis", [1, 4])
def test_a_calm_history_lets_the_first_rows_be_judged(n_kpis: int) -> None:
    late = broken(n_kpis)[:, 1190:]

    cold = score_rows(times(N - 1190), late)
    warm = score_rows(times()[1190:], late, calm=(times()[:1190], noise(n_kpis)[:, :1190]))

    def at_fault(found: RowScores) -> float:
        return float(found.score[10])

    assert at_fault(cold) == 0
    assert at_fault(warm) > score_rows(times(), noise(n_kpis)).score.max()


def test_an_infinite_value_is_refused() -> None:
    with pytest.raises(ContractError, match="infinite"):
        score_rows(times(3), np.array([[1.0, np.inf, 2.0]]))
