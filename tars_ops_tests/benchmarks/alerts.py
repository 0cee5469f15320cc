"""How many of 1,000 alerts are lost or doubled while the sender and Alertmanager are killed over and over?

A program: ``python -m tars_ops_tests.benchmarks.alerts [--cycles 20] [--alerts 1000]`` kills the delivering process and
a real Alertmanager by turns, in the middle of their work, and prints a table in Markdown. Every cycle changes half of
the alerts and ends when nothing is due any more.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from tars_ops.adapters.alerts.courier import Courier
from tars_ops.adapters.alerts.ledger import LEASE_S
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.core.alert import Alert
from tars_ops_tests.adapters.alerts.factories import Desk, alert, alertmanager, serving, webhook
from tars_ops_tests.live.servers import alertmanager as alertmanager_process
from tars_ops_tests.live.servers import free_port

PER_RELEASE = 50
RESEND_S = 1.0


def clock(behind_s: float) -> datetime:
    """The time of a sender; after each kill it is less behind, so that nobody waits for the lease of the dead."""
    return datetime.now(UTC) - timedelta(seconds=behind_s)


def send_forever(url: str, desk_url: str, am_url: str, behind_s: float) -> None:
    """Be the process that is killed."""
    outbox = Outbox.open(url)
    receivers = [
        webhook(desk_url, max_requests=1000),
        alertmanager(am_url, max_requests=1000, resend_s=RESEND_S),
    ]
    courier = Courier(outbox, receivers)
    print("ready", flush=True)
    while True:
        courier.deliver(now=clock(behind_s))
        time.sleep(0.02)


@contextlib.contextmanager
def sender(*args: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a sending process; it ends by a kill, as everything here."""
    command = [sys.executable, "-m", "tars_ops_tests.benchmarks.alerts", "--send", *args]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def settle(outbox: Outbox, firing: set[int], n: int, *, now: datetime) -> int:
    """Let these alerts stand and no others; return how many news that makes."""
    n_news = 0
    for first in range(0, n, PER_RELEASE):
        release = f"tars@1.0.{first // PER_RELEASE}"
        wanted: list[Alert] = [
            alert(f"service-{number:04}", release=release)
            for number in range(first, first + PER_RELEASE)
            if number in firing
        ]
        settled = outbox.settle(release, wanted, now=now)
        n_news += settled.n_new + settled.n_resolved
    return n_news


def held(url: str) -> list[str]:
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=10) as answer:
        return [one["labels"]["service"] for one in json.load(answer)]


@dataclass
class Trial:
    """One outbox, one webhook, one Alertmanager, and what was seen of them."""

    home: Path
    desk: Desk
    n_alerts: int
    behind_s: float
    port: int = field(default_factory=free_port)
    n_news: int = 0
    n_lost: int = 0
    n_held_twice: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    recovered_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.url = f"sqlite:///{self.home / 'outbox.sqlite'}"
        self.am_url = f"http://127.0.0.1:{self.port}"
        self.outbox = Outbox.open(self.url)
        self.servers = contextlib.ExitStack()
        self.chance = random.Random(7)

    def start_alertmanager(self) -> int:
        """Start it and return its process."""
        return self.servers.enter_context(alertmanager_process(self.home / "am", port=self.port)).pid

    def sender(self) -> contextlib.AbstractContextManager[subprocess.Popen[bytes]]:
        """Start a sender whose clock is past the lease of the one before."""
        self.behind_s -= LEASE_S + 1
        return sender(self.url, self.desk.url, self.am_url, str(self.behind_s))

    def run(self, n_cycles: int) -> None:
        """Kill the sender and Alertmanager by turns."""
        with self.servers:
            pid = self.start_alertmanager()
            for cycle in range(n_cycles):
                n_firing = self.n_alerts if cycle == 0 else self.n_alerts // 2
                firing = set(self.chance.sample(range(self.n_alerts), n_firing))
                self.n_news += settle(self.outbox, firing, self.n_alerts, now=clock(self.behind_s))
                with self.sender() as victim:
                    time.sleep(self.chance.uniform(0, 0.6))
                    if cycle % 2:
                        self.kills["Alertmanager"] += 1
                        os.kill(pid, signal.SIGKILL)
                        self.servers.close()
                        pid = self.start_alertmanager()
                        self.await_everything(firing)
                    else:
                        self.kills["the sender"] += 1
                        os.kill(victim.pid, signal.SIGKILL)
                if not cycle % 2:
                    with self.sender():
                        self.await_everything(firing)
        self.outbox.close()

    def await_everything(self, firing: set[int], *, at_most_s: float = 60.0) -> None:
        """Wait until both receivers know everything and count what they still lack then."""
        wanted = {f"service-{number:04}" for number in firing}
        began_s = time.monotonic()
        while True:
            services, n_lacking = held(self.am_url), self.n_news - len(self.told())
            known = set(services) == wanted and n_lacking == 0
            if known or time.monotonic() - began_s > at_most_s:
                break
            time.sleep(0.1)
        self.recovered_s.append(time.monotonic() - began_s)
        self.n_lost += n_lacking + len(wanted - set(services))
        self.n_held_twice += len(services) - len(set(services))

    def told(self) -> set[tuple[str, str]]:
        """What the webhook was told, once each."""
        return {(one["fingerprint"], one["annotations"]["revision"]) for one in self.desk.alerts}

    def table(self) -> str:
        """Write what was seen."""
        keys = [one["annotations"]["notice_key"] for one in self.desk.alerts]
        typical_s, worst_s = statistics.median(self.recovered_s), max(self.recovered_s)
        rows = {
            "kill -9": ", ".join(f"{n} of {what}" for what, n in self.kills.items()),
            "news to tell (an alert fires or resolves)": f"{self.n_news:,}",
            "lost": f"{self.n_lost}",
            "doubled at the webhook, as sent": f"{len(keys) - len(set(keys))}",
            "doubled at the webhook, after de-duplication by key": f"{len(set(keys)) - len(self.told())}",
            "held twice by Alertmanager": f"{self.n_held_twice}",
            "seconds from the restart until everything is known": f"{typical_s:.1f} (median), {worst_s:.1f} (worst)",
        }
        return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cycles", type=int, default=20)
    parser.add_argument("--alerts", type=int, default=1000)
    parser.add_argument("--send", nargs=4, default=None, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.send:
        url, desk_url, am_url, behind_s = options.send
        send_forever(url, desk_url, am_url, float(behind_s))
    with tempfile.TemporaryDirectory(prefix="alerts-") as own, serving(Desk()) as desk:
        trial = Trial(Path(own), desk, options.alerts, behind_s=2 * (options.cycles + 1) * (LEASE_S + 1))
        trial.run(options.cycles)
        print(trial.table())


if __name__ == "__main__":
    main()
