"""Who tells the others that a receiver cannot be told?

An alert about the alerts: it fires to every other receiver, and resolves by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from tars_ops.adapters.alerts.ledger import ReceiverRecord
from tars_ops.core.alert import Alert
from tars_ops.core.gate import AlertName
from tars_ops.core.verdict import Severity, Verdict

GATE = "alerts_are_delivered"
EVERY_RELEASE = "*"
PATIENCE_S = 15 * 60.0
"""How long a receiver may fail before the others are told, seconds."""


def failure_of(receiver: str, *, since_at: datetime, why: str) -> Alert:
    """Say that a receiver does not get its alerts."""
    return Alert(
        release=EVERY_RELEASE,
        gate=GATE,
        service=receiver,
        name=AlertName.RECEIVER_FAILS,
        asset="",
        partition="",
        kpi=None,
        severity=Severity.HIGH,
        verdict=Verdict.FAIL,
        day=None,
        summary=f"receiver {receiver} does not get its alerts",
        description=why,
        since_at=since_at,
        evidence_sha256=None,
    )


def identity_of_failure(receiver: str) -> str:
    """Identity of the alert that this receiver fails."""
    return failure_of(receiver, since_at=datetime.fromisoformat("1970-01-01T00:00:00Z"), why="").identity


def failures(
    names: Sequence[str],
    records: Sequence[ReceiverRecord],
    quarantined: Mapping[str, datetime],
    *,
    now: datetime,
) -> list[Alert]:
    """Return one alert for each of the configured receivers that fails for too long or has refused something.

    ``quarantined`` says since when which receiver has something in quarantine.
    """
    of = {record.receiver: record for record in records}
    found = [_failure(name, of.get(name), quarantined.get(name), now=now) for name in names]
    return [alert for alert in found if alert]


def _failure(
    name: str, record: ReceiverRecord | None, quarantined_at: datetime | None, *, now: datetime
) -> Alert | None:
    since_at = record.failing_since_at if record else None
    if record and since_at and now - since_at > timedelta(seconds=PATIENCE_S):
        why = f"no request was taken since {since_at:%Y-%m-%d %H:%M} UTC: {record.last_error}"
        return failure_of(name, since_at=since_at, why=why)
    if quarantined_at:
        why = "it refused alerts; `tars-ops alerts list` says why and `tars-ops alerts retry` sends them again"
        return failure_of(name, since_at=quarantined_at, why=why)
    return None
