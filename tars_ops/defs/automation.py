"""What runs by itself: jobs, the daily schedules, and the sensor that lets a verdict follow every judged day.

Always one run per release and day, in one process. The clock lives here and nowhere deeper: a tick's own time decides
which windows are over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

import dagster as dg

from tars_ops.adapters.catalogue import (
    BUNDLE,
    DAILY_HEALTH,
    GA_BASELINE,
    OF_A_DAY,
    OF_GA,
    PROVENANCE,
    as_of_key,
    days_with,
    digests,
)
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.settings import load_settings
from tars_ops.adapters.store import Store
from tars_ops.core.release import day_key
from tars_ops.defs.partitions import RELEASE_DAYS, RELEASES, partition_of, split
from tars_ops.defs.resources import StoreResource

GRACE = timedelta(minutes=10)
"""Late samples are waited for before a day counts as over."""
AUTOSTART = load_settings().autostart

OPEN_WATCH, WATCH_DAY, JUDGE_RELEASE = "open_watch", "watch_day", "judge_release"


def tags_of(partition_key: str) -> dict[str, str]:
    """Return the tags of a run; the queue lets one run per release through at a time and goes by them.

    Examples
    --------
    >>> tags_of("day_03|tars@1.0.1")
    {'tars_ops/release': 'tars@1.0.1', 'tars_ops/day': 'day_03'}
    >>> tags_of("tars@1.0.1")
    {'tars_ops/release': 'tars@1.0.1'}
    """
    release, day = split(partition_key)
    return {"tars_ops/release": release, **({"tars_ops/day": day_key(day)} if day else {})}


def _tagged(partitions: dg.PartitionsDefinition) -> dg.PartitionedConfig:
    """Tag every run of a job, also one that somebody launches in the UI."""
    return dg.PartitionedConfig(
        partitions_def=partitions,
        run_config_for_partition_key_fn=lambda _: {},
        tags_for_partition_key_fn=tags_of,
    )


open_watch = dg.define_asset_job(
    OPEN_WATCH,
    dg.AssetSelection.assets("ga_telemetry", "ga_baseline"),
    config=_tagged(RELEASES),
    executor_def=dg.in_process_executor,
    description="Fetch the GA day of a release and freeze its baseline.",
)
watch_day = dg.define_asset_job(
    WATCH_DAY,
    dg.AssetSelection.assets("daily_telemetry", "daily_stability", "anomaly_events", "daily_health"),
    config=_tagged(RELEASE_DAYS),
    executor_def=dg.in_process_executor,
    description="Fetch and judge one day of a release.",
)
judge_release = dg.define_asset_job(
    JUDGE_RELEASE,
    dg.AssetSelection.assets(
        "regression_analysis",
        "retrospective",
        "executive_narrative",
        "provenance",
        "compliance_index",
        "executive_bundle",
    ),
    config=_tagged(RELEASES),
    executor_def=dg.in_process_executor,
    description="Judge a release as of a day and refresh every report.",
)


def verdict_config(as_of: int) -> dict[str, object]:
    """Return the run configuration of a verdict as of a day."""
    return {"resources": {"as_of": {"config": {"day": as_of}}}}


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
    default_status=dg.DefaultScheduleStatus.RUNNING if AUTOSTART else dg.DefaultScheduleStatus.STOPPED,
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
    default_status=dg.DefaultScheduleStatus.RUNNING if AUTOSTART else dg.DefaultScheduleStatus.STOPPED,
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


@dg.sensor(
    job=judge_release,
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING if AUTOSTART else dg.DefaultSensorStatus.STOPPED,
)
def verdict_follows_every_judged_day(
    context: dg.SensorEvaluationContext, store: StoreResource
) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Judge a release again as of each day whose evidence is new."""
    n, opened = 0, store.open()
    known = set(context.instance.get_dynamic_partitions(RELEASES.name or ""))
    for key in (key for key in store.releases() if key in known):
        for as_of, evidence in stale_verdicts(opened, store.release(key)):
            n += 1
            yield dg.RunRequest(
                run_key=f"{key}|{as_of_key(as_of)}|{evidence[:16]}",
                partition_key=key,
                run_config=verdict_config(as_of),
                tags={"tars_ops/as_of": as_of_key(as_of)},
            )
    if not n:
        yield dg.SkipReason("every judged day has its verdict")


def stale_verdicts(store: Store, registered: Registered) -> Iterator[tuple[int, str]]:
    """Yield each judged day whose verdict is missing or rests on other files than there are now, with their digest."""
    release = registered.release
    for as_of in days_with(store, release.key, DAILY_HEALTH, up_to=release.n_days):
        evidence = digests(store, release.key, as_of=as_of, kinds=(*OF_GA, *OF_A_DAY))
        key = PROVENANCE.key(release.key, as_of_key(as_of))
        bundled = store.pointer(BUNDLE.key(release.key, as_of_key(as_of)))
        if bundled is None or PROVENANCE.decode(store.get(key)).inputs != evidence:
            listed = "\n".join(f"{path} {sha256}" for path, sha256 in sorted(evidence.items()))
            yield as_of, hashlib.sha256(listed.encode()).hexdigest()
