"""What do the stored artifacts of a release say about each of its gates?

Read from the store, checked against the digests and judged by ``core.gates``. The asset checks and the alerts both ask
here, so a page can never say something else than the UI; and what an event log forgot is still known.
"""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tars_ops.adapters.archive import opened
from tars_ops.adapters.catalogue import (
    ANOMALY_EVENTS,
    BUNDLE,
    CERTIFICATION,
    DAILY_HEALTH,
    DAILY_STABILITY,
    DAILY_TELEMETRY,
    GA_BASELINE,
    GA_TELEMETRY,
    OF_A_DAY,
    OF_A_VERDICT,
    OF_GA,
    REGRESSION,
    RUNNING_DAY,
    Kind,
    as_of_key,
    days_with,
    digests,
    missing_from,
)
from tars_ops.adapters.registry import Registered
from tars_ops.adapters.store import Store
from tars_ops.adapters.verification import verify
from tars_ops.core.alert import Seen
from tars_ops.core.errors import MissingInputError, TamperedError
from tars_ops.core.gate import Gate
from tars_ops.core.gates import of_baseline, of_day, of_running_day, of_telemetry, of_verdict
from tars_ops.core.gates.promise import Spent, not_promised
from tars_ops.core.release import day_key
from tars_ops.core.report.manifest import MANIFEST_PATH, Manifest
from tars_ops.core.telemetry import Telemetry
from tars_ops.core.watch.baseline import GaBaseline, summarise
from tars_ops.core.watch.budgets.budget import budgets
from tars_ops.core.watch.stability import DailyStability

N_ARCHIVES = 2
"""A bundle is a ZIP and a tar.gz of the same files."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A gate, and what was judged when it was checked."""

    gate: Gate
    seen: Seen


class Gates:
    """The gates of one release, from its stored artifacts."""

    def __init__(self, store: Store, registered: Registered) -> None:
        self._store, self._registered = store, registered
        self._release, self._policy = registered.release, registered.policy
        self._known: dict[str, tuple[Any, str]] = {}

    # -- the three questions --------------------------------------------------------------------------------------

    def of_ga(self, assets: Collection[str] = ()) -> Iterator[Checked]:
        """Check the gates of the GA day; ``assets`` leaves out those of other assets, none given means all."""
        telemetry, sha256 = self._read(GA_TELEMETRY, "")
        if _wants(assets, GA_TELEMETRY):
            seen = self._seen(0, sha256)
            for gate in _telemetry_gates(GA_TELEMETRY.asset, telemetry, self._yardstick(telemetry), self._registered):
                yield Checked(gate, seen)
        if _wants(assets, GA_BASELINE):
            baseline, baseline_sha256 = self._read(GA_BASELINE, "")
            spent = self._spent(telemetry, baseline, up_to=0)
            seen = self._seen(0, baseline_sha256)
            for gate in of_baseline.baseline_gates(
                baseline, self._release, self._policy, telemetry=telemetry, spent=spent
            ):
                yield Checked(gate, seen)

    def of_day(self, day: int, assets: Collection[str] = ()) -> Iterator[Checked]:
        """Check the gates of a judged day."""
        at = day_key(day)
        baseline = self._read(GA_BASELINE, "")[0]
        telemetry, sha256 = self._read(DAILY_TELEMETRY, at)
        if _wants(assets, DAILY_TELEMETRY):
            for gate in _telemetry_gates(DAILY_TELEMETRY.asset, telemetry, baseline, self._registered):
                yield Checked(gate, self._seen(day, sha256))
        if _wants(assets, DAILY_STABILITY):
            stability, sha256 = self._read(DAILY_STABILITY, at)
            spent = self._spent(self._read(GA_TELEMETRY, "")[0], baseline, up_to=day)
            for gate in of_day.stability_gates(stability, self._policy, spent, telemetry.quality):
                yield Checked(gate, self._seen(day, sha256))
        if _wants(assets, ANOMALY_EVENTS):
            found, sha256 = self._read(ANOMALY_EVENTS, at)
            stability = self._read(DAILY_STABILITY, at)[0]
            yield Checked(of_day.anomaly_gate(found, stability, self._policy), self._seen(day, sha256))
        if _wants(assets, DAILY_HEALTH):
            health, sha256 = self._read(DAILY_HEALTH, at)
            yield Checked(of_day.health_gate(health, self._policy), self._seen(day, sha256))

    def of_verdict(self, as_of: int, assets: Collection[str] = ()) -> Iterator[Checked]:
        """Check the gates of the verdict as of a day."""
        at = as_of_key(as_of)
        if _wants(assets, REGRESSION):
            analysis, sha256 = self._read(REGRESSION, at)
            for gate in of_verdict.regression_gates(analysis, self._policy):
                yield Checked(gate, self._seen(as_of, sha256, of_release=True))
        if _wants(assets, CERTIFICATION):
            certificate, sha256 = self._read(CERTIFICATION, at)
            gate = of_verdict.certification_gate(certificate, self._policy)
            yield Checked(gate, self._seen(as_of, sha256, of_release=True))
        if _wants(assets, BUNDLE):
            for gate in self._bundle_gates(as_of):
                yield Checked(gate, self._seen(as_of, self._sha256(BUNDLE, at), of_release=True))

    def not_promised(self, asset: str, kpis: Collection[str]) -> Iterator[Checked]:
        """Return the gates of the objectives that other policies promise and the one of this release does not."""
        seen = self._seen(0, None)
        return (Checked(gate, seen) for gate in not_promised(asset, kpis, self._policy))

    def of_running_day(self) -> Iterator[Checked]:
        """Check the gates of the day in progress, as of its last provisional judgement."""
        running, sha256 = self._read(RUNNING_DAY, "")
        key = self._release.key
        seen = Seen(
            release=key,
            partition=key,
            day=running.day,
            start_at=running.start_at,
            evidence_sha256=sha256,
            provisional=True,
        )
        return (Checked(gate, seen) for gate in of_running_day.running_day_gates(running, self._policy))

    def integrity(self, kind: Kind, day: int) -> Checked:
        """Check that a stored artifact is what its digests say."""
        at = day_key(day) if day else ""
        try:
            files = self._store.get(kind.key(self._release.key, at))
        except TamperedError as damage:
            return self.damaged(kind.asset, day, str(damage))
        gate = of_telemetry.intact(kind.asset, None, self._policy, evidence={"n_files": len(files)})
        return Checked(gate, self._seen(day, self._sha256(kind, at)))

    def damaged(self, asset: str, day: int, flaw: str) -> Checked:
        """Return the gate of an artifact that differs from its digest."""
        return Checked(of_telemetry.intact(asset, flaw, self._policy, evidence={}), self._seen(day, None))

    # -- reading --------------------------------------------------------------------------------------------------

    def _read(self, kind: Kind, at: str) -> tuple[Any, str]:
        key = kind.key(self._release.key, at)
        if key not in self._known:
            pointer = self._store.pointer(key)
            if pointer is None:
                raise MissingInputError(f"{key} is not in the store; materialise `{kind.asset}` first")
            self._known[key] = kind.decode(self._store.get(key, version=pointer.version)), pointer.sha256
        return self._known[key]

    def _yardstick(self, telemetry: Telemetry) -> GaBaseline:
        """Return the frozen baseline; before there is one, what it would be."""
        if self._store.pointer(GA_BASELINE.key(self._release.key)) is None:
            return summarise(telemetry, self._release, self._policy)
        return self._read(GA_BASELINE, "")[0]

    def _sha256(self, kind: Kind, at: str) -> str | None:
        pointer = self._store.pointer(kind.key(self._release.key, at))
        return pointer.sha256 if pointer else None

    def _seen(self, day: int, sha256: str | None, *, of_release: bool = False) -> Seen:
        key = self._release.key
        return Seen(
            release=key,
            partition=key if of_release or not day else f"{day_key(day)}|{key}",
            day=day,
            start_at=self._release.window(day).start_at,
            evidence_sha256=sha256,
        )

    def _spent(self, ga: Telemetry, baseline: GaBaseline, *, up_to: int) -> Spent:
        known = days_with(self._store, self._release.key, DAILY_STABILITY, up_to=up_to)
        days: dict[int, DailyStability] = {day: self._read(DAILY_STABILITY, day_key(day))[0] for day in known}
        return {(one.kpi, one.service): one for one in budgets(ga, baseline, days, self._policy)}

    def _bundle_gates(self, as_of: int) -> tuple[Gate, ...]:
        release, kinds = self._release.key, (*OF_GA, *OF_A_DAY, *OF_A_VERDICT)
        flaws, held = self._opened_bundle(as_of)
        wanted = digests(self._store, release, as_of=as_of, kinds=kinds)
        other = [f"{path} of the bundle is not the stored one" for path in wanted if wanted[path] != held.get(path)]
        missing = [*missing_from(self._store, release, as_of=as_of, kinds=kinds), *other]
        return of_verdict.bundle_gates(flaws, missing, self._policy, as_of=as_of)

    def _opened_bundle(self, as_of: int) -> tuple[list[str], dict[str, str]]:
        """Return what differs in the bundle, and the digests of its files by path."""
        try:
            files = self._store.get(BUNDLE.key(self._release.key, as_of_key(as_of)))
        except TamperedError as damage:
            return [str(damage)], {}
        return bundle_flaws(files), bundle_digests(files)


def bundle_flaws(files: Mapping[str, bytes]) -> list[str]:
    """Verify the archives of a bundle as an auditor would, and return what differs."""
    with tempfile.TemporaryDirectory(prefix="tars-ops-") as folder:
        for name, data in files.items():
            Path(folder, name).write_bytes(data)
        archives = [Path(folder, name) for name in sorted(files) if not name.endswith(".sha256")]
        if len(archives) != N_ARCHIVES:
            return [f"{len(archives)} archives instead of {N_ARCHIVES}"]
        return [
            f"{archive.name}: {one.kind} {one.path}: {one.detail}"
            for archive in archives
            for one in verify(archive).differences
        ]


def bundle_digests(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the digest of each file that a bundle says it holds, by path; none where it cannot be opened."""
    archive = next((data for name, data in sorted(files.items()) if name.endswith(".zip")), b"")
    try:
        manifest = Manifest.model_validate_json(opened(archive).files[MANIFEST_PATH])
    except (TamperedError, KeyError, ValidationError):
        return {}
    return {one.path: one.sha256 for one in manifest.files}


def _wants(assets: Collection[str], kind: Kind) -> bool:
    return not assets or kind.asset in assets


def _telemetry_gates(
    asset: str, telemetry: Telemetry, baseline: GaBaseline, registered: Registered
) -> tuple[Gate, Gate]:
    return (
        of_telemetry.covers_the_window(asset, telemetry, baseline, registered.policy),
        of_telemetry.comes_without_warnings(asset, telemetry.quality, registered.policy),
    )
