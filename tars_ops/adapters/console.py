"""How does a verdict look in a terminal?

Data go to standard output, talk to standard error. Colours only where a terminal wants them (``NO_COLOR`` is honoured);
every mark has a word, so nothing is said by colour alone.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from tars_ops.core.history import Entry
from tars_ops.core.policy import Policy
from tars_ops.core.units import UNKNOWN_TEXT, show
from tars_ops.core.verdict import DayState, Tier, Verdict
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.running import RunningDay
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


def say_history(console: Console, entries: Sequence[Entry]) -> None:
    """Say what happened to a release, oldest first; times in UTC."""
    table = Table(title="history", title_justify="left", header_style="bold", box=None, pad_edge=False)
    for name in ("at (UTC)", "what", "state", "by", "evidence", "why"):
        table.add_column(name, no_wrap=name != "why")
    for one in entries:
        moved = f"{one.from_state} -> " if one.from_state not in {None, one.to_state} else ""
        evidence = (one.evidence_sha256 or "-")[:12]
        at = f"{one.at:%Y-%m-%d %H:%M:%S}"
        table.add_row(at, one.code, moved + one.to_state, Text(one.by), evidence, Text(one.why))
    console.print(table)


def running_table(judged: RunningDay, policy: Policy) -> Table:
    """Return promise x service of a day in progress: so far, and how fast its budget burns now."""
    until = f"{judged.until_at:%Y-%m-%d %H:%M:%S} UTC"
    table = Table(title=f"{judged.release} day {judged.day} until {until}, provisional", title_style="bold")
    for title in ("KPI", "service", "so far", "value", "burns", "rate", "limit"):
        table.add_column(title, no_wrap=True)
    for kpi, burn in zip(judged.kpis, judged.burns, strict=True):
        rate = UNKNOWN_TEXT if burn.short.burn is None else f"{burn.short.burn:.3g}"
        value = show(kpi.measured.value, policy.judged[kpi.kpi].unit)
        title = policy.judged[kpi.kpi].title
        table.add_row(title, kpi.service, word(kpi.verdict), value, word(burn.verdict), rate, f"{burn.limit:.3g}")
    return table


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
