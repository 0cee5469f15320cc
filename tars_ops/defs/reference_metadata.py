"""What does the UI show of the references of a release: what is pinned, and why the rest is not?"""

from __future__ import annotations

from tars_ops.core.watch.references import PinnedArtifact, ReferenceBaselines
from tars_ops.core.watch.staging import StagingTelemetry
from tars_ops.defs.metadata import Metadata, table, telemetry_metadata


def staging_metadata(staging: StagingTelemetry) -> Metadata:
    """Show what staging answered, or why nothing is known of it."""
    day = staging.day
    asked: Metadata = {
        "selector": day.selector or "none",
        "window": f"{day.start_at:%Y-%m-%d %H:%M} to {day.end_at:%Y-%m-%d %H:%M} UTC",
        "absent": day.absent or "no",
    }
    return {**asked, **telemetry_metadata(staging.telemetry)} if staging.telemetry else asked


def references_metadata(pinned: ReferenceBaselines, *, is_kept: bool) -> Metadata:
    """Show what is pinned, and whether something else was found that would need a refreeze."""
    days = [
        {"reference": pinned.previous, "day": one.day, "telemetry": _short(one.telemetry)}
        for one in pinned.previous_days
    ]
    staging = (
        [{"reference": "staging", "day": None, "telemetry": _short(pinned.staging.telemetry)}] if pinned.staging else []
    )
    return {
        "previous": pinned.previous or "none",
        "n_days": len(days),
        "supersedes": pinned.supersedes or "nothing",
        "kept": "yes: other content is there now; materialise with `refreeze: true` to pin that" if is_kept else "no",
        "absent": table([{"reference": kind.value, "why": why} for kind, why in pinned.absent.items()]),
        "pinned": table([*days, *staging]),
    }


def _short(pinned: PinnedArtifact) -> str:
    return f"{pinned.artifact} version {pinned.version}"
