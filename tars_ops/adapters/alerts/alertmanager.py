"""How is an Alertmanager told?

It forgets when it is killed and expires what it does not hear again, so firing alerts are sent over and over. Routing
is by the labels of `wording.labels_of`. The severity is no label: it changes while an alert is the same, and under
another label Alertmanager would hold two alerts. Route by `alertname`, `gate`, `product` or `environment`, or give each
level a receiver of its own with `at_least` in the receivers file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tars_ops.adapters.alerts.configured import Configured
from tars_ops.adapters.alerts.notice import AlertState, Notice, Outcome, Pace
from tars_ops.adapters.alerts.receivers import AlertmanagerConfig
from tars_ops.adapters.alerts.transport import Endpoint
from tars_ops.adapters.alerts.wording import Origin, annotations_of, labels_of, stamp

WATCHDOG = "Watchdog"
BATCH = 64
ECHO_S = 300.0
"""A resolution is sent again for this long: the server may have been restarted from an older snapshot."""
_SHORTEST = timedelta(milliseconds=1)  # it refuses an alert that does not start before it ends


@dataclass(frozen=True)
class Alertmanager(Configured):
    """One Alertmanager, API v2."""

    config: AlertmanagerConfig
    token: str | None = field(default=None, repr=False)

    @property
    def pace(self) -> Pace:
        """Every revision at once, and again every ``resend_s``."""
        return Pace(repeat_s=self.config.resend_s, every_revision=True, echo_s=ECHO_S)

    def batches(self, due: Sequence[Notice]) -> list[tuple[Notice, ...]]:
        """Divide into requests of at most 64 alerts, in order."""
        return [tuple(due[start : start + BATCH]) for start in range(0, len(due), BATCH)]

    def send(self, batch: Sequence[Notice], *, now: datetime) -> Outcome:
        """Post the alerts."""
        return self._post([postable(notice, self.origin, holds_s=self.config.holds_s, now=now) for notice in batch])

    def heartbeat(self, *, now: datetime) -> None:
        """Send the alert that stands as long as somebody looks, where the receivers file asks for it."""
        if self.config.watchdog_s is not None:
            self._post([watchdog(self.origin, holds_s=self.config.watchdog_s, now=now)])

    def _post(self, posted: Sequence[Mapping[str, object]]) -> Outcome:
        url = f"{self.config.url.rstrip('/')}/api/v2/alerts"
        endpoint = Endpoint(
            name=self.name, url=url, timeout_s=self.config.timeout_s, ca=self.config.ca, token=self.token
        )
        return endpoint.post(json.dumps(posted).encode())


def watchdog(origin: Origin, *, holds_s: float, now: datetime) -> dict[str, object]:
    """Write the alert that is always sent, and ends by itself when nobody sends it any more."""
    return {
        "labels": {"alertname": WATCHDOG, "environment": origin.environment},
        "annotations": {"summary": "tars_ops looks after its releases; where this alert is missing, nobody does"},
        "startsAt": stamp(now),
        "endsAt": stamp(now + timedelta(seconds=holds_s)),
    }


def postable(notice: Notice, origin: Origin, *, holds_s: float, now: datetime) -> dict[str, object]:
    """Write a notice as the API takes it: an alert ends where it resolved, or after ``holds_s`` seconds."""
    resolved_at = notice.resolved_at if notice.state is AlertState.RESOLVED else None
    end_at = min(resolved_at, now) if resolved_at else now + timedelta(seconds=holds_s)
    start_at = min(notice.since_at, now, end_at - _SHORTEST)
    url = origin.verdict_url(notice.alert)
    return {
        "labels": labels_of(notice.alert, origin),
        "annotations": annotations_of(notice, origin),
        "startsAt": stamp(start_at),
        "endsAt": stamp(end_at),
        **({"generatorURL": url} if url else {}),
    }
