"""The verdict of a day: promises, comfort and drift, and everything that must never look green."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from tars_ops.core.errors import ContractError
from tars_ops.core.policy import Policy, Worse
from tars_ops.core.sli import quantile
from tars_ops.core.verdict import Verdict, worst
from tars_ops.core.watch.baseline import summarise
from tars_ops.core.watch.comparisons.drafts import Buckets
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.stability import (
    DailyStability,
    KpiDay,
    change_text,
    drift_of,
    harm_of,
    judge_day,
    keeps_its_promise,
)
from tars_ops_tests.core.factories import (
    Change,
    Scene,
    baseline,
    demo_policy,
    during,
    make,
    policy_tree,
    policy_with,
    release,
    stability,
    telemetry,
)

ALPHA = 0.001
AVAILABILITY = demo_policy().judged["availability"]
P99 = demo_policy().judged["p99_latency"]
MEMORY = demo_policy().judged["memory"]


def row(found: DailyStability, kpi: str, service: str = "api") -> KpiDay:
    one = found.of_service(kpi, service)
    assert one is not None, f"{kpi} of {service} was not judged"
    return one


def under(policy: Policy, scene: Scene = Scene(), ga: Scene = Scene()) -> DailyStability:  # noqa: B008 - frozen
    """Judge day 1 under another policy than the demo's."""
    first = summarise(make(policy, release(), 0, ga), release(), policy)
    return judge_day(make(policy, release(), 1, scene), first, release(), policy, day=1)


def ratio(bad: int, total: int) -> Measured:
    value = 1 - bad / total if total else None
    return Measured(kpi="availability", service="api", value=value, n_bad=bad, n_total=total)


def latency(value: float, lower: float, upper: float | None, *, n_total: int = 10_000) -> Measured:
    return Measured(kpi="p99_latency", service="api", value=value, lower=lower, upper=upper, n_bad=0, n_total=n_total)


def promise(measured: Measured, *, missing: str | None = None, policy: Policy | None = None) -> Verdict:
    kpi = (policy or demo_policy()).judged[measured.kpi]
    return keeps_its_promise(kpi, measured, missing=missing, alpha=ALPHA).verdict


def test_a_steady_day_passes_in_every_kpi() -> None:
    found = stability()

    assert found.verdict is Verdict.PASS
    assert {(one.kpi, one.service) for one in found.kpis} == {
        (kpi, service) for kpi in demo_policy().judged for service in ("api", "worker")
    }


# Unknown is never green

BLIND: dict[str, tuple[Scene, str, str]] = {
    "no telemetry at all": (Scene(services=()), "availability", "no data"),
    "a thin day": (Scene(keep=0.5), "availability", "coverage 0.50 < 0.90"),
    "a thin day, for gauges": (Scene(keep=0.5), "memory", "coverage 0.50 < 0.90"),
    "a silent service": (Scene(silent=(("api", 0, 24),)), "availability", "no data"),
    "a service that fell silent": (Scene(silent=(("api", 12, 24),)), "p99_latency", "coverage 0.50 < 0.90"),
    "a service that was there on the GA day": (Scene(services=("worker",)), "availability", "no data"),
    "a warning of the server": (Scene(warned=("availability",)), "availability", "the server warned"),
    "a refused query": (Scene(refused=("p99_latency",)), "p99_latency", "not measured: HTTP 422"),
    "a KPI that was not recorded": (Scene(unrecorded=("memory",)), "memory", "not part of this telemetry"),
    "a KPI that disappeared": (Scene(without=(("memory", "api"),)), "memory", "no data"),
    "only NaN": (Scene(nan=(("memory", "api", 1.0),)), "memory", "the server answered no number"),
    "mostly NaN": (Scene(nan=(("memory", "api", 0.6),)), "memory", "numbers for 0.40 < 0.90 of the steps"),
    "no valid events": (during(Change(traffic=0.0)), "availability", "no valid events"),
    "no valid events, for latencies": (during(Change(traffic=0.0)), "p99_latency", "no valid events"),
    "too few events": (Scene(requests_per_s=3e-4), "availability", "valid events, at least 50 are needed"),
    "too few events for a quantile": (Scene(requests_per_s=8e-4), "p99_latency", "at least 100 are needed"),
}


@pytest.mark.parametrize(("scene", "kpi", "reason"), BLIND.values(), ids=BLIND.keys())
def test_what_nobody_knows_is_never_green(scene: Scene, kpi: str, reason: str) -> None:
    found = stability(1, scene)
    one = row(found, kpi)

    assert found.verdict in {Verdict.UNKNOWN, Verdict.FAIL}
    assert one.verdict is Verdict.UNKNOWN
    assert reason in one.reason
    assert found.of(kpi).verdict is Verdict.UNKNOWN
    assert one.slo in {Verdict.UNKNOWN, None}


def test_one_blind_service_makes_the_day_unknown_and_leaves_the_others_judged() -> None:
    found = stability(1, Scene(services=("worker",)))

    assert found.verdict is Verdict.UNKNOWN
    assert {one.verdict for one in found.kpis if one.service == "worker"} == {Verdict.PASS}


def test_a_thin_day_is_never_green() -> None:
    found = stability(1, Scene(keep=0.5))

    assert found.verdict is Verdict.UNKNOWN
    assert {one.verdict for one in found.kpis} == {Verdict.UNKNOWN}
    assert "coverage 0.50 < 0.90" in found.of("availability").reason


def test_a_bad_day_that_is_thin_is_unknown_and_not_failed() -> None:
    found = stability(1, during(Change(errors=0.5), keep=0.5))

    assert row(found, "availability").verdict is Verdict.UNKNOWN


def test_a_known_failure_stays_known_beside_something_unknown() -> None:
    found = stability(1, during(Change(service="worker", errors=0.5), silent=(("api", 0, 24),)))

    assert found.verdict is Verdict.FAIL
    assert found.of("availability").worst_service == "worker"


def test_a_baseline_of_zero_leaves_a_relative_drift_unknown() -> None:
    found = stability(1, ga=during(Change(memory=0.0)))

    assert row(found, "memory").verdict is Verdict.UNKNOWN
    assert "the GA day was 0" in row(found, "memory").reason


def test_a_comfort_limit_speaks_for_a_baseline_of_zero() -> None:
    calm, alert = stability(), stability(1, during(Change(hours=(3, 4), alerts=1.0)))

    assert row(calm, "firing_critical_alerts").verdict is Verdict.PASS
    assert row(alert, "firing_critical_alerts").verdict is Verdict.WARN
    assert "1 is above the comfort limit 0" in row(alert, "firing_critical_alerts").reason


def test_a_service_that_is_new_has_no_baseline() -> None:
    found = stability(1, Scene(services=("api", "late", "worker")))

    assert row(found, "memory", "late").verdict is Verdict.UNKNOWN
    assert "no baseline: on the GA day, the service was not there" in row(found, "memory", "late").reason


def test_a_thin_ga_day_is_no_baseline() -> None:
    found = stability(1, ga=Scene(keep=0.5))

    assert found.verdict is Verdict.UNKNOWN
    assert "no baseline: on the GA day, coverage 0.50 < 0.90" in row(found, "memory").reason


def test_a_broken_promise_needs_no_baseline() -> None:
    found = stability(1, during(Change(errors=0.05)), ga=Scene(keep=0.5))

    assert row(found, "availability").verdict is Verdict.FAIL


def test_a_kpi_that_one_service_never_had_is_not_asked_of_it() -> None:
    without = Scene(without=(("db_p95_latency", "worker"),))
    found = stability(1, without, ga=without)

    assert found.of_service("db_p95_latency", "worker") is None
    assert found.verdict is Verdict.PASS


def test_a_kpi_that_no_service_ever_had_is_unknown() -> None:
    nowhere = Scene(without=(("availability", "api"), ("availability", "worker")))
    found = stability(1, nowhere, ga=nowhere)

    assert found.verdict is Verdict.UNKNOWN
    assert row(found, "availability").slo is Verdict.UNKNOWN


def test_a_service_that_the_policy_names_must_answer() -> None:
    tree = policy_tree()
    policy = Policy.model_validate({**tree, "measurement": {**tree["measurement"], "services": ["api", "ghost"]}})

    assert row(under(policy), "availability", "ghost").verdict is Verdict.UNKNOWN


def test_a_kpi_outside_the_policy_is_unknown() -> None:
    assert stability().of("nothing").verdict is Verdict.UNKNOWN


# Promises


@pytest.mark.parametrize(
    ("bad", "total", "verdict"),
    [
        (0, 100_000, Verdict.PASS),
        (100, 100_000, Verdict.PASS),
        (101, 100_000, Verdict.WARN),
        (135, 100_000, Verdict.FAIL),
        (1, 999, Verdict.WARN),
        (2, 50, Verdict.WARN),
        (3, 50, Verdict.FAIL),
        (50, 50, Verdict.FAIL),
        (300, 100, Verdict.FAIL),
        (0, 49, Verdict.UNKNOWN),
        (49, 49, Verdict.UNKNOWN),
        (0, 0, Verdict.UNKNOWN),
    ],
)
def test_an_objective_is_failed_only_where_chance_does_not_explain_it(bad: int, total: int, verdict: Verdict) -> None:
    assert promise(ratio(bad, total)) is verdict


@given(st.integers(1, 999), st.integers(1, 50))
def test_exactly_the_promised_share_keeps_the_promise(promised: int, times: int) -> None:
    policy = policy_with("availability", slo={"objective": promised / 1000})

    assert promise(ratio((1000 - promised) * times, 1000 * times), policy=policy) is Verdict.PASS


def test_a_failed_objective_is_told_in_figures() -> None:
    finding = keeps_its_promise(AVAILABILITY, ratio(500, 100_000), missing=None, alpha=ALPHA)

    assert "99.500 % of 100000 events were good, promised are 99.900 %" in finding.reason
    assert "500 bad" in finding.reason


@pytest.mark.parametrize(
    ("measured", "verdict"),
    [
        (latency(0.3, 0.25, 0.5), Verdict.PASS),
        (latency(0.5, 0.25, 0.5), Verdict.PASS),
        (latency(0.8, 0.5, 1.0), Verdict.FAIL),
        (latency(10.0, 10.0, None), Verdict.FAIL),
        (latency(0.6, 0.25, 1.0), Verdict.WARN),
        (latency(0.3, 0.25, 0.5, n_total=99), Verdict.UNKNOWN),
        (latency(0.8, 0.5, 1.0, n_total=99), Verdict.UNKNOWN),
    ],
)
def test_a_latency_fails_where_its_whole_bucket_is_above_the_promise(measured: Measured, verdict: Verdict) -> None:
    assert promise(measured) is verdict


def test_a_day_that_is_slow_throughout_fails_even_where_all_services_are_slow() -> None:
    found = stability(1, during(Change(latency=100.0)))

    assert row(found, "p99_latency").slo is Verdict.FAIL
    assert row(found, "p99_latency").burn == pytest.approx(100.0, rel=0.01)


def test_what_is_missing_wins_over_every_value() -> None:
    assert promise(ratio(50, 50), missing="the server warned") is Verdict.UNKNOWN
    assert promise(latency(9.0, 5.0, 10.0), missing="no data") is Verdict.UNKNOWN


def test_the_burn_rate_is_bad_over_allowed_events() -> None:
    found = stability(1, during(Change(service="api", errors=0.0499)))
    one = row(found, "availability")

    assert one.burn == pytest.approx((one.measured.n_bad / one.measured.n_total) / 0.001, abs=1e-9)
    assert one.burn == pytest.approx(50, rel=0.02)
    assert row(found, "memory").burn is None


# Comfort


@pytest.mark.parametrize(
    ("kpi", "change", "said"),
    [
        ("db_p95_latency", Change(db_latency=4.0), "is above the comfort limit 100 ms"),
        ("cache_hit_ratio", Change(misses=4.0), "is below the comfort limit 90 %"),
    ],
)
def test_a_comfort_limit_warns_and_does_not_fail(kpi: str, change: Change, said: str) -> None:
    policy = policy_with(kpi, drift_warn=50.0, drift_fail=60.0)
    one = row(under(policy, during(change)), kpi)

    assert one.verdict is Verdict.WARN
    assert said in one.reason


# Drift


@pytest.mark.parametrize(
    ("kpi", "change", "verdict"),
    [
        ("memory", Change(memory=1.05), Verdict.PASS),
        ("memory", Change(memory=1.15), Verdict.WARN),
        ("memory", Change(memory=1.40), Verdict.FAIL),
        ("memory", Change(memory=0.50), Verdict.PASS),
        ("cpu", Change(cpu=1.40), Verdict.FAIL),
        ("cpu", Change(cpu=0.40), Verdict.PASS),
        ("request_rate", Change(traffic=1.40), Verdict.FAIL),
        ("request_rate", Change(traffic=0.60), Verdict.FAIL),
        ("request_rate", Change(traffic=0.85), Verdict.WARN),
        ("uptime", Change(up=0.85), Verdict.WARN),
        ("uptime", Change(up=0.60), Verdict.FAIL),
        ("p50_latency", Change(latency=1.5), Verdict.FAIL),
        ("p50_latency", Change(latency=0.5), Verdict.PASS),
        ("cache_hit_ratio", Change(misses=13.0), Verdict.FAIL),
        ("cache_hit_ratio", Change(misses=0.0), Verdict.PASS),
    ],
)
def test_only_a_drift_that_hurts_counts(kpi: str, change: Change, verdict: Verdict) -> None:
    found = stability(1, during(change))

    assert row(found, kpi).verdict is verdict


def test_a_share_with_an_objective_drifts_in_points_and_budgets() -> None:
    drift = drift_of(AVAILABILITY, ratio(1000, 100_000), ratio(50, 100_000))

    assert drift.change == pytest.approx(-0.0095, abs=1e-12)
    assert drift.change_in == "points"
    assert drift.harm == pytest.approx(9.5, abs=1e-9)
    assert change_text(drift) == "-0.950 points (9.5 error budgets)"


@pytest.mark.parametrize(
    ("bad_then", "bad_now", "verdict"),
    [(0, 40, Verdict.PASS), (0, 60, Verdict.WARN), (0, 99, Verdict.WARN), (90, 0, Verdict.PASS)],
)
def test_a_kept_promise_warns_where_half_a_budget_was_lost(bad_then: int, bad_now: int, verdict: Verdict) -> None:
    now, then = ratio(bad_now, 100_000), ratio(bad_then, 100_000)
    harm = drift_of(AVAILABILITY, now, then).harm

    assert promise(now) is Verdict.PASS
    assert (harm > AVAILABILITY.drift_warn) == (verdict is Verdict.WARN)
    assert harm <= AVAILABILITY.drift_fail


def test_the_drift_of_a_share_reaches_the_verdict_of_the_day() -> None:
    found = stability(1, during(Change(errors=7e-4)))
    one = row(found, "availability")

    assert one.slo is Verdict.PASS
    assert one.verdict is Verdict.WARN
    assert "attention from 0.5 error budgets" in one.reason


@given(st.floats(1e-6, 1e6), st.floats(-0.99, 0.0), st.sampled_from(["memory", "cpu", "p50_latency", "cost_per_hour"]))
def test_an_improvement_never_hurts(before: float, change: float, kpi: str) -> None:
    was = Measured(kpi=kpi, service="api", value=before)
    now = Measured(kpi=kpi, service="api", value=before * (1 + change))

    assert drift_of(demo_policy().judged[kpi], now, was).harm == pytest.approx(0, abs=1e-12)


@given(st.floats(-10, 10))
def test_harm_is_a_change_in_the_direction_that_hurts(change: float) -> None:
    assert harm_of(change, Worse.UP) - harm_of(change, Worse.DOWN) == change
    assert harm_of(change, Worse.EITHER) == abs(change)
    assert min(harm_of(change, one) for one in Worse) == 0


def test_no_baseline_and_no_value_give_no_drift() -> None:
    known = Measured(kpi="memory", service="api", value=1.0)
    unknown = known.model_copy(update={"value": None})
    zero = known.model_copy(update={"value": 0.0})

    assert [
        drift_of(MEMORY, *pair).harm for pair in ((known, None), (known, unknown), (unknown, known), (known, zero))
    ] == [None] * 4
    assert drift_of(MEMORY, zero, zero).harm == 0.0


# Drift of a latency

NARROW = (0.05, 0.1, 0.25, math.inf)


def histogram(p99_s: float, *, n: int = 200_000, sigma: float = 0.6) -> Measured:
    """The p99 of log-normal durations in three buckets and +Inf."""
    places = [2.326348 + math.log(bound / p99_s) / sigma for bound in NARROW[:-1]]
    return p99_of([round(n * float(special.ndtr(place))) for place in places] + [n])


def p99_of(cumulative: list[int]) -> Measured:
    plain = quantile(NARROW, cumulative, 0.99)
    upper = plain.upper if math.isfinite(plain.upper) else None
    smooth = Buckets(NARROW, np.array(cumulative)[:, np.newaxis]).smooth_quantile(0.99)
    return latency(plain.value, plain.lower, upper, n_total=cumulative[-1]).model_copy(update={"smooth": smooth})


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ([1000, 1000, 1000, 1000], [999, 1000, 1000, 1000]),  # in the first bucket
        ([980, 990, 991, 1000], [980, 990, 990, 1000]),  # at the last bound
    ],
)
def test_one_event_in_another_bucket_is_no_leap(before: list[int], after: list[int]) -> None:
    drift = drift_of(P99, p99_of(after), p99_of(before))

    assert drift.change == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("p99_ms", [98, 100, 102])
def test_a_slightly_slower_day_is_slightly_slower_on_either_side_of_a_bound(p99_ms: float) -> None:
    before, after = histogram(p99_ms / 1000), histogram(1.03 * p99_ms / 1000)
    drift = drift_of(P99, after, before)

    assert after.value > 1.06 * before.value
    assert abs(drift.change) < 0.08
    assert drift.harm == drift.change < P99.drift_warn


@pytest.mark.parametrize("p99_ms", [98, 100, 102])
def test_a_day_that_is_much_slower_is_so_on_either_side_of_a_bound(p99_ms: float) -> None:
    drift = drift_of(P99, histogram(1.6 * p99_ms / 1000), histogram(p99_ms / 1000))

    assert 0.45 < drift.change < 0.75
    assert drift.harm > P99.drift_fail


@given(st.floats(0.06, 0.2), st.floats(1.0, 1.2))
def test_a_slower_day_never_looks_faster_and_the_way_back_is_the_same(p99_s: float, factor: float) -> None:
    one, other = histogram(p99_s), histogram(factor * p99_s)
    there, back = drift_of(P99, other, one).change, drift_of(P99, one, other).change

    assert there >= -1e-9
    assert (1 + there) * (1 + back) == pytest.approx(1)


ALONE: dict[str, tuple[list[int], list[int], float]] = {
    "all in the first bucket": ([1000, 1000, 1000, 1000], [2000, 2000, 2000, 2000], 0.0),
    "one event beyond the first bucket": ([1000, 1000, 1000, 1000], [999, 1000, 1000, 1000], 0.0),
    "all in the second bucket": ([0, 1000, 1000, 1000], [0, 2000, 2000, 2000], 0.02),
    "one event beyond the second bucket": ([0, 1000, 1000, 1000], [0, 999, 1000, 1000], 0.02),
}


@pytest.mark.parametrize(("then", "now", "reach"), ALONE.values(), ids=ALONE.keys())
def test_a_histogram_in_one_bucket_does_not_drift_by_an_event(then: list[int], now: list[int], reach: float) -> None:
    change = drift_of(P99, p99_of(now), p99_of(then)).change

    assert change == pytest.approx(0, abs=reach or 0.01)


def test_a_quantile_that_left_the_last_bound_drifts_at_least_so_far() -> None:
    drift = drift_of(P99, p99_of([0, 0, 500, 1000]), p99_of([0, 1000, 1000, 1000]))

    assert drift.harm > 0.25 / 0.1 - 1


@pytest.mark.parametrize("cumulative", [[0, 0, 500, 1000], [0, 0, 0, 1000], [0, 900, 980, 1000]])
def test_a_quantile_above_the_last_bound_is_the_bound_and_not_a_guess(cumulative: list[int]) -> None:
    found = p99_of(cumulative)

    assert found.is_open_ended
    assert found.comparable == found.value == 0.25


def test_two_quantiles_above_the_last_bound_have_no_drift() -> None:
    beyond = p99_of([0, 0, 500, 1000])

    assert drift_of(P99, p99_of([0, 0, 100, 1000]), beyond).harm is None
    assert drift_of(P99, p99_of([0, 1000, 1000, 1000]), beyond).change < 0


def test_a_day_above_the_last_bound_like_its_baseline_is_unknown_where_nothing_is_promised() -> None:
    slow = during(Change(db_latency=1e5))
    one = row(under(demo_policy(), slow, slow), "db_p95_latency")

    assert one.verdict is Verdict.UNKNOWN
    assert one.drift is None
    assert "above the last bucket bound" in one.reason


def test_the_sentence_of_a_slow_latency_names_the_bucket_and_how_the_change_was_read() -> None:
    one = row(stability(1, during(Change(latency=1.5))), "p50_latency")

    assert "(bucket " in one.reason
    assert one.reason.split(", limit")[0].endswith("on the GA day, read smoothly across the buckets")
    assert "smoothly" not in row(stability(1, during(Change(memory=1.4))), "memory").reason


# The day


def test_a_day_is_as_bad_as_its_worst_kpi_of_its_worst_service() -> None:
    found = stability(1, during(Change(service="worker", memory=1.4)))

    assert found.verdict is Verdict.FAIL is worst(one.verdict for one in found.kpis)
    assert found.of("memory").worst_service == "worker"
    assert row(found, "memory", "api").verdict is Verdict.PASS


def test_complements_and_totals_are_reported_and_not_judged() -> None:
    found = stability(1, during(Change(errors=0.05)))

    assert {one.kpi for one in found.kpis} == set(demo_policy().judged)
    assert "*" not in {one.service for one in found.kpis}
    assert found.total("availability").value == pytest.approx(0.95, abs=0.001)
    assert {one.service for one in found.reported if one.kpi == "error_rate"} == {"api", "worker", "*"}


def test_a_total_that_nobody_measured_is_none() -> None:
    assert stability(1, Scene(services=())).total("availability") is None


@pytest.mark.parametrize("day", [2, 7])
def test_telemetry_of_another_day_is_refused(day: int) -> None:
    with pytest.raises(ContractError, match="is not of day"):
        judge_day(telemetry(1), baseline(), release(), demo_policy(), day=day)


def test_a_baseline_of_another_release_is_refused() -> None:
    other: Any = baseline().model_copy(update={"release": "tars@1.0.0"})

    with pytest.raises(ContractError, match=r"baseline is of tars@1\.0\.0"):
        judge_day(telemetry(1), other, release(), demo_policy(), day=1)


def test_a_judgement_names_the_evidence_that_it_rests_on() -> None:
    found = stability()

    assert found.telemetry_sha256 == telemetry(1).sha256
    assert found.baseline_telemetry_sha256 == telemetry(0).sha256
    assert found.policy_sha256 == release().policy_sha256
    assert DailyStability.model_validate_json(found.model_dump_json()) == found


def test_latency_knows_its_objective() -> None:
    assert P99.slo is not None
