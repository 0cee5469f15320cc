"""Can later days be compared with the frozen GA day?"""

from __future__ import annotations

from collections.abc import Iterable

from tars_ops.core.gate import AlertName, Claim, Gate
from tars_ops.core.gates.promise import Spent, objective_gate, promise_evidence
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Quality, Telemetry
from tars_ops.core.units import percent
from tars_ops.core.verdict import Verdict, worst
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.stability import keeps_its_promise

FROZEN, LONG_ENOUGH, VALID = "baseline_is_frozen", "baseline_is_long_enough", "baseline_is_valid"


def baseline_gates(
    baseline: GaBaseline, release: Release, policy: Policy, *, telemetry: Telemetry, spent: Spent
) -> tuple[Gate, ...]:
    """Return every gate of the baseline; ``telemetry`` is that of the GA day as it is stored now."""
    return (
        _is_frozen(baseline, release, policy, telemetry.sha256),
        _is_long_enough(baseline, release, policy),
        _is_valid(baseline, policy),
        *(_objective_of_ga(baseline, kpi, policy, spent, telemetry.quality) for kpi in policy.slos),
    )


def _baseline_gate(name: str, alert: AlertName, policy: Policy, claims: Iterable[Claim]) -> Gate:
    return Gate(name=name, alert=alert, asset="ga_baseline", severity=policy.gates.baseline, claims=tuple(claims))


def _is_frozen(baseline: GaBaseline, release: Release, policy: Policy, telemetry_sha256: str) -> Gate:
    verdict, said = Verdict.PASS, "it is of the GA telemetry that is stored, under the policy of the release"
    if baseline.telemetry_sha256 != telemetry_sha256:
        verdict = Verdict.FAIL
        said = (
            f"it was made of GA telemetry {baseline.telemetry_sha256[:12]}, stored is {telemetry_sha256[:12]}; find "
            "out why the server answers otherwise, then refreeze on purpose"
        )
    elif baseline.policy_sha256 != release.policy_sha256:
        verdict = Verdict.FAIL
        said = (
            f"it was made under policy {baseline.policy_sha256[:12]}, the release is pinned to "
            f"{release.policy_sha256[:12]}; refreeze on purpose"
        )
    elif baseline.supersedes:
        verdict, said = Verdict.WARN, f"somebody replaced the baseline {baseline.supersedes[:12]} on purpose"
    evidence = {"telemetry_sha256": baseline.telemetry_sha256, "supersedes_sha256": baseline.supersedes}
    claim = Claim(service=ALL_SERVICES, verdict=verdict, reason=said, evidence=evidence)
    return _baseline_gate(FROZEN, AlertName.BASELINE_CHANGED, policy, [claim])


def _is_long_enough(baseline: GaBaseline, release: Release, policy: Policy) -> Gate:
    n_expected = release.day_length_s // policy.measurement.step_s
    n_known = dict.fromkeys(baseline.services, 0)
    for one in baseline.spreads:
        n_known[one.service] = max(n_known.get(one.service, 0), one.n_samples)
    claims = [_length(service, n, n_expected, policy) for service, n in sorted(n_known.items())]
    return _baseline_gate(LONG_ENOUGH, AlertName.BASELINE_TOO_SHORT, policy, claims)


def _length(service: str, n_known: int, n_expected: int, policy: Policy) -> Claim:
    known, needed = n_known / n_expected if n_expected else 0.0, policy.measurement.min_coverage
    return Claim(
        service=service,
        verdict=Verdict.PASS if known >= needed else Verdict.UNKNOWN,
        reason=f"its best KPI is known for {percent(known)} of the GA day, needed {percent(needed)}",
        evidence={"known_ratio": known, "min_coverage_ratio": needed, "n_samples": n_known},
    )


def _is_valid(baseline: GaBaseline, policy: Policy) -> Gate:
    claims = [_validity(baseline, service, policy) for service in baseline.services]
    return _baseline_gate(VALID, AlertName.BASELINE_INVALID, policy, claims)


def _validity(baseline: GaBaseline, service: str, policy: Policy) -> Claim:
    promises = [
        (kpi, *promise_of_ga(baseline, kpi, service, policy)[:2])
        for kpi in policy.slos
        if baseline.concerns(kpi, service)
    ]
    said = {one: [f"{kpi}: {reason}" for kpi, found, reason in promises if found is one] for one in Verdict}
    evidence = {"n_broken": len(said[Verdict.FAIL]), "n_unknown": len(said[Verdict.UNKNOWN])}
    if not promises:
        return Claim(service=service, verdict=Verdict.PASS, reason="no objective concerns it", evidence=evidence)
    verdict = worst(found for _, found, _ in promises)
    reason = f"{_YARDSTICK[verdict]}: {said[verdict][0]}"
    return Claim(service=service, verdict=verdict, reason=reason, evidence=evidence)


_YARDSTICK = {
    Verdict.FAIL: "a GA day that breaks its promises is a lenient yardstick",
    Verdict.UNKNOWN: "nothing to compare with",
    Verdict.WARN: "the GA day may be a lenient yardstick",
    Verdict.PASS: "every objective of the GA day was measured and kept",
}


def promise_of_ga(baseline: GaBaseline, kpi: str, service: str, policy: Policy) -> tuple[Verdict, str, Measured]:
    """Return whether a service kept an objective on the GA day, why, and what was measured."""
    found = baseline.of(kpi, service) or Measured(kpi=kpi, service=service, value=None)
    missing = baseline.doubt(kpi, service)
    verdict, reason = keeps_its_promise(policy.judged[kpi], found, missing=missing, alpha=policy.judgement.alpha)
    return verdict, reason, found


def _objective_of_ga(baseline: GaBaseline, kpi: str, policy: Policy, spent: Spent, quality: Quality) -> Gate:
    claims = []
    for service in (one for one in baseline.services if baseline.concerns(kpi, one)):
        verdict, reason, found = promise_of_ga(baseline, kpi, service, policy)
        arrived = quality.of_series(kpi, service)
        evidence = promise_evidence(kpi, found, policy, spent.get((kpi, service)))
        evidence["coverage_ratio"] = arrived.coverage if arrived else 0.0
        claims.append(Claim(service=service, verdict=verdict, reason=reason, evidence=evidence))
    return objective_gate("ga_baseline", kpi, policy, claims, quality=quality)
