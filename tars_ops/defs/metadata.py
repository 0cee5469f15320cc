"""What does the UI show of an artifact? Tables, numbers that plot, a verdict in words.

Percent and units are for people; the artifact itself holds ratios and base units.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dagster as dg

from tars_ops.core.telemetry import Telemetry
from tars_ops.core.units import Unit, percent, show
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.core.watch.anomalies.event import AnomalyEvents
from tars_ops.core.watch.baseline import GaBaseline
from tars_ops.core.watch.certification import Certification
from tars_ops.core.watch.health import DailyHealth
from tars_ops.core.watch.regression import RegressionAnalysis
from tars_ops.core.watch.running import RunningDay
from tars_ops.core.watch.stability import DailyStability, Drift, change_text

Metadata = dict[str, dg.MetadataValue | str | int | float]
MAX_ROWS = 100
"""Longer tables are for the artifact's own file."""


def table(rows: Sequence[Mapping[str, str | int | float | None]]) -> dg.TableMetadataValue:
    """Return rows as a table; a longer one than the UI bears is cut and says so."""
    shown = [dg.TableRecord({k: "-" if v is None else v for k, v in row.items()}) for row in rows[:MAX_ROWS]]
    if len(rows) > MAX_ROWS:
        first = next(iter(rows[0]))
        shown.append(dg.TableRecord({k: f"{len(rows) - MAX_ROWS} more" if k == first else "" for k in rows[0]}))
    columns = [dg.TableColumn(name) for name in (rows[0] if rows else {"nothing": ""})]
    return dg.MetadataValue.table(shown, schema=dg.TableSchema(columns))


def telemetry_metadata(telemetry: Telemetry) -> Metadata:
    """Show how much arrived, from whom, and what the server warned about."""
    quality = telemetry.quality
    coverages = [one.coverage for one in quality.series]
    return {
        "dagster/partition_row_count": len(telemetry.samples) + len(telemetry.counts),
        "window": f"{quality.start_at:%Y-%m-%d %H:%M} to {quality.end_at:%Y-%m-%d %H:%M} UTC",
        "server": f"{quality.server.product} {quality.server.version}",
        "telemetry_sha256": telemetry.sha256,
        "lowest_coverage": min(coverages, default=0.0),
        "n_warnings": sum(len(one.warnings) for one in quality.kpis),
        "n_refused": sum(one.refused is not None for one in quality.kpis),
        "quality": table(
            [
                {
                    "kpi": one.kpi,
                    "service": one.service,
                    "coverage": percent(one.coverage, digits=2),
                    "longest gap": f"{one.longest_gap_s} s",
                    "resets": one.n_resets,
                    "series": one.n_series,
                }
                for one in sorted(quality.series, key=lambda one: (one.coverage, one.kpi, one.service))
            ]
        ),
    }


def baseline_metadata(baseline: GaBaseline, units: Mapping[str, Unit]) -> Metadata:
    """Show what the GA day was."""
    rows = [
        {
            "kpi": one.kpi,
            "service": one.service,
            "value": show(one.value, units[one.kpi]),
            "events": one.n_total if one.n_total is not None else one.n_samples,
            "doubt": baseline.doubt(one.kpi, one.service) or "",
        }
        for one in baseline.kpis
    ]
    return {
        "n_services": len(baseline.services),
        "n_doubts": len(baseline.doubts),
        "supersedes": baseline.supersedes or "nothing",
        "kpis": table(rows),
    }


def stability_metadata(stability: DailyStability, units: Mapping[str, Unit]) -> Metadata:
    """Show the verdict of each KPI of each service, the worst first."""
    order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS)
    rows = sorted(stability.kpis, key=lambda row: (order.index(row.verdict), row.kpi, row.service))
    n = {verdict: sum(row.verdict is verdict for row in rows) for verdict in Verdict}
    return {
        "verdict": stability.verdict.value,
        "n_fail": n[Verdict.FAIL],
        "n_unknown": n[Verdict.UNKNOWN],
        "n_warn": n[Verdict.WARN],
        "highest_burn_rate": round(max((row.burn for row in rows if row.burn is not None), default=0.0), 3),
        # sentences in a table of their own: beside seven columns the UI breaks them after every letter
        "findings": table(
            [
                {"verdict": row.verdict.value, "kpi": row.kpi, "service": row.service, "reason": row.reason}
                for row in rows
                if row.verdict is not Verdict.PASS
            ]
        ),
        "kpis": table(
            [
                {
                    "verdict": row.verdict.value,
                    "kpi": row.kpi,
                    "service": row.service,
                    "value": show(row.measured.value, units[row.kpi]),
                    "GA day": show(row.baseline, units[row.kpi]),
                    "drift": change_text(Drift(row.drift, row.drift_in, row.harm)),
                }
                for row in rows
            ]
        ),
    }


def anomaly_metadata(found: AnomalyEvents) -> Metadata:
    """Show the events, the most severe first."""
    events = sorted(found.events, key=lambda event: (event.severity.rank, event.started_at))
    return {
        "n_events": len(events),
        "n_critical": sum(event.severity is Severity.CRITICAL for event in events),
        "n_series": found.n_series,
        "n_uncalibrated": found.n_uncalibrated,
        "events": table(
            [
                {
                    "severity": event.severity.value,
                    "class": event.anomaly_class.value,
                    "kpi": event.kpi,
                    "service": event.service,
                    "from": f"{event.started_at:%H:%M}",
                    "to": f"{event.ended_at:%H:%M}",
                    "score": round(event.score, 1),
                    "told": event.sentence,
                }
                for event in events
            ]
        ),
    }


def health_metadata(health: DailyHealth) -> Metadata:
    """Show the score, its parts and what to do."""
    parts = [
        {"part": p.name, "weight": percent(p.weight, digits=0), "score": p.score, "worst service": p.worst_service}
        for p in health.parts
    ]
    actions = [{"priority": m.priority.value, "action": m.action, "finding": m.finding} for m in health.mitigations]
    shown: Metadata = {
        "status": health.status.value,
        "tier": health.tier.value,
        "tier_reason": health.tier_reason,
        "parts": table(parts),
        "mitigations": table(actions),
    }
    return shown if health.score is None else {**shown, "score": health.score}


def regression_metadata(analysis: RegressionAnalysis) -> Metadata:
    """Show the decision, its reasons and what regressed."""
    active = [one for one in analysis.regressions if one.active]
    return {
        "as_of": analysis.as_of,
        "decision": analysis.decision.value,
        "tier": analysis.tier.value,
        "tier_reason": analysis.tier_reason,
        "assessment": analysis.assessment,
        "confidence": percent(analysis.confidence),
        "expected_budget_saved": _saved_text(analysis),
        "n_active_regressions": len(active),
        "highest_budget_spent": round(max((one.spent for one in analysis.budgets), default=0.0), 3),
        "days": table(
            [{"day": one.day, "state": one.state.value, "verdict": one.verdict.value} for one in analysis.days]
        ),
        "budgets": table(
            [
                {
                    "status": one.status,
                    "kpi": one.kpi,
                    "service": one.service,
                    "spent": percent(one.spent),
                    "own share": percent(one.own_share),
                    "days to exhaustion": _days_text(one.exhaustion_days),
                    "from": _days_text(one.exhaustion_low_days),
                    "to": _days_text(one.exhaustion_high_days),
                    "burnt too fast": ", ".join(
                        f"{burn.window} on day {burn.day}"
                        for burn in analysis.burns
                        if burn.n_fired and (burn.kpi, burn.service) == (one.kpi, one.service)
                    ),
                }
                for one in sorted(analysis.budgets, key=lambda one: one.spent, reverse=True)
            ]
        ),
        "reasons": table([{"argues for": one.argues_for.value, "reason": one.text} for one in analysis.reasons]),
        "regressions": table(
            [
                {
                    "severity": one.severity.value,
                    "kpi": one.kpi,
                    "service": one.service,
                    "days": ", ".join(map(str, one.days)),
                    "state": "active" if one.active else "recovered",
                    "against": ", ".join(kind.value for kind in one.baselines),
                    "finding": one.comparison.sentence,
                }
                for one in analysis.regressions
            ]
        ),
        "baselines": table(
            [
                {
                    "day": one.day,
                    "baseline": one.kind.value,
                    "used": "yes" if one.used else "no",
                    "why not": one.reason or "; ".join(f"{part.service}: {part.reason}" for part in one.rejected),
                }
                for one in analysis.baselines
            ]
        ),
    }


def _saved_text(analysis: RegressionAnalysis) -> str:
    saved = analysis.expected_budget_saved
    if saved is None:
        return "nothing that is sure"
    return (
        f"{percent(saved.share, digits=0)} of the budget of {saved.kpi} of {saved.service} "
        f"({percent(saved.low, digits=0)} to {percent(saved.high, digits=0)}) in {saved.n_days} days"
    )


def _days_text(days: float | None) -> str:
    return "not within 90 days" if days is None else f"{days:.1f}"


def certification_metadata(certificate: Certification) -> Metadata:
    """Show what the release may do, and every reason against it."""
    return {
        "as_of": certificate.as_of,
        "may_be_promoted": "yes" if certificate.may_promote else "no",
        "may_be_closed": "yes" if certificate.may_close else "no",
        "against_promotion": table([{"code": one.code, "reason": one.text} for one in certificate.promotion_blockers]),
        "against_closing": table([{"code": one.code, "reason": one.text} for one in certificate.closing_blockers]),
    }


def running_metadata(judged: RunningDay, units: Mapping[str, Unit]) -> Metadata:
    """Show what holds so far and how fast each budget burns, the worst first."""
    order = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN, Verdict.PASS)
    return {
        "verdict": judged.verdict.value,
        "provisional": "yes",
        "day": judged.day,
        "window": f"{judged.start_at:%Y-%m-%d %H:%M:%S} to {judged.until_at:%Y-%m-%d %H:%M:%S} UTC",
        "decision": judged.decision.value,
        "reason": judged.reason,
        "highest_burn_rate": round(max((one.short.burn or 0.0 for one in judged.burns), default=0.0), 3),
        "burns": table(
            [
                {
                    "verdict": one.verdict.value,
                    "kpi": one.kpi,
                    "service": one.service,
                    "long burn rate": None if one.long.burn is None else round(one.long.burn, 3),
                    "short burn rate": None if one.short.burn is None else round(one.short.burn, 3),
                    "limit": round(one.limit, 3),
                }
                for one in sorted(judged.burns, key=lambda one: order.index(one.verdict))
            ]
        ),
        "kpis": table(
            [
                {
                    "verdict": one.verdict.value,
                    "kpi": one.kpi,
                    "service": one.service,
                    "value": show(one.measured.value, units[one.kpi]),
                    "reason": one.reason,
                }
                for one in sorted(judged.kpis, key=lambda one: order.index(one.verdict))
            ]
        ),
    }
