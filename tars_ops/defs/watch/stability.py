"""The asset that judges a day."""

import dagster as dg

from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.stability import DailyStability, judge_day
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import stability_metadata
from tars_ops.defs.partitions import RELEASE_DAYS, release_day
from tars_ops.defs.resources import StoreResource


@dg.asset(partitions_def=RELEASE_DAYS, group_name="watch", owners=["team:sre"], kinds={"pandas", "json"})
def daily_stability(
    context: dg.AssetExecutionContext, daily_telemetry: Telemetry, ga_baseline: GaBaseline, store: StoreResource
) -> dg.MaterializeResult[DailyStability]:
    """Each KPI's SLI, budget and drift from the GA baseline over one release day, with a verdict."""
    key, day = release_day(context)
    with reported():
        registered = store.release(key)
        stability = judge_day(daily_telemetry, ga_baseline, registered.release, registered.policy, day=day)
    units = {name: kpi.unit for name, kpi in registered.policy.kpis.items()}
    return dg.MaterializeResult(value=stability, metadata=stability_metadata(stability, units))
