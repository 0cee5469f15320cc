"""Which days are due? A sensor and two schedules that request whatever is over, complete and not judged.

All of them compare what is expected with what is stored, so it does not matter for how long nobody looked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, NamedTuple

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from tars_ops.adapters.progress import progress_of
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.settings import load_settings
from tars_ops.adapters.source import ReleaseSightings
from tars_ops.adapters.store import Store
from tars_ops.core.due import expected, grace, late
from tars_ops.core.errors import SourceUnavailableError, TarsOpsError
from tars_ops.core.model import Instant
from tars_ops.core.units import at_most
from tars_ops.defs.automation.attempts import day_name, job_of, next_attempt, pending, run_key
from tars_ops.defs.automation.jobs import SCHEDULE_STATUS, SENSOR_STATUS, open_watch, watch_day
from tars_ops.defs.partitions import DAYS, partition_of
from tars_ops.defs.registration import PARTITIONS
from tars_ops.defs.resources import OutboxResource, SourceResource, StoreResource

MOST_REQUESTS: Final = 50
"""Requests of one tick; Dagster gives a tick 60 s."""
MOST_PENDING: Final = 100
"""Runs that may wait or work before no more are requested."""
MOST_LOOKED_AT: Final = 500
"""Due days whose runs are looked up in one tick."""
MOST_WAITS: Final = 2000
"""Days that the cursor remembers as waiting; any others are looked up again."""
CLAIM_S: Final = 300.0
"""A request is made once in this time; one that was claimed and never launched is made again afterwards."""
_SHOWN: Final = 1000
_CURSOR = TypeAdapter(dict[str, Instant])


@dg.sensor(jobs=[open_watch, watch_day], minimum_interval_seconds=60, default_status=SENSOR_STATUS)
def days_are_judged(
    context: dg.SensorEvaluationContext, store: StoreResource, source: SourceResource, outbox: OutboxResource
) -> dg.SensorResult:
    """Every minute: request each GA day and each day of the watch whose data are complete and that is not judged."""
    planner = Planner(context.instance, store, source, outbox, datetime.now(UTC), _waits(context.cursor))
    requests = planner.requests()
    for trouble in planner.troubles:
        context.log.error(trouble)
    return dg.SensorResult(
        run_requests=requests,
        cursor=_CURSOR.dump_json(planner.waits).decode(),
        skip_reason=None if requests else dg.SkipReason(planner.said()),
    )


@dg.schedule(job=open_watch, cron_schedule="20 * * * *", execution_timezone="UTC", default_status=SCHEDULE_STATUS)
def baselines_that_are_due(
    context: dg.ScheduleEvaluationContext, store: StoreResource, source: SourceResource, outbox: OutboxResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every hour: freeze the baseline of each release whose GA day is over and complete."""
    planner = Planner(context.instance, store, source, outbox, context.scheduled_execution_time)
    yield from planner.requests(days=range(1)) or [dg.SkipReason(planner.said())]


@dg.schedule(job=watch_day, cron_schedule="30 0 * * *", execution_timezone="UTC", default_status=SCHEDULE_STATUS)
def days_that_are_due(
    context: dg.ScheduleEvaluationContext, store: StoreResource, source: SourceResource, outbox: OutboxResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every day: judge each day that is over, complete and not judged, of each release with a baseline."""
    planner = Planner(context.instance, store, source, outbox, context.scheduled_execution_time)
    yield from planner.requests(days=range(1, 100)) or [dg.SkipReason(planner.said())]


class DueDay(NamedTuple):
    """A day that should be judged by now."""

    end_at: datetime
    registered: Registered
    day: int

    @property
    def key(self) -> str:
        """Key of the release."""
        return self.registered.release.key

    @property
    def name(self) -> str:
        """What the cursor calls it."""
        return f"{self.key}|{day_name(self.day)}"


@dataclass
class Planner:
    """One comparison of what is expected with what is done, at one moment."""

    instance: dg.DagsterInstance
    store: StoreResource
    source: SourceResource
    outbox: OutboxResource
    now: datetime
    waits: dict[str, datetime] = field(default_factory=dict)
    """Days that are tried again later, and when: they need not be looked up before."""
    troubles: list[str] = field(default_factory=list)
    held_back: list[str] = field(default_factory=list)
    source_answers: bool = True

    def said(self) -> str:
        """Return what the tick says in the UI."""
        waiting = [f"{len(self.held_back)} days wait: {', '.join(self.held_back[:5])}"] if self.held_back else []
        return at_most("; ".join([*waiting, *self.troubles]) or "no day is due", _SHOWN)

    def requests(self, *, days: Sequence[int] = range(100)) -> list[dg.RunRequest]:
        """Return the runs to request now, of these days only, oldest first."""
        due = sorted((one for one in self._due() if one.day in days), key=lambda one: (one.end_at, one.name))
        self.waits = {one.name: self.waits[one.name] for one in due if one.name in self.waits}
        with ExitStack() as opened:
            return list(self._requested(due, opened)) if due else []

    # -- what is due ----------------------------------------------------------------------------------------------

    def _due(self) -> Iterator[DueDay]:
        store, known = self.store.open(), set(self.instance.get_dynamic_partitions(PARTITIONS))
        for key in (key for key in self.store.releases() if key in known):
            try:
                yield from self._due_of(store, self.store.release(key))
            except TarsOpsError as error:
                self.troubles.append(f"{key}: {error}")

    def _due_of(self, store: Store, registered: Registered) -> Iterator[DueDay]:
        release = registered.release
        after = grace(release, load_settings().grace_s)
        progress = progress_of(store, release, now=self.now, after=after)
        for day in expected(release, progress, now=self.now, after=after):
            if day and not DAYS.has_partition_key(day_name(day)):
                longest = len(DAYS.get_partition_keys())
                self.troubles.append(
                    f"{release.key}: day {day} is beyond the {longest} days of this deployment; "
                    f"set TARS_OPS_WATCH_DAYS to {release.n_days}"
                )
                return
            yield DueDay(release.window(day).end_at, registered, day)

    # -- what is requested ----------------------------------------------------------------------------------------

    def _requested(self, due: Iterable[DueDay], opened: ExitStack) -> Iterator[dg.RunRequest]:
        busy, n_requests, n_looked_at = pending(self.instance), 0, 0
        outbox, sightings = opened.enter_context(self.outbox.open()), _Once(self.source, opened)
        for one in due:
            if (one.key, day_name(one.day)) in busy or self.waits.get(one.name, self.now) > self.now:
                continue
            if n_requests >= MOST_REQUESTS or len(busy) + n_requests >= MOST_PENDING or n_looked_at >= MOST_LOOKED_AT:
                self.troubles.append(f"more days are due than {n_requests} requests; the next tick goes on")
                return
            n_looked_at += 1
            attempt = next_attempt(self.instance, one.key, one.day)
            if attempt.not_before and attempt.not_before > self.now:
                if len(self.waits) < MOST_WAITS:
                    self.waits[one.name] = attempt.not_before
                continue
            if not self._is_complete(one, sightings):
                self.held_back.append(one.name)
                continue
            key = run_key(one.key, one.day, attempt.number)
            if outbox.claim(key, now=self.now, ttl_s=CLAIM_S):
                n_requests += 1
                partition = partition_of(one.key, one.day) if one.day else one.key
                yield dg.RunRequest(run_key=key, job_name=job_of(one.day), partition_key=partition)

    def _is_complete(self, one: DueDay, sightings: _Once) -> bool:
        """Tell whether the newest sample reaches the end of the window, or nobody waits for it any longer."""
        release, policy = one.registered.release, one.registered.policy
        if one.end_at + late(release, load_settings().grace_s) <= self.now:
            return True
        if not self.source_answers:
            return False
        try:
            newest_at = sightings.open().newest_at(release, policy, end_at=one.end_at)
        except SourceUnavailableError as error:
            self.source_answers = False
            self.troubles.append(f"days that are not late wait for the source: {error}")
            return False
        except TarsOpsError as error:
            self.troubles.append(f"{one.name}: {error}")
            return False
        two_scrapes = timedelta(seconds=2 * policy.measurement.scrape_interval_s)
        return newest_at is not None and newest_at >= one.end_at - two_scrapes


class _Once:
    """Sightings that are opened when they are first asked, and closed with the tick."""

    def __init__(self, source: SourceResource, opened: ExitStack) -> None:
        self._source, self._opened = source, opened
        self._sightings: ReleaseSightings | None = None

    def open(self) -> ReleaseSightings:
        if self._sightings is None:
            self._sightings = self._opened.enter_context(self._source.sightings())
        return self._sightings


def _waits(cursor: str | None) -> dict[str, datetime]:
    """Read the cursor; without one every day is looked up again."""
    try:
        return _CURSOR.validate_json(cursor or "{}")
    except ValidationError:
        return {}
