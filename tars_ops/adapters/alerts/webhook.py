"""How is a webhook told?

In the shape of Alertmanager's own webhooks, version 4, so that whoever reads those can read these. Each request is
signed; each alert in it carries a key that stays the same when the request is made again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from tars_ops.adapters.alerts.configured import Configured
from tars_ops.adapters.alerts.notice import AlertState, Notice, Outcome, Pace
from tars_ops.adapters.alerts.receivers import WebhookConfig
from tars_ops.adapters.alerts.transport import Endpoint, secret_parts
from tars_ops.adapters.alerts.wording import Origin, annotations_of, labels_of, stamp

BATCH = 100
NOT_ENDED = "0001-01-01T00:00:00Z"
SIGNATURE, KEY = "X-Tars-Ops-Signature", "Idempotency-Key"


@dataclass(frozen=True)
class Webhook(Configured):
    """One address that takes signed JSON."""

    config: WebhookConfig
    url: str = field(repr=False)
    secret: str = field(repr=False)

    @property
    def pace(self) -> Pace:
        """News at once, and a reminder every ``repeat_s``."""
        return Pace(repeat_s=self.config.repeat_s)

    def batches(self, due: Sequence[Notice]) -> list[tuple[Notice, ...]]:
        """Divide into one request per release, of at most 100 alerts; more alerts make more requests."""
        return by_release(due, at_most=BATCH)

    def send(self, batch: Sequence[Notice], *, now: datetime) -> Outcome:
        """Post one group of alerts."""
        body = json.dumps(payload(batch, self.origin, receiver=self.name)).encode()
        headers = {
            SIGNATURE: signature(body, self.secret, at_s=int(now.timestamp())),
            KEY: _digest(sorted(notice_key(notice) for notice in batch)),
        }
        hidden = secret_parts(self.url) if self.config.url_env else ()
        endpoint = Endpoint(
            name=self.name,
            url=self.url,
            timeout_s=self.config.timeout_s,
            ca=self.config.ca,
            secrets=(self.secret, *hidden),
        )
        return endpoint.post(body, headers)


def by_release(due: Sequence[Notice], *, at_most: int | None = None) -> list[tuple[Notice, ...]]:
    """Group by release, in the order in which each release comes first, in groups of at most ``at_most``."""
    groups: dict[str, list[Notice]] = {}
    for notice in due:
        groups.setdefault(notice.alert.release, []).append(notice)
    return [
        tuple(group[start : start + (at_most or len(group))])
        for group in groups.values()
        for start in range(0, len(group), at_most or len(group))
    ]


def signature(body: bytes, secret: str, *, at_s: int) -> str:
    """Sign a body and the Unix second of its sending, so that an old request cannot be played again.

    Examples
    --------
    >>> signature(b"{}", "swordfish", at_s=1763452800)[:25]
    't=1763452800,v1=89b1e7345'
    """
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


def notice_key(notice: Notice) -> str:
    """Return what tells a notice from every other: the same when it is sent again, another for each reminder."""
    told = notice.told_at.isoformat() if notice.told_at else ""
    return _digest([notice.alert.identity, str(notice.revision), told])


def payload(batch: Sequence[Notice], origin: Origin, *, receiver: str) -> dict[str, object]:
    """Write alerts of one release as Alertmanager's webhook does."""
    alerts = [_entry(notice, origin) for notice in batch]
    release = batch[0].alert.release
    firing = any(notice.state is AlertState.FIRING for notice in batch)
    return {
        "version": "4",
        "groupKey": f'{{}}:{{release="{release}"}}',
        "truncatedAlerts": 0,
        "status": (AlertState.FIRING if firing else AlertState.RESOLVED).value,
        "receiver": receiver,
        "groupLabels": {"release": release},
        "commonLabels": _common(labels_of(notice.alert, origin) for notice in batch),
        "commonAnnotations": _common(annotations_of(notice, origin) for notice in batch),
        "externalURL": origin.ui_url,
        "alerts": alerts,
    }


def _entry(notice: Notice, origin: Origin) -> dict[str, object]:
    resolved = notice.state is AlertState.RESOLVED and notice.resolved_at
    return {
        "status": notice.state.value,
        "labels": labels_of(notice.alert, origin),
        "annotations": {
            **annotations_of(notice, origin),
            "revision": str(notice.revision),
            "notice_key": notice_key(notice),
        },
        "startsAt": stamp(notice.since_at),
        "endsAt": stamp(resolved) if resolved else NOT_ENDED,
        "generatorURL": origin.verdict_url(notice.alert),
        "fingerprint": notice.alert.identity[:16],
    }


def _common(several: Iterable[dict[str, str]]) -> dict[str, str]:
    items = [set(one.items()) for one in several]
    return dict(sorted(set.intersection(*items)))


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]
