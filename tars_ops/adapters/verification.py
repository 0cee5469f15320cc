"""Is a bundle, byte for byte, the evidence that its manifest describes?

An auditor runs this offline and without the rest of the project: only the standard library, pydantic, rfc8785 and isal
are imported, nothing is unpacked to disk, and no connection is made. What is wrong becomes a `Difference`; only what
keeps the question from being asked is an error.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final, Literal

from pydantic import NonNegativeInt, ValidationError

from tars_ops.adapters.archive import Kind, container_flaw, manifest_bytes, opened, read_bounded
from tars_ops.core.errors import MissingInputError, StoreError, TamperedError, UsageError
from tars_ops.core.model import Frozen, Sha256
from tars_ops.core.report.manifest import MANIFEST_PATH, Difference, DifferenceKind, Manifest, differences
from tars_ops.core.units import at_most

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SIDECAR = re.compile(r"([0-9a-f]{64}) [ *]([^\n]+)\n?")
_MAX_SIDECAR_BYTES: Final = 4096
_MAX_MANIFEST_BYTES: Final = 16 * 2**20
_SHOWN_CHARS: Final = 200


class Verification(Frozen):
    """What a check of a bundle found; without differences the bundle is intact."""

    bundle: str
    """Name of the archive or directory."""
    kind: Kind | Literal["directory"] | None
    """None where the file is no archive at all."""
    sha256: Sha256 | None
    """Digest of the archive; None for a directory."""
    manifest_sha256: Sha256 | None
    """Digest of the manifest; it stands for a directory. None where there is no manifest."""
    release: str | None
    as_of: int | None
    """Day of the watch up to which the evidence reaches; None where the manifest cannot be read."""
    n_files: NonNegativeInt
    """Files found, the manifest included."""
    differences: tuple[Difference, ...]
    """Those of the container and the manifest first, then by path."""

    @property
    def is_intact(self) -> bool:
        """Nothing was found that differs."""
        return not self.differences


class _Content(Frozen):
    """The files of a bundle, however it is packed: digest and size by path."""

    kind: Kind | Literal["directory"] | None
    sha256: Sha256 | None
    files: Mapping[str, tuple[str, int]]
    manifest: bytes | None
    flaws: tuple[Difference, ...]


def verify(path: Path, *, expected_sha256: str | None = None) -> Verification:
    """Check a ZIP, a tar.gz or an exported directory against the manifest inside, and itself against its digests.

    An archive must be exactly the one that packing its files gives, so that no bit of it is without a check; the file
    ``<archive>.sha256`` beside it is honoured if there is one. In a directory, folders without files do not count.

    Parameters
    ----------
    path : Path
        The bundle.
    expected_sha256 : str, optional
        Digest that the reader knows from elsewhere: of the archive, or of a directory's ``manifest.json``.

    Raises
    ------
    UsageError
        If ``expected_sha256`` is no SHA-256 digest.
    MissingInputError
        If there is no such file or directory.
    StoreError
        If it exists and cannot be read.
    """
    expected = _digest_of(expected_sha256)
    try:
        content = _content(path)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error.strerror} ({error.filename})") from error
    manifest, manifest_flaws = _manifest(content.manifest)
    manifest_sha256 = None if content.manifest is None else hashlib.sha256(content.manifest).hexdigest()
    pinned = manifest_sha256 if content.kind == "directory" else content.sha256
    return Verification(
        bundle=_shown(path.absolute().name),
        kind=content.kind,
        sha256=content.sha256,
        manifest_sha256=manifest_sha256,
        release=manifest.release if manifest else None,
        as_of=manifest.as_of if manifest else None,
        n_files=len(content.files),
        differences=(
            *_unexpected(path, found=pinned, expected=expected),
            *content.flaws,
            *manifest_flaws,
            *(differences(manifest, content.files) if manifest else ()),
        ),
    )


def _digest_of(text: str | None) -> str | None:
    if text is not None and not _DIGEST.fullmatch(text.lower()):
        raise UsageError(f"{_shown(text)!r} is no SHA-256 digest; give 64 hexadecimal digits")
    return text.lower() if text else None


def _unexpected(path: Path, *, found: str | None, expected: str | None) -> Iterator[Difference]:
    if expected is not None and found != expected:
        yield _container(path.absolute().name, f"SHA-256 {found or 'unknown'} instead of the expected {expected}")


def _content(path: Path) -> _Content:
    if path.is_dir():
        return _directory_content(path)
    if path.is_file():
        return _archive_content(path)
    raise MissingInputError(f"{path} is neither a file nor a directory; name a bundle (.zip, .tar.gz or exported)")


# Archives


def _archive_content(path: Path) -> _Content:
    name = path.absolute().name
    try:
        data = read_bounded(path)
    except TamperedError as error:
        return _unreadable(path, sha256=None, flaws=[_container(name, str(error))])
    sha256 = hashlib.sha256(data).hexdigest()
    flaws = list(_sidecar_flaws(path, sha256))
    try:
        archive = opened(data)
    except TamperedError as error:
        return _unreadable(path, sha256=sha256, flaws=[*flaws, _container(name, str(error))])
    if flaw := container_flaw(archive, data):
        flaws.append(_container(name, flaw))
    return _Content(
        kind=archive.kind,
        sha256=sha256,
        files={inner: (hashlib.sha256(file).hexdigest(), len(file)) for inner, file in archive.files.items()},
        manifest=archive.files.get(MANIFEST_PATH),
        flaws=tuple(flaws),
    )


def _unreadable(path: Path, *, sha256: str | None, flaws: Iterable[Difference]) -> _Content:
    kinds: dict[str, Kind] = {".zip": "zip", ".gz": "tar.gz"}
    return _Content(kind=kinds.get(path.suffix), sha256=sha256, files={}, manifest=None, flaws=tuple(flaws))


def _sidecar_flaws(path: Path, sha256: str) -> Iterator[Difference]:
    """Compare with the line of ``sha256sum`` beside the archive; its absence is no flaw."""
    sidecar = path.absolute().with_name(f"{path.absolute().name}.sha256")
    if not os.path.lexists(sidecar):
        return
    if not sidecar.is_file():
        yield _container(sidecar.name, "the checksum beside the archive is not a file")
        return
    with sidecar.open("rb") as file:
        line = file.read(_MAX_SIDECAR_BYTES).decode("utf-8", "surrogateescape")
    if not (match := _SIDECAR.fullmatch(line)):
        yield _container(sidecar.name, "the checksum beside the archive is not a line `<sha256>  <name>`")
        return
    digest, name = match.groups()
    if name != path.absolute().name:
        yield _container(sidecar.name, f"the checksum beside the archive is that of {_shown(name)!r}")
    if digest != sha256:
        yield _container(sidecar.name, f"SHA-256 of the archive is {sha256}; the checksum beside it says {digest}")


# Directories


def _directory_content(root: Path) -> _Content:
    files: dict[str, tuple[str, int]] = {}
    flaws: list[Difference] = []
    for path, entry in sorted(_entries(root), key=lambda pair: pair[0]):
        if entry.is_file(follow_symlinks=False):
            files[path] = _digest_and_size(entry)
        else:
            flaws.append(_container(path, "it is a link, a device or another special file; evidence is plain files"))
    return _Content(
        kind="directory",
        sha256=None,
        files=files,
        manifest=_small_file(root / MANIFEST_PATH) if MANIFEST_PATH in files else None,
        flaws=tuple(flaws),
    )


def _entries(root: Path) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Everything below a directory but the directories, links not followed."""
    waiting = [("", os.fspath(root))]
    while waiting:
        prefix, directory = waiting.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((f"{prefix}{entry.name}/", entry.path))
                else:
                    yield _writable(prefix + entry.name), entry


def _writable(path: str) -> str:
    """Escape a name that no manifest can list, such as one that is not UTF-8, so that it can be reported."""
    return path if path.isprintable() else ascii(path)[1:-1]


def _digest_and_size(entry: os.DirEntry[str]) -> tuple[str, int]:
    with Path(entry.path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), file.tell()


def _small_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MAX_MANIFEST_BYTES + 1)


# The manifest


def _manifest(raw: bytes | None) -> tuple[Manifest | None, tuple[Difference, ...]]:
    if raw is None:
        return None, (_manifest_flaw("there is no manifest that could be read: nothing says what the bundle holds"),)
    if len(raw) > _MAX_MANIFEST_BYTES:
        return None, (_manifest_flaw(f"it is larger than {_MAX_MANIFEST_BYTES} bytes"),)
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        return None, (_manifest_flaw(f"it is no manifest of version 1: {where or 'document'}: {first['msg']}"),)
    return manifest, () if _is_canonical(manifest, raw) else (_manifest_flaw("it is not canonical JSON (RFC 8785)"),)


def _is_canonical(manifest: Manifest, raw: bytes) -> bool:
    try:
        return manifest_bytes(manifest) == raw
    except ValueError:
        return False


def _manifest_flaw(detail: str) -> Difference:
    return Difference(kind=DifferenceKind.MANIFEST, path=MANIFEST_PATH, detail=_shown(detail))


def _container(path: str, detail: str) -> Difference:
    return Difference(kind=DifferenceKind.CONTAINER, path=_shown(path), detail=detail)


def _shown(text: str) -> str:
    """Fit for a message: names on a disk may hold anything."""
    return at_most(text, _SHOWN_CHARS)
