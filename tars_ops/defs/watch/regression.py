"""The asset that decides: keep, watch closer or roll back."""

import dagster as dg

from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.regression import RegressionAnalysis, analyse
from tars_ops.defs.failures import reported
from tars_ops.defs.io_manager import Days
from tars_ops.defs.metadata import regression_metadata
from tars_ops.defs.partitions import EVERY_DAY, RELEASES, release_of
from tars_ops.defs.resources import AsOf, StoreResource
from tars_ops.defs.watch.references import references_of


@dg.asset(
    partitions_def=RELEASES,
    deps=["reference_baselines"],  # read by digest where they are pinned: an older watch has none
    ins={
        "daily_telemetry": dg.AssetIn(partition_mapping=EVERY_DAY),
        "daily_stability": dg.AssetIn(partition_mapping=EVERY_DAY),
    },
    group_name="verdict",
    owners=["team:sre"],
    kinds={"scipy", "json"},
)
def regression_analysis(
    context: dg.AssetExecutionContext,
    ga_telemetry: Telemetry,
    ga_baseline: GaBaseline,
    daily_telemetry: Days,
    daily_stability: Days,
    store: StoreResource,
    as_of: AsOf,
) -> dg.MaterializeResult[RegressionAnalysis]:
    """The verdict on the release as of a day: regressions, error budgets, decision and tier, each with its reasons."""
    with reported():
        opened, registered = store.open(), store.release(release_of(context))
        analysis = analyse(
            ga_telemetry,
            ga_baseline,
            daily_telemetry,
            daily_stability,
            registered.release,
            registered.policy,
            as_of=as_of.resolve(opened, registered),
            references=references_of(opened, registered),
        )
    return dg.MaterializeResult(value=analysis, metadata=regression_metadata(analysis))
