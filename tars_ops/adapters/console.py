"""How does a verdict look in a terminal?

Data go to standard output, talk to standard error. Colours only where a terminal wants them (``NO_COLOR`` is honoured);
every mark has a word, so nothing is said by colour alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tars_ops.core.policy import Policy
from tars_ops.core.verdict import DayState, Tier, Verdict
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import DailyStability

PIPE_WIDTH = 120
STYLES: Mapping[str, str] = {
    Verdict.PASS: "green",
    Verdict.WARN: "yellow",
    Verdict.FAIL: "bold red",
    Verdict.UNKNOWN: "magenta",
    Tier.GREEN: "bold green",
    Tier.AMBER: "bold yellow",
    Tier.RED: "bold red",
    Tier.UNKNOWN: "bold magenta",
    DayState.PENDING: "dim",
    DayState.MISSING: "bold magenta",
}


def out() -> Console:
    """Return the console for data; where no terminal sets a width, wide enough for a verdict table."""
    return Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def talk() -> Console:
    """Return the console for everything that is not data."""
    return Console(stderr=True, soft_wrap=True, highlight=False)


def word(text: str) -> Text:
    """Return a closed-set word in its colour."""
    return Text(text, style=STYLES.get(text, ""))


def verdict_table(analysis: RegressionAnalysis, stabilities: Mapping[int, DailyStability], policy: Policy) -> Table:
    """Return KPI x day, each cell a verdict in a word; pending and missing days say so."""
    table = Table(title=f"{analysis.release} as of day {analysis.as_of}", title_style="bold", header_style="bold")
    table.add_column("KPI", no_wrap=True)
    for day in analysis.days:
        table.add_column(f"day {day.day}")
    for name, kpi in policy.judged.items():
        cells = [
            word(stabilities[day.day].of(name).verdict if day.day in stabilities else day.state)
            for day in analysis.days
        ]
        table.add_row(kpi.title, *cells)
    table.add_section()
    table.add_row("day", *(word(day.verdict if day.state is DayState.JUDGED else day.state) for day in analysis.days))
    return table


def say_verdict(console: Console, analysis: RegressionAnalysis) -> None:
    """Say the tier, the decision and every reason."""
    console.print(Text.assemble("tier      ", word(analysis.tier), f"  {analysis.tier_reason}"))
    console.print(f"decision  {analysis.decision.value.replace('_', ' ')}")
    for reason in analysis.reasons:
        console.print(Text(f"  - {reason.text}"))
    if analysis.baseline_supersedes:
        console.print(Text(f"baseline  refrozen; it replaced {analysis.baseline_supersedes[:12]}"))


def plain(value: object) -> str:
    """Write a value of a JSON document for a person."""
    if value is None:
        return "-"
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {plain(one)}" for key, one in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(plain, value)) or "none"
    return str(value)


def say_rows(console: Console, rows: Iterable[tuple[str, str]]) -> None:
    """Say names with their values, aligned."""
    pairs = list(rows)
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        console.print(Text(f"{name.ljust(width)}  {value}"))
