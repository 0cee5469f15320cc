"""How often was a day or a verdict of a release tried, and may it be tried now?

The instance is asked for the runs of days that are due, never for those of all releases. A day is never given up: the
time between two attempts grows and stays at six hours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final, NamedTuple

import dagster as dg

from tars_ops.adapters.catalogue import as_of_key
from tars_ops.core.due import wait_before
from tars_ops.core.release import day_key
from tars_ops.defs.automation.jobs import AS_OF_TAG, DAY_TAG, GA, JUDGE_RELEASE, OPEN_WATCH, RELEASE_TAG, WATCH_DAY

RUN_KEY_TAG: Final = "dagster/run_key"
EVIDENCE_TAG: Final = "tars_ops/evidence"
"""Tag of a verdict: the beginning of the digest of everything that it rests on."""
_S = dg.DagsterRunStatus
FINISHED: Final = frozenset({_S.SUCCESS, _S.FAILURE, _S.CANCELED})
PENDING: Final = (_S.QUEUED, _S.STARTING, _S.STARTED, _S.CANCELING)
"""A run that was created and never handed to the queue (NOT_STARTED) is none: its launcher died."""


class Attempt(NamedTuple):
    """The next run of a day."""

    number: int
    """1 for the first; part of the run key, so that no key is used for two runs."""
    not_before: datetime | None
    """End of the wait after a run that brought no verdict."""


def day_name(day: int) -> str:
    """Return how tags and run keys call a day; 0 is the GA day."""
    return day_key(day) if day else GA


def job_of(day: int) -> str:
    """Return the job that judges a day."""
    return WATCH_DAY if day else OPEN_WATCH


def run_key(release: str, day: int, attempt: int) -> str:
    """Return the key under which Dagster remembers a request for ever.

    Examples
    --------
    >>> run_key("tars@1.0.1", 3, 2), run_key("tars@1.0.1", 0, 1)
    ('tars@1.0.1|day_03|2', 'tars@1.0.1|ga|1')
    """
    return f"{release}|{day_name(day)}|{attempt}"


def pending(instance: dg.DagsterInstance) -> set[tuple[str, str]]:
    """Return the release and day of every run that waits or works."""
    runs = instance.get_runs(dg.RunsFilter(statuses=list(PENDING)))
    ours = [run.tags for run in runs if run.job_name in {OPEN_WATCH, WATCH_DAY}]
    return {(tags.get(RELEASE_TAG, ""), tags.get(DAY_TAG, "")) for tags in ours}


def next_attempt(instance: dg.DagsterInstance, release: str, day: int) -> Attempt:
    """Return the next attempt at a day that no run is pending for.

    Finished runs count whatever their outcome: a run that succeeded and left no verdict has to be followed by another.
    """
    tags = {RELEASE_TAG: release, DAY_TAG: day_name(day)}
    records = instance.get_run_records(dg.RunsFilter(job_name=job_of(day), tags=tags))
    return _after(records, stem=run_key(release, day, 0)[:-1])


def verdict_tags(release: str, as_of: int, evidence: str) -> dict[str, str]:
    """Return the tags of a verdict that rests on certain evidence."""
    return {RELEASE_TAG: release, AS_OF_TAG: as_of_key(as_of), EVIDENCE_TAG: evidence[:16]}


def verdict_key(release: str, as_of: int, evidence: str, attempt: int) -> str:
    """Return the key under which Dagster remembers the request of a verdict.

    Examples
    --------
    >>> verdict_key("tars@1.0.1", 3, "0123456789abcdef0123", 1)
    'tars@1.0.1|as_of_03|0123456789abcdef|1'
    """
    return f"{release}|{as_of_key(as_of)}|{evidence[:16]}|{attempt}"


def next_verdict(instance: dg.DagsterInstance, release: str, as_of: int, evidence: str) -> Attempt | None:
    """Return the next attempt at a verdict that rests on certain evidence; None while a run is pending for it."""
    tags = verdict_tags(release, as_of, evidence)
    records = instance.get_run_records(dg.RunsFilter(job_name=JUDGE_RELEASE, tags=tags))
    if any(record.dagster_run.status in PENDING for record in records):
        return None
    return _after(records, stem=verdict_key(release, as_of, evidence, 0)[:-1])


def _after(records: Sequence[dg.RunRecord], *, stem: str) -> Attempt:
    finished = [record for record in records if record.dagster_run.status in FINISHED]
    number = 1 + max(len(finished), _highest(finished, stem))
    started = _highest((one for one in records if one.dagster_run.status is _S.NOT_STARTED), stem)
    if started >= number:
        return Attempt(started, None)  # created, never launched: the same key takes that run up again
    ended_at = _last_end(finished)
    return Attempt(number, ended_at + wait_before(number) if ended_at else None)


def _highest(records: Iterable[dg.RunRecord], stem: str) -> int:
    """Return the highest attempt among the run keys; a number whose run was deleted is not used for another run."""
    keys = (record.dagster_run.tags.get(RUN_KEY_TAG, "") for record in records)
    numbers = (key.removeprefix(stem) for key in keys if key.startswith(stem))
    return max((int(number) for number in numbers if number.isdecimal()), default=0)


def _last_end(records: Sequence[dg.RunRecord]) -> datetime | None:
    ends = [
        datetime.fromtimestamp(one.end_time, UTC) if one.end_time else one.update_timestamp.replace(tzinfo=UTC)
        for one in records
    ]
    return max(ends, default=None)
