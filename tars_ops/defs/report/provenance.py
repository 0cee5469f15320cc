"""The asset that says from what the verdict was made."""

import dagster as dg

from tars_ops import __version__
from tars_ops.adapters.catalogue import OF_A_DAY, OF_GA, digests
from tars_ops.core.report.provenance import Provenance, trace
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.defs.failures import reported
from tars_ops.defs.io_manager import Days
from tars_ops.defs.partitions import EVERY_DAY, RELEASES, release_of
from tars_ops.defs.resources import StoreResource


@dg.asset(
    partitions_def=RELEASES,
    ins={"daily_telemetry": dg.AssetIn(partition_mapping=EVERY_DAY)},
    group_name="executive",
    owners=["team:sre"],
    kinds={"json"},
)
def provenance(
    context: dg.AssetExecutionContext,
    ga_telemetry: Telemetry,
    daily_telemetry: Days,
    regression_analysis: RegressionAnalysis,
    store: StoreResource,
) -> dg.MaterializeResult[Provenance]:
    """Every query and response digest, every input's digest, the policy and the program behind a verdict."""
    with reported():
        key, as_of = release_of(context), regression_analysis.as_of
        traced = trace(
            key,
            as_of=as_of,
            tool=f"tars_ops {__version__}",
            policy_sha256=regression_analysis.policy_sha256,
            inputs=digests(store.open(), key, as_of=as_of, kinds=(*OF_GA, *OF_A_DAY)),
            qualities={
                0: ga_telemetry.quality,
                **{day: daily_telemetry[day].quality for day in daily_telemetry if day <= as_of},
            },
        )
    return dg.MaterializeResult(
        value=traced, metadata={"as_of": as_of, "n_inputs": len(traced.inputs), "policy_sha256": traced.policy_sha256}
    )
