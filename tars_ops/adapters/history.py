"""Where is kept what happened to a release, and how does it stay unchangeable?

One artifact of the store per release; version n holds entry n. The store lets exactly one writer create version n, so
none is lost; an entry holds the digest of the file of the one before, so that a change is found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Final, NamedTuple

from tars_ops.adapters.artifacts import canonical_json, parse_json
from tars_ops.adapters.store import Store
from tars_ops.core.errors import ConflictError, TamperedError
from tars_ops.core.history import Entry, check_chain
from tars_ops.core.lifecycle import TERMINAL, Code, State, successor
from tars_ops.core.standing import Due, Facts, due_entries

HISTORY, ENTRY_FILE = "history", "entry.json"
FOLLOWER: Final = "tars-ops"
"""Who records what follows from the evidence."""
_TRIES: Final = 20
"""An attempt is lost only to a writer that recorded something; so many at once there are not."""


class _Kept(NamedTuple):
    """An entry, and the digest of the file that it was read from or written to."""

    entry: Entry
    sha256: str


class History:
    """What happened to the releases of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    # -- reading --------------------------------------------------------------------------------------------------

    def state(self, release: str) -> State | None:
        """Return where a release stands, from the newest entry alone; None where nothing is recorded.

        Raises
        ------
        TamperedError
            If the newest entry was changed. Changed older ones are found by ``entries``.
        """
        newest = self._newest(release)
        return newest.entry.to_state if newest else None

    def is_open(self, release: str) -> bool:
        """Tell whether something may still happen to a release; true where nothing is recorded yet."""
        return self.state(release) not in TERMINAL

    def n_entries(self, release: str) -> int:
        """Return how many entries a history has, without reading one."""
        return len(self._store.versions(_key(release)))

    def entries(self, release: str) -> tuple[Entry, ...]:
        """Return what happened to a release, oldest first, once the whole chain is proved.

        A history whose newest entries were removed with their pointers is a shorter history; nothing in the store can
        tell. Whoever needs to know compares with what was seen before: the events in Dagster, or a printed digest.

        Raises
        ------
        TamperedError
            If an entry was changed, moved or left out.
        """
        return tuple(one.entry for one in self._chain(release))

    def _chain(self, release: str) -> list[_Kept]:
        numbers = self._store.versions(_key(release))
        if numbers != list(range(1, len(numbers) + 1)):
            raise TamperedError(
                f"the history of {release} has the entries {numbers}; some are gone, restore them from a backup"
            )
        kept = [self._kept(release, number) for number in numbers]
        check_chain([one.entry for one in kept], [one.sha256 for one in kept], release=release)
        return kept

    def _newest(self, release: str) -> _Kept | None:
        newest = max(self._store.versions(_key(release)), default=0)
        return self._kept(release, newest) if newest else None

    def _kept(self, release: str, number: int) -> _Kept:
        files = self._store.get(_key(release), version=number)
        where = f"entry {number} of the history of {release}"
        if set(files) != {ENTRY_FILE}:
            raise TamperedError(f"{where} is made of {', '.join(sorted(files))}, not of {ENTRY_FILE}")
        entry = parse_json(Entry, files[ENTRY_FILE], name=where)
        if (entry.release, entry.seq) != (release, number):
            raise TamperedError(f"{where} is entry {entry.seq} of {entry.release}; restore it from a backup")
        return _Kept(entry, _sha256(files[ENTRY_FILE]))

    # -- writing --------------------------------------------------------------------------------------------------

    def record(
        self,
        release: str,
        code: Code,
        *,
        at: datetime,
        by: str,
        why: str = "",
        evidence_sha256: str | None = None,
        details: Mapping[str, str | int] | None = None,
        week_is_over: bool = False,
    ) -> Entry:
        """Record that something happened; where somebody else records first, what they left decides whether it may.

        Raises
        ------
        IllegalTransitionError
            If it may not happen to the release in its state.
        ConflictError
            If others record without a pause.
        """
        due = Due(code=code, why=why, evidence_sha256=evidence_sha256, details=details or {}, week_is_over=week_is_over)
        for _ in range(_TRIES):
            try:
                return self._append(release, due, after=self._newest(release), at=at, by=by).entry
            except ConflictError:
                continue
        raise _crowded(release)

    def follow(self, release: str, facts: Facts, *, now: datetime) -> tuple[Entry, ...]:
        """Record what the evidence says and the history does not; return the new entries, none where it says it all.

        Raises
        ------
        TamperedError
            If the history was changed; nothing is added to it.
        ConflictError
            If others record without a pause.
        """
        written: list[Entry] = []
        for _ in range(_TRIES):
            chain = self._chain(release)
            last = chain[-1] if chain else None
            try:
                for due in due_entries(facts, [one.entry for one in chain]):
                    last = self._append(release, due, after=last, at=now, by=FOLLOWER)
                    written.append(last.entry)
            except ConflictError:
                continue
            return tuple(written)
        raise _crowded(release)

    def _append(self, release: str, due: Due, *, after: _Kept | None, at: datetime, by: str) -> _Kept:
        state = after.entry.to_state if after else None
        entry = Entry(
            release=release,
            seq=after.entry.seq + 1 if after else 1,
            at=at,
            code=due.code,
            from_state=state,
            to_state=successor(state, due.code, week_is_over=due.week_is_over),
            week_is_over=due.week_is_over,
            by=by,
            why=due.why,
            evidence_sha256=due.evidence_sha256,
            details=due.details,
            previous_sha256=after.sha256 if after else None,
        )
        data = canonical_json(entry)
        self._store.put(_key(release), {ENTRY_FILE: data}, version=entry.seq)
        return _Kept(entry, _sha256(data))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _key(release: str) -> str:
    return f"{release}/{HISTORY}"


def _crowded(release: str) -> ConflictError:
    return ConflictError(f"others keep recording in the history of {release}; run again")
