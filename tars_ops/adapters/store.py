"""Where is each artifact kept, and how is it kept from being lost, torn or changed?

Contents lie under their own digest and are written once. A pointer per version says which contents make an artifact and
which pointer it follows. Pointers are numbered and created exclusively: whoever creates number N+1 first has won,
on a disk without locks and on object storage alike, and every older version stays.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Final

import rfc8785
from pydantic import Field, TypeAdapter, ValidationError

from tars_ops.adapters.disks import Disk, LocalDisk, RemoteDisk
from tars_ops.core.errors import (
    CannotCreateError,
    ConflictError,
    MissingInputError,
    StoreError,
    TamperedError,
    UsageError,
)
from tars_ops.core.model import Frozen, Sha256

_KEY = re.compile(r"^[0-9A-Za-z][0-9A-Za-z._@+-]*(?:/[0-9A-Za-z][0-9A-Za-z._@+-]*)*\Z")
_NUMBER = re.compile(r"^(\d{6})\.json\Z")
_NO_PLACE: Final = frozenset(
    {
        errno.EACCES,
        errno.EDQUOT,
        errno.EEXIST,
        errno.EISDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.ENOSPC,
        errno.ENOTDIR,
        errno.EPERM,
        errno.EROFS,
    }
)
"""What an operator mends by making room or choosing another place."""


class StoredFile(Frozen):
    """One file of an artifact: its content's digest and size."""

    sha256: Sha256
    size_bytes: Annotated[int, Field(ge=0)]


class Pointer(Frozen):
    """One version of one artifact."""

    artifact: str
    version: Annotated[int, Field(ge=1)]
    files: Mapping[str, StoredFile]
    follows: Sha256 | None
    """Digest of the pointer of the version before; None for the first."""

    @property
    def sha256(self) -> str:
        """Digest of the artifact: of its file names and their digests, whatever the version."""
        return content_sha256(self.files)


def content_sha256(files: Mapping[str, StoredFile]) -> str:
    """Return the digest of an artifact with these files."""
    listed = {path: one.sha256 for path, one in files.items()}
    return hashlib.sha256(rfc8785.dumps(listed)).hexdigest()


class _Sealed(Frozen):
    """A pointer as it is written: with the digest of its own canonical JSON, so that no byte of it is unchecked."""

    pointer: Pointer
    sha256: Sha256


_SEALED = TypeAdapter(_Sealed)


def _seal(pointer: Pointer) -> bytes:
    document = pointer.model_dump(mode="json")
    return rfc8785.dumps({"pointer": document, "sha256": hashlib.sha256(rfc8785.dumps(document)).hexdigest()})


class Store:
    """Artifacts by key, such as ``tars@1.0.1/stability/day_03``; every read is checked against its digest."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @classmethod
    def at(cls, url: str) -> Store:
        """Open the store at a directory or an fsspec URL."""
        local = url.removeprefix("file://")
        return cls(RemoteDisk(url) if "://" in local else LocalDisk(Path(local)))

    # -- writing --------------------------------------------------------------------------------------------------

    def put(self, key: str, files: Mapping[str, bytes], *, version: int | None = None) -> Pointer:
        """Keep an artifact; the same content again makes no new version, and brings back contents that are gone.

        ``version`` is the number that it has to get: what rests on the version before is not put behind another one.

        Raises
        ------
        ConflictError
            If somebody else committed another content in between, or the version asked for is taken by one.
        CannotCreateError
            If the place is full, read-only or no directory.
        StoreError
            If writing failed otherwise; what was there before is still there.
        TamperedError
            If a content that is there already differs from its digest.
        """
        _checked(key)
        latest = self.pointer(key)
        listed = {path: _stored(data) for path, data in sorted(files.items())}
        with self._writing(key):
            for path, data in files.items():
                if not self._disk.create(_object(listed[path].sha256), data):
                    self._checked_object(key, path, listed[path])
            if latest and dict(latest.files) == listed and version in {None, latest.version}:
                return latest
            if version and version != (latest.version if latest else 0) + 1:
                raise ConflictError(f"{key}: version {version} is not the next one; read it again and start from there")
            return self._commit(key, listed, latest)

    def _commit(self, key: str, files: Mapping[str, StoredFile], latest: Pointer | None) -> Pointer:
        number = latest.version + 1 if latest else 1
        follows = hashlib.sha256(self._raw(key, latest.version)).hexdigest() if latest else None
        pointer = Pointer(artifact=key, version=number, files=files, follows=follows)
        if self._disk.create(_version(key, number), _seal(pointer)):
            return pointer
        winner = self.pointer(key)
        if winner and dict(winner.files) == files:
            return winner
        raise ConflictError(f"{key}: another run committed version {number} first; run again to judge what is there")

    @contextmanager
    def _writing(self, key: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            place = error.filename or self._disk
            if error.errno in _NO_PLACE or isinstance(error, PermissionError):
                raise CannotCreateError(
                    f"{key}: {error.strerror or error}: {place}; make room or give a directory that can be written"
                ) from error
            raise StoreError(f"writing {key} to {place} failed: {error}; the version before is intact") from error

    # -- reading --------------------------------------------------------------------------------------------------

    def pointer(self, key: str, *, version: int | None = None) -> Pointer | None:
        """Return a version of an artifact, the latest by default; None where it was never made."""
        _checked(key)
        number = version or max(self.versions(key), default=0)
        if not number:
            return None
        raw = self._raw(key, number)
        try:
            pointer = _SEALED.validate_json(raw).pointer
        except ValidationError as error:
            raise TamperedError(f"{_version(key, number)} is no pointer; restore it from a backup") from error
        if _seal(pointer) != raw:
            raise TamperedError(f"{_version(key, number)} differs from its own digest; restore it from a backup")
        if (pointer.artifact, pointer.version) != (key, number):
            raise TamperedError(f"the pointer {_version(key, number)} of the store speaks of {pointer.artifact}")
        return pointer

    def versions(self, key: str) -> list[int]:
        """Return the numbers of the versions of an artifact, oldest first."""
        found = (_NUMBER.match(name) for name in self._names(f"pointers/{_checked(key)}"))
        return sorted(int(match.group(1)) for match in found if match)

    def _raw(self, key: str, number: int) -> bytes:
        try:
            return self._disk.read(_version(key, number))
        except FileNotFoundError as error:
            raise MissingInputError(f"{key} has no version {number} in the store") from error
        except OSError as error:
            raise StoreError(f"reading {key} failed: {error}") from error

    def get(self, key: str, *, version: int | None = None) -> dict[str, bytes]:
        """Return the files of an artifact, each checked against its digest before anyone parses it.

        Raises
        ------
        MissingInputError
            If the artifact was never made.
        TamperedError
            If a content is gone or differs from its digest.
        """
        pointer = self.pointer(key, version=version)
        if pointer is None:
            raise MissingInputError(f"{key} is not in the store; materialise it first")
        return {path: self._checked_object(key, path, one) for path, one in pointer.files.items()}

    def _checked_object(self, key: str, path: str, stored: StoredFile) -> bytes:
        try:
            data = self._disk.read(_object(stored.sha256))
        except FileNotFoundError as error:
            raise TamperedError(
                f"{key}: the content of {path} ({stored.sha256[:12]}) is gone from the store"
            ) from error
        except OSError as error:
            raise StoreError(f"reading {path} of {key} failed: {error}") from error
        if _stored(data) != stored:
            raise TamperedError(f"{key}: {path} differs from its digest {stored.sha256[:12]}; restore it from a backup")
        return data

    def children(self, folder: str) -> list[str]:
        """Return the names below a folder of keys, sorted."""
        return [name for name in self._names(f"pointers/{_checked(folder)}") if not _NUMBER.match(name)]

    def roots(self) -> list[str]:
        """Return the first parts of all keys, sorted."""
        return self._names("pointers")

    def _names(self, folder: str) -> list[str]:
        try:
            return self._disk.names(folder)
        except OSError as error:
            raise StoreError(f"listing {folder} of {self._disk} failed: {error}") from error


def _stored(data: bytes) -> StoredFile:
    return StoredFile(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def _object(sha256: str) -> str:
    return f"objects/sha256/{sha256[:2]}/{sha256}"


def _version(key: str, number: int) -> str:
    return f"pointers/{key}/{number:06d}.json"


def _checked(key: str) -> str:
    if not _KEY.match(key) or len(key) > 200 or any(_NUMBER.match(part) for part in key.split("/")):
        raise UsageError(f"{key!r} is not an artifact key such as `tars@1.0.1/stability/day_03`")
    return key
