"""How does a release leave the store as files for people?

A folder with the tree of the release and its manifest, the archives with their digests beside it, and a file of
volatile facts that belong to this export and not to the evidence. A folder is replaced as a whole, so nothing stale
stays in it.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tars_ops import __version__
from tars_ops.adapters.artifacts import canonical_json
from tars_ops.adapters.bundle import MANIFEST, manifest_of
from tars_ops.adapters.catalogue import BUNDLE, OF_A_DAY, OF_A_VERDICT, OF_GA, as_of_key, tree
from tars_ops.adapters.disks import NEW_FILE, TEMPORARY, sweep, sync_directory, temporary_beside
from tars_ops.adapters.store import Store
from tars_ops.core.errors import CannotCreateError, MissingInputError
from tars_ops.core.model import Frozen, Instant
from tars_ops.core.report.manifest import checked_path

RUN_PROVENANCE = "run_provenance.json"


class RunProvenance(Frozen):
    """Facts of one export that change from run to run; never evidence, never inside the archive."""

    exported_at: Instant
    tool: str
    python: str
    platform: str
    host: str


@dataclass(frozen=True, slots=True)
class Exported:
    """Where an export lies."""

    folder: Path
    archives: tuple[Path, ...]


def export(store: Store, release: str, target: Path, *, as_of: int, now: datetime) -> Exported:
    """Write the tree, the archives and the volatile facts of a release as of a day below ``target``.

    Raises
    ------
    MissingInputError
        If there is no bundle for that day yet.
    CannotCreateError
        If the place cannot be written.
    """
    key = BUNDLE.key(release, as_of_key(as_of))
    if store.pointer(key) is None:
        raise MissingInputError(
            f"{release} has no bundle as of day {as_of}; run `tars-ops watch {release} --day {as_of}`"
        )
    files = tree(store, release, as_of=as_of, kinds=(*OF_GA, *OF_A_DAY, *OF_A_VERDICT))
    files[MANIFEST] = canonical_json(manifest_of(release, as_of, files))
    archives = store.get(key)
    facts = RunProvenance(
        exported_at=now,
        tool=f"tars_ops {__version__}",
        python=platform.python_version(),
        platform=platform.platform(),
        host=platform.node(),
    )
    try:
        target.mkdir(parents=True, exist_ok=True)
        sweep(target)
        _replace_folder(target / release, files)
        for name, data in {**archives, RUN_PROVENANCE: canonical_json(facts)}.items():
            write_file(target / name, data)
    except OSError as error:
        raise CannotCreateError(f"exporting to {target} failed: {error}") from error
    return Exported(target / release, tuple(target / name for name in archives if not name.endswith(".sha256")))


def _replace_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    fresh, stale = (folder.with_name(f"{TEMPORARY}{word}-{folder.name}") for word in ("new", "old"))
    for leftover in (fresh, stale):
        _remove(leftover)
    try:
        fresh.mkdir()
        for path, data in files.items():
            place = fresh / checked_path(path)
            place.parent.mkdir(parents=True, exist_ok=True)
            write_file(place, data)
        if os.path.lexists(folder):
            folder.rename(stale)
        fresh.rename(folder)
    finally:
        _remove(fresh)
    sync_directory(folder.parent)
    _remove(stale)


def _remove(place: Path) -> None:
    """Remove a folder, or the file or link that stands in its place; what a link points to is left alone."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file that appears whole or not at all: temporary file, fsync, rename, fsync of the directory."""
    temporary = temporary_beside(path)
    try:
        with os.fdopen(os.open(temporary, NEW_FILE, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)
