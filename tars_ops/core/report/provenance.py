"""From what was the verdict made?

Only facts that follow from the inputs: the same inputs give the same bytes. Host, durations and the wall clock are
volatile; they stand in a file beside the archive.
"""

from __future__ import annotations

from collections.abc import Mapping

from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.telemetry import Quality


class Asked(Frozen):
    """What a server was asked for one KPI on one day, and a digest of what it answered."""

    kpi: str
    queries: tuple[str, ...]
    response_sha256: Sha256
    warnings: tuple[str, ...]
    refused: str | None


class MeasuredDay(Frozen):
    """Where the telemetry of one day came from."""

    day: int
    start_at: Instant
    end_at: Instant
    server: str
    """Product and version."""
    asked: tuple[Asked, ...]


class Provenance(Frozen):
    """The inputs of a verdict and the program that made it."""

    release: str
    as_of: int
    tool: str
    """Name and version of the program."""
    policy_sha256: Sha256
    inputs: Mapping[str, Sha256]
    """Digest of every file that the verdict rests on, by path."""
    days: tuple[MeasuredDay, ...]


def trace(
    release: str,
    *,
    as_of: int,
    tool: str,
    policy_sha256: str,
    inputs: Mapping[str, str],
    qualities: Mapping[int, Quality],
) -> Provenance:
    """Collect the provenance of a verdict; ``qualities`` maps each judged day to how it was measured."""
    return Provenance(
        release=release,
        as_of=as_of,
        tool=tool,
        policy_sha256=policy_sha256,
        inputs=dict(sorted(inputs.items())),
        days=tuple(_day(day, quality) for day, quality in sorted(qualities.items())),
    )


def _day(day: int, quality: Quality) -> MeasuredDay:
    return MeasuredDay(
        day=day,
        start_at=quality.start_at,
        end_at=quality.end_at,
        server=f"{quality.server.product} {quality.server.version}",
        asked=tuple(
            Asked(
                kpi=kpi.kpi,
                queries=kpi.queries,
                response_sha256=kpi.response_sha256,
                warnings=kpi.warnings,
                refused=kpi.refused,
            )
            for kpi in quality.kpis
        ),
    )
