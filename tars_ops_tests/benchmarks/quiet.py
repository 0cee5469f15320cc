"""How many events do days raise on which nothing happens?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tars_ops.core.policy import ALL_SERVICES
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.anomaly import find_anomalies
from tars_ops.core.watch.baseline import summarise
from tars_ops.core.watch.event import AnomalyEvent
from tars_ops_tests.benchmarks.simulated.events import happened
from tars_ops_tests.benchmarks.simulated.judged import release_of
from tars_ops_tests.benchmarks.simulated.observed import Observed
from tars_ops_tests.benchmarks.simulated.world import drawn
from tars_ops_tests.core.factories import demo_policy

DAY = 3


def quiet_day(number: int) -> tuple[AnomalyEvent, ...]:
    """Return the events of a day of a week without a fault."""
    world, policy = drawn(number, faulty=False), demo_policy()
    release = release_of(world)
    observed = Observed(world, happened(world), policy)
    baseline = summarise(observed.day(release, 0), release, policy)
    return find_anomalies(observed.day(release, DAY), baseline, release, policy, day=DAY).events


def quiet_table(days: Iterable[tuple[AnomalyEvent, ...]]) -> str:
    """Return the events per week of all services, KPI by KPI, as a Markdown table."""
    found = list(days)
    events = Counter(one.kpi for day in found for one in day)
    critical = Counter(one.kpi for day in found for one in day if one.severity is Severity.CRITICAL)
    rows = [
        f"| {'all of a service (gaps)' if kpi == ALL_SERVICES else kpi} | {7 * n / len(found):.1f} "
        f"| {7 * critical[kpi] / len(found):.2f} |"
        for kpi, n in events.most_common()
    ]
    return "\n".join(["| KPI | events a week | critical |", "|---|---|---|", *rows])
