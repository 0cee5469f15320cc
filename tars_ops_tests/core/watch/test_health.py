"""One number for a day: 100 at the ideal, 80 at the objective, and no number for what nobody knows."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.core.policy import LatencyKpi
from tars_ops.core.verdict import Priority, Tier, Verdict
from tars_ops.core.watch.health import DailyHealth, HealthStatus, assess_health
from tars_ops.core.watch.stability import DailyStability
from tars_ops_tests.core.factories import Change, Scene, anomalies, demo_policy, during, health, policy_with, stability

PARTS = ("availability", "latency", "uptime", "drift")
SLOS = ("availability", "p99_latency")


def part(found: DailyHealth, name: str) -> tuple[float | None, float]:
    one = next(one for one in found.parts if one.name == name)
    return one.score, one.weight


@cache
def steady() -> DailyStability:
    return stability()


def assessed(*, unknown: tuple[str, ...] = (), **changes: Mapping[str, object]) -> DailyHealth:
    """Assess a steady day in which some KPIs of every service are different."""
    rows = []
    for row in steady().kpis:
        update = dict(changes.get(row.kpi, {}))
        if row.kpi in unknown:
            update = {"verdict": Verdict.UNKNOWN, "slo": row.slo and Verdict.UNKNOWN, "reason": "no data"}
        if "value" in update:
            update["measured"] = row.measured.model_copy(update={"value": update.pop("value")})
        rows.append(row.model_copy(update=update))
    day = steady().model_copy(update={"kpis": tuple(rows)})
    return assess_health(day, anomalies(), demo_policy())


def everywhere(**update: object) -> dict[str, Mapping[str, object]]:
    return {name: dict(update) for name in demo_policy().judged}


# The scale


def test_a_steady_day_is_healthy_and_green() -> None:
    found = health()

    assert found.score == pytest.approx(95, abs=1)
    assert (found.status, found.tier, found.lifted) == (HealthStatus.HEALTHY, Tier.GREEN, False)


def test_the_ideal_is_100() -> None:
    ideal = everywhere(harm=0.0) | {
        "availability": {"burn": 0.0, "harm": 0.0},
        "p99_latency": {"value": 0.25, "harm": 0.0},
    }

    assert assessed(**ideal).score == 100.0


def test_exactly_at_every_objective_is_exactly_80() -> None:
    at_warn = {name: {"harm": kpi.drift_warn} for name, kpi in demo_policy().judged.items()}
    at_warn["availability"]["burn"] = 1.0
    at_warn["p99_latency"]["value"] = 0.5
    at_warn["uptime"]["value"] = 0.999

    found = assessed(**at_warn)

    assert found.score == 80.0
    assert [part(found, name)[0] for name in PARTS] == [80.0] * 4
    assert found.status is HealthStatus.HEALTHY


@pytest.mark.parametrize(
    ("name", "changes", "score"),
    [
        ("availability", {"availability": {"burn": 0.5}}, 90.0),
        ("availability", {"availability": {"burn": 5.5}}, 40.0),
        ("availability", {"availability": {"burn": 10.0}}, 0.0),
        ("availability", {"availability": {"burn": 500.0}}, 0.0),
        ("latency", {"p99_latency": {"value": 0.375}}, 90.0),
        ("latency", {"p99_latency": {"value": 0.75}}, 40.0),
        ("latency", {"p99_latency": {"value": 1.0}}, 0.0),
        ("uptime", {"uptime": {"value": 0.9995}}, 90.0),
        ("uptime", {"uptime": {"value": 0.99}}, 0.0),
        ("drift", {"memory": {"harm": 0.05}}, 90.0),
        ("drift", {"memory": {"harm": 0.6}}, 0.0),
        ("drift", {"availability": {"harm": 0.5}}, 80.0),
    ],
)
def test_each_part_is_a_straight_line_between_its_knots(
    name: str, changes: Mapping[str, Mapping[str, object]], score: float
) -> None:
    assert part(assessed(**changes), name)[0] == pytest.approx(score, abs=0.06)


def test_a_part_is_as_good_as_its_worst_service() -> None:
    found = health(1, during(Change(service="worker", errors=0.004)))

    assert part(found, "availability")[0] < 60
    assert next(one for one in found.parts if one.name == "availability").worst_service == "worker"


@given(
    st.floats(0, 1),
    st.floats(0.01, 0.5),
    st.floats(0, 1),
    st.dictionaries(st.sampled_from(["memory", "cpu", "cost_per_hour"]), st.floats(0, 10)),
)
@settings(deadline=None)
def test_a_day_that_meets_every_objective_is_never_below_80(
    burn: float, p99: float, uptime: float, harms: dict[str, float]
) -> None:
    worse = {name: {"harm": harm} for name, harm in harms.items()}

    found = assessed(
        **{"availability": {"burn": burn}, "p99_latency": {"value": p99}, "uptime": {"value": uptime}} | worse
    )

    assert 80 <= found.score <= 100
    assert found.status is HealthStatus.HEALTHY


def test_a_lifted_score_says_so() -> None:
    found = health(1, during(Change(memory=3.0, cpu=3.0, up=0.5)))

    assert (found.score, found.lifted) == (80.0, True)


def test_a_day_that_breaks_an_objective_is_not_lifted() -> None:
    found = health(1, during(Change(errors=0.05)))

    assert found.score < 60
    assert (found.status, found.tier, found.lifted) == (HealthStatus.CRITICAL, Tier.RED, False)


@pytest.mark.parametrize(("burn", "status"), [(6.0, HealthStatus.DEGRADED), (10.0, HealthStatus.CRITICAL)])
def test_the_score_in_one_word(burn: float, status: HealthStatus) -> None:
    broken = {"burn": burn, "slo": Verdict.FAIL, "verdict": Verdict.FAIL}

    assert assessed(availability=broken).status is status


# Unknown


def test_an_empty_day_has_no_score() -> None:
    found = health(1, Scene(services=()))

    assert found.score is None
    assert (found.status, found.tier) == (HealthStatus.UNKNOWN, Tier.UNKNOWN)
    assert {one.weight for one in found.parts} == {0.0}


@pytest.mark.parametrize(
    "scene",
    [Scene(keep=0.5), Scene(warned=tuple(demo_policy().judged)), Scene(refused=tuple(demo_policy().judged))],
    ids=["thin", "warned", "refused"],
)
def test_a_day_that_nobody_can_vouch_for_has_no_score(scene: Scene) -> None:
    found = health(1, scene)

    assert found.score is None
    assert (found.status, found.tier) == (HealthStatus.UNKNOWN, Tier.UNKNOWN)


def test_without_availability_the_colour_is_unknown() -> None:
    found = assessed(unknown=("availability",))

    assert found.tier is Tier.UNKNOWN
    assert part(found, "availability") == (None, 0.0)


@pytest.mark.parametrize(
    ("unknown", "name"),
    [(("p99_latency",), "latency"), (("uptime",), "uptime"), (tuple(demo_policy().judged), "drift")],
)
def test_a_part_that_nobody_knows_is_left_out_and_never_green(unknown: tuple[str, ...], name: str) -> None:
    found = assessed(unknown=unknown)

    assert part(found, name) == (None, 0.0)
    assert found.tier in {Tier.AMBER, Tier.UNKNOWN}


@given(st.sets(st.sampled_from(["availability", "p99_latency", "uptime"])))
def test_the_weights_of_the_known_parts_sum_to_one(unknown: set[str]) -> None:
    found = assessed(unknown=tuple(unknown))

    assert sum(one.weight for one in found.parts) == pytest.approx(1, abs=1e-12)
    assert found.score == pytest.approx(sum(one.weight * (one.score or 0) for one in found.parts), abs=0.051)


def test_the_rest_is_weighed_anew_where_a_part_is_missing() -> None:
    weights = [part(assessed(unknown=("uptime",)), name)[1] for name in PARTS]

    assert weights == pytest.approx([0.40 / 0.85, 0.30 / 0.85, 0.0, 0.15 / 0.85])


def test_one_unknown_promise_of_one_service_is_amber() -> None:
    found = health(1, Scene(without=(("p99_latency", "worker"),)))

    assert found.tier is Tier.AMBER
    assert "p99_latency of worker is unknown" in found.tier_reason


def test_a_known_failure_is_red_beside_something_unknown() -> None:
    found = health(1, during(Change(service="worker", errors=0.5), silent=(("api", 0, 24),)))

    assert found.tier is Tier.RED
    assert found.tier_reason == "availability of worker broke its objective"


def test_a_warned_promise_is_amber() -> None:
    warned = {"verdict": Verdict.WARN, "slo": Verdict.WARN, "reason": "too few events to be sure"}

    assert assessed(availability=warned).tier is Tier.AMBER


def test_a_failed_drift_without_a_promise_is_amber() -> None:
    assert health(1, during(Change(memory=1.4))).tier is Tier.AMBER


def test_a_policy_without_promises_is_not_green() -> None:
    bare = steady().model_copy(update={"kpis": tuple(one.model_copy(update={"slo": None}) for one in steady().kpis)})

    assert assess_health(bare, anomalies(), demo_policy()).tier is Tier.UNKNOWN


# What to do


def test_a_broken_promise_is_the_first_thing_to_do() -> None:
    found = health(1, during(Change(service="api", errors=0.05), Change(service="worker", memory=1.4)))
    todo = [(one.priority, one.kpi, one.service) for one in found.mitigations]

    assert todo[0] == (Priority.P0, "availability", "api")
    assert (Priority.P1, "memory", "worker") in todo
    assert [one.priority for one in found.mitigations] == sorted(one.priority for one in found.mitigations)


def test_a_blind_spot_is_something_to_do() -> None:
    found = health(1, Scene(services=("worker",)))

    assert {(one.priority, one.service) for one in found.mitigations} == {(Priority.P1, "api")}
    assert all("Restore the telemetry of api" in one.action for one in found.mitigations)


def test_a_steady_day_asks_for_nothing() -> None:
    assert health().mitigations == ()


def test_critical_anomalies_are_counted_and_looked_at() -> None:
    found = health(1, during(Change(service="api", hours=(12, 13), memory=2.0)))

    assert found.n_anomalies == 1
    assert found.n_critical_anomalies == 1
    assert found.mitigations[-1].action.startswith("Look at api from 12:00")


def test_without_causes_an_action_names_none() -> None:
    policy = policy_with("memory", causes=[])
    day = stability(1, during(Change(memory=1.4)))

    found = assess_health(day, anomalies(), policy)

    assert all("usual cause" not in one.action for one in found.mitigations if one.kpi == "memory")
    assert isinstance(policy.judged["p99_latency"], LatencyKpi)
