"""What is due for each receiver, who may send it now, and what came of it?

A delivery is recorded after the answer, never before: whoever dies in between leaves the notice due, and it is sent
again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Row, Select, and_, case, func, literal, or_, select, update

from tars_ops.adapters.alerts.database import Database, insert_into, put
from tars_ops.adapters.alerts.notice import AlertState, Notice, Pace
from tars_ops.adapters.alerts.outbox import alert_of
from tars_ops.adapters.alerts.tables import ALERTS, DELIVERIES, RECEIVERS, Utc
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.verdict import Severity

LEASE_S = 30.0
"""How long a sender may take for one request before another may take its place, seconds."""


class ReceiverRecord(Frozen):
    """How one receiver has behaved."""

    receiver: str
    failures: int
    """Failed requests in a row."""
    failing_since_at: Instant | None
    next_at: Instant | None
    """Nothing is sent before; None where nothing is to be waited for."""
    last_error: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """The deliveries of one outbox."""

    database: Database

    def take(self, receiver: str, *, holder: str, now: datetime) -> bool:
        """Become, or stay, the only one who sends to a receiver, for ``LEASE_S`` seconds."""
        until_at = now + timedelta(seconds=LEASE_S)
        free = or_(
            RECEIVERS.c.lease_holder.is_(None),
            RECEIVERS.c.lease_holder == holder,
            RECEIVERS.c.lease_until_at <= now,
        )
        with self.database.writing() as connection:
            lease = {"lease_holder": holder, "lease_until_at": until_at}
            statement = insert_into(connection, RECEIVERS).values(receiver=receiver, known_since_at=now, **lease)
            taken = connection.execute(
                statement.on_conflict_do_update(index_elements=["receiver"], set_=lease, where=free)
            )
            return taken.rowcount == 1

    def leave(self, receiver: str, *, holder: str) -> None:
        """Let another one send to a receiver."""
        mine = (RECEIVERS.c.receiver == receiver) & (RECEIVERS.c.lease_holder == holder)
        with self.database.writing() as connection:
            connection.execute(update(RECEIVERS).where(mine).values(lease_holder=None, lease_until_at=None))

    def records(self) -> tuple[ReceiverRecord, ...]:
        """Return how every receiver has behaved that was ever sent to."""
        columns = [RECEIVERS.c[name] for name in ReceiverRecord.model_fields]
        with self.database.reading() as connection:
            rows = connection.execute(select(*columns).order_by(RECEIVERS.c.receiver)).all()
        return tuple(ReceiverRecord(**row._asdict()) for row in rows)

    def due(self, receiver: str, *, at_least: Severity, pace: Pace, besides: str, now: datetime) -> list[Notice]:
        """Return what a receiver has to hear now: news before reminders, the oldest first, what failed at the end.

        Of an alert that is milder than ``at_least`` it hears only how it goes on, where it was told that it fires; of
        the alert whose identity is ``besides`` nothing.
        """
        statement = _due(receiver, at_least=at_least, pace=pace, besides=besides, now=now)
        with self.database.reading() as connection:
            return [_notice(row) for row in connection.execute(statement)]

    def quarantined(self, *, recent_s: float, now: datetime) -> dict[str, datetime]:
        """Return since when each receiver has something in quarantine that still matters."""
        matters = or_(ALERTS.c.state == AlertState.FIRING, ALERTS.c.resolved_at > now - timedelta(seconds=recent_s))
        first_at = func.min(DELIVERIES.c.quarantined_at, type_=Utc).label("first_at")
        statement = (
            select(DELIVERIES.c.receiver, first_at)
            .join(ALERTS, ALERTS.c.identity == DELIVERIES.c.identity)
            .where(DELIVERIES.c.quarantined_at.is_not(None), matters)
            .group_by(DELIVERIES.c.receiver)
        )
        with self.database.reading() as connection:
            return {row.receiver: row.first_at for row in connection.execute(statement)}

    def sent(self, receiver: str, notices: Sequence[Notice], *, now: datetime) -> None:
        """Record that a receiver took these notices."""
        with self.database.writing() as connection:
            rows = [
                {
                    "identity": one.alert.identity,
                    "receiver": receiver,
                    # Also where it is less than was recorded: then an overtaken sender spoke last, and what is
                    # newer has to be told again.
                    "delivered_revision": one.revision,
                    "told_state": one.state.value,
                    "told_at": now,
                    "attempts": 0,
                    "next_at": None,
                    "last_error": "",
                    "quarantined_at": None,
                }
                for one in notices
            ]
            put(connection, DELIVERIES, rows)
            well = {"failures": 0, "failing_since_at": None, "next_at": None, "last_error": ""}
            connection.execute(update(RECEIVERS).where(RECEIVERS.c.receiver == receiver).values(**well))

    def failed(
        self,
        receiver: str,
        notices: Sequence[Notice],
        *,
        reason: str,
        wait_s: float,
        rests_s: Sequence[float],
        now: datetime,
    ) -> None:
        """Record that a receiver did not take these notices now.

        The receiver is left alone for ``wait_s`` seconds, and each notice for its own of ``rests_s``: what it chokes
        on must not spoil every round.
        """
        next_at = now + timedelta(seconds=wait_s)
        with self.database.writing() as connection:
            rows = [
                {
                    "identity": one.alert.identity,
                    "receiver": receiver,
                    "attempts": 1,
                    "next_at": now + timedelta(seconds=rest_s),
                    "last_error": reason,
                }
                for one, rest_s in zip(notices, rests_s, strict=True)
            ]
            statement = insert_into(connection, DELIVERIES)
            changed = {name: statement.excluded[name] for name in ("next_at", "last_error")}
            more = {**changed, "attempts": DELIVERIES.c.attempts + 1}
            connection.execute(
                statement.on_conflict_do_update(index_elements=["identity", "receiver"], set_=more), rows
            )
            ill = {
                "failures": RECEIVERS.c.failures + 1,
                "failing_since_at": func.coalesce(RECEIVERS.c.failing_since_at, literal(now, Utc)),
                "next_at": next_at,
                "last_error": reason,
            }
            connection.execute(update(RECEIVERS).where(RECEIVERS.c.receiver == receiver).values(**ill))

    def refused(self, receiver: str, notices: Sequence[Notice], *, reason: str, now: datetime) -> None:
        """Quarantine notices that a receiver will never take; their alerts' next revision is tried again."""
        rows = [
            {
                "identity": one.alert.identity,
                "receiver": receiver,
                "attempts": 1,
                "next_at": None,
                "last_error": reason,
                "quarantined_at": now,
                "quarantined_revision": one.revision,
            }
            for one in notices
        ]
        with self.database.writing() as connection:
            put(connection, DELIVERIES, rows)

    def free(self, receiver: str | None = None) -> int:
        """Let everything be tried again now, quarantined or waiting; return how much was quarantined."""
        told = DELIVERIES.c.receiver == receiver if receiver else literal(value=True)
        mine = RECEIVERS.c.receiver == receiver if receiver else literal(value=True)
        with self.database.writing() as connection:
            n_freed = connection.execute(
                update(DELIVERIES)
                .where(told, DELIVERIES.c.quarantined_at.is_not(None))
                .values(quarantined_at=None, quarantined_revision=0)
            ).rowcount
            connection.execute(update(DELIVERIES).where(told).values(next_at=None))
            connection.execute(update(RECEIVERS).where(mine).values(next_at=None))
            return n_freed


def _due(receiver: str, *, at_least: Severity, pace: Pace, besides: str, now: datetime) -> Select:
    wanted = ALERTS.c.revision if pace.every_revision else ALERTS.c.news_revision
    told = func.coalesce(DELIVERIES.c.delivered_revision, 0)
    is_news = told < ALERTS.c.news_revision
    is_late = DELIVERIES.c.told_at <= now - timedelta(seconds=pace.repeat_s)
    stands = or_(ALERTS.c.state == AlertState.FIRING, ALERTS.c.resolved_at > now - timedelta(seconds=pace.echo_s))
    joined_at = select(RECEIVERS.c.known_since_at).where(RECEIVERS.c.receiver == receiver).scalar_subquery()
    concerns = and_(
        or_(ALERTS.c.severity_rank <= at_least.rank, DELIVERIES.c.told_state == AlertState.FIRING),
        or_(ALERTS.c.state == AlertState.FIRING, DELIVERIES.c.told_at.is_not(None), ALERTS.c.resolved_at >= joined_at),
        ALERTS.c.identity != besides,
    )
    may_be_tried = and_(
        or_(DELIVERIES.c.next_at.is_(None), DELIVERIES.c.next_at <= now),
        or_(DELIVERIES.c.quarantined_at.is_(None), DELIVERIES.c.quarantined_revision < wanted),
    )
    attempts = func.coalesce(DELIVERIES.c.attempts, 0).label("attempts")
    both = and_(ALERTS.c.identity == DELIVERIES.c.identity, DELIVERIES.c.receiver == receiver)
    return (
        select(ALERTS, DELIVERIES.c.told_at, attempts, is_news.label("is_news"))
        .select_from(ALERTS.outerjoin(DELIVERIES, both))
        .where(or_(told < wanted, and_(stands, is_late)), concerns, may_be_tried)
        .order_by(
            attempts,  # what failed comes last, or a single bad alert would stand before all others
            case((is_news, 0), else_=1),
            case((is_news, ALERTS.c.changed_at), else_=DELIVERIES.c.told_at),
            ALERTS.c.identity,
        )
    )


def _notice(row: Row) -> Notice:
    return Notice(
        alert=alert_of(row),
        state=row.state,
        revision=row.revision,
        is_news=row.is_news,
        resolved_at=row.resolved_at,
        told_at=row.told_at,
        attempts=row.attempts,
    )
