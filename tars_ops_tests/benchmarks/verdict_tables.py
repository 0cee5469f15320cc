"""How are the verdicts on simulated weeks counted: how many were wrong, and how long did the right ones take?"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from tars_ops.core import sli
from tars_ops.core.verdict import Decision, Tier
from tars_ops_tests.benchmarks.simulated.judged import WeekSeen
from tars_ops_tests.benchmarks.simulated.truth import Truth
from tars_ops_tests.benchmarks.simulated.world import Kind

RIGHT_TO_ROLL_BACK = {Truth.BURNS, Truth.CRITICAL}


def share(n_wrong: int, n: int) -> str:
    """Write a share with its 95 % interval (Clopper-Pearson)."""
    if not n:
        return "no such week"
    low, high = sli.bad_interval(n_wrong, n)
    return f"{100 * n_wrong / n:.2f} % ({n_wrong} of {n}; {100 * low:.1f} to {100 * high:.1f})"


def headline(null: Sequence[WeekSeen], faulty: Sequence[WeekSeen]) -> str:
    """Return the table of wrong advice."""

    def row(what: str, limit: str, weeks: Iterable[WeekSeen], wrong: Callable[[WeekSeen], bool]) -> str:
        among = list(weeks)
        return f"| {what} | {share(sum(map(wrong, among)), len(among))} | {limit} |"

    def of(*truths: Truth) -> list[WeekSeen]:
        return [week for week in faulty if week.truth.truth in truths]

    rows = [
        row("roll-back advised, no fault", "<= 0.5 %", null, lambda w: w.advice_day is not None),
        row("RED on any evening, no fault", "<= 2 %", null, lambda w: any(x.tier is Tier.RED for x in w.looks)),
        row("any KPI of any service called a regression, no fault", "<= 5 %", null, lambda w: bool(w.flagged)),
        row("a running day alarmed (fast burn), no fault", "", null, lambda w: bool(w.fast_burns_h)),
        row("UNKNOWN or `slo_unknown` on any evening, no fault", "", null, _unknown),
        row("never advised, budget burns", "<= 1 %", of(Truth.BURNS), lambda w: w.advice_day is None),
        row("advised after the day on which it was right, budget burns", "", of(Truth.BURNS), _late),
        row("never advised, critical to users", "", of(Truth.CRITICAL), lambda w: w.advice_day is None),
        row("roll-back advised, fault within the limits", "", of(Truth.HARMLESS), lambda w: w.advice_day is not None),
        row("roll-back advised, fault that only degrades", "", of(Truth.DEGRADES), lambda w: w.advice_day is not None),
        row("kept on every evening, fault that degrades", "", of(Truth.DEGRADES), _kept),
        row("a silent service is GREEN or kept", "0", of(Truth.SILENT), _silence_missed),
    ]
    return "\n".join(["| what | weeks | limit |", "|---|---|---|", *rows])


def _unknown(week: WeekSeen) -> bool:
    return any(x.tier is Tier.UNKNOWN or any(r.startswith("slo_unknown") for r in x.reasons) for x in week.looks)


def _kept(week: WeekSeen) -> bool:
    return all(look.decision is Decision.KEEP for look in week.looks)


def _late(week: WeekSeen) -> bool:
    right = week.truth.right_day
    return right is not None and week.advice_day is not None and week.advice_day > right


def _silence_missed(week: WeekSeen) -> bool:
    since = max(1, week.truth.silent_day or 1)
    return any(x.tier is Tier.GREEN or x.decision is Decision.KEEP for x in week.looks if x.day >= since)


def delays(faulty: Sequence[WeekSeen]) -> str:
    """Return how long the advice takes where it is right, per kind of fault."""
    rows = []
    for kind in Kind:
        those = [w for w in faulty if w.world.fault and w.world.fault.kind is kind]
        right = [w for w in those if w.truth.truth in RIGHT_TO_ROLL_BACK]
        hours = [w.advice_h for w in right if w.advice_day is not None]
        spread = " / ".join(f"{h:.0f}" for h in np.quantile(hours, (0.1, 0.5, 0.9))) if hours else "-"
        watched = sum(not _kept(w) for w in those)
        alarms = [w.alarm_h for w in right if math.isfinite(w.alarm_h)]
        alarm = f"{len(alarms)}: {np.median(alarms):.1f}" if alarms else "0"
        rows.append(f"| {kind} | {len(those)} | {watched} | {len(right)} | {len(hours)} | {spread} | {alarm} |")
    head = (
        "| fault | weeks | not kept | rolling back is right | advised "
        "| hours to advice: 10 % / median / 90 % | alarm of the running day: weeks, median hours |"
    )
    return "\n".join([head, "|---|---|---|---|---|---|---|", *rows])


def tiers(null: Sequence[WeekSeen]) -> str:
    """Return the tiers of evenings without a fault."""
    counted = Counter(look.tier for week in null for look in week.looks)
    n = sum(counted.values())
    rows = [f"| {tier} | {100 * counted[tier] / n:.1f} % |" for tier in Tier]
    return "\n".join(["| tier | evenings without a fault |", "|---|---|", *rows])
