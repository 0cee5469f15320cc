"""Which bytes an archive has, and which archives are not opened."""

from __future__ import annotations

import gzip
import hashlib
import io
import itertools
import random
import stat
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.adapters import archive
from tars_ops.adapters.archive import (
    Archive,
    container_flaw,
    manifest_bytes,
    opened,
    pack_tar_gz,
    pack_zip,
    read_archive,
    sidecar_line,
)
from tars_ops.core.errors import ContractError, MissingInputError, StoreError, TamperedError
from tars_ops.core.report.manifest import build_manifest

ROOT = "tars@1.0.1"
FILES = {"release.json": b'{"a":1}', "ga/summary.json": b"[1]" * 100, "empty": b"", "final/é.md": b"# Kept\n"}
PACKERS = [pack_zip, pack_tar_gz]
Packer = Callable[..., bytes]

per_format = pytest.mark.parametrize("pack", PACKERS)


def zip_of(*members: tuple[zipfile.ZipInfo | str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w", compression) as made:
        warnings.simplefilter("ignore")
        for member, content in members:
            made.writestr(member, content)
    return buffer.getvalue()


def zip_entry(name: str, *, mode: int = stat.S_IFREG | 0o644) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def tar_of(*members: tuple[str, bytes], kind: bytes = tarfile.REGTYPE, form: int = tarfile.USTAR_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as made:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(content) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
            made.addfile(info, io.BytesIO(content))
    return gzip.compress(buffer.getvalue())


def refusal(data: bytes) -> str:
    with pytest.raises(TamperedError) as raised:
        read_archive(data)
    return str(raised.value)


# Packing


@per_format
def test_the_same_files_make_the_same_bytes_in_any_order(pack: Packer) -> None:
    assert pack(dict(reversed(FILES.items())), root=ROOT) == pack(FILES, root=ROOT)


@per_format
def test_what_was_packed_is_read_back(pack: Packer) -> None:
    assert read_archive(pack(FILES, root=ROOT)) == FILES


@per_format
@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}(/[a-z0-9]{1,3}\.x){0,2}", fullmatch=True), st.binary(), min_size=1))
def test_whatever_packs_opens_and_is_canonical(pack: Packer, files: dict[str, bytes]) -> None:
    try:
        data = pack(files, root=ROOT)
    except ContractError:
        return
    found = opened(data)

    assert found.files == files
    assert found.root == ROOT
    assert container_flaw(found, data) is None


def test_the_bytes_of_a_zip_are_those_of_every_other_machine_and_year() -> None:
    digest = hashlib.sha256(pack_zip(FILES, root=ROOT)).hexdigest()

    assert digest == "65163228f9e72ce5d066a5cd1278d373de9ffcd5aa2309e36e641307dc513653"


def test_the_bytes_inside_a_tar_gz_are_those_of_every_other_machine_and_year() -> None:
    digest = hashlib.sha256(gzip.decompress(pack_tar_gz(FILES, root=ROOT))).hexdigest()

    assert digest == "ef4c0e70e34e4fbbaa4713764b1f4468e14ff3d864b94adb1924b6dd7f56940a"


def test_a_zip_says_nothing_about_who_packed_it_and_when() -> None:
    with zipfile.ZipFile(io.BytesIO(pack_zip(FILES, root=ROOT))) as made:
        members = made.infolist()

    assert [member.filename for member in members] == [f"{ROOT}/{path}" for path in sorted(FILES)]
    assert {member.date_time for member in members} == {(1980, 1, 1, 0, 0, 0)}
    assert {member.external_attr >> 16 for member in members} == {0o100644}
    assert {member.compress_type for member in members} == {zipfile.ZIP_STORED}
    assert {(member.extra, member.comment) for member in members} == {(b"", b"")}


def test_a_tar_says_nothing_about_who_packed_it_and_when() -> None:
    data = pack_tar_gz(FILES, root=ROOT)
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        members = made.getmembers()

    assert data[4:8] == b"\0\0\0\0"
    assert [member.name for member in members] == [f"{ROOT}/{path}" for path in sorted(FILES)]
    assert {(m.mtime, m.mode, m.uid, m.gid, m.uname, m.gname) for m in members} == {(0, 0o644, 0, 0, "", "")}


@pytest.mark.parametrize(
    ("pack", "name", "command"),
    [
        (pack_tar_gz, "week.tar.gz", ["tar", "-tzf"]),
        (pack_tar_gz, "week.tar.gz", ["gzip", "--test"]),
        (pack_zip, "week.zip", [sys.executable, "-m", "zipfile", "-t"]),
    ],
)
def test_ordinary_tools_read_an_archive(tmp_path: Path, pack: Packer, name: str, command: list[str]) -> None:
    (tmp_path / name).write_bytes(pack(FILES, root=ROOT))

    subprocess.run([*command, tmp_path / name], check=True, capture_output=True)


@per_format
@pytest.mark.parametrize(
    ("files", "root", "words"),
    [
        ({}, ROOT, "0 files"),
        ({"../x": b""}, ROOT, "refused"),
        ({"/x": b""}, ROOT, "absolute"),
        ({"a": b"", "A": b""}, ROOT, "case"),
        ({"a": b""}, "two/folders", "single folder"),
        ({"a": b""}, "..", "refused"),
        ({"zeros": bytes(20 * 2**20)}, ROOT, "ratio"),
        ({str(n): b"" for n in range(10_001)}, ROOT, "10001 files"),
    ],
)
def test_what_could_not_be_opened_is_not_packed(pack: Packer, files: dict[str, bytes], root: str, words: str) -> None:
    if pack is pack_zip and words == "ratio":
        return
    with pytest.raises(ContractError, match=words):
        pack(files, root=root)


def test_a_name_too_long_for_tar_is_named() -> None:
    with pytest.raises(ContractError, match="shorten it"):
        pack_tar_gz({"a" * 150: b""}, root=ROOT)


def test_a_manifest_is_written_in_canonical_form() -> None:
    manifest = build_manifest(ROOT, 3, {"a.json": b"{}"}, {"a.json": "evidence"})

    assert manifest_bytes(manifest) == (
        b'{"as_of":3,"files":[{"path":"a.json","role":"evidence","sha256":"'
        + hashlib.sha256(b"{}").hexdigest().encode()
        + b'","size_bytes":2}],"release":"tars@1.0.1","schema_version":1}'
    )


@pytest.mark.parametrize("name", ["week.zip", "tars-1.0.1-executive.tar.gz", "two words.zip", "é.zip"])
def test_sha256sum_accepts_the_line_beside_an_archive(tmp_path: Path, name: str) -> None:
    data = pack_zip(FILES, root=ROOT)
    (tmp_path / name).write_bytes(data)
    (tmp_path / f"{name}.sha256").write_bytes(sidecar_line(name, data))

    subprocess.run(["sha256sum", "--strict", "-c", f"{name}.sha256"], cwd=tmp_path, check=True, capture_output=True)


# Opening


def test_an_archive_on_disk_is_read_like_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "week.zip").write_bytes(pack_zip(FILES, root=ROOT))

    assert read_archive(tmp_path / "week.zip") == FILES


def test_an_archive_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"week\.zip"):
        read_archive(tmp_path / "week.zip")


def test_a_directory_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        read_archive(tmp_path)


HOSTILE_NAMES = [
    ("../evil", "outside the folder"),
    ("r/../../evil", "`..`"),
    ("r/..", "`..`"),
    ("/etc/passwd", "outside the folder"),
    ("r\\..\\evil", "outside the folder"),
    ("r/..\\evil", "backslash"),
    ("r/C:evil", "colon"),
    ("evil", "outside the folder"),
    ("other/evil", "outside the folder"),
    ("r/a\x1b[31m", "do not print"),
]


@pytest.mark.parametrize(("name", "words"), HOSTILE_NAMES)
@pytest.mark.parametrize("make", [zip_of, tar_of])
def test_a_name_that_leads_elsewhere_is_refused(make: Packer, name: str, words: str) -> None:
    message = refusal(make(("r/a", b"x"), (name, b"x")))

    assert words in message
    assert message.isprintable()


@pytest.mark.parametrize("make", [zip_of, tar_of])
@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["../a"], "`..`"),
        (["/a/b"], "absolute"),
        (["a\\b/c"], "backslash"),
        (["r"], "outside the folder"),
        (["r/a", "r/a"], "one file"),
        (["r/a", "r/A"], "case"),
        (["r/a", "r/a/b"], "directory"),
        (["r/../x"], "`..`"),
        (["r/x//y"], "empty part"),
        (["r//x"], "absolute"),
        ([f"r/{n}" for n in range(10_001)], "10000"),
    ],
)
def test_names_that_could_be_taken_for_each_other_are_refused(make: Packer, names: list[str], words: str) -> None:
    assert words in refusal(make(*((name, b"x") for name in names)))


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.DIRTYPE,
        tarfile.FIFOTYPE,
        tarfile.CONTTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_a_tar_member_that_is_no_plain_file_is_refused(kind: bytes) -> None:
    assert "no plain USTAR file" in refusal(tar_of(("r/a", b""), kind=kind))


def test_tar_extensions_are_refused() -> None:
    assert "no plain USTAR file" in refusal(tar_of((f"r/{'é' * 90}", b"x"), form=tarfile.PAX_FORMAT))
    assert "no plain USTAR file" in refusal(tar_of(("r/a", b"x"), form=tarfile.GNU_FORMAT))


@pytest.mark.parametrize(
    "mode", [stat.S_IFLNK | 0o777, stat.S_IFCHR | 0o666, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK]
)
def test_a_zip_member_that_is_no_plain_file_is_refused(mode: int) -> None:
    assert "special file" in refusal(zip_of((zip_entry("r/a", mode=mode), b"/etc/passwd")))


def test_a_zip_directory_is_refused() -> None:
    assert "directory" in refusal(zip_of((zip_entry("r/a/", mode=stat.S_IFDIR | 0o755), b"")))


@pytest.mark.parametrize("compression", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_an_unusual_compression_is_refused(compression: int) -> None:
    assert "neither stored nor deflated" in refusal(zip_of(("r/a", b"x" * 100), compression=compression))


def test_a_deflated_zip_is_read_but_not_canonical() -> None:
    data = zip_of(("r/a", b"x" * 100), compression=zipfile.ZIP_DEFLATED)

    assert read_archive(data) == {"a": b"x" * 100}
    assert "another form" in str(container_flaw(opened(data), data))


def test_an_ordinary_gzip_is_read_but_not_canonical() -> None:
    data = gzip.compress(gzip.decompress(pack_tar_gz(FILES, root=ROOT)))

    assert read_archive(data) == FILES
    assert "gzip header" in str(container_flaw(opened(data), data))


@pytest.mark.parametrize("flag", [0x1, 0x40, 0x2000])
def test_an_encrypted_member_is_refused(flag: int) -> None:
    data = bytearray(zip_of(("r/a", b"secret")))
    at = data.index(b"PK\x01\x02") + 8
    struct.pack_into("<H", data, at, flag)

    assert "encrypted" in refusal(bytes(data))


@per_format
@pytest.mark.parametrize("extra", [b"x", b"\0", b"\0" * 512, b"PK\x05\x06" + bytes(18)])
def test_bytes_before_or_behind_an_archive_are_refused(pack: Packer, extra: bytes) -> None:
    data = pack(FILES, root=ROOT)

    assert refusal(data + extra)
    assert refusal(extra + data)


def test_a_zip_before_a_zip_is_refused() -> None:
    assert "put before it" in refusal(pack_zip({"hidden": b"x"}, root=ROOT) + pack_zip(FILES, root=ROOT))


def test_a_zip_that_lists_fewer_members_than_it_announces_is_refused() -> None:
    data = bytearray(zip_of(("r/a", b"x")))
    struct.pack_into("<2H", data, len(data) - 14, 2, 2)

    assert "announces 2 members and lists 1" in refusal(bytes(data))


def test_a_second_gzip_member_is_refused() -> None:
    assert "appended" in refusal(pack_tar_gz(FILES, root=ROOT) + gzip.compress(b""))


def test_a_tar_that_goes_on_behind_its_end_is_refused() -> None:
    tar = gzip.decompress(tar_of(("r/a", b"x")))

    assert "appended" in refusal(gzip.compress(tar + b"hidden".ljust(512, b"\0")))


@per_format
def test_an_archive_that_breaks_off_is_refused_wherever(pack: Packer) -> None:
    data = pack(FILES, root=ROOT)

    for length in range(len(data)):
        assert refusal(data[:length])


@pytest.mark.parametrize("n_mib", [17, 200])
def test_a_deflated_zip_bomb_is_refused_before_it_goes_off(n_mib: int) -> None:
    data = zip_of(("r/a", bytes(n_mib * 2**20)), compression=zipfile.ZIP_DEFLATED)

    assert "expands" in refusal(data)


def test_a_zip_bomb_that_lies_about_its_size_is_cut() -> None:
    data = bytearray(zip_of(("r/a", bytes(50 * 2**20)), compression=zipfile.ZIP_DEFLATED))
    struct.pack_into("<L", data, data.index(b"PK\x01\x02") + 24, 10)
    tracemalloc.start()
    message = refusal(bytes(data))
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert "CRC" in message
    assert peak_bytes < 2**20


def test_a_gzip_bomb_is_cut() -> None:
    assert "expands" in refusal(gzip.compress(bytes(200 * 2**20)))


def test_a_zip64_is_refused() -> None:
    data = zip_of(("r/a", b"x"))
    end = len(data) - 22
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    record = bytearray(data[end:])
    struct.pack_into("<L", record, 12, struct.unpack_from("<L", record, 12)[0] + len(locator))

    assert "ZIP64" in refusal(data[:end] + locator + record)


def test_a_zip_comment_is_refused() -> None:
    buffer = io.BytesIO(zip_of(("r/a", b"x")))
    with zipfile.ZipFile(buffer, "a") as made:
        made.comment = b"signed, honestly"

    assert "appended" in refusal(buffer.getvalue())


def test_a_zip_whose_two_headers_disagree_is_refused() -> None:
    data = bytearray(zip_of(("r/a", b"x")))
    data[30 + 2 : 30 + 3] = b"b"

    assert refusal(bytes(data))


def test_a_tar_member_of_negative_size_is_refused() -> None:
    info = tarfile.TarInfo("r/a")
    block = bytearray(info.tobuf(tarfile.USTAR_FORMAT))
    block[124:136] = b"\xff" * 12
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)

    assert "breaks off" in refusal(gzip.compress(bytes(block) + bytes(1024)))


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x05\x06" + bytes(18), b"\x1f\x8b", b"hello", gzip.compress(b"")])
def test_what_is_no_archive_is_refused(data: bytes) -> None:
    assert refusal(data)


@given(st.binary(max_size=300), st.sampled_from([b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00"]))
def test_random_bytes_are_refused_in_words(data: bytes, start: bytes) -> None:
    assert refusal(start + data)


@per_format
def test_damaged_archives_are_refused_in_words_or_read_as_what_they_are(pack: Packer) -> None:
    data = pack(FILES, root=ROOT)
    rng = random.Random(0)
    for _ in range(2000):
        damaged = bytearray(data)
        for at in rng.sample(range(len(data)), rng.randint(1, 4)):
            damaged[at] = rng.randrange(256)
        try:
            found = opened(bytes(damaged))
        except TamperedError:
            continue

        assert bytes(damaged) == data or container_flaw(found, bytes(damaged))


def test_a_tar_inside_is_judged_after_random_damage_too() -> None:
    tar = gzip.decompress(pack_tar_gz(FILES, root=ROOT))
    rng = random.Random(1)
    for at in itertools.islice(iter(lambda: rng.randrange(len(tar)), None), 2000):
        damaged = bytearray(tar)
        damaged[at] ^= 1 << rng.randrange(8)
        try:
            found = opened(gzip.compress(bytes(damaged), 1))
        except TamperedError:
            continue

        assert found.files != FILES or container_flaw(found, b"")


def test_a_stream_that_inflates_to_the_same_content_is_not_the_one_that_was_packed() -> None:
    data = pack_tar_gz(FILES, root=ROOT)
    tar = gzip.decompress(data)
    other = zlib.compressobj(9, zlib.DEFLATED, -15)
    data_again = data[:48] + other.compress(tar) + other.flush() + data[-8:]

    assert read_archive(data_again) == FILES
    assert "compressed bytes" in str(container_flaw(opened(data_again), data_again))


def test_files_over_the_cap_are_neither_packed_nor_read(tmp_path: Path) -> None:
    sparse = tmp_path / "large.zip"
    with sparse.open("wb") as file:
        file.truncate(archive.MAX_BYTES + 1)

    with pytest.raises(TamperedError, match="larger than"):
        read_archive(sparse)


def test_a_path_that_no_packer_takes_is_a_flaw_not_a_crash() -> None:
    strange = Archive("tar.gz", ROOT, {"a" * 150: b""}, b"")

    assert "shorten it" in str(container_flaw(strange, b""))
