"""What is stored of a release that moves it from one state to the next?

Two questions about the same few artifacts: what they say, and, much cheaper, whether any of them is another one than
the last time somebody asked.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Any, Final, NamedTuple

from tars_ops.adapters.catalogue import CERTIFICATION, GA_BASELINE, REGRESSION, RUNNING_DAY, Kind
from tars_ops.adapters.registry import ENTRY, Registered
from tars_ops.adapters.store import Store
from tars_ops.core.standing import BaselineFact, CertificationFact, Facts, RunningFact, VerdictFact

_MOVING: Final = (GA_BASELINE, REGRESSION, CERTIFICATION, RUNNING_DAY)
_MARK_LENGTH: Final = 12
"""Characters: it travels in a sensor's cursor, and a mark is only ever compared with the one before it."""


class _Stored(NamedTuple):
    """A stored value and the digest of its artifact."""

    value: Any
    sha256: str


def gather_facts(store: Store, registered: Registered, *, now: datetime) -> Facts:
    """Return what is stored of a release and moves it.

    Raises
    ------
    TamperedError
        If one of the artifacts was changed.
    """
    release = registered.release
    baseline, verdict, certification, running = (_read(store, release.key, kind) for kind in _MOVING)
    return Facts(
        release=release.key,
        n_days=release.n_days,
        ga_reached=now >= release.ga_at,
        policy_sha256=release.policy_sha256,
        baseline=baseline and BaselineFact(sha256=baseline.sha256, supersedes=baseline.value.supersedes),
        verdict=verdict
        and VerdictFact(as_of=verdict.value.as_of, decision=verdict.value.decision, sha256=verdict.sha256),
        certification=certification
        and CertificationFact(
            as_of=certification.value.as_of, may_close=certification.value.may_close, sha256=certification.sha256
        ),
        running=running
        and RunningFact(
            day=running.value.day, advises_roll_back=running.value.advises_roll_back, sha256=running.sha256
        ),
    )


def evidence_mark(store: Store, release: str) -> str:
    """Return a short text that changes with every artifact that moves a release.

    No content is read, only names of versions: it is asked of every open release all the time.
    """
    newest = [key for kind in _MOVING if (key := _newest_key(store, release, kind))]
    keys = (f"{release}/{ENTRY}", *newest)
    listed = " ".join(f"{key} {max(store.versions(key), default=0)}" for key in keys)
    return hashlib.sha256(listed.encode()).hexdigest()[:_MARK_LENGTH]


def _read(store: Store, release: str, kind: Kind) -> _Stored | None:
    key = _newest_key(store, release, kind)
    pointer = store.pointer(key) if key else None
    if not (key and pointer):
        return None
    return _Stored(kind.decode(store.get(key, version=pointer.version)), pointer.sha256)


def _newest_key(store: Store, release: str, kind: Kind) -> str | None:
    """Return the key of the latest day's artifact of a kind; None where there is none."""
    folder, parted, _ = kind.folder.partition("/{at}")
    ats = store.children(f"{release}/{folder}") if parted else [""]
    keys = (kind.key(release, at) for at in sorted(ats, reverse=True))
    return next((key for key in keys if store.versions(key)), None)
