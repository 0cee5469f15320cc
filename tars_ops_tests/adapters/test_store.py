"""What the store keeps when somebody competes for it, changes it, fills its disk or pulls the plug."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import fsspec
import pytest

from tars_ops.adapters.disks import TEMPORARY, LocalDisk, RemoteDisk, temporary_beside
from tars_ops.adapters.store import Pointer, Store
from tars_ops.core.errors import (
    CannotCreateError,
    ConfigurationError,
    ConflictError,
    MissingInputError,
    StoreError,
    TamperedError,
    UsageError,
)
from tars_ops_tests.live.servers import missing, require

KEY = "tars@1.0.1/stability/day_01/summary"
OLD = {"summary.json": b'{"verdict":"pass"}', "shared.json": b"{}"}
NEW = {"summary.json": b'{"verdict":"fail"}', "shared.json": b"{}", "more.json": b"[1, 2, 3]"}


# Two places, one contract


class Directory:
    """A store in a directory, and a hand that reaches around it."""

    def __init__(self, tmp_path: Path) -> None:
        self.root = tmp_path / "store"

    def open(self) -> Store:
        return Store.at(str(self.root))

    def paths(self) -> list[str]:
        return sorted(str(one.relative_to(self.root)) for one in self.root.rglob("*") if one.is_file())

    def read(self, path: str) -> bytes:
        return (self.root / path).read_bytes()

    def overwrite(self, path: str, data: bytes) -> None:
        (self.root / path).write_bytes(data)

    def delete(self, path: str) -> None:
        (self.root / path).unlink()


class Memory:
    """The same on an fsspec file system."""

    def __init__(self, _: Path) -> None:
        self._name = f"/{uuid.uuid4().hex}"
        self._fs = fsspec.filesystem("memory")

    def open(self) -> Store:
        return Store.at(f"memory:/{self._name}")

    def paths(self) -> list[str]:
        return sorted(one.removeprefix(f"{self._name}/") for one in self._fs.find(self._name))

    def read(self, path: str) -> bytes:
        return self._fs.cat_file(f"{self._name}/{path}")

    def overwrite(self, path: str, data: bytes) -> None:
        self._fs.pipe_file(f"{self._name}/{path}", data)

    def delete(self, path: str) -> None:
        self._fs.rm_file(f"{self._name}/{path}")


@pytest.fixture(params=[Directory, Memory], ids=["directory", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Directory | Memory:
    return request.param(tmp_path)


def pointers(place: Directory | Memory) -> list[str]:
    return [path for path in place.paths() if path.startswith("pointers/")]


def objects(place: Directory | Memory) -> list[str]:
    return [path for path in place.paths() if path.startswith("objects/")]


def test_what_was_put_is_got(place: Directory | Memory) -> None:
    pointer = place.open().put(KEY, OLD)

    assert pointer.version == 1
    assert pointer.follows is None
    assert place.open().get(KEY) == OLD
    assert place.open().pointer(KEY) == pointer


def test_the_same_content_makes_no_new_version(place: Directory | Memory) -> None:
    first = place.open().put(KEY, OLD)
    before = place.paths()
    again = place.open().put(KEY, dict(reversed(OLD.items())))

    assert again == first
    assert place.paths() == before


def test_another_content_follows_the_version_before_which_stays(place: Directory | Memory) -> None:
    place.open().put(KEY, OLD)
    raw = place.read(pointers(place)[0])
    second = place.open().put(KEY, NEW)
    store = place.open()

    assert (second.version, second.follows) == (2, hashlib.sha256(raw).hexdigest())
    assert store.versions(KEY) == [1, 2]
    assert store.get(KEY) == NEW
    assert store.get(KEY, version=1) == OLD


def test_going_back_to_an_older_content_is_a_version_of_its_own(place: Directory | Memory) -> None:
    for files in (OLD, NEW, OLD):
        place.open().put(KEY, files)

    assert place.open().versions(KEY) == [1, 2, 3]
    assert place.open().get(KEY) == OLD


def test_the_digest_is_that_of_names_and_contents_whatever_the_version(place: Directory | Memory) -> None:
    first, _, third = [place.open().put(KEY, files) for files in (OLD, NEW, OLD)]

    assert first.sha256 == third.sha256
    assert place.open().put(f"{KEY}_2", {"other.json": b"{}"}).sha256 != first.sha256


def test_what_was_never_made_is_missing(place: Directory | Memory) -> None:
    store = place.open()

    assert store.pointer(KEY) is None
    assert (store.versions(KEY), store.children("tars@1.0.1"), store.roots()) == ([], [], [])
    with pytest.raises(MissingInputError, match="materialise"):
        store.get(KEY)


def test_a_version_that_was_never_made_is_missing(place: Directory | Memory) -> None:
    place.open().put(KEY, OLD)

    with pytest.raises(MissingInputError, match="no version 7"):
        place.open().get(KEY, version=7)


def test_keys_are_listed_like_folders(place: Directory | Memory) -> None:
    for key in ("tars@1.0.1/release", "tars@1.0.1/ga/baseline", "case@2/release"):
        place.open().put(key, OLD)

    assert place.open().roots() == ["case@2", "tars@1.0.1"]
    assert place.open().children("tars@1.0.1") == ["ga", "release"]
    assert place.open().children("tars@1.0.1/release") == []


HOSTILE = [
    "",
    "/abs",
    "../up",
    "a/../../up",
    "a/..",
    "a//b",
    "a/",
    "./a",
    ".hidden",
    f"a/{TEMPORARY}1",
    "a\n",
    "a\0b",
    "a b",
    "a|b",
    "a,b",
    "a\\b",
    "ä",
    "\N{FULLWIDTH FULL STOP}\N{FULLWIDTH FULL STOP}/a",
    "\ud800",
    "a" * 201,
    "a/000001.json",
    "000001.json",
]


@pytest.mark.parametrize("key", HOSTILE)
def test_a_hostile_key_is_refused_before_anything_is_touched(place: Directory | Memory, key: str) -> None:
    store = place.open()
    doors: list[Callable[[], object]] = [
        lambda: store.put(key, OLD),
        lambda: store.get(key),
        lambda: store.pointer(key),
        lambda: store.versions(key),
        lambda: store.children(key),
    ]
    for door in doors:
        with pytest.raises(UsageError, match="is not an artifact key"):
            door()

    assert place.paths() == []


# Checked before anyone parses it


def refused(place: Directory | Memory) -> None:
    with pytest.raises(TamperedError):
        place.open().get(KEY)


def flips(data: bytes) -> Iterator[bytes]:
    """Each byte changed once, each time in another bit."""
    for at in range(len(data)):
        changed = bytearray(data)
        changed[at] ^= 1 << at % 8
        yield bytes(changed)


@pytest.mark.parametrize("kind", [objects, pointers])
def test_a_flipped_byte_is_told(place: Directory | Memory, kind: Callable[[Any], list[str]]) -> None:
    place.open().put(KEY, OLD)
    place.open().put(KEY, NEW)
    path = max(kind(place), key=lambda one: (one.endswith("000002.json"), one))
    if kind is objects:
        path = f"objects/sha256/{(sha := hashlib.sha256(NEW['summary.json']).hexdigest())[:2]}/{sha}"
    whole = place.read(path)
    for changed in flips(whole):
        place.overwrite(path, changed)
        refused(place)
    place.overwrite(path, whole)

    assert place.open().get(KEY) == NEW


@pytest.mark.parametrize("kind", [objects, pointers])
def test_a_truncated_file_is_told(place: Directory | Memory, kind: Callable[[Any], list[str]]) -> None:
    place.open().put(KEY, OLD)
    path = kind(place)[-1]
    whole = place.read(path)
    for length in range(len(whole)):
        place.overwrite(path, whole[:length])
        refused(place)
    place.overwrite(path, whole + b"\n")

    refused(place)


def test_a_content_that_is_gone_is_told_and_comes_back_with_the_same_content(place: Directory | Memory) -> None:
    first = place.open().put(KEY, OLD)
    place.delete(objects(place)[0])
    refused(place)

    assert place.open().put(KEY, OLD) == first
    assert place.open().get(KEY) == OLD


def test_a_damaged_content_is_told_to_whoever_puts_it_again(place: Directory | Memory) -> None:
    place.open().put(KEY, OLD)
    place.overwrite(objects(place)[0], b"rotten")

    with pytest.raises(TamperedError, match="backup"):
        place.open().put(f"{KEY}_of_another", OLD)
    assert place.open().pointer(f"{KEY}_of_another") is None


def test_the_pointer_of_another_artifact_is_told(place: Directory | Memory) -> None:
    place.open().put(KEY, OLD)
    place.open().put("tars@1.0.1/stability/day_02/summary", NEW)
    place.overwrite(
        f"pointers/{KEY}/000001.json", place.read("pointers/tars@1.0.1/stability/day_02/summary/000001.json")
    )

    refused(place)


def test_an_older_pointer_in_the_place_of_a_newer_is_told(place: Directory | Memory) -> None:
    place.open().put(KEY, OLD)
    place.open().put(KEY, NEW)
    place.overwrite(f"pointers/{KEY}/000002.json", place.read(f"pointers/{KEY}/000001.json"))

    refused(place)


# Two writers


class Rival:
    """A disk on which somebody else puts something just before the pointer is created."""

    def __init__(self, disk: LocalDisk | RemoteDisk, rival: Callable[[], Pointer]) -> None:
        self._disk, self._rival = disk, rival

    def create(self, path: str, data: bytes) -> bool:
        if path.startswith("pointers/"):
            self._rival()
        return self._disk.create(path, data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._disk, name)


@pytest.mark.parametrize("before", [None, OLD])
def test_who_comes_second_is_told_and_loses_nothing(place: Directory | Memory, before: dict[str, bytes] | None) -> None:
    if before:
        place.open().put(KEY, before)
    late = Store(Rival(place.open()._disk, lambda: place.open().put(KEY, NEW)))  # type: ignore[arg-type]

    with pytest.raises(ConflictError, match="run again") as told:
        late.put(KEY, {"summary.json": b"late"})
    assert told.value.may_pass_later
    assert place.open().get(KEY) == NEW
    assert place.open().versions(KEY) == ([1, 2] if before else [1])


def test_who_comes_second_with_the_same_content_has_done_nothing(place: Directory | Memory) -> None:
    late = Store(Rival(place.open()._disk, lambda: place.open().put(KEY, NEW)))  # type: ignore[arg-type]

    assert late.put(KEY, NEW).version == 1
    assert place.open().versions(KEY) == [1]


@pytest.mark.parametrize(("n_before", "version"), [(0, 2), (1, 1), (1, 3), (2, 2), (2, 1)])
def test_a_version_that_is_not_the_next_one_is_refused(place: Directory | Memory, n_before: int, version: int) -> None:
    for number in range(n_before):
        place.open().put(KEY, {"one": b"%d" % number})

    with pytest.raises(ConflictError, match=f"version {version} is not the next one"):
        place.open().put(KEY, NEW, version=version)
    assert place.open().versions(KEY) == list(range(1, n_before + 1))


def test_the_next_version_is_put_and_the_same_again_is_found_there(place: Directory | Memory) -> None:
    numbers = [place.open().put(KEY, files, version=version).version for files, version in ((OLD, 1), (NEW, 2))]

    assert numbers == [1, 2]
    assert place.open().put(KEY, NEW, version=2).version == 2
    assert place.open().put(KEY, NEW, version=3).version == 3
    assert place.open().versions(KEY) == [1, 2, 3]


def test_of_many_threads_at_once_each_version_has_one_winner_who_keeps_what_he_put(tmp_path: Path) -> None:
    n_threads, n_rounds = 8, 12
    won: list[tuple[int, bytes]] = []
    lost: list[ConflictError] = []
    together = threading.Barrier(n_threads, timeout=30)

    def write(me: int) -> None:
        for turn in range(n_rounds):
            mine = f"{me} in turn {turn} ".encode() * (me + 1)
            together.wait()
            try:
                won.append((Store.at(str(tmp_path)).put(KEY, {"one": mine, "shared": b"s" * turn}).version, mine))
            except ConflictError as error:
                lost.append(error)
            except BaseException:
                together.abort()
                raise

    threads = [threading.Thread(target=write, args=(me,)) for me in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store = Store.at(str(tmp_path))

    assert len(won) + len(lost) == n_threads * n_rounds
    assert len(won) >= n_rounds
    assert sorted(version for version, _ in won) == store.versions(KEY)
    assert [mine for version, mine in won if store.get(KEY, version=version)["one"] != mine] == []
    sound(tmp_path)


RACER = """
import sys, time
from pathlib import Path
from tars_ops.adapters.store import Store
from tars_ops.core.errors import ConflictError

root, me, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
(root / f"ready_{me}").touch()
while not (root / "go").exists():
    pass
won = 0
for turn in range(n):
    try:
        Store.at(str(root / "store")).put("race", {"one": f"{me} {turn}".encode()})
        won += 1
    except ConflictError:
        pass
print(won)
"""


def test_of_two_processes_each_version_has_one_winner(tmp_path: Path) -> None:
    racers = [
        subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path), me, "60"], stdout=subprocess.PIPE, text=True)
        for me in "ab"
    ]
    while not all((tmp_path / f"ready_{me}").exists() for me in "ab"):
        assert all(one.poll() is None for one in racers)
    (tmp_path / "go").touch()
    won = [int(one.communicate(timeout=60)[0]) for one in racers]
    store = Store.at(str(tmp_path / "store"))
    put = [store.get("race", version=version)["one"].decode() for version in store.versions("race")]

    assert [one.returncode for one in racers] == [0, 0]
    assert [sum(text.startswith(me) for text in put) for me in "ab"] == won
    assert len(set(put)) == len(put)


# Places that cannot be written or read


@pytest.mark.parametrize("blocked", ["", "pointers", "objects", "objects/sha256", f"pointers/{KEY}"])
def test_a_file_where_a_directory_is_needed_is_named(tmp_path: Path, blocked: str) -> None:
    place = tmp_path / "store" / blocked
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"")

    with pytest.raises(CannotCreateError, match=re.escape(str(place))):
        Store.at(str(tmp_path / "store")).put(KEY, OLD)


class Refusing(LocalDisk):
    """A disk that refuses calls of one name."""

    def __init__(self, root: Path, name: str, number: int, times: int = 999) -> None:
        super().__init__(root)
        self._name, self._number, self._times = name, number, times

    def _do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if call.__name__ == self._name and self._times > 0:
            self._times -= 1
            named = next((str(one) for one in args if isinstance(one, Path)), None)
            raise OSError(self._number, os.strerror(self._number), named)
        return super()._do(call, *args, **kwargs)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("name", ["mkdir", "open", "write", "link"])
def test_a_place_that_refuses_is_named_with_what_to_do(tmp_path: Path, name: str, number: int) -> None:
    with pytest.raises(CannotCreateError, match=f"(?s){re.escape(str(tmp_path))}.*make room"):
        Store(Refusing(tmp_path, name, number)).put(KEY, OLD)


def test_a_disk_that_fails_otherwise_is_an_error_of_the_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="version before is intact"):
        Store(Refusing(tmp_path, "fsync", errno.EIO)).put(KEY, OLD)


def test_a_short_write_is_continued(tmp_path: Path) -> None:
    class Short(LocalDisk):
        def _do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            return os.write(args[0], args[1][:3]) if call is os.write else super()._do(call, *args, **kwargs)

    Store(Short(tmp_path)).put(KEY, OLD)

    assert Store.at(str(tmp_path)).get(KEY) == OLD


class Unreadable(LocalDisk):
    """A disk whose reads or listings fail."""

    def __init__(self, root: Path, *, listing: bool) -> None:
        super().__init__(root)
        self._listing = listing

    def read(self, path: str) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    def names(self, folder: str) -> list[str]:
        if self._listing:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), folder)
        return super().names(folder)


@pytest.mark.parametrize("listing", [False, True])
def test_a_store_that_cannot_be_read_is_never_taken_for_an_empty_one(tmp_path: Path, *, listing: bool) -> None:
    Store.at(str(tmp_path)).put(KEY, OLD)
    store = Store(Unreadable(tmp_path, listing=listing))

    for door in (store.get, store.pointer, lambda key: store.put(key, NEW)):
        with pytest.raises(StoreError):
            door(KEY)
    assert Store.at(str(tmp_path)).versions(KEY) == [1]


@pytest.mark.parametrize("url", ["nonsense://bucket", "zip://a.zip", "sftp://"])
def test_a_url_that_cannot_hold_a_store_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="TARS_OPS_STORE"):
        Store.at(url)


def test_a_file_system_without_exclusive_creation_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="exclusively"):
        RemoteDisk("local:///nowhere")


def test_a_file_url_is_a_directory(tmp_path: Path) -> None:
    Store.at(f"file://{tmp_path}").put(KEY, OLD)

    assert isinstance(Store.at(f"file://{tmp_path}")._disk, LocalDisk)
    assert Store.at(str(tmp_path)).get(KEY) == OLD


def test_a_link_in_the_place_of_a_content_is_not_written_through(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    sha256 = hashlib.sha256(OLD["shared.json"]).hexdigest()
    folder = tmp_path / "store" / "objects" / "sha256" / sha256[:2]
    folder.mkdir(parents=True)
    (folder / sha256).symlink_to(elsewhere)

    with pytest.raises(TamperedError):
        Store.at(str(tmp_path / "store")).put(KEY, OLD)
    assert not elsewhere.exists()


# The N-th operation fails


def sound(root: Path) -> None:
    """Every file of a store under its final name is whole."""
    for path in (root / "objects").rglob("*"):
        if path.is_file() and not path.name.startswith(TEMPORARY):
            assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
    store = Store.at(str(root))
    for path in (root / "pointers").rglob("*.json"):
        key = str(path.parent.relative_to(root / "pointers"))
        assert not path.name.startswith(TEMPORARY)
        assert store.get(key, version=int(path.stem))


def leftovers(root: Path) -> list[Path]:
    return [path for path in root.rglob("*") if path.name.startswith(TEMPORARY)]


class Counting(LocalDisk):
    """A disk that does something at its N-th call of the system, and knows the names of those before."""

    def __init__(self, root: Path, at: int, do: Callable[[Callable[..., Any], tuple], None]) -> None:
        super().__init__(root)
        self._at, self._what, self.calls = at, do, []

    def _do(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.calls.append((call.__name__, args))
        if len(self.calls) == self._at:
            self._what(call, args)
        return super()._do(call, *args, **kwargs)


def half(call: Callable[..., Any], args: tuple) -> None:
    if call is os.write:
        os.write(args[0], args[1][: len(args[1]) // 2])


def n_calls(tmp_path: Path, before: Mapping[str, bytes] | None) -> int:
    if before:
        Store.at(str(tmp_path / "whole")).put(KEY, before)
    disk = Counting(tmp_path / "whole", 0, half)
    Store(disk).put(KEY, NEW)
    return len(disk.calls)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
@pytest.mark.parametrize("before", [None, OLD], ids=["first", "second"])
def test_whichever_call_fails_the_old_version_is_whole_and_the_next_try_succeeds(
    tmp_path: Path, before: dict[str, bytes] | None, number: int
) -> None:
    def fail(call: Callable[..., Any], args: tuple) -> None:
        half(call, args)
        raise OSError(number, os.strerror(number))

    n = n_calls(tmp_path, before)
    for at in range(1, n + 1):
        root = tmp_path / str(at)
        if before:
            Store.at(str(root)).put(KEY, before)
        with pytest.raises((CannotCreateError, StoreError)):
            Store(Counting(root, at, fail)).put(KEY, NEW)
        old_or_new(root, before)
        assert Store.at(str(root)).put(KEY, NEW).version == (2 if before else 1)
        assert Store.at(str(root)).get(KEY) == NEW

    assert n > 20


def old_or_new(root: Path, before: Mapping[str, bytes] | None) -> None:
    sound(root)
    store = Store.at(str(root))
    found = store.get(KEY) if store.pointer(KEY) else None
    assert found in (before, NEW)
    if before:
        assert store.get(KEY, version=1) == before
    expected = [1] if before else []
    assert store.versions(KEY) in (expected, [*expected, len(expected) + 1])
    assert [name for name in store.children("tars@1.0.1") if name != "stability"] == []


@pytest.mark.parametrize("fails", ["pointers/", "objects/"])
def test_a_remote_place_that_fails_keeps_the_version_before(fails: str) -> None:
    class Failing(RemoteDisk):
        def create(self, path: str, data: bytes) -> bool:
            if path.startswith(fails):
                raise OSError(errno.EIO, "the bucket does not answer")
            return super().create(path, data)

    url = f"memory://{uuid.uuid4().hex}"
    Store.at(url).put(KEY, OLD)

    with pytest.raises(StoreError, match="does not answer"):
        Store(Failing(url)).put(KEY, NEW)
    assert Store.at(url).get(KEY) == OLD
    assert Store.at(url).put(KEY, NEW).version == 2


# Killed at the N-th call


SERVER = """
import os, signal, socket, sys
from pathlib import Path
from tars_ops.adapters.disks import LocalDisk
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TarsOpsError

class Dying(LocalDisk):
    left = 0

    def _do(self, call, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            if call is os.write:
                os.write(args[0], args[1][: len(args[1]) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._do(call, *args, **kwargs)

key, new = sys.argv[2], eval(sys.argv[3])
talk = socket.socket(fileno=int(sys.argv[1]))
while job := talk.recv(4096).decode():
    root, at = job.split("|")
    if not (child := os.fork()):
        disk = Dying(Path(root))
        disk.left = int(at)
        try:
            Store(disk).put(key, new)
        except TarsOpsError as error:
            os._exit(error.exit_code)
        os._exit(0)
    talk.send(b"%d" % os.waitpid(child, 0)[1])
"""


class Writers:
    """A process that forks a writer per job and tells how it ended."""

    def __init__(self) -> None:
        self._talk, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(theirs.fileno()), KEY, repr(NEW)], pass_fds=[theirs.fileno()]
            )
        self.pid = self._process.pid

    def put(self, root: Path, *, die_at: int = 0) -> int:
        """Return how a writer ended, as ``os.wait`` does: 0, the signal that killed it, or 256 times its exit code."""
        self._talk.send(f"{root}|{die_at}".encode())
        return int(self._talk.recv(64))

    def close(self) -> None:
        self._talk.close()
        assert self._process.wait(timeout=30) == 0


@pytest.fixture(scope="module")
def writers() -> Iterator[Writers]:
    made = Writers()
    yield made
    made.close()


def survived(root: Path, before: Mapping[str, bytes] | None) -> None:
    old_or_new(root, before)
    store = Store.at(str(root))
    store.put(KEY, NEW)
    assert store.get(KEY) == NEW
    store.put(KEY, {"summary.json": b"and the next"})
    assert leftovers(root) == []
    sound(root)


@pytest.mark.parametrize("before", [None, OLD], ids=["first", "second"])
def test_killed_at_any_call_it_leaves_the_old_or_the_new_and_the_next_writer_sweeps(
    tmp_path: Path, writers: Writers, before: dict[str, bytes] | None
) -> None:
    torn_temporaries = 0
    for at in count(1):
        root = tmp_path / str(at)
        if before:
            Store.at(str(root)).put(KEY, before)
        status = writers.put(root, die_at=at)
        if not status:
            break
        assert status == signal.SIGKILL
        torn_temporaries += len(leftovers(root))
        survived(root, before)

    assert at > n_calls(tmp_path, before) > 20
    assert torn_temporaries > 5


CALLS = "openat,write,fsync,link,linkat,unlink,unlinkat,mkdir,mkdirat"


@contextmanager
def strace(pid: int, *options: str) -> Iterator[None]:
    require("strace")
    command = ["strace", "-f", "-y", "-e", f"trace={CALLS}", *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr
        said = process.stderr.readline()
        if "attached" not in said:
            process.kill()
            missing(f"strace cannot attach here: {said.strip()}")
        yield
        process.send_signal(signal.SIGINT)
        process.stderr.read()


def real_calls(tmp_path: Path, writers: Writers) -> list[str]:
    with strace(writers.pid, "-o", str(tmp_path / "trace")):
        assert writers.put(tmp_path / "store") == 0
    return (tmp_path / "trace").read_text().splitlines()


@pytest.mark.parametrize(
    ("fault", "calls"),
    [
        ("signal=KILL", CALLS),
        ("error=ENOSPC", "openat,write,link,linkat,mkdir,mkdirat"),
        ("error=EIO", "write,fsync,unlink,unlinkat"),
    ],
)
def test_stopped_at_any_real_system_call_it_leaves_the_old_or_the_new(
    tmp_path: Path, writers: Writers, fault: str, calls: str
) -> None:
    used = Counter(line.split()[1].partition("(")[0] for line in real_calls(tmp_path, writers))
    endings: Counter[int] = Counter()
    for call, at in ((name, n) for name in calls.split(",") for n in range(1, used[name] + 1)):
        roots = {tmp_path / f"{call}_{at}_first": None, tmp_path / f"{call}_{at}_second": OLD}
        Store.at(str(tmp_path / f"{call}_{at}_second")).put(KEY, OLD)
        with strace(writers.pid, "-o", os.devnull, "-e", f"inject={call}:{fault}:when={at}"):
            endings.update(writers.put(root) for root in roots)
        for root, before in roots.items():
            survived(root, before)
            shutil.rmtree(root)

    assert set(endings) <= {0, *({signal.SIGKILL} if "KILL" in fault else (73 << 8, 74 << 8))}
    assert endings.total() - endings[0] > 30


def test_contents_are_durable_before_they_have_a_name_and_named_before_they_are_pointed_to(
    tmp_path: Path, writers: Writers
) -> None:
    calls = real_calls(tmp_path, writers)
    synced: list[tuple[int, str]] = []
    linked: list[tuple[int, str, str]] = []
    for n, line in enumerate(calls):
        if found := re.search(r"fsync\(\d+<(.+)>\)\s+= 0", line):
            synced.append((n, found[1]))
        elif found := re.search(r'link(?:at)?\((?:AT_FDCWD\S* )?"(.+?)", (?:AT_FDCWD\S* )?"(.+?)"', line):
            linked.append((n, found[1], found[2]))

    assert [Path(target).name for _, _, target in linked[-1:]] == ["000001.json"]
    assert len(linked) == len(NEW) + 1
    for i, (n, temporary, target) in enumerate(linked):
        assert any(at < n and path == temporary for at, path in synced)
        following = linked[i + 1][0] if i + 1 < len(linked) else len(calls)
        assert any(n < at < following and path == str(Path(target).parent) for at, path in synced)
    for line_number, made in [
        (n, m[1]) for n, x in enumerate(calls) if (m := re.search(r'mkdir(?:at)?\("(.+?)".*= 0', x))
    ]:
        assert any(at > line_number and path == str(Path(made).parent) for at, path in synced)


def test_a_content_that_another_writer_has_just_named_is_made_durable_before_it_is_pointed_to(tmp_path: Path) -> None:
    Store.at(str(tmp_path)).put("another", {"shared.json": NEW["shared.json"]})
    disk = Counting(tmp_path, 0, half)
    Store(disk).put(KEY, {"shared.json": NEW["shared.json"]})
    folder = tmp_path / "objects" / "sha256" / hashlib.sha256(NEW["shared.json"]).hexdigest()[:2]
    names = [name for name, _ in disk.calls]

    assert disk.calls[0] == ("sync_directory", (folder,))
    assert names.count("link") == 1


# What the dead leave


def dead_pid() -> int:
    with subprocess.Popen(["true"]) as process:
        process.wait()
    return process.pid


def test_only_what_dead_writers_of_this_host_left_is_swept(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path))
    store.put(KEY, OLD)
    folder = tmp_path / "pointers" / KEY
    ours = temporary_beside(folder / "000002.json").name
    dead = ours.replace(f"-{os.getpid()}-", f"-{dead_pid()}-")
    elsewhere = re.sub(rf"{re.escape(TEMPORARY)}.{{8}}", f"{TEMPORARY}00000000", dead)
    for name in (ours, dead, elsewhere, f"{TEMPORARY}notes", "mine.txt"):
        (folder / name).write_bytes(b"half")
    store.put(KEY, NEW)

    assert sorted(one.name for one in folder.iterdir()) == sorted(
        ["000001.json", "000002.json", ours, elsewhere, f"{TEMPORARY}notes", "mine.txt"]
    )
    assert store.versions(KEY) == [1, 2]
    assert TEMPORARY not in str(store.children(KEY))


def test_no_two_writers_share_a_temporary_file(tmp_path: Path) -> None:
    assert len({temporary_beside(tmp_path / "one") for _ in range(1000)}) == 1000
