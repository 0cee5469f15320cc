"""What did the same version do in staging, on the day before its GA?

Staging is telemetry like any other, asked for by another selector. Where nobody knows, the reason stands in its place:
an absent staging is an answer, never an error, and never green.
"""

from __future__ import annotations

from dataclasses import dataclass

from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.units import at_most

NOT_ASKED = "the policy named no staging when the watch opened"


class StagingDay(Frozen):
    """What was asked of staging, and why nothing is known of it."""

    release: str
    start_at: Instant
    end_at: Instant
    selector: str | None
    """Matchers that its series carry; None where the policy named no staging."""
    absent: str | None
    """Why there is no telemetry; None where there is."""


@dataclass(frozen=True, slots=True)
class StagingTelemetry:
    """The telemetry of staging, or none with the reason.

    Raises
    ------
    ContractError
        If it has both telemetry and a reason against it, or neither, or telemetry of another window.
    """

    day: StagingDay
    telemetry: Telemetry | None

    def __post_init__(self) -> None:
        """Refuse what says both or nothing."""
        if (self.telemetry is None) == (self.day.absent is None):
            raise ContractError(f"staging of {self.day.release} needs either telemetry or the reason why there is none")
        window = self.telemetry and self.telemetry.quality.window
        if window and window != (self.day.start_at, self.day.end_at):
            raise ContractError(f"telemetry of {window.start_at} is not of staging from {self.day.start_at}")


def of_staging(policy: Policy, selector: str) -> Policy:
    """Return the policy as staging is measured by it: the same KPIs, of series that carry other matchers."""
    return policy.model_copy(update={"measurement": policy.measurement.model_copy(update={"selector": selector})})


def staged(release: Release, selector: str, telemetry: Telemetry) -> StagingTelemetry:
    """Keep what staging answered; an answer in which no service left anything is none."""
    if telemetry.quality.services:
        return StagingTelemetry(_day(release, selector, absent=None), telemetry)
    refused = next((one.refused for one in telemetry.quality.kpis if one.refused), None)
    why = f"not measured: {at_most(refused, 200)}" if refused else f"no series of {release.version} carry {selector}"
    return not_staged(release, selector, why)


def not_staged(release: Release, selector: str | None, why: str) -> StagingTelemetry:
    """Keep why nothing is known of staging."""
    return StagingTelemetry(_day(release, selector, absent=why), None)


def _day(release: Release, selector: str | None, *, absent: str | None) -> StagingDay:
    window = release.day_before_ga
    return StagingDay(
        release=release.key, start_at=window.start_at, end_at=window.end_at, selector=selector, absent=absent
    )
