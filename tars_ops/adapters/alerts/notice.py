"""What is a receiver told about an alert, at what pace, and what can come of it?"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from tars_ops.core.alert import Alert
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.verdict import Severity


class AlertState(StrEnum):
    """Whether an alert stands."""

    FIRING = "firing"
    RESOLVED = "resolved"


class Notice(Frozen):
    """One alert as one receiver is to be told of it."""

    alert: Alert
    state: AlertState
    revision: int
    """Counts the changes of this alert; a receiver never gets a smaller one after a larger one."""
    is_news: bool
    """It fires, resolves or became worse or better since the receiver was told; otherwise this is a reminder."""
    resolved_at: Instant | None = None
    told_at: Instant | None = None
    """When this receiver took a notice of this alert last."""
    attempts: int = 0
    """How often this receiver has failed to take one since."""

    @property
    def since_at(self) -> datetime:
        """Start of the window that the failure was first seen in."""
        return self.alert.since_at


class Pace(Frozen):
    """How often a receiver hears of an alert."""

    repeat_s: float
    """Seconds after which an alert that still fires is told again."""
    every_revision: bool = False
    """Also changes that no person wants to be woken for."""
    echo_s: float = 0.0
    """How long after an alert resolved it is told again every ``repeat_s``."""


class Sent(Frozen):
    """The receiver took it."""


class Deferred(Frozen):
    """The receiver did not take it now; another attempt may succeed."""

    reason: str
    retry_after_s: float | None = None
    """How long the receiver asked to be left alone."""


class Refused(Frozen):
    """The receiver will never take this as it is."""

    reason: str
    divisible: bool = False
    """It may take a part of it: the fault may lie in a single alert or in the size."""


Outcome = Sent | Deferred | Refused


class Receiver(Protocol):
    """Somebody who is told about alerts."""

    @property
    def name(self) -> str:
        """Name in the receivers file; rows of the outbox are kept under it."""
        ...

    @property
    def at_least(self) -> Severity:
        """The mildest severity that the receiver is told of."""
        ...

    @property
    def pace(self) -> Pace:
        """How often it is told."""
        ...

    @property
    def max_requests(self) -> int:
        """Requests in one round, at most."""
        ...

    def batches(self, due: Sequence[Notice]) -> list[tuple[Notice, ...]]:
        """Divide what is due into requests, in order."""
        ...

    def send(self, batch: Sequence[Notice], *, now: datetime) -> Outcome:
        """Make one request; never raises for a failure of the receiver."""
        ...

    def heartbeat(self, *, now: datetime) -> None:
        """Let the receiver know that somebody looks, where it asks for that; a failure is for it to miss."""
        ...
