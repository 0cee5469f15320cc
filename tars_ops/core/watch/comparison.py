"""Which KPI of which service got worse than on the GA day, how sure is that, and how long has it lasted?

Every KPI of every service is compared with the GA day by the statistics of ``compare``; a regression is a harm whose
whole interval lies beyond the policy's tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Literal

import numpy as np

from tars_ops.core.model import Frozen
from tars_ops.core.policy import JudgedKpi, Policy, RatioKpi, RegressionLimits, Worse
from tars_ops.core.release import Release
from tars_ops.core.units import percent, show
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.compare import Shift, paired_shift, share_shift
from tars_ops.core.watch.measure import Blocks
from tars_ops.core.watch.stability import DailyStability, Drift, KpiDay, change_text, harm_of

BlockTable = Mapping[tuple[str, str], Blocks]


class Outcome(StrEnum):
    """What a comparison says."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"


class Comparison(Frozen):
    """One KPI of one service on one day against the GA day."""

    kpi: str
    service: str
    day: int
    baseline: Literal["ga_day"] = "ga_day"
    outcome: Outcome
    severity: Severity | None
    """Of a regression; None otherwise."""
    before: float | None
    after: float | None
    change: float | None
    """Signed: relative, or in points for a ratio with an SLO."""
    change_in: Literal["relative", "points"]
    lower: float | None
    upper: float | None
    """Interval of the change, in the same unit."""
    p: float | None
    n: int
    """Blocks or events behind the interval."""
    n_effective: float
    """Those that are independent."""
    held_s: int
    """How long the harm has lasted without a break, up to the end of the day, seconds."""
    sentence: str


class Regression(Frozen):
    """A KPI of a service that got worse: now, or on an earlier day of the watch."""

    kpi: str
    service: str
    severity: Severity
    """As of the latest judged day; of its worst day where it recovered."""
    days: tuple[int, ...]
    """The days on which it was there."""
    active: bool
    """It is there on the latest judged day."""
    comparison: Comparison
    """Of the latest judged day; of the worst day where it recovered."""


def compared(
    day: int,
    judged: Mapping[int, DailyStability],
    ga_blocks: BlockTable,
    by_day: Mapping[int, BlockTable],
    baseline: GaBaseline,
    release: Release,
    policy: Policy,
) -> Iterator[Comparison]:
    """Compare every row of a judged day with the GA day; a row that is unknown is not compared."""
    for row in judged[day].kpis:
        kpi, key = policy.judged[row.kpi], (row.kpi, row.service)
        before, after = ga_blocks.get(key), by_day[day].get(key)
        usable = row.verdict is not Verdict.UNKNOWN and row.baseline is not None
        if not usable or before is None or after is None:
            yield _unknown(row, day)
            continue
        shift = _shift(kpi, row, before, after, baseline, alpha=policy.judgement.alpha)
        held_s = _held_s(kpi, key, day, ga_blocks, by_day, release, policy.objective(row.kpi))
        yield _comparison(kpi, row, day, shift, held_s=held_s)


def _unknown(row: KpiDay, day: int) -> Comparison:
    return Comparison(
        kpi=row.kpi,
        service=row.service,
        day=day,
        outcome=Outcome.UNKNOWN,
        severity=None,
        before=row.baseline,
        after=row.measured.value,
        change=None,
        change_in=row.drift_in,
        lower=None,
        upper=None,
        p=None,
        n=0,
        n_effective=0.0,
        held_s=0,
        sentence=f"{row.kpi} of {row.service} cannot be compared: {row.reason}",
    )


def _shift(
    kpi: JudgedKpi, row: KpiDay, before: Blocks, after: Blocks, baseline: GaBaseline, *, alpha: float
) -> Shift | None:
    if isinstance(kpi, RatioKpi) and kpi.slo:
        was = baseline.of(row.kpi, row.service)
        shift = share_shift((was.burn if was else None) or (0, 0), row.measured.burn or (0, 0), alpha=alpha)
        # a share of bad events: turn it so that up means good, as the KPI does
        return shift and shift._replace(estimate=-shift.estimate, lower=-shift.upper, upper=-shift.lower)
    return paired_shift(before.values, after.values, alpha=alpha)


def _comparison(kpi: JudgedKpi, row: KpiDay, day: int, shift: Shift | None, *, held_s: int) -> Comparison:
    if shift is None:
        return _unknown(row, day)
    scale = 1 - kpi.slo.objective if isinstance(kpi, RatioKpi) and kpi.slo else 1.0
    outcome = outcome_of(shift, kpi.worse, tolerance=kpi.tolerance * scale)
    severity = _severity(kpi, row, shift) if outcome is Outcome.REGRESSION else None
    return Comparison(
        kpi=row.kpi,
        service=row.service,
        day=day,
        outcome=outcome,
        severity=severity,
        before=row.baseline,
        after=row.measured.value,
        change=shift.estimate,
        change_in=row.drift_in,
        lower=shift.lower,
        upper=shift.upper,
        p=shift.p,
        n=shift.n,
        n_effective=shift.n_effective,
        held_s=held_s,
        sentence=_sentence(kpi, row, shift, outcome, severity),
    )


def outcome_of(shift: Shift, worse: Worse, *, tolerance: float) -> Outcome:
    """Judge an interval against the tolerance: four outcomes, no bare p-value.

    Examples
    --------
    >>> outcome_of(Shift(0.2, 0.1, 0.3, 0.0, 24, 20.0), Worse.UP, tolerance=0.05)
    <Outcome.REGRESSION: 'regression'>
    >>> outcome_of(Shift(0.2, 0.01, 0.39, 0.0, 24, 20.0), Worse.UP, tolerance=0.05)
    <Outcome.UNDECIDED: 'undecided'>
    """
    if -tolerance <= shift.lower and shift.upper <= tolerance:
        return Outcome.EQUIVALENT
    grew, fell = shift.lower > tolerance, shift.upper < -tolerance
    if not (grew or fell):
        return Outcome.UNDECIDED
    hurts = worse is Worse.EITHER or (worse is Worse.UP) == grew
    return Outcome.REGRESSION if hurts else Outcome.IMPROVEMENT


def _severity(kpi: JudgedKpi, row: KpiDay, shift: Shift) -> Severity:
    harm = (row.burn or 0.0) if isinstance(kpi, RatioKpi) and kpi.slo else harm_of(shift.estimate, kpi.worse)
    return severity_of(harm, kpi.limits)


def severity_of(harm: float, limits: RegressionLimits) -> Severity:
    """Return the severity of a harm: relative, or budgets burnt per day for a ratio with an SLO."""
    ordered = ((limits.critical, Severity.CRITICAL), (limits.high, Severity.HIGH), (limits.medium, Severity.MEDIUM))
    return next((severity for limit, severity in ordered if harm > limit), Severity.LOW)


def _sentence(kpi: JudgedKpi, row: KpiDay, shift: Shift, outcome: Outcome, severity: Severity | None) -> str:
    change = change_text(Drift(shift.estimate, row.drift_in, _budget_harm(kpi, shift)))
    points = row.drift_in == "points"
    ends = [f"{100 * end:+.3f}" if points else percent(end, signed=True) for end in (shift.lower, shift.upper)]
    word = f"{severity} regression" if severity else outcome.value
    return (
        f"{kpi.title} of {row.service} went from {show(row.baseline, kpi.unit)} "
        f"to {show(row.measured.value, kpi.unit)}: {change}, interval {ends[0]} to {ends[1]}"
        f"{' points' if points else ''} - {word}"
    )


def _budget_harm(kpi: JudgedKpi, shift: Shift) -> float:
    return max(0.0, -shift.estimate) / (1 - kpi.slo.objective) if isinstance(kpi, RatioKpi) and kpi.slo else 0.0


def _held_s(
    kpi: JudgedKpi,
    key: tuple[str, str],
    day: int,
    ga_blocks: BlockTable,
    by_day: Mapping[int, BlockTable],
    release: Release,
    objective: float | None,
) -> int:
    """Return how long a harm above the medium limit has lasted without a break, up to the end of a day."""
    n_held, n_per_day = 0, 1
    while day in by_day and key in by_day[day]:
        found = by_day[day][key]
        harmed = _harmed(kpi, ga_blocks[key], found, objective)
        n_per_day = len(harmed)
        n_trailing = n_per_day if harmed.all() else int(np.argmin(harmed[::-1]))
        n_held += n_trailing
        if n_trailing < n_per_day:
            break
        day -= 1
    return n_held * release.day_length_s // n_per_day


def _harmed(kpi: JudgedKpi, before: Blocks, after: Blocks, objective: float | None) -> np.ndarray:
    if isinstance(kpi, RatioKpi) and objective is not None:
        return after.bad > kpi.limits.medium * (1 - objective) * np.maximum(after.total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        change = (after.values - before.values) / np.abs(before.values)
    sign = {Worse.UP: change, Worse.DOWN: -change, Worse.EITHER: np.abs(change)}[kpi.worse]
    return np.nan_to_num(sign, nan=-1.0) > kpi.limits.medium


def regressions_of(by_day: Mapping[int, Sequence[Comparison]], latest: int) -> Iterator[Regression]:
    """Gather the regressions of all judged days: the active and worst ones first, then those that recovered."""
    found: dict[tuple[str, str], list[Comparison]] = {}
    for day in by_day:
        for one in by_day[day]:
            if one.outcome is Outcome.REGRESSION:
                found.setdefault((one.kpi, one.service), []).append(one)
    ranked = []
    for (kpi, service), seen in found.items():
        active = seen[-1].day == latest
        shown = seen[-1] if active else min(seen, key=lambda one: _severity_rank(one.severity))
        ranked.append(
            Regression(
                kpi=kpi,
                service=service,
                severity=shown.severity or Severity.LOW,
                days=tuple(one.day for one in seen),
                active=active,
                comparison=shown,
            )
        )
    yield from sorted(ranked, key=lambda one: (not one.active, one.severity.rank, one.kpi, one.service))


def _severity_rank(severity: Severity | None) -> int:
    return severity.rank if severity else len(Severity)
