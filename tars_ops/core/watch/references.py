"""What else than its GA day and its objectives can a day be compared with?

The same day of the release before it, and the day before GA in staging. What there is of them is pinned by digest when
the watch opens, so that a verdict rests on the same references all week. Whether a reference can be compared at all is
judged day by day, like everything else.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Final, Self

from pydantic import Field, model_validator

from tars_ops.core.model import Frozen, Sha256
from tars_ops.core.policy import Baselines
from tars_ops.core.release import Release
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.stability import DailyStability


class BaselineKind(StrEnum):
    """What a day is compared with."""

    GA_DAY = "ga_day"
    PREVIOUS_RELEASE = "previous_release"
    STAGING = "staging"
    SLO = "slo"


@dataclass(frozen=True, slots=True)
class Reference:
    """A period that a day may be compared with."""

    telemetry: Telemetry
    release: str
    """Key of the release that ran there."""
    day: int | None
    """Its day of the watch; None in staging."""
    stability: DailyStability | None = None
    """How that day was judged; None where it was not."""
    anomalies: AnomalyEvents | None = None
    """The events of that day; None where nobody looked for them."""


@dataclass(frozen=True, slots=True)
class References:
    """Every reference of a release, and why another is not there."""

    previous: Mapping[int, Reference] = field(default_factory=dict)
    """By the day of the watch that it is compared with."""
    staging: Reference | None = None
    absent: Mapping[BaselineKind, str] = field(default_factory=dict)
    """Why a baseline that the policy asks for is not there, in words."""


NO_REFERENCES = References()


class PinnedArtifact(Frozen):
    """One version of one artifact of the store, by the digests of its files."""

    artifact: str
    version: Annotated[int, Field(ge=1)]
    """Number of its version in the store, 1 for the first."""
    files: Mapping[str, Sha256]
    """Digest of each file, by its path in the tree and the bundle of the release that it belongs to."""


class PinnedDay(Frozen):
    """One day of the release before."""

    day: int
    telemetry: PinnedArtifact
    """What was measured on it."""
    stability: PinnedArtifact | None
    """How the day was judged; None where it was not."""
    anomalies: PinnedArtifact | None
    """The events of the day; None where nobody looked for them."""


class PinnedStaging(Frozen):
    """Staging on the day before GA."""

    selector: str
    """Matchers that its series carry."""
    telemetry: PinnedArtifact
    """What was measured there."""


class ReferenceBaselines(Frozen):
    """What there was to compare a release with when its watch opened; none of it changes afterwards."""

    release: str
    previous: str | None
    """Key of the release before, as registered."""
    previous_days: tuple[PinnedDay, ...]
    """The days of it that were in the store, oldest first."""
    staging: PinnedStaging | None
    """Staging on the day before GA; None where nothing is known of it."""
    absent: Mapping[BaselineKind, str]
    """Why nothing at all is pinned of a kind, in words."""
    supersedes: Sha256 | None = None
    """Digest of what was pinned before and replaced by this on purpose."""

    @model_validator(mode="after")
    def _what_is_absent_has_its_reason(self) -> Self:
        there = {BaselineKind.PREVIOUS_RELEASE: self.previous_days, BaselineKind.STAGING: self.staging}
        if silent := [kind for kind, found in there.items() if not found and not self.absent.get(kind)]:
            msg = f"nothing is pinned of {', '.join(silent)} and no reason is given in `absent`"
            raise ValueError(msg)
        return self

    @property
    def days(self) -> tuple[int, ...]:
        """The days of the release before that are pinned."""
        return tuple(one.day for one in self.previous_days)


NOT_PINNED: Final = (
    "not pinned when the watch opened; materialise `staging_telemetry` and `reference_baselines` to pin it"
)


def pin_once(
    found: ReferenceBaselines, *, pinned: ReferenceBaselines | None, pinned_sha256: str | None, refreeze: bool
) -> ReferenceBaselines:
    """Return what stays pinned: the first that was found, until somebody asks to look again.

    Unlike the GA day, other content is no error: the store keeps what is pinned, and a release before that is still
    watched gains a day every day.
    """
    if pinned is None:
        return found
    if not refreeze or found == pinned.model_copy(update={"supersedes": None}):
        return pinned
    return found.model_copy(update={"supersedes": pinned_sha256})


def why_absent(pinned: ReferenceBaselines | None, release: Release, baselines: Baselines) -> dict[BaselineKind, str]:
    """Say of each reference that the policy asks for why it, or a day of it, is not there; empty where all are."""
    reasons: dict[BaselineKind, str | None] = {}
    if baselines.previous_release:
        reasons[BaselineKind.PREVIOUS_RELEASE] = _why_no_previous(pinned, release)
    if baselines.staging:
        reasons[BaselineKind.STAGING] = _why_no_staging(pinned, baselines.staging.selector)
    return {kind: why for kind, why in reasons.items() if why}


def described(pinned: ReferenceBaselines | None, release: Release, baselines: Baselines) -> dict[BaselineKind, str]:
    """Say of each reference that the policy asks for what of it is pinned, and what not, in words."""
    absent = why_absent(pinned, release, baselines)
    there = dict.fromkeys(absent, "")
    if pinned and pinned.days and baselines.previous_release:
        there[BaselineKind.PREVIOUS_RELEASE] = f"{pinned.previous}, {_named(pinned.days)}"
    if pinned and pinned.staging and baselines.staging and BaselineKind.STAGING not in absent:
        there[BaselineKind.STAGING] = pinned.staging.selector
    return {kind: "; ".join(filter(None, (said, absent.get(kind)))) for kind, said in there.items()}


def _why_no_previous(pinned: ReferenceBaselines | None, release: Release) -> str | None:
    if pinned is None:
        return NOT_PINNED
    if not pinned.previous_days:
        return pinned.absent[BaselineKind.PREVIOUS_RELEASE]
    missing = [day for day in release.days if day not in pinned.days]
    if not missing:
        return None
    verb = "was" if len(missing) == 1 else "were"
    return f"{_named(missing)} of {pinned.previous} {verb} not in the store when the watch opened"


def _named(days: Sequence[int]) -> str:
    return f"{'day' if len(days) == 1 else 'days'} {', '.join(map(str, days))}"


def _why_no_staging(pinned: ReferenceBaselines | None, selector: str) -> str | None:
    if pinned is None:
        return NOT_PINNED
    if pinned.staging is None:
        return pinned.absent[BaselineKind.STAGING]
    if pinned.staging.selector == selector:
        return None
    return f"pinned is staging of {pinned.staging.selector}, and the policy names {selector} since"
