"""Did this day keep what the policy promises, and how far did it drift from the GA day?

Every KPI of every service is judged alone; a KPI's verdict is its worst service's, a day's verdict its worst KPI's. The
rules are those of ``docs/reference/methods.md``: the promise first, then the comfort limit, then the drift. Whatever
cannot be judged is unknown, with the reason in words.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Literal, NamedTuple

from tars_ops.core import sli
from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import (
    ALL_SERVICES,
    GaugeKpi,
    JudgedKpi,
    LatencyKpi,
    LatencySlo,
    Policy,
    RatioKpi,
    RatioSlo,
    Worse,
)
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.units import Unit, percent, show
from tars_ops.core.verdict import Verdict, worst
from tars_ops.core.watch.baseline import NO_DATA, GaBaseline
from tars_ops.core.watch.measure import Measured, by_key, measure, why_unknown


class KpiDay(Frozen):
    """One KPI of one service on one day, judged."""

    kpi: str
    service: str
    verdict: Verdict
    reason: str
    """What decided, in words and figures."""
    measured: Measured
    baseline: float | None
    """Value on the GA day, in the KPI's unit."""
    drift: float | None
    """Signed change from the baseline: relative, or in points (a difference of shares) for a ratio with an SLO. That of
    a latency is read smoothly across the buckets, so it is not quite the ratio of the two values shown."""
    drift_in: Literal["relative", "points"]
    harm: float | None
    """Change in the direction that hurts, 0 or more: relative, or in error budgets for a ratio with an SLO."""
    burn: float | None
    """Burn rate of the day; 1 spends the budget in exactly its period. None without an objective."""
    slo: Verdict | None
    """Whether the promise alone was kept; None where nothing is promised."""
    coverage: float
    """Arrived over expected scrapes, 0..1."""


class KpiSummary(NamedTuple):
    """A KPI over all services: as bad as its worst one."""

    kpi: str
    verdict: Verdict
    reason: str
    worst_service: str


class DailyStability(Frozen):
    """Every KPI of every service over one day of the watch."""

    release: str
    day: int
    start_at: Instant
    end_at: Instant
    policy_sha256: Sha256
    telemetry_sha256: Sha256
    baseline_telemetry_sha256: Sha256
    verdict: Verdict
    kpis: tuple[KpiDay, ...]
    reported: tuple[Measured, ...]
    """Totals over all services and complements: shown, not judged."""

    def of(self, kpi: str) -> KpiSummary:
        """Return a KPI as bad as its worst service; unknown where no service has it."""
        rows = [row for row in self.kpis if row.kpi == kpi]
        if not rows:
            return KpiSummary(kpi, Verdict.UNKNOWN, "no service of the release has this KPI", "-")
        verdict = worst(row.verdict for row in rows)
        row = max((row for row in rows if row.verdict is verdict), key=lambda row: row.harm or 0.0)
        return KpiSummary(kpi, verdict, f"{row.service}: {row.reason}", row.service)

    def of_service(self, kpi: str, service: str) -> KpiDay | None:
        """Return one KPI of one service; None where the service does not have it."""
        return self._by_key.get((kpi, service))

    @cached_property
    def _by_key(self) -> dict[tuple[str, str], KpiDay]:
        return {(row.kpi, row.service): row for row in self.kpis}

    def total(self, kpi: str) -> Measured | None:
        """Return a KPI over all services together."""
        return next((one for one in self.reported if (one.kpi, one.service) == (kpi, ALL_SERVICES)), None)


class Finding(NamedTuple):
    """What one rule says about one KPI of one service."""

    verdict: Verdict
    reason: str


class Drift(NamedTuple):
    """A change from the baseline, and how much of it hurts."""

    change: float | None
    change_in: Literal["relative", "points"]
    harm: float | None


def judge_day(
    telemetry: Telemetry, baseline: GaBaseline, release: Release, policy: Policy, *, day: int
) -> DailyStability:
    """Judge one day of the watch against the policy and the GA baseline.

    Raises
    ------
    ContractError
        If the telemetry is of another window, or the baseline of another release.
    """
    window = release.window(day)
    if telemetry.quality.window != window:
        raise ContractError(f"telemetry of {telemetry.quality.start_at} is not of day {day}, {window.start_at}")
    if baseline.release != release.key:
        raise ContractError(f"the baseline is of {baseline.release}, not of {release.key}")
    measured = measure(telemetry, policy)
    rows = tuple(_rows(telemetry, dict(by_key(measured)), baseline, policy))
    return DailyStability(
        release=release.key,
        day=day,
        start_at=window.start_at,
        end_at=window.end_at,
        policy_sha256=release.policy_sha256,
        telemetry_sha256=telemetry.sha256,
        baseline_telemetry_sha256=baseline.telemetry_sha256,
        verdict=worst(row.verdict for row in rows),
        kpis=rows,
        reported=tuple(one for one in measured if one.service == ALL_SERVICES or one.kpi not in policy.judged),
    )


def _rows(
    telemetry: Telemetry, measured: dict[tuple[str, str], Measured], baseline: GaBaseline, policy: Policy
) -> Iterator[KpiDay]:
    for name, service, missing in expected(telemetry, baseline, policy):
        found = measured.get((name, service), Measured(kpi=name, service=service, value=None))
        arrived = telemetry.quality.of_series(name, service)
        coverage = arrived.coverage if arrived else 0.0
        yield _judge(policy.judged[name], policy, found, baseline, missing=missing, coverage=coverage)


def expected(telemetry: Telemetry, baseline: GaBaseline, policy: Policy) -> Iterator[tuple[str, str, str | None]]:
    """Yield every KPI of every service that must be known, and why it is not; None where it is.

    A KPI that a living service never had, while others have it, does not apply to that service.
    """
    services = sorted({*baseline.services, *telemetry.quality.services})
    for name in policy.judged:
        for service in services:
            missing = why_unknown(telemetry, policy, name, service)
            if missing != NO_DATA or baseline.concerns(name, service):
                yield name, service, missing


def _judge(
    kpi: JudgedKpi, policy: Policy, found: Measured, baseline: GaBaseline, *, missing: str | None, coverage: float
) -> KpiDay:
    before = baseline.of(found.kpi, found.service)
    drift = drift_of(kpi, found, before)
    objective = policy.objective(found.kpi)
    promise = keeps_its_promise(kpi, found, missing=missing, alpha=policy.judgement.alpha)
    findings = [promise]
    if promise.verdict is not Verdict.UNKNOWN:
        findings += [_comfort(kpi, found), _drifts(kpi, found, before, drift, baseline)]
    verdict = worst(finding.verdict for finding in findings)
    return KpiDay(
        kpi=found.kpi,
        service=found.service,
        verdict=verdict,
        reason="; ".join(one.reason for one in findings if one.verdict is verdict and one.reason),
        measured=found,
        baseline=before.value if before else None,
        drift=drift.change,
        drift_in=drift.change_in,
        harm=drift.harm,
        burn=_burn(found, objective),
        slo=promise.verdict if objective is not None else None,
        coverage=coverage,
    )


def _burn(found: Measured, objective: float | None) -> float | None:
    if objective is None or found.burn is None or found.burn[1] == 0:
        return None
    return sli.burn_rate(*found.burn, objective=objective)


def keeps_its_promise(kpi: JudgedKpi, found: Measured, *, missing: str | None, alpha: float) -> Finding:
    """Judge the objective alone; a KPI without one passes as soon as it can be measured."""
    if missing:
        return Finding(Verdict.UNKNOWN, missing)
    if isinstance(kpi, RatioKpi | LatencyKpi) and (thin := _too_few_events(kpi, found)):
        return Finding(Verdict.UNKNOWN, thin)
    if found.value is None:
        return Finding(Verdict.UNKNOWN, "no value could be computed from the samples")
    if isinstance(kpi, RatioKpi) and kpi.slo:
        return _ratio_promise(kpi.slo, found, alpha=alpha)
    if isinstance(kpi, LatencyKpi) and kpi.slo:
        return _latency_promise(kpi, kpi.slo, found)
    return Finding(Verdict.PASS, "")


def _too_few_events(kpi: RatioKpi | LatencyKpi, found: Measured) -> str | None:
    needed = kpi.min_events if isinstance(kpi, RatioKpi) else max(kpi.min_events, math.ceil(1 / (1 - kpi.quantile)))
    counted = found.n_total or 0
    if counted == 0:
        return "no valid events"
    return f"{counted} valid events, at least {needed} are needed" if counted < needed else None


def _ratio_promise(slo: RatioSlo, found: Measured, *, alpha: float) -> Finding:
    n_bad, n_total = found.burn or (0, 0)
    value = sli.sli(n_bad, n_total)
    said = f"{percent(value, digits=3)} of {n_total} events were good, promised are {percent(slo.objective, digits=3)}"
    if value >= slo.objective or math.isclose(value, slo.objective, rel_tol=1e-12):
        return Finding(Verdict.PASS, said)
    chance = sli.p_at_least(n_bad, n_total, probability=1 - slo.objective)
    if chance <= alpha:
        return Finding(Verdict.FAIL, f"{said} ({n_bad} bad; chance {max(chance, 1e-99):.1g} if the promise held)")
    return Finding(Verdict.WARN, f"{said} ({n_bad} bad; too few events to be sure, chance {chance:.2g})")


def _latency_promise(kpi: LatencyKpi, slo: LatencySlo, found: Measured) -> Finding:
    value, unit = found.value, kpi.unit
    said = f"{kpi.title} {show(value, unit)} ({_bucket_text(found, unit)}), promised are {show(slo.threshold_s, unit)}"
    if found.lower is not None and found.lower >= slo.threshold_s:
        return Finding(Verdict.FAIL, said)
    if value is not None and value > slo.threshold_s:
        return Finding(Verdict.WARN, said)
    return Finding(Verdict.PASS, said)


def _bucket_text(found: Measured, unit: Unit) -> str:
    return f"bucket {show(found.lower, unit)} to {show(found.upper, unit) if found.upper else 'above the last bound'}"


def _comfort(kpi: JudgedKpi, found: Measured) -> Finding:
    maximum = kpi.maximum if isinstance(kpi, GaugeKpi | LatencyKpi) else None
    minimum = kpi.minimum if isinstance(kpi, RatioKpi) else None
    value = found.value or 0.0
    if maximum is not None and value > maximum:
        return Finding(Verdict.WARN, f"{show(value, kpi.unit)} is above the comfort limit {show(maximum, kpi.unit)}")
    if minimum is not None and value < minimum:
        return Finding(Verdict.WARN, f"{show(value, kpi.unit)} is below the comfort limit {show(minimum, kpi.unit)}")
    return Finding(Verdict.PASS, "")


def drift_of(kpi: JudgedKpi, found: Measured, before: Measured | None) -> Drift:
    """Return the change from the baseline: relative, or points and budgets for a ratio with an SLO.

    The relative change from a baseline of 0 is undefined, unless nothing changed; so is that of two quantiles above the
    last bound. A latency is read smoothly across the buckets: its value leaps where a quantile crosses a bound.
    """
    in_budgets = isinstance(kpi, RatioKpi) and kpi.slo is not None
    change_in: Literal["relative", "points"] = "points" if in_budgets else "relative"
    now, was = found.comparable, before.comparable if before else None
    if before is None or was is None or now is None or (found.is_open_ended and before.is_open_ended):
        return Drift(None, change_in, None)
    difference = now - was
    if isinstance(kpi, RatioKpi) and kpi.slo is not None:
        return Drift(difference, "points", max(0.0, -difference) / (1 - kpi.slo.objective))
    if was == 0:
        return Drift(0.0, "relative", 0.0) if difference == 0 else Drift(None, "relative", None)
    change = difference / abs(was)
    return Drift(change, "relative", harm_of(change, kpi.worse))


def harm_of(change: float, worse: Worse) -> float:
    """Return how much of a change hurts; an improvement never does.

    Examples
    --------
    >>> [harm_of(0.2, Worse.UP), harm_of(0.2, Worse.DOWN), harm_of(-0.2, Worse.EITHER)]
    [0.2, 0.0, 0.2]
    """
    match worse:
        case Worse.UP:
            return max(0.0, change)
        case Worse.DOWN:
            return max(0.0, -change)
        case Worse.EITHER:
            return abs(change)


def _drifts(kpi: JudgedKpi, found: Measured, before: Measured | None, drift: Drift, baseline: GaBaseline) -> Finding:
    if drift.harm is None or drift.change is None:
        return _cannot_drift(kpi, found, before, baseline)
    said = moved_text(found, before.value if before else None, drift, kpi.unit)
    if drift.harm > kpi.drift_fail:
        return Finding(Verdict.FAIL, f"{said}, limit {_limit_text(kpi.drift_fail, drift)}")
    if drift.harm > kpi.drift_warn:
        return Finding(Verdict.WARN, f"{said}, attention from {_limit_text(kpi.drift_warn, drift)}")
    return Finding(Verdict.PASS, said)


def _cannot_drift(kpi: JudgedKpi, found: Measured, before: Measured | None, baseline: GaBaseline) -> Finding:
    if before is not None and before.is_open_ended:
        return Finding(Verdict.UNKNOWN, "above the last bucket bound, as on the GA day: nobody knows how far apart")
    if before is not None:
        if isinstance(kpi, GaugeKpi) and kpi.maximum is not None:
            return Finding(Verdict.PASS, "")  # the comfort limit speaks for a baseline of 0
        return Finding(Verdict.UNKNOWN, "the GA day was 0, a relative drift from it is undefined")
    why = baseline.doubt(found.kpi, found.service) or "the service was not there"
    return Finding(Verdict.UNKNOWN, f"no baseline: on the GA day, {why}")


def moved_text(found: Measured, before: float | None, drift: Drift, unit: Unit) -> str:
    """Write a value and how far it is from the GA day's; of a quantile, the bucket that holds it too.

    Examples
    --------
    >>> slow = Measured(kpi="p99_latency", service="api", value=0.1, lower=0.1, upper=0.25, smooth=0.103)
    >>> moved_text(slow, 0.098, Drift(0.03, "relative", 0.03), "seconds")
    '100 ms (bucket 100 ms to 250 ms), +3.0 % from 98 ms on the GA day, read smoothly across the buckets'
    """
    was, change = show(before, unit), change_text(drift)
    if found.smooth is None:
        return f"{show(found.value, unit)}, {change} from {was} on the GA day"
    said = f"{show(found.value, unit)} ({_bucket_text(found, unit)}), {change} from {was} on the GA day"
    return f"{said}, read smoothly across the buckets"


def change_text(drift: Drift) -> str:
    """Write a drift: percent of the baseline, or points and budgets.

    Examples
    --------
    >>> change_text(Drift(0.314, "relative", 0.314))
    '+31.4 %'
    >>> change_text(Drift(-0.0095, "points", 9.5))
    '-0.950 points (9.5 error budgets)'
    """
    if drift.change is None:
        return "an unknown change"
    if drift.change_in == "points":
        return f"{100 * drift.change:+.3f} points ({drift.harm or 0.0:.2g} error budgets)"
    return percent(drift.change, signed=True)


def _limit_text(limit: float, drift: Drift) -> str:
    if drift.change_in == "points":
        return "1 error budget" if limit == 1 else f"{limit:g} error budgets"
    return percent(limit, digits=0)
