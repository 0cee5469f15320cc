"""How do files become an archive that has the same bytes whoever packs it, and which archives may be opened?

Archives are made and opened in memory: nothing here writes to a disk, so no member can land anywhere. What packs also
opens: both sides keep the same limits.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, cast

import rfc8785
from isal import isal_zlib

from tars_ops.core.errors import ContractError, MissingInputError, StoreError, TamperedError
from tars_ops.core.report.manifest import Manifest, checked_path, checked_paths

Kind = Literal["zip", "tar.gz"]

MAX_BYTES: Final = 2**30
"""Of an archive, and of all its files together."""
MAX_MEMBERS: Final = 10_000
MAX_RATIO: Final = 100
"""Of content over archive; deflate itself reaches 1032."""
_FREE_BYTES: Final = 16 * 2**20
"""Content that may expand by any ratio: it harms nobody, and the padding of a small tar compresses that well."""

_LEVEL: Final = 3
_RAW_DEFLATE, _GZIP = -15, 31
_BLOCK: Final = tarfile.BLOCKSIZE
_GZIP_HEADER_BYTES: Final = 48
_END_RECORD = struct.Struct("<4s4H2LH")
_MAX_DIRECTORY_BYTES: Final = MAX_MEMBERS * 1024
_UNREADABLE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    cast("type[Exception]", isal_zlib.error),  # its stub calls it an instance
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OSError,
)
"""What the standard library raises on broken or hostile archives."""


@dataclass(frozen=True, slots=True)
class Archive:
    """An opened archive: ``files`` by path below its one folder ``root``.

    ``payload`` is what the members were read from: the archive itself, or the tar inside the gzip.
    """

    kind: Kind
    root: str
    files: Mapping[str, bytes]
    payload: bytes


def manifest_bytes(manifest: Manifest) -> bytes:
    """Write a manifest as canonical JSON (RFC 8785): one content, one byte string."""
    return rfc8785.dumps(manifest.model_dump(mode="json"))


def sidecar_line(name: str, archive: bytes) -> bytes:
    r"""Write the line that stands beside an archive as ``<name>.sha256``, as ``sha256sum -c`` reads it.

    Examples
    --------
    >>> sidecar_line("week.zip", b"")[58:]
    b'52b855  week.zip\n'
    """
    return f"{hashlib.sha256(archive).hexdigest()}  {checked_path(name)}\n".encode()


def pack_zip(files: Mapping[str, bytes], *, root: str) -> bytes:
    """Pack files below one folder: sorted, dated 1980, mode 0644, stored, so that no compressor decides a byte.

    Raises
    ------
    ContractError
        If a path or the root is refused, two paths clash, or a limit of this module is passed.
    """
    names = _member_names(files, root)
    with io.BytesIO() as buffer:
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
            for path, name in names.items():
                archive.writestr(_zip_info(name), files[path])
        return _within_limits(buffer.getvalue(), n_content_bytes=sum(map(len, files.values())))


def pack_tar_gz(files: Mapping[str, bytes], *, root: str) -> bytes:
    """Pack files below one folder as USTAR, dated 1970, mode 0644, owner 0, and compress it.

    Deflate writes one content in many ways, and igzip chooses by processor. The gzip header therefore carries the
    SHA-256 of the deflated bytes: a changed bit shows even where it decompresses to the same content.

    Raises
    ------
    ContractError
        As `pack_zip`; also for a path that USTAR cannot hold (one part of more than 100 bytes, for example).
    """
    tar = _tar(files, root)
    deflated = isal_zlib.compress(tar, _LEVEL, _RAW_DEFLATE)
    return _within_limits(_gzip_header(deflated) + deflated + _gzip_trailer(tar), n_content_bytes=len(tar))


def read_archive(source: Path | bytes) -> dict[str, bytes]:
    """Give the files of a ZIP or tar.gz by their path below the archive's one folder.

    Raises
    ------
    MissingInputError, StoreError
        If there is no such file, or it cannot be read.
    TamperedError
        If it is broken or of a kind that nobody needs for evidence: see `opened`.
    """
    return dict(opened(source if isinstance(source, bytes) else read_bounded(source)).files)


def read_bounded(path: Path) -> bytes:
    """Read an archive from disk, unless it is larger than any archive of ours.

    Raises
    ------
    MissingInputError, StoreError
        If there is no such file, or it cannot be read.
    TamperedError
        If it is too large.
    """
    try:
        n_bytes = path.stat().st_size
        data = path.read_bytes() if n_bytes <= MAX_BYTES else b""
    except FileNotFoundError:
        raise MissingInputError(f"{path} does not exist; name the archive") from None
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror}") from error
    if n_bytes > MAX_BYTES:
        raise TamperedError(f"the archive is larger than {MAX_BYTES} bytes")
    return data


def opened(data: bytes) -> Archive:
    """Open a ZIP or tar.gz, told apart by its first bytes.

    All names, types and sizes are judged before the first member is unpacked.

    Raises
    ------
    TamperedError
        If it is neither, is broken, has bytes before or behind it, expands beyond the limits, or has a member that is
        no plain file, is encrypted, lies outside the one folder, has a path that `checked_path` refuses, or could be
        taken for another one.
    """
    try:
        if data.startswith(b"PK"):
            return _open_zip(data)
        if data.startswith(b"\x1f\x8b"):
            return _open_tar_gz(data)
    except ContractError as refusal:
        raise TamperedError(str(refusal)) from None
    except _UNREADABLE as error:
        raise TamperedError(f"the archive cannot be read: {type(error).__name__}: {str(error)[:200]!a}") from None
    raise TamperedError("neither a ZIP nor a gzip file: the first bytes are others")


def container_flaw(archive: Archive, data: bytes) -> str | None:
    """Say why an archive is not, byte for byte, what packing its own files gives; None if it is."""
    try:
        payload = (pack_zip if archive.kind == "zip" else _tar)(archive.files, root=archive.root)
    except ContractError as refusal:
        return str(refusal)
    if payload != archive.payload:
        return f"the {archive.kind} holds the files in another form than the one packing gives"
    if archive.kind == "tar.gz" and data[:_GZIP_HEADER_BYTES] != _gzip_header(data[_GZIP_HEADER_BYTES:-8]):
        return "the gzip header or the compressed bytes are not those that were packed"
    return None


# Packing


def _member_names(files: Mapping[str, bytes], root: str) -> dict[str, str]:
    """Names in the archive by path, in the order of paths."""
    _checked_root(root)
    if not 0 < len(files) <= MAX_MEMBERS:
        raise ContractError(f"{len(files)} files do not make an archive; it holds 1 to {MAX_MEMBERS}")
    if (n_bytes := sum(map(len, files.values()))) > MAX_BYTES:
        raise ContractError(f"{n_bytes} bytes do not fit into an archive; it holds up to {MAX_BYTES}")
    return {path: f"{root}/{path}" for path in checked_paths(files)}


def _checked_root(root: str) -> str:
    if "/" in checked_path(root):
        raise ContractError(f"root {root!r} is not a single folder")
    return root


def _within_limits(archive: bytes, *, n_content_bytes: int) -> bytes:
    if len(archive) > MAX_BYTES or n_content_bytes > _allowance(len(archive)):
        raise ContractError(
            f"{n_content_bytes} bytes in an archive of {len(archive)} pass the limits that verification keeps: "
            f"{MAX_BYTES} bytes, and a ratio of {MAX_RATIO}"
        )
    return archive


def _allowance(n_archive_bytes: int) -> int:
    return min(MAX_BYTES, max(_FREE_BYTES, MAX_RATIO * n_archive_bytes))


def _zip_info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = (stat.S_IFREG | 0o644) << 16
    return info


def _tar(files: Mapping[str, bytes], root: str) -> bytes:
    names = _member_names(files, root)
    with io.BytesIO() as buffer:
        with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT, encoding="utf-8") as archive:
            for path, name in names.items():
                archive.addfile(_tar_info(name, len(files[path])), io.BytesIO(files[path]))
        return buffer.getvalue()


def _tar_info(name: str, n_bytes: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = n_bytes
    info.mode = 0o644
    try:
        info.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")
    except ValueError as error:
        raise ContractError(f"path {name!r} does not fit into a tar header ({error}); shorten it") from None
    return info


def _gzip_header(deflated: bytes) -> bytes:
    """No name, no time, "unknown" system, and one extra field (RFC 1952, 2.3.1.1) with the digest of the stream."""
    digest = hashlib.sha256(deflated).digest()
    return b"\x1f\x8b\x08\x04\x00\x00\x00\x00\x00\xff" + struct.pack("<H2sH", 36, b"SH", 32) + digest


def _gzip_trailer(content: bytes) -> bytes:
    return struct.pack("<2L", zlib.crc32(content), len(content) & 0xFFFFFFFF)


# Opening


def _open_zip(data: bytes) -> Archive:
    n_members = _end_record(data)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        if len(members) != n_members:
            raise TamperedError(f"the ZIP announces {n_members} members and lists {len(members)}")
        for member in members:
            _check_zip_member(member)
        _check_expansion(sum(member.file_size for member in members), n_archive_bytes=len(data))
        root, paths = _root_and_paths([member.filename for member in members])
        files = {path: _zip_content(archive, member) for path, member in zip(paths, members, strict=True)}
    return Archive("zip", root, files, data)


def _end_record(data: bytes) -> int:
    """Number of members, from an end record that leaves no room for bytes that a reader would pass over."""
    if not data.startswith(b"PK\x03\x04") or len(data) < _END_RECORD.size:
        raise TamperedError("the ZIP has no member, or breaks off")
    end = len(data) - _END_RECORD.size
    signature, disk, directory_disk, n_here, n_members, n_bytes, start, _ = _END_RECORD.unpack_from(data, end)
    if signature != b"PK\x05\x06":
        raise TamperedError("the ZIP does not end with its end record: it breaks off, or something is appended")
    if disk or directory_disk or n_here != n_members or data[max(0, end - 20) :].startswith(b"PK\x06\x07"):
        raise TamperedError("the ZIP spans several disks or is a ZIP64; evidence needs neither")
    if start + n_bytes != end:
        raise TamperedError("the ZIP's directory is not where its end record says; is something put before it?")
    if n_members > MAX_MEMBERS or n_bytes > _MAX_DIRECTORY_BYTES:
        raise TamperedError(f"the ZIP lists {n_members} members in {n_bytes} bytes; up to {MAX_MEMBERS} are read")
    return n_members


def _check_zip_member(member: zipfile.ZipInfo) -> None:
    mode = member.external_attr >> 16
    rules = (
        (member.filename == member.orig_filename, "its name holds a NUL"),
        (not member.flag_bits & 0x2041, "it is encrypted"),
        (not member.is_dir(), "it is a directory"),
        (stat.S_IFMT(mode) in {0, stat.S_IFREG}, "it is a link, a device or another special file"),
        (member.compress_type in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}, "it is neither stored nor deflated"),
    )
    for holds, why in rules:
        if not holds:
            raise TamperedError(f"member {member.orig_filename[:200]!a} is refused: {why}")


def _zip_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """Unpack no more than the announced size; ``ZipFile.read`` would inflate everything before it looks."""
    with archive.open(member) as file:
        content = file.read(member.file_size)
    if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise TamperedError(f"member {member.filename[:200]!a} has another size or checksum than the ZIP announces")
    return content


def _open_tar_gz(data: bytes) -> Archive:
    tar = _gunzip(data)
    members = list(_tar_members(tar))
    root, paths = _root_and_paths([name for name, _, _ in members])
    files = {path: tar[at : at + n_bytes] for path, (_, at, n_bytes) in zip(paths, members, strict=True)}
    return Archive("tar.gz", root, files, tar)


def _gunzip(data: bytes) -> bytes:
    """Give the content of a gzip file of one member; igzip compares checksum and length."""
    stream = isal_zlib.decompressobj(_GZIP)
    allowance = _allowance(len(data))
    content = stream.decompress(data, allowance + 1)
    _check_expansion(len(content), n_archive_bytes=len(data))
    if not stream.eof:
        raise TamperedError("the gzip stream breaks off")
    if stream.unused_data:
        raise TamperedError(f"{len(stream.unused_data)} bytes are appended to the gzip stream")
    return content


def _tar_members(tar: bytes) -> Iterator[tuple[str, int, int]]:
    """Name, offset and size of each member; ``TarFile`` would follow extension headers and skip what it cannot read."""
    at = n_members = 0
    while (block := tar[at : at + _BLOCK]).strip(b"\0"):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        if block[257:265] != b"ustar\x0000" or header.type not in {tarfile.REGTYPE, tarfile.AREGTYPE}:
            raise TamperedError(f"member {header.name[:200]!a} is refused: it is no plain USTAR file")
        if not 0 <= header.size <= len(tar) - at - _BLOCK:
            raise TamperedError(f"member {header.name[:200]!a} breaks off")
        if (n_members := n_members + 1) > MAX_MEMBERS:
            raise TamperedError(f"the tar holds more than {MAX_MEMBERS} members")
        yield header.name, at + _BLOCK, header.size
        at += _BLOCK + -(-header.size // _BLOCK) * _BLOCK
    if len(tar) - at < 2 * _BLOCK or tar.count(0, at) != len(tar) - at:
        raise TamperedError("the tar breaks off, or something is appended to it")


def _check_expansion(n_content_bytes: int, *, n_archive_bytes: int) -> None:
    if n_content_bytes > _allowance(n_archive_bytes):
        raise TamperedError(
            f"an archive of {n_archive_bytes} bytes expands to {n_content_bytes} or more; up to {MAX_BYTES} bytes and "
            f"{MAX_RATIO} times its size are unpacked"
        )


def _root_and_paths(names: Sequence[str]) -> tuple[str, list[str]]:
    """Split the one folder off all names."""
    if not names:
        raise TamperedError("the archive is empty")
    root = _checked_root(names[0].partition("/")[0]) if not names[0].startswith("/") else checked_path(names[0])
    if outside := _first(name for name in names if not name.startswith(f"{root}/")):
        raise TamperedError(f"member {outside[:200]!a} lies outside the folder {root!r}")
    paths = [name.removeprefix(f"{root}/") for name in names]
    checked_paths(paths)
    return root, paths


def _first(names: Iterable[str]) -> str | None:
    return next(iter(names), None)
