"""Which alerts stand, and who has claimed what?

The outbox keeps one row per alert, never a log: what a receiver has to hear follows from the row and from what it was
told. Everything here can be derived again from the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from pydantic import ValidationError
from sqlalchemy import Connection, Row, delete, or_, select

from tars_ops.adapters.alerts.database import Database, insert_into, move_aside, put
from tars_ops.adapters.alerts.notice import AlertState
from tars_ops.adapters.alerts.tables import ALERTS, BASES, CLAIMS, DELIVERIES
from tars_ops.core.alert import Alert
from tars_ops.core.errors import ContractError, OutboxBusyError, OutboxError, UsageError
from tars_ops.core.model import Frozen, Instant

_FOREVER = datetime(2100, 1, 1, tzinfo=UTC)
RECENT_S = 24 * 3600.0
"""How long a resolved alert is still shown, seconds."""
KEPT_S = 90 * 24 * 3600.0
"""How long a resolved alert is kept at all, seconds; a receiver that is away for longer is not told how it ended."""


class Settled(Frozen):
    """What a complete set of alerts changed."""

    n_new: int = 0
    n_changed: int = 0
    n_resolved: int = 0


class Delivery(Frozen):
    """What one receiver knows of one alert."""

    receiver: str
    delivered_revision: int
    """0 where nothing was taken yet."""
    told_state: AlertState | None
    told_at: Instant | None
    attempts: int
    """Failures since the last success."""
    next_at: Instant | None
    """No attempt before; None where nothing is to be waited for."""
    last_error: str
    quarantined_at: Instant | None


class Standing(Frozen):
    """One alert of the outbox with what each receiver knows of it."""

    identity: str
    alert: Alert
    state: AlertState
    revision: int
    changed_at: Instant
    resolved_at: Instant | None
    deliveries: tuple[Delivery, ...] = ()


@dataclass(frozen=True, slots=True)
class Outbox:
    """The alerts of one deployment. Safe between processes and threads."""

    database: Database

    @classmethod
    def open(cls, url: str) -> Self:
        """Open the outbox, and make it where there is none.

        Raises
        ------
        OutboxError
            If it is damaged or out of reach.
        ConfigurationError
            If the URL is of no known database.
        """
        database = Database(url)
        database.prepare()
        return cls(database)

    @classmethod
    def rebuild(cls, url: str) -> tuple[Self, Path]:
        """Move a damaged file aside and open a new outbox; return it with the place of the damaged one.

        Raises
        ------
        UsageError
            If the outbox is sound or no file.
        """
        if cls._is_sound(url):
            raise UsageError("the outbox is sound; nothing has to be rebuilt")
        aside = move_aside(url)
        return cls.open(url), aside

    @classmethod
    def _is_sound(cls, url: str) -> bool:
        try:
            outbox = cls.open(url)
            try:
                outbox.standing(now=_FOREVER, recent_s=_FOREVER.timestamp())
            finally:
                outbox.close()
        except OutboxBusyError:
            raise
        except OutboxError:
            return False
        return True

    def close(self) -> None:
        """Close the connections."""
        self.database.close()

    def settle(self, release: str, alerts: Sequence[Alert], *, now: datetime, basis: str = "") -> Settled:
        """Make exactly these alerts stand for a release, in one transaction; the same set again writes nothing.

        Parameters
        ----------
        release : str
            Key of the release.
        alerts : sequence of Alert
            Everything that should fire for it now. Who is absent resolves; a firing alert keeps its earliest start.
        now : datetime
            The moment, UTC.
        basis : str, at most 64 characters
            What the alerts were derived from, kept with them; see `bases`.

        Raises
        ------
        ContractError
            If an alert is of another release or there twice.
        """
        wanted = _by_identity(release, alerts)
        with self.database.reading() as connection:
            rows = _changes(_known(connection, release, wanted), wanted, now=now)
        if not rows and not basis:
            return Settled()
        with self.database.writing() as connection:  # what was read before may be old by now
            known = _known(connection, release, wanted)
            rows = _changes(known, wanted, now=now)
            put(connection, ALERTS, rows)
            put(connection, BASES, [{"release": release, "basis": basis}] if basis else [])
            _forget(connection, now=now)
        return _counted(rows, known)

    def bases(self) -> dict[str, str]:
        """Return what the alerts of each release were last derived from, so that unchanged evidence is not read again.

        It lies beside the alerts on purpose: an outbox that was rebuilt knows of none, and everything is derived anew.
        """
        with self.database.reading() as connection:
            return {row.release: row.basis for row in connection.execute(select(BASES))}

    def firing(self, release: str) -> tuple[Alert, ...]:
        """Return the alerts that stand for a release."""
        mine = (ALERTS.c.release == release) & (ALERTS.c.state == AlertState.FIRING)
        with self.database.reading() as connection:
            return tuple(Alert.model_validate_json(row.alert) for row in connection.execute(select(ALERTS).where(mine)))

    def claim(self, key: str, *, now: datetime, ttl_s: float = 300.0) -> bool:
        """Give True to exactly one caller per key until ``ttl_s`` seconds have passed, across processes."""
        with self.database.writing() as connection:
            connection.execute(delete(CLAIMS).where(CLAIMS.c.until_at <= now))
            row = {"key": key, "until_at": now + timedelta(seconds=ttl_s)}
            done = connection.execute(insert_into(connection, CLAIMS).on_conflict_do_nothing(), row)
            return done.rowcount == 1

    def standing(
        self, *, now: datetime, release: str | None = None, recent_s: float = RECENT_S
    ) -> tuple[Standing, ...]:
        """Return every alert that fires or resolved in the last ``recent_s`` seconds, worst and oldest first."""
        shown = or_(ALERTS.c.state == AlertState.FIRING, ALERTS.c.resolved_at > now - timedelta(seconds=recent_s))
        chosen = shown if release is None else shown & (ALERTS.c.release == release)
        told = select(DELIVERIES).where(DELIVERIES.c.identity.in_(select(ALERTS.c.identity).where(chosen)))
        with self.database.reading() as connection:
            rows = connection.execute(select(ALERTS).where(chosen)).all()
            deliveries = connection.execute(told.order_by(DELIVERIES.c.receiver)).all()
        of: dict[str, list[Delivery]] = {}
        for row in deliveries:
            of.setdefault(row.identity, []).append(_delivery(row))
        found = [_standing(row, tuple(of.get(row.identity, ()))) for row in rows]
        return tuple(sorted(found, key=_urgency))


def _urgency(one: Standing) -> tuple[bool, int, datetime, str]:
    return one.state is AlertState.RESOLVED, one.alert.severity.rank, one.alert.since_at, one.identity


def _by_identity(release: str, alerts: Sequence[Alert]) -> dict[str, Alert]:
    wanted = {alert.identity: alert for alert in alerts}
    if stray := next((alert for alert in alerts if alert.release != release), None):
        raise ContractError(f"an alert of {stray.release} cannot be settled for {release}; settle each release alone")
    if len(wanted) != len(alerts):
        raise ContractError(f"{len(alerts)} alerts of {release} have {len(wanted)} identities; give each alert once")
    return wanted


def _known(connection: Connection, release: str, wanted: Mapping[str, Alert]) -> dict[str, Row]:
    """Read the firing alerts of a release, and those that fire again or again differently."""
    mine = ALERTS.c.release == release
    firing = ALERTS.c.state == AlertState.FIRING
    rows = connection.execute(select(ALERTS).where(mine if wanted else mine & firing))
    return {row.identity: row for row in rows}


def _changes(known: Mapping[str, Row], wanted: Mapping[str, Alert], *, now: datetime) -> list[dict[str, object]]:
    """Give the rows to write, complete; none for an alert that is as it was."""
    rows = [_fired(identity, alert, known.get(identity), now=now) for identity, alert in wanted.items()]
    gone = [row for identity, row in known.items() if identity not in wanted and row.state == AlertState.FIRING]
    return [row for row in rows if row] + [_resolved(row, now=now) for row in gone]


def _fired(identity: str, alert: Alert, old: Row | None, *, now: datetime) -> dict[str, object] | None:
    before = None
    if old is not None and old.state == AlertState.FIRING:
        before = alert_of(old)
        alert = alert.model_copy(update={"since_at": min(before.since_at, alert.since_at)})
        if alert == before:
            return None
    revision = 1 + (old.revision if old is not None else 0)
    is_news = before is None or (before.severity, before.verdict) != (alert.severity, alert.verdict)
    return {
        "identity": identity,
        "release": alert.release,
        "state": AlertState.FIRING.value,
        "revision": revision,
        "news_revision": revision if is_news or old is None else old.news_revision,
        "severity_rank": alert.severity.rank,
        "since_at": alert.since_at,
        "changed_at": now,
        "resolved_at": None,
        "alert": alert.model_dump_json(),
    }


def _resolved(row: Row, *, now: datetime) -> dict[str, object]:
    return {
        "identity": row.identity,
        "release": row.release,
        "state": AlertState.RESOLVED.value,
        "revision": row.revision + 1,
        "news_revision": row.revision + 1,
        "severity_rank": row.severity_rank,
        "since_at": row.since_at,
        "changed_at": now,
        "resolved_at": now,
        "alert": row.alert,
    }


def _counted(rows: Sequence[Mapping[str, object]], known: Mapping[str, Row]) -> Settled:
    resolved = sum(row["state"] == AlertState.RESOLVED for row in rows)
    stood = {identity for identity, row in known.items() if row.state == AlertState.FIRING}
    new = sum(row["identity"] not in stood for row in rows)
    return Settled(n_new=new, n_changed=len(rows) - new - resolved, n_resolved=resolved)


def _forget(connection: Connection, *, now: datetime) -> None:
    """Delete what resolved long ago, with what was told of it."""
    old = ALERTS.c.resolved_at <= now - timedelta(seconds=KEPT_S)
    gone = select(ALERTS.c.identity).where(old)
    connection.execute(delete(DELIVERIES).where(DELIVERIES.c.identity.in_(gone)))
    connection.execute(delete(ALERTS).where(old))


def alert_of(row: Row) -> Alert:
    """Read the alert of a row; OutboxError where another version of this program wrote it in another form."""
    try:
        return Alert.model_validate_json(row.alert)
    except ValidationError as error:
        raise OutboxError(
            f"the outbox holds an alert of {row.release} in a form that this version does not read "
            f"({error.error_count()} faults); `tars-ops alerts rebuild` begins a new outbox"
        ) from None


def _delivery(row: Row) -> Delivery:
    values = {name: getattr(row, name) for name in Delivery.model_fields}
    return Delivery(**values)


def _standing(row: Row, deliveries: tuple[Delivery, ...]) -> Standing:
    return Standing(
        identity=row.identity,
        alert=alert_of(row),
        state=row.state,
        revision=row.revision,
        changed_at=row.changed_at,
        resolved_at=row.resolved_at,
        deliveries=deliveries,
    )
