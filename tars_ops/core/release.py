"""Which release is watched, over which windows, under which keys?

A release key is ``product@version``. Days are counted from the GA instant: day 0 is the GA day (the baseline), days
1..7 are the watch. Windows are UTC and half-open, so a sample on a border belongs to the window that starts there.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, NamedTuple, Self

from pydantic import AfterValidator, Field, model_validator

from tars_ops.core.errors import UsageError
from tars_ops.core.model import Frozen, Instant, Sha256

KEY_PATTERN = re.compile(r"^[a-z0-9][a-z0-9._-]{0,31}@[0-9A-Za-z][0-9A-Za-z._+-]{0,31}\Z")
"""What Dagster's dynamic partitions do not check by themselves: `|` and `,` would break them silently."""

_DAY = re.compile(r"^day_([0-9][0-9])\Z")
LONGEST_WATCH_DAYS = 99


def checked_key(key: str) -> str:
    """Return a release key, or say what a key looks like.

    Examples
    --------
    >>> checked_key("tars@1.0.1")
    'tars@1.0.1'
    """
    if not KEY_PATTERN.match(key) or ".." in key:
        raise UsageError(
            f"release {key!r} is not `product@version`, for example `tars@1.0.1` "
            "(product: a-z 0-9 . _ -, version: letters, digits . _ + -, each at most 32 characters, no `..`)"
        )
    return key


def day_key(day: int) -> str:
    """Return the partition key of a day of the watch.

    Examples
    --------
    >>> day_key(3)
    'day_03'
    """
    if not 1 <= day <= LONGEST_WATCH_DAYS:
        raise UsageError(f"day {day} is not a day of a watch (1..{LONGEST_WATCH_DAYS})")
    return f"day_{day:02d}"


def day_number(key: str) -> int:
    """Return the day that a partition key names.

    Examples
    --------
    >>> day_number("day_03")
    3
    """
    if not (match := _DAY.match(key)):
        raise UsageError(f"{key!r} is not a day key such as `day_03`")
    return int(match.group(1))


def millis(instant: datetime) -> int:
    """Return an instant as whole milliseconds since 1970 UTC, without going through a float."""
    return (instant - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def instant(at_ms: int) -> datetime:
    """Return milliseconds since 1970 as an instant in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms)


class Window(NamedTuple):
    """A half-open span of time ``[start_at, end_at)`` in UTC."""

    start_at: datetime
    end_at: datetime

    @property
    def start_ms(self) -> int:
        """First millisecond inside."""
        return millis(self.start_at)

    @property
    def end_ms(self) -> int:
        """First millisecond outside."""
        return millis(self.end_at)

    @property
    def length_s(self) -> int:
        """Length in seconds."""
        return (self.end_ms - self.start_ms) // 1000


def _whole_seconds(instant_: datetime) -> datetime:
    if instant_.microsecond:
        msg = f"{instant_.isoformat()} is finer than a second; give GA to the second"
        raise ValueError(msg)
    return instant_


class Release(Frozen):
    """One version of one product, with everything that its judgement is pinned to."""

    product: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,31}$")]
    ga_at: Annotated[Instant, AfterValidator(_whole_seconds)]
    """Start of the GA day, UTC, to the second."""
    policy_sha256: Sha256
    """Digest of the policy file that judges this release; judging by another one is an explicit act."""
    day_length_s: Annotated[int, Field(ge=10, le=86400)] = 86400
    """Seconds per day of the watch; shorter ones make a bake time."""
    n_days: Annotated[int, Field(ge=1, le=LONGEST_WATCH_DAYS)] = 7
    """How many days after the GA day are watched."""
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None = None
    artifact_sha256: Sha256 | None = None
    """Digest of the software that was released, so that evidence can be bound to it."""
    previous: str | None = None
    """Key of the release before this one."""

    @model_validator(mode="after")
    def _keys_are_keys(self) -> Self:
        for key in filter(None, (self.key, self.previous)):
            if not KEY_PATTERN.match(key) or ".." in key:
                msg = f"{key!r} is not a release key such as `tars@1.0.1`"
                raise ValueError(msg)
        if self.previous == self.key:
            msg = f"{self.key} cannot be the release before itself"
            raise ValueError(msg)
        return self

    @property
    def key(self) -> str:
        """``product@version``, the partition key."""
        return f"{self.product}@{self.version}"

    @property
    def days(self) -> range:
        """The days of the watch, 1..n, without the GA day."""
        return range(1, self.n_days + 1)

    @property
    def day_before_ga(self) -> Window:
        """The window of a day's length that ends with GA."""
        return Window(self.ga_at - timedelta(seconds=self.day_length_s), self.ga_at)

    def window(self, day: int) -> Window:
        """Return the window of a day; 0 is the GA day.

        Raises
        ------
        UsageError
            If the release is not watched that long.
        """
        if not 0 <= day <= self.n_days:
            raise UsageError(f"{self.key} is watched for {self.n_days} days; there is no day {day}")
        start = self.ga_at + timedelta(seconds=day * self.day_length_s)
        return Window(start, start + timedelta(seconds=self.day_length_s))
