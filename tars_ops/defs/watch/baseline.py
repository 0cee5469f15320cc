"""The asset that freezes the GA day."""

import dagster as dg

from tars_ops.adapters.catalogue import GA_BASELINE
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.baseline import GaBaseline, freeze, summarise
from tars_ops.defs.failures import reported
from tars_ops.defs.metadata import baseline_metadata
from tars_ops.defs.partitions import RELEASES, release_of
from tars_ops.defs.resources import StoreResource


class Freezing(dg.Config):
    """How a baseline that is already frozen is treated."""

    refreeze: bool = False
    """Replace a frozen baseline of another content; every later report says so."""


@dg.asset(partitions_def=RELEASES, group_name="watch", owners=["team:sre"], kinds={"json"})
def ga_baseline(
    context: dg.AssetExecutionContext, config: Freezing, ga_telemetry: Telemetry, store: StoreResource
) -> dg.MaterializeResult[GaBaseline]:
    """What is normal: the frozen summary of the GA day that every later day is compared with."""
    key = release_of(context)
    with reported():
        registered = store.release(key)
        opened = store.open()
        pointer = opened.pointer(GA_BASELINE.key(key))
        baseline = freeze(
            summarise(ga_telemetry, registered.release, registered.policy),
            frozen=GA_BASELINE.decode(opened.get(GA_BASELINE.key(key))) if pointer else None,
            frozen_sha256=pointer.sha256 if pointer else None,
            refreeze=config.refreeze,
        )
    units = {name: kpi.unit for name, kpi in registered.policy.kpis.items()}
    return dg.MaterializeResult(value=baseline, metadata=baseline_metadata(baseline, units))
