"""What each KPI was: counted, never averaged, and nothing made up where nothing is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tars_ops.core.policy import ALL_SERVICES, LatencyKpi
from tars_ops.core.sli import quantile
from tars_ops.core.telemetry import count_table, sample_table
from tars_ops.core.watch.comparisons.slots import slot_table
from tars_ops.core.watch.measure import Measured, by_key, cost_parts, measure
from tars_ops_tests.core.factories import Change, Scene, demo_policy, during, policy_with, telemetry

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
    hours = slot_table(telemetry(1, scene), demo_policy())["availability", "api"]

    assert found.value > 0.999
    assert hours.hourly().mean() < 0.985
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


def test_only_a_quantile_has_a_smooth_value_and_it_lies_in_the_bucket_of_the_one_shown() -> None:
    found = measured()
    p99 = found["p99_latency", "api"]

    assert {one.kpi for one in found.values() if one.smooth is not None} == {
        name for name, kpi in demo_policy().judged.items() if isinstance(kpi, LatencyKpi)
    }
    assert p99.lower < p99.smooth < p99.upper
    assert p99.smooth != p99.value
    assert p99.comparable == p99.smooth
    assert found["memory", "api"].comparable == found["memory", "api"].value


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
    assert slot_table(empty, demo_policy()) == {}
    assert cost_parts(empty, demo_policy()) == {}


def test_requests_without_a_single_error_are_all_good() -> None:
    found = measured(Scene(errors=0.0))["availability", "api"]

    assert (found.value, found.n_bad, found.upper) == (1.0, 0, 1.0)
    assert found.lower < 1.0


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
