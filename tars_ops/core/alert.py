"""What is somebody told when a gate does not hold?

An alert is a gate, a service and a release; these three make its identity. The day, the severity and the figures change
while it is the same alert: it fires with the first judged day that fails and resolves with the first that passes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from tars_ops.core.gate import AlertName, Claim, Gate
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.release import day_key
from tars_ops.core.units import at_most
from tars_ops.core.verdict import Severity, Verdict


class Alert(Frozen):
    """One gate that does not hold for one service of one release."""

    release: str
    gate: str
    service: str
    """A service, or ``*`` for all of them together."""
    name: AlertName
    asset: str
    """Asset whose gate it is."""
    partition: str
    """Partition of that asset: ``day_03|tars@1.0.1`` or ``tars@1.0.1``."""
    kpi: str | None
    severity: Severity
    verdict: Verdict
    """``fail`` or ``unknown``."""
    day: int | None
    """Day that was judged; 0 is the GA day, None where the alert is about no single day."""
    provisional: bool = False
    """The day was still running when it was judged."""
    summary: str
    """One line: what failed, by how much, on which service."""
    description: str
    """What decided, in words and figures."""
    since_at: Instant
    """Start of the window that the failure was first seen in."""
    evidence_sha256: Sha256 | None
    """Digest of the stored artifact that the verdict is in."""

    @property
    def product(self) -> str:
        """The part of the release key before the ``@``."""
        return self.release.partition("@")[0]

    @property
    def identity(self) -> str:
        """Digest of gate, service and release: the key of the alert for as long as it lives.

        Gates, releases and services hold no line breaks, so no two alerts share an identity.
        """
        return hashlib.sha256(f"{self.gate}\n{self.service}\n{self.release}".encode()).hexdigest()


class Seen(Frozen):
    """What was judged when a gate was checked."""

    release: str
    partition: str
    """Partition of the asset that was judged."""
    day: int | None
    """0 is the GA day; None where it is about no single day."""
    start_at: Instant
    """Start of the judged window."""
    evidence_sha256: Sha256 | None
    """Digest of the stored artifact that the gate was read from."""
    provisional: bool = False

    @property
    def when(self) -> str:
        """The judged day in words."""
        if self.day is None:
            return ""
        name = day_key(self.day) if self.day else "the GA day"
        return f"{name}, so far" if self.provisional else name


def alerts_of(gate: Gate, seen: Seen, *, unknown: Severity) -> Iterator[Alert]:
    """Yield one alert for every service that a gate does not hold for.

    Parameters
    ----------
    unknown : Severity
        What could not be judged is at most this severe.
    """
    if gate.holds:
        return
    for claim in gate.claims:
        if claim.verdict in {Verdict.FAIL, Verdict.UNKNOWN}:
            yield _alert(gate, claim, seen, unknown)


def _alert(gate: Gate, claim: Claim, seen: Seen, unknown: Severity) -> Alert:
    mildest = max(gate.severity, unknown, key=lambda one: one.rank)
    return Alert(
        release=seen.release,
        gate=gate.name,
        service=claim.service,
        name=gate.alert,
        asset=gate.asset,
        partition=seen.partition,
        kpi=gate.kpi,
        severity=mildest if claim.verdict is Verdict.UNKNOWN else gate.severity,
        verdict=claim.verdict,
        day=seen.day,
        provisional=seen.provisional,
        summary=_summary(gate, claim, seen),
        description=at_most(claim.reason, 1000),
        since_at=seen.start_at,
        evidence_sha256=seen.evidence_sha256,
    )


def _summary(gate: Gate, claim: Claim, seen: Seen) -> str:
    where = seen.release + (f", {seen.when}" if seen.when else "")
    said = f"{gate.alert.words} (unknown)" if claim.verdict is Verdict.UNKNOWN else gate.alert.words
    service = "" if claim.service == ALL_SERVICES else claim.service
    about = " of ".join(one for one in (gate.kpi, service) if one)
    return at_most(f"{where}: {said}{', ' if about else ''}{about}: {claim.reason}", 300)
