"""How is a release week kept in one file and played back?

A recording holds what a source answered - the same tables, with their digests - for every day of one release. It is an
archive with a manifest, like a bundle, and is verified before anything of it is believed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path

from tars_ops.adapters.archive import pack_zip, read_archive
from tars_ops.adapters.artifacts import (
    TELEMETRY_FILES,
    canonical_json,
    decode_telemetry,
    encode_telemetry,
    parse_json,
)
from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.registry import POLICY_FILE, RELEASE_FILE, Registered
from tars_ops.adapters.source import Sighted, TelemetrySource
from tars_ops.adapters.staging import ask_staging
from tars_ops.adapters.verification import verify
from tars_ops.core.errors import ContractError, MissingInputError, SourceError, TamperedError
from tars_ops.core.excerpt import excerpt
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window
from tars_ops.core.report.manifest import build_manifest
from tars_ops.core.telemetry import Telemetry

MANIFEST = "manifest.json"
_DAY = re.compile(r"^telemetry/day_(\d\d)/")
_STAGING = "telemetry/staging"


def _folder(day: int) -> str:
    return f"telemetry/day_{day:02d}"


def _overlap(one: Window, other: Window) -> bool:
    return one.start_at < other.end_at and other.start_at < one.end_at


def record(source: TelemetrySource, release: Release, policy: Policy, policy_text: bytes, *, days: range) -> bytes:
    """Fetch the given days of a release (0 is the GA day), and staging where it is known, as a recording.

    Raises
    ------
    SourceError
        If the source cannot answer; a staging that it refuses or does not know is left out.
    """
    files = {RELEASE_FILE: canonical_json(release), POLICY_FILE: policy_text}
    for day in days:
        telemetry = source.fetch(release, policy, day=day)
        files |= {f"{_folder(day)}/{name}": data for name, data in encode_telemetry(telemetry).items()}
    staging = ask_staging(source, Registered(release, policy, policy_text), may_try_again=True)
    if staging.telemetry:
        files |= {f"{_STAGING}/{name}": data for name, data in encode_telemetry(staging.telemetry).items()}
    last = max(days)
    manifest = build_manifest(release.key, last, files, dict.fromkeys(files, "recording"))
    return pack_zip({**files, MANIFEST: canonical_json(manifest)}, root=release.key)


@lru_cache(maxsize=2)
def _read(path: Path, modified_ns: int) -> Mapping[str, bytes]:
    del modified_ns  # part of the cache's key: a recording that changed is read again
    found = verify(path)
    if found.differences:
        raise TamperedError(f"recording {path.name}: {found.differences[0].path}: {found.differences[0].detail}")
    return read_archive(path)


class RecordingSource:
    """Telemetry from a recording."""

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise MissingInputError(f"there is no recording {path.name}; make one with `tars-ops record`")
        self._path = path
        self._files = _read(path.resolve(), path.stat().st_mtime_ns)
        if missing := [name for name in (RELEASE_FILE, POLICY_FILE) if name not in self._files]:
            raise ContractError(f"{path.name} is no recording: it holds no {', '.join(missing)}")

    @property
    def release(self) -> Release:
        """The release that was recorded."""
        return parse_json(Release, self._files[RELEASE_FILE], name=RELEASE_FILE)

    @property
    def policy_text(self) -> bytes:
        """The policy that it was recorded under."""
        return self._files[POLICY_FILE]

    @property
    def days(self) -> list[int]:
        """The recorded days; 0 is the GA day."""
        return sorted({int(found[1]) for path in self._files if (found := _DAY.match(path))})

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        """Return the telemetry of a day; see ``TelemetrySource``.

        A KPI that the policy has gained since is not in the recording, and so unknown; the judgement says so.
        """
        del policy
        self._check_is_of(release)
        if day not in self.days:
            raise SourceError(f"recording {self._path.name} has no day {day}; it holds {json.dumps(self.days)}")
        return self._telemetry(_folder(day))

    def _check_is_of(self, release: Release) -> None:
        recorded = self.release
        if (release.key, release.ga_at, release.day_length_s) != (recorded.key, recorded.ga_at, recorded.day_length_s):
            raise ContractError(
                f"recording {self._path.name} is of {recorded.key} with GA {recorded.ga_at.isoformat()}, not of "
                f"{release.key} with GA {release.ga_at.isoformat()}; set TARS_OPS_SOURCE to its own source"
            )

    def _telemetry(self, folder: str) -> Telemetry:
        paths = {name: f"{folder}/{name}" for name in TELEMETRY_FILES}
        return decode_telemetry({name: self._files[path] for name, path in paths.items() if path in self._files})

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        """Cut a window out of the recorded days; see ``TelemetrySource`` and ``core.excerpt``."""
        days = [day for day in self.days if _overlap(release.window(day), window)]
        if not days:
            raise SourceError(f"recording {self._path.name} holds nothing of {window.start_at} to {window.end_at}")
        return excerpt([self.fetch(release, policy, day=day) for day in days], window, policy.promises)

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        """Return the recorded staging; see ``TelemetrySource``."""
        del policy
        self._check_is_of(release)
        recorded = load_policy(self.policy_text, name=POLICY_FILE).baselines.staging
        if recorded is None or f"{_STAGING}/quality.json" not in self._files:
            raise SourceError(f"recording {self._path.name} holds no staging")
        if recorded.selector != selector:
            raise SourceError(f"recording {self._path.name} holds staging of {recorded.selector}, not of {selector}")
        return self._telemetry(_STAGING)

    def close(self) -> None:
        """Nothing to let go of."""


class RecordingSightings:
    """The one release of a recording, seen on the days that it holds."""

    def __init__(self, recording: RecordingSource) -> None:
        self._recording = recording

    def seen(self, policy: Policy, window: Window) -> Sighted:
        """Return the recorded release whenever it ran: a recording lies in the past; see ``ReleaseSightings``."""
        release, days = self._recording.release, self._recording.days
        if policy.product != release.product or not days:
            return Sighted(window, {})
        ran = Window(release.ga_at, release.window(max(days)).end_at)
        return Sighted(Window(ran.start_at - timedelta(days=1), ran.end_at), {release.version: (ran,)})

    def newest_at(self, release: Release, policy: Policy, *, end_at: datetime) -> datetime | None:
        """Return the end of a day that the recording holds."""
        del policy
        recorded = self._recording.release
        held = {recorded.window(day).end_at for day in self._recording.days} if release.key == recorded.key else set()
        return end_at if end_at in held else None

    def close(self) -> None:
        """Nothing to let go of."""
