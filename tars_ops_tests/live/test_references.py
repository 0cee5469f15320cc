"""Is a release that is slower from its first minute found, in a real Prometheus, by the release before it?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tars_ops.adapters.recording import RecordingSource
from tars_ops.adapters.registry import Registry
from tars_ops.core.watch.comparisons.comparison import Outcome
from tars_ops.core.watch.references import BaselineKind
from tars_ops_tests.live.command import POLICIES, Home
from tars_ops_tests.live.history import SERVICES, Scenario, Slower, load_blocks, write_openmetrics
from tars_ops_tests.live.servers import prometheus, require

pytestmark = pytest.mark.live
OLD, NEW = "tars@1.0.0", "tars@1.0.1"
GATEWAY, SEARCH = SERVICES[:2]
STAGING = 'product="tars-staging"'
SLOWER = Slower(service="search", ratio=0.2)
PRODUCTION = Scenario(services=(GATEWAY, SEARCH), incidents=(SLOWER,), days=range(-2, 2))
"""Version 1.0.0 has its GA two days before version 1.0.1."""
BEFORE = Scenario(
    services=(GATEWAY, SEARCH), incidents=(replace(SLOWER, from_day=-1),), days=range(-1, 0), seed=PRODUCTION.seed + 1
)


def write_staging(directory: Path) -> list[Path]:
    """Write the day before GA of the new version in staging."""
    files = write_openmetrics(BEFORE, directory)
    for file in files:
        text = file.read_text(encoding="ascii").replace('product="tars"', STAGING)
        file.write_text(text.replace('version="1.0.0"', 'version="1.0.1"'), encoding="ascii")
    return files


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Two releases in a row, each judged as of its first day."""
    require("prometheus")
    require("promtool")
    root = tmp_path_factory.mktemp("references")
    (root / "policies").mkdir()
    text = (POLICIES / "tars.yaml").read_text(encoding="utf-8")
    (root / "policies" / "tars.yaml").write_text(f"{text}\nbaselines: {{staging: {{selector: '{STAGING}'}}}}\n")
    files = [*write_openmetrics(PRODUCTION, root / "production"), *write_staging(root / "staging")]
    load_blocks(files, root / "tsdb")
    with prometheus(root / "tsdb") as server:
        home = Home(root, server.url, policies=root / "policies")
        home.run("release", "add", OLD, "--ga", "2025-11-16T00:00:00Z", "--days", "1")
        home.run("release", "add", NEW, "--ga", "2025-11-18T00:00:00Z", "--days", "1", "--previous", OLD)
        for release in (OLD, NEW):
            done = home.run("watch", release)
            assert done.code in {0, 10}, done.err
        yield home


def test_the_ga_day_says_nothing_and_the_release_before_says_regression(watched: Home) -> None:
    analysis = watched.regression(NEW, 1)

    p50 = {one.baseline: one for one in analysis.comparisons if (one.kpi, one.service) == ("p50_latency", "search")}

    assert p50[BaselineKind.GA_DAY].outcome is Outcome.EQUIVALENT
    assert p50[BaselineKind.STAGING].outcome is Outcome.EQUIVALENT
    assert p50[BaselineKind.PREVIOUS_RELEASE].outcome is Outcome.REGRESSION
    assert p50[BaselineKind.PREVIOUS_RELEASE].change == pytest.approx(0.2, abs=0.1)
    assert {one.service for one in analysis.regressions if one.active} == {"search"}


def test_what_was_compared_with_is_pinned_and_leaves_in_the_bundle(watched: Home, tmp_path: Path) -> None:
    pinned = watched.references(NEW)

    exported = watched.run("export", NEW, str(tmp_path))
    verified = watched.run("verify", str(tmp_path / "tars-1.0.1-executive.zip"))

    assert (pinned.previous, pinned.days, dict(pinned.absent)) == (OLD, (1,), {})
    assert pinned.staging
    assert pinned.staging.selector == STAGING
    assert (exported.code, verified.code) == (0, 0), verified.err
    for path in ("ga/reference_baselines.json", "ga/staging_telemetry/samples.parquet"):
        assert (tmp_path / NEW / path).is_file()


def test_a_recording_gives_back_the_staging_that_it_was_taken_with(watched: Home, tmp_path: Path) -> None:
    file = tmp_path / "week.zip"

    done = watched.run("record", NEW, "--output", str(file))
    registered = Registry(watched.store).get(NEW)
    assert done.code == 0, done.err
    played = RecordingSource(file).fetch_staging(registered.release, registered.policy, selector=STAGING)
    fetched = watched.staging(NEW).telemetry

    assert fetched
    assert played.sha256 == fetched.sha256
