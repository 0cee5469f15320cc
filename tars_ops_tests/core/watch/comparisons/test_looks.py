"""Every baseline is checked before a day is compared with it, and no look changes an earlier one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache

import numpy as np
import pytest

from tars_ops.core.policy import Policy
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Decision, Severity, Tier
from tars_ops.core.watch.anomalies.event import AnomalyClass, AnomalyEvent, AnomalyEvents
from tars_ops.core.watch.budgets.ladder import burns_of
from tars_ops.core.watch.comparisons.compare import MeanShift, Method
from tars_ops.core.watch.comparisons.comparison import Comparison, Outcome
from tars_ops.core.watch.comparisons.looks import learnable, looked_at
from tars_ops.core.watch.comparisons.shifts import Found
from tars_ops.core.watch.comparisons.validity import BaselineUse
from tars_ops.core.watch.references import NO_REFERENCES, BaselineKind, Reference, References
from tars_ops.core.watch.regression import RegressionAnalysis, analyse, concluded
from tars_ops_tests.core.factories import (
    GA_AT,
    STEADY,
    Change,
    Scene,
    baseline,
    demo_policy,
    during,
    make,
    release,
    stability,
    steady_days,
    telemetry,
    verdict,
)

BEFORE = release(version="1.0.0", ga_at=GA_AT - timedelta(days=14))
SLOW = during(Change(service="api", latency=1.3))


@cache
def previous(day: int, scene: Scene = STEADY) -> Reference:
    return Reference(telemetry=telemetry(day, scene, seed=7, of=BEFORE), release=BEFORE.key, day=day)


def judged(
    days: Mapping[int, Scene],
    *,
    as_of: int,
    references: References = NO_REFERENCES,
    ga: Scene = STEADY,
    policy: Policy | None = None,
) -> RegressionAnalysis:
    return analyse(
        telemetry(0, ga),
        baseline(ga),
        {day: telemetry(day, scene) for day, scene in days.items()},
        {day: stability(day, scene, ga=ga) for day, scene in days.items()},
        release(),
        policy or demo_policy(),
        as_of=as_of,
        references=references,
    )


def use(found: RegressionAnalysis, kind: BaselineKind, day: int = 1) -> BaselineUse:
    return next(one for one in found.baselines if (one.kind, one.day) == (kind, day))


def compared(
    found: RegressionAnalysis, kpi: str, kind: BaselineKind = BaselineKind.GA_DAY, service: str = "api"
) -> Comparison:
    return next(one for one in found.comparisons if (one.kpi, one.service, one.baseline) == (kpi, service, kind))


# Which baselines


def test_every_baseline_is_accounted_for_on_every_day() -> None:
    found = judged(steady_days(2), as_of=2)

    assert [(one.day, one.kind) for one in found.baselines if one.used] == [
        (1, BaselineKind.GA_DAY),
        (1, BaselineKind.SLO),
        (2, BaselineKind.GA_DAY),
        (2, BaselineKind.SLO),
    ]
    assert all(one.used or one.reason for one in found.baselines)
    assert len(found.baselines) == 2 * len(BaselineKind)


def test_the_reason_of_an_absent_baseline_is_passed_on() -> None:
    absent = References(absent={BaselineKind.STAGING: "the policy names no staging"})

    assert use(judged(steady_days(1), as_of=1, references=absent), BaselineKind.STAGING).reason == (
        "the policy names no staging"
    )


def test_a_release_that_is_slow_from_its_first_minute_is_found_by_the_one_before() -> None:
    references = References(previous={day: previous(day) for day in (1, 2)})
    slow = dict.fromkeys((1, 2), SLOW)

    alone, beside = judged(slow, as_of=2, ga=SLOW), judged(slow, as_of=2, ga=SLOW, references=references)

    assert alone.regressions == ()
    assert compared(beside, "p50_latency").outcome is Outcome.EQUIVALENT
    assert compared(beside, "p50_latency", BaselineKind.PREVIOUS_RELEASE).outcome is Outcome.REGRESSION
    shown = next(one for one in beside.regressions if (one.kpi, one.service) == ("p50_latency", "api"))
    assert (shown.baselines, shown.active) == ((BaselineKind.PREVIOUS_RELEASE,), True)
    assert "(day 2 of tars@1.0.0)" in shown.comparison.sentence


def test_a_critical_harm_since_the_release_before_is_rolled_back() -> None:
    slow = during(Change(service="api", db_latency=1.8))
    references = References(previous={1: previous(1)})

    found = judged({1: slow}, as_of=1, ga=slow, references=references)

    assert found.decision is Decision.ROLL_BACK
    assert {one.kpi for one in found.drivers} == {"db_p95_latency"}


def test_staging_alone_asks_for_no_more_than_a_closer_watch() -> None:
    slow = during(Change(service="api", db_latency=1.8))
    references = References(staging=replace(previous(1), day=None))

    found = judged({1: slow}, as_of=1, ga=slow, references=references)

    assert {one.baselines for one in found.regressions} == {(BaselineKind.STAGING,)}
    assert {one.severity for one in found.regressions} >= {Severity.CRITICAL}
    assert (found.decision, found.tier) == (Decision.WATCH_CLOSER, Tier.AMBER)
    assert "(staging)" in found.regressions[0].comparison.sentence


def test_a_promise_that_is_broken_from_the_first_minute_is_found_by_the_promise() -> None:
    broken = Scene(errors=0.004)

    found = judged({1: broken}, as_of=1, ga=broken)

    assert compared(found, "availability", BaselineKind.SLO).outcome is Outcome.REGRESSION
    assert compared(found, "availability").outcome is Outcome.UNKNOWN
    assert not use(found, BaselineKind.GA_DAY).used
    assert "it broke an objective itself" in use(found, BaselineKind.GA_DAY).reason


# Their validity


@pytest.mark.parametrize(
    ("scene", "said"),
    [
        (Scene(keep=0.5), "coverage 0.50 < 0.90"),
        (Scene(errors=0.01), "it broke an objective itself"),
        (during(Change(traffic=0.3)), "comparable are 0.5 to 2 times"),
        (during(Change(traffic=3.0)), "comparable are 0.5 to 2 times"),
        (Scene(unrecorded=("cpu", "memory")), "the KPI is not part of this telemetry"),
        (Scene(services=("worker",)), "the service did not have this KPI there"),
    ],
)
def test_a_polluted_baseline_is_rejected_with_the_reason(scene: Scene, said: str) -> None:
    found = judged(steady_days(1), as_of=1, references=References(previous={1: previous(1, scene)}))
    reasons = [one.reason for one in use(found, BaselineKind.PREVIOUS_RELEASE).rejected if one.service == "api"]

    assert any(said in reason for reason in reasons)
    assert compared(found, "cpu", BaselineKind.PREVIOUS_RELEASE).outcome is Outcome.UNKNOWN
    assert compared(found, "cpu").outcome is not Outcome.UNKNOWN


def test_a_service_that_was_well_there_is_still_compared() -> None:
    polluted = during(Change(service="worker", errors=0.01))
    found = judged(steady_days(1), as_of=1, references=References(previous={1: previous(1, polluted)}))

    assert use(found, BaselineKind.PREVIOUS_RELEASE).used
    assert {one.service for one in use(found, BaselineKind.PREVIOUS_RELEASE).rejected} == {"worker"}


@pytest.mark.parametrize(
    ("severity", "rejected"), [(Severity.CRITICAL, True), (Severity.HIGH, True), (Severity.MEDIUM, False)]
)
def test_an_incident_on_the_day_of_the_baseline_rejects_it(severity: Severity, rejected: bool) -> None:
    at = BEFORE.window(1).start_at
    events = AnomalyEvents(
        release=BEFORE.key,
        day=1,
        start_at=at,
        end_at=BEFORE.window(1).end_at,
        method="two_view",
        policy_sha256="a" * 64,
        telemetry_sha256="b" * 64,
        events=(event(severity, at),),
        n_series=1,
        n_uncalibrated=0,
    )
    references = References(previous={1: replace(previous(1), anomalies=events)})
    found = use(judged(steady_days(1), as_of=1, references=references), BaselineKind.PREVIOUS_RELEASE)

    assert any("an incident of its own" in one.reason for one in found.rejected) is rejected


def event(severity: Severity, at: datetime) -> AnomalyEvent:
    return AnomalyEvent(
        kpi="cpu",
        service="api",
        anomaly_class=AnomalyClass.SPIKE,
        severity=severity,
        started_at=at,
        ended_at=at,
        peak_at=at,
        peak=1.0,
        expected=0.5,
        lower=None,
        upper=None,
        p=1e-8,
        score=8.0,
        sentence="cpu of api rose",
    )


def with_buckets(found: Telemetry, was: str, becomes: str) -> Telemetry:
    le = found.counts["le"].cat.rename_categories({was: becomes})
    le = le.cat.reorder_categories(sorted(le.cat.categories))
    counts = found.counts.assign(le=le).sort_values(["counter", "service", "le", "slot"], ignore_index=True)
    return replace(found, counts=counts)


def test_other_buckets_cannot_be_compared() -> None:
    other = replace(previous(1), telemetry=with_buckets(previous(1).telemetry, "0.25", "0.2"))
    found = judged(steady_days(1), as_of=1, references=References(previous={1: other}))

    assert compared(found, "p95_latency", BaselineKind.PREVIOUS_RELEASE).outcome is Outcome.UNKNOWN
    assert "its buckets are" in compared(found, "p95_latency", BaselineKind.PREVIOUS_RELEASE).sentence
    assert compared(found, "availability", BaselineKind.PREVIOUS_RELEASE).outcome is not Outcome.UNKNOWN


def test_a_day_of_another_length_cannot_be_compared() -> None:
    short = BEFORE.model_copy(update={"day_length_s": 3600})
    reference = Reference(telemetry=make(demo_policy(), short, 1), release=short.key, day=1)
    found = judged(steady_days(1), as_of=1, references=References(previous={1: reference}))

    assert use(found, BaselineKind.PREVIOUS_RELEASE).reason.endswith("its day is of 3600 s, not of 86400 s")


# Traffic


def test_work_that_follows_the_traffic_is_no_regression() -> None:
    busier = during(Change(traffic=1.4))

    found = judged({1: busier}, as_of=1)

    assert compared(found, "cpu").change == pytest.approx(0.0, abs=0.02)
    assert compared(found, "cpu").load == "request_rate"
    assert "at equal request_rate" in compared(found, "cpu").sentence
    assert {one.kpi for one in found.regressions} == set()


def test_more_work_per_request_is_a_regression_whatever_the_traffic() -> None:
    found = judged({1: during(Change(service="api", traffic=0.8, cpu=1.4))}, as_of=1)

    assert compared(found, "cpu").change == pytest.approx(0.4, abs=0.03)
    assert compared(found, "cpu").outcome is Outcome.REGRESSION


@pytest.mark.parametrize(("traffic", "outcome"), [(1.4, Outcome.UNDECIDED), (2.6, Outcome.REGRESSION)])
def test_traffic_of_an_unknown_weekday_is_worse_only_beyond_a_factor_of_two(traffic: float, outcome: Outcome) -> None:
    found = compared(judged({1: during(Change(service="api", traffic=traffic))}, as_of=1), "request_rate")

    assert found.outcome is outcome
    assert "another weekday" in found.sentence


def test_traffic_is_judged_where_the_weeks_before_are_known() -> None:
    known = Scene(prior_errors=1e-4)
    found = judged({1: replace(known, changes=(Change(service="api", traffic=1.4),))}, as_of=1, ga=known)

    assert compared(found, "request_rate").outcome is Outcome.REGRESSION
    assert compared(found, "request_rate", service="worker").outcome is not Outcome.REGRESSION


# Looks


def test_a_later_look_never_changes_an_earlier_one() -> None:
    days = steady_days(4, day_2=SLOW, day_4=during(Change(memory=1.5, latency=2.0)))
    whole = [telemetry(0), baseline(), {day: telemetry(day, one) for day, one in days.items()}]
    judged_days = {day: stability(day, one) for day, one in days.items()}
    looks = looked_at(*whole, judged_days, release(), demo_policy(), NO_REFERENCES)
    burns = burns_of(whole[0], whole[2], judged_days, release(), demo_policy())

    for as_of in days:
        found = concluded(looks, burns, telemetry(0), baseline(), judged_days, release(), demo_policy(), as_of=as_of)
        assert found == verdict(days, as_of=as_of)


def test_a_second_baseline_takes_its_share_of_the_error() -> None:
    alone = compared(judged(steady_days(1), as_of=1), "cpu")
    beside = compared(judged(steady_days(1), as_of=1, references=References(previous={1: previous(1)})), "cpu")

    assert beside.alpha < alone.alpha < 0.05 * 0.22


def test_the_flag_the_p_value_and_the_interval_say_the_same() -> None:
    found = judged({1: during(Change(service="api", latency=1.4, memory=1.2, misses=3.0, errors=0.002))}, as_of=1)

    assert {Outcome.REGRESSION, Outcome.EQUIVALENT} <= {one.outcome for one in found.comparisons}
    for one in found.comparisons:
        if one.p_adjusted is not None and one.kpi != "request_rate":
            assert (one.p_adjusted <= one.alpha) is (one.outcome is Outcome.REGRESSION)
            harmful_end = one.lower if one.kpi not in {"availability", "uptime", "cache_hit_ratio"} else -one.upper
            assert (harmful_end > one.tolerance) is (one.outcome is Outcome.REGRESSION)
            assert one.lower <= one.change <= one.upper


def test_a_perfect_service_more_changes_nothing_that_is_said_of_the_others() -> None:
    changes = (Change(service="api", latency=1.6, memory=1.4),)
    two, three = Scene(changes=changes), Scene(changes=changes, services=("api", "perfect", "worker"))
    few = judged({1: two}, as_of=1)
    many = judged({1: three}, as_of=1, ga=Scene(services=("api", "perfect", "worker")))

    def said(found: RegressionAnalysis) -> set[tuple[str, str, Outcome]]:
        return {(one.kpi, one.service, one.outcome) for one in found.comparisons if one.service == "api"}

    assert said(few) == said(many)
    assert (few.decision, few.tier) == (many.decision, many.tier)


def test_the_same_inputs_give_the_same_bytes() -> None:
    one, other = (judged({1: SLOW}, as_of=1).model_dump_json() for _ in range(2))

    assert one == other


def test_a_day_effect_of_all_services_is_no_regression() -> None:
    calm = Scene(services=("a", "b", "c", "d", "e"))
    rng = np.random.default_rng(3)
    wavering = replace(
        calm, changes=tuple(Change(service=one, memory=float(np.exp(0.03 * rng.normal()))) for one in calm.services)
    )
    found = judged({1: wavering}, as_of=1, ga=calm)

    assert [one for one in found.regressions if one.kpi == "memory"] == []


def test_what_is_not_known_is_compared_with_nothing() -> None:
    found = judged({1: Scene(keep=0.5)}, as_of=1, references=References(previous={1: previous(1)}))

    assert {one.outcome for one in found.comparisons} == {Outcome.UNKNOWN}
    assert not any(one.used for one in found.baselines)


def test_errors_that_come_in_bursts_count_for_less() -> None:
    even = during(Change(service="api", errors=2e-4))
    bursts = during(*(Change(service="api", hours=(h, h + 0.25), errors=2e-4 * 24 / 0.75) for h in (3, 11, 19)))
    calm, wild = (compared(judged({1: scene}, as_of=1), "availability") for scene in (even, bursts))

    assert calm.change == pytest.approx(wild.change, rel=0.3)
    assert wild.n_effective < 0.3 * calm.n_effective
    assert wild.upper - wild.lower > 1.5 * (calm.upper - calm.lower)


def test_traffic_that_follows_an_unknown_week_teaches_no_day_effect() -> None:
    shift = MeanShift(0.3, 0.01, 50.0, in_logs=True, n=288, n_effective=99.0, effect=0.9, test=Method.PAIRED_T)
    looks = [Found(shift, "", season_known=one) for one in (True, False)]

    assert [len(dict(learnable({("request_rate", "api"): one}))) for one in looks] == [1, 0]
