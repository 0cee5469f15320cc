"""Does a receiver take an alert and its resolution, right now?"""

from __future__ import annotations

from datetime import datetime, timedelta

from tars_ops.adapters.alerts.notice import AlertState, Notice, Outcome, Receiver, Sent
from tars_ops.core.alert import Alert
from tars_ops.core.errors import DeliveryError
from tars_ops.core.gate import AlertName
from tars_ops.core.verdict import Severity, Verdict


def try_out(receiver: Receiver, *, now: datetime) -> None:
    """Send a receiver one alert that says it is a test, and its resolution; the outbox knows nothing of it.

    Raises
    ------
    DeliveryError
        If the receiver does not take one of them.
    """
    alert = _alert(now)
    firing = Notice(alert=alert, state=AlertState.FIRING, revision=1, is_news=True)
    resolved = Notice(alert=alert, state=AlertState.RESOLVED, revision=2, is_news=True, resolved_at=now, told_at=now)
    for notice in (firing, resolved):
        _require_taken(receiver.send([notice], now=now), receiver.name, notice.state)


def _require_taken(outcome: Outcome, name: str, state: AlertState) -> None:
    if not isinstance(outcome, Sent):
        raise DeliveryError(f"receiver {name} did not take the {state} test alert: {outcome.reason}")


def _alert(now: datetime) -> Alert:
    return Alert(
        release="tars-ops@test",
        gate="alerts_arrive",
        service="*",
        name=AlertName.RECEIVER_FAILS,
        asset="",
        partition="",
        kpi=None,
        severity=Severity.LOW,
        verdict=Verdict.FAIL,
        day=None,
        summary="this is a test of the receiver: nothing is wrong, and it resolves at once",
        description="Sent by `tars-ops alerts test`.",
        since_at=now - timedelta(minutes=1),
        evidence_sha256=None,
    )
