"""Every step of a series gets a score that is a probability, and none where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import signal, stats

from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.anomalies.drift import day_trend
from tars_ops.core.watch.anomalies.scored import Scored, near_gaps, scored
from tars_ops.core.watch.anomalies.slot_scores import (
    burn_gains,
    burn_scores,
    clumping,
    count_scores,
    most_bad,
    slot_scores,
)
from tars_ops.core.watch.baseline import Clumps
from tars_ops.core.watch.detector.detection import score_threshold
from tars_ops_tests.core.factories import Change, Scene, baseline, demo_policy, during, policy_tree, telemetry

SLOT = score_threshold(0.01, 300)


def series(scene: Scene, policy: Policy | None = None) -> dict[tuple[str, str], Scored]:
    found = scored(telemetry(1, scene), baseline(), policy or demo_policy())
    return {(one.kpi, one.service): one for one in found if one}


def test_gaps_reach_as_far_as_a_rate_does() -> None:
    values = np.ones((1, 12))
    values[0, 6] = np.nan

    assert np.flatnonzero(near_gaps(values, n=2)[0]).tolist() == [4, 5, 6, 7, 8]
    assert np.flatnonzero(near_gaps(values, n=0)[0]).tolist() == [6]


@pytest.mark.parametrize("method", ["two_view", "ewma"])
def test_nothing_is_never_normal(method: str) -> None:
    policy = Policy.model_validate(policy_tree(anomalies={"method": method}))

    for one in series(Scene(silent=(("api", 6, 7),)), policy).values():
        assert np.isnan(one.score[np.isnan(one.values)]).all()


def test_a_sample_beyond_its_range_is_one_that_reaches_the_threshold() -> None:
    for one in series(during(Change(service="api", hours=(12, 12.5), memory=1.5, cpu=0.5))).values():
        known = ~np.isnan(one.score) & ~np.isnan(one.lower) & ~one.is_spread
        beyond = (one.values < one.lower) | (one.values > np.where(np.isnan(one.upper), np.inf, one.upper))

        assert (one.score[known & beyond] >= one.threshold - 1e-6).all(), (one.kpi, one.service)


@given(st.integers(0, 40), st.integers(1, 5000), st.floats(1e-5, 0.2))
def test_a_slot_is_scored_by_the_exact_binomial(n_bad: int, n_total: int, usual: float) -> None:
    bad, total = np.array([min(n_bad, n_total)]), np.array([n_total])

    found = slot_scores(bad, total, usual=usual)[0]

    assert found == pytest.approx(min(300, -stats.binom.logsf(bad[0] - 1, n_total, usual) / np.log(10)), rel=1e-6)


def test_a_slot_without_events_is_not_normal() -> None:
    assert np.isnan(slot_scores(np.array([0]), np.array([0]), usual=1e-3)).all()


@pytest.mark.parametrize("usual", [1e-4, 1e-3, 0.03])
def test_calm_counts_burn_slowly_less_than_the_policy_tolerates(usual: float) -> None:
    rng = np.random.default_rng(5)
    n_days = 400
    total = rng.poisson(300, size=(n_days, 288))
    gains = [burn_gains(rng.binomial(day, usual), day, usual=usual, unusual=max(2 * usual, 1e-3)) for day in total]

    assert sum((burn_scores(one, SLOT) > 0).any() for one in gains) / n_days <= 0.02


def test_a_burn_too_slow_for_any_slot_is_found_where_it_was() -> None:
    rng = np.random.default_rng(6)
    total = np.full(288, 60)
    bad = rng.binomial(total, np.where((np.arange(288) >= 100) & (np.arange(288) < 200), 0.004, 2e-4))

    slots = slot_scores(bad, total, usual=2e-4)
    burn = burn_scores(burn_gains(bad, total, usual=2e-4, unusual=1e-3), SLOT)

    marked = np.flatnonzero(burn)
    assert slots.max() < SLOT
    assert 75 <= marked[0] <= 130
    assert 170 <= marked[-1] < 200


@pytest.mark.parametrize(
    ("mean", "spread", "off"), [(50.0, 0.0, 0.02), (50.0, 0.5, 0.1), (50.0, 1.5, 0.6), (0.2, 1.5, 1.5)]
)
def test_clumps_are_learnt_where_bad_events_are_many(mean: float, spread: float, off: float) -> None:
    rng = np.random.default_rng(7)
    share = rng.gamma(1 / spread**2, spread**2, 288) if spread else np.ones(288)

    assert clumping(rng.poisson(mean * share), np.full(288, 100_000)) == pytest.approx(spread**2, abs=off)


def test_what_bad_events_cannot_tell_of_their_clumps_is_guessed() -> None:
    assert clumping(np.zeros(288, dtype=int), np.full(288, 20)) == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("spread", [1.0, 1.5])
def test_days_of_clumped_errors_raise_as_few_alarms_as_the_policy_tolerates(spread: float) -> None:
    rng = np.random.default_rng(9)
    n_days, total, usual = 300, np.full(288, 2000), 1e-3
    bad = rng.poisson(2000 * usual * rng.gamma(1 / spread**2, spread**2, (n_days, 288)))

    learnt, trusting = (
        [count_scores(day, total, usual=usual, unusual=2 * usual, threshold=SLOT, variation=v).max() for day in bad]
        for v in (clumping(bad[0], total), 0.0)
    )

    assert np.mean(np.array(learnt) >= SLOT) <= 0.1
    assert np.mean(np.array(trusting) >= SLOT) > 0.2


@pytest.mark.parametrize("variation", [0.0, 1.0])
def test_one_bad_event_more_than_calm_is_an_alarm(variation: float) -> None:
    total = np.array([10, 1000, 50_000])
    most = most_bad(total, 1e-3, 4.0, variation=variation).astype(int)

    assert (slot_scores(most, total, usual=1e-3, variation=variation) < 4.0).all()
    assert (slot_scores(most + 1, total, usual=1e-3, variation=variation) >= 4.0).all()


def test_counts_are_scored_by_the_clumps_of_the_ga_day() -> None:
    day = telemetry(1, during(Change(service="api", hours=(10, 10.1), errors=0.01)))

    smooth, clumped = (availability(day, variation) for variation in (0.0, 4.0))

    assert np.nanmax(smooth.score) > 2 * np.nanmax(clumped.score)


def availability(day: Telemetry, variation: float) -> Scored:
    clumps = (Clumps(kpi="availability", service="api", variation=variation),)
    found = scored(day, baseline().model_copy(update={"clumps": clumps}), demo_policy())
    return next(one for one in found if one and (one.kpi, one.service) == ("availability", "api"))


@pytest.mark.parametrize(("day", "most"), [(1, 1.0), (4, 2.0)])
def test_the_first_saturday_of_a_release_is_like_no_other_day(day: int, most: float) -> None:
    found = {one.kpi: one for one in scored(telemetry(day), baseline(), demo_policy()) if one and one.service == "api"}

    traffic = found["request_rate"].explained
    assert traffic is not None
    assert traffic.most.max() == most
    assert found["memory"].explained is None


# Trends


@pytest.mark.parametrize(("rho", "most"), [(0.5, 0), (0.9, 0), (0.99, 0), (1.0, 10)])
def test_noise_is_hardly_ever_a_drift(rho: float, most: int) -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(50):
        noise = signal.lfilter([1.0], [1.0, -rho], rng.standard_normal(1440))
        trend = day_trend(100 + noise)
        found.append(trend is not None and trend.score >= score_threshold(0.01, 60))

    assert sum(found) <= most


def test_a_season_is_no_drift_and_a_slope_below_it_is_not_seen() -> None:
    hours = np.arange(1440) / 60
    season = 100 * (1 + 0.4 * np.sin(2 * np.pi * hours / 24))

    assert day_trend(season) is None
    assert day_trend(season * (1 + 0.05 * hours / 24)) is None


def test_a_day_of_which_a_sixth_is_missing_has_no_trend() -> None:
    values = np.linspace(100, 110, 1440)
    values[:240] = np.nan

    assert day_trend(values) is None
    assert day_trend(np.linspace(100, 110, 1440)) is not None


# Latencies


@pytest.mark.parametrize(
    ("per_s", "quantile", "judged"), [(0.3, 0.99, False), (1.0, 0.99, False), (0.3, 0.5, True), (2.5, 0.99, True)]
)
def test_a_quantile_of_too_few_events_is_not_judged(per_s: float, quantile: float, *, judged: bool) -> None:
    name = {0.99: "p99_latency", 0.5: "p50_latency"}[quantile]

    score = series(Scene(requests_per_s=per_s))[name, "api"].score

    assert bool(np.isnan(score).mean() < 0.5) is judged
