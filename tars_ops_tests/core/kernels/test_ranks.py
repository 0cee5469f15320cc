"""What the order of two samples says, against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.ranks import merged_by_search, rank_statistics

SMOOTH = st.floats(-1e6, 1e6)
TIED = st.integers(-3, 3).map(float)
SAMPLES = st.one_of(
    arrays(np.float64, st.integers(1, 60), elements=SMOOTH | TIED), arrays(np.float64, 40, elements=TIED)
)


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_u_and_d_are_those_of_scipy(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    before, after = rng.normal(size=300).round(decimals), rng.normal(0.2, size=211).round(decimals)
    found = rank_statistics(before, after)

    assert found.u == stats.mannwhitneyu(after, before).statistic
    assert found.d == pytest.approx(stats.ks_2samp(before, after, method="asymp")[0], abs=1e-15)


@given(SAMPLES, SAMPLES)
def test_u_counts_pairs_and_d_is_the_largest_distance(before: np.ndarray, after: np.ndarray) -> None:
    found, places = rank_statistics(before, after), np.concatenate([before, after])
    below = [(one[:, None] <= places).mean(axis=0) for one in (before, after)]

    assert found.u == (before[:, None] < after).sum() + (before[:, None] == after).sum() / 2
    assert found.d == pytest.approx(np.abs(below[0] - below[1]).max(), abs=1e-12)


@given(SAMPLES, SAMPLES)
def test_the_tie_term_counts_groups_of_equal_values(before: np.ndarray, after: np.ndarray) -> None:
    ranks = stats.rankdata(np.concatenate([before, after]))
    n = len(ranks)

    assert rank_statistics(before, after).tie_term == pytest.approx((1 - stats.tiecorrect(ranks)) * (n**3 - n))


@given(SAMPLES, SAMPLES)
def test_ranks_without_the_compiler_are_the_same(before: np.ndarray, after: np.ndarray) -> None:
    assert merged_by_search(np.sort(before), np.sort(after)) == rank_statistics(before, after)


@given(SAMPLES, SAMPLES)
def test_exchanging_the_samples_exchanges_the_pairs(before: np.ndarray, after: np.ndarray) -> None:
    there, back = rank_statistics(before, after), rank_statistics(after, before)

    assert there.u + back.u == len(before) * len(after)
    assert (there.tie_term, there.d) == (back.tie_term, back.d)


@pytest.mark.parametrize("sample", [[], [np.nan], [1.0, np.nan, 2.0]])
def test_a_sample_with_gaps_or_without_values_has_no_ranks(sample: list[float]) -> None:
    good = np.array([1.0, 2.0])

    with pytest.raises(ContractError, match="'after' is empty or holds NaN"):
        rank_statistics(good, np.array(sample))
    with pytest.raises(ContractError, match="'before' is empty or holds NaN"):
        rank_statistics(np.array(sample), good)
