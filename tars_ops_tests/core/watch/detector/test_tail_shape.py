"""How heavy are the tails of what surprised on the GA day?"""

from __future__ import annotations

import numpy as np
import pytest

from tars_ops.core.watch.detector.tail_shape import HEAVIEST, LIGHTEST, UNKNOWN, tail_shape

RANDOM = np.random.default_rng(5)


def test_a_tail_without_variance_is_told_from_a_light_one() -> None:
    light = tail_shape(RANDOM.normal(size=(50, 1440))).mean()
    heavy = tail_shape(RANDOM.standard_t(3, size=(50, 1440))).mean()

    assert light < 0.12
    assert heavy > 0.25


@pytest.mark.parametrize("surprises", [np.full((2, 1440), np.nan), np.zeros((2, 1440)), np.full((2, 10), 1.0)])
def test_of_a_tail_that_nobody_saw_the_usual_is_said(surprises: np.ndarray) -> None:
    assert tail_shape(surprises) == pytest.approx(UNKNOWN)


def test_a_shape_stays_where_a_day_can_tell() -> None:
    outliers = np.zeros((1, 1440))
    outliers[0, ::100] = 10.0 ** np.arange(15)
    even = np.linspace(-1, 1, 1440)[None, :]

    assert LIGHTEST <= float(tail_shape(even)[0]) < UNKNOWN < float(tail_shape(outliers)[0]) <= HEAVIEST


def test_the_unit_and_the_sign_and_the_neighbours_do_not_matter() -> None:
    surprises = RANDOM.standard_t(3, size=(3, 500))

    assert tail_shape(1e9 * surprises) == pytest.approx(tail_shape(surprises))
    assert tail_shape(-surprises) == pytest.approx(tail_shape(surprises))
    assert tail_shape(surprises[1:2]) == pytest.approx(tail_shape(surprises)[1:2])


def test_a_gap_is_no_surprise() -> None:
    surprises = RANDOM.standard_t(3, size=(1, 500))
    gaps = np.concatenate([surprises, np.full((1, 500), np.nan)], axis=1)

    assert tail_shape(gaps) == pytest.approx(tail_shape(surprises))
