"""A day slot by slot: nothing gets lost, gaps stay gaps, and times of day stand beside each other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.release import Window
from tars_ops.core.watch.comparisons.slots import events_of, n_blocks, slot_table
from tars_ops.core.watch.measure import by_key, measure
from tars_ops_tests.core.factories import GA_AT, Scene, demo_policy, make, release, telemetry


def test_the_slots_of_a_day_hold_all_of_its_events() -> None:
    found = slot_table(telemetry(1), demo_policy())
    whole = by_key(measure(telemetry(1), demo_policy()))

    assert found["availability", "api"].bad.sum() == whole["availability", "api"].n_bad
    assert found["availability", "api"].total.sum() == whole["availability", "api"].n_total
    assert found["p99_latency", "api"].buckets.sums[-1] == whole["p99_latency", "api"].n_total
    assert {one.n_slots for one in found.values()} == {288}
    assert len(found["memory", "api"].hourly()) == 24


def test_an_hour_that_is_less_than_half_known_is_unknown() -> None:
    half, less = Scene(silent=(("api", 0, 0.5),)), Scene(silent=(("api", 0, 0.6),))

    assert not np.isnan(slot_table(telemetry(1, half), demo_policy())["memory", "api"].hourly()[0])
    assert (
        np.isnan(slot_table(telemetry(1, less), demo_policy())["memory", "api"].hourly()).tolist()
        == [True] + [False] * 23
    )


def test_an_hour_without_events_has_no_share_and_no_quantile() -> None:
    found = slot_table(telemetry(1, Scene(silent=(("api", 3, 5),))), demo_policy())

    assert np.flatnonzero(np.isnan(found["availability", "api"].hourly())).tolist() == [3, 4]
    assert np.flatnonzero(np.isnan(found["p99_latency", "api"].hourly(0.99))).tolist() == [3, 4]


@given(st.integers(1, 10_000))
def test_a_day_is_cut_into_equal_blocks(n_slots: int) -> None:
    n = n_blocks(n_slots)

    assert n_slots % n == 0
    assert 1 <= n <= 24


def test_a_short_day_is_cut_too() -> None:
    short = make(demo_policy(), release(day_length_s=3600), 1)

    assert len(slot_table(short, demo_policy())["memory", "api"].hourly()) == 12


@pytest.mark.parametrize(("hours", "turned"), [(0, 0), (5, 60), (24, 0), (24 * 7 + 5, 60)])
def test_a_release_at_another_hour_is_turned_to_the_same_time_of_day(hours: int, turned: int) -> None:
    start = GA_AT.timestamp() + 86400 - 3600 * hours
    beside = Window(*(GA_AT.fromtimestamp(at, GA_AT.tzinfo) for at in (start, start + 86400)))
    plain = slot_table(telemetry(1), demo_policy())
    found = slot_table(telemetry(1), demo_policy(), beside=beside)

    np.testing.assert_array_equal(found["cpu", "api"].values, np.roll(plain["cpu", "api"].values, turned))
    np.testing.assert_array_equal(
        found["availability", "api"].total, np.roll(plain["availability", "api"].total, turned)
    )


def test_short_days_stand_beside_each_other_as_they_are() -> None:
    of = release(day_length_s=3600)
    plain = slot_table(make(demo_policy(), of, 1), demo_policy())
    found = slot_table(make(demo_policy(), of, 1), demo_policy(), beside=of.window(0))

    np.testing.assert_array_equal(found["cpu", "api"].values, plain["cpu", "api"].values)


def test_the_events_of_a_service_are_those_of_its_first_counted_kpi() -> None:
    found = slot_table(telemetry(1), demo_policy())

    assert events_of(found, demo_policy(), "api") == found["availability", "api"].total.sum()
    assert events_of({}, demo_policy(), "api") is None
