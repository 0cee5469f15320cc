"""How many events do days raise on which nothing happens?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyEvent
from tars_ops.core.watch.baseline import summarise
from tars_ops_tests.benchmarks.simulated.events import happened
from tars_ops_tests.benchmarks.simulated.judged import release_of
from tars_ops_tests.benchmarks.simulated.observed import Observed
from tars_ops_tests.benchmarks.simulated.world import drawn
from tars_ops_tests.core.factories import demo_policy

DAY = 3
TOLERATED_WAVE = 0.05
"""Tolerance of memory: a slow wave beyond it is a drift and is told as one."""


class QuietDay(NamedTuple):
    """A day without a fault."""

    events: tuple[AnomalyEvent, ...]
    steady: bool


def is_steady(number: int) -> bool:
    """Tell whether a world has no bursts or heavy tails, no gaps, and no slow wave of memory beyond its tolerance."""
    world = drawn(number, faulty=False)
    return not world.heavy and world.missing == 0 and world.sawtooth < TOLERATED_WAVE


def quiet_day(number: int) -> QuietDay:
    """Return the events of a day of a week without a fault."""
    world, policy = drawn(number, faulty=False), demo_policy()
    release = release_of(world)
    observed = Observed(world, happened(world), policy)
    baseline = summarise(observed.day(release, 0), release, policy)
    found = find_anomalies(observed.day(release, DAY), baseline, release, policy, day=DAY)
    return QuietDay(found.events, is_steady(number))


def quiet_table(days: Iterable[QuietDay]) -> str:
    """Return the events per week of all services, KPI by KPI, as a Markdown table."""
    found = list(days)
    kinds = [[day.events for day in found if day.steady is steady] for steady in (True, False)]
    every = Counter(one.kpi for day in found for one in day.events)
    names = [f"{len(kinds[0])} steady days", f"{len(kinds[1])} harsh days"]
    head = f"| KPI | {names[0]}: events a week | critical | {names[1]}: events a week | critical |"
    rows = [_row(kpi, kinds) for kpi, _ in every.most_common()]
    return "\n".join([head, "|---|---|---|---|---|", *rows, _row(None, kinds)])


def _row(kpi: str | None, kinds: list[list[tuple[AnomalyEvent, ...]]]) -> str:
    """Return a row of a KPI, or of all of them but the gaps."""
    name = {ALL_SERVICES: "all of a service (gaps)", None: "all but gaps"}.get(kpi, kpi)
    cells = []
    for days in kinds:
        mine = [one for day in days for one in day if one.kpi == kpi or (kpi is None and one.kpi != ALL_SERVICES)]
        n_critical = sum(one.severity is Severity.CRITICAL for one in mine)
        cells += [f"{7 * len(mine) / max(1, len(days)):.2f}", f"{7 * n_critical / max(1, len(days)):.2f}"]
    return f"| {name} | {' | '.join(cells)} |"
