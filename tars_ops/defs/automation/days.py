"""Which days are due? Two schedules that request whatever is over and not done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from tars_ops.adapters.catalogue import DAILY_HEALTH, GA_BASELINE, days_with
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.store import Store
from tars_ops.core.release import day_key
from tars_ops.defs.automation.jobs import SCHEDULE_STATUS, open_watch, watch_day
from tars_ops.defs.partitions import RELEASES, partition_of
from tars_ops.defs.resources import StoreResource

GRACE = timedelta(minutes=10)
"""Late samples are waited for before a day counts as over."""


def _is_over(registered: Registered, day: int, now: datetime) -> bool:
    return registered.release.window(day).end_at + GRACE <= now


def _open_releases(context: dg.ScheduleEvaluationContext, store: StoreResource) -> Iterator[Registered]:
    known = set(context.instance.get_dynamic_partitions(RELEASES.name or ""))
    for key in store.releases():
        if key in known:
            yield store.release(key)


@dg.schedule(
    job=open_watch,
    cron_schedule="20 * * * *",
    execution_timezone="UTC",
    default_status=SCHEDULE_STATUS,
)
def baselines_that_are_due(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every hour: freeze the baseline of each release whose GA day is over."""
    now, n = context.scheduled_execution_time, 0
    for registered in _open_releases(context, store):
        key = registered.release.key
        if _is_over(registered, 0, now) and store.open().pointer(GA_BASELINE.key(key)) is None:
            n += 1
            yield dg.RunRequest(run_key=f"{key}|ga", partition_key=key)
    if not n:
        yield dg.SkipReason("no release waits for its baseline")


@dg.schedule(
    job=watch_day,
    cron_schedule="30 0 * * *",
    execution_timezone="UTC",
    default_status=SCHEDULE_STATUS,
)
def days_that_are_due(
    context: dg.ScheduleEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Every day: fetch and judge each day that is over and not judged yet, of each release with a baseline."""
    now, n = context.scheduled_execution_time, 0
    opened = store.open()
    for registered in _open_releases(context, store):
        key = registered.release.key
        for day in due_days(opened, registered, now):
            n += 1
            yield dg.RunRequest(run_key=f"{key}|{day_key(day)}", partition_key=partition_of(key, day))
    if not n:
        yield dg.SkipReason("no day is due")


def due_days(store: Store, registered: Registered, now: datetime) -> list[int]:
    """Return the days that are over and not judged yet; none before the baseline is frozen."""
    release = registered.release
    if store.pointer(GA_BASELINE.key(release.key)) is None:
        return []
    done = set(days_with(store, release.key, DAILY_HEALTH, up_to=release.n_days))
    return [day for day in release.days if day not in done and _is_over(registered, day, now)]
