"""Which part of a day in progress is judged, and what is said of it?"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.errors import ContractError, NotYetError, UsageError
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.release import Release
from tars_ops.core.verdict import Decision, Verdict, worst
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.running import RunningDay, judge_running, newest_instant, running_window
from tars_ops_tests.core.factories import GA_AT, Scene, baseline, demo_policy, policy_tree, release
from tars_ops_tests.core.slots import STEADY, Counted, at, running

NOON = at(24 + 12)
BAKE = release(day_length_s=600, n_days=2)
BOTH = {"api": STEADY, "worker": STEADY}


def bake_policy() -> Policy:
    tree = policy_tree()
    short = {"scrape_interval_s": 5, "step_s": 5, "slot_s": 10, "rate_window_s": 10}
    return Policy.model_validate({**tree, "measurement": {**tree["measurement"], **short}})


def naming(*services: str) -> Policy:
    tree = policy_tree()
    return Policy.model_validate({**tree, "measurement": {**tree["measurement"], "services": list(services)}})


def judged(
    services: dict[str, Counted],
    *,
    until: datetime = NOON,
    against: GaBaseline | None = None,
    policy: Policy | None = None,
    **knobs: object,
) -> RunningDay:
    policy = policy or demo_policy()
    return judge_running(running(services, until=until, policy=policy, **knobs), against, release(), policy)


def rows(found: RunningDay) -> dict[tuple[str, str], tuple[Verdict, Verdict]]:
    return {(k.kpi, k.service): (k.verdict, b.verdict) for k, b in zip(found.kpis, found.burns, strict=True)}


# The window


@pytest.mark.parametrize(
    ("until_h", "day", "start_h"),
    [
        (0.5, 0, 0.0),  # the GA day has no hour before it
        (12.0, 0, 0.0),
        (24.0, 0, 0.0),  # the end of a day belongs to it
        (24 + 1 / 60, 1, 23 + 1 / 60),  # a young day is judged by its last hour
        (24.5, 1, 23.5),
        (25.0, 1, 24.0),
        (36.0, 1, 24.0),
        (36 + 2 / 60, 1, 24 + 2 / 60),  # whole slots back from the instant
        (8 * 24.0, 7, 7 * 24.0),
    ],
)
def test_the_window_ends_now_and_starts_with_the_day_or_an_hour_ago(until_h: float, day: int, start_h: float) -> None:
    found, window = running_window(release(), demo_policy(), at(until_h))

    assert found == day
    assert window.end_at == at(until_h)
    assert window.start_at == at(start_h)


@pytest.mark.parametrize(
    ("until_s", "day", "length_s"), [(10, 0, 10), (601, 0, 600), (605, 1, 20), (639, 1, 30), (700, 1, 100)]
)
def test_a_short_day_has_a_short_window(until_s: int, day: int, length_s: int) -> None:
    found, window = running_window(BAKE, bake_policy(), GA_AT + timedelta(seconds=until_s))

    assert (found, window.length_s) == (day, length_s)


@pytest.mark.parametrize(
    ("until", "error", "said"),
    [
        (at(-3), NotYetError, "2025-11-18T00:05:00"),
        (at(0), NotYetError, "2025-11-18T00:05:00"),
        (GA_AT + timedelta(seconds=299), NotYetError, "first 300 s"),
        (at(8 * 24) + timedelta(seconds=60), UsageError, "ended at 2025-11-26T00:00:00"),
    ],
)
def test_an_instant_at_which_no_day_runs_is_refused(until: datetime, error: type[Exception], said: str) -> None:
    with pytest.raises(error, match=said):
        running_window(release(), demo_policy(), until)


@settings(max_examples=200, deadline=None)
@given(of=st.sampled_from([(release(), demo_policy()), (BAKE, bake_policy())]), share=st.floats(0, 1))
def test_every_instant_of_a_watch_has_a_window_of_whole_slots(of: tuple[Release, Policy], share: float) -> None:
    one, policy = of
    slot_s, step_s = policy.measurement.slot_s, policy.measurement.step_s
    length_s = (one.n_days + 1) * one.day_length_s
    until = one.ga_at + timedelta(seconds=slot_s + share * (length_s - slot_s))

    day, window = running_window(one, policy, until)

    assert window.length_s >= slot_s
    assert window.length_s % slot_s == 0
    assert timedelta(0) <= until - window.end_at < timedelta(seconds=step_s)
    assert window.start_at >= one.ga_at
    assert window.start_at < one.window(day).start_at + timedelta(seconds=slot_s)
    assert one.window(day).start_at < window.end_at <= one.window(day).end_at


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (GA_AT - timedelta(days=1), None),
        (GA_AT + timedelta(seconds=359), None),
        (GA_AT + timedelta(seconds=360), at(5 / 60)),
        (datetime(2025, 11, 20, 13, 37, 59, tzinfo=UTC), datetime(2025, 11, 20, 13, 36, tzinfo=UTC)),
        (at(8 * 24) - timedelta(seconds=1), at(8 * 24) - timedelta(seconds=120)),
        (at(8 * 24), None),
    ],
)
def test_the_newest_sample_is_waited_for(now: datetime, newest: datetime | None) -> None:
    assert newest_instant(release(), demo_policy(), now) == newest


# The judgement


def test_a_steady_day_is_kept() -> None:
    found = judged(BOTH, against=baseline())

    assert (found.verdict, found.decision, found.advises_roll_back) == (Verdict.PASS, Decision.KEEP, False)
    assert (found.day, found.provisional, found.until_at) == (1, True, NOON)
    assert set(rows(found)) == {(k, s) for k in ("availability", "p99_latency") for s in ("api", "worker")}


def test_a_fast_burn_advises_to_roll_back_even_where_the_day_so_far_is_kept() -> None:
    # 12 bad events in a day of 864,000 are nothing, were they not all in this hour
    found = judged({"api": Counted(newest_bad=(90,) * 12), "worker": STEADY}, until=at(48))

    assert rows(found)["availability", "api"] == (Verdict.PASS, Verdict.FAIL)
    assert (found.verdict, found.decision, found.advises_roll_back) == (Verdict.FAIL, Decision.ROLL_BACK, True)
    assert found.reason.startswith("availability of api: 1080 of 72000 events were bad in the last 1 h")


@pytest.mark.parametrize(
    ("total", "verdict", "said"),
    [
        (4, Verdict.WARN, "too early to say: 8 valid events, at least 50 are needed"),
        (0, Verdict.UNKNOWN, "no valid events"),
        (25, Verdict.PASS, "100.000 % of 50 events were good"),
    ],
)
def test_a_promise_of_which_little_has_happened_yet_wakes_nobody(total: int, verdict: Verdict, said: str) -> None:
    found = judged({"api": Counted(total=total)}, until=at(1 / 6))
    row = next(one for one in found.kpis if one.kpi == "availability")

    assert row.verdict is verdict
    assert row.reason.startswith(said)


def test_a_broken_promise_that_does_not_burn_now_asks_for_a_closer_watch() -> None:
    found = judged({"api": Counted(bad=60, newest_bad=(0,) * 12)})

    assert rows(found)["availability", "api"] == (Verdict.FAIL, Verdict.PASS)
    assert found.decision is Decision.WATCH_CLOSER


@pytest.mark.parametrize("against", [None, baseline()], ids=["ga day", "watch"])
def test_a_service_that_falls_silent_is_unknown(against: GaBaseline | None) -> None:
    silent = Counted(newest_arrived=(0,), newest_total=(0,))

    found = judged({"api": silent, "worker": STEADY}, against=against)

    assert rows(found)["availability", "api"][1] is Verdict.UNKNOWN
    assert (found.verdict, found.decision) == (Verdict.UNKNOWN, Decision.WATCH_CLOSER)
    assert "availability of api: no data since 11:55 UTC" in found.reason


@pytest.mark.parametrize(
    ("arrived", "verdict"),
    [
        ((3, 5), Verdict.PASS),  # GA is the beginning of the minute in which it was seen
        ((0, 0, 4, 5), Verdict.PASS),  # a roll-out takes its time
        ((0, 0, 4, 3, 5), Verdict.UNKNOWN),
    ],
)
def test_a_promise_of_the_ga_day_is_known_from_the_first_scrape_of_a_service_on(
    arrived: tuple[int, ...], verdict: Verdict
) -> None:
    late = Counted(newest_arrived=arrived, newest_total=tuple(1000 * n for n in arrived))

    found = judged({"api": late, "worker": STEADY}, until=at(len(arrived) / 12))

    assert {k: one for (k, service), (one, _) in rows(found).items() if service == "api"} == dict.fromkeys(
        ("availability", "p99_latency"), verdict
    )


@pytest.mark.parametrize(
    ("against", "policy"),
    [(baseline(), demo_policy()), (None, naming("api", "worker"))],
    ids=["seen on the GA day", "named by the policy"],
)
def test_a_service_that_left_nothing_at_all_is_unknown_and_not_absent(
    against: GaBaseline | None, policy: Policy
) -> None:
    found = judged({"api": STEADY}, against=against, policy=policy)

    assert rows(found)["availability", "worker"] == (Verdict.UNKNOWN, Verdict.UNKNOWN)
    assert found.verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("against", [None, baseline(Scene(without=(("p99_latency", "worker"),)))])
def test_a_promise_that_a_living_service_never_had_does_not_apply_to_it(against: GaBaseline | None) -> None:
    found = judged(BOTH, against=against, without=(("p99_latency", "worker"),))

    assert ("p99_latency", "worker") not in rows(found)
    assert found.verdict is Verdict.PASS


@pytest.mark.parametrize("knobs", [{}, {"refused": ("availability", "p99_latency")}], ids=["silent", "refused"])
def test_a_product_that_nobody_sees_is_unknown(knobs: dict) -> None:
    found = judged({}, until=at(3), **knobs)

    assert rows(found) == dict.fromkeys(
        (("availability", ALL_SERVICES), ("p99_latency", ALL_SERVICES)), (Verdict.UNKNOWN, Verdict.UNKNOWN)
    )
    assert found.verdict is Verdict.UNKNOWN


def test_a_policy_without_a_promise_has_nothing_to_judge() -> None:
    tree = policy_tree()
    gauges = {name: one for name, one in tree["kpis"].items() if name == "memory"}

    found = judged({}, policy=Policy.model_validate({**tree, "kpis": gauges}))

    assert (found.kpis, found.verdict) == ((), Verdict.UNKNOWN)
    assert found.reason == "the policy promises nothing"


def test_many_findings_are_counted_and_not_all_told() -> None:
    found = judged({f"s{n}": Counted(bad=6000) for n in range(4)})

    assert found.reason.count("events were bad in the last 1 h") == 3
    assert found.reason.endswith("; and 5 more")


def test_telemetry_of_another_window_is_refused() -> None:
    telemetry = running(BOTH, until=NOON)

    with pytest.raises(ContractError, match="is not that from"):
        judge_running(telemetry, None, release(ga_at=GA_AT - timedelta(hours=1)), demo_policy())


@settings(max_examples=40, deadline=None)
@given(
    services=st.dictionaries(
        st.sampled_from(["api", "worker", "mail"]),
        st.builds(
            Counted,
            total=st.sampled_from([0, 3, 6000]),
            newest_bad=st.lists(st.integers(0, 3), max_size=3).map(tuple),
            newest_arrived=st.lists(st.integers(0, 5), max_size=3).map(tuple),
        ),
    )
)
def test_a_running_day_is_as_bad_as_its_worst_finding(services: dict[str, Counted]) -> None:
    found = judged(services, against=baseline())

    assert found.verdict is worst(one.verdict for one in (*found.kpis, *found.burns))
    assert found.verdict is Verdict.PASS or found.reason
    assert {service for _, service in rows(found)} >= {"api", "worker"}
    assert (found.decision is Decision.ROLL_BACK) is any(one.verdict is Verdict.FAIL for one in found.burns)
