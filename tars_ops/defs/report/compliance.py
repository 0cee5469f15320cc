"""The asset that shows an auditor where to look."""

import dagster as dg

from tars_ops.adapters.catalogue import COMPLIANCE, OF_A_DAY, OF_A_VERDICT, OF_GA, digests
from tars_ops.core.report.compliance import ComplianceIndex, index_controls
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.report.provenance import Provenance
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import table
from tars_ops.defs.partitions import RELEASES, release_of
from tars_ops.defs.resources import StoreResource


@dg.asset(partitions_def=RELEASES, group_name="executive", owners=["team:sre"], kinds={"json", "markdown"})
def compliance_index(
    context: dg.AssetExecutionContext,
    executive_narrative: Narrative,
    provenance: Provenance,
    store: StoreResource,
) -> dg.MaterializeResult[ComplianceIndex]:
    """Controls of SOC 2 and ISO 27001:2022 that the watch supports, each with the files that are its evidence."""
    with reported():
        key, as_of = release_of(context), executive_narrative.as_of
        kinds = (*OF_GA, *OF_A_DAY, *(kind for kind in OF_A_VERDICT if kind is not COMPLIANCE))
        index = index_controls(key, as_of, digests(store.open(), key, as_of=as_of, kinds=kinds))
    rows = [
        {
            "framework": c.framework,
            "control": c.identifier,
            "files": len(c.evidence),
            "present": "yes" if c.present else "no",
        }
        for c in index.controls
    ]
    return dg.MaterializeResult(
        value=index,
        metadata={
            "as_of": as_of,
            "provenance_inputs": len(provenance.inputs),
            "n_missing": sum(not control.present for control in index.controls),
            "controls": table(rows),
        },
    )
