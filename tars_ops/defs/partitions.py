"""Which partitions does an asset have, and which release and day does a run stand for?"""

from __future__ import annotations

import dagster as dg

from tars_ops.adapters.settings import load_settings
from tars_ops.core.errors import UsageError
from tars_ops.core.release import checked_key, day_key, day_number
from tars_ops.defs.failures import reported

RELEASES = dg.DynamicPartitionsDefinition(name="releases")
DAYS = dg.StaticPartitionsDefinition([day_key(day) for day in range(1, load_settings().watch_days + 1)])
RELEASE_DAYS = dg.MultiPartitionsDefinition({"day": DAYS, "release": RELEASES})
EVERY_DAY = dg.MultiToSingleDimensionPartitionMapping("release")
"""From all days of a release to the release: what exists of them is loaded."""

Context = dg.AssetExecutionContext | dg.AssetCheckExecutionContext


def release_of(context: Context) -> str:
    """Return the key of the release that a run stands for."""
    return release_day(context)[0]


def release_day(context: Context) -> tuple[str, int]:
    """Return the key of the release and the day that a run stands for; day 0 where it stands for the release.

    Raises
    ------
    dg.Failure
        If the run has no partition, as when gates are executed without their asset, or one that is no release.
    """
    with reported():
        if not context.has_partition_key:
            raise UsageError(
                "this run has no partition, and a gate is checked on one; "
                "materialise the asset's partition again: its gates are checked with it"
            )
        return split(context.partition_key)


def split(partition_key: str) -> tuple[str, int]:
    """Return the release and the day of a partition key.

    Raises
    ------
    UsageError
        If it is none; the UI lets people add partitions of any name.

    Examples
    --------
    >>> split("day_03|tars@1.0.1")
    ('tars@1.0.1', 3)
    """
    day, release = names(partition_key)
    return checked_key(release), day_number(day) if "|" in partition_key else 0


def names(partition_key: str) -> tuple[str, str]:
    """Return what a partition key calls the day and the release, whether there are such or not.

    Examples
    --------
    >>> names("day_03|tars@1.0.1"), names("anything")
    (('day_03', 'tars@1.0.1'), ('', 'anything'))
    """
    day, bar, release = str(partition_key).partition("|")
    return (day, release) if bar else ("", day)


def partition_of(release: str, day: int) -> dg.MultiPartitionKey:
    """Return the partition key of a day of a release."""
    return dg.MultiPartitionKey({"day": day_key(day), "release": release})
