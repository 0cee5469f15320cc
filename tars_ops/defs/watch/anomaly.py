"""The asset that finds what the past does not explain."""

import dagster as dg

from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.anomalies.anomaly import find_anomalies
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import anomaly_metadata
from tars_ops.defs.partitions import RELEASE_DAYS, release_day
from tars_ops.defs.resources import StoreResource


@dg.asset(partitions_def=RELEASE_DAYS, group_name="watch", owners=["team:sre"], kinds={"numpy", "json"})
def anomaly_events(
    context: dg.AssetExecutionContext, daily_telemetry: Telemetry, ga_baseline: GaBaseline, store: StoreResource
) -> dg.MaterializeResult[AnomalyEvents]:
    """Dated events of one day: spikes, drops, level shifts and silence, each with a tail probability."""
    key, day = release_day(context)
    with reported():
        registered = store.release(key)
        found = find_anomalies(daily_telemetry, ga_baseline, registered.release, registered.policy, day=day)
    return dg.MaterializeResult(value=found, metadata=anomaly_metadata(found))
