"""A week errs no more than it may: shares of looks, of baselines and of families."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.watch.comparisons.family import adjusted, level_of, share_of, spent_on_look
from tars_ops.core.watch.references import BaselineKind

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=40).map(np.array)


@given(st.integers(1, 99), st.floats(0.001, 0.2))
def test_the_looks_spend_what_there_is_and_no_more(n_days: int, alpha: float) -> None:
    spent = [spent_on_look(day, n_days, alpha=alpha) for day in range(1, n_days + 1)]

    assert sum(spent) == pytest.approx(alpha, rel=1e-9)
    assert spent == sorted(spent, reverse=True)


def test_the_first_look_keeps_real_power() -> None:
    assert spent_on_look(1, 7, alpha=0.05) > 0.05 / 7


@given(st.sets(st.sampled_from(list(BaselineKind)), min_size=1))
def test_the_baselines_share_a_look(kinds: set[BaselineKind]) -> None:
    assert sum(share_of(kind, kinds) for kind in kinds) == pytest.approx(1)


def test_the_adjusted_values_are_those_of_benjamini_and_hochberg() -> None:
    # table 1 of Benjamini and Hochberg (1995): at 0.05 the first four of fifteen are rejected
    p = np.array(
        [
            0.0001,
            0.0004,
            0.0019,
            0.0095,
            0.0201,
            0.0278,
            0.0298,
            0.0344,
            0.0459,
            0.324,
            0.4262,
            0.5719,
            0.6528,
            0.759,
            1,
        ]
    )

    assert (adjusted(p, n_family=15) <= 0.05).tolist() == [True] * 4 + [False] * 11


@given(p_values, st.integers(0, 20))
def test_adjusting_never_makes_a_value_smaller_and_keeps_the_order(p: np.ndarray, n_more: int) -> None:
    found = adjusted(p, n_family=len(p) + n_more)
    order = np.argsort(p, kind="stable")

    assert (found >= p - 1e-12).all()
    assert (found <= 1).all()
    assert (np.diff(found[order]) >= -1e-12).all()


@given(p_values, st.floats(1e-4, 0.2))
def test_the_interval_says_the_same_as_the_adjusted_value(p: np.ndarray, alpha: float) -> None:
    found = adjusted(p, n_family=len(p))
    level = level_of(found, n_family=len(p), alpha=alpha)
    clear = np.abs(found - alpha) > 1e-9

    assert ((p <= level * (1 + 1e-12)) == (found <= alpha))[clear].all()


@given(p_values)
def test_comparisons_that_could_not_be_made_still_count(p: np.ndarray) -> None:
    assert (adjusted(p, n_family=len(p) + 5) >= adjusted(p, n_family=len(p)) - 1e-12).all()


def test_nothing_adjusts_to_nothing() -> None:
    assert adjusted(np.array([]), n_family=3).size == 0
    assert level_of(np.array([]), n_family=3, alpha=0.03) == pytest.approx(0.01)
