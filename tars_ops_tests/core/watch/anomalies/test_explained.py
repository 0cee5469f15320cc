"""What load and calendar explain is no event, and nothing else is explained."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tars_ops.core.release import Window, millis
from tars_ops.core.watch.anomalies.explained import by_calendar, by_load

FLAT = np.full(300, 100.0)


def test_a_steady_load_explains_nothing() -> None:
    found = by_load(FLAT, FLAT, reach=5)

    assert (found.least == 1).all()
    assert (found.most == 1).all()


@pytest.mark.parametrize("factor", [0.5, 1.6])
def test_a_load_that_moved_explains_as_much_and_no_more(factor: float) -> None:
    load = np.where(np.arange(300) < 150, 100.0, 100.0 * factor)

    found = by_load(load, FLAT, reach=5)

    assert (found.least[200], found.most[200]) == (min(1.0, factor), max(1.0, factor))


def test_a_load_explains_by_as_much_as_a_rate_is_late() -> None:
    load = np.where(np.arange(300) < 150, 100.0, 50.0)

    found = by_load(load, FLAT, reach=5)

    assert np.flatnonzero(found.least < 1)[0] == 145


def test_a_load_that_was_followed_at_once_still_explains_those_that_follow_slowly() -> None:
    load = np.where(np.arange(300) < 150, 100.0, 50.0)

    found = by_load(load, load, reach=0)

    assert found.least[160] < 0.7
    assert found.least[250] == 1


def test_an_unknown_load_explains_nothing() -> None:
    found = by_load(np.full(300, np.nan), FLAT, reach=5)

    assert (found.least == 1).all()
    assert (found.most == 1).all()


@pytest.mark.parametrize(
    ("ga", "day", "known"),
    [
        ("2025-11-05", 1, True),  # Wednesday, Thursday
        ("2025-11-05", 3, False),  # Saturday
        ("2025-11-05", 5, True),  # Monday
        ("2025-11-08", 1, True),  # Saturday, Sunday
        ("2025-11-08", 2, False),  # Saturday, Monday
    ],
)
def test_a_weekend_is_known_by_a_weekend_alone(ga: str, day: int, *, known: bool) -> None:
    start_at = datetime.fromisoformat(ga).replace(tzinfo=UTC)
    at_ms = millis(start_at) + 86_400_000 * day + np.arange(0, 86_400_000, 60_000)

    found = by_calendar(at_ms, Window(start_at=start_at, end_at=start_at + timedelta(days=1)), (0.5, 2.0))

    assert (found.least == 1).all() == known
    assert (found.most == 1).all() == known
    assert {*found.least, *found.most} <= {0.5, 1.0, 2.0}


def test_the_hours_after_the_turn_of_a_weekend_are_not_known() -> None:
    start_at = datetime(2025, 11, 4, 12, tzinfo=UTC)  # a Tuesday
    at_ms = millis(start_at) + 5 * 86_400_000 + np.arange(0, 86_400_000, 3_600_000)

    found = by_calendar(at_ms, Window(start_at=start_at, end_at=start_at + timedelta(days=1)), (0.5, 2.0))

    assert (found.most == 2).all()
