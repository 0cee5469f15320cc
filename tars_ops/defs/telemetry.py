"""Assets that talk to the source: the telemetry of the GA day, of every day of the watch and of staging.

Nothing after them asks a server again; a day judged a year later is judged from what is stored here.
"""

import dagster as dg

from tars_ops.adapters.staging import ask_staging
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.staging import StagingTelemetry
from tars_ops.defs.failures import ATTENDED, reported
from tars_ops.defs.metadata import telemetry_metadata
from tars_ops.defs.partitions import RELEASE_DAYS, RELEASES, Context, release_day, release_of
from tars_ops.defs.reference_metadata import staging_metadata
from tars_ops.defs.resources import SourceResource, StoreResource

RETRY = dg.RetryPolicy(max_retries=2, delay=20, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)

releases = dg.AssetSpec(
    "releases",
    partitions_def=RELEASES,
    group_name="telemetry",
    owners=["team:sre"],
    kinds={"json"},
    description="The registry: product, version, GA instant, policy and windows of each release; "
    "written by `tars-ops release add`.",
)


def _fetch(context: Context, store: StoreResource, source: SourceResource) -> dg.MaterializeResult[Telemetry]:
    key, day = release_day(context)
    with reported(retry=ATTENDED not in context.run.tags):
        registered = store.release(key)
        with source.open() as opened:
            telemetry = opened.fetch(registered.release, registered.policy, day=day)
    return dg.MaterializeResult(value=telemetry, metadata=telemetry_metadata(telemetry))


@dg.asset(
    partitions_def=RELEASES,
    deps=[releases],
    group_name="telemetry",
    owners=["team:sre"],
    kinds={"prometheus", "parquet"},
    retry_policy=RETRY,
)
def ga_telemetry(
    context: dg.AssetExecutionContext, store: StoreResource, source: SourceResource
) -> dg.MaterializeResult[Telemetry]:
    """Samples, counts and quality of the GA day, with the daily counts before it that the server still has."""
    return _fetch(context, store, source)


@dg.asset(
    partitions_def=RELEASE_DAYS,
    deps=[dg.AssetDep(releases, partition_mapping=dg.MultiToSingleDimensionPartitionMapping("release"))],
    group_name="telemetry",
    owners=["team:sre"],
    kinds={"prometheus", "parquet"},
    retry_policy=RETRY,
)
def daily_telemetry(
    context: dg.AssetExecutionContext, store: StoreResource, source: SourceResource
) -> dg.MaterializeResult[Telemetry]:
    """Samples, counts and quality of one day of the watch."""
    return _fetch(context, store, source)


@dg.asset(
    partitions_def=RELEASES,
    deps=["ga_telemetry"],  # a server that has no GA day is not asked for staging
    group_name="telemetry",
    owners=["team:sre"],
    kinds={"prometheus", "parquet"},
    retry_policy=RETRY,
)
def staging_telemetry(
    context: dg.AssetExecutionContext, store: StoreResource, source: SourceResource
) -> dg.MaterializeResult[StagingTelemetry]:
    """The same version in staging on the day before GA, where the policy names one; else why it is not known."""
    may_try_again = ATTENDED not in context.run.tags and context.retry_number < RETRY.max_retries
    with reported(), source.open() as opened:
        found = ask_staging(opened, store.release(release_of(context)), may_try_again=may_try_again)
    return dg.MaterializeResult(value=found, metadata=staging_metadata(found))
