"""Is the telemetry of a window whole, and is it what was stored?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tars_ops.core.gate import AlertName, Claim, Figure, Gate
from tars_ops.core.policy import ALL_SERVICES, Policy
from tars_ops.core.telemetry import Quality, Telemetry
from tars_ops.core.units import percent
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.stability import expected

COVERS, NO_WARNING, INTACT = "covers_the_window", "comes_without_warnings", "is_intact"


def covers_the_window(asset: str, telemetry: Telemetry, baseline: GaBaseline, policy: Policy) -> Gate:
    """Enough scrapes of every service arrived for every KPI that must be known."""
    missing: dict[str, list[str]] = {}
    for kpi, service, reason in expected(telemetry, baseline, policy):
        found = missing.setdefault(service, [])
        if reason:
            found.append(f"{kpi}: {reason}")
    claims = [_coverage(service, poor, telemetry.quality, policy) for service, poor in sorted(missing.items())]
    return Gate(
        name=f"{asset}_{COVERS}",
        alert=AlertName.TELEMETRY_INCOMPLETE,
        asset=asset,
        severity=policy.gates.telemetry,
        claims=tuple(claims),
    )


def _coverage(service: str, poor: Sequence[str], quality: Quality, policy: Policy) -> Claim:
    series = [one for one in quality.series if one.service == service]
    lowest = min((one.coverage for one in series), default=0.0)
    needed = policy.measurement.min_coverage
    said = f"lowest coverage {percent(lowest)}, needed {percent(needed)}"
    return Claim(
        service=service,
        verdict=Verdict.UNKNOWN if poor else Verdict.PASS,
        reason=f"{len(poor)} KPIs are not known: {poor[0]}" if poor else said,
        evidence={
            "lowest_coverage_ratio": lowest,
            "min_coverage_ratio": needed,
            "longest_gap_s": max((one.longest_gap_s for one in series), default=0),
            "n_unknown": len(poor),
        },
    )


def comes_without_warnings(asset: str, quality: Quality, policy: Policy) -> Gate:
    """The server answered every query without a warning; a warned answer may be a part of one."""
    warned = [f"{one.kpi}: {text}" for one in quality.kpis for text in one.warnings]
    said = f"{len(warned)} warnings, {warned[0]}" if warned else f"{len(quality.kpis)} KPIs, no warning"
    claim = Claim(
        service=ALL_SERVICES,
        verdict=Verdict.UNKNOWN if warned or not quality.kpis else Verdict.PASS,
        reason=said if quality.kpis else "the server was asked nothing",
        evidence={"n_warnings": len(warned), "server": f"{quality.server.product} {quality.server.version}"},
    )
    return Gate(
        name=f"{asset}_{NO_WARNING}",
        alert=AlertName.SERVER_WARNED,
        asset=asset,
        severity=policy.gates.telemetry,
        claims=(claim,),
    )


def intact(asset: str, flaw: str | None, policy: Policy, *, evidence: Mapping[str, Figure]) -> Gate:
    """The stored artifact is, byte for byte, what its digest says; ``flaw`` tells what differs."""
    claim = Claim(
        service=ALL_SERVICES,
        verdict=Verdict.FAIL if flaw else Verdict.PASS,
        reason=flaw or "every file matches its digest",
        evidence=evidence,
    )
    return Gate(
        name=f"{asset}_{INTACT}",
        alert=AlertName.EVIDENCE_DAMAGED,
        asset=asset,
        severity=policy.gates.evidence,
        claims=(claim,),
    )
