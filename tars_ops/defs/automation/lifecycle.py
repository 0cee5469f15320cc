"""Does the history of every release say what its evidence says? A sensor that records what is missing.

The history in the store is the truth; the observations that the sensor reports show it in the UI.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import takewhile
from time import monotonic
from typing import Final, NamedTuple

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from tars_ops.adapters.facts import evidence_mark, gather_facts
from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TamperedError, TarsOpsError
from tars_ops.core.history import Entry
from tars_ops.core.lifecycle import TERMINAL
from tars_ops.core.model import Frozen, Instant
from tars_ops.defs.automation.jobs import SENSOR_STATUS
from tars_ops.defs.resources import StoreResource

LONGEST_S: Final = 3.0
"""Seconds after which a tick begins with no other release; the next tick does."""


class Seen(Frozen):
    """What the sensor knows of a release."""

    mark: str
    """Of its evidence, when it was read."""
    n_entries: int
    """Length of its history; all of it is reported."""
    is_open: bool = True
    wake_at: Instant | None = None
    """Instant at which it has to be read again even if nothing is stored; None for never."""


class Followed(NamedTuple):
    """What one tick found."""

    seen: Mapping[str, Seen]
    news: Sequence[Entry]
    """Entries that nobody has reported yet."""
    errors: Sequence[str]


_CURSOR = TypeAdapter(dict[str, Seen])


@dg.sensor(minimum_interval_seconds=60, default_status=SENSOR_STATUS)
def lifecycle_follows_the_evidence(context: dg.SensorEvaluationContext, store: StoreResource) -> dg.SensorResult:
    """Record what the evidence says of each open release: baseline frozen, verdicts, certified, closed."""
    until = monotonic() + LONGEST_S
    known = _known(context.cursor)
    found = follow_all(store.open(), known, now=datetime.now(UTC), may_go_on=lambda: monotonic() < until)
    for error in found.errors:
        context.log.error(error)
    return dg.SensorResult(
        asset_events=[observation(entry) for entry in found.news],
        cursor=_CURSOR.dump_json(dict(found.seen), exclude_defaults=True).decode(),
        skip_reason=f"{len(found.news)} entries are new, {len(found.errors)} releases could not be read",
    )


def _known(cursor: str | None) -> dict[str, Seen]:
    """Return what the cursor holds; one of another version of the program is read as none, which repeats nothing."""
    try:
        return _CURSOR.validate_json(cursor or "{}")
    except ValidationError:
        return {}


def follow_all(
    store: Store, known: Mapping[str, Seen], *, now: datetime, may_go_on: Callable[[], bool] = lambda: True
) -> Followed:
    """Let the history of each release that has new evidence follow it; one that cannot be read stops no other.

    ``may_go_on`` is asked before each of them; what is left is done by whoever asks next.
    """
    keys = Registry(store).all_keys()
    seen = {key: known[key] for key in keys if key in known}
    news: list[Entry] = []
    errors: list[str] = []
    due = (key for key in keys if _is_due(store, key, known.get(key), now))
    for key in takewhile(lambda _: may_go_on(), due):
        try:
            seen[key], entries = _followed(store, key, known.get(key), now)
        except TarsOpsError as error:
            errors.append(f"{key}: {error}")
            continue
        news += entries
    return Followed(seen, news, errors)


def _is_due(store: Store, key: str, before: Seen | None, now: datetime) -> bool:
    if before is None or History(store).n_entries(key) != before.n_entries:
        return True
    if not before.is_open:
        return False
    return (before.wake_at is not None and before.wake_at <= now) or evidence_mark(store, key) != before.mark


def _followed(store: Store, key: str, before: Seen | None, now: datetime) -> tuple[Seen, Sequence[Entry]]:
    registered, history = Registry(store).get(key), History(store)
    if before and (n := history.n_entries(key)) < before.n_entries:
        raise TamperedError(f"its history had {before.n_entries} entries and has {n}; restore it from a backup")
    mark = evidence_mark(store, key)  # before the facts: what is stored in between is found the next time
    history.follow(key, gather_facts(store, registered, now=now), now=now)
    entries = history.entries(key)
    ga_at = registered.release.ga_at
    seen = Seen(
        mark=mark,
        n_entries=len(entries),
        is_open=entries[-1].to_state not in TERMINAL,
        wake_at=ga_at if ga_at > now else None,
    )
    return seen, entries[before.n_entries if before else -1 :]


def observation(entry: Entry) -> dg.AssetObservation:
    """Show an entry of a history in the UI."""
    return dg.AssetObservation(
        "releases",
        partition=entry.release,
        description=f"{entry.release}: {_words(entry.code)}, now {_words(entry.to_state)}",
        metadata={
            "state": entry.to_state.value,
            "code": entry.code.value,
            "entry": entry.seq,
            "recorded_at": dg.MetadataValue.timestamp(entry.at),
            "by": entry.by,
            "why": entry.why,
            "evidence_sha256": entry.evidence_sha256 or "none",
        },
    )


def _words(code: str) -> str:
    return code.replace("_", " ")
