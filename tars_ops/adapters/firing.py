"""Which alerts should fire for a release now?

Derived from stored artifacts, as often as one likes, always with the same answer: the latest judged day speaks for the
days, the latest verdict for the release, and a day in progress for itself until it is complete. A gate whose evidence
cannot be read is said to be damaged, and what stood before goes on standing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tars_ops.adapters.catalogue import (
    BUNDLE,
    CERTIFICATION,
    DAILY_HEALTH,
    GA_BASELINE,
    OF_A_DAY,
    OF_GA,
    REGRESSION,
    RUNNING_DAY,
    as_of_key,
)
from tars_ops.adapters.gates import Checked, Gates
from tars_ops.adapters.registry import ENTRY, Registered
from tars_ops.adapters.store import Store
from tars_ops.core.alert import Alert, Seen, alerts_of
from tars_ops.core.errors import ContractError, MissingInputError, TamperedError
from tars_ops.core.gates.on_time import on_time_gate
from tars_ops.core.gates.promise import KEEPS
from tars_ops.core.release import Release, day_key
from tars_ops.core.watch.running import RunningDay


class Latest(NamedTuple):
    """The newest versions of everything that alerts of a release depend on; equal ones give equal alerts."""

    day: int
    """Latest judged day; 0 where there is none."""
    as_of: int
    """Latest day with a whole verdict; 0 where there is none."""
    versions: tuple[int, ...]


class Firing(NamedTuple):
    """The alerts of a release, and whether all of its evidence could be read."""

    alerts: tuple[Alert, ...]
    is_complete: bool
    """False where evidence is damaged or gone: what stood before is neither confirmed nor over."""


def latest(store: Store, release: Release) -> Latest:
    """Look up how far a release has come, by listing versions and without reading an artifact."""
    key = release.key
    day = next((d for d in reversed(release.days) if store.versions(DAILY_HEALTH.key(key, day_key(d)))), 0)
    as_of = next((d for d in reversed(release.days) if store.versions(BUNDLE.key(key, as_of_key(d)))), 0)
    keys = [f"{key}/{ENTRY}", RUNNING_DAY.key(key), *(kind.key(key) for kind in OF_GA)]
    keys += [kind.key(key, day_key(day)) for kind in OF_A_DAY if day]
    keys += [kind.key(key, as_of_key(as_of)) for kind in (REGRESSION, CERTIFICATION, BUNDLE) if as_of]
    return Latest(day, as_of, tuple(max(store.versions(one), default=0) for one in keys))


def blind_since(store: Store, release: Release, *, now: datetime, patience: timedelta) -> datetime | None:
    """Return up to when the running day was judged, where that is longer ago than ``patience``; None where it is not.

    A release whose running day was never judged is not watched that closely, and nobody is blind.
    """
    if now >= release.window(release.n_days).end_at or not store.versions(RUNNING_DAY.key(release.key)):
        return None
    running: RunningDay = RUNNING_DAY.decode(store.get(RUNNING_DAY.key(release.key)))
    return running.until_at if running.until_at + patience < now else None


def firing(
    store: Store,
    registered: Registered,
    found: Latest,
    *,
    overdue: Sequence[int],
    unsaid: int = 0,
    blind: datetime | None = None,
) -> Firing:
    """Return what should fire for an open release.

    Parameters
    ----------
    overdue : sequence of int
        Days that should have been judged by now and were not; 0 is the GA day.
    unsaid : int
        Latest judged day, where it should have had a verdict by now and has none; else 0.
    blind : datetime or None
        Up to when the running day was judged, where nobody has looked for too long.
    """
    release, gates = registered.release, Gates(store, registered)
    alerts: dict[str, Alert] = {}
    is_complete = True
    for asset, day, read in _readings(gates, store, release, found):
        try:
            checked = list(read())
        except (TamperedError, MissingInputError, ContractError) as flaw:
            checked, is_complete = [gates.damaged(asset, day, str(flaw))], False
        alerts.update(_alerts(checked, registered))
    alerts.update(_alerts([_on_time(registered, overdue, unsaid, blind)], registered))
    return Firing(tuple(alerts.values()), is_complete)


Reading = tuple[str, int, Callable[[], Iterable[Checked]]]


def _readings(gates: Gates, store: Store, release: Release, found: Latest) -> Iterator[Reading]:
    """Yield what is to be read, each part alone, so that a damaged one hides no other."""
    if store.versions(GA_BASELINE.key(release.key)):
        yield GA_BASELINE.asset, 0, lambda: _of_ga(gates, is_latest=not found.day)
    for kind in OF_A_DAY if found.day else ():
        yield kind.asset, found.day, lambda asset=kind.asset: gates.of_day(found.day, {asset})
    for kind in (REGRESSION, CERTIFICATION, BUNDLE) if found.as_of else ():
        yield kind.asset, found.as_of, lambda asset=kind.asset: gates.of_verdict(found.as_of, {asset})
    if store.versions(RUNNING_DAY.key(release.key)):
        complete = found.day if store.versions(GA_BASELINE.key(release.key)) else -1
        yield RUNNING_DAY.asset, found.day, lambda: _of_running_day(gates, after=complete)


def _of_ga(gates: Gates, *, is_latest: bool) -> Iterator[Checked]:
    """The GA day speaks for the promises until a later day does; the baseline speaks for itself all week."""
    for one in gates.of_ga(() if is_latest else {GA_BASELINE.asset}):
        if is_latest or not one.gate.name.endswith(KEEPS):
            yield one


def _of_running_day(gates: Gates, *, after: int) -> Iterator[Checked]:
    """A provisional judgement stands until that of the complete day replaces it."""
    return (one for one in gates.of_running_day() if one.seen.day is not None and one.seen.day > after)


def _on_time(registered: Registered, overdue: Sequence[int], unsaid: int, blind: datetime | None) -> Checked:
    release = registered.release
    start_at = release.window(overdue[0]).start_at if overdue else blind or release.ga_at
    seen = Seen(
        release=release.key,
        partition=release.key,
        day=overdue[0] if overdue else None,
        start_at=start_at,
        evidence_sha256=None,
    )
    return Checked(on_time_gate(overdue, unsaid, blind, release, registered.policy), seen)


def _alerts(checked: Iterable[Checked], registered: Registered) -> dict[str, Alert]:
    unknown = registered.policy.gates.unknown
    return {alert.identity: alert for one in checked for alert in alerts_of(one.gate, one.seen, unknown=unknown)}
