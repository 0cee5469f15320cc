"""What else than its GA day and its objectives can a day be compared with?

The same day of the release before it, and the day before GA in staging. A reference is telemetry of the store;
whether it can be compared at all is judged day by day, like everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.anomaly import AnomalyEvents
from tars_ops.core.watch.stability import DailyStability


class BaselineKind(StrEnum):
    """What a day is compared with."""

    GA_DAY = "ga_day"
    PREVIOUS_RELEASE = "previous_release"
    STAGING = "staging"
    SLO = "slo"


@dataclass(frozen=True, slots=True)
class Reference:
    """A period that a day may be compared with."""

    telemetry: Telemetry
    release: str
    """Key of the release that ran there."""
    day: int | None
    """Its day of the watch; None in staging."""
    stability: DailyStability | None = None
    """How that day was judged; None where it was not."""
    anomalies: AnomalyEvents | None = None
    """The events of that day; None where nobody looked for them."""


@dataclass(frozen=True, slots=True)
class References:
    """Every reference of a release, and why another is not there."""

    previous: Mapping[int, Reference] = field(default_factory=dict)
    """By the day of the watch that it is compared with."""
    staging: Reference | None = None
    absent: Mapping[BaselineKind, str] = field(default_factory=dict)
    """Why a baseline that the policy asks for is not there, in words."""


NO_REFERENCES = References()
