"""What the days before GA teach: how wild the errors are, and how traffic follows the week."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest

from tars_ops.core.release import Window
from tars_ops.core.watch.comparisons.prior import PriorDays, counts_for, expected_change, prior_days, traffic_before
from tars_ops_tests.core.factories import GA_AT, Scene, demo_policy, telemetry

DAY_MS = 86_400_000
GA_MS = round(GA_AT.timestamp() * 1000)
WEEKEND = {5: 0.6, 6: 0.5}


def window(day: int) -> Window:
    start = GA_AT + timedelta(days=day)
    return Window(start, start + timedelta(days=1))


def before_ga(n_days: int, *, growth: float = 0.0, noise: float = 0.02, outage: int | None = None) -> PriorDays:
    days = np.arange(-n_days, 0)
    weekday = (GA_AT.weekday() + days) % 7
    level = np.array([WEEKEND.get(int(one), 1.0) for one in weekday]) * np.exp(growth * days)
    total = 1e6 * level * np.exp(noise * np.random.default_rng(1).standard_normal(n_days))
    if outage is not None:
        total[outage] *= 0.05
    return PriorDays(GA_MS + days * DAY_MS, np.zeros(n_days, int), np.round(total).astype(np.int64))


@pytest.mark.parametrize("n_days", [8, 14, 29])
def test_the_weekday_explains_the_traffic(n_days: int) -> None:
    found = {day: expected_change(before_ga(n_days), window(0), window(day)) for day in range(1, 8)}
    saturday = next(day for day in found if (GA_AT.weekday() + day) % 7 == 5)

    assert np.exp(found[saturday].log_ratio) == pytest.approx(0.6, rel=0.08)
    assert np.exp(found[7].log_ratio) == pytest.approx(1.0, rel=0.08)
    assert all(one.error > 0 for one in found.values())


def test_traffic_that_grows_goes_on_growing() -> None:
    found = expected_change(before_ga(29, growth=0.015), window(0), window(7))

    assert found.log_ratio == pytest.approx(7 * 0.015, abs=0.04)


def test_one_outage_does_not_change_the_week() -> None:
    calm = expected_change(before_ga(29), window(0), window(3))
    shaken = expected_change(before_ga(29, outage=10), window(0), window(3))

    assert shaken.log_ratio == pytest.approx(calm.log_ratio, abs=0.05)
    assert shaken.error < 2 * calm.error


@pytest.mark.parametrize("n_days", [0, 7])
def test_a_week_that_nobody_saw_is_not_known(n_days: int) -> None:
    assert expected_change(before_ga(n_days), window(0), window(3)) is None
    assert expected_change(None, window(0), window(7)) is None


def test_a_weekday_that_nobody_saw_is_not_known() -> None:
    days = before_ga(29)
    kept = (GA_AT.weekday() + (days.start_ms - GA_MS) // DAY_MS) % 7 != 5
    lame = PriorDays(days.start_ms[kept], days.bad[kept], days.total[kept])
    saturday = next(day for day in range(1, 8) if (GA_AT.weekday() + day) % 7 == 5)

    assert expected_change(lame, window(0), window(saturday)) is None


def test_short_days_have_no_weekday() -> None:
    short = Window(GA_AT, GA_AT + timedelta(hours=1))

    assert expected_change(before_ga(29), window(0), short) is None


def test_the_more_days_are_known_the_smaller_is_the_error() -> None:
    assert (
        expected_change(before_ga(29), window(0), window(3)).error
        < expected_change(before_ga(9, noise=0.2), window(0), window(3)).error
    )


def test_errors_that_come_in_bursts_are_seen_in_the_days() -> None:
    rng = np.random.default_rng(2)
    total = np.full(29, 1_000_000)
    calm = PriorDays(np.arange(29), rng.poisson(100, 29), total)
    wild = PriorDays(np.arange(29), rng.poisson(100 * np.exp(0.5 * rng.standard_normal(29))), total)

    assert 0.3 < calm.dispersion() < 3
    assert wild.dispersion() > 5
    assert PriorDays(np.arange(7), calm.bad[:7], total[:7]).dispersion() is None
    assert PriorDays(np.arange(29), np.zeros(29, int), total).dispersion() is None


def test_the_days_before_ga_are_read_from_its_telemetry() -> None:
    found = prior_days(telemetry(0, Scene(prior_errors=2e-4)), demo_policy())["availability", "api"]

    assert len(found.total) == 29
    assert found.bad.sum() / found.total.sum() == pytest.approx(2e-4, rel=0.01)
    assert prior_days(telemetry(0), demo_policy()) == {}


def test_the_requests_stand_for_the_request_rate() -> None:
    known = prior_days(telemetry(0, Scene(prior_errors=2e-4)), demo_policy())

    assert counts_for(demo_policy(), "request_rate") == "availability"
    assert traffic_before(known, demo_policy(), "request_rate", "api") is known["availability", "api"]
