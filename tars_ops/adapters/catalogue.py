"""Under which key is each artifact kept, and in which files do people find it?

One entry per asset. Machines read keys; the names of an artifact's files are the paths of the exported tree and of the
bundle, so that tree, bundle and store can never disagree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pydantic import BaseModel

from tars_ops.adapters import rendering
from tars_ops.adapters.artifacts import (
    canonical_json,
    decode_telemetry,
    encode_telemetry,
    parse_json,
)
from tars_ops.adapters.bundle import Bundle
from tars_ops.adapters.registry import ENTRY
from tars_ops.adapters.store import Store
from tars_ops.core.errors import ContractError, MissingInputError
from tars_ops.core.release import day_key
from tars_ops.core.report.compliance import ComplianceIndex
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.report.provenance import Provenance
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.certification import Certification
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.references import ReferenceBaselines
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.running import RunningDay
from tars_ops.core.watch.stability import DailyStability
from tars_ops.core.watch.staging import StagingDay, StagingTelemetry

_Report = Retrospective | Narrative | ComplianceIndex
Encode = Callable[[Any, str], dict[str, bytes]]
Decode = Callable[[Mapping[str, bytes]], Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of artifact."""

    asset: str
    folder: str
    """Below the release; ``{at}`` stands for ``day_03`` or ``as_of_03``."""
    encode: Encode
    """From a value and its ``at`` to files by path."""
    decode: Decode

    def key(self, release: str, at: str = "") -> str:
        """Return the key of one artifact in the store."""
        return f"{release}/{self.folder.format(at=at)}"


def _model(asset: str, folder: str, model: type[BaseModel], path: str) -> Kind:
    def encode(value: BaseModel, at: str) -> dict[str, bytes]:
        return {path.format(at=at): canonical_json(value)}

    return Kind(asset, folder, encode, lambda files: _only(model, files))


def _only(model: type[BaseModel], files: Mapping[str, bytes]) -> BaseModel:
    documents = [(path, data) for path, data in files.items() if path.endswith(".json")]
    if len(documents) != 1:
        raise ContractError(f"expected one JSON document of {model.__name__}, found {len(documents)}")
    path, data = documents[0]
    return parse_json(model, data, name=path)


def _telemetry(asset: str, folder: str, path: str) -> Kind:
    def encode(value: Telemetry, at: str) -> dict[str, bytes]:
        return {f"{path.format(at=at)}/{name}": data for name, data in encode_telemetry(value).items()}

    def decode(files: Mapping[str, bytes]) -> object:
        return decode_telemetry({path.rsplit("/", 1)[-1]: data for path, data in files.items()})

    return Kind(asset, folder, encode, decode)


def _staging(asset: str, folder: str, path: str) -> Kind:
    """Telemetry beside the document that says what was asked, or that document alone with the reason."""
    document = f"{path}/staging.json"

    def encode(value: StagingTelemetry, at: str) -> dict[str, bytes]:
        del at
        tables = encode_telemetry(value.telemetry) if value.telemetry else {}
        return {document: canonical_json(value.day), **{f"{path}/{name}": data for name, data in tables.items()}}

    def decode(files: Mapping[str, bytes]) -> object:
        day = parse_json(StagingDay, files.get(document, b""), name=document)
        tables = {name.rsplit("/", 1)[-1]: data for name, data in files.items() if name != document}
        return StagingTelemetry(day, decode_telemetry(tables) if tables else None)

    return Kind(asset, folder, encode, decode)


def _document(asset: str, model: type[BaseModel], path: str, markdown: Callable[[Any], str], title: str) -> Kind:
    def encode(value: _Report, at: str) -> dict[str, bytes]:
        del at
        text = markdown(value)
        page = rendering.page_html(text, f"{title} {value.release}")
        return {f"{path}.json": canonical_json(value), f"{path}.md": text.encode(), f"{path}.html": page.encode()}

    return Kind(asset, f"verdict/{{at}}/{asset}", encode, lambda files: _only(model, files))


def _encode_bundle(value: Bundle, at: str) -> dict[str, bytes]:
    del at
    return value.files


def _decode_bundle(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return dict(files)


GA_TELEMETRY: Final = _telemetry("ga_telemetry", "ga/telemetry", "ga/telemetry")
GA_BASELINE: Final = _model("ga_baseline", "ga/baseline", GaBaseline, "ga/ga_kpi_summary.json")
STAGING_TELEMETRY: Final = _staging("staging_telemetry", "ga/staging", "ga/staging_telemetry")
REFERENCE_BASELINES: Final = _model(
    "reference_baselines", "ga/references", ReferenceBaselines, "ga/reference_baselines.json"
)
DAILY_TELEMETRY: Final = _telemetry("daily_telemetry", "stability/{at}/telemetry", "stability/{at}_telemetry")
DAILY_STABILITY: Final = _model(
    "daily_stability", "stability/{at}/summary", DailyStability, "stability/{at}_summary.json"
)
ANOMALY_EVENTS: Final = _model(
    "anomaly_events", "stability/{at}/anomalies", AnomalyEvents, "stability/{at}_anomalies.json"
)
DAILY_HEALTH: Final = _model("daily_health", "stability/{at}/health", DailyHealth, "stability/{at}_HEALTH.json")
REGRESSION: Final = _model(
    "regression_analysis", "verdict/{at}/regression_analysis", RegressionAnalysis, "regression_summary.json"
)
CERTIFICATION: Final = _model(
    "release_certification", "verdict/{at}/release_certification", Certification, "certification.json"
)
RETROSPECTIVE: Final = _document(
    "retrospective",
    Retrospective,
    "final/GA_7DAY_RETROSPECTIVE",
    rendering.retrospective_markdown,
    "Retrospective",
)
NARRATIVE: Final = _document(
    "executive_narrative", Narrative, "final/executive_narrative", rendering.narrative_markdown, "Executive narrative"
)
COMPLIANCE: Final = _document(
    "compliance_index", ComplianceIndex, "final/compliance_index", rendering.compliance_markdown, "Compliance index"
)
PROVENANCE: Final = _model("provenance", "verdict/{at}/provenance", Provenance, "final/provenance.json")
BUNDLE: Final = Kind("executive_bundle", "verdict/{at}/executive_bundle", _encode_bundle, _decode_bundle)

RUNNING_TELEMETRY: Final = _telemetry("running_telemetry", "running/telemetry", "running/telemetry")
RUNNING_DAY: Final = _model("running_day", "running/day", RunningDay, "running/running_day.json")

OF_REFERENCES: Final = (STAGING_TELEMETRY, REFERENCE_BASELINES)
"""What a watch that opened before they were kept does not have; its verdict says so."""
OF_GA: Final = (GA_TELEMETRY, GA_BASELINE, *OF_REFERENCES)
OF_A_DAY: Final = (DAILY_TELEMETRY, DAILY_STABILITY, ANOMALY_EVENTS, DAILY_HEALTH)
OF_A_VERDICT: Final = (REGRESSION, CERTIFICATION, RETROSPECTIVE, NARRATIVE, COMPLIANCE, PROVENANCE)
OF_THE_RUNNING_DAY: Final = (RUNNING_TELEMETRY, RUNNING_DAY)
"""Provisional: replaced by the complete day, and never part of a tree or a bundle."""
BY_ASSET: Final = {kind.asset: kind for kind in (*OF_GA, *OF_A_DAY, *OF_A_VERDICT, BUNDLE, *OF_THE_RUNNING_DAY)}


def as_of_key(as_of: int) -> str:
    """Return the part of a key that names the day a verdict is given for.

    Examples
    --------
    >>> as_of_key(3)
    'as_of_03'
    """
    return f"as_of_{as_of:02d}"


def days_with(store: Store, release: str, kind: Kind, *, up_to: int) -> list[int]:
    """Return the days, 1..``up_to``, whose artifact of a kind exists."""
    return [day for day in range(1, up_to + 1) if store.pointer(kind.key(release, day_key(day)))]


def digests(store: Store, release: str, *, as_of: int, kinds: tuple[Kind, ...]) -> dict[str, str]:
    """Return the digest of every file of a release as of a day, by path, without reading one."""
    return {
        path: stored.sha256
        for key in _keys(release, as_of, kinds)
        if (pointer := store.pointer(key))
        for path, stored in pointer.files.items()
    }


def tree(store: Store, release: str, *, as_of: int, kinds: tuple[Kind, ...]) -> dict[str, bytes]:
    """Return every file of a release as of a day, by path, each checked against its digest."""
    return {
        path: data
        for key in _keys(release, as_of, kinds)
        if store.pointer(key)
        for path, data in store.get(key).items()
    }


def _keys(release: str, as_of: int, kinds: tuple[Kind, ...]) -> list[str]:
    days = [day_key(day) for day in range(1, as_of + 1)]
    keys = [f"{release}/{ENTRY}"]
    for kind in kinds:
        if kind in (*OF_GA, *OF_THE_RUNNING_DAY):
            keys.append(kind.key(release))
        elif kind in OF_A_DAY:
            keys += [kind.key(release, day) for day in days]
        else:
            keys.append(kind.key(release, as_of_key(as_of)))
    return keys


def missing_from(store: Store, release: str, *, as_of: int, kinds: tuple[Kind, ...]) -> list[str]:
    """Return the keys of all artifacts that a release should have as of a day and has not."""
    due = tuple(kind for kind in kinds if kind not in OF_REFERENCES)
    return [key for key in _keys(release, as_of, due) if store.pointer(key) is None]


def last_verdict(store: Store, release: str, *, up_to: int) -> int:
    """Return the last day that a release has a bundle for.

    Raises
    ------
    MissingInputError
        If it has none.
    """
    known = [day for day in range(1, up_to + 1) if store.pointer(BUNDLE.key(release, as_of_key(day)))]
    if not known:
        raise MissingInputError(f"{release} has no verdict yet; run `tars-ops watch {release}`")
    return known[-1]
