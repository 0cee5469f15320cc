"""Which keys does each JSON document have, and what does each of them mean?

The page is made of the models themselves. A key whose model says nothing is explained by `COMMON`, where one meaning
holds in every document, or in the one that it names; a test finds the key that neither explains.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from tars_ops.adapters.export import RunProvenance
from tars_ops.adapters.store import Pointer
from tars_ops.core.release import Release
from tars_ops.core.report.compliance import ComplianceIndex
from tars_ops.core.report.manifest import Manifest
from tars_ops.core.report.narrative import Narrative
from tars_ops.core.report.provenance import Provenance
from tars_ops.core.report.retrospective import Retrospective
from tars_ops.core.telemetry import Quality
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.certification import Certification
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.references import ReferenceBaselines
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.running import RunningDay
from tars_ops.core.watch.stability import DailyStability
from tars_ops.core.watch.staging import StagingDay

DOCUMENTS: Final[Mapping[str, type[BaseModel]]] = {
    "release.json": Release,
    "quality.json": Quality,
    "ga_kpi_summary.json": GaBaseline,
    "staging.json": StagingDay,
    "reference_baselines.json": ReferenceBaselines,
    "day_NN_summary.json": DailyStability,
    "day_NN_anomalies.json": AnomalyEvents,
    "day_NN_HEALTH.json": DailyHealth,
    "regression_summary.json": RegressionAnalysis,
    "certification.json": Certification,
    "GA_7DAY_RETROSPECTIVE.json": Retrospective,
    "executive_narrative.json": Narrative,
    "compliance_index.json": ComplianceIndex,
    "provenance.json": Provenance,
    "running_day.json": RunningDay,
    "manifest.json": Manifest,
    "run_provenance.json": RunProvenance,
    "pointers of the store": Pointer,
}
"""Each document and the model that it is the dump of, in the order of a watch."""

_HEAD: Final = """\
# Keys of the JSON documents

<!-- Generated from the models by `make docs`; change the docstrings in tars_ops/core instead. -->

What each file is for, with an example, stands in [artifacts](artifacts.md). Null means unknown; it never means 0.
Instants are UTC. Values are in base units and ratios, except where a key of the retrospective says percent,
milliseconds or US dollars. `*` as a service is the total over all services; `*` as a KPI is all of a service.
"""
_TABLE: Final = "| Key | Type | Meaning |\n|---|---|---|\n"
COMMON: Final[Mapping[str, str]] = {
    "achievement_percent": "Actual over target, or target over actual where lower is better; percent, at most 999.",
    "action": "What to do, as a sentence.",
    "action_items": "Recommendations that cannot wait, each with an owner and a date.",
    "actions": "Three to five things to do, the most urgent first.",
    "actual_value": "What was measured, with its unit, as text.",
    "after": "Value on the compared day, in the KPI's unit.",
    "anomaly_class": "What the event looks like.",
    "argues_for": "The decision that this reason calls for.",
    "artifact": "Key of the artifact in the store.",
    "as_of": "Day of the watch that the document was made for; later days are left out.",
    "asked": "What was asked for each KPI.",
    "assessment": "The active regressions in one word.",
    "baseline": "What the day is compared with.",
    "baseline_supersedes": "Digest of the baseline that was replaced on purpose; null where none was.",
    "baseline_telemetry_sha256": "Digest of the GA telemetry behind the baseline.",
    "budget_consumed_percent": "Percent of the budget that the worst service has spent; null where it is unknown.",
    "budget_spent": "Share of the budget of the worst service, as text.",
    "budgets": "Every error budget of every service.",
    "by_day": "One entry per day.",
    "category": "Kind of what is spoken of, such as availability or latency.",
    "change_in": "Whether `change`, `lower` and `upper` are relative or points.",
    "changes": "What is different from the day before that was judged.",
    "code": "The rule that found the reason.",
    "commit": "Commit that was released; null where nobody gave it.",
    "compliance_by_day": "The promise day by day; the GA day is day 0.",
    "compute": "US dollars per day.",
    "controls": "Every control of the index.",
    "cost_analysis": "What the release costs to run.",
    "cost_breakdown": "Mean US dollars per day by resource.",
    "cost_optimization_recommendations": "What to do about the cost; empty where nothing is to be done.",
    "cost_trend": "The second half of the known days against the first: more than 10 % apart, or fewer than four days.",
    "day": "Day of the watch, counted from GA; the GA day is day 0.",
    "days": "One entry per day.",
    "Reason.days": "The days that it is about.",
    "days_judged": "Days that were judged.",
    "days_missing": "Days that are over and that nobody judged.",
    "days_pending": "Days that are not over as of this document.",
    "decision": "What the evidence recommends to do with the release.",
    "decision_text": "The decision as a sentence.",
    "degradations": "What got worse, one entry per incident.",
    "description": "What happened or what to do, with its figures.",
    "doubts": "KPIs that the GA day cannot speak for; every other KPI can be compared.",
    "drift_in": "Whether `drift` is relative or points, and `harm` relative or error budgets.",
    "due": "By when.",
    "end_at": "End of the window, first instant outside.",
    "events": "Every event, the earliest first.",
    "evidence": "Files of the tree that prove it.",
    "exported_at": "When the files were written.",
    "files": "The files, with digest and size.",
    "framework": "Name of the control framework.",
    "ga_day_cost": "US dollars of the GA day.",
    "ga_day_timestamp": "The GA instant.",
    "host": "Name of the machine.",
    "identifier": "Identifier of the control.",
    "impact": "How many events were hit, or how far the value moved.",
    "infos": "What the server remarked without doubting its answer.",
    "investigation_needed": "The harm is above 0.15.",
    "kpi": "Name of the KPI in the policy.",
    "Reason.kpi": "Name of the KPI in the policy; null where the reason is about none.",
    "kpis": "One entry per KPI and service.",
    "Quality.kpis": "How each KPI was asked for.",
    "longest_gap_s": "Longest run of slots without a scrape, seconds.",
    "lower": "Lower end of the interval.",
    "measured": "What was measured.",
    "median": "Middle of the samples, in the KPI's unit.",
    "method": "Detector that the policy chose.",
    "metric_name": "Name of the KPI in the policy, or of the count that is reported.",
    "mitigations": "What somebody should do about this day, the most urgent first.",
    "n_anomalies": "Anomaly events of the day.",
    "n_critical_anomalies": "Those of severity critical.",
    "n_days_known": "Days whose cost is known.",
    "n_gaps": "Runs of slots without a single scrape.",
    "n_resets": "Counter resets, such as restarts.",
    "n_samples": "Samples that are known.",
    "n_series": "Series of the server behind the KPI.",
    "n_total": "Valid events; null where the day could not be measured.",
    "name": "Name of the part.",
    "network": "US dollars per day.",
    "objective": "Promised share of good events.",
    "SlaRow.objective": "The promise as text.",
    "other": "US dollars per day.",
    "outcome": "What the comparison says.",
    "overall_status": "The week in one word.",
    "owner": "Who answers for the product, as the policy names them.",
    "parts": "The parts of the score.",
    "path": "Path within the release's tree.",
    "peak_at": "Instant of the most surprising sample.",
    "period_days": "Days that the error budget is promised over.",
    "platform": "Operating system.",
    "policy_sha256": "Digest of the policy file that judged.",
    "potential_causes": "Up to three: what moved with it, then what the policy lists.",
    "priority": "How soon it is due.",
    "process_improvements": "How the next release could be run better, each with its finding.",
    "product": "Name of the product.",
    "ServerQuality.product": "Name of the server's program.",
    "provenance": "Digests of what the report was made from.",
    "python": "Version of Python.",
    "queries": "The exact text of every query.",
    "reason": "Why, in words.",
    "reasons": "Every reason of the decision.",
    "recommendations": "The ten most urgent things to do, each tagged with its priority.",
    "refused": "Why the KPI could not be measured at all; null where it could.",
    "regressions": "Every regression seen so far, the active ones first.",
    "release": "Key of the release, `product@version`.",
    "resolution_details": "How it is known, or why not.",
    "resolution_status": "Whether it is over, looked up in the days that followed.",
    "response_sha256": "Digest of the parsed answers.",
    "risks": "What may still go wrong, at most five.",
    "schema_version": "Version of this document's form.",
    "score": "0..100; null where nothing could be scored.",
    "scrape_interval_s": "Distance of two scrapes, seconds.",
    "sentence": "The finding as a sentence with its figures.",
    "series": "How much of each KPI of each service arrived.",
    "server": "Which server answered.",
    "service": "Name of the service.",
    "Reason.service": "Name of the service; null where the reason is about none.",
    "GaBaseline.services": "Services that must answer: those of the policy and those seen on the GA day.",
    "BaselineUse.kind": "What the day was to be compared with.",
    "test": "How the two periods were compared; null where they were not.",
    "BurnDown.services": "The budget of each service.",
    "severity": "How bad it is.",
    "sha256": "SHA-256 digest.",
    "size_bytes": "Size in bytes.",
    "sla": "Every promise as it stands on the day of the report.",
    "slo": "Name of the promise.",
    "slo_burn_downs": "Every promise with its error budget.",
    "slo_name": "Title of the promise.",
    "slot_s": "Length of a slot of counts, seconds.",
    "spreads": "How the samples of the GA day are spread.",
    "stability_telemetry_sha256": "Digest of the telemetry of each judged day.",
    "DailyHealth.stability_telemetry_sha256": "Digest of the telemetry that was judged.",
    "start_at": "Start of the window, first instant inside.",
    "started_at": "Start of the first anomalous step.",
    "state": "Whether the day is judged, pending or missing.",
    "status": "The state in one word.",
    "ActionItem.status": "Always open: the project does not follow up.",
    "storage": "US dollars per day.",
    "successes": "Promises that were kept on every day.",
    "summary": "The row as a sentence.",
    "supports": "What a watched release says about the control.",
    "target_value": "What was promised, with its unit, as text.",
    "telemetry_sha256": "Digest of the telemetry that was judged.",
    "text": "The same as a sentence with its figures.",
    "tier": "The one colour for leadership.",
    "tier_reason": "The fact that sets the tier.",
    "title": "Name for readers.",
    "tool": "Name and version of the program.",
    "totals": "Every KPI over all services, day by day.",
    "trends": "Health, cost and traffic day by day.",
    "unexpected_drifts": "What moved further than expected without being a regression.",
    "unit": "Unit of the values.",
    "unknowns": "Everything that could not be judged, and why.",
    "usd": "US dollars.",
    "value": "The value, in the unit of its KPI; null where it is unknown.",
    "verdict": "The outcome.",
    "version": "Version of the release.",
    "Pointer.version": "Number of the version, 1 for the first.",
    "ServerQuality.version": "Version of the server, as it says.",
    "warnings": "What the server warned about; any warning makes the KPI unknown.",
    "who": "Who does it.",
    "worst_service": "The service that decides.",
    "worst_value": "Its value, with its unit, as text.",
}


def artifact_reference() -> str:
    """Write the reference of all keys in Markdown; each model once, where it occurs first."""
    seen: list[object] = []
    return "\n".join([_HEAD, *(_document(path, model, seen) for path, model in DOCUMENTS.items())])


def _document(path: str, model: type[BaseModel], seen: list[object]) -> str:
    schema = model.model_json_schema(mode="serialization")
    named: dict[str, dict[str, Any]] = schema.get("$defs", {})
    inner = [name for name, one in named.items() if "properties" in one and one not in seen]
    seen += [named[name] for name in inner]
    parts = [f"### In `{path}`: {_words(name)}\n\n{_section(name, named[name], named)}" for name in inner]
    return "\n".join([f"## `{path}`\n\n{_section(model.__name__, schema, named)}", *parts])


def _section(model: str, schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    rows = (
        f"| `{key}` | {_escaped(_type(value, named))} | {_escaped(meaning(model, key, value))} |\n"
        for key, value in schema["properties"].items()
    )
    return f"{_prose(schema.get('description', ''))}\n\n{_TABLE}{''.join(rows)}"


def meaning(model: str, key: str, schema: Mapping[str, Any]) -> str:
    """Return what a key means: as its model says, else as every document says; empty where nobody does."""
    return _prose(schema.get("description") or COMMON.get(f"{model}.{key}") or COMMON.get(key, ""))


def _type(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    """Write the type of a JSON schema in words.

    Examples
    --------
    >>> _type({"anyOf": [{"type": "number"}, {"type": "null"}]}, {}), _type({"enum": ["a", "b"]}, {})
    ('number or null', '`a` or `b`')
    """
    match schema:
        case {"$ref": str(reference)}:
            name = reference.rpartition("/")[2]
            return _type(named[name], named) if "enum" in named[name] else _words(name)
        case {"const": value}:
            return f"`{value}`"
        case {"enum": [*values]}:
            return " or ".join(f"`{value}`" for value in values)
        case {"anyOf": [*some]}:
            return " or ".join(_type(one, named) for one in some)
        case {"type": "array", "items": inner}:
            return f"list of {_type(inner, named)}"
        case {"type": "array", "prefixItems": [*some]}:
            return f"list of {len(some)} {_type(some[0], named)}"
        case {"type": "object", "additionalProperties": dict(inner)}:
            return f"mapping of text to {_type(inner, named)}"
        case {"format": "date-time"}:
            return "instant"
        case {"type": kind}:
            words = {"string": "text", "integer": "whole number", "boolean": "`true` or `false`"}
            return words.get(str(kind), str(kind))
        case _:
            return "any"


def _words(name: str) -> str:
    """Write the name of a model as words, in bold so that its section is found.

    Examples
    --------
    >>> _words("KpiDay")
    '**kpi day**'
    """
    return f"**{re.sub(r'(?<=[a-z])(?=[A-Z])', ' ', name.rpartition('__')[2]).lower()}**"


def _prose(docstring: str) -> str:
    text = re.sub(r"\s+", " ", docstring).replace("``", "`").strip()
    text = re.sub(r"\bNone\b", "null", text).replace(". null", ". Null")
    return text[:1].upper() + text[1:]


def _escaped(text: str) -> str:
    return text.replace("|", "\\|")


def undocumented() -> Iterator[tuple[str, str]]:
    """Yield each key that nobody explains, with its model."""
    for model in DOCUMENTS.values():
        schema = model.model_json_schema(mode="serialization")
        for name, one in {model.__name__: schema, **schema.get("$defs", {})}.items():
            for key, value in one.get("properties", {}).items():
                if not meaning(name, key, value):
                    yield name, key


if __name__ == "__main__":
    sys.stdout.write(artifact_reference())
