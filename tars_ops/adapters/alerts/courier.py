"""How does one round of delivery go?

Each receiver has its own round: nothing that happens to one holds up another.
"""

from __future__ import annotations

import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tars_ops.adapters.alerts.failing import EVERY_RELEASE, failures, identity_of_failure
from tars_ops.adapters.alerts.ledger import Ledger
from tars_ops.adapters.alerts.notice import Deferred, Notice, Receiver, Refused, Sent
from tars_ops.adapters.alerts.outbox import RECENT_S, Outbox
from tars_ops.core.model import Frozen

BACKOFF_FIRST_S, BACKOFF_MOST_S = 5.0, 15 * 60.0
RETRY_AFTER_MOST_S = 3600.0
BUDGET_S = 20.0
"""No receiver is begun another request after this many seconds of a round."""


class Round(Frozen):
    """What came of one round to one receiver. Counts are of notices, but ``n_requests``."""

    receiver: str
    n_requests: int = 0
    n_sent: int = 0
    n_deferred: int = 0
    """Not taken now; they stay due."""
    n_quarantined: int = 0
    """Refused for good."""
    n_waiting: int = 0
    """Due, but not tried in this round."""
    skipped: str = ""
    """Why the receiver was left alone."""
    last_error: str = ""


class Delivered(Frozen):
    """What came of one round to all receivers."""

    rounds: tuple[Round, ...] = ()

    @property
    def n_sent(self) -> int:
        """Notices taken."""
        return sum(one.n_sent for one in self.rounds)

    @property
    def n_deferred(self) -> int:
        """Notices not taken now."""
        return sum(one.n_deferred for one in self.rounds)

    @property
    def n_quarantined(self) -> int:
        """Notices refused for good."""
        return sum(one.n_quarantined for one in self.rounds)

    @property
    def n_waiting(self) -> int:
        """Notices that are due and were not tried."""
        return sum(one.n_waiting for one in self.rounds)


@dataclass(frozen=True)
class Courier:
    """Carries what is due to every receiver, at least once, and in order per alert.

    ``jitter`` gives numbers in [0, 1) and spreads the back-off; ``elapsed_s`` is a monotonic clock.
    """

    outbox: Outbox
    receivers: Sequence[Receiver]
    jitter: Callable[[], float] = random.random
    elapsed_s: Callable[[], float] = time.monotonic
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)

    def deliver(self, *, now: datetime) -> Delivered:
        """Make one round; a receiver's failure is recorded and returned, never raised.

        Raises
        ------
        OutboxError
            If the outbox itself cannot be read or written.
        """
        self._watch_receivers(now=now)
        return Delivered(rounds=tuple(self._round(receiver, now=now) for receiver in self.receivers))

    def _watch_receivers(self, *, now: datetime) -> None:
        """Let the others know of a receiver that fails."""
        ledger, names = self._ledger, [receiver.name for receiver in self.receivers]
        quarantined = ledger.quarantined(recent_s=RECENT_S, now=now)
        self.outbox.settle(EVERY_RELEASE, failures(names, ledger.records(), quarantined, now=now), now=now)

    @property
    def _ledger(self) -> Ledger:
        return Ledger(self.outbox.database)

    def _round(self, receiver: Receiver, *, now: datetime) -> Round:
        record = next((one for one in self._ledger.records() if one.receiver == receiver.name), None)
        if record and record.next_at and record.next_at > now:
            return Round(receiver=receiver.name, skipped=f"left alone until {record.next_at:%Y-%m-%d %H:%M:%S} UTC")
        if record and not _due(self._ledger, receiver, now=now):
            return Round(receiver=receiver.name)  # nothing is written where nothing is to be said
        if not self._ledger.take(receiver.name, holder=self.holder, now=now):
            return Round(receiver=receiver.name, skipped="another process is sending")
        n_failures = record.failures if record else 0
        trip = _Trip(self, self._ledger, receiver, now, n_failures)
        try:
            return trip.run()
        finally:
            self._ledger.leave(receiver.name, holder=self.holder)


@dataclass
class _Trip:
    """The requests of one round to one receiver."""

    courier: Courier
    ledger: Ledger
    receiver: Receiver
    began_at: datetime
    n_failures: int

    def __post_init__(self) -> None:
        self._began_s = self.courier.elapsed_s()
        self._ended = False
        self._last_error = ""
        self._n = dict.fromkeys(("n_requests", "n_sent", "n_deferred", "n_quarantined"), 0)

    def run(self) -> Round:
        """Send batch after batch until nothing is due, the receiver fails, or enough was asked of it."""
        self.receiver.heartbeat(now=self._now())
        queue = deque(self.receiver.batches(_due(self.ledger, self.receiver, now=self.began_at)))
        while queue and self._may_go_on():
            self._handle(queue.popleft(), queue)
        n_waiting = sum(map(len, queue))
        return Round(receiver=self.receiver.name, n_waiting=n_waiting, last_error=self._last_error, **self._n)

    def _may_go_on(self) -> bool:
        """Tell whether another request may be made, holding the lease of the receiver for it."""
        if self._ended or self._n["n_requests"] >= self.receiver.max_requests:
            return False
        spent_s = self.courier.elapsed_s() - self._began_s
        return spent_s < BUDGET_S and self.ledger.take(self.receiver.name, holder=self.courier.holder, now=self._now())

    def _now(self) -> datetime:
        return self.began_at + timedelta(seconds=self.courier.elapsed_s() - self._began_s)

    def _handle(self, batch: tuple[Notice, ...], queue: deque[tuple[Notice, ...]]) -> None:
        self._n["n_requests"] += 1
        match self.receiver.send(batch, now=self._now()):
            case Sent():
                self._n["n_sent"] += len(batch)
                self.n_failures = 0
                self.ledger.sent(self.receiver.name, batch, now=self._now())
            case Deferred() as deferred:
                self._defer(batch, deferred)
            case Refused(divisible=True) as refused if len(batch) > 1:
                self._last_error = refused.reason
                half = len(batch) // 2
                queue.extendleft([batch[half:], batch[:half]])
            case Refused() as refused:
                self._n["n_quarantined"] += len(batch)
                self._last_error = refused.reason
                self._ended = not refused.divisible  # it would say the same to the next
                self.ledger.refused(self.receiver.name, batch, reason=refused.reason, now=self._now())

    def _defer(self, batch: tuple[Notice, ...], deferred: Deferred) -> None:
        """Leave the receiver alone for as long as it asked, or for longer after each failure in a row."""
        self._ended, self._last_error = True, deferred.reason
        self._n["n_deferred"] += len(batch)
        asked_s = deferred.retry_after_s
        jitter = self.courier.jitter()
        wait_s = _backoff_s(self.n_failures, jitter) if asked_s is None else asked_s
        rests_s = [_backoff_s(one.attempts, jitter) if asked_s is None else 0.0 for one in batch]
        self.ledger.failed(
            self.receiver.name,
            batch,
            reason=deferred.reason,
            wait_s=min(wait_s, RETRY_AFTER_MOST_S),
            rests_s=rests_s,
            now=self._now(),
        )


def _due(ledger: Ledger, receiver: Receiver, *, now: datetime) -> list[Notice]:
    """Return what a receiver has to hear; nobody hears that it cannot be told itself."""
    besides = identity_of_failure(receiver.name)
    return ledger.due(receiver.name, at_least=receiver.at_least, pace=receiver.pace, besides=besides, now=now)


def _backoff_s(n_failures: int, jitter: float) -> float:
    """Seconds to wait after ``n_failures`` earlier failures in a row: doubling, and up to half of it taken off.

    Examples
    --------
    >>> [_backoff_s(n, 0.0) for n in (0, 1, 2, 20)]
    [5.0, 10.0, 20.0, 900.0]
    >>> _backoff_s(1, 0.5)
    7.5
    """
    most_s = min(BACKOFF_FIRST_S * 2 ** min(n_failures, 20), BACKOFF_MOST_S)
    return most_s * (1 - jitter / 2)
