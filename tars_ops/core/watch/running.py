"""What can be said of a day that is not over yet?

Every 15 minutes the running day is judged from what is there, so that a failing release is not left alone until
midnight: each promise as far as it goes, and how fast its budget burns at this moment. Such a judgement is provisional.
The judgement of the complete day replaces it, and no report is made of it.

Only KPIs with an objective are judged: drift would compare a night, or a morning, with the whole GA day. The GA day is
judged like any other, because a promise needs no baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from tars_ops.core import sli
from tars_ops.core.errors import ContractError, NotYetError, UsageError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.release import Release, Window
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.verdict import Decision, Verdict, worst
from tars_ops.core.watch.baseline import NO_DATA, GaBaseline, expected_services
from tars_ops.core.watch.budgets.burn import burn_slots
from tars_ops.core.watch.budgets.fast_burn import Burn, burn_now, scrapes_of
from tars_ops.core.watch.measure import Measured, by_key, measure, why_unknown
from tars_ops.core.watch.stability import Finding, expected, keeps_its_promise

MAX_REASONS = 3
"""More findings than this are counted, not told."""


class KpiSoFar(Frozen):
    """One promise of one service, as far as the day goes."""

    kpi: str
    service: str
    """``*`` where no service shows the KPI."""
    verdict: Verdict
    reason: str
    """What decided, in words and figures."""
    measured: Measured
    burn: float | None
    """Burn rate of the day so far; None without events."""
    coverage: float
    """Arrived over expected scrapes, 0..1."""


class RunningDay(Frozen):
    """A day in progress, judged from what is there."""

    release: str
    day: int
    """Day of the watch that is running; 0 is the GA day."""
    provisional: Literal[True] = True
    """The day was not over; the judgement of the complete day replaces this one."""
    start_at: Instant
    """Start of what was judged: of the day, or earlier while the day is younger than the long burn window."""
    until_at: Instant
    """End of what was judged."""
    policy_sha256: Sha256
    telemetry_sha256: Sha256
    verdict: Verdict
    decision: Decision
    """``roll_back`` where a budget burns fast, ``watch_closer`` for anything else that does not hold, else ``keep``."""
    reason: str
    """The worst findings in one line."""
    kpis: tuple[KpiSoFar, ...]
    """Every promise of every service so far."""
    burns: tuple[Burn, ...]
    """How fast each budget of each service burns now."""

    @property
    def advises_roll_back(self) -> bool:
        """Tell whether a budget burns so fast that the release should go back now."""
        return self.decision is Decision.ROLL_BACK


def newest_instant(release: Release, policy: Policy, now: datetime) -> datetime | None:
    """Return the newest instant that samples can be expected up to; None where no slot of the watch is there to judge.

    A scrape interval is waited for the newest sample. Instants are whole steps after GA.
    """
    until = _whole_steps(release, policy, now - timedelta(seconds=policy.measurement.scrape_interval_s))
    first = release.ga_at + timedelta(seconds=policy.measurement.slot_s)
    return until if first <= until and now < release.window(release.n_days).end_at else None


def running_window(release: Release, policy: Policy, until: datetime) -> tuple[int, Window]:
    """Return the day that runs at an instant, and the window to judge it by.

    The window ends at the last whole step before the instant, so that the newest slot is full, and goes back in whole
    slots: to the start of the day, or as far as the long burn window where the day is younger, but never before GA.

    Raises
    ------
    NotYetError
        If there is no whole slot since GA.
    UsageError
        If the watch was over by then.
    """
    slot_s, end_at = policy.measurement.slot_s, _whole_steps(release, policy, until)
    last = release.window(release.n_days).end_at
    if end_at > last:
        raise UsageError(
            f"the watch of {release.key} ended at {last.isoformat()}; no day of it runs at {until.isoformat()}"
        )
    age_s = int((end_at - release.ga_at).total_seconds())
    if age_s < slot_s:
        first = release.ga_at + timedelta(seconds=slot_s)
        raise NotYetError(
            f"the first {slot_s} s of {release.key} are over at {first.isoformat()}; judge it from then on"
        )
    day = (age_s - 1) // release.day_length_s
    of_day_s = age_s - day * release.day_length_s
    wanted_s = min(age_s, max(of_day_s, burn_slots(policy.judgement.fast_burn, release, policy).n_long * slot_s))
    return day, Window(end_at - timedelta(seconds=wanted_s // slot_s * slot_s), end_at)


def _whole_steps(release: Release, policy: Policy, at: datetime) -> datetime:
    step = timedelta(seconds=policy.measurement.step_s)
    return release.ga_at + (at - release.ga_at) // step * step


def judge_running(telemetry: Telemetry, baseline: GaBaseline | None, release: Release, policy: Policy) -> RunningDay:
    """Judge the day that runs at the end of the telemetry; without a baseline by the services that are seen or named.

    Raises
    ------
    ContractError
        If the telemetry is not of the window that the running day is judged by.
    """
    window, promises = telemetry.quality.window, policy.promises
    day, wanted = running_window(release, policy, window.end_at)
    if window != wanted:
        raise ContractError(f"telemetry from {window.start_at} to {window.end_at} is not that from {wanted.start_at}")
    pairs = list(_pairs(telemetry, baseline, promises))
    measured = by_key(measure(telemetry, promises))
    kpis = tuple(_so_far(telemetry, promises, measured.get((k, s)), k, s, missing) for k, s, missing in pairs)
    burns = tuple(burn_now(telemetry, release, promises, kpi, service) for kpi, service, _ in pairs)
    verdict = worst(one.verdict for one in (*kpis, *burns))
    return RunningDay(
        release=release.key,
        day=day,
        start_at=window.start_at,
        until_at=window.end_at,
        policy_sha256=release.policy_sha256,
        telemetry_sha256=telemetry.sha256,
        verdict=verdict,
        decision=_decision(verdict, burns),
        reason=_reason(verdict, kpis, burns),
        kpis=kpis,
        burns=burns,
    )


def _pairs(
    telemetry: Telemetry, baseline: GaBaseline | None, promises: Policy
) -> Iterator[tuple[str, str, str | None]]:
    """Yield each promise of each service that must be known, and why it is not; ``*`` where no service has it."""
    found = list(expected(telemetry, baseline, promises) if baseline else _seen(telemetry, promises))
    for name in promises.slos:
        yield from (one for one in found if one[0] == name)
        if not any(one[0] == name for one in found):
            yield name, ALL_SERVICES, telemetry.quality.why_unknown(name, ALL_SERVICES, min_coverage=0.0)


def _seen(telemetry: Telemetry, promises: Policy) -> Iterator[tuple[str, str, str | None]]:
    """Yield the promises of the services that are seen or named; one that only others show does not apply."""
    arrived = {(one.kpi, one.service) for one in telemetry.quality.series if one.n_arrived}
    for name in promises.slos:
        for service in expected_services(telemetry, promises):
            missing = _missing(telemetry, promises, name, service)
            alive = service in telemetry.quality.services
            if not (missing == NO_DATA and alive and any(kpi == name for kpi, _ in arrived)):
                yield name, service, missing


def _missing(telemetry: Telemetry, promises: Policy, name: str, service: str) -> str | None:
    """Say why a promise is not known on the GA day; what is missing from before a service came up does not count."""
    said, found = why_unknown(telemetry, promises, name, service), telemetry.quality.of_series(name, service)
    if said is None or found is None or telemetry.quality.why_unknown(name, service, min_coverage=0.0):
        return said
    n_expected = int(scrapes_of(telemetry, name, service).expected.sum())
    return said if found.n_arrived < promises.measurement.min_coverage * n_expected else None


def _so_far(
    telemetry: Telemetry, promises: Policy, found: Measured | None, name: str, service: str, missing: str | None
) -> KpiSoFar:
    known = found or Measured(kpi=name, service=service, value=None)
    promise = _promise(promises, known, missing)
    arrived = telemetry.quality.of_series(name, service)
    objective = promises.objective(name)
    counted = known.burn if known.burn and known.burn[1] else None
    return KpiSoFar(
        kpi=name,
        service=service,
        verdict=promise.verdict,
        reason=promise.reason,
        measured=known,
        burn=sli.burn_rate(*counted, objective=objective) if counted and objective else None,
        coverage=arrived.coverage if arrived else 0.0,
    )


def _promise(promises: Policy, known: Measured, missing: str | None) -> Finding:
    """Judge a promise so far; too few events yet are no missing data: it is early, or night, and the day goes on."""
    promise = keeps_its_promise(promises.judged[known.kpi], known, missing=missing, alpha=promises.judgement.alpha)
    if promise.verdict is Verdict.UNKNOWN and not missing and known.n_total and known.value is not None:
        return Finding(Verdict.WARN, f"too early to say: {promise.reason}")
    return promise


def _decision(verdict: Verdict, burns: tuple[Burn, ...]) -> Decision:
    if any(one.verdict is Verdict.FAIL for one in burns):
        return Decision.ROLL_BACK
    return Decision.WATCH_CLOSER if verdict in {Verdict.FAIL, Verdict.UNKNOWN} else Decision.KEEP


def _reason(verdict: Verdict, kpis: tuple[KpiSoFar, ...], burns: tuple[Burn, ...]) -> str:
    """Say the worst findings, the fast burns first."""
    said = [f"{one.kpi} of {one.service}: {one.reason}" for one in (*burns, *kpis) if one.verdict is verdict]
    if verdict is Verdict.PASS:
        return "every promise is kept so far and no budget burns fast"
    more = f"; and {len(said) - MAX_REASONS} more" if len(said) > MAX_REASONS else ""
    return "; ".join(said[:MAX_REASONS]) + more if said else "the policy promises nothing"
