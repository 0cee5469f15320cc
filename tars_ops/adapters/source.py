"""Where does telemetry come from?

One question, two answers: a live Prometheus-compatible server, or a recording that was taken from one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple, Protocol

from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window
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

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        """Return what a running day is judged by: counts of the promised KPIs, slot by slot from the window's start.

        The scrapes that arrived are counted beside them (``core.telemetry.arrivals_of``); there are no samples.

        Raises
        ------
        SourceError
            If the source cannot answer.
        """
        ...

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        """Return the telemetry of the day before GA, of series with other matchers than production has.

        Raises
        ------
        SourceError
            If the source cannot answer, or knows no staging.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...


class Sighted(NamedTuple):
    """Which versions of a product were seen running."""

    window: Window
    """What was really looked at."""
    versions: Mapping[str, tuple[Window, ...]]
    """Spans in which each version was seen, as ``core.sightings.spans`` makes them."""


class ReleaseSightings(Protocol):
    """Anything that knows which version of a product ran when."""

    def seen(self, policy: Policy, window: Window) -> Sighted:
        """Return the versions that ran within a window of whole minutes.

        Raises
        ------
        SourceError
            If the source cannot answer, or its answer may be incomplete: absence would be made of it.
        """
        ...

    def newest_at(self, release: Release, policy: Policy, *, end_at: datetime) -> datetime | None:
        """Return the newest sample of a release before an instant; None where none is near it.

        Raises
        ------
        SourceError
            If the source cannot answer.
        """
        ...

    def close(self) -> None:
        """Let go of connections."""
        ...
