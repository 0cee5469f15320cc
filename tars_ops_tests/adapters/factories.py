"""A small week in a real store: made-up telemetry, real models, every kind of artifact."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import numpy as np

from tars_ops.adapters import catalogue
from tars_ops.adapters.bundle import bundle
from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.release import Release, Window, day_key
from tars_ops.core.report.compliance import index_controls
from tars_ops.core.report.provenance import trace
from tars_ops.core.telemetry import (
    CountTable,
    KpiQuality,
    Quality,
    SampleTable,
    SeriesQuality,
    ServerQuality,
    Telemetry,
    count_frame,
    sample_frame,
)
from tars_ops.core.watch.certification import certify
from tars_ops.core.watch.references import PinnedArtifact, PinnedDay, PinnedStaging, ReferenceBaselines
from tars_ops.core.watch.running import judge_running
from tars_ops.core.watch.staging import staged
from tars_ops_tests.core.report.factories import Evidence, evidence, release
from tars_ops_tests.core.slots import Counted, running

POLICY_TEXT = (Path(__file__).parents[2] / "policies" / "tars.yaml").read_bytes()
RELEASE = release(policy_sha256=hashlib.sha256(POLICY_TEXT).hexdigest())
POLICY = load_policy(POLICY_TEXT, name="policy of tars")
AS_OF = 2
SLOTS, STEPS = 12, 24
STAGING = 'product="tars-staging"'


def telemetry(window: Window, *, seed: int = 1) -> Telemetry:
    """Return two services, one gauge with a gap and one ratio."""
    rng = np.random.default_rng(seed)
    services, length_ms = ("api", "wörker"), window.end_ms - window.start_ms
    at_ms = np.arange(STEPS, dtype=np.int64) * (length_ms // STEPS) + window.start_ms
    slot_ms = np.arange(SLOTS, dtype=np.int64) * (length_ms // SLOTS) + window.start_ms
    values = rng.normal(0.5, 0.1, (len(services), STEPS))
    values[0, 3:5] = np.nan
    counts = rng.integers(0, 2**40, (len(services), 2, SLOTS))
    return Telemetry(
        samples=sample_frame({"cpu": SampleTable(services, at_ms, values)}),
        counts=count_frame({"availability": CountTable(services, ("bad", "total"), slot_ms, counts)}),
        prior=count_frame({"availability": CountTable(services, ("bad", "total"), slot_ms - 7 * length_ms, counts)}),
        quality=_quality(window, services),
    )


def _quality(window: Window, services: tuple[str, ...]) -> Quality:
    return Quality(
        start_at=window.start_at,
        end_at=window.end_at,
        scrape_interval_s=15,
        slot_s=window.length_s // SLOTS,
        server=ServerQuality(product="Prometheus", version="2.42.0"),
        kpis=(
            KpiQuality(
                kpi="cpu",
                step_s=window.length_s // STEPS,
                queries=('sum by (service) (rate(cpu{release="1.0.1"}[1h]))',),
                warnings=("half of the \N{SNOWMAN} answered",),
                response_sha256="c" * 64,
            ),
        ),
        series=tuple(
            SeriesQuality(
                kpi="cpu",
                service=service,
                n_expected=STEPS,
                n_arrived=STEPS - 2,
                n_gaps=1,
                longest_gap_s=7200,
                n_nan=2,
                n_resets=0,
                n_series=1,
            )
            for service in services
        ),
    )


def pin(artifact: str, *paths: str) -> PinnedArtifact:
    """Return the pin of files whose content nobody has."""
    return PinnedArtifact(artifact=artifact, version=1, files=dict.fromkeys(paths, "f" * 64))


PINNED = ReferenceBaselines(
    release=RELEASE.key,
    previous="tars@1.0.0",
    previous_days=(
        PinnedDay(
            day=1,
            telemetry=pin("tars@1.0.0/stability/day_01/telemetry", "stability/day_01_telemetry/quality.json"),
            stability=pin("tars@1.0.0/stability/day_01/summary", "stability/day_01_summary.json"),
            anomalies=None,
        ),
    ),
    staging=PinnedStaging(
        selector=STAGING, telemetry=pin("tars@1.0.1/ga/staging", "ga/staging_telemetry/staging.json")
    ),
    absent={},
)


def week() -> Evidence:
    """Return the evidence of the first days."""
    return evidence(as_of=AS_OF, of_release=RELEASE, of_policy=POLICY)


def values(made: Evidence) -> Mapping[str, dict[str, object]]:
    """Return every value of a week by asset, and by the ``at`` of its key."""
    days = range(1, AS_OF + 1)
    as_of = catalogue.as_of_key(AS_OF)
    measured = {day: telemetry(RELEASE.window(day), seed=day) for day in (0, *days)}
    traced = trace(
        RELEASE.key,
        as_of=AS_OF,
        tool="tars_ops",
        policy_sha256=RELEASE.policy_sha256,
        inputs={"release.json": "d" * 64},
        qualities={day: one.quality for day, one in measured.items()},
    )
    return {
        "ga_telemetry": {"": measured[0]},
        "ga_baseline": {"": made.baseline},
        "staging_telemetry": {"": staged(RELEASE, STAGING, telemetry(RELEASE.day_before_ga, seed=99))},
        "reference_baselines": {"": PINNED},
        "daily_telemetry": {day_key(day): measured[day] for day in days},
        "daily_stability": {day_key(day): made.stabilities[day] for day in days},
        "anomaly_events": {day_key(day): made.anomalies[day] for day in days},
        "daily_health": {day_key(day): made.health[day] for day in days},
        "regression_analysis": {as_of: made.regression},
        "release_certification": {
            as_of: certify(made.regression, made.baseline, made.stabilities, RELEASE, POLICY),
        },
        "retrospective": {as_of: made.retrospective()},
        "executive_narrative": {as_of: made.narrative()},
        "compliance_index": {as_of: index_controls(RELEASE.key, AS_OF, {"release.json": "e" * 64})},
        "provenance": {as_of: traced},
    }


def provisional(made: Evidence) -> Mapping[str, dict[str, object]]:
    """Return the artifacts of a day in progress, by asset and by the ``at`` of their key."""
    found = running({"api": Counted(bad=9)}, until=RELEASE.ga_at + timedelta(hours=30), of=RELEASE, policy=POLICY)
    judged = judge_running(found, made.baseline, RELEASE, POLICY)
    return {"running_telemetry": {"": found}, "running_day": {"": judged}}


def stored_week(store: Store) -> Release:
    """Put a whole week into a store, bundle and a day in progress included."""
    Registry(store).add(RELEASE, POLICY_TEXT)
    for asset, by_at in {**values(week()), **provisional(week())}.items():
        kind = catalogue.BY_ASSET[asset]
        for at, value in by_at.items():
            store.put(kind.key(RELEASE.key, at), kind.encode(value, at))
    tree = catalogue.tree(store, RELEASE.key, as_of=AS_OF, kinds=ALL_KINDS)
    packed = bundle(RELEASE, AS_OF, tree)
    store.put(catalogue.BUNDLE.key(RELEASE.key, catalogue.as_of_key(AS_OF)), packed.files)
    return RELEASE


ALL_KINDS = (*catalogue.OF_GA, *catalogue.OF_A_DAY, *catalogue.OF_A_VERDICT)
