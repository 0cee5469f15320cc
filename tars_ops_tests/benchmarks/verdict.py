"""How often is the verdict wrong, and how long does it take to be right?

A program: ``python -m tars_ops_tests.benchmarks.verdict [--weeks N] [--dry]`` judges weeks that never happened, without
a fault and with one, and writes the sections "Verdict" and "Events" of ``docs/reference/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from tars_ops_tests.benchmarks.budgets import budget_tables
from tars_ops_tests.benchmarks.calibration import calibration_tables
from tars_ops_tests.benchmarks.dating import dated_week, dating_table
from tars_ops_tests.benchmarks.page import measured_by, write_section
from tars_ops_tests.benchmarks.quiet import quiet_day, quiet_table
from tars_ops_tests.benchmarks.simulated.judged import WeekSeen, seen
from tars_ops_tests.benchmarks.verdict_tables import delays, headline, tiers
from tars_ops_tests.core.factories import demo_policy

Of = TypeVar("Of")

N_PROCESSES = 2
WORLD = """A week is a product of five services with 5,000 to 5,000,000 requests a day, twelve KPIs each, under
`policies/tars.yaml`; GA is at any hour of any weekday. Drawn for each week: a daily wave of 0 to 60 %,
weekends with 60 to 100 % of the traffic, growth of -0.5 to 2 % a day, noise of 1 to 10 % from minute to
minute with an autocorrelation of 0 to 0.95, levels that differ by 0 to 3 % from day to day (error rates by 0
to 25 %), over-dispersed errors, in 30 % of the weeks noise of Student's t with 3 degrees of freedom and
bursts of latency and cpu, gaps of up to 8 % of a day, restarts, memory that rises and falls slowly, 0 to 29
days known before GA, and in a quarter of the weeks the release before as another baseline. All services and
KPIs move on their own. The same number gives the same week."""
TRUTH = """The truth is known: the fault's own events are drawn apart from the usual ones, and the documented rules for
rolling back are applied to what happened, seen or not. "Burns": the fault takes more than 1.2 budgets of 30
days, or an objective is broken beyond chance on 2 of 3 days. "Critical": a quantile of a latency is worse by
more than 1.2 times the critical limit for a whole day. "Degrades": a KPI is worse by more than 1.2 times the
high limit for a whole day, or an objective is broken on one. Weeks between two of these are in no row. Shares
come with their 95 % interval (Clopper and Pearson)."""
HOURS = """Hours from the beginning of the fault to the end of the day whose verdict advises to roll back: the
verdict is given once a day. Beside it the alarm of the running day (fast burn), which is looked at every 15 min."""
QUIET = """Events of day 3 of the weeks without a fault, for all five services together, times seven. Gaps of 15 min and
more are events of their own. Steady are worlds without bursts or heavy tails, without gaps, and without a slow wave
of memory beyond its tolerance; weekends, growth, day effects, restarts and clumped errors are in both."""
DATES = """One fault a week, on day 2; the change point of the event that it causes against the truth."""


def looked_at(n: int, *, faulty: bool) -> list[WeekSeen]:
    """Judge weeks 0 to n, each on every evening."""
    return in_processes(partial(_seen, faulty=faulty), n)


def in_processes(of_week: Callable[[int], Of], n: int) -> list[Of]:
    """Call a function with the numbers 0 to n, in two processes."""
    with multiprocessing.get_context("fork").Pool(N_PROCESSES) as pool:
        return pool.map(of_week, range(n), chunksize=5)


def _seen(number: int, *, faulty: bool) -> WeekSeen:
    return seen(number, demo_policy(), faulty=faulty)


def of_weeks(n: int) -> str:
    """Judge the weeks and write how often the verdict was wrong."""
    started, before = time.perf_counter(), os.times()
    null, faulty = looked_at(2 * n, faulty=False), looked_at(n, faulty=True)
    cpu_s = sum(os.times()[:4]) - sum(before[:4])
    wall_s = time.perf_counter() - started
    calibration, budgets = in_processes(partial(_arithmetic, n=n), 2)
    return f"""{measured_by("make bench-verdict")}

{2 * n:,} weeks without a fault and {n:,} with one, each judged on seven evenings: {wall_s:.0f} s,
{cpu_s / (3 * n):.2f} CPU seconds a week. {WORLD}

### Wrong verdicts

{TRUTH}

{headline(null, faulty)}

### Time to advice

{HOURS}

{delays(faulty)}

### Tiers

{tiers(null)}

### Comparisons

{calibration}

{budgets}
"""


def of_events(n: int) -> str:
    """Look for events in days of such weeks and write how many there were and how well they were dated."""
    return f"""{measured_by("make bench-verdict")}

The weeks are those of the section "Verdict".

### Dated changes

{DATES}

{dating_table(in_processes(dated_week, n))}

### Events of quiet days

{QUIET}

{quiet_table(in_processes(quiet_day, n))}
"""


SECTIONS = {"Verdict": of_weeks, "Events": of_events}


def _arithmetic(place: int, *, n: int) -> str:
    return (partial(calibration_tables, n_pairs=2 * n), partial(budget_tables, max(10, n // 5)))[place]()


def main() -> None:
    """Judge the weeks and write the sections."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--weeks", type=int, default=1000, help="weeks with a fault; twice as many are without")
    parser.add_argument("--dry", action="store_true", help="print the sections instead of writing them to the page")
    parser.add_argument("--only", choices=list(SECTIONS), action="append", help="write only this section")
    options = parser.parse_args()
    for title in options.only or SECTIONS:
        text = SECTIONS[title](options.weeks)
        if options.dry:
            print(text)
        else:
            write_section(title, text)


if __name__ == "__main__":
    main()
