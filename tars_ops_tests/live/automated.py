"""What does somebody see of a deployment that runs by itself: its runs, its processes, and what Alertmanager holds?

Belongs here: setting the deployment up and looking. Nothing here starts a run; that is the point.
"""

from __future__ import annotations

import json
import os
import time
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tars_ops_tests.live.command import Home
from tars_ops_tests.live.ui import DagsterUi

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_RUNS = """{ found: runsOrError(limit: 1000) { ... on Runs { results {
    runId jobName status creationTime startTime endTime tags { key value } } } } }"""


@dataclass(frozen=True)
class Standing:
    """An alert that an Alertmanager holds as active."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @property
    def name(self) -> str:
        """What Alertmanager routes by."""
        return self.labels["alertname"]


def standing(url: str) -> list[Standing]:
    """Return every active alert; one that a restarted server does not hold any more is not there."""
    with urllib.request.urlopen(f"{url}/api/v2/alerts?active=true", timeout=10) as answer:
        return [Standing(one["labels"], one["annotations"]) for one in json.load(answer)]


@dataclass(frozen=True)
class Run:
    """One run of the daemon."""

    run_id: str
    job: str
    status: str
    tags: Mapping[str, str]
    created_at: datetime
    start_s: float | None
    """Unix seconds."""
    end_s: float | None

    @property
    def release(self) -> str:
        """Key of the release."""
        return self.tags["tars_ops/release"]

    @property
    def about(self) -> tuple[str, str, str]:
        """Job, release, and the day or the ``as of`` of what it judged."""
        about = ("tars_ops/day", "tars_ops/as_of", "tars_ops/running")
        return self.job, self.release, next((self.tags[name] for name in about if name in self.tags), "")


def runs_of(ui: DagsterUi) -> list[Run]:
    """Return all runs, oldest first."""
    return [
        Run(
            run_id=one["runId"],
            job=one["jobName"],
            status=one["status"],
            tags={tag["key"]: tag["value"] for tag in one["tags"]},
            created_at=datetime.fromtimestamp(one["creationTime"], UTC),
            start_s=one["startTime"],
            end_s=one["endTime"],
        )
        for one in reversed(ui.ask(_RUNS)["found"]["results"])
    ]


def deployed(root: Path, *, source: str, alertmanager_url: str, policies: Mapping[str, str], **extra: str) -> Home:
    """Return a home that starts everything by itself; ``policies`` by name, ``extra`` by the rest of TARS_OPS_*."""
    for folder in ("policies", "releases"):
        (root / folder).mkdir(exist_ok=True)
    for name, text in policies.items():
        (root / "policies" / f"{name}.yaml").write_text(text)
    receivers = root / "receivers.yaml"
    receivers.write_text(
        f"version: 1\nreceivers:\n  - {{name: alertmanager, kind: alertmanager, url: '{alertmanager_url}'}}\n"
    )
    settings = {
        "TARS_OPS_AUTOSTART": "1",
        "TARS_OPS_RELEASES": str(root / "releases"),
        "TARS_OPS_OUTBOX": str(root / "outbox.sqlite"),
        "TARS_OPS_RECEIVERS": str(receivers),
        "TARS_OPS_RUNBOOK_URL": "https://runbooks.example.org",
        **{f"TARS_OPS_{name.upper()}": value for name, value in extra.items()},
    }
    return Home(root, source, policies=root / "policies", extra=settings)


def announce(home: Home, key: str, *, ga_at: datetime, n_days: int, day_length_s: int = 86400) -> None:
    """Put a manifest where the sensor finds it."""
    product, _, version = key.partition("@")
    text = f'product: {product}\nversion: "{version}"\nga_at: {ga_at:%Y-%m-%dT%H:%M:%SZ}\n'
    text += f"n_days: {n_days}\nday_length_s: {day_length_s}\n"
    (home.root / "releases" / f"{product}-{version}.yaml").write_text(text)


def eventually(holds: Callable[[], object], *, within_s: float, every_s: float = 1.0) -> bool:
    """Look until something holds; false if it does not in time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


# -- processes --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Process:
    """One process, as the kernel shows it."""

    pid: int
    parent: int
    command: str
    cpu_s: float
    """Its own."""
    reaped_cpu_s: float
    """Of its children that ended."""


def below(pid: int) -> dict[int, Process]:
    """Return a process and everything that it started, by pid."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    everything = {one.pid: one for one in map(_process, pids) if one}
    found = {pid} & everything.keys()
    while more := {one.pid for one in everything.values() if one.parent in found} - found:
        found |= more
    return {one: everything[one] for one in found}


def _process(pid: int) -> Process | None:
    try:
        stat = Path("/proc", str(pid), "stat").read_text(encoding="utf-8", errors="replace")
        command = Path("/proc", str(pid), "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None  # it ended meanwhile
    fields = stat.rpartition(")")[2].split()
    user, system, reaped_user, reaped_system = (int(ticks) / TICKS_PER_S for ticks in fields[11:15])
    return Process(pid, int(fields[1]), command, user + system, reaped_user + reaped_system)


def daemon_pid(ui: DagsterUi) -> int:
    """Return the process that ticks the sensors and launches runs."""
    (found,) = (one.pid for one in below(ui.pid).values() if "dagster._daemon" in one.command)
    return found
