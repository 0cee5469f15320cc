"""The asset that says whether the release may be promoted or closed as stable."""

import dagster as dg

from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.certification import Certification, certify
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.defs.failures import reported
from tars_ops.defs.io_manager import Days
from tars_ops.defs.metadata import certification_metadata
from tars_ops.defs.partitions import EVERY_DAY, RELEASES, release_of
from tars_ops.defs.resources import StoreResource


@dg.asset(
    partitions_def=RELEASES,
    ins={"daily_stability": dg.AssetIn(partition_mapping=EVERY_DAY)},
    group_name="verdict",
    owners=["team:sre"],
    kinds={"json"},
)
def release_certification(
    context: dg.AssetExecutionContext,
    regression_analysis: RegressionAnalysis,
    ga_baseline: GaBaseline,
    daily_stability: Days,
    store: StoreResource,
) -> dg.MaterializeResult[Certification]:
    """Whether the release may be promoted or closed as stable as of a day, with every reason against it."""
    with reported():
        registered = store.release(release_of(context))
        judged = daily_stability.up_to(regression_analysis.as_of)
        certificate = certify(regression_analysis, ga_baseline, judged, registered.release, registered.policy)
    return dg.MaterializeResult(value=certificate, metadata=certification_metadata(certificate))
