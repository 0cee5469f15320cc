"""What a real Alertmanager holds, and what it tells, after everything that can happen to it."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tars_ops.adapters.alerts.courier import Delivered
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.adapters.alerts.trial import try_out
from tars_ops.core.verdict import Severity
from tars_ops_tests.adapters.alerts.factories import (
    RELEASE,
    Desk,
    alert,
    many,
    outbox_at,
)
from tars_ops_tests.adapters.alerts.factories import alertmanager as receiver
from tars_ops_tests.adapters.alerts.factories import courier as courier_to
from tars_ops_tests.adapters.alerts.factories import serving as listening
from tars_ops_tests.live.servers import alertmanager, free_port

pytestmark = pytest.mark.live

RESEND_S = 1.0
PAGES = """
route: {{receiver: desk, group_by: [release], group_wait: 100ms, group_interval: 1s, repeat_interval: 1h}}
receivers: [{{name: desk, webhook_configs: [{{url: "{url}", send_resolved: true}}]}}]
"""


def held(url: str) -> dict[str, dict[str, Any]]:
    """The alerts that an Alertmanager holds as active, by service."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=5) as answer:
        found = json.load(answer)
    assert len({one["fingerprint"] for one in found}) == len(found)
    return {one["labels"]["service"]: one for one in found}


def names(url: str) -> list[str]:
    """The names of the alerts that an Alertmanager holds as active."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=5) as answer:
        return [one["labels"]["alertname"] for one in json.load(answer)]


def eventually(holds: Callable[[], bool], *, within_s: float = 20.0) -> bool:
    end_s = time.monotonic() + within_s
    while time.monotonic() < end_s:
        if holds():
            return True
        time.sleep(0.1)
    return False


def deliver(outbox: Outbox, url: str) -> Delivered:
    return courier_to(outbox, receiver(url, resend_s=RESEND_S)).deliver(now=datetime.now(UTC))


def settle(outbox: Outbox, *alerts: Any) -> None:
    outbox.settle(RELEASE, alerts, now=datetime.now(UTC))


def test_it_holds_what_fires_once_and_drops_what_resolves(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path)
    with alertmanager(tmp_path / "am") as server:
        settle(outbox, alert("a"), alert("b"))
        first = deliver(outbox, server.url)
        settle(outbox, alert("a", severity=Severity.CRITICAL, day=3))
        second = deliver(outbox, server.url)
        eventually(lambda: set(held(server.url)) == {"a"})
        after = held(server.url)
    outbox.close()

    assert (first.n_sent, second.n_sent) == (2, 2)
    assert set(after) == {"a"}
    assert (after["a"]["annotations"]["severity"], after["a"]["annotations"]["day"]) == ("critical", "3")
    assert after["a"]["labels"]["alertname"] == "ObjectiveBroken"
    assert after["a"]["generatorURL"].startswith("http://dagster:3000/assets/daily_stability")


def test_the_watchdog_stands_while_somebody_looks_and_ends_when_nobody_does(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path)
    with alertmanager(tmp_path / "am") as server:
        looking = receiver(server.url, watchdog_s=3.0)
        courier_to(outbox, looking).deliver(now=datetime.now(UTC))
        stands = eventually(lambda: names(server.url) == ["Watchdog"])
        courier_to(outbox, looking).deliver(now=datetime.now(UTC))
        still = names(server.url)
        ended = eventually(lambda: names(server.url) == [])
    outbox.close()

    assert stands
    assert still == ["Watchdog"]
    assert ended


def test_an_alert_of_the_last_hour_and_one_that_resolves_at_once_are_taken(tmp_path: Path) -> None:
    outbox = outbox_at(tmp_path)
    with alertmanager(tmp_path / "am") as server:
        deliver(outbox, server.url)
        settle(outbox, alert(since_at=datetime.now(UTC)))
        settle(outbox)
        delivered = deliver(outbox, server.url)
        try_out(receiver(server.url), now=datetime.now(UTC))
        empty = eventually(lambda: held(server.url) == {})
    outbox.close()

    assert (delivered.n_sent, delivered.n_quarantined) == (1, 0)
    assert empty


def test_it_regains_after_a_kill_what_it_lost_and_pages_nobody_twice(tmp_path: Path) -> None:
    outbox, port = outbox_at(tmp_path), free_port()
    settle(outbox, *many(100))
    with listening(Desk()) as desk:
        config = PAGES.format(url=desk.url)
        with alertmanager(tmp_path / "am", port=port, config=config) as server:
            while deliver(outbox, server.url).n_waiting:
                pass
            paged = eventually(lambda: len(desk.calls) > 0)
            time.sleep(0.5)
            os.kill(server.pid, signal.SIGKILL)
            time.sleep(RESEND_S)
            down = deliver(outbox, server.url)
        with alertmanager(tmp_path / "am", port=port, config=config) as server:
            lost = len(held(server.url))
            regained = eventually(lambda: bool(deliver(outbox, server.url)) and len(held(server.url)) == 100)
            settle(outbox)
            emptied = eventually(lambda: bool(deliver(outbox, server.url)) and held(server.url) == {})
            resolved = eventually(lambda: any(call.json["status"] == "resolved" for call in desk.calls))
    outbox.close()

    assert (paged, lost, regained, emptied, resolved) == (True, 0, True, True, True)
    assert (down.n_sent, down.n_deferred) == (0, 64)
