"""What do the days before GA say of how much one day differs from the next?

Daily counts that the server still knew: how far their shares of bad events scatter, and how traffic follows the week.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from tars_ops.core.policy import GaugeKpi, LatencyKpi, Policy, RatioKpi
from tars_ops.core.release import Window
from tars_ops.core.telemetry import BAD, TOTAL, FloatArray, IntArray, Telemetry, prior_table
from tars_ops.core.watch.comparisons.slots import DAY_S
from tars_ops.core.watch.measure import bucket_bounds, bucket_names

MIN_DAYS = 8
"""Days before GA that show a weekly season: each weekday once, and one of them again."""
GROWTH_DAYS = 14
"""Days before GA that tell growth from the weekday."""
MEDIAN_OF_CHI2: Final = 0.454936
"""Of one degree of freedom."""
USUAL_SPREAD = 0.10
"""How far the share of bad events of two quiet days differs, relative, where no days before GA are known."""
SMALLEST_SPREAD = 0.01
"""Of the traffic of one weekday from week to week, relative."""


@dataclass(frozen=True, slots=True)
class PriorDays:
    """The events of one KPI of one service on each day before GA, oldest first; days without an event left out."""

    start_ms: IntArray
    bad: IntArray
    total: IntArray

    def dispersion(self) -> float | None:
        """Return the variance of the daily bad events over that of independent ones; None with too few days.

        Notes
        -----
        The median of the squared distances over the median of chi-square, so that one incident does not make every day
        look wild.

        Examples
        --------
        >>> days = PriorDays(np.arange(9), np.array([80, 120, 100] * 3), np.full(9, 10**6))
        >>> round(days.dispersion(), 1)
        8.8
        """
        if len(self.total) < MIN_DAYS or self.bad.sum() == 0:
            return None
        share = float(np.median(self.bad / self.total))
        expected = np.maximum(share * self.total, 1e-9)
        return float(np.median((self.bad - expected) ** 2 / (expected * max(1 - share, 1e-9)))) / MEDIAN_OF_CHI2


def prior_days(ga: Telemetry, policy: Policy) -> dict[tuple[str, str], PriorDays]:
    """Return what the server knew of the days before GA; keys are (KPI with an objective, service)."""
    found: dict[tuple[str, str], PriorDays] = {}
    for name, kpi in policy.slos.items():
        found.update(_prior_days(ga, policy, name, kpi))
    return found


def _prior_days(
    ga: Telemetry, policy: Policy, name: str, kpi: RatioKpi | LatencyKpi
) -> Iterator[tuple[tuple[str, str], PriorDays]]:
    table = prior_table(ga, policy.counter(name) or name, les=bucket_names(policy, kpi))
    for i, service in enumerate(table.services):
        counts = table.counts[i]
        if isinstance(kpi, RatioKpi) and TOTAL not in table.les:
            continue
        total, bad = counts[-1], np.zeros(counts.shape[1], np.int64)
        if isinstance(kpi, RatioKpi):
            bad = counts[table.les.index(BAD)] if BAD in table.les else bad
        elif kpi.slo and kpi.slo.threshold_s in bucket_bounds(table):
            bad = total - counts[bucket_bounds(table).index(kpi.slo.threshold_s)]
        some = total > 0
        yield (name, service), PriorDays(table.slot_ms[some], bad[some], total[some])


class ExpectedChange(NamedTuple):
    """How the traffic of one day should differ from another's by the calendar alone."""

    log_ratio: float
    error: float
    freedom: float


def counts_for(policy: Policy, load: str) -> str | None:
    """Return the KPI with an objective whose events are those of a load; the first one where none is; None without."""
    series = kpi.series if isinstance(kpi := policy.judged[load], GaugeKpi) else None
    same = [name for name, kpi in policy.slos.items() if isinstance(kpi, RatioKpi) and kpi.total == series]
    return next(iter([*same, *policy.slos]), None)


def expected_change(days: PriorDays | None, before: Window, after: Window) -> ExpectedChange | None:
    """Return how traffic should change from one window to another; None where the calendar's part is not known.

    Notes
    -----
    Least squares of the logarithm of the daily events on the weekday, and on time where there are 14 days; days far off
    (an outage, a campaign) are left out once. The error holds both days' own noise. With fewer than 8 days even the
    same weekday says little, because traffic grows; days of another length than 24 h have no weekday.
    """
    if before.length_s != DAY_S or after.length_s != DAY_S or days is None or len(days.total) < MIN_DAYS:
        return None
    return _from_history(days, before, after)


def _from_history(days: PriorDays, before: Window, after: Window) -> ExpectedChange | None:
    at = (np.array([before.start_ms, after.start_ms, *days.start_ms]) - days.start_ms[-1]) / (1000 * DAY_S)
    design = _design(at, with_growth=len(days.total) >= GROWTH_DAYS)
    contrast, rows, values = design[1] - design[0], design[2:], np.log(days.total)
    solution, spread = _fit(rows, values)
    off = np.abs(values - rows @ solution)
    kept = off <= 4 * max(1.4826 * float(np.median(off)), SMALLEST_SPREAD)
    rows, values = rows[kept], values[kept]
    if not (rows != 0).any(axis=0)[contrast != 0].all():
        return None
    solution, spread = _fit(rows, values)
    freedom = max(1, len(values) - np.linalg.matrix_rank(rows))
    spread = max(spread, SMALLEST_SPREAD)
    leverage = float(contrast @ np.linalg.pinv(rows.T @ rows) @ contrast)
    return ExpectedChange(float(contrast @ solution), spread * math.sqrt(2 + leverage), float(freedom))


def _design(at: FloatArray, *, with_growth: bool) -> FloatArray:
    weekday = np.round(at).astype(int) % 7
    growth = at[:, None] / 7 if with_growth else np.empty((len(at), 0))
    return np.hstack([np.eye(7)[weekday], growth])


def _fit(rows: FloatArray, values: FloatArray) -> tuple[FloatArray, float]:
    solution = np.linalg.lstsq(rows, values, rcond=None)[0]
    off = values - rows @ solution
    return np.asarray(solution, np.float64), math.sqrt(
        float(off @ off) / max(1, len(values) - np.linalg.matrix_rank(rows))
    )


def traffic_before(
    known: Mapping[tuple[str, str], PriorDays], policy: Policy, load: str, service: str
) -> PriorDays | None:
    """Return the days before GA that stand for a load of a service; None where none do."""
    counted = counts_for(policy, load)
    return known.get((counted, service)) if counted else None
