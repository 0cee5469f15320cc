"""How does a release become known: to the store, to its history and to Dagster?

Three steps in this order, each of which may be repeated: a release that has its partition has everything else.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import dagster as dg

from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.store import Store
from tars_ops.core.lifecycle import Code
from tars_ops.core.release import Release
from tars_ops.defs.partitions import RELEASES

PARTITIONS = RELEASES.name or ""


def register(store: Store, release: Release, policy_text: bytes, *, at: datetime, by: str, why: str = "") -> Registered:
    """Add a release to the registry and open its history; the same release again changes nothing.

    Raises
    ------
    UsageError
        If it is registered with another content.
    """
    registered = Registry(store).add(release, policy_text)
    open_history(store, registered.release, at=at, by=by, why=why)
    return registered


def open_history(store: Store, release: Release, *, at: datetime, by: str, why: str = "") -> None:
    """Write the first entry of a history, where there is none."""
    history = History(store)
    if history.state(release.key) is None:
        details: Mapping[str, str | int] = {"policy_sha256": release.policy_sha256, "n_days": release.n_days}
        history.record(release.key, Code.REGISTERED, at=at, by=by, why=why, details=details)


def announce(instance: dg.DagsterInstance, release: Release) -> None:
    """Make a registered release a partition, with its entry in the history of the asset ``releases``."""
    if release.key in instance.get_dynamic_partitions(PARTITIONS):
        return
    entry = dg.AssetMaterialization(
        "releases",
        partition=release.key,
        description=f"{release.key} registered",
        metadata={
            "ga_at": dg.MetadataValue.timestamp(release.ga_at),
            "n_days": release.n_days,
            "day_length_s": release.day_length_s,
            "policy_sha256": release.policy_sha256,
        },
    )
    instance.report_runless_asset_event(entry)
    instance.add_dynamic_partitions(PARTITIONS, [release.key])
