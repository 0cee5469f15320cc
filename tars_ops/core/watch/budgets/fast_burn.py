"""Does an error budget burn so fast that somebody has to act before the day is over?

Two windows that end now must both burn above the limit: the long one shows that it matters, the short one that it has
not stopped (Site Reliability Workbook, alerting on SLOs). Both must also hold more bad events than chance explains, so
that one failure of a quiet service wakes nobody. Where the short window says nothing, the answer is unknown.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, instant, millis
from tars_ops.core.telemetry import TOTAL, IntArray, Telemetry, arrivals_of, count_table
from tars_ops.core.units import duration
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.baseline import NO_DATA
from tars_ops.core.watch.budgets.burn import BurnWindow, burn_limit, burn_slots, burn_window, promised_events


class Burn(Frozen):
    """How fast one budget of one service burns now."""

    kpi: str
    service: str
    verdict: Verdict
    reason: str
    """What decided, in words and figures."""
    objective: float
    limit: float
    """Burn rate that both windows must exceed to fail."""
    long: BurnWindow
    """The window that shows that it matters."""
    short: BurnWindow
    """The window that shows that it has not stopped."""
    n_expected: int
    """Scrapes that the short window holds, from the first one of the service on."""
    n_arrived: int
    """Scrapes of the short window that left a sample, of the service's best series."""
    since_at: Instant | None
    """Start of the unbroken run of bad, silent or empty slots that lasts until now; None where there is none."""


class Scrapes(NamedTuple):
    """How much of a service arrived, slot by slot."""

    start_ms: IntArray
    arrived: IntArray
    expected: IntArray


class _Slots(NamedTuple):
    """One KPI of one service, slot by slot, up to now."""

    start_ms: IntArray
    bad: IntArray
    total: IntArray
    arrived: IntArray
    expected: IntArray

    def last(self, n: int) -> _Slots:
        return _Slots(*(column[-n:] for column in self))


class _Finding(NamedTuple):
    verdict: Verdict
    reason: str
    since_at: datetime | None = None


def burn_now(telemetry: Telemetry, release: Release, policy: Policy, name: str, service: str) -> Burn:
    """Judge how fast the budget of a promised KPI of a service burns at the end of the telemetry.

    Raises
    ------
    ContractError
        If the policy promises nothing for the KPI.
    """
    objective = policy.objective(name)
    if objective is None:
        raise ContractError(f"the policy of {policy.product} promises nothing for {name}; it has no budget to burn")
    pair = policy.judgement.fast_burn
    slots = _slots(telemetry, policy, name, service)
    long, short = (slots.last(n) for n in burn_slots(pair, release, policy))
    burn = Burn(
        kpi=name,
        service=service,
        verdict=Verdict.UNKNOWN,
        reason="",
        objective=objective,
        limit=burn_limit(pair, policy, objective),
        long=_window(long, objective),
        short=_window(short, objective),
        n_expected=int(short.expected.sum()),
        n_arrived=int(short.arrived.sum()),
        since_at=None,
    )
    refusal = telemetry.quality.why_unknown(name, service, min_coverage=0.0)
    spans = tuple(f"the last {duration(len(one.total) * telemetry.quality.slot_s)}" for one in (long, short))
    found = (
        _unanswered(burn, slots, refusal, spans[1], needed=policy.measurement.min_coverage)
        or _without_events(burn, slots, spans, alpha=policy.judgement.alpha)
        or _burning(burn, slots, spans, policy, period_s=policy.judgement.slo_period_days * release.day_length_s)
    )
    return burn.model_copy(update=found._asdict())


def _slots(telemetry: Telemetry, policy: Policy, name: str, service: str) -> _Slots:
    scrapes = scrapes_of(telemetry, name, service)
    nothing = np.zeros((2, len(scrapes.start_ms)), dtype=np.int64)
    bad, total = promised_events(telemetry, policy, name).get(service, nothing)
    return _Slots(scrapes.start_ms, bad, total, scrapes.arrived, scrapes.expected)


def scrapes_of(telemetry: Telemetry, name: str, service: str) -> Scrapes:
    """Return the scrapes of a service that arrived in each slot, and those that were to be expected.

    A service is awaited from its first scrape on: its processes need a while to come up, and a release that was seen
    running has its GA at the beginning of a minute. The slot of that scrape is as full as it is.
    """
    table = count_table(telemetry, arrivals_of(name), les=(TOTAL,))
    arrived = table.of(service)[0] if service in table.services else np.zeros_like(table.slot_ms)
    expected = np.full_like(table.slot_ms, telemetry.quality.slot_s // telemetry.quality.scrape_interval_s)
    if arrived.any():
        first = int(np.argmax(arrived > 0))
        expected[:first] = 0
        expected[first] = min(arrived[first], expected[first])
    return Scrapes(table.slot_ms, arrived, expected)


def _window(slots: _Slots, objective: float) -> BurnWindow:
    n_bad, n_total = int(slots.bad.sum()), int(slots.total.sum())
    return burn_window(instant(int(slots.start_ms[0])), n_bad, n_total, objective=objective)


def _since(slots: _Slots, holds: NDArray[np.bool_]) -> datetime | None:
    """Return the start of the run of slots, up to the newest, in which something holds."""
    broken = np.flatnonzero(~holds)
    start_ms = slots.start_ms[broken[-1] + 1 :] if len(broken) else slots.start_ms
    return instant(int(start_ms[0])) if len(start_ms) else None


def _unanswered(burn: Burn, slots: _Slots, refusal: str | None, span: str, *, needed: float) -> _Finding | None:
    """Say why the short window is not known; a single lost scrape is no outage."""
    if refusal and refusal != NO_DATA:
        return _Finding(Verdict.UNKNOWN, refusal)
    silent_at = _since(slots, slots.arrived == 0)
    if burn.n_arrived == 0 and silent_at:
        earlier = "" if slots.arrived.any() else " or earlier"
        return _Finding(Verdict.UNKNOWN, f"no data since {silent_at:%H:%M} UTC{earlier}", silent_at)
    if burn.n_expected - burn.n_arrived > 1 and burn.n_arrived < needed * burn.n_expected:
        coverage = f"{burn.n_arrived / burn.n_expected:.2f} < {needed:.2f}"
        return _Finding(Verdict.UNKNOWN, f"coverage {coverage} of {span}", silent_at)
    return None


def _without_events(burn: Burn, slots: _Slots, spans: tuple[str, ...], *, alpha: float) -> _Finding | None:
    """Tell a service that nobody asks at the moment from one that nobody reaches any more.

    As many events as before are awaited of the short window; the chance of none of them is that of Poisson.
    """
    if burn.short.n_total:
        return None
    since_at = _since(slots, slots.total == 0)
    if not burn.long.n_total:
        return _Finding(Verdict.UNKNOWN, f"no valid events in {spans[0]}", since_at)
    n_long, n_short = (int((slots.start_ms >= millis(one.start_at)).sum()) for one in (burn.long, burn.short))
    awaited = burn.long.n_total * n_short / (n_long - n_short)
    said = f"no valid events in {spans[1]}, about {awaited:.0f} were to be expected"
    return _Finding(Verdict.UNKNOWN if math.exp(-awaited) <= alpha else Verdict.PASS, said, since_at)


def _burning(burn: Burn, slots: _Slots, spans: tuple[str, ...], policy: Policy, *, period_s: int) -> _Finding:
    windows = (burn.long, burn.short)
    said = ", ".join(
        f"{one.n_bad} of {one.n_total} events were bad in {span} (burn rate {one.burn:.3g})"
        for one, span in zip(windows, spans, strict=True)
    )
    said = f"{said}, the limit is {burn.limit:.3g}"
    if any(one.burn is None or one.burn <= burn.limit for one in windows):
        return _Finding(Verdict.PASS, said)
    since_at = _since(slots, slots.bad >= burn.limit * (1 - burn.objective) * slots.total) or burn.short.start_at
    if max(one.chance for one in windows) > policy.judgement.alpha:
        return _Finding(Verdict.WARN, f"{said}; too few events to be sure", since_at)
    lasts = duration(period_s / (burn.long.burn or math.inf))
    return _Finding(Verdict.FAIL, f"{said}; since {since_at:%H:%M} UTC, a whole budget lasts {lasts}", since_at)
