"""What is there to report on: the judged days of one release, seen as of one day?

The one place where a report looks a fact up. A day, a row or a total that is not known is ``None`` here, so that no
report can take it for good news.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tars_ops.core.errors import ContractError, MissingInputError
from tars_ops.core.policy import (
    ALL_SERVICES,
    BUDGET_LIMITS,
    ComplementKpi,
    CostKpi,
    GaugeKpi,
    JudgedKpi,
    Kpi,
    LatencyKpi,
    Policy,
    RatioKpi,
    UptimeKpi,
)
from tars_ops.core.release import Release, day_key
from tars_ops.core.units import Unit
from tars_ops.core.verdict import DayState, Severity, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.budgets.budget import Budget
from tars_ops.core.watch.comparisons.comparison import severity_of
from tars_ops.core.watch.comparisons.harm import Regression
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.measure import Measured
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.stability import NO_DATA, DailyStability, KpiDay

Key = tuple[str, str]
"""KPI and service."""


@dataclass(frozen=True, slots=True)
class Week:
    """One release as of one day; later days are left out. Made by ``week_of``."""

    release: Release
    policy: Policy
    baseline: GaBaseline
    stabilities: Mapping[int, DailyStability]
    """The judged days, oldest first; never empty."""
    anomalies: Mapping[int, AnomalyEvents]
    health: Mapping[int, DailyHealth]
    regression: RegressionAnalysis
    rows: Mapping[int, Mapping[Key, KpiDay]]
    regressions: Mapping[Key, Regression]
    budgets: Mapping[Key, Budget]

    @property
    def as_of(self) -> int:
        """The day the report is given for."""
        return self.regression.as_of

    @property
    def days(self) -> range:
        """The days that are over, judged or missing."""
        return range(1, self.as_of + 1)

    @property
    def missing(self) -> tuple[int, ...]:
        """The days that are over and that nobody judged."""
        return tuple(one.day for one in self.regression.days if one.state is DayState.MISSING)

    @property
    def latest(self) -> DailyStability:
        """The latest judged day."""
        return self.stabilities[max(self.stabilities)]

    @property
    def keys(self) -> tuple[Key, ...]:
        """Every KPI of every service that has a row on some day, in the order of the policy."""
        seen = {key for rows in self.rows.values() for key in rows}
        order = {kpi: i for i, kpi in enumerate(self.policy.judged)}
        return tuple(sorted(seen, key=lambda key: (order[key[0]], key[1])))

    def row(self, day: int, key: Key) -> KpiDay | None:
        """Return one KPI of one service on one day; None where the day or the row is missing."""
        return self.rows.get(day, {}).get(key)

    def rows_of(self, day: int, kpi: str) -> tuple[KpiDay, ...]:
        """Return one KPI of every service on one day; empty where the day is missing."""
        return tuple(row for (name, _), row in self.rows.get(day, {}).items() if name == kpi)

    def total(self, day: int, kpi: str) -> Measured | None:
        """Return a KPI over all services on one day; None where one of them is not known."""
        rows = self.rows_of(day, kpi)
        needed = self.policy.measurement.min_coverage
        if not any(row.verdict is not Verdict.UNKNOWN for row in rows):
            return None
        if not all(_is_measured(row, needed) for row in rows):
            return None
        return self.stabilities[day].total(kpi)

    def ga_services(self, kpi: str) -> tuple[str, ...]:
        """Return the services that should have a KPI on the GA day."""
        alive = {one.service for one in self.baseline.kpis}
        return tuple(
            service
            for service in self.baseline.services
            if not (self.baseline.doubt(kpi, service) == NO_DATA and service in alive)
        )

    def ga_total(self, kpi: str) -> Measured | None:
        """Return a KPI over all services on the GA day; None where one of them is not known."""
        services = self.ga_services(kpi)
        if not services or any(self.baseline.doubt(kpi, service) for service in services):
            return None
        return self.baseline.of(kpi, ALL_SERVICES)

    def severity(self, day: int, key: Key) -> Severity | None:
        """Return how bad one KPI of one service was on one day; None where nothing known was bad.

        Bad is a failed verdict, a missed promise, however sure, or a regression that is not just low.
        """
        row = self.row(day, key)
        if row is None:
            return None
        kpi = self.kpi(row.kpi)
        if row.slo is Verdict.FAIL:
            limits = kpi.limits if isinstance(kpi, RatioKpi) else BUDGET_LIMITS
            return _at_least_medium(severity_of(row.burn or 0.0, limits))
        if row.verdict is Verdict.FAIL:
            return _at_least_medium(severity_of(row.harm or 0.0, kpi.limits))
        regressed = self._regressed(row, day)
        return Severity.MEDIUM if row.slo is Verdict.WARN and regressed is None else regressed

    def _regressed(self, row: KpiDay, day: int) -> Severity | None:
        found = self.regressions.get((row.kpi, row.service))
        if found is None or day not in found.days:
            return None
        severity = found.severity if found.comparison.day == day else self._harm_severity(row)
        return None if severity is Severity.LOW else severity

    def _harm_severity(self, row: KpiDay) -> Severity:
        harm = row.burn if row.drift_in == "points" else row.harm
        return severity_of(harm or 0.0, self.kpi(row.kpi).limits)

    def is_over(self, day: int, key: Key) -> bool:
        """Tell whether an incident of a KPI of a service is known to be over on a day that was not bad.

        A regression is not over while the harm is as large as before and has only become too noisy to be sure of.
        """
        row = self.row(day, key)
        if row is None or row.verdict is Verdict.UNKNOWN:
            return False
        return key not in self.regressions or self._harm_severity(row) is Severity.LOW

    def title(self, kpi: str) -> str:
        """Return how a KPI is called in a sentence."""
        return self.policy.kpis[kpi].title

    def kpi(self, name: str) -> JudgedKpi:
        """Return a KPI that is judged."""
        return self.policy.judged[name]


def _is_measured(row: KpiDay, min_coverage: float) -> bool:
    """Tell whether a value is known, even where it cannot be compared because the GA day does not know it."""
    if row.verdict is not Verdict.UNKNOWN:
        return True
    return row.drift is None and row.measured.value is not None and row.coverage >= min_coverage


def _at_least_medium(severity: Severity) -> Severity:
    return min(severity, Severity.MEDIUM, key=lambda one: one.rank)


def week_of(
    release: Release,
    policy: Policy,
    baseline: GaBaseline,
    stabilities: Mapping[int, DailyStability],
    anomalies: Mapping[int, AnomalyEvents],
    health: Mapping[int, DailyHealth],
    regression: RegressionAnalysis,
) -> Week:
    """Take the days up to the analysis' own day, if they are the days that it judged.

    Raises
    ------
    ContractError
        If the parts are of different releases, baselines or versions of a day.
    MissingInputError
        If a day that the analysis judged is not given.
    """
    for name in (baseline.release, regression.release):
        if name != release.key:
            raise ContractError(f"the evidence is of {name}, the report of {release.key}")
    if baseline.telemetry_sha256 != regression.baseline_telemetry_sha256:
        raise ContractError("the regression analysis used another baseline; materialise `regression_analysis` again")
    judged = [one.day for one in regression.days if one.state is DayState.JUDGED]
    days = {day: _checked(stabilities, day, regression) for day in judged}
    return Week(
        release=release,
        policy=policy,
        baseline=baseline,
        stabilities=days,
        anomalies={day: anomalies[day] for day in days if day in anomalies},
        health={day: health[day] for day in days if day in health},
        regression=regression,
        rows={day: {(row.kpi, row.service): row for row in one.kpis} for day, one in days.items()},
        regressions={(one.kpi, one.service): one for one in regression.regressions},
        budgets={(one.kpi, one.service): one for one in regression.budgets},
    )


def _checked(stabilities: Mapping[int, DailyStability], day: int, regression: RegressionAnalysis) -> DailyStability:
    if day not in stabilities:
        raise MissingInputError(f"{day_key(day)} was judged by the regression analysis, but its stability is not given")
    found = stabilities[day]
    if found.telemetry_sha256 != regression.stability_telemetry_sha256.get(day_key(day)):
        raise ContractError(
            f"{day_key(day)} was judged again after the regression analysis; materialise `regression_analysis` again"
        )
    return found


def category_of(kpi: Kpi) -> str:
    """Return the documented word for what a KPI is about.

    Examples
    --------
    >>> category_of(ComplementKpi(title="Error rate", of="availability"))
    'availability'
    """
    match kpi:
        case RatioKpi(slo=None) | LatencyKpi():
            return "performance"
        case RatioKpi() | ComplementKpi() | UptimeKpi():
            return "availability"
        case CostKpi():
            return "cost"
        case GaugeKpi(unit=Unit.CORES | Unit.BYTES):
            return "resource"
        case GaugeKpi(unit=Unit.PER_SECOND):
            return "traffic"
        case GaugeKpi():
            return "reliability"


def days_text(days: Sequence[int]) -> str:
    """Write some days, runs of them short.

    Examples
    --------
    >>> [days_text([2]), days_text([2, 3]), days_text([1, 3, 4, 5])]
    ['day 2', 'days 2 and 3', 'days 1 and 3 to 5']
    """
    runs: list[list[int]] = []
    for day in sorted(days):
        if runs and day == runs[-1][-1] + 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    words = [f"{run[0]} to {run[-1]}" if len(run) > 2 else " and ".join(map(str, run)) for run in runs]
    listed = words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
    return f"{'day' if len(days) == 1 else 'days'} {listed}"


def artifact(day: int, kind: str = "summary") -> str:
    """Return the path of a day's artifact within the release's tree."""
    return f"stability/{day_key(day)}_{kind}.json"
