"""The asset that pins what else a release is compared with than its GA day and its objectives."""

import dagster as dg

from tars_ops.adapters.catalogue import REFERENCE_BASELINES
from tars_ops.adapters.references import find_references, pinned_day, pinned_references, pinned_staging
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.store import Store
from tars_ops.core.watch.references import BaselineKind, ReferenceBaselines, References, pin_once, why_absent
from tars_ops.core.watch.staging import StagingTelemetry
from tars_ops.defs.failures import reported
from tars_ops.defs.io_manager import Days
from tars_ops.defs.partitions import RELEASES, release_of
from tars_ops.defs.reference_metadata import references_metadata
from tars_ops.defs.resources import StoreResource
from tars_ops.defs.watch.baseline import Freezing


@dg.asset(
    partitions_def=RELEASES,
    deps=["ga_baseline"],  # the watch is open when its baseline is frozen: a run that froze none pins nothing
    group_name="watch",
    owners=["team:sre"],
    kinds={"json"},
)
def reference_baselines(
    context: dg.AssetExecutionContext, config: Freezing, staging_telemetry: StagingTelemetry, store: StoreResource
) -> dg.MaterializeResult[ReferenceBaselines]:
    """The days of the release before and of staging that later days are compared with, pinned by their digests."""
    key = release_of(context)
    with reported():
        opened = store.open()
        pointer = opened.pointer(REFERENCE_BASELINES.key(key))
        found = find_references(opened, store.release(key).release, staging_telemetry.day)
        pinned = pin_once(
            found,
            pinned=pinned_references(opened, key),
            pinned_sha256=pointer.sha256 if pointer else None,
            refreeze=config.refreeze,
        )
    is_kept = pinned.model_copy(update={"supersedes": None}) != found
    return dg.MaterializeResult(value=pinned, metadata=references_metadata(pinned, is_kept=is_kept))


def references_of(store: Store, registered: Registered) -> References:
    """Return the pinned references that the policy asks for, each read when it is asked for."""
    release, asked = registered.release, registered.policy.baselines
    pinned = pinned_references(store, release.key)
    absent = why_absent(pinned, release, asked)
    if pinned is None:
        return References(absent=absent)
    wants_staging = asked.staging is not None and BaselineKind.STAGING not in absent
    return References(
        previous=Days(list(pinned.days) if asked.previous_release else [], lambda day: pinned_day(store, pinned, day)),
        staging=pinned_staging(store, pinned) if wants_staging else None,
        absent=absent,
    )
