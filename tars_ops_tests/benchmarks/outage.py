"""How soon after an outage does an alert stand in Alertmanager, how soon after a day its verdict, and what is a run?

A program: ``python -m tars_ops_tests.benchmarks.outage`` runs the real daemon, Prometheus and Alertmanager for about
half an hour and writes the section "Automation" of ``docs/reference/benchmarks.md``. Services break at random instants
over several rounds of the provisional judgement, so that every phase of it is met.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tars_ops.adapters.catalogue import BUNDLE, DAILY_HEALTH, as_of_key
from tars_ops.core.release import day_key
from tars_ops_tests.benchmarks.fleet import SCRAPE_S, Service, scraped
from tars_ops_tests.benchmarks.page import PROJECT, measured_by, write_section
from tars_ops_tests.live.automated import Run, announce, below, deployed, eventually, runs_of, standing
from tars_ops_tests.live.command import Home
from tars_ops_tests.live.servers import alertmanager
from tars_ops_tests.live.ui import DagsterUi, dagster_ui

STEPS_S = (15, 60)
CADENCE_S, DEFAULT_CADENCE_S = 120, 900
GRACE_S = 10
POLL_S = 0.5
BRIEF, BRIEF_DAYS, BRIEF_DAY_S = "brief@1.0.0", 6, 60
LATE, LATE_DAYS, LATE_DAY_S = ("late@1.0.0", "late@2.0.0"), 6, 300

POLICY = """
version: 1
product: {product}
owner: team:sre
measurement:
  selector: 'product="{product}"'
  scrape_interval_s: 15
  step_s: {step_s}
  slot_s: {slot_s}
  rate_window_s: {rate_s}
histograms:
  http_request_duration_seconds: [0.1, 0.5]
kpis:
  availability:
    kind: ratio
    title: Availability
    bad: http_requests_total{{status=~"5.."}}
    total: http_requests_total
    slo: {{objective: 0.999}}
  p99_latency:
    kind: latency
    title: Latency p99
    histogram: http_request_duration_seconds
    quantile: 0.99
    slo: {{threshold_s: 0.5}}
"""


def policy(product: str, *, step_s: int, slot_s: int = 300) -> str:
    """Return a policy whose fast burn looks back an hour and five minutes where a day is a day."""
    return POLICY.format(product=product, step_s=step_s, slot_s=slot_s, rate_s=max(60, step_s))


@dataclass
class Outage:
    """One service that breaks, and when each alert about it was first there."""

    service: Service
    is_killed: bool
    step_s: int
    told_at: dict[str, float] = field(default_factory=dict)
    """Unix seconds, by name of the alert."""

    def after_s(self, *names: str) -> float | None:
        """Return the seconds from the outage to the first of these alerts."""
        found = [self.told_at[name] for name in names if name in self.told_at]
        return min(found) - self.service.broken_at if found and self.service.broken_at else None


@dataclass
class Watcher:
    """Somebody who looks all the time: at Alertmanager, at the store, and at what Dagster's processes cost."""

    alertmanager_url: str
    home: Home
    ui: DagsterUi
    alerts: dict[tuple[str, str, str, str], float] = field(default_factory=dict)
    """Unix seconds at which an alert was first there, by release, service, name and complete day; empty for others."""
    stored: dict[tuple[str, int, str], float] = field(default_factory=dict)
    """Unix seconds at which a verdict was first there, by release, day and asset."""
    cpu_s: dict[int, float] = field(default_factory=dict)
    """What each process that runs a run has cost so far, by pid."""
    loads: list[float] = field(default_factory=list)
    wanted: set[tuple[str, int]] = field(default_factory=set)

    def look(self) -> None:
        """Note what is new."""
        now = time.time()
        for one in standing(self.alertmanager_url):
            day = "" if one.annotations["provisional"] == "true" else one.annotations.get("day", "")
            self.alerts.setdefault((one.labels["release"], one.labels["service"], one.name, day), now)
        for release, day in self.wanted:
            keys = (DAILY_HEALTH.key(release, day_key(day)), BUNDLE.key(release, as_of_key(day)))
            for asset, key in zip((DAILY_HEALTH.asset, BUNDLE.asset), keys, strict=True):
                if (release, day, asset) not in self.stored and self.home.store.versions(key):
                    self.stored[release, day, asset] = time.time()
        for process in below(self.ui.pid).values():
            if "spawn_main" in process.command:
                self.cpu_s[process.pid] = process.cpu_s + process.reaped_cpu_s
        self.loads.append(os.getloadavg()[0])

    @contextmanager
    def looking(self) -> Iterator[None]:
        """Look twice a second in the background."""
        ended = threading.Event()

        def again_and_again() -> None:
            while not ended.wait(POLL_S):
                self.look()

        thread = threading.Thread(target=again_and_again, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()


# -- an outage --------------------------------------------------------------------------------------------------------


def outages(watcher: Watcher, fleet: Sequence[Outage], *, over_s: float, dice: random.Random) -> None:
    """Let every service break at a random instant, and wait until each is told of."""
    plan = sorted((dice.uniform(0, over_s), number) for number in range(len(fleet)))
    began = time.time()
    for at_s, number in plan:
        time.sleep(max(0.0, began + at_s - time.time()))
        one = fleet[number]
        one.service.die() if one.is_killed else one.service.break_down()
    eventually(lambda: all(_told(watcher, one) for one in fleet), within_s=600)


def _told(watcher: Watcher, one: Outage) -> bool:
    """Take from what was seen the alerts that came after the outage."""
    for (_, service, name, _), at in list(watcher.alerts.items()):
        if service == one.service.name and one.service.broken_at and at > one.service.broken_at:
            one.told_at[name] = min(at, one.told_at.get(name, at))
    return "BudgetBurnsFast" in one.told_at


# -- a day, and a run -------------------------------------------------------------------------------------------------


class Waits(NamedTuple):
    """Seconds that a short day took, once for each day."""

    complete_to_verdict: list[float]
    verdict_to_alert: list[float]
    verdict_to_bundle: list[float]


def days(watcher: Watcher, home: Home) -> Waits:
    """Watch a release of short days live, of which one service fails all the time."""
    ga_at = datetime.now(UTC).replace(microsecond=0)
    watcher.wanted |= {(BRIEF, day) for day in range(1, BRIEF_DAYS + 1)}
    announce(home, BRIEF, ga_at=ga_at, n_days=BRIEF_DAYS, day_length_s=BRIEF_DAY_S)
    eventually(lambda: (BRIEF, BRIEF_DAYS, BUNDLE.asset) in watcher.stored, within_s=(BRIEF_DAYS + 5) * BRIEF_DAY_S)
    time.sleep(60)
    waits = Waits([], [], [])
    for day in range(1, BRIEF_DAYS + 1):
        end_s = ga_at.timestamp() + (day + 1) * BRIEF_DAY_S
        judged, bundled = (watcher.stored.get((BRIEF, day, asset)) for asset in (DAILY_HEALTH.asset, BUNDLE.asset))
        told = [at for (key, _, name, of), at in watcher.alerts.items() if (key, of) == (BRIEF, str(day))
                and name == "ObjectiveBroken" and judged and at >= judged]  # fmt: skip
        if judged:
            waits.complete_to_verdict.append(judged - end_s - GRACE_S)
            waits.verdict_to_alert.extend([min(told) - judged] if told else [])
            waits.verdict_to_bundle.extend([bundled - judged] if bundled else [])
    return waits


class CatchUp(NamedTuple):
    """What it took to run everything that was due at once."""

    runs: list[Run]
    cpu_s: float
    """Of all of Dagster's processes."""


def catch_up(watcher: Watcher, home: Home, ui: DagsterUi) -> CatchUp:
    """Register two releases whose days are long over and wait until all of them are judged."""
    before_s = _cpu_of_all(ui)
    ga_at = datetime.fromtimestamp(time.time() - (LATE_DAYS + 1) * LATE_DAY_S - 60, UTC)
    watcher.wanted |= {(key, day) for key in LATE for day in range(1, LATE_DAYS + 1)}
    for key in LATE:
        announce(home, key, ga_at=ga_at, n_days=LATE_DAYS, day_length_s=LATE_DAY_S)
    last = [(key, LATE_DAYS, BUNDLE.asset) for key in LATE]
    eventually(lambda: all(one in watcher.stored for one in last), within_s=900)
    ran = [run for run in runs_of(ui) if run.release in LATE and run.end_s]
    return CatchUp(ran, _cpu_of_all(ui) - before_s)


def _cpu_of_all(ui: DagsterUi) -> float:
    return sum(one.cpu_s + one.reaped_cpu_s for one in below(ui.pid).values())


# -- what is written --------------------------------------------------------------------------------------------------


def spread(values: Iterable[float]) -> str:
    """Write median, 95th percentile and maximum as cells of a table."""
    found = sorted(values)
    if not found:
        return "0 | - | - | -"
    return f"{len(found)} | {np.median(found):.0f} | {np.quantile(found, 0.95):.0f} | {found[-1]:.0f}"


def told_rows(fleet: Sequence[Outage]) -> Iterator[str]:
    """Yield one row for each kind of outage, step and alert."""
    for is_killed, what in ((False, "every request fails"), (True, "the process is killed")):
        for step_s in STEPS_S:
            mine = [one for one in fleet if (one.is_killed, one.step_s) == (is_killed, step_s)]
            for said, names in (("any alert", ("BudgetBurnsFast", "ObjectiveBroken")), ("page", ("BudgetBurnsFast",))):
                found = [after for one in mine if (after := one.after_s(*names)) is not None]
                yield f"| {what}, step {step_s} s: {said} | {spread(found)} |"


def run_rows(runs: Sequence[Run]) -> Iterator[str]:
    """Yield one row for each job: from request to start, and from start to end."""
    for job in sorted({run.job for run in runs}):
        mine = [run for run in runs if run.job == job and run.start_s and run.end_s]
        waited = [(run.start_s or 0) - run.created_at.timestamp() for run in mine]
        worked = [(run.end_s or 0) - (run.start_s or 0) for run in mine]
        if mine:
            waited_s, worked_s = statistics.median(waited), statistics.median(worked)
            yield f"| `{job}` | {len(mine)} | {waited_s:.1f} | {worked_s:.1f} |"


def report(fleet: Sequence[Outage], waits: Waits, late: CatchUp, runs: Sequence[Run], watcher: Watcher) -> str:
    """Write the section."""
    load = f"{np.quantile(watcher.loads, 0.1):.1f} to {np.quantile(watcher.loads, 0.9):.1f}"
    pages = sorted(after for one in fleet if (after := one.after_s("BudgetBurnsFast")) is not None)
    worst_s = np.quantile(pages, 0.95) if pages else float("nan")
    derived_s = worst_s + 0.95 * (DEFAULT_CADENCE_S - CADENCE_S)
    took_s = max(r.end_s or 0 for r in late.runs) - min(r.start_s or 0 for r in late.runs) if late.runs else 1.0
    cpu = statistics.median(watcher.cpu_s.values()) if watcher.cpu_s else float("nan")
    newline = "\n"
    per_run_s, per_minute = late.cpu_s / max(1, len(late.runs)), 60 * len(late.runs) / took_s
    command = "python -m tars_ops_tests.benchmarks.outage"
    return f"""{measured_by(command)}
The real daemon, Prometheus and Alertmanager on these cores, busy: load average {load}.
Scrapes every {SCRAPE_S} s, slots of 300 s, fast burn over 1 h and 5 min of an objective of 99.9 %, an hour of healthy
history, `TARS_OPS_PROVISIONAL_EVERY_S={CADENCE_S}`. Services break at random instants, one after the other.

| from a hard outage to the alert in Alertmanager | n | p50 s | p95 s | max s |
|---|---|---|---|---|
{newline.join(told_rows(fleet))}

At the default cadence of 15 min the p95 of a page is about {derived_s / 60:.0f} min: derived from the figures above
and the longer wait for the next judgement, not measured.

| days of {BRIEF_DAY_S} s | n | p50 s | p95 s | max s |
|---|---|---|---|---|
| from complete (end and grace) to the verdict of the day | {spread(waits.complete_to_verdict)} |
| from that verdict to the alert in Alertmanager | {spread(waits.verdict_to_alert)} |
| from that verdict to the bundle | {spread(waits.verdict_to_bundle)} |

Days of a minute queue behind each other and behind their verdicts: one run per release at a time, two in all. Sensors
look every 30 s (alerts, verdicts) or 60 s (days).

| job | runs | from request to start, median s | from start to end, median s |
|---|---|---|---|
{newline.join(run_rows(runs))}

Catching up on {len(LATE)} releases of {LATE_DAYS} days: {len(late.runs)} runs in {took_s:.0f} s, {per_minute:.1f} runs
a minute, two at a time; {per_run_s:.1f} CPU seconds of all of Dagster for each run. The process of a run costs
{cpu:.1f} CPU seconds (median); its steps take only the seconds of the last column.
"""


def main() -> None:
    """Run everything and write the section."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--services", type=int, default=10, help="services of each kind of outage and step")
    parser.add_argument("--over-s", type=float, default=420.0, help="seconds over which they break")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    fleet = [
        Outage(Service(f"step{step_s}", f"{'dead' if is_killed else 'bad'}{number}-{step_s}"), is_killed, step_s)
        for step_s in STEPS_S
        for is_killed in (False, True)
        for number in range(options.services)
    ]
    others = [Service("brief", "sound"), Service("brief", "sick", failing_ratio=0.05)]
    others += [Service("late", "api", version=key.partition("@")[2]) for key in LATE]
    with ExitStack() as running:
        root = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="outage-")))
        source = running.enter_context(scraped([*(one.service for one in fleet), *others], root))
        am = running.enter_context(alertmanager(root / "alertmanager"))
        texts = {f"step{step_s}": policy(f"step{step_s}", step_s=step_s) for step_s in STEPS_S}
        texts |= {product: policy(product, step_s=15, slot_s=30) for product in ("brief", "late")}
        home = deployed(
            root,
            source=source.url,
            alertmanager_url=am.url,
            policies=texts,
            provisional_every_s=str(CADENCE_S),
            grace_s=str(GRACE_S),
        )
        for step_s in STEPS_S:
            ga_at = datetime.fromtimestamp(others[0].began_at + 60, UTC)
            announce(home, f"step{step_s}@1.0.0", ga_at=ga_at, n_days=1)
        ui = running.enter_context(dagster_ui(home))
        watcher = Watcher(am.url, home, ui)
        running.enter_context(watcher.looking())
        wait_until_judged(home, ui)
        outages(watcher, fleet, over_s=options.over_s, dice=random.Random(options.seed))
        print("\n".join(told_rows(fleet)), flush=True)
        waits = days(watcher, home)
        print(waits, flush=True)
        late = catch_up(watcher, home, ui)
        text = report(fleet, waits, late, runs_of(ui), watcher)
        print(ui.written, file=(PROJECT / "var" / "outage.log").open("w"))
    print(text)
    write_section("Automation", text)


def wait_until_judged(home: Home, ui: DagsterUi) -> None:
    """Wait until every release was judged provisionally once, and found well."""
    ready: Callable[[], bool] = lambda: all(  # noqa: E731
        home.store.versions(f"step{step_s}@1.0.0/running/day") for step_s in STEPS_S
    )
    if not eventually(ready, within_s=300):
        raise SystemExit(f"no running day was judged:\n{ui.written[-4000:]}")


if __name__ == "__main__":
    main()
