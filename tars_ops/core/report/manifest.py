"""Which files make up the evidence of a release, and does what was found match them?

The manifest lists every file of a bundle but itself. Nothing here reads or writes: files come and go as mappings from
their path. Only the standard library and the base model are imported, because an auditor's check must start quickly.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Annotated, Final, Literal, Self

from pydantic import AfterValidator, Field, NonNegativeInt, model_validator

from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen, Sha256

MANIFEST_PATH: Final = "manifest.json"
LONGEST_PATH_BYTES: Final = 200


def checked_path(path: str) -> str:
    """Return a path that means one file, inside the bundle, on every system; refuse any other.

    Raises
    ------
    ContractError
        If it is not relative and POSIX, holds ``.``, ``..`` or an empty part, a backslash, a colon, a character that
        does not print, or a part that ends in a blank or a dot, is not NFC, or is longer than 200 bytes.

    Examples
    --------
    >>> checked_path("final/executive_narrative.md")
    'final/executive_narrative.md'
    """
    rules = (
        (path.isprintable(), "it holds characters that do not print"),
        (not set(path) & set("\\:"), "it holds a backslash or a colon"),
        (not path.startswith("/"), "it is absolute"),
        (not {"", ".", ".."} & set(path.split("/")), "it holds an empty part, `.` or `..`"),
        (not any(part.endswith((" ", ".")) for part in path.split("/")), "a part ends in a blank or a dot"),
        (unicodedata.is_normalized("NFC", path), "it is not in Unicode normal form C"),
        (len(path.encode("utf-8", "replace")) <= LONGEST_PATH_BYTES, f"it is longer than {LONGEST_PATH_BYTES} bytes"),
    )
    for holds, why in rules:
        if not holds:
            shown = ascii(path) if len(path) <= LONGEST_PATH_BYTES else f"{path[:LONGEST_PATH_BYTES]!a}..."
            raise ContractError(f"path {shown} is refused: {why}; use relative POSIX paths such as `ga/summary.json`")
    return path


def checked_paths(paths: Iterable[str]) -> tuple[str, ...]:
    """Return distinct paths in order, or refuse those that one file system or another would take for each other.

    Raises
    ------
    ContractError
        If a path is refused by itself, occurs twice, differs from another by case alone, or is a directory of another.

    Examples
    --------
    >>> checked_paths(["b.json", "a/c.json"])
    ('a/c.json', 'b.json')
    """
    ordered = tuple(sorted(map(checked_path, paths)))
    seen: dict[str, str] = {}
    for path in ordered:
        if other := seen.get(_folded(path)):
            raise ContractError(f"{other!r} and {path!r} are one file where case does not count; rename one")
        seen[_folded(path)] = path
    for path in ordered:
        for parent in _parents(_folded(path)):
            if parent in seen:
                raise ContractError(f"{seen[parent]!r} is a file and a directory of {path!r}; rename one")
    return ordered


def _folded(path: str) -> str:
    return unicodedata.normalize("NFC", path.casefold())


def _parents(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _is_path(path: str) -> str:
    try:
        return checked_path(path)
    except ContractError as refusal:
        raise ValueError(str(refusal)) from None


class ManifestFile(Frozen):
    """One file of the evidence."""

    path: Annotated[str, AfterValidator(_is_path)]
    """Relative to the folder that holds the manifest."""
    sha256: Sha256
    size_bytes: NonNegativeInt
    role: Annotated[str, Field(min_length=1, max_length=80)]
    """What the file is evidence of, for example ``baseline``."""


class Manifest(Frozen):
    """All files of a bundle except the manifest, sorted by path."""

    schema_version: Literal[1] = 1
    release: Annotated[str, Field(min_length=1, max_length=65)]
    """``product@version``."""
    as_of: Annotated[int, Field(ge=0, le=99)]
    """The day of the watch up to which the evidence reaches; 0 is the GA day."""
    files: Annotated[tuple[ManifestFile, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _lists_each_file_once(self) -> Self:
        paths = [file.path for file in self.files]
        try:
            ordered = checked_paths(paths)
        except ContractError as refusal:
            raise ValueError(str(refusal)) from None
        if list(ordered) != paths:
            msg = "the files are not sorted by path"
            raise ValueError(msg)
        if MANIFEST_PATH in paths:
            msg = f"the manifest lists itself: {MANIFEST_PATH}"
            raise ValueError(msg)
        return self


class DifferenceKind(StrEnum):
    """In which way a bundle is not what its manifest says."""

    CHANGED = "changed"
    MISSING = "missing"
    EXTRA = "extra"
    RENAMED = "renamed"
    CONTAINER = "container"
    """The archive around the files: unreadable, not the one that its files make, or another digest than promised."""
    MANIFEST = "manifest"
    """The manifest itself: absent, unreadable or not canonical."""


class Difference(Frozen):
    """One way in which a bundle is not what its manifest says."""

    kind: DifferenceKind
    path: str
    """As the manifest calls it; where the manifest does not know it, as it was found."""
    detail: str


def build_manifest(release: str, as_of: int, files: Mapping[str, bytes], roles: Mapping[str, str]) -> Manifest:
    """List files by path with digest, size and role.

    Raises
    ------
    ContractError
        If there is no file, a path is refused, or a file has no role or a role no file.

    Examples
    --------
    >>> build_manifest("tars@1.0.1", 7, {"a.json": b"{}"}, {"a.json": "baseline"}).files[0].size_bytes
    2
    """
    if not files:
        raise ContractError(f"the bundle of {release} has no files; a manifest lists at least one")
    if strange := sorted(files.keys() ^ roles.keys()):
        raise ContractError(f"{strange[0]!r} has no role, or is a role without a file; give each file one role")
    if MANIFEST_PATH in files:
        raise ContractError(f"{MANIFEST_PATH} cannot list itself; leave it out of the files")
    return Manifest(
        release=release,
        as_of=as_of,
        files=tuple(
            ManifestFile(path=path, sha256=_sha256(files[path]), size_bytes=len(files[path]), role=roles[path])
            for path in checked_paths(files)
        ),
    )


def differences(manifest: Manifest, found: Mapping[str, tuple[str, int]]) -> tuple[Difference, ...]:
    """Compare a manifest with the digest and size in bytes of each file found; the manifest's own file is passed over.

    A file that is gone while an unknown one has its content counts as renamed, once.

    Examples
    --------
    >>> manifest = build_manifest("tars@1.0.1", 7, {"a.json": b"{}"}, {"a.json": "baseline"})
    >>> [(d.kind.value, d.path) for d in differences(manifest, {})]
    [('missing', 'a.json')]
    """
    listed = {file.path: (file.sha256, file.size_bytes) for file in manifest.files}
    others = {path: content for path, content in found.items() if path != MANIFEST_PATH}
    renamed = _renamed(listed, others)
    changed = [
        Difference(kind=DifferenceKind.CHANGED, path=path, detail=_changed(listed[path], others[path]))
        for path in listed.keys() & others.keys()
        if listed[path] != others[path]
    ]
    moved = [
        Difference(kind=DifferenceKind.RENAMED, path=old, detail=f"the same content is found as {new}")
        for old, new in renamed.items()
    ]
    missing = [
        Difference(kind=DifferenceKind.MISSING, path=path, detail="the manifest lists it, the bundle lacks it")
        for path in listed.keys() - others.keys() - renamed.keys()
    ]
    extra = [
        Difference(kind=DifferenceKind.EXTRA, path=path, detail="the bundle holds it, the manifest does not list it")
        for path in others.keys() - listed.keys() - set(renamed.values())
    ]
    return tuple(sorted([*changed, *moved, *missing, *extra], key=lambda d: (d.path, d.kind)))


def _renamed(listed: Mapping[str, tuple[str, int]], found: Mapping[str, tuple[str, int]]) -> dict[str, str]:
    """Pair files that are gone with unknown ones of the same content, each at most once, in the order of names."""
    unknown: dict[tuple[str, int], list[str]] = {}
    for path in sorted(found.keys() - listed.keys(), reverse=True):
        unknown.setdefault(found[path], []).append(path)
    gone = sorted(listed.keys() - found.keys())
    return {path: names.pop() for path in gone if (names := unknown.get(listed[path]))}


def _changed(listed: tuple[str, int], found: tuple[str, int]) -> str:
    (sha256, size_bytes), (found_sha256, found_size_bytes) = listed, found
    if size_bytes != found_size_bytes:
        return f"{found_size_bytes} bytes instead of {size_bytes}"
    return f"SHA-256 {found_sha256} instead of {sha256}"


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
