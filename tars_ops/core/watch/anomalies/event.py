"""What is an anomaly event, and how is it told?

The models alone: ``anomaly.py`` finds events, and the modules beside it say how each part of one comes about.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from tars_ops.core.model import Frozen, Instant, Sha256, Share
from tars_ops.core.verdict import Severity


class AnomalyClass(StrEnum):
    """What an event looks like."""

    SPIKE = "spike"
    """Up, and back within half an hour."""
    DROP = "drop"
    """Down, and back within half an hour; or down to exactly 0, however long."""
    LEVEL_SHIFT = "level_shift"
    """Away for longer than that, from one sample to the next."""
    DRIFT = "drift"
    """Away little by little."""
    SILENCE = "silence"
    """No samples where there should be some."""
    SPREAD = "spread"
    """The level stays, but the samples scatter more."""


class Direction(StrEnum):
    """Which way a series went."""

    UP = "up"
    DOWN = "down"


class ChangePoint(Frozen):
    """When a series changed."""

    at: Instant
    """First sample after the most likely place of the change."""
    earliest_at: Instant
    """The change lies between this instant"""
    latest_at: Instant
    """and this one in at least nine of ten cases."""


class Companion(Frozen):
    """Another series that moved at about the time of an event. It moved too; whether it is the cause is not said."""

    kpi: str
    service: str
    direction: Direction
    """Whether it was above or below what was expected of it."""
    lag_s: int
    """Its onset after that of the event; negative where it moved first."""
    score: Annotated[float, Field(ge=0)]
    """``-log10`` of the tail probability of its most surprising sample within that time."""


class AnomalyEvent(Frozen):
    """Neighbouring anomalies of one KPI of one service, merged."""

    kpi: str
    """``*`` where all of the service is silent."""
    service: str
    anomaly_class: AnomalyClass
    severity: Severity
    started_at: Instant
    ended_at: Instant
    """End of the last step that was away from what was expected at the start."""
    peak_at: Instant
    peak: float | None
    """Most surprising value, in the KPI's unit."""
    expected: float | None
    """What was expected when the event began."""
    lower: float | None
    """Least value then that would have raised no alarm; None where there is none or it is not known."""
    upper: float | None
    """Greatest value then that would have raised no alarm; None where there is none or it is not known."""
    p: Share
    """Tail probability of the peak."""
    score: float
    """``-log10(p)``."""
    change_point: ChangePoint | None = None
    """When the change happened, of level shifts, drifts and spreads; None where that cannot be dated."""
    companions: tuple[Companion, ...] = ()
    """What else moved then: the same service first, each part in the order of onset."""
    sentence: str
    """The event in one sentence."""


class AnomalyEvents(Frozen):
    """Every event of one day."""

    release: str
    day: int
    start_at: Instant
    end_at: Instant
    method: str
    policy_sha256: Sha256
    telemetry_sha256: Sha256
    events: tuple[AnomalyEvent, ...]
    n_series: int
    """Series that were scored."""
    n_uncalibrated: int
    """Series that could not be scored, because the GA day says too little about them."""
