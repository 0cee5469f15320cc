"""How are bytes kept so that they appear whole or not at all?"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import secrets
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Final, ParamSpec, Protocol, TypeVar

from tars_ops.core.errors import ConfigurationError

TEMPORARY = ".tmp-"
_LEFTOVER = re.compile(rf"^{re.escape(TEMPORARY)}([0-9a-f]{{8}})-(\d{{1,7}})-[0-9a-f]{{8}}\Z")
_HOST: Final = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
"""A process number means nothing on another host."""
NEW_FILE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)

P = ParamSpec("P")
T = TypeVar("T")


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

    def __str__(self) -> str:
        """Name the place."""
        return str(self._root)

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
        sweep(target.parent)
        created = not target.exists() and self._link(target, data)
        self._do(sync_directory, target.parent)  # also where another writer came first and may not have got here
        return created

    def _link(self, target: Path, data: bytes) -> bool:
        temporary = temporary_beside(target)
        try:
            self._write(temporary, data)
            self._do(os.link, temporary, target)
        except FileExistsError:
            return False
        finally:
            self._do(temporary.unlink, missing_ok=True)
        return True

    def _write(self, temporary: Path, data: bytes) -> None:
        descriptor = self._do(os.open, temporary, NEW_FILE, 0o666)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._do(os.write, descriptor, rest) :]
            self._do(os.fsync, descriptor)
        finally:
            os.close(descriptor)

    def _make(self, folder: Path) -> None:
        """Create a folder and make its own entry durable, up to the first one that exists."""
        if folder.is_dir():
            return
        self._make(folder.parent)
        self._do(folder.mkdir, exist_ok=True)
        self._do(sync_directory, folder.parent)

    def _do(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Make one call of the system; the one door at which a test can let a disk fail."""
        return call(*args, **kwargs)


def temporary_beside(path: Path) -> Path:
    """Return a name for writing a file, in its own folder; it tells whose it is and no two writers share it."""
    return path.with_name(f"{TEMPORARY}{_HOST}-{os.getpid()}-{secrets.token_hex(4)}")


def sweep(folder: Path) -> None:
    """Remove what writers of this host left in a folder when they died."""
    for one in folder.iterdir():
        found = _LEFTOVER.match(one.name)
        if found and found[1] == _HOST and not _is_alive(int(found[2])):
            one.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
    """Any fsspec file system that can create an object exclusively: object storage, memory.

    Raises
    ------
    ConfigurationError
        If the URL is of no known kind, or its kind cannot create exclusively: two writers would overwrite each other.
    """

    def __init__(self, url: str) -> None:
        import fsspec

        scheme = url.partition("://")[0]
        try:
            self._fs, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, OSError, ValueError) as error:
            raise ConfigurationError(f"TARS_OPS_STORE: {scheme}:// cannot be opened: {error}") from error
        if not self._fs.async_impl and type(self._fs).pipe_file is fsspec.AbstractFileSystem.pipe_file:
            raise ConfigurationError(
                f"TARS_OPS_STORE: {scheme}:// cannot create a file exclusively; take a directory or object storage"
            )

    def __str__(self) -> str:
        """Name the place."""
        return str(self._root)

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
        if self._fs.exists(target):
            return False
        self._fs.makedirs(str(PurePosixPath(target).parent), exist_ok=True)
        try:
            self._fs.pipe_file(target, data, mode="create")
        except FileExistsError:
            return False
        return True
