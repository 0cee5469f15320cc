"""The asset that scores a day."""

import dagster as dg

from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.health import DailyHealth, assess_health
from tars_ops.core.watch.stability import DailyStability
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import health_metadata
from tars_ops.defs.partitions import RELEASE_DAYS, release_of
from tars_ops.defs.resources import StoreResource


@dg.asset(partitions_def=RELEASE_DAYS, group_name="watch", owners=["team:sre"], kinds={"json"})
def daily_health(
    context: dg.AssetExecutionContext,
    daily_stability: DailyStability,
    anomaly_events: AnomalyEvents,
    store: StoreResource,
) -> dg.MaterializeResult[DailyHealth]:
    """The day in one number, 0..100, with its parts, its tier and what to do."""
    with reported():
        health = assess_health(daily_stability, anomaly_events, store.release(release_of(context)).policy)
    return dg.MaterializeResult(value=health, metadata=health_metadata(health))
