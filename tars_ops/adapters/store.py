"""Where is each artifact kept, and how is it kept from being lost, torn or changed?

Contents lie under their own digest and are written once. A pointer per version says which contents make an artifact and
which pointer it follows. Pointers are numbered and created exclusively: whoever creates number N+1 first has won,
on a disk without locks and on object storage alike, and every older version stays.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Annotated, Protocol

import rfc8785
from pydantic import Field, TypeAdapter, ValidationError

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
TEMPORARY = ".tmp-"


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


_POINTER = TypeAdapter(Pointer)


class Disk(Protocol):
    """The few things that a place to keep bytes must be able to do."""

    def read(self, path: str) -> bytes:
        """Return the bytes at a path; FileNotFoundError where there are none."""
        ...

    def create(self, path: str, data: bytes) -> bool:
        """Write bytes that appear whole or not at all; False where the path is taken."""
        ...

    def exists(self, path: str) -> bool:
        """Tell whether a path is there."""
        ...

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder, sorted; empty where there is none."""
        ...


class LocalDisk:
    """A directory: temporary file, fsync, link under the final name, fsync of the directory."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str) -> bytes:
        """Return the bytes at a path."""
        return (self._root / path).read_bytes()

    def exists(self, path: str) -> bool:
        """Tell whether a path is there."""
        return (self._root / path).exists()

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        try:
            return sorted(one.name for one in (self._root / folder).iterdir() if not one.name.startswith(TEMPORARY))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def create(self, path: str, data: bytes) -> bool:
        """Write bytes that appear whole or not at all."""
        target = self._root / path
        self._make(target.parent)
        temporary = target.parent / f"{TEMPORARY}{os.getpid()}-{target.name}"
        try:
            with temporary.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        sync_directory(target.parent)
        return True

    def _make(self, folder: Path) -> None:
        """Create a folder and make its own entry durable, up to the first one that exists."""
        if folder.is_dir():
            return
        self._make(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_directory(folder.parent)


def sync_directory(folder: Path) -> None:
    """Make the entries of a directory durable, where the platform can."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class RemoteDisk:
    """Any fsspec file system that can create an object exclusively: object storage, memory."""

    def __init__(self, url: str) -> None:
        import fsspec

        self._fs, self._root = fsspec.core.url_to_fs(url)

    def _at(self, path: str) -> str:
        return str(PurePosixPath(self._root) / path)

    def read(self, path: str) -> bytes:
        """Return the bytes at a path."""
        return self._fs.cat_file(self._at(path))

    def exists(self, path: str) -> bool:
        """Tell whether a path is there."""
        return self._fs.exists(self._at(path))

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder."""
        self._fs.invalidate_cache()
        try:
            return sorted(PurePosixPath(one).name for one in self._fs.ls(self._at(folder), detail=False))
        except FileNotFoundError:
            return []

    def create(self, path: str, data: bytes) -> bool:
        """Write bytes that appear whole or not at all."""
        target = self._at(path)
        self._fs.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        try:
            self._fs.pipe_file(target, data, mode="create")
        except FileExistsError:
            return False
        return True


class Store:
    """Artifacts by key, such as ``tars@1.0.1/stability/day_03``; every read is checked against its digest."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    @classmethod
    def at(cls, url: str) -> Store:
        """Open the store at a directory or an fsspec URL."""
        return cls(RemoteDisk(url) if "://" in url else LocalDisk(Path(url)))

    # -- writing --------------------------------------------------------------------------------------------------

    def put(self, key: str, files: Mapping[str, bytes]) -> Pointer:
        """Keep an artifact; the same content again makes no new version.

        Raises
        ------
        ConflictError
            If somebody else committed a version in between.
        CannotCreateError
            If the place is read-only or refuses a new entry.
        StoreError
            If writing failed; what was there before is still there.
        """
        _checked(key)
        latest = self.pointer(key)
        listed = {path: _stored(data) for path, data in sorted(files.items())}
        if latest and dict(latest.files) == listed:
            return latest
        try:
            for path, data in files.items():
                self._disk.create(_object(listed[path].sha256), data)
            return self._commit(key, listed, latest)
        except PermissionError as error:
            raise CannotCreateError(f"{key}: {error.strerror or error}; make {error.filename} writable") from error
        except OSError as error:
            raise StoreError(f"writing {key} failed: {error}; the version before is intact, free the disk") from error

    def _commit(self, key: str, files: Mapping[str, StoredFile], latest: Pointer | None) -> Pointer:
        number = latest.version + 1 if latest else 1
        follows = hashlib.sha256(self._raw(key, latest.version)).hexdigest() if latest else None
        pointer = Pointer(artifact=key, version=number, files=files, follows=follows)
        if not self._disk.create(_version(key, number), rfc8785.dumps(pointer.model_dump(mode="json"))):
            raise ConflictError(
                f"{key}: another run committed version {number} first; run again to judge what is there"
            )
        return pointer

    # -- reading --------------------------------------------------------------------------------------------------

    def pointer(self, key: str, *, version: int | None = None) -> Pointer | None:
        """Return a version of an artifact, the latest by default; None where it was never made."""
        _checked(key)
        number = version or max(self.versions(key), default=0)
        if not number:
            return None
        raw = self._raw(key, number)
        try:
            pointer = _POINTER.validate_json(raw)
        except ValidationError as error:
            raise TamperedError(f"the pointer {_version(key, number)} of the store is damaged: {error}") from error
        if (pointer.artifact, pointer.version) != (key, number):
            raise TamperedError(f"the pointer {_version(key, number)} of the store speaks of {pointer.artifact}")
        return pointer

    def versions(self, key: str) -> list[int]:
        """Return the numbers of the versions of an artifact, oldest first."""
        found = (_NUMBER.match(name) for name in self._disk.names(f"pointers/{_checked(key)}"))
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
        return [name for name in self._disk.names(f"pointers/{_checked(folder)}") if not _NUMBER.match(name)]

    def roots(self) -> list[str]:
        """Return the first parts of all keys, sorted."""
        return self._disk.names("pointers")


def _stored(data: bytes) -> StoredFile:
    return StoredFile(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


def _object(sha256: str) -> str:
    return f"objects/sha256/{sha256[:2]}/{sha256}"


def _version(key: str, number: int) -> str:
    return f"pointers/{key}/{number:06d}.json"


def _checked(key: str) -> str:
    if not _KEY.match(key) or len(key) > 200:
        raise UsageError(f"{key!r} is not an artifact key such as `tars@1.0.1/stability/day_03`")
    return key
