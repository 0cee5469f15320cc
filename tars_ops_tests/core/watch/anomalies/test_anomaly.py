"""Events of a day: where, when, of what kind, how bad - and few on a day on which nothing happened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from tars_ops.core.policy import Policy
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyClass, AnomalyEvent, AnomalyEvents, Direction
from tars_ops.core.watch.anomalies.excursion import Excursion
from tars_ops.core.watch.anomalies.scored import scored
from tars_ops.core.watch.anomalies.weight import matters
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


def test_a_steady_week_has_hardly_any_event() -> None:
    assert sum(len(anomalies(day, seed=1).events) for day in range(1, 8)) <= 1


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
    assert found.events[0].severity is Severity.HIGH


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
        Change(service="api", hours=(second, second + 2 * MINUTE), memory=3.0),
    )

    assert len(of(anomalies(1, two), "memory")) == n_events


def test_samples_next_to_a_gap_are_not_scored() -> None:
    beside = Change(service="api", hours=(6 + 10 * MINUTE, 6 + 13 * MINUTE), cpu=10.0)
    gap = (("api", 6.0, 6 + 10 * MINUTE),)

    assert of(anomalies(1, during(beside, silent=gap)), "cpu") == []
    assert of(anomalies(1, during(beside)), "cpu") != []


@pytest.mark.parametrize(
    ("factor", "hours", "severity"),
    [
        (1.60, 1.0, Severity.CRITICAL),
        (1.20, 1.0, Severity.HIGH),  # not far enough
        (1.60, 0.1, Severity.HIGH),  # not for long enough
        (0.40, 1.0, Severity.HIGH),  # less memory hurts nobody
    ],
)
def test_a_critical_event_without_a_promise_is_far_on_the_worse_side_and_lasts(
    factor: float, hours: float, severity: Severity
) -> None:
    found = of(anomalies(1, during(Change(service="api", hours=(12, 12 + hours), memory=factor))), "memory")

    assert [one.severity for one in found] == [severity]


def test_broken_promises_are_critical_however_short() -> None:
    found = of(anomalies(1, during(Change(service="api", hours=(10, 10.1), errors=0.2))), "availability")

    assert [one.severity for one in found] == [Severity.CRITICAL]


@pytest.mark.parametrize(("minutes", "n_events"), [(10, 0), (240, 1)])
def test_prices_are_summed_over_the_day(minutes: int, n_events: int) -> None:
    """Ten minutes at twice the usual are 0.7 % of the day's cost; four hours are 17 %."""
    found = bent(within(12, 12 + minutes / 60, 2.0), kpi="cost_per_hour")

    assert len(of(found, "cost_per_hour")) == n_events


@pytest.mark.parametrize(
    ("decades", "minutes", "value", "worth"),
    [
        (0.5, 10, 3e8, False),
        (1.0, 10, 3e8, True),
        (0.5, 40, 3e8, True),
        (0.5, 10, 0.0, True),
    ],
)
def test_a_blip_has_to_be_ten_times_rarer(decades: float, minutes: int, value: float, *, worth: bool) -> None:
    one = next(one for one in scored(telemetry(1), baseline(), demo_policy()) if one and one.kpi == "memory")
    found = Excursion(0, minutes, 0, AnomalyClass.SPIKE, value, 2e8, 1e8, 2.5e8, one.threshold + decades)

    assert matters(one, found, demo_policy().judged["memory"]) is worth


# What load and calendar explain


def moved(*kpis: str, factor: float, hours: tuple[float, float] = (12, 16)) -> AnomalyEvents:
    """Return the events of a day on which some series of a service move together."""
    day = telemetry(1)
    mine = day.samples["kpi"].isin(kpis) & (day.samples["service"] == "api")
    at_hour = ((day.samples["at"] - pd.Timestamp(at(0))).dt.total_seconds() / 3600).to_numpy()
    bend = np.where(mine & (at_hour >= hours[0]) & (at_hour < hours[1]), factor, 1.0)
    samples = day.samples.assign(value=(day.samples["value"].to_numpy(np.float64) * bend).astype(np.float32))
    return find_anomalies(replace(day, samples=samples), baseline(), release(), demo_policy(), day=1)


@pytest.mark.parametrize("factor", [0.4, 2.5])
def test_cpu_that_follows_the_traffic_is_an_event_of_the_traffic(factor: float) -> None:
    alone, together = moved("cpu", factor=factor), moved("cpu", "request_rate", factor=factor)

    assert of(alone, "cpu") != []
    assert of(together, "cpu") == []
    assert of(together, "request_rate") != []


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


# Shapes that the scenes do not have


def bent(bend: Callable[[np.ndarray], np.ndarray], *, kpi: str = "memory", service: str = "api") -> AnomalyEvents:
    """Return the events of a steady day of which one series is multiplied by a function of the hour."""
    day = telemetry(1)
    mine = (day.samples["kpi"] == kpi) & (day.samples["service"] == service)
    hours = ((day.samples["at"] - pd.Timestamp(at(0))).dt.total_seconds() / 3600).to_numpy()
    factor = np.where(mine, bend(hours), 1.0)
    values = (day.samples["value"].to_numpy(np.float64) * factor).astype(np.float32)
    samples = day.samples.assign(value=values)[~np.isnan(factor)].reset_index(drop=True)
    return find_anomalies(replace(day, samples=samples), baseline(), release(), demo_policy(), day=1)


def within(low: float, high: float, value: float) -> Callable[[np.ndarray], np.ndarray]:
    return lambda hours: np.where((hours >= low) & (hours < high), value, 1.0)


@pytest.mark.parametrize(
    ("bend", "kpi", "kind", "hour"),
    [
        (within(12, 12.1, 2.0), "memory", AnomalyClass.SPIKE, 12),
        (within(12, 12.1, 0.4), "memory", AnomalyClass.DROP, 12),
        (within(12, 14, 1.5), "memory", AnomalyClass.LEVEL_SHIFT, 12),
        (within(12, 24, 0.5), "memory", AnomalyClass.LEVEL_SHIFT, 12),
        (lambda hours: 1 + 0.3 * hours / 24, "memory", AnomalyClass.DRIFT, 0),
        (lambda hours: 1 - 0.3 * hours / 24, "memory", AnomalyClass.DRIFT, 0),
        (lambda hours: 1 + 0.3 * np.clip(hours - 10, 0, 2) / 2, "memory", AnomalyClass.DRIFT, None),
        (
            lambda hours: 1 + 0.08 * (hours >= 12) * np.random.default_rng(3).standard_normal(len(hours)),
            "memory",
            AnomalyClass.SPREAD,
            None,
        ),
        (within(12, 12.5, 0.0), "request_rate", AnomalyClass.DROP, 12),
        (within(12, 13, np.nan), "memory", AnomalyClass.SILENCE, 12),
    ],
)
def test_a_fault_is_of_its_class(
    bend: Callable[[np.ndarray], np.ndarray], kpi: str, kind: AnomalyClass, hour: float | None
) -> None:
    """Where no hour is given, the first alarm comes later than the change."""
    found = of(bent(bend, kpi=kpi), kpi)

    assert found[0].anomaly_class is kind
    if hour is not None:
        assert [one.started_at for one in found] == [at(hour)]


def test_a_slope_is_dated_to_where_it_began() -> None:
    dated = of(bent(lambda hours: 1 + 0.3 * np.clip(hours - 10, 0, 2) / 2), "memory")[0].change_point

    assert dated is not None
    assert dated.earliest_at <= at(10) <= dated.latest_at


def test_an_excursion_ends_when_the_series_is_back_where_it_was() -> None:
    event = of(bent(within(12, 14, 1.5)), "memory")[0]

    assert event.ended_at == at(14)
    assert "was back after 2 h" in event.sentence


def test_an_excursion_that_outlasts_the_day_does_not_say_that_it_is_back() -> None:
    event = of(bent(within(12, 24, 1.5)), "memory")[0]

    assert event.ended_at == at(24)
    assert "was back" not in event.sentence


def test_a_level_shift_is_dated_and_a_spike_is_not() -> None:
    shift, spike = (of(bent(within(12, until, 1.5)), "memory")[0] for until in (20, 12.1))

    assert shift.change_point is not None
    assert shift.change_point.earliest_at <= shift.change_point.at == at(12) <= shift.change_point.latest_at
    assert spike.change_point is None


def test_a_rate_may_have_changed_before_its_first_sample_that_shows_it() -> None:
    dated = of(bent(within(12, 20, 1.5)), "memory")[0].change_point
    measurement = demo_policy().measurement

    assert dated is not None
    assert dated.at - dated.earliest_at >= timedelta(seconds=measurement.rate_window_s - measurement.step_s)


def test_errors_are_dated_on_their_counts() -> None:
    dated = of(anomalies(1, during(Change(service="api", hours=(10, 11), errors=0.05))), "availability")[0].change_point

    assert dated is not None
    assert dated.earliest_at <= dated.at == at(10) <= dated.latest_at


def test_a_slow_burn_is_found_that_no_single_slot_shows() -> None:
    quiet, burning = Scene(requests_per_s=0.3), Scene(requests_per_s=0.3, errors=0.004)
    first = summarise(telemetry(0, quiet), release(), demo_policy())

    found = find_anomalies(telemetry(1, burning), first, release(), demo_policy(), day=1)

    assert {one.anomaly_class for one in of(found, "availability")} == {AnomalyClass.LEVEL_SHIFT}
    assert of(found, "availability")[0].ended_at - of(found, "availability")[0].started_at > timedelta(hours=6)


@pytest.mark.parametrize(("tolerated", "n_events"), [(0.1, 1), (0.4, 0)])
def test_errors_that_hardly_cost_budget_are_nobodys_business(tolerated: float, n_events: int) -> None:
    """Ten minutes of 3 % errors are a fifth of the budget that 99.9 % leave for a day."""
    policy = policy_with("availability", tolerance=tolerated)

    found = under(policy, during(Change(service="api", hours=(10, 10 + 10 * MINUTE), errors=0.03)))

    assert len(of(found, "availability")) == n_events


# Zero, and nothing


def test_a_fall_to_0_has_a_sentence_of_its_own() -> None:
    event = of(bent(within(12, 12.5, 0.0), kpi="request_rate"), "request_rate")[0]

    assert event.peak == 0
    assert event.severity in {Severity.CRITICAL, Severity.HIGH}
    assert "fell to 0 at 2025-11-19 12:00 UTC" in event.sentence


def test_0_is_no_news_where_it_was_seen_on_the_ga_day() -> None:
    numb = Policy.model_validate(policy_tree(anomalies={"method": "ewma", "z_threshold": 100.0}))
    days = Scene(), during(Change(service="api", hours=(3, 3.1), up=0.0))
    down = telemetry(1, during(Change(service="api", hours=(12, 12.5), up=0.0)))

    strict, used_to_it = (
        find_anomalies(down, summarise(telemetry(0, day), release(), numb), release(), numb, day=1).events
        for day in days
    )

    assert [(one.kpi, one.anomaly_class, one.started_at, one.ended_at) for one in strict] == [
        ("uptime", AnomalyClass.DROP, at(12), at(12.5))
    ]
    assert used_to_it == ()


@pytest.mark.parametrize(("minutes", "n_events"), [(14, 0), (15, 1)])
def test_fifteen_minutes_at_0_are_news_whatever_the_score(minutes: int, n_events: int) -> None:
    numb = Policy.model_validate(policy_tree(anomalies={"method": "ewma", "z_threshold": 100.0}))

    found = under(numb, during(Change(service="api", hours=(12, 12 + minutes * MINUTE), up=0.0)))

    assert len(of(found, "uptime")) == n_events


def test_a_series_that_vanishes_alone_is_silent_and_its_service_is_not() -> None:
    found = bent(within(12, 13, np.nan))

    assert of(found, "*") == []
    assert [(one.started_at, one.ended_at) for one in of(found, "memory")] == [(at(12), at(13))]
    assert "Memory of api left no sample from 2025-11-19 12:00 to 13:00 UTC" in of(found, "memory")[0].sentence


def test_a_series_that_is_gone_all_day_is_silent_all_day() -> None:
    found = of(bent(within(0, 24, np.nan)), "memory")

    assert [(one.started_at, one.ended_at) for one in found] == [(at(0), at(24))]


def test_a_latency_without_traffic_is_no_silence() -> None:
    assert bent(within(2, 6, np.nan), kpi="p99_latency").events == ()


def test_a_series_that_the_ga_day_does_not_vouch_for_is_not_missed() -> None:
    first = summarise(telemetry(0, Scene(without=(("memory", "api"),))), release(), demo_policy())
    day = telemetry(1, Scene(without=(("memory", "api"),)))

    assert find_anomalies(day, first, release(), demo_policy(), day=1).events == ()


# Company


def test_companions_are_those_that_moved_then_their_own_service_first() -> None:
    both = during(
        Change(service="api", hours=(12, 13), memory=2.0),
        Change(service="api", hours=(12 + 3 * MINUTE, 13), cpu=2.0),
        Change(service="worker", hours=(12 - 2 * MINUTE, 13), memory=0.5),
        Change(service="worker", hours=(18, 19), cpu=3.0),
    )
    found = anomalies(1, both)

    event = of(found, "memory")[0]

    assert [(one.kpi, one.service, one.direction, one.lag_s) for one in event.companions] == [
        ("cpu", "api", Direction.UP, 180),
        ("memory", "worker", Direction.DOWN, -120),
    ]
    assert "with it moved CPU (up, 3 min later), Memory of worker (down, 2 min earlier)" in event.sentence


def test_an_event_alone_has_no_companions() -> None:
    assert of(bent(within(12, 14, 1.5)), "memory")[0].companions == ()


# Properties


def test_the_order_of_services_is_irrelevant() -> None:
    changed = (Change(service="api", hours=(12, 13), memory=2.0),)
    pair, alone = (anomalies(1, Scene(services=names, changes=changed)) for names in (("worker", "api"), ("api",)))

    def told(found: AnomalyEvents) -> list[tuple]:
        return [(one.kpi, one.started_at, one.ended_at, one.score) for one in of(found, "memory")]

    assert told(pair) == told(alone) != []


@pytest.mark.parametrize("minutes", [-90, 7, 200])
def test_a_fault_that_comes_later_is_found_later(minutes: int) -> None:
    events = [of(bent(within(12 + late / 60, 13 + late / 60, 1.5)), "memory")[0] for late in (0, minutes)]

    assert events[1].started_at - events[0].started_at == timedelta(minutes=minutes)
    assert events[1].ended_at - events[0].ended_at == timedelta(minutes=minutes)


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_a_constant_series_has_no_event(level: float) -> None:
    constant = Scene(noise=0.0, changes=(Change(up=level),), errors=0.0)
    first = summarise(telemetry(0, constant), release(), demo_policy())

    found = find_anomalies(telemetry(1, constant), first, release(), demo_policy(), day=1)

    assert [one for one in found.events if one.kpi in {"memory", "uptime"}] == []


def test_no_range_reaches_below_0_where_no_value_does() -> None:
    events = of(bent(within(12, 12.1, 9.0), kpi="p99_latency"), "p99_latency")

    assert [one.lower >= 0 for one in events if one.lower is not None] == [True] * len(events) != []


# The plain chart


@pytest.mark.parametrize(("factor", "kind"), [(2.0, AnomalyClass.SPIKE), (0.3, AnomalyClass.DROP)])
def test_the_policy_chooses_the_method(factor: float, kind: AnomalyClass) -> None:
    found = under(EWMA, during(Change(service="api", hours=(12, 12 + 5 * MINUTE), memory=factor)))

    event = max(of(found, "memory"), key=lambda one: one.score)

    assert found.method == "ewma"
    assert (event.anomaly_class, event.started_at) == (kind, at(12))
    assert event.expected == pytest.approx(3e8, rel=0.1)
    assert event.lower is not None
    assert event.upper is not None
    assert not event.lower < event.peak < event.upper


def test_usual_errors_are_no_event_whatever_the_method() -> None:
    found = under(EWMA, Scene())

    assert of(found, "availability") == []
    assert of(found, "cache_hit_ratio") == []


def test_the_threshold_of_the_plain_chart_is_the_policys() -> None:
    low = Policy.model_validate(policy_tree(anomalies={"method": "ewma", "z_threshold": 2.0}))
    length = [
        sum((one.ended_at - one.started_at for one in under(policy, Scene(noise=0.1)).events), timedelta())
        for policy in (low, EWMA)
    ]

    assert length[0] > 2 * length[1]


def test_without_a_baseline_nothing_is_scored() -> None:
    thin = baseline(Scene(keep=0.5))
    found = find_anomalies(telemetry(1), thin, release(), demo_policy(), day=1)

    assert (found.n_series, found.n_uncalibrated) == (0, 24)
    assert found.events == ()
