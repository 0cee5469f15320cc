"""Does the verdict on the release ask somebody to act, and is its evidence whole?"""

from __future__ import annotations

from collections.abc import Sequence

from tars_ops.core.gate import AlertName, Claim, Figure, Gate
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.release import day_key
from tars_ops.core.verdict import DayState, Decision, Severity, Tier, Verdict
from tars_ops.core.watch.certification import Certification
from tars_ops.core.watch.comparisons.comparison import Outcome
from tars_ops.core.watch.decision import is_of_staging
from tars_ops.core.watch.references import BaselineKind
from tars_ops.core.watch.regression import RegressionAnalysis

NO_CRITICAL_REGRESSION, NO_ROLLBACK = "no_regression_is_critical", "no_rollback_is_advised"
_RELEASES = {BaselineKind.GA_DAY, BaselineKind.PREVIOUS_RELEASE}
CAN_BE_CLOSED = "release_can_be_closed_as_stable"
VERIFIES, COMPLETE = "bundle_verifies", "bundle_is_complete"


def regression_gates(analysis: RegressionAnalysis, policy: Policy) -> tuple[Gate, ...]:
    """Return the gates of a verdict: no critical regression, no advice to roll back."""
    return _no_critical_regression(analysis, policy), _no_rollback(analysis, policy)


def _no_critical_regression(analysis: RegressionAnalysis, policy: Policy) -> Gate:
    services = sorted({one.service for one in analysis.comparisons})
    return Gate(
        name=NO_CRITICAL_REGRESSION,
        alert=AlertName.REGRESSION_CRITICAL,
        asset="regression_analysis",
        severity=policy.gates.regression,
        claims=tuple(_regressions_of(service, analysis, policy) for service in services),
    )


def _regressions_of(service: str, analysis: RegressionAnalysis, policy: Policy) -> Claim:
    active = [one for one in analysis.regressions if one.active and one.service == service]
    critical = [one for one in active if one.severity is Severity.CRITICAL and not is_of_staging(one)]
    compared = [one for one in analysis.comparisons if one.service == service and one.baseline is BaselineKind.GA_DAY]
    known = {
        one.kpi
        for one in analysis.comparisons
        if one.service == service and one.baseline in _RELEASES and one.outcome is not Outcome.UNKNOWN
    }
    dark = [one for one in compared if one.kpi not in known]
    promised = [one for one in dark if one.kpi in policy.slos]
    if critical:
        verdict, said = Verdict.FAIL, critical[0].comparison.sentence
    elif not _is_judged(analysis):
        verdict, said = Verdict.UNKNOWN, f"{day_key(analysis.as_of)} was not judged, what is known is older"
    elif len(dark) == len(compared):
        verdict, said = (
            Verdict.UNKNOWN,
            "nothing of the latest judged day could be compared with the GA day or the release before",
        )
    elif promised:
        verdict, said = Verdict.UNKNOWN, promised[0].sentence
    else:
        verdict, said = Verdict.PASS, f"active regressions: {len(active)}, none critical"
    return Claim(
        service=service, verdict=verdict, reason=said, evidence={"n_critical": len(critical), "n_active": len(active)}
    )


def _is_judged(analysis: RegressionAnalysis) -> bool:
    """Tell whether the day that the verdict is given for was judged; what is known is older where it was not."""
    return any(day.day == analysis.as_of and day.state is DayState.JUDGED for day in analysis.days)


def _no_rollback(analysis: RegressionAnalysis, policy: Policy) -> Gate:
    argued = [one.text for one in analysis.reasons if one.argues_for is analysis.decision]
    said = argued[0] if argued else analysis.tier_reason
    if analysis.decision is Decision.ROLL_BACK:
        verdict = Verdict.FAIL
    elif analysis.tier is Tier.UNKNOWN or not _is_judged(analysis):
        verdict, said = Verdict.UNKNOWN, analysis.tier_reason
    else:
        verdict = Verdict.WARN if analysis.decision is Decision.WATCH_CLOSER else Verdict.PASS
    evidence: dict[str, Figure] = {
        "decision": analysis.decision.value,
        "tier": analysis.tier.value,
        "n_reasons": len(argued),
        "highest_budget_spent_ratio": max((one.spent for one in analysis.budgets), default=None),
    }
    return Gate(
        name=NO_ROLLBACK,
        alert=AlertName.ROLLBACK_ADVISED,
        asset="regression_analysis",
        severity=policy.gates.rollback,
        claims=(Claim(service=ALL_SERVICES, verdict=verdict, reason=said, evidence=evidence),),
    )


def certification_gate(certificate: Certification, policy: Policy) -> Gate:
    """The watch can be closed as stable; before its last day the claim does not concern the release."""
    blockers = certificate.closing_blockers
    only_unknown = all(one.code in {"objective_unknown", "day_missing"} for one in blockers)
    refused = Verdict.UNKNOWN if only_unknown else Verdict.FAIL
    claim = Claim(
        service=ALL_SERVICES,
        verdict=Verdict.PASS if certificate.may_close else refused,
        reason=f"{len(blockers)} reasons against it, first: {blockers[0].text}"
        if blockers
        else "nothing is against it",
        evidence={"may_promote": "yes" if certificate.may_promote else "no", "n_blockers": len(blockers)},
    )
    return Gate(
        name=CAN_BE_CLOSED,
        alert=AlertName.NOT_CERTIFIED,
        asset="release_certification",
        severity=policy.gates.certification,
        claims=(claim,),
        not_applicable="" if certificate.is_over else "the watch is not over",
    )


def bundle_gates(flaws: Sequence[str], missing: Sequence[str], policy: Policy, *, as_of: int) -> tuple[Gate, ...]:
    """Return the gates of the bundle: it verifies, and it holds every file that a verdict as of a day is made of."""
    verifies = Claim(
        service=ALL_SERVICES,
        verdict=Verdict.FAIL if flaws else Verdict.PASS,
        reason=f"{len(flaws)} differences, first: {flaws[0]}" if flaws else "both archives match their manifest",
        evidence={"n_differences": len(flaws), "as_of": as_of},
    )
    complete = Claim(
        service=ALL_SERVICES,
        verdict=Verdict.UNKNOWN if missing else Verdict.PASS,
        reason=f"{len(missing)} files are missing, first: {missing[0]}" if missing else "every expected file is in it",
        evidence={"n_missing": len(missing), "as_of": as_of},
    )
    severity = policy.gates.evidence
    return tuple(
        Gate(name=name, alert=alert, asset="executive_bundle", severity=severity, claims=(claim,))
        for name, alert, claim in (
            (VERIFIES, AlertName.BUNDLE_DAMAGED, verifies),
            (COMPLETE, AlertName.BUNDLE_INCOMPLETE, complete),
        )
    )
