"""Which assets run together, and how is a run told from another?

Always one run per release and day, in one process.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import dagster as dg

from tars_ops.adapters.settings import load_settings
from tars_ops.defs.partitions import RELEASE_DAYS, RELEASES, names

AUTOSTART = load_settings().autostart
SENSOR_STATUS = dg.DefaultSensorStatus.RUNNING if AUTOSTART else dg.DefaultSensorStatus.STOPPED
SCHEDULE_STATUS = dg.DefaultScheduleStatus.RUNNING if AUTOSTART else dg.DefaultScheduleStatus.STOPPED

RELEASE_TAG, DAY_TAG, GA = "tars_ops/release", "tars_ops/day", "ga"
AS_OF_TAG = "tars_ops/as_of"
OPEN_WATCH, WATCH_DAY, JUDGE_RELEASE = "open_watch", "watch_day", "judge_release"
JUDGE_RUNNING_DAY = "judge_running_day"


def tags_of(partition_key: str) -> dict[str, str]:
    """Return the tags of a run; the queue lets one run per release through at a time and goes by them.

    A partition of any name gets them: one that is no release fails in its own run, not the backfill that it is in.

    Examples
    --------
    >>> tags_of("day_03|tars@1.0.1")
    {'tars_ops/release': 'tars@1.0.1', 'tars_ops/day': 'day_03'}
    >>> tags_of("tars@1.0.1")
    {'tars_ops/release': 'tars@1.0.1'}
    """
    day, release = names(partition_key)
    return {RELEASE_TAG: release, **({DAY_TAG: day} if day else {})}


def tags_of_ga(partition_key: str) -> dict[str, str]:
    """Return the tags of a run on the GA day of a release, which has no day of its own in its partition key.

    Examples
    --------
    >>> tags_of_ga("tars@1.0.1")
    {'tars_ops/release': 'tars@1.0.1', 'tars_ops/day': 'ga'}
    """
    return {**tags_of(partition_key), DAY_TAG: GA}


def _tagged(
    partitions: dg.PartitionsDefinition, tags: Callable[[str], dict[str, str]] = tags_of
) -> dg.PartitionedConfig:
    """Tag every run of a job, also one that somebody launches in the UI."""
    return dg.PartitionedConfig(
        partitions_def=partitions,
        run_config_for_partition_key_fn=lambda _: {},
        tags_for_partition_key_fn=tags,
    )


open_watch = dg.define_asset_job(
    OPEN_WATCH,
    dg.AssetSelection.assets("ga_telemetry", "ga_baseline", "staging_telemetry", "reference_baselines"),
    config=_tagged(RELEASES, tags_of_ga),
    executor_def=dg.in_process_executor,
    description="Fetch the GA day of a release, freeze its baseline and pin what else it is compared with.",
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
        "release_certification",
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


judge_running_day = dg.define_asset_job(
    JUDGE_RUNNING_DAY,
    dg.AssetSelection.assets("running_telemetry", "running_day"),
    config=_tagged(RELEASES),
    executor_def=dg.in_process_executor,
    description="Fetch what is there of the running day of a release and judge it provisionally.",
)


def verdict_config(as_of: int) -> dict[str, object]:
    """Return the run configuration of a verdict as of a day."""
    return {"resources": {"as_of": {"config": {"day": as_of}}}}


def running_config(until: datetime) -> dict[str, object]:
    """Return the run configuration of a provisional judgement of what was there until an instant."""
    return {"ops": {"running_telemetry": {"config": {"until": until.isoformat()}}}}


ALL = (open_watch, watch_day, judge_release, judge_running_day)
