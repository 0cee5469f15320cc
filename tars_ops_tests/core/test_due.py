"""Which days are expected, when they are late, and how long the next attempt waits."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.due import Progress, expected, grace, late, missing, overdue_after, wait_before
from tars_ops_tests.core.factories import GA_AT, release

DAY, HOUR, MINUTE, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
WEEK = release(ga_at=GA_AT)
BAKE = release(ga_at=GA_AT, day_length_s=30)


@pytest.mark.parametrize(
    ("elapsed", "days"),
    [
        (timedelta(0), ()),
        (2 * DAY + 10 * MINUTE - SECOND, ()),
        (2 * DAY + 10 * MINUTE, (1,)),
        (4 * DAY + HOUR, (1, 2, 3)),
        (400 * DAY, (1, 2, 3, 4, 5, 6, 7)),
    ],
)
def test_a_day_is_expected_once_it_is_over_and_its_grace_has_passed(elapsed: timedelta, days: tuple[int, ...]) -> None:
    progress = Progress(has_baseline=True, done=())

    assert expected(WEEK, progress, now=GA_AT + elapsed, after=10 * MINUTE) == days


def test_before_the_baseline_only_the_ga_day_is_expected_but_every_day_is_missing() -> None:
    progress = Progress(has_baseline=False, done=())
    now = GA_AT + 3 * DAY + HOUR

    assert expected(WEEK, progress, now=now, after=MINUTE) == (0,)
    assert missing(WEEK, progress, now=now, after=MINUTE) == (0, 1, 2)


def test_a_judged_day_is_not_expected_wherever_it_lies() -> None:
    progress = Progress(has_baseline=True, done={1, 3, 7})

    assert expected(WEEK, progress, now=GA_AT + 100 * DAY, after=MINUTE) == (2, 4, 5, 6)


@pytest.mark.parametrize(("hours", "days"), [(24, ()), (47, (1,)), (48, (1,)), (49, (1, 2))])
def test_days_that_begin_after_a_release_ended_do_not_concern_it(hours: int, days: tuple[int, ...]) -> None:
    progress = Progress(has_baseline=True, done=(), ended_at=GA_AT + hours * HOUR)

    assert expected(WEEK, progress, now=GA_AT + 100 * DAY, after=MINUTE) == days


def test_nobody_waits_longer_for_samples_than_a_short_day_lasts() -> None:
    assert grace(WEEK, 600) == 10 * MINUTE
    assert grace(BAKE, 600) == 30 * SECOND
    assert late(WEEK, 600) == 6 * HOUR
    assert late(BAKE, 600) == 30 * SECOND


def test_what_is_late_has_had_its_grace() -> None:
    assert late(WEEK, 21600) >= grace(WEEK, 21600)
    assert late(release(day_length_s=3600), 21600) >= grace(release(day_length_s=3600), 21600)


def test_a_day_is_overdue_after_two_hours_and_a_short_one_earlier() -> None:
    assert overdue_after(WEEK, 7200) == 2 * HOUR
    assert overdue_after(BAKE, 7200) == 5 * MINUTE
    assert overdue_after(release(day_length_s=600), 7200) == 40 * MINUTE


@given(st.integers(1, 10**6))
def test_the_wait_grows_and_never_exceeds_six_hours(attempt: int) -> None:
    assert timedelta(0) <= wait_before(attempt) <= wait_before(attempt + 1) <= 6 * HOUR
