"""What is in the store of the references of a release, and how is it read back by its digest?

Pinning reads names and digests only, no content. Reading takes exactly the pinned version and refuses any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from tars_ops.adapters.catalogue import (
    ANOMALY_EVENTS,
    DAILY_STABILITY,
    DAILY_TELEMETRY,
    REFERENCE_BASELINES,
    STAGING_TELEMETRY,
    Kind,
    days_with,
)
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TamperedError
from tars_ops.core.release import Release, day_key
from tars_ops.core.watch.references import (
    BaselineKind,
    PinnedArtifact,
    PinnedDay,
    PinnedStaging,
    Reference,
    ReferenceBaselines,
)
from tars_ops.core.watch.staging import StagingDay, StagingTelemetry

_OF_A_DAY: Final = (DAILY_TELEMETRY, DAILY_STABILITY, ANOMALY_EVENTS)


def find_references(store: Store, release: Release, staging: StagingDay) -> ReferenceBaselines:
    """Return what the store holds now of the release before and of staging.

    Parameters
    ----------
    staging : StagingDay
        What the asset `staging_telemetry` says of the day before GA.

    Raises
    ------
    TamperedError
        If a pointer of the store was changed.
    """
    previous = _previous_of(store, release)
    days = () if isinstance(previous, str) else tuple(_days_of(store, previous))
    why_not = (
        previous if isinstance(previous, str) else f"no day of {previous.key} was in the store when the watch opened"
    )
    absent = {BaselineKind.PREVIOUS_RELEASE: None if days else why_not, BaselineKind.STAGING: staging.absent}
    return ReferenceBaselines(
        release=release.key,
        previous=release.previous,
        previous_days=days,
        staging=_staging_of(store, release.key, staging),
        absent={kind: why for kind, why in absent.items() if why},
    )


def _previous_of(store: Store, release: Release) -> Release | str:
    """Return the release before, or say why no day of it can be compared with the same day of this one."""
    if release.previous is None:
        return "no release before it is registered"
    if release.previous.partition("@")[0] != release.product:
        return f"{release.previous}, the release before it, is of another product"
    registry = Registry(store)
    if release.previous not in registry.all_keys():
        return f"{release.previous}, the release before it, was not registered when the watch opened"
    previous = registry.get(release.previous).release
    if previous.day_length_s != release.day_length_s:
        return (
            f"a day of {previous.key} has {previous.day_length_s} s, one of {release.key} has {release.day_length_s} s"
        )
    return previous


def _days_of(store: Store, previous: Release) -> Iterator[PinnedDay]:
    """Pin every day, also one beyond the end of this watch: it may be extended."""
    for day in days_with(store, previous.key, DAILY_TELEMETRY, up_to=previous.n_days):
        telemetry, stability, anomalies = (_pin(store, kind.key(previous.key, day_key(day))) for kind in _OF_A_DAY)
        if telemetry:
            yield PinnedDay(day=day, telemetry=telemetry, stability=stability, anomalies=anomalies)


def _staging_of(store: Store, release: str, day: StagingDay) -> PinnedStaging | None:
    pinned = None if day.absent else _pin(store, STAGING_TELEMETRY.key(release))
    return PinnedStaging(selector=day.selector, telemetry=pinned) if pinned and day.selector else None


def _pin(store: Store, key: str, *, version: int | None = None) -> PinnedArtifact | None:
    pointer = store.pointer(key, version=version)
    if pointer is None:
        return None
    files = {path: one.sha256 for path, one in pointer.files.items()}
    return PinnedArtifact(artifact=pointer.artifact, version=pointer.version, files=files)


def pinned_references(store: Store, release: str) -> ReferenceBaselines | None:
    """Return what is pinned; None for a watch that is not open, or that opened before references were kept."""
    key = REFERENCE_BASELINES.key(release)
    return REFERENCE_BASELINES.decode(store.get(key)) if store.pointer(key) else None


def pinned_day(store: Store, pinned: ReferenceBaselines, day: int) -> Reference:
    """Read a pinned day of the release before.

    Raises
    ------
    TamperedError
        If the store holds anything else than what was pinned.
    KeyError
        If that day is not pinned.
    """
    one = {found.day: found for found in pinned.previous_days}[day]
    return Reference(
        telemetry=_read(store, DAILY_TELEMETRY, one.telemetry),
        release=pinned.previous or "",
        day=day,
        stability=_read(store, DAILY_STABILITY, one.stability) if one.stability else None,
        anomalies=_read(store, ANOMALY_EVENTS, one.anomalies) if one.anomalies else None,
    )


def pinned_staging(store: Store, pinned: ReferenceBaselines) -> Reference | None:
    """Read the pinned staging; None where there is none.

    Raises
    ------
    TamperedError
        If the store holds anything else than what was pinned.
    """
    if pinned.staging is None:
        return None
    found: StagingTelemetry = _read(store, STAGING_TELEMETRY, pinned.staging.telemetry)
    return found.telemetry and Reference(telemetry=found.telemetry, release=pinned.release, day=None)


def _read(store: Store, kind: Kind, pinned: PinnedArtifact) -> Any:  # noqa: ANN401 - any artifact
    is_there = pinned.version in store.versions(pinned.artifact)
    if not is_there or _pin(store, pinned.artifact, version=pinned.version) != pinned:
        state = "not the one that was pinned" if is_there else "gone from the store"
        raise TamperedError(f"version {pinned.version} of {pinned.artifact} is {state}; restore it from a backup")
    return kind.decode(store.get(pinned.artifact, version=pinned.version))
