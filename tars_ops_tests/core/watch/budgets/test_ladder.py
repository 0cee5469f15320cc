"""On which days and over which windows does a budget burn too fast, and where does nobody know?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core import sli
from tars_ops.core.policy import FAST_BURN, SINCE_GA, Policy
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.budgets.burn_looks import Lane, Looks, Rung, hottest, looks_of
from tars_ops.core.watch.budgets.ladder import BurnOfDay, burns_of
from tars_ops_tests.core.factories import (
    STEADY,
    Change,
    Scene,
    demo_policy,
    during,
    policy_tree,
    release,
    stability,
    telemetry,
)

A_DAY, HOUR = 288, 12
FIVE_PERCENT = during(Change(service="api", errors=0.05, hours=(10, 14)))
LATE = during(Change(service="api", errors=0.5, hours=(23.5, 24)))
FEW = Scene(requests_per_s=0.002)
RUNG = Rung("fast_burn", HOUR, 1, 14.4)

# Whole days


def burns(
    days: Mapping[int, Scene], *, ga: Scene = STEADY, policy: Policy | None = None
) -> dict[tuple[int, str, str], BurnOfDay]:
    """Return the burns of availability by day, service and window."""
    found = burns_of(
        telemetry(0, ga),
        {day: telemetry(day, scene) for day, scene in days.items()},
        {day: stability(day, scene, ga=ga) for day, scene in days.items()},
        release(),
        policy or demo_policy(),
    )
    return {(one.day, one.service, one.window): one for one in found if one.kpi == "availability"}


@cache
def broken() -> dict[tuple[int, str, str], BurnOfDay]:
    return burns({1: STEADY, 2: FIVE_PERCENT, 3: STEADY})


def test_every_window_of_a_steady_day_is_quiet() -> None:
    found = burns({1: STEADY, 2: STEADY})
    verdicts = {one.window: one.verdict for (day, _, _), one in found.items() if day == 2}

    assert verdicts == {
        FAST_BURN: Verdict.PASS,
        "six_hours": Verdict.PASS,
        "three_days": Verdict.UNKNOWN,
        SINCE_GA: Verdict.PASS,
    }


def test_five_percent_errors_fire_in_every_window_that_they_fill() -> None:
    fired = {key: one for key, one in broken().items() if one.verdict is Verdict.FAIL}

    assert {(day, service) for day, service, _ in fired} == {(2, "api")}
    assert {window for _, _, window in fired} == {FAST_BURN, "six_hours", SINCE_GA}
    assert {f"{one.fired_at:%H:%M}" for one in fired.values() if one.window == FAST_BURN} == {"10:20"}
    assert "(burn rate 51" in fired[2, "api", FAST_BURN].reason


def test_a_window_reaches_back_over_the_border_of_a_day() -> None:
    """Half an hour of errors before midnight fills an hour that ends after it."""
    after = burns({1: LATE, 2: STEADY})[2, "api", "six_hours"]

    assert after.worst is not None
    assert f"{after.worst.start_at:%d %H:%M}" == "19 18:25"
    assert after.worst.burn is not None
    assert after.worst.burn > 6
    assert after.verdict is Verdict.FAIL


def test_a_long_window_stays_hot_and_its_short_one_calls_it_over() -> None:
    after = broken()[3, "api", "three_days"]

    assert after.verdict is Verdict.PASS
    assert after.latest is not None
    assert after.latest.burn is not None
    assert after.latest.burn > after.limit
    assert (after.latest.short_burn or 0) < after.limit
    assert "the short window never burnt with it" in after.reason


def test_no_window_reaches_back_behind_ga() -> None:
    first = burns({1: STEADY})[1, "api", "three_days"]

    assert (first.verdict, first.latest, first.n_known) == (Verdict.UNKNOWN, None, 0)
    assert first.reason == "the window reaches back behind GA"


def test_the_window_from_ga_to_now_grows_and_its_limit_falls_to_one() -> None:
    found = burns(dict.fromkeys((1, 2, 5), STEADY))
    since = {day: found[day, "api", SINCE_GA] for day in (1, 2, 5)}

    assert {day: one.length_s // 86400 for day, one in since.items()} == {1: 2, 2: 3, 5: 6}
    assert {day: one.limit for day, one in since.items()} == pytest.approx({1: 1.5, 2: 1.0, 5: 1.0})


def test_a_day_that_is_missing_is_missing_in_every_window_that_needs_it() -> None:
    found = burns({1: STEADY, 3: STEADY})
    verdicts = {one.window: one.verdict for (day, _, _), one in found.items() if day == 3}

    assert verdicts[FAST_BURN] is Verdict.PASS
    assert verdicts["three_days"] is Verdict.UNKNOWN
    assert verdicts[SINCE_GA] is Verdict.UNKNOWN
    assert found[3, "api", "three_days"].reason == "slots of the window are missing"


@pytest.mark.parametrize("blind", [Scene(keep=0.5), Scene(warned=("availability",)), Scene(silent=(("api", 6, 18),))])
def test_a_blind_day_is_unknown_in_every_window(blind: Scene) -> None:
    found = burns({1: blind})

    assert {one.verdict for (_, service, _), one in found.items() if service == "api"} == {Verdict.UNKNOWN}


def test_a_quiet_service_says_how_many_events_it_would_need() -> None:
    found = burns({1: FEW}, ga=FEW)[1, "api", FAST_BURN]

    assert (found.verdict, found.n_known, found.n_needed) == (Verdict.UNKNOWN, 0, 218)
    assert found.reason == "too few events; 218 in the window tell enough"


def test_an_objective_that_cannot_burn_fast_still_has_a_limit_in_reach() -> None:
    tree = policy_tree()
    tree["kpis"]["availability"]["slo"] = {"objective": 0.9}
    found = burns({1: STEADY}, policy=Policy.model_validate(tree))[1, "api", FAST_BURN]

    assert found.limit == pytest.approx(5.0)


def test_windows_of_the_policy_replace_the_default_ones() -> None:
    tree = policy_tree(
        judgement={"burn_windows": {"half_a_day": {"budget_share": 0.1, "long_s": 43200, "short_s": 3600}}}
    )
    found = burns({1: STEADY}, policy=Policy.model_validate(tree))

    assert [window for _, service, window in found if service == "api"] == [FAST_BURN, "half_a_day", SINCE_GA]
    assert found[1, "api", "half_a_day"].limit == pytest.approx(6.0)
    assert found[1, "api", SINCE_GA].limit == pytest.approx(1.5)


def test_every_day_has_windows_for_every_budget() -> None:
    found = burns_of(telemetry(0), {1: telemetry(1)}, {1: stability()}, release(), demo_policy())

    assert {(one.kpi, one.service, one.window) for one in found} == {
        (kpi, service, window)
        for kpi in ("availability", "p99_latency")
        for service in ("api", "worker")
        for window in (FAST_BURN, "six_hours", "three_days", SINCE_GA)
    }


def test_a_later_day_never_changes_an_earlier_one() -> None:
    before, after = burns({1: STEADY, 2: FIVE_PERCENT}), broken()

    assert {key: one for key, one in after.items() if key[0] < 3} == before


# One lane


def lane(bad: np.ndarray, total: np.ndarray, seen: np.ndarray | None = None, *, objective: float = 0.999) -> Lane:
    rows = np.array([bad, total, np.ones_like(bad) if seen is None else seen], dtype=np.int64)
    sums = np.pad(np.cumsum(rows, axis=1), ((0, 0), (1, 0)))
    return Lane("availability", "api", objective, (1,), A_DAY, *sums)


def looked(bad: np.ndarray, total: np.ndarray, seen: np.ndarray | None = None, *, rung: Rung = RUNG) -> Looks:
    return looks_of(lane(bad, total, seen), rung, 1, demo_policy(), n_needed=218)


def two_days(value: int) -> np.ndarray:
    return np.full(2 * A_DAY, value, dtype=np.int64)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.002, 0.0144, 0.05]), st.sampled_from([3, 40, 400]))
@settings(max_examples=30)
def test_every_look_is_that_of_a_sum_and_a_binomial_test(seed: int, error_ratio: float, usual: int) -> None:
    draw = np.random.default_rng(seed)
    total = draw.poisson(usual, 2 * A_DAY)
    bad = draw.binomial(total, error_ratio)
    looks = looked(bad, total)

    for i in range(0, A_DAY, 31):
        end = A_DAY + i + 1
        pairs = [(int(bad[end - n : end].sum()), int(total[end - n : end].sum())) for n in (HOUR, 1)]
        burn = [sli.burn_rate(*pair, objective=0.999) for pair in pairs]
        sure = all(sli.p_at_least(*pair, probability=1 - 0.999) <= 0.001 for pair in pairs)
        over = all(one > 14.4 for one in burn)

        assert looks.end[i] == end
        assert bool(looks.fired[i]) is (over and sure)
        assert bool(looks.few[i]) is (pairs[0][1] < 218 or (burn[0] > 14.4 and pairs[1][1] == 0))


@pytest.mark.parametrize(
    ("total", "bad", "fires"),
    [(4, (1,), False), (4, (1, 1), False), (4, (2, 2), True), (50, (3, 3, 3), True), (1000, (15,), False)],
)
def test_a_few_failures_of_a_quiet_service_fire_nothing(total: int, bad: tuple[int, ...], *, fires: bool) -> None:
    """The same cases as on the running day."""
    counted = two_days(0)
    counted[A_DAY + 100 - len(bad) : A_DAY + 100] = bad
    looks = looked(counted, two_days(total))

    assert bool(looks.fired[99]) is fires


def test_a_missing_slot_is_not_a_quiet_one() -> None:
    seen = two_days(1)
    seen[A_DAY + 50] = 0
    looks = looked(two_days(0), two_days(1000), seen)

    assert np.flatnonzero(~looks.known).tolist() == [50]
    assert np.flatnonzero(looks.missing).tolist() == [50]


def test_a_long_window_forgives_a_tenth_of_its_slots() -> None:
    seen = two_days(1)
    seen[A_DAY + 50 : A_DAY + 52] = 0
    looks = looked(two_days(0), two_days(1000), seen)

    assert np.flatnonzero(looks.missing).tolist() == list(range(50, 62))


def test_silence_after_errors_is_not_calm() -> None:
    """The hour burns, and its newest slot holds no event at all."""
    bad, total = two_days(0), two_days(1000)
    bad[A_DAY + 90 : A_DAY + 99], total[A_DAY + 99] = 500, 0
    looks = looked(bad, total)

    assert bool(looks.few[99])
    assert not looks.known[99]
    assert bool(looks.known[98])


def test_the_worst_look_is_one_that_fired_before_one_that_burns_more_by_chance() -> None:
    bad, total = two_days(0), two_days(1000)
    total[A_DAY : A_DAY + 30], bad[A_DAY + 5] = 0, 0
    total[A_DAY + 20], bad[A_DAY + 20] = 1, 1
    bad[A_DAY + 200 : A_DAY + 203] = 100
    one = lane(bad, total)
    looks = looks_of(one, RUNG, 1, demo_policy(), n_needed=218)
    found = hottest(one, looks)

    assert found == 202
    assert looks.fired[found]


def test_without_events_no_look_is_the_worst() -> None:
    one = lane(two_days(0), two_days(0))

    assert hottest(one, looks_of(one, RUNG, 1, demo_policy(), n_needed=218)) is None
