"""What people find in a folder after an export, whatever was there before."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tars_ops.adapters.catalogue import BUNDLE, as_of_key, tree
from tars_ops.adapters.disks import TEMPORARY, temporary_beside
from tars_ops.adapters.export import RUN_PROVENANCE, Exported, RunProvenance, export, write_file
from tars_ops.adapters.store import Store
from tars_ops.adapters.verification import verify
from tars_ops.core.errors import CannotCreateError, MissingInputError, TamperedError
from tars_ops_tests.adapters.factories import ALL_KINDS, AS_OF, RELEASE, stored_week
from tars_ops_tests.live.servers import missing

NOW = datetime(2025, 11, 20, 12, tzinfo=UTC)
ARCHIVES = ["tars-1.0.1-executive.tar.gz", "tars-1.0.1-executive.zip"]
TOP = sorted([RELEASE.key, RUN_PROVENANCE, *ARCHIVES, *(f"{name}.sha256" for name in ARCHIVES)])


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store.at(str(tmp_path_factory.mktemp("store")))
    stored_week(made)
    return made


def exported(store: Store, target: Path) -> Exported:
    return export(store, RELEASE.key, target, as_of=AS_OF, now=NOW)


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_tree_the_archives_their_digests_and_the_facts_are_written(store: Store, tmp_path: Path) -> None:
    done = exported(store, tmp_path / "new" / "place")
    target = tmp_path / "new" / "place"
    files = contents(done.folder)

    assert names(target) == TOP
    assert done == Exported(target / RELEASE.key, tuple(target / name for name in ARCHIVES))
    assert files.pop("manifest.json")
    assert files == tree(store, RELEASE.key, as_of=AS_OF, kinds=ALL_KINDS)
    for name in ARCHIVES:
        digest = hashlib.sha256((target / name).read_bytes()).hexdigest()
        assert (target / f"{name}.sha256").read_text() == f"{digest}  {name}\n"


def test_sha256sum_agrees(store: Store, tmp_path: Path) -> None:
    exported(store, tmp_path)
    done = subprocess.run(["sha256sum", "-c", *(f"{n}.sha256" for n in ARCHIVES)], cwd=tmp_path, check=False)

    assert done.returncode == 0


def test_all_three_forms_verify_and_are_the_same_evidence(store: Store, tmp_path: Path) -> None:
    done = exported(store, tmp_path)
    found = [verify(path) for path in (done.folder, *done.archives)]

    assert [one.differences for one in found] == [(), (), ()]
    assert len({one.manifest_sha256 for one in found}) == 1
    assert {(one.release, one.as_of) for one in found} == {(RELEASE.key, AS_OF)}


def test_what_is_volatile_stands_beside_the_evidence_only(store: Store, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    exported(store, first)
    export(store, RELEASE.key, second, as_of=AS_OF, now=NOW.replace(hour=13))
    facts = RunProvenance.model_validate(json.loads((first / RUN_PROVENANCE).read_bytes()))
    one, two = contents(first), contents(second)

    assert facts.exported_at == NOW
    assert facts.tool.startswith("tars_ops ")
    assert one.pop(RUN_PROVENANCE) != two.pop(RUN_PROVENANCE)
    assert one == two


def test_a_second_export_leaves_nothing_stale(store: Store, tmp_path: Path) -> None:
    done = exported(store, tmp_path)
    (done.folder / "stale.json").write_bytes(b"{}")
    (done.folder / "stability" / "day_09_summary.json").write_bytes(b"{}")
    (done.folder / "release.json").write_bytes(b"changed")
    exported(store, tmp_path)

    assert names(tmp_path) == TOP
    assert verify(done.folder).is_intact


def test_what_others_keep_in_the_target_stays(store: Store, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_bytes(b"mine")
    exported(store, tmp_path)

    assert (tmp_path / "notes.txt").read_bytes() == b"mine"


@pytest.mark.parametrize("word", ["new", "old"])
def test_what_a_killed_export_left_is_removed(store: Store, tmp_path: Path, word: str) -> None:
    leftover = tmp_path / f"{TEMPORARY}{word}-{RELEASE.key}"
    (leftover / "ga").mkdir(parents=True)
    (leftover / "ga" / "half.json").write_bytes(b"{")
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    torn = temporary_beside(tmp_path / "any").name.replace(f"-{os.getpid()}-", f"-{dead.pid}-")
    (tmp_path / torn).write_bytes(b"half")
    done = exported(store, tmp_path)

    assert names(tmp_path) == TOP
    assert verify(done.folder).is_intact


# Links and strange things in the place


@contextmanager
def untouched(outside: Path) -> Iterator[Path]:
    (outside / "deep").mkdir(parents=True)
    (outside / "release.json").write_bytes(b"somebody else's")
    before = contents(outside)
    yield outside
    assert contents(outside) == before
    assert names(outside) == ["deep", "release.json"]


@pytest.mark.parametrize("name", [RELEASE.key, f"{TEMPORARY}new-{RELEASE.key}", f"{TEMPORARY}old-{RELEASE.key}"])
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_in_the_place_of_a_folder_is_replaced_and_not_followed(
    store: Store, tmp_path: Path, name: str, *, dangling: bool
) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with untouched(tmp_path / "outside") as outside:
        (target / name).symlink_to(outside / "nowhere" if dangling else outside, target_is_directory=True)
        for _ in range(2):
            done = exported(store, target)
            assert not done.folder.is_symlink()
            assert names(target) == TOP
            assert verify(done.folder).is_intact


@pytest.mark.parametrize("name", [*ARCHIVES, RUN_PROVENANCE, f"{ARCHIVES[0]}.sha256"])
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(store: Store, tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"
    target.mkdir()
    with untouched(tmp_path / "outside") as outside:
        (target / name).symlink_to(outside / "release.json")
        exported(store, target)

        assert not (target / name).is_symlink()
        assert names(target) == TOP


def test_a_link_inside_the_old_folder_is_not_followed(store: Store, tmp_path: Path) -> None:
    target = tmp_path / "target"
    done = exported(store, target)
    with untouched(tmp_path / "outside") as outside:
        (done.folder / "elsewhere").symlink_to(outside, target_is_directory=True)
        exported(store, target)

        assert verify(done.folder).is_intact


def test_a_file_in_the_place_of_the_folder_is_replaced(store: Store, tmp_path: Path) -> None:
    (tmp_path / RELEASE.key).write_bytes(b"")

    assert verify(exported(store, tmp_path).folder).is_intact
    assert names(tmp_path) == TOP


# What cannot be written


def test_a_target_that_is_a_file_cannot_be_created(store: Store, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"")

    with pytest.raises(CannotCreateError, match="target"):
        exported(store, tmp_path / "target")
    with pytest.raises(CannotCreateError, match="target"):
        exported(store, tmp_path / "target" / "below")


def test_a_folder_in_the_place_of_an_archive_is_not_removed(store: Store, tmp_path: Path) -> None:
    (tmp_path / ARCHIVES[0] / "mine").mkdir(parents=True)

    with pytest.raises(CannotCreateError, match=ARCHIVES[0]):
        exported(store, tmp_path)
    assert names(tmp_path / ARCHIVES[0]) == ["mine"]
    assert [name for name in names(tmp_path) if name.startswith(TEMPORARY)] == []


def test_a_full_disk_leaves_the_export_before(store: Store, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False, capture_output=True
    ).returncode:
        missing("a file system in memory cannot be mounted here")
    try:
        done = exported(store, small)
        before = contents(done.folder)
        room = os.statvfs(small)
        (small / "ballast").write_bytes(b"x" * (room.f_bavail * room.f_frsize - 4096))

        with pytest.raises(CannotCreateError, match=os.strerror(errno.ENOSPC)):
            exported(store, small)
        assert contents(done.folder) == before
        assert names(small) == sorted([*TOP, "ballast"])
        (small / "ballast").unlink()
        assert verify(exported(store, small).folder).is_intact
    finally:
        subprocess.run(["umount", "-l", small], check=True)


def test_without_a_bundle_there_is_nothing_to_export(store: Store, tmp_path: Path) -> None:
    with pytest.raises(MissingInputError, match=r"tars-ops watch .* --day 1"):
        export(store, RELEASE.key, tmp_path / "target", as_of=1, now=NOW)
    assert not (tmp_path / "target").exists()


def test_changed_evidence_is_not_exported(tmp_path: Path) -> None:
    store = Store.at(str(tmp_path / "store"))
    stored_week(store)
    pointer = store.pointer(BUNDLE.key(RELEASE.key, as_of_key(AS_OF)))
    assert pointer
    sha256 = pointer.files[ARCHIVES[1]].sha256
    (tmp_path / "store" / "objects" / "sha256" / sha256[:2] / sha256).write_bytes(b"PK")

    with pytest.raises(TamperedError):
        exported(store, tmp_path / "target")
    assert not (tmp_path / "target").exists()


def test_a_file_is_replaced_whole_and_keeps_no_temporary(tmp_path: Path) -> None:
    for data in (b"first", b"second"):
        write_file(tmp_path / "one.zip", data)

    assert (tmp_path / "one.zip").read_bytes() == b"second"
    assert names(tmp_path) == ["one.zip"]
    assert (tmp_path / "one.zip").stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
