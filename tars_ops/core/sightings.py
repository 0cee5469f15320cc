"""Which releases begin, flap, go back or are superseded, by what was seen running?

A version is seen as spans of time. What is seen now is compared with what was known after the look before, so that
every event is told once; what was known is small and bounded, because it travels in a sensor's cursor.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from tars_ops.core.errors import UsageError
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.release import Window, checked_key
from tars_ops.core.units import at_most

FLAP: Final = timedelta(minutes=10)
"""A version that is away this long and comes back has flapped; shorter gaps are lost scrapes."""
GONE: Final = timedelta(minutes=15)
"""A version that is away this long no longer serves; one that was seen within ``FLAP`` does."""
MOST_VERSIONS: Final = 100
"""Versions of one product that are remembered; those not seen for longest are forgotten first."""
MOST_AT_ONCE: Final = 50
"""More new versions in one look mean that the label holds no versions."""
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Sight(StrEnum):
    """What was seen to happen to a release."""

    BEGAN = "began"
    FLAPPED = "flapped"
    WENT_BACK = "went_back"
    SUPERSEDED = "superseded"


class Event(NamedTuple):
    """One thing that happened to one release."""

    sight: Sight
    release: str
    at: datetime
    """GA for a release that began, return for one that flapped, last sight for the others."""
    other: str | None
    """Key of the release before (began), or of the one that serves instead (went back, superseded)."""
    why: str


class KnownVersion(Frozen):
    """What is remembered of one version."""

    version: str
    first_at: Instant | None
    """First sight; None for a version that ran before the first look, so that its GA is unknown."""
    last_at: Instant
    """End of the last step in which it was seen."""
    told: Sight | None = None
    """What was told of its absence; forgotten when it comes back."""


class Known(Frozen):
    """What is remembered of one product."""

    to_at: Instant
    """End of the last look."""
    versions: tuple[KnownVersion, ...] = ()


class Look(NamedTuple):
    """What one look found out."""

    known: Known | None
    """To be remembered until the next look."""
    events: tuple[Event, ...] = ()
    refused: tuple[str, ...] = ()
    """Why a version is no release: one line each."""
    running_before: tuple[str, ...] = ()
    """Versions that already ran when the product was looked at for the first time."""


class Releases(NamedTuple):
    """The registered releases of one product, by version."""

    ga_at: Mapping[str, datetime]
    closed: Collection[str] = ()
    """Those that nothing more can happen to."""


def spans(starts_at: Iterable[datetime], step: timedelta) -> tuple[Window, ...]:
    """Join the steps in which something was seen, in the order of time, into spans without a gap of ``FLAP``.

    Examples
    --------
    >>> minutes = [datetime(2026, 1, 1, 0, minute, tzinfo=UTC) for minute in (0, 1, 8, 30)]
    >>> [(f"{a:%H:%M}", f"{b:%H:%M}") for a, b in spans(minutes, timedelta(minutes=1))]
    [('00:00', '00:09'), ('00:30', '00:31')]
    """
    joined: list[Window] = []
    for start_at in starts_at:
        if joined and start_at - joined[-1].end_at < FLAP:
            joined[-1] = Window(joined[-1].start_at, start_at + step)
        else:
            joined.append(Window(start_at, start_at + step))
    return tuple(joined)


def look(
    known: Known | None, seen: Mapping[str, Sequence[Window]], window: Window, *, product: str, releases: Releases
) -> Look:
    """Say what happened to the releases of one product since the look before.

    Parameters
    ----------
    known : Known or None
        What the look before returned; None looks for the first time.
    seen : version -> spans
        When each version was seen within ``window``. The window may begin before the end of the look before.

    Notes
    -----
    A first look cannot tell the GA of a version that is there at the window's left edge: it becomes known, but no
    release begins. More than ``MOST_AT_ONCE`` new versions are refused together and nothing is remembered, so that
    they are refused again until the policy names a label that holds versions.
    """
    valid, refused = _valid(product, seen)
    before = {one.version: one for one in known.versions} if known else {}
    fresh = sorted((v for v in valid if v not in before), key=lambda v: (valid[v][0].start_at, v))
    edge = tuple(v for v in fresh if known is None and valid[v][0].start_at - window.start_at < FLAP)
    began = [v for v in fresh if v not in edge and v not in releases.ga_at]
    if len(began) > MOST_AT_ONCE:
        why = f"{len(began)} new versions of {product} at once: does version_label of its policy hold the version?"
        return Look(known, refused=(*refused, why))
    after = {**before, **{v: _updated(v, before.get(v), valid[v], is_edge=v in edge) for v in valid}}
    ga = {**{v: valid[v][0].start_at for v in began}, **releases.ga_at}
    events = [_began(product, v, ga[v], after, ga) for v in began]
    is_open = [v for v in ga if v not in releases.closed]
    events += [_flapped(product, v, gap) for v in is_open if v in valid for gap in _gaps(before.get(v), valid[v])]
    absences = _absences(product, after, ga, window.end_at)
    told = {v: event for v, event in absences.items() if v in is_open and after[v].told is not event.sight}
    after |= {v: after[v].model_copy(update={"told": event.sight}) for v, event in told.items()}
    newest = sorted(after.values(), key=lambda one: (one.last_at, one.version))[-MOST_VERSIONS:]
    remembered = Known(to_at=window.end_at, versions=tuple(sorted(newest, key=lambda one: one.version)))
    return Look(remembered, (*events, *told.values()), tuple(refused), edge)


def _valid(product: str, seen: Mapping[str, Sequence[Window]]) -> tuple[dict[str, Sequence[Window]], list[str]]:
    """Drop every version that could not be the name of a partition."""
    valid: dict[str, Sequence[Window]] = {}
    refused: list[str] = []
    for version in sorted(version for version, found in seen.items() if found):
        try:
            checked_key(f"{product}@{version}")
        except UsageError:
            refused.append(
                f"version {at_most(repr(version), 60)} of {product} is no release: a version is at most 32 letters, "
                "digits and . _ + -, without `..`"
            )
        else:
            valid[version] = seen[version]
    return valid, refused


def _updated(version: str, known: KnownVersion | None, found: Sequence[Window], *, is_edge: bool) -> KnownVersion:
    if known is None:
        first_at = None if is_edge else found[0].start_at
        return KnownVersion(version=version, first_at=first_at, last_at=found[-1].end_at)
    if found[-1].end_at <= known.last_at:
        return known
    return known.model_copy(update={"last_at": found[-1].end_at, "told": None})


def _gaps(known: KnownVersion | None, found: Sequence[Window]) -> Iterator[Window]:
    """Yield each absence that ended since the look before."""
    ends_at = [*([known.last_at] if known else []), *(one.end_at for one in found)]
    starts_at = [one.start_at for one in (found if known else found[1:])]
    for gone_at, back_at in zip(ends_at, starts_at, strict=False):
        if back_at - gone_at >= FLAP and not (known and back_at < known.last_at):
            yield Window(gone_at, back_at)


def _began(
    product: str, version: str, ga_at: datetime, after: Mapping[str, KnownVersion], ga: Mapping[str, datetime]
) -> Event:
    earlier = [one for v, one in after.items() if v != version and _age(one, ga) < ga_at]
    latest = max(earlier, key=lambda one: (_age(one, ga), one.last_at, one.version), default=None)
    previous = f"{product}@{latest.version}" if latest else None
    why = f"seen for the first time at {ga_at:%Y-%m-%d %H:%M} UTC"
    return Event(Sight.BEGAN, f"{product}@{version}", ga_at, previous, why)


def _age(one: KnownVersion, ga: Mapping[str, datetime]) -> datetime:
    """When a version began; one that ran before the first look is older than all."""
    return ga.get(one.version) or one.first_at or _NEVER


def _flapped(product: str, version: str, gap: Window) -> Event:
    why = f"not seen for {gap.length_s // 60} min, from {gap.start_at:%Y-%m-%d %H:%M} UTC, and came back"
    return Event(Sight.FLAPPED, f"{product}@{version}", gap.end_at, None, why)


def _absences(
    product: str, after: Mapping[str, KnownVersion], ga: Mapping[str, datetime], now: datetime
) -> dict[str, Event]:
    """Return what the absence of each release means: gone while a newer release serves, or only older versions."""
    serving = [one for one in after.values() if now - one.last_at < FLAP]
    if not serving:
        return {}
    instead = max(serving, key=lambda one: (_age(one, ga), one.version))
    found: dict[str, Event] = {}
    for one in sorted(after.values(), key=lambda one: (_age(one, ga), one.version)):
        if one.version in ga and now - one.last_at >= GONE:
            sight = Sight.SUPERSEDED if _age(instead, ga) > ga[one.version] else Sight.WENT_BACK
            why = f"last seen at {one.last_at:%Y-%m-%d %H:%M} UTC; {instead.version} serves"
            key, other = (f"{product}@{version}" for version in (one.version, instead.version))
            found[one.version] = Event(sight, key, one.last_at, other, why)
    return found
