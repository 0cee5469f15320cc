"""The asset that tells the week."""

import dagster as dg

from tars_ops.core.report.retrospective import Retrospective, build_retrospective
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.measure import cost_parts
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.defs.failures import reported
from tars_ops.defs.io_manager import Days
from tars_ops.defs.metadata import table
from tars_ops.defs.partitions import EVERY_DAY, RELEASES, release_of
from tars_ops.defs.resources import StoreResource

_ALL_DAYS = dg.AssetIn(partition_mapping=EVERY_DAY)


@dg.asset(
    partitions_def=RELEASES,
    ins={
        "daily_telemetry": _ALL_DAYS,
        "daily_stability": _ALL_DAYS,
        "anomaly_events": _ALL_DAYS,
        "daily_health": _ALL_DAYS,
    },
    group_name="executive",
    owners=["team:sre"],
    kinds={"markdown", "json"},
)
def retrospective(
    context: dg.AssetExecutionContext,
    ga_telemetry: Telemetry,
    ga_baseline: GaBaseline,
    daily_telemetry: Days,
    daily_stability: Days,
    anomaly_events: Days,
    daily_health: Days,
    regression_analysis: RegressionAnalysis,
    store: StoreResource,
) -> dg.MaterializeResult[Retrospective]:
    """What went well, what degraded, what it cost and what to do, as of a day; Markdown, HTML and JSON."""
    with reported():
        registered = store.release(release_of(context))
        policy, as_of = registered.policy, regression_analysis.as_of
        telemetries = {day: daily_telemetry[day] for day in daily_telemetry if day <= as_of}
        told = build_retrospective(
            registered.release,
            policy,
            ga_baseline,
            daily_stability.up_to(as_of),
            anomaly_events.up_to(as_of),
            daily_health.up_to(as_of),
            regression_analysis,
            cost_parts={day: cost_parts(one, policy) for day, one in {0: ga_telemetry, **telemetries}.items()},
        )
    return dg.MaterializeResult(value=told, metadata=_metadata(told))


def _metadata(told: Retrospective) -> dict[str, dg.MetadataValue | str | int]:
    return {
        "as_of": told.as_of,
        "overall_status": told.overall_status.value,
        "n_degradations": len(told.degradations),
        "n_drifts": len(told.unexpected_drifts),
        "n_unknown": len(told.unknowns),
        "actions": table(
            [
                {"id": a.id, "priority": a.priority.value, "due": a.due, "action": a.description}
                for a in told.action_items
            ]
        ),
    }
