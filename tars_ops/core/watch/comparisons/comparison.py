"""Which KPI of which service got worse on a day, against which baseline, and how sure is that?

A shift and the policy's tolerance become one of five outcomes. A harm is a regression where even the tolerance does not
explain it, after all comparisons of the day with that baseline were allowed for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from typing import Literal, NamedTuple

import numpy as np

from tars_ops.core.model import Frozen
from tars_ops.core.policy import JudgedKpi, LatencyKpi, Policy, RatioKpi, RegressionLimits, Worse
from tars_ops.core.units import percent, show
from tars_ops.core.verdict import Severity
from tars_ops.core.watch.comparisons.compare import Method, Shift
from tars_ops.core.watch.comparisons.family import adjusted, level_of
from tars_ops.core.watch.comparisons.shifts import Found
from tars_ops.core.watch.comparisons.slots import Key
from tars_ops.core.watch.comparisons.validity import Period
from tars_ops.core.watch.references import BaselineKind
from tars_ops.core.watch.stability import Drift, KpiDay, change_text, harm_of

FACTOR_OF_SEASON = 2.0
"""Traffic of a weekday that nothing is known of is worse only beyond this factor, up or down."""


class Outcome(StrEnum):
    """What a comparison says."""

    REGRESSION = "regression"
    IMPROVEMENT = "improvement"
    EQUIVALENT = "equivalent"
    UNDECIDED = "undecided"
    UNKNOWN = "unknown"


class Comparison(Frozen):
    """One KPI of one service on one day against one baseline."""

    kpi: str
    service: str
    day: int
    baseline: BaselineKind
    outcome: Outcome
    severity: Severity | None
    """Of a regression; None otherwise."""
    before: float | None
    """Value of the baseline, or what is promised, in the KPI's unit."""
    after: float | None
    change: float | None
    """Signed: relative, or in points for a ratio with an SLO; at equal load where ``load`` is named."""
    change_in: Literal["relative", "points"]
    lower: float | None
    upper: float | None
    """Interval of the change, in the same unit, drawn at the level that the adjusted p-value is judged at."""
    tolerance: float | None
    """Change in the harmful direction that nobody needs to know of, in the same unit."""
    effect: float | None
    """Chance, 0..1, that a value of the day is higher than one of the baseline; 0.5 where nothing changed. For a ratio
    with an SLO, that an event of the day is the better one."""
    test: Method | None
    p: float | None
    """Chance of so large a change if the harm were within the tolerance."""
    p_adjusted: float | None
    """The same after all comparisons of the day with this baseline were allowed for."""
    alpha: float | None
    """What ``p_adjusted`` is judged by: the share of the week's error that this day and baseline may spend."""
    n: int
    """Slots or events behind the interval."""
    n_effective: float
    """Those that are independent."""
    load: str | None
    """KPI at whose equal amount the periods are compared; None where they are compared as they are."""
    held_s: int
    """How long the harm of a regression has lasted without a break, up to the end of the day, seconds; else 0."""
    sentence: str


class _Case(NamedTuple):
    """One comparison before the family speaks."""

    row: KpiDay
    found: Found
    shift: Shift
    bounds: tuple[float, float]
    """Changes that nobody needs to know of lie between these."""
    p: float


def unknown(row: KpiDay, day: int, kind: BaselineKind, reason: str) -> Comparison:
    """Return a comparison that could not be made."""
    return Comparison(
        kpi=row.kpi,
        service=row.service,
        day=day,
        baseline=kind,
        outcome=Outcome.UNKNOWN,
        severity=None,
        before=None,
        after=row.measured.value,
        change=None,
        change_in=row.drift_in,
        lower=None,
        upper=None,
        tolerance=None,
        effect=None,
        test=None,
        p=None,
        p_adjusted=None,
        alpha=None,
        n=0,
        n_effective=0.0,
        load=None,
        held_s=0,
        sentence=f"{row.kpi} of {row.service} cannot be compared: {reason}",
    )


def judged_family(
    rows: Iterable[KpiDay],
    found: Mapping[Key, Found],
    day: int,
    period: Period | None,
    policy: Policy,
    *,
    kind: BaselineKind,
    n_family: int,
    alpha: float,
) -> Iterator[Comparison]:
    """Judge every comparison of a day with one baseline together.

    Parameters
    ----------
    n_family : int
        Comparisons that were planned, made or not.
    alpha : float in (0, 1)
        Share of the week's error that they may spend together.
    """
    cases: list[_Case] = []
    for row in rows:
        one = found[row.kpi, row.service]
        if one.shift is None:
            yield unknown(row, day, kind, one.reason)
            continue
        bounds = _bounds(policy.judged[row.kpi], season_known=one.season_known)
        cases.append(_Case(row, one, one.shift, bounds, p_of_harm(one.shift, policy.judged[row.kpi].worse, bounds)))
    p_adjusted = adjusted(np.array([case.p for case in cases]), n_family=n_family)
    level = level_of(p_adjusted, n_family=n_family, alpha=alpha)
    for case, p in zip(cases, p_adjusted.tolist(), strict=True):
        yield _comparison(case, day, period, policy, kind=kind, p_adjusted=p, alpha=alpha, level=level)


def _bounds(kpi: JudgedKpi, *, season_known: bool) -> tuple[float, float]:
    if not season_known:
        return 1 / FACTOR_OF_SEASON - 1, FACTOR_OF_SEASON - 1
    scale = 1 - kpi.slo.objective if isinstance(kpi, RatioKpi) and kpi.slo else 1.0
    return -kpi.tolerance * scale, kpi.tolerance * scale


def p_of_harm(shift: Shift, worse: Worse, bounds: tuple[float, float]) -> float:
    """Return the p-value of "the harm is within the tolerance"; of both directions where either hurts."""
    match worse:
        case Worse.UP:
            return shift.p_above(bounds[1])
        case Worse.DOWN:
            return shift.p_below(bounds[0])
        case Worse.EITHER:
            return min(1.0, 2 * min(shift.p_above(bounds[1]), shift.p_below(bounds[0])))


def _comparison(
    case: _Case,
    day: int,
    period: Period | None,
    policy: Policy,
    *,
    kind: BaselineKind,
    p_adjusted: float,
    alpha: float,
    level: float,
) -> Comparison:
    row, kpi = case.row, policy.judged[case.row.kpi]
    ends = case.shift.ends(level / 2 if kpi.worse is Worse.EITHER else level)
    outcome = outcome_of(ends, case.bounds, kpi.worse, is_harm=p_adjusted <= alpha)
    if not case.found.season_known and outcome is not Outcome.REGRESSION:
        outcome = Outcome.UNDECIDED
    severity = _severity(kpi, row, case.shift) if outcome is Outcome.REGRESSION else None
    before = _before(kpi, row, period)
    return Comparison(
        kpi=row.kpi,
        service=row.service,
        day=day,
        baseline=kind,
        outcome=outcome,
        severity=severity,
        before=before,
        after=row.measured.value,
        change=case.shift.estimate,
        change_in=row.drift_in,
        lower=ends[0],
        upper=ends[1],
        tolerance=case.bounds[1],
        effect=case.shift.effect,
        test=case.shift.test,
        p=case.p,
        p_adjusted=p_adjusted,
        alpha=alpha,
        n=case.shift.n,
        n_effective=case.shift.n_effective,
        load=case.found.load,
        held_s=0,
        sentence=_sentence(kpi, case, ends, before, period, kind, severity or outcome),
    )


def outcome_of(ends: tuple[float, float], bounds: tuple[float, float], worse: Worse, *, is_harm: bool) -> Outcome:
    """Judge an interval against the tolerance: four outcomes, no bare p-value.

    Parameters
    ----------
    ends, bounds : (lower, upper)
        Interval of the change, and what nobody needs to know of.
    is_harm : bool
        The adjusted p-value rejects that the harm is within the tolerance.

    Examples
    --------
    >>> outcome_of((0.1, 0.3), (-0.05, 0.05), Worse.UP, is_harm=True)
    <Outcome.REGRESSION: 'regression'>
    >>> outcome_of((0.01, 0.39), (-0.05, 0.05), Worse.UP, is_harm=False)
    <Outcome.UNDECIDED: 'undecided'>
    """
    if is_harm:
        return Outcome.REGRESSION
    if bounds[0] <= ends[0] and ends[1] <= bounds[1]:
        return Outcome.EQUIVALENT
    fell, grew = ends[1] < bounds[0], ends[0] > bounds[1]
    is_better = (worse is Worse.UP and fell) or (worse is Worse.DOWN and grew)
    return Outcome.IMPROVEMENT if is_better else Outcome.UNDECIDED


def _severity(kpi: JudgedKpi, row: KpiDay, shift: Shift) -> Severity:
    harm = (row.burn or 0.0) if isinstance(kpi, RatioKpi) and kpi.slo else harm_of(shift.estimate, kpi.worse)
    return severity_of(harm, kpi.limits)


def severity_of(harm: float, limits: RegressionLimits) -> Severity:
    """Return the severity of a harm: relative, or budgets burnt per day for a ratio with an SLO."""
    ordered = ((limits.critical, Severity.CRITICAL), (limits.high, Severity.HIGH), (limits.medium, Severity.MEDIUM))
    return next((severity for limit, severity in ordered if harm > limit), Severity.LOW)


def _before(kpi: JudgedKpi, row: KpiDay, period: Period | None) -> float | None:
    if period is not None:
        was = period.measured.get((row.kpi, row.service))
        return was.value if was else None
    if isinstance(kpi, RatioKpi) and kpi.slo:
        return kpi.slo.objective
    return kpi.slo.threshold_s if isinstance(kpi, LatencyKpi) and kpi.slo else None


def _sentence(
    kpi: JudgedKpi,
    case: _Case,
    ends: tuple[float, float],
    before: float | None,
    period: Period | None,
    kind: BaselineKind,
    word: Severity | Outcome,
) -> str:
    row, points = case.row, case.row.drift_in == "points"
    change = change_text(Drift(case.shift.estimate, row.drift_in, _budget_harm(kpi, case.shift)))
    shown = [f"{100 * end:+.3f}" if points else percent(end, signed=True) for end in ends]
    said = f"{word} regression" if isinstance(word, Severity) else word.value
    season = (
        ""
        if case.found.season_known
        else f" (traffic of another weekday, only a factor of {FACTOR_OF_SEASON:g} is telling)"
    )
    return (
        f"{kpi.title} of {row.service} went from {show(before, kpi.unit)}{_beside(period, kind)} "
        f"to {show(row.measured.value, kpi.unit)}: {change}{_at_load(case)}, interval {shown[0]} to {shown[1]}"
        f"{' points' if points else ''} - {said}{season}"
    )


def _at_load(case: _Case) -> str:
    return f" at equal {case.found.load}" if case.found.load else ""


def _beside(period: Period | None, kind: BaselineKind) -> str:
    """Name a baseline other than the GA day."""
    match kind:
        case BaselineKind.GA_DAY:
            return ""
        case BaselineKind.SLO:
            return " (promised)"
        case BaselineKind.STAGING:
            return " (staging)"
        case BaselineKind.PREVIOUS_RELEASE:
            return f" (day {period.day} of {period.release})" if period else ""


def _budget_harm(kpi: JudgedKpi, shift: Shift) -> float:
    return max(0.0, -shift.estimate) / (1 - kpi.slo.objective) if isinstance(kpi, RatioKpi) and kpi.slo else 0.0
