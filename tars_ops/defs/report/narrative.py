"""The asset that leadership reads."""

import dagster as dg

from tars_ops.adapters.rendering import narrative_markdown
from tars_ops.core.report.narrative import Narrative, build_narrative
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.defs.failures import reported
from tars_ops.defs.io_manager import Days
from tars_ops.defs.partitions import EVERY_DAY, RELEASES, release_of
from tars_ops.defs.resources import StoreResource


@dg.asset(
    partitions_def=RELEASES,
    ins={"daily_health": dg.AssetIn(partition_mapping=EVERY_DAY)},
    group_name="executive",
    owners=["team:sre"],
    kinds={"markdown"},
)
def executive_narrative(
    context: dg.AssetExecutionContext,
    retrospective: Retrospective,
    regression_analysis: RegressionAnalysis,
    daily_health: Days,
    store: StoreResource,
) -> dg.MaterializeResult[Narrative]:
    """One page for leadership: tier, the three facts that set it, SLAs, risks, trends and actions."""
    with reported():
        registered = store.release(release_of(context))
        health = daily_health.up_to(retrospective.as_of)
        # told from the stored days alone, never from an older page: the same days give the same words
        page = build_narrative(
            registered.release, registered.policy, retrospective, regression_analysis, health, previous=None
        )
    return dg.MaterializeResult(
        value=page,
        metadata={
            "as_of": page.as_of,
            "tier": page.tier.value,
            "decision": page.decision.value,
            "page": dg.MetadataValue.md(narrative_markdown(page)),
        },
    )
