"""How far has the judgement of a release come, and what of it is missing?

Asked of every release all the time, so only names of versions are read, never a content.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tars_ops.adapters.catalogue import DAILY_HEALTH, GA_BASELINE
from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.settings import load_settings
from tars_ops.adapters.store import Store
from tars_ops.core.due import Progress, missing, overdue_after
from tars_ops.core.lifecycle import State
from tars_ops.core.release import Release, day_key

SEEN_AT = "seen_at"
"""Detail of a history entry: the instant that the sighting speaks of, ISO 8601."""
_BEFORE_ALL = datetime.min.replace(tzinfo=UTC)


def progress_of(store: Store, release: Release, *, now: datetime, after: timedelta) -> Progress:
    """Return what is judged of a release; its history is read only where something is missing at ``now``.

    Raises
    ------
    TamperedError
        If that history was changed.
    """
    done = tuple(day for day in release.days if store.versions(DAILY_HEALTH.key(release.key, day_key(day))))
    so_far = Progress(has_baseline=bool(store.versions(GA_BASELINE.key(release.key))), done=done)
    if not missing(release, so_far, now=now, after=after):
        return so_far
    return so_far._replace(ended_at=_ended_at(History(store), release.key))


def _ended_at(history: History, release: str) -> datetime | None:
    """Return since when no further day of a release is expected.

    The days that a superseded release served are still owed; of a release that is closed or rolled back none is.
    """
    if history.is_open(release):
        return None
    last = history.entries(release)[-1]
    if last.to_state is not State.SUPERSEDED:
        return _BEFORE_ALL
    return datetime.fromisoformat(str(last.details[SEEN_AT])) if SEEN_AT in last.details else last.at


def overdue(store: Store, registered: Registered, now: datetime, *, overdue_s: int | None = None) -> tuple[int, ...]:
    """Return the days that should have been judged long ago; 0 stands for the baseline.

    ``overdue_s`` is how long after its end a day is overdue, by default TARS_OPS_OVERDUE_S; less where days are short.
    """
    release = registered.release
    after = overdue_after(release, load_settings().overdue_s if overdue_s is None else overdue_s)
    return missing(release, progress_of(store, release, now=now, after=after), now=now, after=after)
