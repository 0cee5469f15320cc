"""Alerts, outboxes and receivers made up for tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from tars_ops.adapters.alerts.alertmanager import Alertmanager
from tars_ops.adapters.alerts.courier import Courier
from tars_ops.adapters.alerts.notice import AlertState, Notice, Outcome, Pace, Receiver, Sent
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.adapters.alerts.receivers import AlertmanagerConfig, WebhookConfig
from tars_ops.adapters.alerts.webhook import Webhook
from tars_ops.adapters.alerts.wording import Origin
from tars_ops.core.alert import Alert
from tars_ops.core.gate import AlertName
from tars_ops.core.verdict import Severity, Verdict

NOW = datetime(2025, 11, 21, 0, 30, tzinfo=UTC)
RELEASE = "tars@1.0.1"
ORIGIN = Origin(environment="staging", ui_url="http://dagster:3000", runbook_url="https://runbooks.example")


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def alert(service: str = "checkout", **changes: Any) -> Alert:
    values = {
        "release": RELEASE,
        "gate": "availability_keeps_its_objective",
        "service": service,
        "name": AlertName.OBJECTIVE_BROKEN,
        "asset": "daily_stability",
        "partition": "day_02|tars@1.0.1",
        "kpi": "availability",
        "severity": Severity.HIGH,
        "verdict": Verdict.FAIL,
        "day": 2,
        "summary": f"availability of {service} is 0.9871, promised 0.999",
        "description": "12,345 of 956,000 requests failed",
        "since_at": datetime(2025, 11, 20, tzinfo=UTC),
        "evidence_sha256": "ab" * 32,
    }
    return Alert(**{**values, **changes})


def many(n: int, **changes: Any) -> list[Alert]:
    return [alert(f"service-{number:04}", **changes) for number in range(n)]


def notice(one: Alert | None = None, **changes: Any) -> Notice:
    values = {"alert": one or alert(), "state": AlertState.FIRING, "revision": 1, "is_news": True}
    return Notice(**{**values, **changes})


def outbox_at(path: Path) -> Outbox:
    return Outbox.open(f"sqlite:///{path / 'outbox.sqlite'}")


def courier(outbox: Outbox, *receivers: Receiver) -> Courier:
    """A courier whose back-off is not spread and whose rounds take no time."""
    return Courier(outbox, receivers, jitter=lambda: 0.0, elapsed_s=lambda: 0.0)


@dataclass
class Listener:
    """A receiver in this process: remembers what it took and answers by ``answer``."""

    name: str = "listener"
    at_least: Severity = Severity.LOW
    pace: Pace = field(default_factory=lambda: Pace(repeat_s=3600))
    max_requests: int = 10
    batch: int = 3
    answer: Callable[[Sequence[Notice]], Outcome] = field(default=lambda _: Sent())
    taken: list[Notice] = field(default_factory=list)
    n_requests: int = 0
    heard_at: datetime | None = None

    def batches(self, due: Sequence[Notice]) -> list[tuple[Notice, ...]]:
        return [tuple(due[at : at + self.batch]) for at in range(0, len(due), self.batch)]

    def send(self, batch: Sequence[Notice], *, now: datetime) -> Outcome:  # noqa: ARG002
        self.n_requests += 1
        outcome = self.answer(batch)
        if isinstance(outcome, Sent):
            self.taken += batch
        return outcome

    def heartbeat(self, *, now: datetime) -> None:
        self.heard_at = now

    def states(self) -> dict[str, str]:
        """What the receiver believes of each service now."""
        return {one.alert.service: one.state.value for one in self.taken}


@dataclass
class Call:
    """One request as a server saw it."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Mapping[str, str], bytes]


@dataclass
class Desk:
    """A server on loopback that keeps every request; ``answer`` decides what it says to the n-th."""

    answer: Callable[[int, Call], Answer] = field(default=lambda _n, _call: (200, {}, b"{}"))
    calls: list[Call] = field(default_factory=list)
    url: str = ""

    def answered(self, call: Call) -> Answer:
        self.calls.append(call)
        return self.answer(len(self.calls), call)

    @property
    def alerts(self) -> list[dict[str, Any]]:
        """Every alert of every request, whichever the shape."""
        bodies = [call.json for call in self.calls]
        return [one for body in bodies for one in (body["alerts"] if isinstance(body, dict) else body)]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        desk = cast("_Server", self.server).desk
        status, headers, said = desk.answered(Call(self.path, dict(self.headers), body))
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(said))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


class _Server(ThreadingHTTPServer):
    desk: Desk

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed is no news."""


@contextmanager
def serving(desk: Desk) -> Iterator[Desk]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.desk, desk.url = desk, f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield desk
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def says(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"no") -> Callable[[int, Call], Answer]:
    return lambda _n, _call: (status, headers or {}, body)


def webhook(url: str, **changes: Any) -> Webhook:
    own = {"url": url} if "url_env" not in changes else {}
    values = {"kind": "webhook", "name": "desk", "secret_env": "TARS_OPS_SECRET_DESK", "timeout_s": 5.0}
    return Webhook(WebhookConfig(**{**values, **own, **changes}), ORIGIN, url, "swordfish")


def alertmanager(url: str, **changes: Any) -> Alertmanager:
    values = {"kind": "alertmanager", "name": "am", "url": url, "timeout_s": 5.0}
    return Alertmanager(AlertmanagerConfig(**{**values, **changes}), ORIGIN)
