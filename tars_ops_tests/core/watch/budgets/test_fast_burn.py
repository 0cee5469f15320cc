"""When does a burning budget wake somebody, when does it not, and when does nobody know?"""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.errors import ContractError
from tars_ops.core.policy import Policy
from tars_ops.core.verdict import Verdict, worst
from tars_ops.core.watch.budgets.burn import BurnSlots, burn_limit, burn_slots
from tars_ops.core.watch.budgets.fast_burn import Burn, burn_now
from tars_ops_tests.core.factories import demo_policy, policy_tree, policy_with, release
from tars_ops_tests.core.slots import PER_SLOT, Counted, at, running

NOON = at(24 + 12)
HOUR, SHORT = 12, 1


def burn(counted: Counted, *, until: datetime = NOON, kpi: str = "availability", policy: Policy | None = None) -> Burn:
    telemetry = running({"api": counted}, until=until, policy=policy)
    return burn_now(telemetry, release(), (policy or demo_policy()).promises, kpi, "api")


def judged_with(**changes: object) -> Policy:
    return Policy.model_validate(policy_tree(judgement=changes))


# Lengths and limits


@pytest.mark.parametrize(
    ("day_length_s", "slot_s", "slots"),
    [
        (86400, 300, BurnSlots(12, 1)),
        (86400, 60, BurnSlots(60, 5)),
        (86400, 1800, BurnSlots(2, 1)),
        (86400, 3600, BurnSlots(1, 1)),
        (43200, 300, BurnSlots(6, 1)),
        (3600, 60, BurnSlots(2, 1)),
        (600, 60, BurnSlots(1, 1)),
    ],
)
def test_the_windows_shrink_with_the_day_and_never_below_a_slot(
    day_length_s: int, slot_s: int, slots: BurnSlots
) -> None:
    tree = policy_tree()
    policy = Policy.model_validate({**tree, "measurement": {**tree["measurement"], "slot_s": slot_s}})

    assert burn_slots(policy.judgement.fast_burn, release(day_length_s=day_length_s), policy) == slots


@pytest.mark.parametrize(
    ("period_days", "objective", "limit"),
    [(30, 0.999, 14.4), (28, 0.999, 13.44), (14, 0.999, 6.72), (7, 0.999, 3.36), (90, 0.999, 43.2), (30, 0.9, 5.0)],
)
def test_the_limit_spends_the_share_of_the_period_and_can_always_be_reached(
    period_days: int, objective: float, limit: float
) -> None:
    policy = judged_with(slo_period_days=period_days)
    found = burn_limit(policy.judgement.fast_burn, policy, objective)

    assert found == pytest.approx(limit)
    assert found * (1 - objective) <= 0.5


# Verdicts


@pytest.mark.parametrize(
    ("counted", "verdict", "said"),
    [
        (Counted(), Verdict.PASS, "0 of 72000 events were bad in the last 1 h"),
        (Counted(bad=86), Verdict.PASS, "burn rate 14.3"),
        (Counted(bad=87), Verdict.FAIL, "burn rate 14.5"),
        (Counted(bad=6000), Verdict.FAIL, "a whole budget lasts 43.2 min"),
        # an hour that is bad enough, and over: the short window is quiet again
        (Counted(bad=600, newest_bad=(0,)), Verdict.PASS, "0 of 6000 events were bad in the last 5 min"),
        # it has only begun: not yet worth waking anybody
        (Counted(newest_bad=(600,)), Verdict.PASS, "600 of 6000 events were bad in the last 5 min (burn rate 100)"),
        (Counted(newest_bad=(600, 600)), Verdict.FAIL, "since 11:50 UTC"),
        (Counted(newest_bad=(6000,)), Verdict.FAIL, "since 11:55 UTC"),
    ],
)
def test_both_windows_must_burn_above_the_limit(counted: Counted, verdict: Verdict, said: str) -> None:
    found = burn(counted)

    assert found.verdict is verdict
    assert said in found.reason


@pytest.mark.parametrize(
    ("total", "bad", "verdict"),
    [
        (4, (1,), Verdict.WARN),  # one failure of 48 requests burns 20 times as fast, and proves nothing
        (4, (1, 1), Verdict.WARN),
        (4, (2, 2), Verdict.FAIL),
        (50, (3, 3, 3), Verdict.FAIL),
        (1000, (15,), Verdict.PASS),
    ],
)
def test_a_few_failures_of_a_quiet_service_wake_nobody(total: int, bad: tuple[int, ...], verdict: Verdict) -> None:
    assert burn(Counted(total=total, newest_bad=bad)).verdict is verdict


def test_slow_requests_burn_the_budget_of_a_latency() -> None:
    steady, slow = burn(Counted(slow=50), kpi="p99_latency"), burn(Counted(slow=900), kpi="p99_latency")

    assert (steady.verdict, steady.long.burn) == (Verdict.PASS, pytest.approx(50 / 6000 / 0.01))
    assert (slow.verdict, slow.long.n_bad) == (Verdict.FAIL, HOUR * 900)


def test_an_outage_is_seen_where_the_objective_makes_the_usual_limit_unreachable() -> None:
    policy = policy_with("availability", slo={"objective": 0.9})

    assert burn(Counted(bad=6000), policy=policy).verdict is Verdict.FAIL
    assert burn(Counted(bad=2999), policy=policy).verdict is Verdict.PASS


def test_an_objective_of_nothing_has_no_budget() -> None:
    with pytest.raises(ContractError, match="promises nothing for cpu"):
        burn(Counted(), kpi="cpu")


# What nobody knows


@pytest.mark.parametrize(
    ("counted", "verdict", "said"),
    [
        (Counted(newest_arrived=(0,), newest_total=(0,)), Verdict.UNKNOWN, "no data since 11:55 UTC"),
        (Counted(newest_arrived=(0, 0, 0), newest_total=(0, 0, 0)), Verdict.UNKNOWN, "no data since 11:45 UTC"),
        (Counted(arrived=0, total=0), Verdict.UNKNOWN, "no data since 00:00 UTC or earlier"),
        (Counted(newest_arrived=(3,)), Verdict.UNKNOWN, "coverage 0.60 < 0.90 of the last 5 min"),
        (Counted(newest_arrived=(4,)), Verdict.PASS, "0 of 6000"),  # a single lost scrape
        (Counted(newest_arrived=(0, 0, PER_SLOT)), Verdict.PASS, "0 of 6000"),  # it is back
        # the scrapes arrive, and nobody asks any more
        (Counted(newest_total=(0,)), Verdict.UNKNOWN, "about 6000 were to be expected"),
        (Counted(total=0), Verdict.UNKNOWN, "no valid events in the last 1 h"),
        (Counted(total=1, newest_total=(0,)), Verdict.PASS, "about 1 were to be expected"),  # it is that quiet
    ],
)
def test_a_short_window_that_says_nothing_is_unknown(counted: Counted, verdict: Verdict, said: str) -> None:
    found = burn(counted)

    assert found.verdict is verdict
    assert said in found.reason


def test_a_service_that_died_while_it_burnt_is_unknown_and_not_well() -> None:
    found = burn(Counted(bad=3000, newest_arrived=(0,), newest_total=(0,), newest_bad=(0,)))

    assert found.verdict is Verdict.UNKNOWN
    assert found.since_at == at(24 + 12 - 1 / 12)


@pytest.mark.parametrize(
    ("knobs", "said"),
    [({"warned": ("availability",)}, "the server warned"), ({"refused": ("availability",)}, "not measured")],
)
def test_an_answer_that_is_refused_or_doubted_is_unknown(knobs: dict, said: str) -> None:
    telemetry = running({"api": Counted()}, until=NOON, **knobs)

    found = burn_now(telemetry, release(), demo_policy().promises, "availability", "api")

    assert found.verdict is Verdict.UNKNOWN
    assert said in found.reason


def test_a_release_of_ten_minutes_is_judged_by_these_ten() -> None:
    found = burn(Counted(bad=600), until=at(1 / 6))

    assert found.verdict is Verdict.FAIL
    assert (found.long.n_total, found.short.n_total) == (12000, 6000)


@pytest.mark.parametrize(
    ("arrived", "verdict"),
    [
        ((3, 5), Verdict.PASS),  # GA is the beginning of the minute in which it was seen
        ((0, 3), Verdict.PASS),  # it has only just come up
        ((0, 0, 2, 5), Verdict.PASS),
        ((3, 3), Verdict.UNKNOWN),  # it came up, and scrapes are lost
        ((3, 0), Verdict.UNKNOWN),
        ((0, 0), Verdict.UNKNOWN),
    ],
)
def test_a_service_is_awaited_from_its_first_scrape_on(arrived: tuple[int, ...], verdict: Verdict) -> None:
    counted = Counted(newest_arrived=arrived, newest_total=tuple(1000 * n for n in arrived))

    assert burn(counted, until=at(len(arrived) / 12)).verdict is verdict


# Properties

PER_SLOT_COUNTS = st.integers(0, 2000)


@settings(max_examples=60, deadline=None)
@given(
    total=st.lists(PER_SLOT_COUNTS, min_size=12, max_size=12),
    shares=st.lists(st.floats(0, 1), min_size=12, max_size=12),
    more=st.integers(0, 2000),
    slot=st.integers(0, 11),
)
def test_more_bad_events_never_improve_the_verdict(total: list[int], shares: list[float], more: int, slot: int) -> None:
    bad = [int(n * share) for n, share in zip(total, shares, strict=True)]
    worse = [min(n, b + more) if i == slot else b for i, (n, b) in enumerate(zip(total, bad, strict=True))]
    before, after = (burn(Counted(newest_total=tuple(total), newest_bad=tuple(some))).verdict for some in (bad, worse))

    assert worst([before, after]) is after


@settings(max_examples=40, deadline=None)
@given(
    arrived=st.lists(st.integers(0, PER_SLOT), min_size=1, max_size=12),
    bad=st.integers(0, 6000),
)
def test_a_short_window_without_enough_scrapes_is_never_green(arrived: list[int], bad: int) -> None:
    found = burn(Counted(bad=bad, newest_arrived=tuple(arrived)))

    assert (found.verdict is Verdict.UNKNOWN) is (arrived[-1] < PER_SLOT - 1)
