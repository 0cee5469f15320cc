"""A gate passes where the claim is known to be true, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tars_ops.core.gate import Claim, Gate
from tars_ops.core.gates import of_baseline, of_day, of_telemetry, of_verdict
from tars_ops.core.gates.promise import not_promised, objective_gate, promised_gate
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.baseline import summarise
from tars_ops.core.watch.budgets.budget import Budget, budgets
from tars_ops.core.watch.certification import certify
from tars_ops_tests.core.factories import (
    STEADY,
    Change,
    Scene,
    anomalies,
    baseline,
    demo_policy,
    during,
    health,
    make,
    policy_tree,
    policy_with,
    release,
    stability,
    steady_days,
    telemetry,
    verdict,
)

FAILING = during(Change(service="api", errors=0.05))
SLOW = during(Change(service="api", latency=6.0))
THIN = Scene(keep=0.5)
NO_WORKER = Scene(silent=(("worker", 0.0, 24.0),))
NO_CACHE = Scene(without=(("cache_hit_ratio", "worker"),))
"""The worker has no cache, on any day."""
WARNED = Scene(warned=("availability",))
AVAILABILITY, P99 = promised_gate("availability"), promised_gate("p99_latency")
EVIDENCE_OF_A_PROMISE = {
    "objective_ratio",
    "value",
    "sli_ratio",
    "sli_lower_ratio",
    "sli_upper_ratio",
    "n_bad",
    "n_total",
    "burn_rate",
    "budget_left_ratio",
    "coverage_ratio",
}


def spent(day: Scene | None, ga: Scene = STEADY) -> Mapping[tuple[str, str], Budget]:
    judged = {1: stability(1, day, ga=ga)} if day else {}
    return {(one.kpi, one.service): one for one in budgets(telemetry(0, ga), baseline(ga), judged, demo_policy())}


def by_name(*gates: Gate) -> dict[str, Gate]:
    return {gate.name: gate for gate in gates}


def on_ga_day(ga: Scene = STEADY, *, policy: Policy | None = None) -> dict[str, Gate]:
    """Every gate of the GA day."""
    found, before, by = telemetry(0, ga), baseline(ga), policy or demo_policy()
    return by_name(
        of_telemetry.covers_the_window("ga_telemetry", found, before, by),
        of_telemetry.comes_without_warnings("ga_telemetry", found.quality, by),
        *of_baseline.baseline_gates(before, release(), by, telemetry=found, spent=spent(None, ga)),
    )


def on_a_day(day: Scene, ga: Scene = STEADY, *, policy: Policy | None = None) -> dict[str, Gate]:
    """Every gate of day 1."""
    found, judged, by = telemetry(1, day), stability(1, day, ga=ga), policy or demo_policy()
    return by_name(
        of_telemetry.covers_the_window("daily_telemetry", found, baseline(ga), by),
        of_telemetry.comes_without_warnings("daily_telemetry", found.quality, by),
        *of_day.stability_gates(judged, by, spent(day, ga), found.quality),
        of_day.anomaly_gate(anomalies(1, day), judged, by),
        of_day.health_gate(health(1, day, ga=ga), by),
    )


def of_service(gate: Gate, service: str) -> Claim:
    return next(one for one in gate.claims if one.service == service)


def verdicts(gates: Mapping[str, Gate]) -> dict[str, Verdict]:
    return {name: gate.verdict for name, gate in gates.items()}


# Every gate, good and bad


def test_a_steady_release_passes_every_gate() -> None:
    assert set(verdicts(on_ga_day()).values()) == {Verdict.PASS}
    assert set(verdicts(on_a_day(STEADY)).values()) == {Verdict.PASS}


PASS, WARN, FAIL, UNKNOWN = Verdict.PASS, Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        (FAILING, {AVAILABILITY: FAIL, P99: PASS, of_day.NO_DRIFT: FAIL, of_day.NO_CRITICAL_ANOMALY: FAIL}),
        (SLOW, {AVAILABILITY: PASS, P99: FAIL, of_day.NO_DRIFT: FAIL}),
        (WARNED, {"daily_telemetry_comes_without_warnings": UNKNOWN, AVAILABILITY: UNKNOWN, P99: PASS}),
        (
            NO_WORKER,
            {
                "daily_telemetry_covers_the_window": UNKNOWN,
                AVAILABILITY: UNKNOWN,
                P99: UNKNOWN,
                of_day.NO_DRIFT: UNKNOWN,
            },
        ),
    ],
)
def test_a_fault_of_a_day_is_said_by_the_gates_that_it_concerns(day: Scene, expected: dict[str, Verdict]) -> None:
    found = verdicts(on_a_day(day))

    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("day", [THIN, Scene(keep=0.0)], ids=["thin", "empty"])
def test_a_day_that_nobody_knows_holds_no_claim_about_the_product(day: Scene) -> None:
    found = verdicts(on_a_day(day))
    found.pop("daily_telemetry_comes_without_warnings")  # the server answered, though with little

    assert set(found.values()) == {Verdict.UNKNOWN}


def test_a_thin_day_is_not_judged_by_the_figures_that_it_has() -> None:
    drift = on_a_day(THIN)[of_day.NO_DRIFT]

    assert all(row.harm is not None for row in stability(1, THIN).kpis if row.kpi == "availability")
    assert drift.verdict is Verdict.UNKNOWN
    assert "coverage 0.50 < 0.90" in drift.reason


def test_a_service_that_vanished_is_named_by_every_gate_of_its_day() -> None:
    found = on_a_day(NO_WORKER)

    for name in ("daily_telemetry_covers_the_window", AVAILABILITY, P99, of_day.NO_DRIFT):
        assert of_service(found[name], "worker").verdict is Verdict.UNKNOWN, name
        assert of_service(found[name], "api").verdict is Verdict.PASS, name
        assert found[name].worst_service == "worker", name


def test_no_anomaly_is_not_said_of_a_service_that_nobody_saw() -> None:
    silent = anomalies(1, NO_WORKER).model_copy(update={"events": ()})

    gate = of_day.anomaly_gate(silent, stability(1, NO_WORKER), demo_policy())

    assert of_service(gate, "worker").verdict is Verdict.UNKNOWN
    assert of_service(gate, "api").verdict is Verdict.PASS


# The server's own words


def test_a_warning_of_the_server_is_quoted_with_the_kpi() -> None:
    gate = on_a_day(WARNED)["daily_telemetry_comes_without_warnings"]

    assert gate.reason == "1 warnings, availability: a shard did not answer"
    assert gate.claims[0].evidence == {"n_warnings": 1, "server": "prometheus 3.5.0"}


def test_a_server_that_was_asked_nothing_has_not_answered_without_a_warning() -> None:
    quality = telemetry(1).quality.model_copy(update={"kpis": ()})

    gate = of_telemetry.comes_without_warnings("daily_telemetry", quality, demo_policy())

    assert gate.verdict is Verdict.UNKNOWN


def test_coverage_is_told_with_the_longest_gap() -> None:
    found = on_a_day(Scene(silent=(("api", 3.0, 9.0),)))["daily_telemetry_covers_the_window"]
    api = of_service(found, "api")

    assert api.verdict is Verdict.UNKNOWN
    assert api.evidence["longest_gap_s"] == 6 * 3600
    assert api.evidence["lowest_coverage_ratio"] == pytest.approx(0.75, abs=0.01)
    assert (api.evidence["min_coverage_ratio"], of_service(found, "worker").verdict) == (0.9, Verdict.PASS)


# Promises


@pytest.mark.parametrize("gates", [on_ga_day(), on_a_day(FAILING)], ids=["ga day", "day 1"])
@pytest.mark.parametrize("name", [AVAILABILITY, P99])
def test_a_promise_comes_with_its_whole_evidence(gates: dict[str, Gate], name: str) -> None:
    gate = gates[name]

    for claim in gate.claims:
        unknown = {key for key, figure in claim.evidence.items() if figure is None}
        assert set(claim.evidence) - {"threshold_s"} == EVIDENCE_OF_A_PROMISE
        assert unknown == set(), claim.service
    assert gate.query == f"query of {gate.kpi}"


def test_the_figures_of_a_broken_promise_add_up() -> None:
    api = of_service(on_a_day(FAILING)[AVAILABILITY], "api").evidence
    sli, low, high = (api[f"{name}_ratio"] for name in ("sli", "sli_lower", "sli_upper"))

    assert isinstance(sli, float)
    assert sli == pytest.approx(1 - float(api["n_bad"] or 0) / float(api["n_total"] or 0))
    assert float(low or 0) < sli < float(high or 0) < 0.999
    assert api["burn_rate"] == pytest.approx((1 - sli) / 0.001)
    assert float(api["budget_left_ratio"] or 0) == pytest.approx(1 - spent(FAILING)["availability", "api"].spent)
    assert (api["objective_ratio"], api["coverage_ratio"]) == (0.999, 1.0)


def test_the_reason_of_a_promise_speaks_of_the_promise_and_not_of_a_drift() -> None:
    worse = during(Change(latency=1.4))
    row = stability(1, worse).of_service("p99_latency", "api")
    gate = on_a_day(worse)[P99]

    assert row is not None
    assert row.slo is Verdict.PASS
    assert "on the GA day" in row.reason
    assert gate.verdict is Verdict.PASS
    assert "GA day" not in gate.reason
    assert "promised are 500 ms" in gate.reason


def test_a_broken_promise_says_by_how_much_and_how_sure_it_is() -> None:
    reason = on_a_day(FAILING)[AVAILABILITY].reason

    assert reason.startswith("api: 94.9")
    assert "promised are 99.900 %" in reason
    assert "if the promise held" in reason
    assert "worker" not in reason


def test_a_kpi_that_no_service_has_is_unknown_and_not_kept() -> None:
    gone = Scene(without=(("availability", "api"), ("availability", "worker")))

    assert on_a_day(gone, ga=gone)[AVAILABILITY].verdict is Verdict.UNKNOWN
    assert on_ga_day(gone)[AVAILABILITY].verdict is Verdict.UNKNOWN
    assert objective_gate("daily_stability", "availability", demo_policy(), ()).reason == (
        "no service of the release has this KPI"
    )


def test_a_kpi_that_a_service_never_had_is_no_claim_about_it() -> None:
    api_only = Scene(without=(("availability", "worker"),))

    assert [one.service for one in on_a_day(api_only, ga=api_only)[AVAILABILITY].claims] == ["api"]
    assert [one.service for one in on_ga_day(api_only)[AVAILABILITY].claims] == ["api"]


def test_a_promise_of_another_product_does_not_concern_this_one_and_alerts_nobody() -> None:
    (gate,) = not_promised("daily_stability", ["availability", "checkout_success"], demo_policy())

    assert gate.name == "checkout_success_keeps_its_objective"
    assert gate.holds
    assert gate.verdict is not Verdict.PASS
    assert gate.reason == "not applicable: the policy of tars promises nothing for checkout_success"
    assert gate.worst_service is None


@pytest.mark.parametrize("severity", list(Severity))
def test_the_policy_says_how_bad_a_broken_objective_is(severity: Severity) -> None:
    policy = policy_with("availability", slo={"objective": 0.999, "severity": severity.value})

    assert on_a_day(FAILING, policy=policy)[AVAILABILITY].severity is severity
    assert on_ga_day(policy=policy)[AVAILABILITY].severity is severity


@pytest.mark.parametrize(
    ("rule", "gates"),
    [
        ("telemetry", ["daily_telemetry_covers_the_window", "daily_telemetry_comes_without_warnings"]),
        ("drift", [of_day.NO_DRIFT]),
        ("anomaly", [of_day.NO_CRITICAL_ANOMALY]),
        ("health", [of_day.HEALTH_FLOOR]),
        ("baseline", [of_baseline.FROZEN, of_baseline.LONG_ENOUGH, of_baseline.VALID]),
        ("regression", [of_verdict.NO_CRITICAL_REGRESSION]),
        ("rollback", [of_verdict.NO_ROLLBACK]),
    ],
)
def test_the_policy_says_how_bad_every_other_rule_is(rule: str, gates: list[str]) -> None:
    policy = Policy.model_validate(policy_tree(gates={rule: "low"}))
    found = {**on_ga_day(policy=policy), **on_a_day(STEADY, policy=policy), **of_a_verdict(policy=policy)}
    low = [name for name, gate in found.items() if gate.severity is Severity.LOW]

    assert set(gates) <= set(low)
    assert {"availability_keeps_its_objective"}.isdisjoint(low)


# The baseline


def test_a_ga_day_without_coverage_is_no_baseline() -> None:
    nothing = Scene(silent=(("worker", 0.0, 24.0),))
    policy = Policy.model_validate(
        policy_tree(measurement={**policy_tree()["measurement"], "services": ["api", "worker"]})
    )
    found = make(policy, release(), 0, nothing)
    summary = summarise(found, release(), policy)
    gates = by_name(*of_baseline.baseline_gates(summary, release(), policy, telemetry=found, spent={}))

    for name in (of_baseline.LONG_ENOUGH, of_baseline.VALID, AVAILABILITY, P99):
        assert of_service(gates[name], "worker").verdict is Verdict.UNKNOWN, name
        assert of_service(gates[name], "api").verdict is Verdict.PASS, name
    assert of_service(gates[of_baseline.LONG_ENOUGH], "worker").reason == (
        "its best KPI is known for 0.0 % of the GA day, needed 90.0 %"
    )


def test_half_a_ga_day_is_too_short() -> None:
    half = on_ga_day(Scene(silent=(("api", 0.0, 12.0), ("worker", 0.0, 12.0))))[of_baseline.LONG_ENOUGH]

    assert half.verdict is Verdict.UNKNOWN
    assert half.claims[0].evidence["known_ratio"] == pytest.approx(0.5, abs=0.01)


def test_a_baseline_without_any_service_is_neither_long_enough_nor_valid() -> None:
    empty = baseline().model_copy(update={"services": (), "spreads": (), "kpis": ()})

    gates = by_name(*of_baseline.baseline_gates(empty, release(), demo_policy(), telemetry=telemetry(0), spent={}))

    for name in (of_baseline.LONG_ENOUGH, of_baseline.VALID, AVAILABILITY, P99):
        assert gates[name].verdict is Verdict.UNKNOWN, name


@pytest.mark.parametrize(
    ("ga", "expected", "said"),
    [
        (STEADY, Verdict.PASS, "every objective of the GA day was measured and kept"),
        (FAILING, Verdict.FAIL, "a GA day that breaks its promises is a lenient yardstick: availability: 94.9"),
        (THIN, Verdict.UNKNOWN, "nothing to compare with: availability: coverage 0.50 < 0.90"),
        (Scene(errors=0.0012, requests_per_s=0.05), Verdict.WARN, "may be a lenient yardstick: availability"),
    ],
    ids=["good", "broken", "thin", "perhaps"],
)
def test_a_baseline_is_as_valid_as_its_promises_were_kept(ga: Scene, expected: Verdict, said: str) -> None:
    gate = on_ga_day(ga)[of_baseline.VALID]

    assert gate.verdict is expected
    assert said in gate.reason


def test_a_service_that_no_objective_concerns_is_not_said_to_have_kept_any() -> None:
    batch = Scene(without=(("availability", "worker"), ("p99_latency", "worker")))
    claim = of_service(on_ga_day(batch)[of_baseline.VALID], "worker")

    assert (claim.verdict, claim.reason) == (Verdict.PASS, "no objective concerns it")


@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        ({}, Verdict.PASS, "of the GA telemetry that is stored"),
        ({"telemetry_sha256": "c" * 64}, Verdict.FAIL, "it was made of GA telemetry cccccccccccc, stored is "),
        (
            {"policy_sha256": "d" * 64},
            Verdict.FAIL,
            "made under policy dddddddddddd, the release is pinned to aaaaaaaaa",
        ),
        ({"supersedes": "e" * 64}, Verdict.WARN, "somebody replaced the baseline eeeeeeeeeeee on purpose"),
        ({"supersedes": "e" * 64, "policy_sha256": "d" * 64}, Verdict.FAIL, "refreeze on purpose"),
    ],
    ids=["frozen", "other telemetry", "other policy", "refrozen", "refrozen under another policy"],
)
def test_a_baseline_is_frozen_while_telemetry_and_policy_are_the_same(
    change: dict[str, str], expected: Verdict, said: str
) -> None:
    changed = baseline().model_copy(update=change)

    gates = of_baseline.baseline_gates(changed, release(), demo_policy(), telemetry=telemetry(0), spent={})
    frozen = by_name(*gates)[of_baseline.FROZEN]

    assert frozen.verdict is expected
    assert said in frozen.reason


# Drift


def test_a_drift_beyond_its_limit_names_the_worst_kpi_and_counts_the_others() -> None:
    gate = on_a_day(during(Change(service="api", memory=2.0, cpu=1.5)))[of_day.NO_DRIFT]

    assert gate.verdict is Verdict.FAIL
    assert gate.worst_service == "api"
    assert gate.reason.startswith("api: memory is 100.")
    assert ", and " in gate.reason
    assert int(of_service(gate, "api").evidence["n_beyond"] or 0) >= 2


def test_a_drift_between_attention_and_failure_warns_and_holds() -> None:
    gate = on_a_day(during(Change(service="api", memory=1.2)))[of_day.NO_DRIFT]

    assert (gate.verdict, gate.holds) == (Verdict.WARN, True)
    assert "memory is 20." in gate.reason


def test_a_kpi_that_the_ga_day_cannot_speak_for_has_no_drift_to_pass() -> None:
    no_memory = Scene(nan=(("memory", "api", 1.0),))
    gate = on_a_day(STEADY, ga=no_memory)[of_day.NO_DRIFT]

    assert gate.verdict is Verdict.UNKNOWN
    assert gate.reason.startswith("api: memory: no baseline")


def test_a_known_failure_stays_a_failure_when_another_service_is_unknown() -> None:
    day = Scene(changes=(Change(service="api", memory=2.0),), silent=(("worker", 0.0, 24.0),))
    gate = on_a_day(day)[of_day.NO_DRIFT]

    assert gate.verdict is Verdict.FAIL
    assert "worker" not in gate.reason
    assert of_service(gate, "worker").verdict is Verdict.UNKNOWN


# Health


@pytest.mark.parametrize(
    ("change", "expected", "said"),
    [
        ({"score": 60.0}, Verdict.PASS, "score 60 of 100, floor 60"),
        ({"score": 59.9}, Verdict.FAIL, "score 59.9 of 100, floor 60"),
        ({"score": None}, Verdict.UNKNOWN, "the day has no score: nothing that counts could be judged"),
        (
            {"score": 99.0, "tier": Tier.UNKNOWN, "tier_reason": "availability could not be judged"},
            Verdict.UNKNOWN,
            "but",
        ),
        ({"score": 20.0, "tier": Tier.UNKNOWN}, Verdict.FAIL, "score 20 of 100"),
    ],
    ids=["at the floor", "below it", "no score", "score of the rest", "low score of the rest"],
)
def test_health_is_measured_against_the_floor_and_never_by_the_rest(
    change: dict[str, object], expected: Verdict, said: str
) -> None:
    gate = of_day.health_gate(health().model_copy(update=change), demo_policy())

    assert gate.verdict is expected
    assert said in gate.reason


def test_a_score_that_leaves_something_out_warns_and_says_what() -> None:
    gate = on_a_day(NO_WORKER)[of_day.HEALTH_FLOOR]

    assert gate.verdict is Verdict.WARN
    assert "unknown KPIs are left out of availability, latency, uptime, drift" in gate.reason
    assert int(gate.claims[0].evidence["n_unknown"] or 0) > 0


def test_the_floor_is_the_one_of_the_policy() -> None:
    policy = Policy.model_validate(policy_tree(health={"floor": 99.9}))

    assert on_a_day(STEADY, policy=policy)[of_day.HEALTH_FLOOR].verdict is Verdict.FAIL


# The verdict on the release


def of_a_verdict(
    days: dict[int, Scene] | None = None, *, as_of: int = 2, policy: Policy | None = None
) -> dict[str, Gate]:
    given = days or steady_days(2)
    return by_name(*of_verdict.regression_gates(verdict(given, as_of=as_of), policy or demo_policy()))


def test_a_steady_release_has_no_regression_and_no_advice() -> None:
    assert set(verdicts(of_a_verdict()).values()) == {Verdict.PASS}


def test_a_critical_regression_fails_for_its_service_with_the_sentence() -> None:
    gate = of_a_verdict(steady_days(2, day_2=FAILING))[of_verdict.NO_CRITICAL_REGRESSION]

    assert (gate.verdict, gate.worst_service) == (Verdict.FAIL, "api")
    assert "Availability of api went from" in gate.reason
    assert of_service(gate, "api").evidence["n_critical"] == 1


def test_an_advice_to_roll_back_fails_with_its_reason() -> None:
    gate = of_a_verdict({1: FAILING, 2: FAILING})[of_verdict.NO_ROLLBACK]

    assert gate.verdict is Verdict.FAIL
    assert gate.claims[0].evidence["decision"] == Decision.ROLL_BACK.value
    assert float(gate.claims[0].evidence["highest_budget_spent_ratio"] or 0) > 1


def test_an_advice_to_watch_closer_warns_and_holds() -> None:
    gate = of_a_verdict(steady_days(2, day_2=during(Change(service="api", errors=0.003))))[of_verdict.NO_ROLLBACK]

    assert (gate.verdict, gate.holds) == (Verdict.WARN, True)


def test_a_verdict_as_of_a_missing_day_is_not_green_by_an_older_one() -> None:
    found = of_a_verdict({1: STEADY}, as_of=2)

    assert verdict({1: STEADY}, as_of=2).days[1].state is DayState.MISSING
    assert set(verdicts(found).values()) == {Verdict.UNKNOWN}
    assert "day_02 was not judged" in found[of_verdict.NO_CRITICAL_REGRESSION].reason


def test_a_known_critical_regression_stays_one_when_the_last_day_is_missing() -> None:
    found = of_a_verdict({1: FAILING}, as_of=2)

    assert found[of_verdict.NO_CRITICAL_REGRESSION].verdict is Verdict.FAIL


@pytest.mark.parametrize("day", [THIN, WARNED], ids=["nothing", "an objective"])
def test_what_was_promised_and_could_not_be_compared_is_no_absence_of_regressions(day: Scene) -> None:
    gate = of_a_verdict(steady_days(2, day_2=day))[of_verdict.NO_CRITICAL_REGRESSION]

    assert gate.verdict is Verdict.UNKNOWN


def test_a_verdict_without_one_comparison_is_unknown() -> None:
    analysis = verdict(steady_days(2), as_of=2).model_copy(update={"comparisons": (), "regressions": ()})

    gate = by_name(*of_verdict.regression_gates(analysis, demo_policy()))[of_verdict.NO_CRITICAL_REGRESSION]

    assert (gate.verdict, gate.reason) == (Verdict.UNKNOWN, "nothing was judged")


def certified(days: dict[int, Scene], *, as_of: int) -> Gate:
    judged = {day: stability(day, scene) for day, scene in days.items() if day <= as_of}
    certificate = certify(verdict(days, as_of=as_of), baseline(), judged, release(), demo_policy())
    return of_verdict.certification_gate(certificate, demo_policy())


def test_a_release_whose_watch_goes_on_is_not_asked_whether_it_can_be_closed() -> None:
    gate = certified(steady_days(3), as_of=3)

    assert gate.holds
    assert gate.reason == "not applicable: the watch is not over"


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (steady_days(7), Verdict.PASS),
        (steady_days(7, day_3=FAILING), Verdict.FAIL),
        (steady_days(7, day_7=THIN), Verdict.FAIL),
    ],
    ids=["steady", "broken", "last day unknown: the decision is not keep"],
)
def test_a_release_can_be_closed_where_every_day_was_kept(days: dict[int, Scene], expected: Verdict) -> None:
    assert certified(days, as_of=7).verdict is expected


# Bundles and evidence


@pytest.mark.parametrize(
    ("flaws", "missing", "expected"),
    [
        ([], [], (Verdict.PASS, Verdict.PASS)),
        (["a.zip: changed x"], [], (Verdict.FAIL, Verdict.PASS)),
        ([], ["tars@1.0.1/verdict/as_of_03/provenance"], (Verdict.PASS, Verdict.UNKNOWN)),
    ],
    ids=["whole", "damaged", "incomplete"],
)
def test_a_bundle_verifies_and_is_complete(
    flaws: list[str], missing: list[str], expected: tuple[Verdict, Verdict]
) -> None:
    verifies, complete = of_verdict.bundle_gates(flaws, missing, demo_policy(), as_of=3)

    assert (verifies.verdict, complete.verdict) == expected
    assert {verifies.severity, complete.severity} == {Severity.CRITICAL}
    assert all(text in verifies.reason for text in flaws)
    assert all(text in complete.reason for text in missing)


def test_damaged_evidence_fails_with_what_differs() -> None:
    gate = of_telemetry.intact("daily_telemetry", "samples.parquet differs", demo_policy(), evidence={})

    assert (gate.verdict, gate.severity, gate.reason) == (Verdict.FAIL, Severity.CRITICAL, "samples.parquet differs")


# The words of a gate


def claim(service: str, verdict: Verdict) -> Claim:
    return Claim(service=service, verdict=verdict, reason=f"it is {verdict.value}")


def gate_of(*claims: Claim) -> Gate:
    return objective_gate("daily_stability", "availability", demo_policy(), claims)


@pytest.mark.parametrize(
    ("claims", "reason", "worst_service"),
    [
        ([claim("api", PASS)], "api: it is pass", None),
        ([claim("api", PASS), claim("db", PASS)], "it holds for all 2 services; api: it is pass", None),
        ([claim("api", PASS), claim("db", WARN)], "db: it is warn", None),
        ([claim("api", FAIL), claim("db", UNKNOWN), claim("web", FAIL)], "api: it is fail; web: it is fail", "api"),
        ([claim("api", PASS), claim("db", UNKNOWN)], "db: it is unknown", "db"),
        ([claim(ALL_SERVICES, FAIL)], "it is fail", ALL_SERVICES),
    ],
)
def test_a_gate_says_what_is_worst_and_of_whom(claims: list[Claim], reason: str, worst_service: str | None) -> None:
    gate = gate_of(*claims)

    assert (gate.reason, gate.worst_service) == (reason, worst_service)


def test_a_gate_that_nothing_was_said_about_says_so_and_does_not_hold() -> None:
    gate = of_day.anomaly_gate(anomalies(), stability().model_copy(update={"kpis": ()}), demo_policy())

    assert [(one.service, one.reason) for one in gate.claims] == [(ALL_SERVICES, "nothing was judged")]
    assert (gate.verdict, gate.holds, gate.worst_service) == (Verdict.UNKNOWN, False, ALL_SERVICES)
