"""Where each artifact is kept, and where people find it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tars_ops.adapters.catalogue import (
    BUNDLE,
    BY_ASSET,
    DAILY_HEALTH,
    GA_BASELINE,
    OF_A_DAY,
    OF_A_VERDICT,
    OF_GA,
    OF_THE_RUNNING_DAY,
    as_of_key,
    days_with,
    digests,
    last_verdict,
    tree,
)
from tars_ops.adapters.registry import ENTRY
from tars_ops.adapters.store import Store, content_sha256
from tars_ops.core.errors import ContractError, MissingInputError, TamperedError
from tars_ops.core.release import Release, day_key
from tars_ops_tests.adapters.factories import ALL_KINDS, AS_OF, provisional, stored_week, values, week

TELEMETRY = ["counts.parquet", "prior.parquet", "quality.json", "samples.parquet"]
DAYS = [
    path
    for day in ("day_01", "day_02")
    for path in (
        f"stability/{day}_HEALTH.json",
        f"stability/{day}_anomalies.json",
        f"stability/{day}_summary.json",
        *(f"stability/{day}_telemetry/{name}" for name in TELEMETRY),
    )
]
REPORTS = [
    f"final/{name}.{ending}"
    for name in ("GA_7DAY_RETROSPECTIVE", "compliance_index", "executive_narrative")
    for ending in ("html", "json", "md")
]
TREE = [
    "release.json",
    "policy.yaml",
    "ga/ga_kpi_summary.json",
    "ga/reference_baselines.json",
    *(f"ga/telemetry/{name}" for name in TELEMETRY),
    *(f"ga/staging_telemetry/{name}" for name in (*TELEMETRY, "staging.json")),
    *DAYS,
    "regression_summary.json",
    "certification.json",
    *REPORTS,
    "final/provenance.json",
]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(str(tmp_path))


@pytest.fixture
def release(store: Store) -> Release:
    return stored_week(store)


def test_the_tree_of_a_release_has_exactly_the_documented_paths(store: Store, release: Release) -> None:
    assert sorted(tree(store, release.key, as_of=AS_OF, kinds=ALL_KINDS)) == sorted(TREE)


def test_the_tree_as_of_an_earlier_day_holds_no_later_day(store: Store, release: Release) -> None:
    found = tree(store, release.key, as_of=1, kinds=ALL_KINDS)

    assert [path for path in found if "day_02" in path or path.startswith("final/")] == []
    assert "stability/day_01_summary.json" in found


def test_only_the_kinds_that_are_asked_for_are_in_the_tree(store: Store, release: Release) -> None:
    assert sorted(tree(store, release.key, as_of=AS_OF, kinds=(GA_BASELINE,))) == [
        "ga/ga_kpi_summary.json",
        "policy.yaml",
        "release.json",
    ]


def test_a_day_that_is_missing_is_left_out(store: Store) -> None:
    made = values(week())
    store.put(DAILY_HEALTH.key("tars@1.0.1", "day_02"), DAILY_HEALTH.encode(made["daily_health"]["day_02"], "day_02"))

    assert list(tree(store, "tars@1.0.1", as_of=2, kinds=ALL_KINDS)) == ["stability/day_02_HEALTH.json"]
    assert days_with(store, "tars@1.0.1", DAILY_HEALTH, up_to=7) == [2]
    assert days_with(store, "tars@1.0.1", DAILY_HEALTH, up_to=1) == []


def test_digests_are_those_of_the_tree(store: Store, release: Release) -> None:
    found = digests(store, release.key, as_of=AS_OF, kinds=ALL_KINDS)
    contents = tree(store, release.key, as_of=AS_OF, kinds=ALL_KINDS)
    stored = {path: one for key in keys(release) if (p := store.pointer(key)) for path, one in p.files.items()}

    assert found == {path: stored[path].sha256 for path in contents}
    assert len(content_sha256(stored)) == 64


def keys(release: Release) -> list[str]:
    made = {**values(week()), **provisional(week())}
    return [
        f"{release.key}/{ENTRY}",
        *(BY_ASSET[asset].key(release.key, at) for asset, by_at in made.items() for at in by_at),
        BUNDLE.key(release.key, as_of_key(AS_OF)),
    ]


def test_every_artifact_has_a_key_of_its_own_and_no_key_is_a_version_of_another(release: Release) -> None:
    found = keys(release)

    assert [key for key, n in Counter(found).items() if n > 1] == []
    assert [(a, b) for a in found for b in found if b.startswith(f"{a}/")] == []


def test_every_file_has_a_path_of_its_own() -> None:
    paths = [
        path
        for asset, by_at in values(week()).items()
        for at, value in by_at.items()
        for path in BY_ASSET[asset].encode(value, at)
    ]

    assert [path for path, n in Counter(path.casefold() for path in paths).items() if n > 1] == []
    assert sorted([*paths, "release.json", "policy.yaml"]) == sorted(TREE)


def test_a_day_in_progress_is_in_the_store_and_in_no_tree(store: Store, release: Release) -> None:
    stored = [store.pointer(kind.key(release.key)) for kind in OF_THE_RUNNING_DAY]

    assert [one.version for one in stored if one] == [1, 1]
    assert [path for path in tree(store, release.key, as_of=AS_OF, kinds=ALL_KINDS) if "running" in path] == []
    assert sorted(tree(store, release.key, as_of=AS_OF, kinds=OF_THE_RUNNING_DAY)) == [
        "policy.yaml",
        "release.json",
        "running/running_day.json",
        *(f"running/telemetry/{name}" for name in TELEMETRY),
    ]


def test_every_kind_is_of_the_ga_day_of_a_day_of_a_verdict_or_provisional() -> None:
    kinds = (*OF_GA, *OF_A_DAY, *OF_A_VERDICT, BUNDLE, *OF_THE_RUNNING_DAY)

    assert sorted(kind.asset for kind in kinds) == sorted(BY_ASSET)
    assert all("{at}" not in kind.folder for kind in (*OF_GA, *OF_THE_RUNNING_DAY))
    assert all("{at}" in kind.folder for kind in (*OF_A_DAY, *OF_A_VERDICT, BUNDLE))


def test_a_changed_file_is_told_before_it_gets_into_a_tree(store: Store, release: Release, tmp_path: Path) -> None:
    sha256 = digests(store, release.key, as_of=AS_OF, kinds=ALL_KINDS)["final/provenance.json"]
    (tmp_path / "objects" / "sha256" / sha256[:2] / sha256).write_bytes(b"{}")

    with pytest.raises(TamperedError, match=r"final/provenance\.json"):
        tree(store, release.key, as_of=AS_OF, kinds=ALL_KINDS)


@pytest.mark.parametrize("files", [{}, {"note.txt": b""}, {"a.json": b"{}", "b.json": b"{}"}])
def test_an_artifact_without_its_one_document_is_refused(files: dict[str, bytes]) -> None:
    with pytest.raises(ContractError, match="one JSON document of GaBaseline"):
        GA_BASELINE.decode(files)


def test_the_last_verdict_is_the_last_day_with_a_bundle(store: Store, release: Release) -> None:
    assert last_verdict(store, release.key, up_to=7) == AS_OF
    for up_to in (1, 0):
        with pytest.raises(MissingInputError, match="tars-ops watch"):
            last_verdict(store, release.key, up_to=up_to)


def test_days_have_two_digits_so_that_their_names_sort() -> None:
    assert [DAILY_HEALTH.key("a@1", day_key(day)) for day in (2, 10)] == [
        "a@1/stability/day_02/health",
        "a@1/stability/day_10/health",
    ]
    assert sorted(map(as_of_key, range(1, 100))) == [as_of_key(day) for day in range(1, 100)]
