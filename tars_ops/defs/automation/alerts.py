"""Who has to be told, and were they? A sensor that derives the alerts of every release and carries them out.

The alerts follow from the stored artifacts, not from events of runs: what a crashed run left, what an event log forgot
and what was judged while no daemon ran is told all the same.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

import dagster as dg

from tars_ops.adapters.alerts.courier import Delivered
from tars_ops.adapters.alerts.deployment import open_courier
from tars_ops.adapters.alerts.notice import AlertState
from tars_ops.adapters.alerts.outbox import Outbox, Settled, Standing
from tars_ops.adapters.firing import Latest, blind_since, firing, latest
from tars_ops.adapters.history import History
from tars_ops.adapters.progress import overdue
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.settings import Settings, load_settings
from tars_ops.adapters.store import Store
from tars_ops.core.alert import Alert
from tars_ops.core.due import overdue_after
from tars_ops.core.errors import TarsOpsError
from tars_ops.defs.automation.jobs import SENSOR_STATUS
from tars_ops.defs.metadata import table
from tars_ops.defs.partitions import RELEASES
from tars_ops.defs.resources import OutboxResource, StoreResource

MISSED_LOOKS: Final = 4
"""So many provisional judgements in a row may fail before somebody is told that nobody looks."""
BUDGET_S: Final = 20.0
"""Seconds of one tick for deriving; the next one goes on where this one ended. Dagster ends a tick after 60."""
_CLOSED: Final = "closed"


@dataclass
class Tick:
    """One derivation of all alerts."""

    store: Store
    outbox: Outbox
    settings: Settings
    now: datetime
    elapsed_s: Callable[[], float] = time.monotonic
    last: str = ""
    changed: dict[str, Settled] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)

    def settle_all(self, *, after: str) -> str:
        """Derive the alerts of every release whose evidence is new; one that cannot be read hides no other.

        Begins behind the release ``after`` and returns where the time of a tick ended; empty where all were looked at.
        """
        bases, began_s = self.outbox.bases(), self.elapsed_s()
        keys = Registry(self.store).all_keys()
        for key in [*(one for one in keys if one > after), *(one for one in keys if one <= after)]:
            if self.elapsed_s() - began_s > BUDGET_S:
                return self.last
            try:
                self._settle(key, bases.get(key, ""))
            except TarsOpsError as error:
                self.troubles.append(f"{key}: {error}")
            self.last = key
        return ""

    def _settle(self, key: str, before: str) -> None:
        if before == _CLOSED:
            return
        if not History(self.store).is_open(key):
            self._keep(key, (), _CLOSED)
            return
        registered = Registry(self.store).get(key)
        found, late = latest(self.store, registered.release), self._overdue(registered)
        patience = timedelta(seconds=MISSED_LOOKS * self.settings.provisional_every_s)
        blind = blind_since(self.store, registered.release, now=self.now, patience=patience)
        unsaid = self._unsaid(registered, found)
        basis = _digest(found, late, unsaid, blind)
        if basis == before:
            return
        now_firing = firing(self.store, registered, found, overdue=late, unsaid=unsaid, blind=blind)
        alerts = {one.identity: one for one in now_firing.alerts}
        if not now_firing.is_complete:  # what cannot be read is neither confirmed nor over
            alerts = {one.identity: one for one in self.outbox.firing(key)} | alerts
        self._keep(key, tuple(alerts.values()), basis)

    def _keep(self, key: str, alerts: tuple[Alert, ...], basis: str) -> None:
        settled = self.outbox.settle(key, alerts, now=self.now, basis=basis)
        if settled != Settled():
            self.changed[key] = settled

    def _unsaid(self, registered: Registered, found: Latest) -> int:
        """Return the latest judged day where its verdict is long overdue; 0 where it is there or may still come."""
        after = overdue_after(registered.release, self.settings.overdue_s)
        is_late = found.day > found.as_of and registered.release.window(found.day).end_at + after <= self.now
        return found.day if is_late else 0

    def _overdue(self, registered: Registered) -> tuple[int, ...]:
        """A release that was registered late is given the same time before anyone is called."""
        late = overdue(self.store, registered, self.now, overdue_s=self.settings.overdue_s)
        entries = History(self.store).entries(registered.release.key) if late else ()
        patience = timedelta(seconds=self.settings.overdue_s)
        return () if entries and self.now < entries[0].at + patience else late


def _digest(found: Latest, late: tuple[int, ...], unsaid: int, blind: datetime | None) -> str:
    told = json.dumps([found, late, unsaid, blind.isoformat() if blind else None])
    return hashlib.sha256(told.encode()).hexdigest()


@dg.sensor(minimum_interval_seconds=30, default_status=SENSOR_STATUS)
def alerts_follow_the_evidence(
    context: dg.SensorEvaluationContext, store: StoreResource, outbox: OutboxResource
) -> dg.SensorResult:
    """Derive what should fire from the stored artifacts, and tell every receiver what it has not been told."""
    settings, now = load_settings(), datetime.now(UTC)
    with outbox.open() as opened:
        tick = Tick(store.open(), opened, settings, now)
        rest = tick.settle_all(after=context.cursor or "")
        delivered = open_courier(settings, opened).deliver(now=now)
        standing = opened.standing(now=now) if tick.changed or delivered.n_quarantined else ()
    for trouble in (*tick.troubles, *_failures(delivered)):
        context.log.error(trouble)
    known = set(context.instance.get_dynamic_partitions(RELEASES.name or ""))
    return dg.SensorResult(
        asset_events=list(_observations(standing, {*tick.changed, *_refused(standing, now)} & known)),
        cursor=rest,
        skip_reason=_said(tick, delivered),
    )


def _failures(delivered: Delivered) -> Iterator[str]:
    for one in delivered.rounds:
        if one.last_error:
            fate = f"{one.n_quarantined} refused for good, " if one.n_quarantined else ""
            yield f"receiver {one.receiver}: {fate}{one.n_deferred + one.n_waiting} wait: {one.last_error}"


def _said(tick: Tick, delivered: Delivered) -> str:
    n = {name: sum(getattr(one, name) for one in tick.changed.values()) for name in Settled.model_fields}
    told = f"{n['n_new']} new, {n['n_changed']} changed, {n['n_resolved']} resolved; {delivered.n_sent} notices taken"
    faults = [*tick.troubles, *_failures(delivered)]
    return "; ".join([told, *faults])[:1000]


def _refused(standing: tuple[Standing, ...], now: datetime) -> set[str]:
    """Return the releases of which a receiver has just refused an alert for good."""
    fresh = now - timedelta(seconds=1)
    return {
        one.alert.release
        for one in standing
        for each in one.deliveries
        if each.quarantined_at and each.quarantined_at >= fresh
    }


def _observations(standing: tuple[Standing, ...], releases: set[str]) -> Iterator[dg.AssetObservation]:
    """Show in the UI what stands for each release whose alerts changed, and whether it was told."""
    for key in sorted(releases):
        mine = [one for one in standing if one.alert.release == key]
        n_firing = sum(one.state is AlertState.FIRING for one in mine)
        yield dg.AssetObservation(
            "alerts",
            partition=key,
            description=f"{n_firing} alerts stand",
            metadata={"n_firing": n_firing, "alerts": table([_row(one) for one in mine])},
        )


def _row(one: Standing) -> dict[str, str]:
    told = [
        f"{each.receiver}: {'refused' if each.quarantined_at else each.told_state or 'waits'}"
        for each in one.deliveries
    ]
    return {
        "state": one.state.value,
        "severity": one.alert.severity.value,
        "alert": one.alert.name.value,
        "service": one.alert.service,
        "summary": one.alert.summary,
        "since": f"{one.alert.since_at:%Y-%m-%d %H:%M}",
        "told": ", ".join(told) or "-",
    }
