"""Which days of a release are expected to be judged by now, and when are they tried again?

Pure: what is done and what time it is are given. Day 0 is the GA day; it stands for the frozen baseline.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final, NamedTuple

from tars_ops.core.release import Release

LATE: Final = timedelta(hours=6)
"""A day that has been over for so long is judged by what there is of it; the gates say what is missing."""
FIRST_WAIT: Final = timedelta(minutes=10)
LONGEST_WAIT: Final = timedelta(hours=6)
_SHORTEST_OVERDUE_S: Final = 300
"""A sensor looks once a minute, and a run takes its time to start: before that nothing is overdue."""


class Progress(NamedTuple):
    """How far the judgement of a release has come."""

    has_baseline: bool
    done: Collection[int]
    """Days with a verdict on that day alone, 1..n."""
    ended_at: datetime | None = None
    """When the release stopped serving; days that begin later do not concern it."""


def expected(release: Release, progress: Progress, *, now: datetime, after: timedelta) -> tuple[int, ...]:
    """Return the days that are over for longer than ``after`` and not judged; only day 0 before the baseline.

    Examples
    --------
    >>> from datetime import UTC
    >>> ga_at = datetime(2026, 1, 1, tzinfo=UTC)
    >>> tars = Release(product="tars", version="1.0.1", ga_at=ga_at, policy_sha256="0" * 64)
    >>> on_the_fourth = datetime(2026, 1, 4, 1, tzinfo=UTC)
    >>> expected(tars, Progress(has_baseline=False, done=()), now=on_the_fourth, after=timedelta(minutes=10))
    (0,)
    >>> expected(tars, Progress(has_baseline=True, done={1}), now=on_the_fourth, after=timedelta(minutes=10))
    (2,)
    """
    return tuple(day for day in missing(release, progress, now=now, after=after) if progress.has_baseline or day == 0)


def missing(release: Release, progress: Progress, *, now: datetime, after: timedelta) -> tuple[int, ...]:
    """Return the days that are over for longer than ``after`` and not judged, whatever they wait for."""
    done = {*progress.done, *((0,) if progress.has_baseline else ())}
    return tuple(
        day
        for day in (0, *release.days)
        if day not in done
        and release.window(day).end_at + after <= now
        and (progress.ended_at is None or release.window(day).start_at < progress.ended_at)
    )


def grace(release: Release, grace_s: int) -> timedelta:
    """Return how long late samples of a day are waited for: at most as long as a day of the watch."""
    return timedelta(seconds=min(grace_s, release.day_length_s))


def late(release: Release, grace_s: int) -> timedelta:
    """Return after which time a day is judged by what there is: 6 h, and less where days are shorter than that."""
    return max(grace(release, grace_s), min(LATE, timedelta(seconds=release.day_length_s)))


def overdue_after(release: Release, overdue_s: int) -> timedelta:
    """Return after which time a day without a verdict is a reason to call somebody."""
    return timedelta(seconds=min(overdue_s, max(_SHORTEST_OVERDUE_S, 4 * release.day_length_s)))


def wait_before(attempt: int) -> timedelta:
    """Return how long after the end of the run before an attempt is made: 10 min, doubled each time, at most 6 h.

    Examples
    --------
    >>> [wait_before(attempt) // timedelta(minutes=1) for attempt in (1, 2, 3, 4, 5, 6, 7, 8, 10_000)]
    [0, 10, 20, 40, 80, 160, 320, 360, 360]
    """
    if attempt <= 1:
        return timedelta(0)
    return min(FIRST_WAIT * 2 ** min(attempt - 2, 10), LONGEST_WAIT)
