"""What each KPI was: counted, never averaged, and nothing made up where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.sli import quantile
from tars_ops.core.telemetry import count_table, sample_table
from tars_ops.core.watch.measure import Measured, blocks, by_key, cost_parts, measure, n_blocks
from tars_ops_tests.core.factories import Change, Scene, demo_policy, during, make, policy_with, release, telemetry

BOUNDS = (*demo_policy().histograms["http_request_duration_seconds"], math.inf)


def measured(scene: Scene = Scene(), *, day: int = 1) -> dict[tuple[str, str], Measured]:  # noqa: B008 - frozen
    return dict(by_key(measure(telemetry(day, scene), demo_policy())))


def test_availability_is_the_share_of_all_good_requests_of_the_day() -> None:
    found = measured()["availability", "api"]
    bad, total = count_table(telemetry(1), "availability").of("api").sum(axis=1)

    assert (found.n_bad, found.n_total) == (bad, total)
    assert found.value == pytest.approx(1 - bad / total, abs=1e-9)
    assert found.lower < found.value < found.upper


def test_a_quiet_hour_weighs_as_much_as_its_requests() -> None:
    scene = during(Change(hours=(2, 3), traffic=0.01, errors=0.5))
    found = measured(scene)["availability", "api"]
    hours = blocks(telemetry(1, scene), demo_policy())["availability", "api"]

    assert found.value > 0.999
    assert hours.values.mean() < 0.985
    assert found.value == pytest.approx(1 - hours.bad.sum() / hours.total.sum(), abs=1e-12)


def test_the_total_over_services_is_weighted_by_requests() -> None:
    scene = during(Change(service="api", traffic=0.1, errors=0.1))
    found = measured(scene)
    api, worker, both = (found["availability", one] for one in ("api", "worker", ALL_SERVICES))

    assert both.n_total == api.n_total + worker.n_total
    assert both.value == pytest.approx(1 - (api.n_bad + worker.n_bad) / (api.n_total + worker.n_total), abs=1e-12)


def test_the_error_rate_is_one_minus_availability() -> None:
    found = measured()
    whole, rest = found["availability", "api"], found["error_rate", "api"]

    assert rest.value == pytest.approx(1 - whole.value, abs=1e-12)
    assert (rest.lower, rest.upper) == pytest.approx((1 - whole.upper, 1 - whole.lower), abs=1e-12)
    assert rest.burn == whole.burn


def test_a_quantile_is_taken_last_from_summed_buckets() -> None:
    found = measured()["p99_latency", "api"]
    sums = count_table(telemetry(1), "http_request_duration_seconds").of("api").sum(axis=1)

    assert found.value == pytest.approx(quantile(BOUNDS, sums, 0.99).value, abs=1e-12)
    assert (found.lower, found.upper) == (0.25, 0.5)


def test_slow_requests_are_those_above_the_promised_bound() -> None:
    found = measured()["p99_latency", "api"]
    sums = count_table(telemetry(1), "http_request_duration_seconds").of("api").sum(axis=1)

    assert found.n_total == sums[-1]
    assert found.n_bad == sums[-1] - sums[BOUNDS.index(0.5)]


def test_a_day_on_which_every_request_is_slow_is_measured_in_its_bucket() -> None:
    scene = during(Change(latency=1000.0))
    found = measured(scene)["p99_latency", "api"]

    assert found.lower == 10.0
    assert found.n_bad == found.n_total > 0


def test_a_quantile_above_the_last_bound_has_no_upper_end() -> None:
    found = measured(during(Change(latency=1e4)))["p99_latency", "api"]

    assert (found.value, found.lower, found.upper) == (10.0, 10.0, None)


@pytest.mark.parametrize(
    ("kpi", "changes", "total"),
    [
        ("memory", {}, 6e8),
        ("memory", {"across": "mean"}, 3e8),
        ("memory", {"across": "max"}, 3e8),
        ("uptime", {}, 1.0),
    ],
)
def test_services_add_up_as_the_policy_says(kpi: str, changes: dict[str, str], total: float) -> None:
    policy = policy_with(kpi, **changes)
    found = by_key(measure(telemetry(1), policy))

    assert found[kpi, ALL_SERVICES].value == pytest.approx(total, rel=0.02)


def test_a_maximum_is_not_a_mean() -> None:
    scene = during(Change(hours=(5, 6), alerts=2.0))
    mean = by_key(measure(telemetry(1, scene), policy_with("firing_critical_alerts", statistic="mean")))

    assert measured(scene)["firing_critical_alerts", "api"].value == 2.0
    assert mean["firing_critical_alerts", "api"].value == pytest.approx(2 / 24, abs=1e-9)


def test_a_step_that_one_service_misses_is_unknown_for_all() -> None:
    found = measured(Scene(silent=(("api", 0, 12),)))

    assert found["memory", "worker"].n_samples == 1440
    assert found["memory", ALL_SERVICES].n_samples == 720


def test_what_left_nothing_is_not_measured() -> None:
    found = measured(Scene(services=("api",), refused=("cpu",), nan=(("memory", "api", 1.0),)))

    assert ("memory", "api") not in found
    assert ("cpu", "api") not in found
    assert ("memory", "worker") not in found


def test_empty_telemetry_measures_nothing() -> None:
    empty = telemetry(1, Scene(services=()))

    assert measure(empty, demo_policy()) == ()
    assert blocks(empty, demo_policy()) == {}
    assert cost_parts(empty, demo_policy()) == {}


def test_requests_without_a_single_error_are_all_good() -> None:
    found = measured(Scene(errors=0.0))["availability", "api"]

    assert (found.value, found.n_bad, found.upper) == (1.0, 0, 1.0)
    assert found.lower < 1.0


# Hour by hour


def test_the_hours_of_a_day_hold_all_of_its_events() -> None:
    found = blocks(telemetry(1), demo_policy())
    whole = measured()["availability", "api"]

    assert found["availability", "api"].bad.sum() == whole.n_bad
    assert found["availability", "api"].total.sum() == whole.n_total
    assert found["p99_latency", "api"].bad.sum() == measured()["p99_latency", "api"].n_bad
    assert len(found["memory", "api"].values) == 24


def test_an_hour_that_is_less_than_half_known_is_unknown() -> None:
    half, less = Scene(silent=(("api", 0, 0.5),)), Scene(silent=(("api", 0, 0.6),))

    assert not np.isnan(blocks(telemetry(1, half), demo_policy())["memory", "api"].values[0])
    assert np.isnan(blocks(telemetry(1, less), demo_policy())["memory", "api"].values).tolist() == [True] + [False] * 23


def test_an_hour_without_events_has_no_share_and_no_quantile() -> None:
    found = blocks(telemetry(1, Scene(silent=(("api", 3, 5),))), demo_policy())

    for kpi in ("availability", "p99_latency"):
        assert np.flatnonzero(np.isnan(found[kpi, "api"].values)).tolist() == [3, 4]


@given(st.integers(1, 10_000))
def test_a_day_is_cut_into_equal_blocks(n_slots: int) -> None:
    n = n_blocks(n_slots)

    assert n_slots % n == 0
    assert 1 <= n <= 24


def test_a_short_day_is_cut_too() -> None:
    short = make(demo_policy(), release(day_length_s=3600), 1)

    assert len(blocks(short, demo_policy())["memory", "api"].values) == 12


# Cost


def test_parts_of_a_cost_are_summed_over_services() -> None:
    assert cost_parts(telemetry(1), demo_policy()) == pytest.approx(
        dict.fromkeys(("compute", "storage", "network", "other"), 0.025), rel=1e-6
    )


def test_a_refused_cost_has_no_parts() -> None:
    assert cost_parts(telemetry(1, Scene(refused=("cost_per_hour",))), demo_policy()) == {}


def test_samples_of_a_kpi_lie_on_the_grid_of_its_step() -> None:
    table = sample_table(telemetry(1), "memory")

    assert set(np.diff(table.at_ms)) == {60_000}
    assert table.values.shape == (2, 1440)
