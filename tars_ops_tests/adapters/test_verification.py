"""What an auditor is told of a bundle, whatever was done to it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tars_ops.adapters.archive import manifest_bytes, pack_tar_gz, pack_zip, sidecar_line
from tars_ops.adapters.verification import Verification, verify
from tars_ops.core.errors import MissingInputError, StoreError, UsageError
from tars_ops.core.report.manifest import MANIFEST_PATH, build_manifest

ROOT = "tars@1.0.1"
EVIDENCE = {
    "release.json": b'{"product":"tars"}',
    "ga/summary.json": json.dumps({"kpis": [0.999] * 200}).encode(),
    "ga/telemetry/samples.parquet": random.Random(7).randbytes(3000),
    "final/narrative.md": b"# Kept\n" * 40,
    "final/empty.txt": b"",
}
MANIFEST = manifest_bytes(build_manifest(ROOT, 7, EVIDENCE, dict.fromkeys(EVIDENCE, "evidence")))
FILES = {**EVIDENCE, MANIFEST_PATH: MANIFEST}
Packer = Callable[..., bytes]
FORMATS = [(pack_zip, "week.zip", "zip"), (pack_tar_gz, "week.tar.gz", "tar.gz")]

per_format = pytest.mark.parametrize(("pack", "name", "kind"), FORMATS)


def written(directory: Path, files: dict[str, bytes]) -> Path:
    for path, content in files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(content)
    return directory


def forms(tmp_path: Path, files: dict[str, bytes]) -> list[Path]:
    """The same files as a ZIP, as a tar.gz and as a directory."""
    for pack, name, _ in FORMATS:
        (tmp_path / name).write_bytes(pack(files, root=ROOT))
    return [tmp_path / "week.zip", tmp_path / "week.tar.gz", written(tmp_path / "week", files)]


def seen(verification: Verification) -> list[tuple[str, str]]:
    return [(difference.kind.value, difference.path) for difference in verification.differences]


def with_manifest(content: bytes) -> dict[str, bytes]:
    return {**FILES, MANIFEST_PATH: content}


# Good bundles


@per_format
def test_a_good_archive_is_intact(tmp_path: Path, pack: Packer, name: str, kind: str) -> None:
    data = pack(FILES, root=ROOT)
    (tmp_path / name).write_bytes(data)
    (tmp_path / f"{name}.sha256").write_bytes(sidecar_line(name, data))
    sha256 = hashlib.sha256(data).hexdigest()

    assert verify(tmp_path / name, expected_sha256=sha256) == Verification(
        bundle=name,
        kind=kind,
        sha256=sha256,
        manifest_sha256=hashlib.sha256(MANIFEST).hexdigest(),
        release=ROOT,
        as_of=7,
        n_files=6,
        differences=(),
    )


def test_a_good_directory_is_intact(tmp_path: Path) -> None:
    verification = verify(written(tmp_path / "week", FILES), expected_sha256=hashlib.sha256(MANIFEST).hexdigest())

    assert verification.is_intact
    assert (verification.kind, verification.sha256, verification.n_files) == ("directory", None, 6)


def test_folders_without_files_are_no_evidence(tmp_path: Path) -> None:
    written(tmp_path, FILES).joinpath("later").mkdir()

    assert verify(tmp_path).is_intact


def test_a_bundle_is_found_through_a_link_and_a_relative_path(tmp_path: Path) -> None:
    forms(tmp_path, FILES)
    (tmp_path / "latest.zip").symlink_to("week.zip")

    assert verify(tmp_path / "latest.zip").is_intact
    assert verify(tmp_path / "week" / ".." / "week.tar.gz").is_intact


# Files against the manifest


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({**FILES, "release.json": b'{"product":"tarz"}'}, [("changed", "release.json")]),
        ({p: c for p, c in FILES.items() if p != "release.json"}, [("missing", "release.json")]),
        ({**FILES, "note.txt": b"trust me"}, [("extra", "note.txt")]),
        ({("rel.json" if p == "release.json" else p): c for p, c in FILES.items()}, [("renamed", "release.json")]),
        (
            {**FILES, "release.json": FILES["ga/summary.json"], "ga/summary.json": FILES["release.json"]},
            [("changed", "ga/summary.json"), ("changed", "release.json")],
        ),
        ({p: c for p, c in FILES.items() if p != MANIFEST_PATH}, [("manifest", MANIFEST_PATH)]),
        ({**FILES, "copy/manifest.json": MANIFEST}, [("extra", "copy/manifest.json")]),
    ],
)
def test_tampering_is_named_in_every_form(
    tmp_path: Path, files: dict[str, bytes], expected: list[tuple[str, str]]
) -> None:
    for bundle in forms(tmp_path, files):
        assert seen(verify(bundle)) == expected


# The manifest itself

PARSED = json.loads(MANIFEST)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (json.dumps(PARSED).encode(), "not canonical"),
        (MANIFEST + b"\n", "not canonical"),
        (MANIFEST.replace(b'"as_of":7', b'"as_of":7,"as_of":7'), "not canonical"),
        (MANIFEST.replace(b'"as_of":7', b'"as_of":"7"'), "not canonical"),
        (MANIFEST.replace(b'"as_of":7', b'"as_of":7.0'), "not canonical"),
        (MANIFEST.replace(b"tars@1.0.1", b"tars@1.0.\\u0031"), "not canonical"),
        (MANIFEST.replace(b'"size_bytes":0', b'"size_bytes":9007199254740993'), "not canonical"),
        (MANIFEST.replace(b'"schema_version":1', b'"schema_version":2'), "schema_version"),
        (MANIFEST.replace(b'"as_of":7', b'"as_of":7,"by":"me"'), "by"),
        (MANIFEST[:-1], "no manifest of version 1"),
        (b"", "no manifest of version 1"),
        (b"[" * 100_000, "no manifest of version 1"),
        (b"\xff", "no manifest of version 1"),
        (b'{"release":"\\ud800"}', "no manifest of version 1"),
        (b" " * (16 * 2**20 + 1), "larger than"),
    ],
)
def test_a_manifest_that_is_not_the_canonical_one_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    verification = verify(written(tmp_path, with_manifest(content)))

    assert ("manifest", MANIFEST_PATH) in seen(verification)
    assert words in verification.differences[0].detail


def test_a_manifest_that_is_not_canonical_is_still_compared(tmp_path: Path) -> None:
    files = with_manifest(json.dumps(PARSED).encode()) | {"more": b""}

    assert seen(verify(written(tmp_path, files))) == [("manifest", MANIFEST_PATH), ("extra", "more")]


def test_a_manifest_with_a_path_outside_is_refused(tmp_path: Path) -> None:
    evil = MANIFEST.replace(b'"release.json"', b'"../../etc/passwd"')

    verification = verify(written(tmp_path, with_manifest(evil)))

    assert seen(verification) == [("manifest", MANIFEST_PATH)]
    assert verification.release is None


# Every bit of the container


@per_format
def test_every_flipped_byte_is_noticed(tmp_path: Path, pack: Packer, name: str, kind: str) -> None:
    del kind
    data = pack(FILES, root=ROOT)
    bundle = tmp_path / name
    rng = random.Random(20)
    missed = []
    for _ in range(2000):
        at, mask = rng.randrange(len(data)), rng.randrange(1, 256)
        bundle.write_bytes(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])
        if verify(bundle).is_intact:
            missed.append((at, mask))

    assert missed == []


@per_format
def test_every_single_bit_of_a_small_bundle_is_noticed(tmp_path: Path, pack: Packer, name: str, kind: str) -> None:
    del kind
    evidence = {"a.json": b"{}"}
    manifest = manifest_bytes(build_manifest("t@1", 0, evidence, {"a.json": "x"}))
    data = pack({**evidence, MANIFEST_PATH: manifest}, root="t@1")
    bundle = tmp_path / name
    missed = []
    for bit in range(8 * len(data)):
        at, mask = bit // 8, 1 << bit % 8
        bundle.write_bytes(data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :])
        if verify(bundle).is_intact:
            missed.append(bit)

    assert missed == []


@per_format
def test_an_archive_cut_anywhere_is_noticed(tmp_path: Path, pack: Packer, name: str, kind: str) -> None:
    data = pack(FILES, root=ROOT)
    for length in range(0, len(data), 37):
        (tmp_path / name).write_bytes(data[:length])
        verification = verify(tmp_path / name)

        assert seen(verification) == [("container", name), ("manifest", MANIFEST_PATH)]
        assert verification.kind == kind


@per_format
def test_appended_bytes_are_noticed(tmp_path: Path, pack: Packer, name: str, kind: str) -> None:
    del kind
    (tmp_path / name).write_bytes(pack(FILES, root=ROOT) + b"\0")

    assert ("container", name) in seen(verify(tmp_path / name))


def test_a_zip_packed_by_another_tool_has_its_files_compared_and_is_not_intact(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "week.zip", "w", zipfile.ZIP_DEFLATED) as made:
        for path, content in (FILES | {"release.json": b"{}"}).items():
            made.writestr(f"{ROOT}/{path}", content)

    assert seen(verify(tmp_path / "week.zip")) == [("container", "week.zip"), ("changed", "release.json")]


@pytest.mark.parametrize(("name", "kind"), [("week.zip", "zip"), ("week.tar.gz", "tar.gz"), ("week.txt", None)])
def test_a_file_that_is_no_archive_is_told_not_raised(tmp_path: Path, name: str, kind: str | None) -> None:
    (tmp_path / name).write_bytes(b"hello")
    verification = verify(tmp_path / name)

    assert seen(verification) == [("container", name), ("manifest", MANIFEST_PATH)]
    assert verification.kind == kind
    assert verification.n_files == 0


def test_an_archive_larger_than_any_of_ours_is_not_loaded(tmp_path: Path) -> None:
    with (tmp_path / "week.zip").open("wb") as file:
        file.truncate(2**30 + 1)

    verification = verify(tmp_path / "week.zip")

    assert "larger than" in verification.differences[0].detail
    assert verification.sha256 is None


# Digests from outside


def checksum_beside(tmp_path: Path, line: str) -> Verification:
    data = pack_zip(FILES, root=ROOT)
    sha256 = hashlib.sha256(data).hexdigest()
    text = line.format(sha256=sha256, other="0" * 64, upper=sha256.upper())
    (tmp_path / "week.zip").write_bytes(data)
    (tmp_path / "week.zip.sha256").write_bytes(text.encode("utf-8", "surrogateescape"))
    return verify(tmp_path / "week.zip")


@pytest.mark.parametrize("line", ["{sha256}  week.zip\n", "{sha256} *week.zip\n", "{sha256}  week.zip"])
def test_a_line_of_sha256sum_beside_an_archive_is_understood(tmp_path: Path, line: str) -> None:
    assert checksum_beside(tmp_path, line).is_intact


@pytest.mark.parametrize(
    "line",
    [
        "{other}  week.zip\n",
        "{sha256}  other.zip\n",
        "{sha256}  ./week.zip\n",
        "{sha256} week.zip\n",
        "{sha256}\n",
        "{upper}  week.zip\n",
        "{sha256}  week.zip\n{other}  week.zip\n",
        "{sha256}  week.zip\n\n",
        "",
        "\udcff",
        "{sha256}  week.zip" + "x" * 5000,
    ],
)
def test_another_or_a_malformed_checksum_beside_an_archive_is_told(tmp_path: Path, line: str) -> None:
    assert seen(checksum_beside(tmp_path, line)) == [("container", "week.zip.sha256")]


@pytest.mark.parametrize("make", [Path.mkdir, lambda path: path.symlink_to("nowhere"), os.mkfifo])
def test_a_checksum_that_is_no_file_is_told(tmp_path: Path, make: Callable[[Path], None]) -> None:
    (tmp_path / "week.zip").write_bytes(pack_zip(FILES, root=ROOT))
    make(tmp_path / "week.zip.sha256")

    assert seen(verify(tmp_path / "week.zip")) == [("container", "week.zip.sha256")]


def test_another_digest_than_the_expected_one_is_told_in_every_form(tmp_path: Path) -> None:
    for bundle in forms(tmp_path, FILES):
        assert seen(verify(bundle, expected_sha256="0" * 64)) == [("container", bundle.name)]


def test_an_expected_digest_may_be_written_in_capitals(tmp_path: Path) -> None:
    bundle = forms(tmp_path, FILES)[0]

    assert verify(bundle, expected_sha256=hashlib.sha256(bundle.read_bytes()).hexdigest().upper()).is_intact


@pytest.mark.parametrize("digest", ["", "abc", "g" * 64, "0" * 65, "0" * 64 + "\n"])
def test_an_expected_digest_that_is_none_is_refused(tmp_path: Path, digest: str) -> None:
    with pytest.raises(UsageError, match="64 hexadecimal"):
        verify(tmp_path, expected_sha256=digest)


# Directories


@pytest.mark.parametrize(
    "make", [lambda path: path.symlink_to("release.json"), lambda path: path.symlink_to("ga"), os.mkfifo]
)
def test_a_directory_holds_plain_files_only(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(written(tmp_path, FILES) / "strange")

    assert seen(verify(tmp_path)) == [("container", "strange")]


def test_a_file_replaced_by_a_link_to_the_same_content_is_told(tmp_path: Path) -> None:
    written(tmp_path / "week", FILES)
    (tmp_path / "week" / "release.json").rename(tmp_path / "elsewhere.json")
    (tmp_path / "week" / "release.json").symlink_to(tmp_path / "elsewhere.json")

    assert seen(verify(tmp_path / "week")) == [("container", "release.json"), ("missing", "release.json")]


def test_a_manifest_behind_a_link_is_none(tmp_path: Path) -> None:
    written(tmp_path / "week", EVIDENCE)
    (tmp_path / "manifest.json").write_bytes(MANIFEST)
    (tmp_path / "week" / MANIFEST_PATH).symlink_to(tmp_path / "manifest.json")

    assert seen(verify(tmp_path / "week")) == [("container", MANIFEST_PATH), ("manifest", MANIFEST_PATH)]


@pytest.mark.parametrize("name", [b"\xff.json", b"a\x1b[31m", b"a\nb"])
def test_a_strange_name_in_a_directory_is_told_in_plain_letters(tmp_path: Path, name: bytes) -> None:
    Path(os.fsdecode(os.fsencode(written(tmp_path, FILES)) + b"/" + name)).write_bytes(b"")

    ((kind, path),) = seen(verify(tmp_path))

    assert kind == "extra"
    assert path.isascii()
    assert path.isprintable()


def test_a_bundle_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"week\.zip"):
        verify(tmp_path / "week.zip")


def test_a_pipe_is_no_bundle(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "week.zip")

    with pytest.raises(MissingInputError):
        verify(tmp_path / "week.zip")


def test_a_path_that_leads_through_a_file_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")

    with pytest.raises(MissingInputError):
        verify(tmp_path / "a" / "week.zip")


def test_a_name_that_no_disk_can_hold_is_an_error_of_reading(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        verify(tmp_path / ("a" * 300))


# Alone and offline

ALONE = """
import sys
from pathlib import Path

def refuse(event, arguments):
    if event.startswith("socket.") or event in {"subprocess.Popen", "os.system"}:
        raise SystemExit(f"{event} {arguments}")
    if event == "open" and arguments[2] & 3:
        raise SystemExit(f"writes {arguments}")

sys.dont_write_bytecode = True
sys.addaudithook(refuse)
from tars_ops.adapters.verification import verify

assert all(verify(Path(name)).is_intact for name in sys.argv[1:])
heavy = {"dagster", "pandas", "numpy", "pyarrow", "scipy", "requests", "yaml", "jinja2"} & set(sys.modules)
sys.exit(f"imports {heavy}" if heavy else 0)
"""


def test_verification_needs_neither_network_nor_disk_space_nor_the_rest_of_the_project(tmp_path: Path) -> None:
    bundles = [str(bundle) for bundle in forms(tmp_path, FILES)]

    done = subprocess.run([sys.executable, "-c", ALONE, *bundles], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
