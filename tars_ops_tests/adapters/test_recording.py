"""What the embedded week is, and what a recording refuses to be."""

from __future__ import annotations

import hashlib
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tars_ops.adapters.archive import pack_zip, read_archive
from tars_ops.adapters.artifacts import canonical_json
from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.recording import MANIFEST, RecordingSource, record
from tars_ops.adapters.source import TelemetrySource
from tars_ops.adapters.sources import DEMO, open_source
from tars_ops.adapters.verification import verify
from tars_ops.core.errors import (
    ConfigurationError,
    ContractError,
    MissingInputError,
    SourceError,
    SourceUnavailableError,
    TamperedError,
)
from tars_ops.core.policy import Policy
from tars_ops.core.release import Release, Window
from tars_ops.core.report.manifest import build_manifest
from tars_ops.core.telemetry import Telemetry, count_table
from tars_ops_tests.adapters.factories import POLICY, POLICY_TEXT, RELEASE, STAGING, telemetry


class Made:
    """A source that makes up each day."""

    def fetch(self, release: Release, policy: Policy, *, day: int) -> Telemetry:
        del policy
        return telemetry(release.window(day), seed=day)

    def fetch_window(self, release: Release, policy: Policy, window: Window) -> Telemetry:
        raise NotImplementedError

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        assert policy.baselines.staging
        assert policy.baselines.staging.selector == selector
        return telemetry(release.day_before_ga, seed=99)

    def close(self) -> None:
        pass


SMALL = record(Made(), RELEASE, POLICY, POLICY_TEXT, days=range(3))


@pytest.fixture
def small(tmp_path: Path) -> Path:
    path = tmp_path / "small.zip"
    path.write_bytes(SMALL)
    return path


# The embedded week


def test_the_embedded_week_is_small_and_intact() -> None:
    found = verify(DEMO)

    assert found.is_intact
    assert (found.release, found.as_of) == ("tars@1.0.1", 7)
    assert DEMO.stat().st_size < 3_000_000


def test_the_embedded_week_is_of_the_release_and_policy_that_it_names() -> None:
    demo = RecordingSource(DEMO)

    assert demo.release.key == "tars@1.0.1"
    assert demo.policy_text == POLICY_TEXT
    assert demo.release.policy_sha256 == hashlib.sha256(demo.policy_text).hexdigest()
    assert demo.days == [0, *demo.release.days]


def test_recording_the_embedded_week_again_gives_the_same_bytes(tmp_path: Path) -> None:
    demo = RecordingSource(DEMO)
    policy = load_policy(demo.policy_text, name="policy")
    again = record(demo, demo.release, policy, demo.policy_text, days=range(8))
    (tmp_path / "again.zip").write_bytes(again)
    copy = RecordingSource(tmp_path / "again.zip")

    assert again == DEMO.read_bytes()
    for day in demo.days:
        first = demo.fetch(demo.release, policy, day=day)
        assert copy.fetch(demo.release, policy, day=day).sha256 == first.sha256
        assert first.quality.window == demo.release.window(day)


# Any recording


def test_a_recording_gives_back_what_the_source_said(small: Path) -> None:
    recording = RecordingSource(small)

    assert (recording.release, recording.policy_text, recording.days) == (RELEASE, POLICY_TEXT, [0, 1, 2])
    for day in range(3):
        assert recording.fetch(RELEASE, POLICY, day=day).sha256 == telemetry(RELEASE.window(day), seed=day).sha256


def test_a_recording_is_an_archive_that_verifies(small: Path) -> None:
    assert verify(small).is_intact
    assert record(Made(), RELEASE, POLICY, POLICY_TEXT, days=range(3)) == SMALL


def test_a_changed_byte_is_refused_wherever_it_is(tmp_path: Path) -> None:
    for n, at in enumerate(range(0, len(SMALL), 211)):
        broken = bytearray(SMALL)
        broken[at] ^= 1 << n % 8
        path = tmp_path / f"{n}.zip"
        path.write_bytes(broken)

        with pytest.raises(TamperedError, match=f"recording {n}.zip"):
            RecordingSource(path)


def test_a_recording_that_changes_under_its_reader_is_read_again(small: Path) -> None:
    RecordingSource(small)
    before = small.stat()
    broken = bytearray(SMALL)
    broken[len(SMALL) // 2] ^= 1
    small.write_bytes(broken)
    os.utime(small, ns=(before.st_atime_ns, before.st_mtime_ns + 1))

    with pytest.raises(TamperedError):
        RecordingSource(small)


@pytest.mark.parametrize(
    "changes",
    [
        {"version": "1.0.2"},
        {"product": "case"},
        {"ga_at": RELEASE.ga_at + timedelta(seconds=1)},
        {"day_length_s": 3600},
    ],
)
def test_another_release_is_refused_with_both_names_and_what_to_set(small: Path, changes: dict[str, Any]) -> None:
    other = Release.model_validate({**RELEASE.model_dump(), **changes})

    with pytest.raises(ContractError, match=r"tars@1\.0\.1 .*TARS_OPS_SOURCE") as told:
        RecordingSource(small).fetch(other, POLICY, day=1)
    assert f"not of {other.key}" in str(told.value)


def test_an_entry_that_differs_only_in_what_it_is_pinned_to_is_the_same_week(small: Path) -> None:
    other = Release.model_validate({**RELEASE.model_dump(), "policy_sha256": "f" * 64, "n_days": 2})

    assert RecordingSource(small).fetch(other, POLICY, day=2).quality.window == RELEASE.window(2)


@pytest.mark.parametrize("day", [-1, 3, 99])
def test_a_day_that_was_not_recorded_is_refused_with_those_that_were(small: Path, day: int) -> None:
    with pytest.raises(SourceError, match=r"no day .*\[0, 1, 2\]"):
        RecordingSource(small).fetch(RELEASE, POLICY, day=day)


@pytest.mark.parametrize("name", ["missing.zip", "folder", "small.zip/inside.zip"])
def test_a_recording_that_is_not_there_is_missing(small: Path, name: str) -> None:
    (small.parent / "folder").mkdir()

    with pytest.raises(MissingInputError, match="tars-ops record"):
        RecordingSource(small.parent / name)


def packed(files: dict[str, bytes]) -> bytes:
    described = canonical_json(build_manifest(RELEASE.key, 2, files, dict.fromkeys(files, "recording")))
    return pack_zip({**files, MANIFEST: described}, root=RELEASE.key)


@pytest.mark.parametrize("lacks", ["release.json", "policy.yaml", "telemetry/day_01/counts.parquet"])
def test_an_intact_archive_that_is_no_recording_is_refused(small: Path, lacks: str) -> None:
    files = {path: data for path, data in read_archive(small).items() if path not in {lacks, MANIFEST}}
    small.write_bytes(packed(files))

    with pytest.raises(ContractError, match=lacks.rsplit("/", 1)[-1]):
        RecordingSource(small).fetch(RELEASE, POLICY, day=1)


def test_folders_that_are_no_days_are_not_taken_for_days(small: Path) -> None:
    files = {path: data for path, data in read_archive(small).items() if path != MANIFEST}
    small.write_bytes(
        packed({**files, "telemetry/notes.txt": b"", "telemetry/day_x1/a": b"", "telemetry/day_011/a": b""})
    )

    assert RecordingSource(small).days == [0, 1, 2]


# Which source an address means


def test_a_recording_is_named_by_its_scheme(small: Path) -> None:
    demo, other = open_source("recording:demo"), open_source(f"recording:{small}")

    assert isinstance(demo, RecordingSource)
    assert isinstance(other, RecordingSource)
    assert (max(demo.days), max(other.days)) == (7, 2)


@pytest.mark.parametrize("address", ["", "demo", "ftp://host", "file:///etc/passwd", "HTTP:/host", "localhost:9090"])
def test_an_address_of_no_known_kind_is_refused_with_the_kinds_there_are(address: str) -> None:
    with pytest.raises(ConfigurationError, match=r"TARS_OPS_SOURCE .*recording:demo"):
        open_source(address)


def test_a_password_in_a_mistyped_address_is_not_repeated() -> None:
    with pytest.raises(ConfigurationError) as told:
        open_source("htps://watcher:canary-7f3a@prometheus:9090")

    assert "canary-7f3a" not in str(told.value)
    assert "prometheus:9090" in str(told.value)


# Staging

WITH_STAGING = POLICY_TEXT + f"\nbaselines: {{staging: {{selector: '{STAGING}'}}}}\n".encode()
STAGED = load_policy(WITH_STAGING, name="policy with staging")


class Failing(Made):
    """A source that is wrong about staging and nothing else."""

    def __init__(self, error: SourceError) -> None:
        self._error = error

    def fetch_staging(self, release: Release, policy: Policy, *, selector: str) -> Telemetry:
        del release, policy, selector
        raise self._error


def recorded(tmp_path: Path, source: TelemetrySource, policy_text: bytes = WITH_STAGING) -> RecordingSource:
    policy = load_policy(policy_text, name="policy")
    (tmp_path / "staged.zip").write_bytes(record(source, RELEASE, policy, policy_text, days=range(2)))
    return RecordingSource(tmp_path / "staged.zip")


def test_a_recording_holds_staging_where_the_policy_has_it(tmp_path: Path) -> None:
    recording = recorded(tmp_path, Made())

    found = recording.fetch_staging(RELEASE, STAGED, selector=STAGING)

    assert found.sha256 == telemetry(RELEASE.day_before_ga, seed=99).sha256
    assert recording.days == [0, 1]


@pytest.mark.parametrize(
    ("source", "policy_text", "selector", "told"),
    [
        (Made(), POLICY_TEXT, STAGING, r"staged\.zip holds no staging"),
        (Failing(SourceError("nothing is known of it")), WITH_STAGING, STAGING, r"staged\.zip holds no staging"),
        (Made(), WITH_STAGING, 'env="pre"', 'holds staging of product="tars-staging", not of env="pre"'),
    ],
)
def test_a_recording_without_that_staging_says_so(
    tmp_path: Path, source: TelemetrySource, policy_text: bytes, selector: str, told: str
) -> None:
    with pytest.raises(SourceError, match=told):
        recorded(tmp_path, source, policy_text).fetch_staging(RELEASE, STAGED, selector=selector)


def test_a_week_is_not_recorded_while_staging_does_not_answer(tmp_path: Path) -> None:
    with pytest.raises(SourceUnavailableError, match="no answer"):
        recorded(tmp_path, Failing(SourceUnavailableError("no answer")))


def test_staging_of_another_release_is_never_given_out(tmp_path: Path) -> None:
    other = RELEASE.model_copy(update={"version": "1.0.2"})

    with pytest.raises(ContractError, match=r"is of tars@1\.0\.1"):
        recorded(tmp_path, Made()).fetch_staging(other, STAGED, selector=STAGING)


# A day in progress, seen again


def part(hours: float, length_h: float = 1.0, *, of: RecordingSource | None = None) -> Telemetry:
    demo = of or RecordingSource(DEMO)
    start_at = demo.release.ga_at + timedelta(hours=hours)
    window = Window(start_at, start_at + timedelta(hours=length_h))
    return demo.fetch_window(demo.release, load_policy(demo.policy_text, name="demo"), window)


def slots(telemetry: Telemetry, counter: str, service: str) -> list[list[int]]:
    return count_table(telemetry, counter).of(service).tolist()


def test_a_part_of_a_day_has_the_counts_of_its_slots_and_no_samples() -> None:
    demo = RecordingSource(DEMO)
    whole = demo.fetch(demo.release, POLICY, day=1)

    found = part(24 + 9, 2)

    for counter in ("availability", "http_request_duration_seconds"):
        recorded = np.array(slots(whole, counter, "gateway"))[:, 9 * 12 : 11 * 12]
        assert slots(found, counter, "gateway") == recorded.tolist()
    assert set(found.counts["counter"]) == {
        "availability",
        "http_request_duration_seconds",
        "availability.scrapes",
        "p99_latency.scrapes",
    }
    assert len(found.samples) == 0
    assert [one.kpi for one in found.quality.kpis] == ["availability", "p99_latency"]


def test_a_part_may_reach_from_one_day_into_the_next() -> None:
    night, before, after = part(47.5), part(47.5, 0.5), part(48, 0.5)

    for counter in ("availability", "availability.scrapes"):
        joined = np.hstack([slots(before, counter, "chat"), slots(after, counter, "chat")])
        assert slots(night, counter, "chat") == joined.tolist()
    assert night.quality.window.length_s == 3600


def test_scrapes_are_missing_where_the_service_left_nothing() -> None:
    during, healthy = part(5 * 24 + 2, 2), part(5 * 24 + 8, 1)

    assert slots(during, "availability.scrapes", "search")[0][1:] == [0] * 23
    assert slots(healthy, "availability.scrapes", "search") == [[5] * 12]
    assert slots(during, "availability.scrapes", "chat") == [[5] * 24]
    series = during.quality.of_series("availability", "search")
    assert series is not None
    assert (series.n_expected, series.longest_gap_s) == (120, 23 * 300)


@pytest.mark.parametrize("hours", [24.01, 8 * 24 - 0.5])
def test_a_part_that_no_recording_can_give_is_refused(hours: float) -> None:
    with pytest.raises(ContractError, match="ask for an instant on the border"):
        part(hours)


def test_a_part_of_no_recorded_day_is_refused(small: Path) -> None:
    recording = RecordingSource(small)
    window = RELEASE.window(5)

    with pytest.raises(SourceError, match="holds nothing of"):
        recording.fetch_window(RELEASE, POLICY, window)
