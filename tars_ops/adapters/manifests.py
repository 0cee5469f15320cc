"""What do the release manifests say?

A manifest is a small YAML file that announces one release: what is read, refused and reported here. A broken file never
hides the good ones.
"""

from __future__ import annotations

import difflib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from tars_ops.adapters.policy_errors import child, shown
from tars_ops.adapters.strict_yaml import MAX_BYTES, Node, Problem, Reader, decoded, dotted, plain, refuse
from tars_ops.core.errors import ConfigurationError, UsageError
from tars_ops.core.model import Frozen, Instant, Sha256
from tars_ops.core.release import LONGEST_WATCH_DAYS, Release, checked_key


def _is_key(text: str) -> str:
    try:
        return checked_key(text)
    except UsageError as error:
        raise ValueError(str(error)) from error


class Manifest(Frozen):
    """One release as its makers announce it."""

    product: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,31}$")]
    """Name of the product, as in its policy."""
    version: Annotated[str, Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._+-]{0,31}$")]
    """Version, as in the label of its series; in quotes, or YAML takes `1.0` for a number."""
    ga_at: Instant
    """Start of the GA day: `2026-11-18T00:00:00Z`."""
    n_days: Annotated[int, Field(ge=1, le=LONGEST_WATCH_DAYS)] | None = None
    """Days to watch; by default those of the deployment."""
    day_length_s: Annotated[int, Field(ge=10, le=86400)] = 86400
    """Seconds of a day of the watch; shorter ones make a bake time."""
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")] | None = None
    """Commit that was released."""
    artifact_sha256: Sha256 | None = None
    """Digest of what was released."""
    previous: Annotated[str, AfterValidator(_is_key)] | None = None
    """Key of the release before: `tars@1.0.0`."""

    @model_validator(mode="after")
    def _makes_a_release(self) -> Self:
        """Refuse here, where the line is known, whatever registration would refuse."""
        self.release(policy_sha256="0" * 64, n_days=1)
        return self

    @property
    def key(self) -> str:
        """``product@version``."""
        return f"{self.product}@{self.version}"

    def release(self, *, policy_sha256: str, n_days: int) -> Release:
        """Return the release that is announced; ``n_days`` is the deployment's default."""
        given = self.model_dump()
        return Release.model_validate({**given, "n_days": self.n_days or n_days, "policy_sha256": policy_sha256})

    def differences(self, release: Release) -> tuple[str, ...]:
        """Return what is announced otherwise than it is registered; what the manifest leaves open is no difference."""
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return tuple(name for name, value in given.items() if value is not None and value != getattr(release, name))


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest and the file that it was read from."""

    manifest: Manifest
    path: Path


@dataclass(frozen=True, slots=True)
class Manifests:
    """Every manifest of a directory."""

    loaded: tuple[LoadedManifest, ...] = ()
    problems: tuple[str, ...] = ()
    """What is wrong with the other files: file, line, key, rule, what to do."""


def read_manifests(directory: Path) -> Manifests:
    """Read the files ``*.yaml`` of a directory, in the order of their names; no directory means no manifests."""
    loaded: dict[str, LoadedManifest] = {}
    problems: list[str] = []
    try:
        paths = sorted(path for path in directory.iterdir() if path.suffix == ".yaml")
    except FileNotFoundError:
        return Manifests()
    except OSError as error:
        return Manifests((), (f"manifests cannot be read: {directory}: {error.strerror}; check TARS_OPS_RELEASES",))
    for path in paths:
        try:
            manifest = load_manifest(_bytes(path), name=str(path))
        except ConfigurationError as error:
            problems.append(str(error))
            continue
        first = loaded.setdefault(manifest.key, LoadedManifest(manifest, path))
        if first.path != path:
            problems.append(f"{path}: {manifest.key} has its manifest in {first.path} already; keep one of them")
    return Manifests(tuple(loaded.values()), tuple(problems))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; make it readable or remove it") from error


def load_manifest(text: bytes, *, name: str) -> Manifest:
    r"""Read one manifest.

    Raises
    ------
    ConfigurationError
        If the YAML or a rule is broken: file, line, key, rule, value and remedy of every broken rule.

    Examples
    --------
    >>> text = b'product: tars\nversion: "1.0.1"\nga_at: 2025-11-18T00:00:00Z\n'
    >>> load_manifest(text, name="tars.yaml").key
    'tars@1.0.1'
    """
    tree = Reader(name, decoded(text, name)).document()
    try:
        return Manifest.model_validate_json(json.dumps(plain(tree)), strict=True)
    except ValidationError as error:
        refuse(name, sorted(_problem(one, tree) for one in error.errors(include_url=False)))


def _problem(error: ErrorDetails, tree: Node) -> Problem:
    """Say a broken rule at its line."""
    key = str(error["loc"][0]) if error["loc"] else ""
    node = child(tree, key) or tree
    said = error["msg"].removeprefix("Value error, ")
    match error["type"]:
        case "missing":
            return Problem(tree.line, key, "is missing", "", "add it")
        case "extra_forbidden":
            similar = difflib.get_close_matches(key, Manifest.model_fields, n=1)
            remedy = f"did you mean `{similar[0]}`?" if similar else f"known are {', '.join(Manifest.model_fields)}"
            return Problem(node.line, dotted((key,)), "the key is unknown", shown(node), remedy)
        case "string_type":
            return Problem(node.line, key, "should be a text", shown(node), "put it in quotes")
        case _:
            remedy = "correct it; docs/how-to/let-it-run-by-itself.md has an example"
            return Problem(node.line, dotted((key,)) if key else "", said, shown(node) if key else "", remedy)
