"""What a manifest may say, and that a broken one hides no other."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tars_ops.adapters.manifests import load_manifest, read_manifests
from tars_ops.core.errors import ConfigurationError

SMALL = 'product: tars\nversion: "1.0.1"\nga_at: 2025-11-18T00:00:00Z\n'
FULL = SMALL + f"n_days: 3\nday_length_s: 3600\ncommit: abcdef0\nartifact_sha256: {'a' * 64}\nprevious: tars@1.0.0\n"


def test_a_manifest_announces_a_release() -> None:
    made = load_manifest(FULL.encode(), name="m.yaml").release(policy_sha256="b" * 64, n_days=7)

    assert (made.key, made.ga_at, made.n_days) == ("tars@1.0.1", datetime(2025, 11, 18, tzinfo=UTC), 3)
    assert (made.day_length_s, made.commit, made.artifact_sha256) == (3600, "abcdef0", "a" * 64)
    assert made.previous == "tars@1.0.0"


def test_what_a_manifest_leaves_open_is_the_deployments_choice() -> None:
    made = load_manifest(SMALL.encode(), name="m.yaml")

    assert made.release(policy_sha256="b" * 64, n_days=5).n_days == 5


def test_a_manifest_differs_only_in_what_it_says() -> None:
    registered = load_manifest(FULL.encode(), name="m.yaml").release(policy_sha256="b" * 64, n_days=7)
    later = load_manifest(SMALL.replace("18T", "19T").encode(), name="m.yaml")

    assert load_manifest(SMALL.encode(), name="m.yaml").differences(registered) == ()
    assert later.differences(registered) == ("ga_at",)


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        (SMALL + "n_day: 3\n", 4, "n_day: the key is unknown (got 3); did you mean `n_days`?"),
        (SMALL.replace('"1.0.1"', "1.0"), 2, "version: should be a text (got 1.0); put it in quotes"),
        (SMALL.replace('"1.0.1"', '"evil|name,x"'), 2, "version: "),
        (SMALL.replace('"1.0.1"', '"1..0"'), 1, "is not a release key"),
        (SMALL.replace("T00:00:00Z", ""), 3, "ga_at: "),
        (SMALL.replace("00Z", "00"), 3, "has no time zone"),
        (SMALL.replace("00Z", "00.5Z"), 3, "finer than a second"),
        (SMALL.replace("2025-11-18T00:00:00Z", "1763424000"), 3, "ga_at: "),
        (SMALL + "n_days: 0\n", 4, "n_days: "),
        (SMALL + "n_days: 100\n", 4, "n_days: "),
        (SMALL + "n_days: true\n", 4, "n_days: "),
        (SMALL + "day_length_s: 5\n", 4, "day_length_s: "),
        (SMALL + "previous: nope\n", 4, "is not `product@version`"),
        (SMALL + "commit: XYZ\n", 4, "commit: "),
        ("product: tars\n", 1, "ga_at: is missing"),
        ("- a\n", 1, ""),
        ("", 1, "the file is empty"),
        (SMALL + "a: &x 1\n", 4, "anchors are refused"),
        ("product: [\n", 2, "this is no YAML"),
        (SMALL + "version: 2\n", 4, "the key occurs twice"),
    ],
)
def test_a_broken_manifest_is_refused_with_file_line_key_and_rule(text: str, line: int, said: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        load_manifest(text.encode(), name="m.yaml")

    assert f"m.yaml, line {line}: " in str(refused.value)
    assert said in str(refused.value)


def test_a_directory_that_is_not_there_holds_no_manifests(tmp_path: Path) -> None:
    found = read_manifests(tmp_path / "releases")

    assert (found.loaded, found.problems) == ((), ())


def test_a_broken_manifest_hides_no_other(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("product: [")
    (tmp_path / "b.yaml").write_text(SMALL)
    (tmp_path / "c.yaml").mkdir()
    (tmp_path / "d.yaml").write_bytes(b"\xff\xfe")
    (tmp_path / "notes.txt").write_text("no manifest")

    found = read_manifests(tmp_path)

    assert [one.manifest.key for one in found.loaded] == ["tars@1.0.1"]
    assert [problem.split(",")[0].split(":")[0] for problem in found.problems] == [
        str(tmp_path / name) for name in ("a.yaml", "c.yaml", "d.yaml")
    ]


def test_two_manifests_of_one_release_are_reported_and_the_first_counts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(SMALL)
    (tmp_path / "b.yaml").write_text(SMALL.replace("18T", "19T"))

    found = read_manifests(tmp_path)

    assert [one.path.name for one in found.loaded] == ["a.yaml"]
    assert "b.yaml" in found.problems[0]
    assert "a.yaml already" in found.problems[0]


def test_a_manifests_directory_that_is_a_file_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "releases"
    file.write_text("")

    assert "TARS_OPS_RELEASES" in read_manifests(file).problems[0]
