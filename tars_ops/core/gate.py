"""Which claims does the project check, and what is a checked claim made of?

A gate is one claim about one artifact; it is asked about every service that it concerns. What makes each claim true is
decided in ``core.gates``; here stand the names by which Dagster, alerts and runbooks speak of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import field_validator

from tars_ops.core.model import Frozen
from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.verdict import Severity, Verdict, worst


class AlertName(StrEnum):
    """What is wrong where a gate does not hold: the name of the alert and of its page in ``docs/runbooks``."""

    TELEMETRY_INCOMPLETE = "TelemetryIncomplete"
    SERVER_WARNED = "ServerWarned"
    EVIDENCE_DAMAGED = "EvidenceDamaged"
    BASELINE_CHANGED = "BaselineChanged"
    BASELINE_TOO_SHORT = "BaselineTooShort"
    BASELINE_INVALID = "BaselineInvalid"
    OBJECTIVE_BROKEN = "ObjectiveBroken"
    KPI_DRIFTED = "KpiDrifted"
    ANOMALY_CRITICAL = "AnomalyCritical"
    HEALTH_LOW = "HealthLow"
    REGRESSION_CRITICAL = "RegressionCritical"
    ROLLBACK_ADVISED = "RollbackAdvised"
    BUNDLE_DAMAGED = "BundleDamaged"
    BUNDLE_INCOMPLETE = "BundleIncomplete"
    NOT_CERTIFIED = "NotCertified"
    BUDGET_BURNS_FAST = "BudgetBurnsFast"
    DAY_NOT_JUDGED = "DayNotJudged"
    RECEIVER_FAILS = "ReceiverFails"

    @property
    def words(self) -> str:
        """The name as words of a sentence.

        Examples
        --------
        >>> AlertName.BUDGET_BURNS_FAST.words, AlertName.KPI_DRIFTED.words
        ('budget burns fast', 'KPI drifted')
        """
        return self.name.lower().replace("_", " ").replace("kpi", "KPI")


Figure = str | int | float | None
"""A number in its base unit, a word, or None for unknown."""


class Claim(Frozen):
    """What a gate says about one service."""

    service: str
    """A service, or ``*`` for all of them together."""
    verdict: Verdict
    reason: str
    """What decided, in words and figures."""
    evidence: Mapping[str, Figure] = {}
    """The figures behind it, by name with their unit: ``sli_ratio``, ``burn_rate``, ``objective_ratio``..."""


NOTHING_JUDGED = Claim(service=ALL_SERVICES, verdict=Verdict.UNKNOWN, reason="nothing was judged")


class Gate(Frozen):
    """One claim about one artifact, checked."""

    name: str
    """The claim, as a sentence in a name: ``availability_keeps_its_objective``."""
    alert: AlertName
    asset: str
    """Asset that the claim is about."""
    severity: Severity
    """How bad it is where the claim does not hold, by the policy."""
    claims: tuple[Claim, ...]
    """At least one: a gate that nothing was said about says so, and is unknown."""
    kpi: str | None = None
    query: str | None = None
    """The query that the KPI was measured by."""
    not_applicable: str = ""
    """Why the claim does not concern this release; such a gate is neither green nor alerting."""

    @field_validator("claims")
    @classmethod
    def _never_silent(cls, claims: tuple[Claim, ...]) -> tuple[Claim, ...]:
        return claims or (NOTHING_JUDGED,)

    @property
    def verdict(self) -> Verdict:
        """The worst claim."""
        return worst(one.verdict for one in self.claims)

    @property
    def holds(self) -> bool:
        """Tell whether nobody has to act: the claim is known to be true, or does not concern this release."""
        return bool(self.not_applicable) or self.verdict in {Verdict.PASS, Verdict.WARN}

    @property
    def reason(self) -> str:
        """What the worst services are said to be, in one line."""
        if self.not_applicable:
            return f"not applicable: {self.not_applicable}"
        said = [one for one in self.claims if one.verdict is self.verdict]
        if self.verdict is Verdict.PASS and len(said) > 1:
            return f"it holds for all {len(said)} services; {said[0].service}: {said[0].reason}"
        return "; ".join(one.reason if one.service == ALL_SERVICES else f"{one.service}: {one.reason}" for one in said)

    @property
    def worst_service(self) -> str | None:
        """The first service that the claim does not hold for; None where it holds for all."""
        return None if self.holds else next((one.service for one in self.claims if one.verdict is self.verdict), None)
