"""What a manifest lists, and what it notices."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tars_ops.core.errors import ContractError
from tars_ops.core.report.manifest import (
    MANIFEST_PATH,
    Manifest,
    build_manifest,
    checked_path,
    checked_paths,
    differences,
)

FILES = {"release.json": b"{}", "ga/summary.json": b"[1]", "final/narrative.md": b"# Kept\n"}
LESS = {path: content for path, content in FILES.items() if path != "release.json"}


def manifest_of(files: Mapping[str, bytes] = FILES) -> Manifest:
    return build_manifest("tars@1.0.1", 7, files=files, roles=dict.fromkeys(files, "evidence"))


def found(files: Mapping[str, bytes]) -> dict[str, tuple[str, int]]:
    return {path: (hashlib.sha256(content).hexdigest(), len(content)) for path, content in files.items()}


def seen(files: Mapping[str, bytes]) -> list[tuple[str, str]]:
    return [(difference.kind.value, difference.path) for difference in differences(manifest_of(), found(files))]


def test_a_manifest_lists_digest_size_and_role_of_every_file_by_path() -> None:
    manifest = manifest_of()

    assert [file.path for file in manifest.files] == ["final/narrative.md", "ga/summary.json", "release.json"]
    assert manifest.files[1].sha256 == hashlib.sha256(b"[1]").hexdigest()
    assert manifest.files[1].size_bytes == 3
    assert manifest.files[1].role == "evidence"


def test_the_order_of_the_files_makes_no_other_manifest() -> None:
    assert manifest_of(dict(reversed(FILES.items()))) == manifest_of()


def test_what_was_packed_has_no_differences() -> None:
    assert seen(FILES) == []


def test_the_manifest_does_not_miss_itself() -> None:
    assert seen({**FILES, MANIFEST_PATH: b"whatever"}) == []


@pytest.mark.parametrize(
    ("tampered", "expected"),
    [
        ({**FILES, "release.json": b"[]"}, [("changed", "release.json")]),
        ({**FILES, "release.json": b"{} "}, [("changed", "release.json")]),
        ({**FILES, "more.json": b""}, [("extra", "more.json")]),
        (LESS, [("missing", "release.json")]),
        ({**LESS, "r.json": b"{}"}, [("renamed", "release.json")]),
        (
            {**FILES, "release.json": b"[1]", "ga/summary.json": b"{}"},
            [("changed", "ga/summary.json"), ("changed", "release.json")],
        ),
        ({**FILES, "copy.json": b"{}"}, [("extra", "copy.json")]),
        ({}, [("missing", path) for path in sorted(FILES)]),
    ],
)
def test_every_kind_of_tampering_is_named(tampered: dict[str, bytes], expected: list[tuple[str, str]]) -> None:
    assert seen(tampered) == expected


def test_a_renamed_file_says_where_it_went() -> None:
    moved = {"new.json" if path == "release.json" else path: content for path, content in FILES.items()}

    assert "new.json" in differences(manifest_of(), found(moved))[0].detail


def test_one_extra_copy_explains_only_one_of_two_missing_files() -> None:
    manifest = manifest_of({"a": b"same", "b": b"same"})

    kinds = [(d.kind.value, d.path) for d in differences(manifest, found({"c": b"same"}))]

    assert kinds == [("renamed", "a"), ("missing", "b")]


@given(st.dictionaries(st.sampled_from([*sorted(FILES), "x", "y/z"]), st.sampled_from([*FILES.values(), b"new"])))
def test_only_equal_files_are_without_difference(files: dict[str, bytes]) -> None:
    assert (seen(files) == []) is (files == FILES)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty part"),
        ("/etc/passwd", "absolute"),
        ("//host/share", "absolute"),
        ("../x", "`..`"),
        ("a/../../x", "`..`"),
        ("a/..", "`..`"),
        ("./a", "`.`"),
        ("a//b", "empty part"),
        ("a/", "empty part"),
        ("a\\b", "backslash"),
        ("C:/x", "colon"),
        ("a\nb", "do not print"),
        ("a\0", "do not print"),
        ("a\x1b[31m", "do not print"),
        ("gpj\u202e.json", "do not print"),
        ("\udcff", "do not print"),
        (unicodedata.normalize("NFD", "é"), "normal form C"),
        ("a" * 201, "longer than 200 bytes"),
        ("é" * 101, "longer than 200 bytes"),
        ("a /b", "ends in a blank"),
        ("a./b", "ends in a blank or a dot"),
    ],
)
def test_a_path_that_could_mean_another_file_is_refused(path: str, why: str) -> None:
    with pytest.raises(ContractError, match="relative POSIX") as raised:
        checked_path(path)

    assert why in str(raised.value)
    assert str(raised.value).isprintable()


@pytest.mark.parametrize("path", ["a", "a/b.json", "é.json", "a" * 200, "tars@1.0.1/.hidden", "two words.md"])
def test_an_ordinary_path_passes(path: str) -> None:
    assert checked_path(path) == path


@pytest.mark.parametrize(
    "paths",
    [["a", "a"], ["a.json", "A.json"], ["straße", "STRASSE"], ["x/a", "X/a"], ["a", "a/b"], ["A", "a/b"]],
)
def test_two_paths_that_one_file_system_takes_for_each_other_are_refused(paths: list[str]) -> None:
    with pytest.raises(ContractError, match="rename one"):
        checked_paths(paths)


@pytest.mark.parametrize(
    ("files", "roles", "words"),
    [
        ({}, {}, "no files"),
        ({"a": b""}, {}, "no role"),
        ({"a": b""}, {"a": "x", "b": "y"}, "'b'"),
        ({"../a": b""}, {"../a": "x"}, "refused"),
        ({"a": b"", "A": b""}, {"a": "x", "A": "x"}, "case"),
        ({MANIFEST_PATH: b""}, {MANIFEST_PATH: "x"}, "itself"),
    ],
)
def test_a_manifest_is_not_built_from_doubtful_files(
    files: dict[str, bytes], roles: dict[str, str], words: str
) -> None:
    with pytest.raises(ContractError, match=words):
        build_manifest("tars@1.0.1", 7, files=files, roles=roles)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema_version": 2}, "schema_version"),
        ({"as_of": -1}, "as_of"),
        ({"files": []}, "files"),
        ({"files": list(reversed(manifest_of().model_dump()["files"]))}, "not sorted"),
        ({"files": manifest_of().model_dump()["files"][:1] * 2}, "one file"),
        ({"files": [{**manifest_of().model_dump()["files"][0], "path": "../x"}]}, r"`\.\.`"),
        ({"files": [{**manifest_of().model_dump()["files"][0], "path": MANIFEST_PATH}]}, "itself"),
        ({"signed_by": "nobody"}, "signed_by"),
    ],
)
def test_a_manifest_that_breaks_a_rule_is_not_read(change: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Manifest.model_validate({**manifest_of().model_dump(), **change})
