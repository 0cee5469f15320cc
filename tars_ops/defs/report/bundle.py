"""The asset that an auditor verifies."""

import dagster as dg

from tars_ops.adapters.bundle import Bundle, bundle
from tars_ops.adapters.catalogue import OF_A_DAY, OF_A_VERDICT, OF_GA, tree
from tars_ops.core.report.compliance import ComplianceIndex
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.report.provenance import Provenance
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.watch.certification import Certification
from tars_ops.defs.failures import reported
from tars_ops.defs.partitions import RELEASES, release_of
from tars_ops.defs.resources import StoreResource


@dg.asset(partitions_def=RELEASES, group_name="executive", owners=["team:sre"], kinds={"zip"})
def executive_bundle(
    context: dg.AssetExecutionContext,
    retrospective: Retrospective,
    executive_narrative: Narrative,
    compliance_index: ComplianceIndex,
    provenance: Provenance,
    release_certification: Certification,
    store: StoreResource,
) -> dg.MaterializeResult[Bundle]:
    """Every artifact of the release as of a day in one archive with a manifest, verifiable without this project."""
    with reported():
        made = (retrospective, executive_narrative, compliance_index, provenance, release_certification)
        as_of = _same_day(*(one.as_of for one in made))
        registered = store.release(release_of(context))
        files = tree(store.open(), registered.release.key, as_of=as_of, kinds=(*OF_GA, *OF_A_DAY, *OF_A_VERDICT))
        packed = bundle(registered.release, as_of, files)
    return dg.MaterializeResult(
        value=packed,
        metadata={
            "as_of": as_of,
            "n_files": packed.n_files,
            "manifest_sha256": packed.manifest_sha256,
            "zip_bytes": len(packed.zip_bytes),
            "tar_gz_bytes": len(packed.tar_gz_bytes),
        },
    )


def _same_day(*days: int) -> int:
    if len(set(days)) != 1:
        raise dg.Failure(
            description=f"the reports are of different days {sorted(set(days))}; materialise all of them in one run",
            allow_retries=False,
        )
    return days[0]
