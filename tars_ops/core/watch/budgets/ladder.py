"""On which day did a budget burn too fast, over which windows, and where is that not known?

Every pair of windows of the policy, and the window from GA to now, is looked at from the end of every slot of every
judged day. Windows reach back over the border of a day, and never behind GA: another version ran there. A pair fires
where both of its windows burn above the limit and hold more bad events than chance explains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

import numpy as np

from tars_ops.core import sli
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.policy import SINCE_GA, Policy
from tars_ops.core.release import Release, instant
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.units import duration
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.budgets.burn import (
    BurnWindow,
    burn_limit,
    burn_slots,
    burn_window,
    enough_events,
    promised_events,
)
from tars_ops.core.watch.budgets.burn_looks import BoolArray, Lane, Looks, Rung, hottest, looks_of, why_unknown
from tars_ops.core.watch.stability import DailyStability


class LongWindow(BurnWindow):
    """The long window of a pair, with the burn rate of the short one that ends with it."""

    end_at: Instant
    short_burn: float | None
    """None without events in the short window."""


class BurnOfDay(Frozen):
    """How fast one budget of one service burnt on one day, over one pair of windows."""

    kpi: str
    service: str
    day: int
    window: str
    """Name of the pair in the policy; ``fast_burn`` is that of the running day, ``since_ga`` reaches back to GA."""
    length_s: int
    """Length of the long window; at the end of the day for ``since_ga``."""
    limit: float
    """Burn rate that both windows must exceed to fire."""
    n_needed: int
    """Events that the long window must hold to say anything."""
    verdict: Verdict
    """``fail`` where it fired, ``warn`` where it was above the limit with too few events to be sure."""
    reason: str
    n_ends: int
    """Instants of the day that were looked back from, one per slot."""
    n_known: int
    """Those of them at which windows and traffic were complete enough to say something."""
    n_fired: int
    """Those of them at which it fired."""
    fired_at: Instant | None
    """When it fired first; None where it did not."""
    worst: LongWindow | None
    """The one that burnt most: of those that fired, else of those that are known, else of all."""
    latest: LongWindow | None
    """The one that ends with the day; None where it reaches behind GA."""


def burns_of(
    ga: Telemetry,
    telemetries: Mapping[int, Telemetry],
    judged: Mapping[int, DailyStability],
    release: Release,
    policy: Policy,
) -> tuple[BurnOfDay, ...]:
    """Return how fast every budget of every service burnt on every judged day, over every window."""
    by_day = {0: ga, **{day: telemetries[day] for day in judged}}
    found = (one for lane in _lanes(by_day, judged, release, policy) for one in _burns(lane, release, policy))
    return tuple(found)


def _lanes(
    by_day: Mapping[int, Telemetry], judged: Mapping[int, DailyStability], release: Release, policy: Policy
) -> Iterator[Lane]:
    n_slots = release.day_length_s // policy.measurement.slot_s
    present = {day: _presence(telemetry) for day, telemetry in by_day.items()}
    for name in policy.slos:
        events = {day: promised_events(telemetry, policy, name) for day, telemetry in by_day.items()}
        for service in sorted({service for one in events.values() for service in one}):
            rows = np.zeros((3, n_slots * (max(by_day) + 1)), dtype=np.int64)
            for day, of_day in events.items():
                row = judged[day].of_service(name, service) if day else None
                if service in of_day and (day == 0 or (row and row.slo is not Verdict.UNKNOWN)):
                    seen = present[day].get(service, np.zeros(n_slots, dtype=bool)) | (of_day[service][1] > 0)
                    rows[:, day * n_slots : (day + 1) * n_slots] = np.vstack([of_day[service], seen])
            bad, total, seen = np.pad(np.cumsum(rows, axis=1), ((0, 0), (1, 0)))
            yield Lane(name, service, policy.objective(name) or 0.0, tuple(judged), n_slots, bad, total, seen)


def _presence(telemetry: Telemetry) -> Mapping[str, BoolArray]:
    """Tell in which slots each service left any sample."""
    quality, samples = telemetry.quality, telemetry.samples
    slot = (samples["at"].astype("int64").to_numpy() - quality.window.start_ms) // (1000 * quality.slot_s)
    names = samples["service"].cat.categories
    found = np.zeros((len(names), quality.window.length_s // quality.slot_s), dtype=bool)
    found[samples["service"].cat.codes.to_numpy(), slot] = True
    return dict(zip(names, found, strict=True))


def _burns(lane: Lane, release: Release, policy: Policy) -> Iterator[BurnOfDay]:
    for day in lane.days:
        for rung in _rungs(lane, day, release, policy):
            yield _burn(lane, rung, day, release, policy)


def _rungs(lane: Lane, day: int, release: Release, policy: Policy) -> Iterator[Rung]:
    ladder = policy.judgement.ladder
    for name, pair in ladder.items():
        yield Rung(name, *burn_slots(pair, release, policy), burn_limit(pair, policy, lane.objective))
    slowest = max(ladder.values(), key=lambda pair: pair.long_s)
    share = slowest.budget_share * policy.judgement.slo_period_days / (day + 1)
    limit = max(1.0, min(share, 0.5 / (1 - lane.objective)))
    yield Rung(SINCE_GA, None, burn_slots(slowest, release, policy).n_short, limit)


def _burn(lane: Lane, rung: Rung, day: int, release: Release, policy: Policy) -> BurnOfDay:
    needed = enough_events(rung.limit, objective=lane.objective, alpha=policy.judgement.alpha)
    looks = looks_of(lane, rung, day, policy, n_needed=needed)
    n_fired, n_known = int(looks.fired.sum()), int(looks.known.sum())
    clock = _Clock(release.window(0).start_ms, 1000 * policy.measurement.slot_s)
    of_worst, last = hottest(lane, looks), len(looks.end) - 1
    worst = None if of_worst is None else _seen(lane, looks, of_worst, clock)
    verdict = _verdict(looks, needed=policy.measurement.min_coverage)
    return BurnOfDay(
        kpi=lane.kpi,
        service=lane.service,
        day=day,
        window=rung.name,
        length_s=(rung.n_long or int(looks.end[-1])) * policy.measurement.slot_s,
        limit=rung.limit,
        n_needed=needed,
        verdict=verdict,
        reason=_reason(verdict, looks, worst, rung, needed),
        n_ends=len(looks.end),
        n_known=n_known,
        n_fired=n_fired,
        fired_at=clock.at(int(looks.end[np.argmax(looks.fired)])) if n_fired else None,
        worst=worst,
        latest=_seen(lane, looks, last, clock) if looks.fits[last] else None,
    )


def _verdict(looks: Looks, *, needed: float) -> Verdict:
    if looks.fired.any():
        return Verdict.FAIL
    if looks.known.sum() < needed * len(looks.end):
        return Verdict.UNKNOWN
    return Verdict.WARN if looks.over.any() else Verdict.PASS


class _Clock(NamedTuple):
    """Turns borders of slots into instants."""

    ga_ms: int
    slot_ms: int

    def at(self, border: int) -> datetime:
        return instant(self.ga_ms + border * self.slot_ms)


def _seen(lane: Lane, looks: Looks, i: int, clock: _Clock) -> LongWindow:
    start, short, end = int(looks.start[i]), int(looks.short[i]), int(looks.end[i])
    (n_bad, n_total), (short_bad, short_total) = (
        (int(lane.bad[end] - lane.bad[first]), int(lane.total[end] - lane.total[first])) for first in (start, short)
    )
    window = burn_window(clock.at(start), n_bad, n_total, objective=lane.objective)
    burn = sli.burn_rate(short_bad, short_total, objective=lane.objective) if short_total else None
    return LongWindow(**dict(window), end_at=clock.at(end), short_burn=burn)


def _reason(verdict: Verdict, looks: Looks, worst: LongWindow | None, rung: Rung, n_needed: int) -> str:
    if verdict is Verdict.UNKNOWN:
        return why_unknown(looks, n_needed)
    if worst is None or worst.burn is None:
        return "no valid events"
    span = duration((worst.end_at - worst.start_at).total_seconds())
    said = f"at most {worst.n_bad} of {worst.n_total} events were bad in {span} (burn rate {worst.burn:.3g}), "
    limit = f"the limit is {rung.limit:.3g}"
    if verdict is Verdict.FAIL:
        return f"{said}until {worst.end_at:%H:%M} UTC; {limit}"
    if verdict is Verdict.WARN:
        return f"{said}{limit}; too few events to be sure"
    return f"{said}{limit}" + (", and the short window never burnt with it" if worst.burn > rung.limit else "")
