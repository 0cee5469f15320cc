"""Events of a day: where, when, of what kind, how bad - and few on a day on which nothing happened."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pytest

from tars_ops.core.policy import Policy
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomaly import AnomalyClass, AnomalyEvent, AnomalyEvents, _near_gaps, find_anomalies
from tars_ops.core.watch.baseline import summarise
from tars_ops_tests.core.factories import (
    Change,
    Scene,
    anomalies,
    baseline,
    demo_policy,
    during,
    make,
    policy_tree,
    policy_with,
    release,
    telemetry,
)

EWMA = Policy.model_validate(policy_tree(anomalies={"method": "ewma", "z_threshold": 6.0}))
MINUTE = 1 / 60
FIVE_MINUTES = (12.0, 12.08)
"""Twelve o'clock to the sample of four minutes past."""


def at(hour: float, *, day: int = 1) -> datetime:
    return release().window(day).start_at + timedelta(hours=hour)


def of(found: AnomalyEvents, kpi: str, service: str = "api") -> list[AnomalyEvent]:
    return [event for event in found.events if (event.kpi, event.service) == (kpi, service)]


def under(policy: Policy, scene: Scene) -> AnomalyEvents:
    first = summarise(make(policy, release(), 0), release(), policy)
    return find_anomalies(make(policy, release(), 1, scene), first, release(), policy, day=1)


# Quiet days


def test_a_steady_week_has_no_event_at_this_seed() -> None:
    assert [len(anomalies(day, seed=1).events) for day in range(1, 8)] == [0] * 7


@pytest.mark.parametrize("seed", range(2, 8))
def test_a_steady_day_has_few_events(seed: int) -> None:
    assert len(anomalies(1, seed=seed).events) <= 2


def test_series_are_counted_and_those_that_cannot_be_scored_too() -> None:
    found = anomalies()

    assert (found.n_series, found.n_uncalibrated) == (22, 2)  # alerts are flat at 0: nothing is usual for them


def test_telemetry_without_a_service_is_silence_and_not_calm() -> None:
    found = anomalies(1, Scene(services=()))

    assert [(one.anomaly_class, one.service) for one in found.events] == [
        (AnomalyClass.SILENCE, "api"),
        (AnomalyClass.SILENCE, "worker"),
    ]
    assert found.n_series == 0


# Each kind of event


def test_a_spike_is_found_where_and_when_it_was() -> None:
    found = anomalies(1, during(Change(service="api", hours=FIVE_MINUTES, memory=2.0)))

    assert [(one.kpi, one.service) for one in found.events] == [("memory", "api")]
    assert found.events[0].anomaly_class is AnomalyClass.SPIKE
    assert (found.events[0].started_at, found.events[0].ended_at) == (at(12), at(12 + 5 * MINUTE))
    assert at(12) <= found.events[0].peak_at < at(12 + 5 * MINUTE)
    assert found.events[0].peak == pytest.approx(6e8, rel=0.1)
    assert found.events[0].expected == pytest.approx(3e8, rel=0.1)
    assert found.events[0].severity is Severity.CRITICAL


def test_a_drop_is_found_where_and_when_it_was() -> None:
    found = anomalies(1, during(Change(service="worker", hours=(3, 3 + 5 * MINUTE), memory=0.4)))

    assert [(one.kpi, one.service, one.anomaly_class) for one in found.events] == [
        ("memory", "worker", AnomalyClass.DROP)
    ]
    assert found.events[0].started_at == at(3)


def test_a_change_that_stays_is_a_level_shift() -> None:
    found = of(anomalies(1, during(Change(service="api", hours=(8, 24), memory=1.5))), "memory")

    assert found[0].anomaly_class is AnomalyClass.LEVEL_SHIFT
    assert found[0].started_at == at(8)
    assert found[0].ended_at - found[0].started_at > timedelta(minutes=30)


def test_a_silent_stretch_is_an_event_of_its_own() -> None:
    found = anomalies(1, Scene(silent=(("api", 6, 7),)))

    silence = of(found, "*")
    assert [(one.anomaly_class, one.started_at, one.ended_at) for one in silence] == [
        (AnomalyClass.SILENCE, at(6), at(7))
    ]
    assert silence[0].severity is Severity.HIGH
    assert of(found, "*", "worker") == []


@pytest.mark.parametrize(("minutes", "n_events"), [(14, 0), (15, 1)])
def test_fifteen_minutes_without_a_sample_are_a_silence(minutes: int, n_events: int) -> None:
    found = anomalies(1, Scene(silent=(("api", 6, 6 + minutes * MINUTE),)))

    assert len(of(found, "*")) == n_events


def test_a_service_that_is_gone_all_day_is_silent_all_day() -> None:
    found = of(anomalies(1, Scene(services=("worker",))), "*")

    assert [(one.started_at, one.ended_at) for one in found] == [(at(0), at(24))]


def test_a_kpi_that_nobody_could_ask_for_is_no_silence() -> None:
    sampled = tuple(name for name, kpi in demo_policy().judged.items() if kpi.kind not in {"ratio", "latency"})

    assert anomalies(1, Scene(refused=sampled)).events == ()
    assert anomalies(1, Scene(unrecorded=sampled)).events == ()
    assert of(anomalies(1, Scene(refused=sampled[1:], silent=(("api", 6, 7),))), "*") != []


def test_a_policy_without_sampled_kpis_hears_no_silence() -> None:
    kpis = {name: kpi for name, kpi in policy_tree()["kpis"].items() if kpi["kind"] == "ratio"}

    assert under(Policy.model_validate(policy_tree(kpis=kpis)), Scene()).events == ()


def test_errors_are_found_in_their_slots() -> None:
    found = of(anomalies(1, during(Change(service="api", hours=(10, 10.5), errors=0.05))), "availability")

    assert [(one.started_at, one.ended_at) for one in found] == [(at(10), at(10.5))]
    assert found[0].anomaly_class is AnomalyClass.DROP
    assert found[0].severity is Severity.CRITICAL
    assert found[0].peak < 0.999


def test_errors_at_night_are_found_although_few_people_ask() -> None:
    quiet = Scene(requests_per_s=0.05)
    first = summarise(telemetry(0, quiet), release(), demo_policy())
    day = telemetry(1, during(Change(service="api", hours=(2, 3), errors=0.5), requests_per_s=0.05))

    found = find_anomalies(day, first, release(), demo_policy(), day=1)

    assert {one.kpi for one in found.events if one.service == "api" and one.kpi == "availability"} == {"availability"}


# Merging, gaps and severities


@pytest.mark.parametrize(("second", "n_events"), [(12.5, 1), (14.0, 2)])
def test_neighbouring_anomalies_are_one_event(second: float, n_events: int) -> None:
    two = during(
        Change(service="api", hours=(12, 12 + 2 * MINUTE), memory=2.0),
        Change(service="api", hours=(second, second + 2 * MINUTE), memory=2.0),
    )

    assert len(of(anomalies(1, two), "memory")) == n_events


def test_samples_next_to_a_gap_are_not_scored() -> None:
    beside = Change(service="api", hours=(6 + 10 * MINUTE, 6 + 13 * MINUTE), cpu=10.0)
    gap = (("api", 6.0, 6 + 10 * MINUTE),)

    assert of(anomalies(1, during(beside, silent=gap)), "cpu") == []
    assert of(anomalies(1, during(beside)), "cpu") != []


def test_gaps_reach_as_far_as_a_rate_does() -> None:
    values = np.ones((1, 12))
    values[0, 6] = np.nan

    assert np.flatnonzero(_near_gaps(values, n=2)[0]).tolist() == [4, 5, 6, 7, 8]
    assert np.flatnonzero(_near_gaps(values, n=0)[0]).tolist() == [6]


def test_a_critical_event_is_beyond_the_promise_or_far_from_the_baseline() -> None:
    small = of(anomalies(1, during(Change(service="api", hours=(12, 12.1), memory=1.25))), "memory")
    large = of(anomalies(1, during(Change(service="api", hours=(12, 12.1), memory=1.60))), "memory")

    assert [one.severity for one in small] == [Severity.HIGH]
    assert [one.severity for one in large] == [Severity.CRITICAL]


def test_a_surprise_within_the_tolerance_is_nobodys_business() -> None:
    calm = Scene(noise=0.001)
    first = summarise(telemetry(0, calm), release(), demo_policy())
    day = telemetry(1, during(Change(service="api", hours=(12, 12.1), memory=1.04), noise=0.001))
    strict = policy_with("memory", tolerance=0.001)

    assert of(find_anomalies(day, first, release(), demo_policy(), day=1), "memory") == []
    assert of(find_anomalies(day, first, release(), strict, day=1), "memory") != []


def test_the_score_of_an_event_is_the_logarithm_of_its_probability() -> None:
    event = of(anomalies(1, during(Change(service="api", hours=(12, 12.1), memory=1.25))), "memory")[0]

    assert event.score == pytest.approx(-np.log10(event.p))
    assert 0 < event.p < 1e-5


# The plain chart


def test_the_policy_chooses_the_method() -> None:
    found = under(EWMA, during(Change(service="api", hours=(12, 12 + 5 * MINUTE), memory=2.0)))

    assert found.method == "ewma"
    assert [(one.anomaly_class, one.started_at) for one in of(found, "memory")] == [(AnomalyClass.SPIKE, at(12))]
    assert of(found, "memory")[0].expected == pytest.approx(3e8, rel=0.1)


def test_the_plain_chart_finds_drops_too() -> None:
    found = under(EWMA, during(Change(service="api", hours=(12, 12 + 5 * MINUTE), memory=0.3)))

    assert [one.anomaly_class for one in of(found, "memory")] == [AnomalyClass.DROP]


def test_usual_errors_are_no_event_whatever_the_method() -> None:
    found = under(EWMA, Scene())

    assert of(found, "availability") == []
    assert of(found, "cache_hit_ratio") == []


def test_the_threshold_of_the_plain_chart_is_the_policys() -> None:
    low = Policy.model_validate(policy_tree(anomalies={"method": "ewma", "z_threshold": 2.0}))

    assert len(under(low, Scene(noise=0.1)).events) > len(under(EWMA, Scene(noise=0.1)).events)


def test_without_a_baseline_nothing_is_scored() -> None:
    thin = baseline(Scene(keep=0.5))
    found = find_anomalies(telemetry(1), thin, release(), demo_policy(), day=1)

    assert (found.n_series, found.n_uncalibrated) == (0, 24)
    assert found.events == ()
