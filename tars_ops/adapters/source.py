"""Where does telemetry come from?

One question, two answers: a live Prometheus-compatible server, or a recording that was taken from one.
"""

from __future__ import annotations

from typing import Protocol

from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry


class TelemetrySource(Protocol):
    """Anything that knows what happened during a day of a release."""

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        """Return the telemetry of a day; 0 is the GA day.

        Raises
        ------
        SourceError
            If the source cannot answer. A KPI that the source refuses is not an error: it is marked in the quality.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
