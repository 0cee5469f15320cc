"""Which control does which file of the watch support?

Identifiers of SOC 2 (trust services criteria) and ISO/IEC 27001:2022 with one line in our own words each. The index
says "supports" and whether the evidence is there; whether an organisation complies is for its auditor to say.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Literal, NamedTuple

from tars_ops.core.model import Frozen, Sha256


class Control(NamedTuple):
    """A control, what a watched release says about it, and where."""

    framework: Literal["SOC 2", "ISO/IEC 27001:2022"]
    identifier: str
    supports: str
    evidence: tuple[str, ...]
    """Patterns of paths."""


CONTROLS = (
    Control("SOC 2", "CC7.1", "Changes of behaviour after a release are looked for", ("regression_summary.json",)),
    Control("SOC 2", "CC7.2", "Anomalies of the running system are found and dated", ("stability/*_anomalies.json",)),
    Control("SOC 2", "CC7.3", "Findings are evaluated against written objectives", ("stability/*_summary.json",)),
    Control(
        "SOC 2", "CC7.4", "Responses are named with a priority and an owner", ("final/GA_7DAY_RETROSPECTIVE.json",)
    ),
    Control(
        "SOC 2", "CC8.1", "A change is judged against a frozen baseline", ("release.json", "ga/ga_kpi_summary.json")
    ),
    Control("ISO/IEC 27001:2022", "A.5.24", "Roles for a failed release are written down", ("policy.yaml",)),
    Control("ISO/IEC 27001:2022", "A.5.28", "Evidence is kept with digests", ("final/provenance.json",)),
    Control("ISO/IEC 27001:2022", "A.8.15", "What was measured is kept as it arrived", ("*telemetry/quality.json",)),
    Control(
        "ISO/IEC 27001:2022", "A.8.16", "The system is monitored every day of the watch", ("stability/*_HEALTH.json",)
    ),
    Control(
        "ISO/IEC 27001:2022",
        "A.8.32",
        "A change is kept, watched or rolled back for stated reasons",
        ("regression_summary.json",),
    ),
)


class Evidence(Frozen):
    """One file that supports a control."""

    path: str
    sha256: Sha256


class IndexedControl(Frozen):
    """A control with the files that support it."""

    framework: str
    identifier: str
    supports: str
    expected: tuple[str, ...]
    """Patterns of the files that would support it."""
    present: bool
    """Every pattern has at least one file."""
    evidence: tuple[Evidence, ...]


class ComplianceIndex(Frozen):
    """Controls and evidence of one release as of a day."""

    release: str
    as_of: int
    controls: tuple[IndexedControl, ...]


def index_controls(release: str, as_of: int, digests: Mapping[str, str]) -> ComplianceIndex:
    """Match controls with the files of a release; ``digests`` maps each path to its SHA-256."""
    return ComplianceIndex(
        release=release,
        as_of=as_of,
        controls=tuple(_indexed(control, digests) for control in CONTROLS),
    )


def _indexed(control: Control, digests: Mapping[str, str]) -> IndexedControl:
    found = {pattern: [p for p in sorted(digests) if fnmatchcase(p, pattern)] for pattern in control.evidence}
    paths = sorted({path for matched in found.values() for path in matched})
    return IndexedControl(
        framework=control.framework,
        identifier=control.identifier,
        supports=control.supports,
        expected=control.evidence,
        present=all(found.values()),
        evidence=tuple(Evidence(path=path, sha256=digests[path]) for path in paths),
    )
