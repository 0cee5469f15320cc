"""What is somebody told when a gate does not hold?

An alert is a gate, a service and a release; these three make its identity. The day, the severity and the figures change
while it is the same alert: it fires with the first judged day that fails and resolves with the first that passes.
"""

from __future__ import annotations

import hashlib

from tars_ops.core.gate import AlertName
from tars_ops.core.model import Frozen, Instant, Sha256
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
