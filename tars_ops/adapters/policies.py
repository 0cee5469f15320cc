"""What do the policy files say?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from tars_ops.adapters.policy_errors import child, problem, shown
from tars_ops.adapters.strict_yaml import MAX_BYTES, Node, Problem, Reader, decoded, plain, refuse
from tars_ops.core.errors import ConfigurationError, MissingInputError
from tars_ops.core.policy import Policy

_COERCED = frozenset({"bool_type", "int_type", "float_type", "string_type"})


@dataclass(frozen=True, slots=True)
class LoadedPolicy:
    """A policy with the bytes that it was read from."""

    policy: Policy
    text: bytes
    sha256: str
    path: Path


@dataclass(frozen=True, slots=True)
class Policies:
    """The policy files ``*.yaml`` of a directory, one per product; its subdirectories are not read."""

    directory: Path

    def all(self) -> tuple[LoadedPolicy, ...]:
        """Load every file, in the order of file names.

        Raises
        ------
        ConfigurationError
            If the directory or a file cannot be read, breaks a rule, or two files are about one product.
        """
        try:
            paths = sorted(path for path in self.directory.iterdir() if path.suffix == ".yaml" and path.is_file())
            loaded = tuple(_load_file(path) for path in paths)
        except OSError as error:
            raise ConfigurationError(
                f"policies cannot be read: {error.filename}: {error.strerror}; check TARS_OPS_POLICIES"
            ) from error
        _refuse_second_file(loaded)
        return loaded

    def find(self, product: str) -> LoadedPolicy:
        """Load the policy of a product; the other files are checked too.

        Raises
        ------
        ConfigurationError
            As `all`.
        MissingInputError
            If no file is about the product.
        """
        loaded = {one.policy.product: one for one in self.all()}
        if product not in loaded:
            known = ", ".join(sorted(loaded)) or "none"
            raise MissingInputError(
                f"no policy of product {product!r} in {self.directory}, only of: {known}; "
                "add a file *.yaml with that `product` directly in the directory"
            )
        return loaded[product]


def _load_file(path: Path) -> LoadedPolicy:
    with path.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    return LoadedPolicy(load_policy(text, name=str(path)), text, hashlib.sha256(text).hexdigest(), path)


def _refuse_second_file(loaded: Sequence[LoadedPolicy]) -> None:
    first: dict[str, LoadedPolicy] = {}
    for one in loaded:
        other = first.setdefault(one.policy.product, one)
        if other is not one:
            raise ConfigurationError(
                f"{one.path}: product: {one.policy.product!r} has its policy in {other.path} already; "
                "keep one file per product"
            )


def load_policy(text: bytes, *, name: str) -> Policy:
    """Read the policy in a YAML file.

    Parameters
    ----------
    text : bytes
        Content of the file.
    name : str
        What messages call the file.

    Raises
    ------
    ConfigurationError
        If the YAML or a rule of the policy is broken. All broken rules are listed, one per line of the message, each
        with file, line, key, rule, value and remedy.
    """
    tree = Reader(name, decoded(text, name)).document()
    _require_version(name, tree)
    policy, errors = _validated(json.dumps(plain(tree)))
    if policy is None:
        refuse(name, sorted(problem(error, tree) for error in errors))
    return policy


def _require_version(name: str, tree: Node) -> None:
    """Judge no file of another format by the rules of this one; pydantic would take ``true`` for 1."""
    version = child(tree, "version")
    if version and (type(version.value) is not int or version.value != 1):
        rule = "only version 1 is known"
        refuse(name, [Problem(version.line, "version", rule, shown(version), "write `version: 1`")])


def _validated(document: str) -> tuple[Policy | None, list[ErrorDetails]]:
    """Validate a document, and add what pydantic would have converted in silence.

    Its strict mode alone does not do: it also refuses lists for tuples behind a validator that runs before.
    """
    policy, errors = _tried(document, strict=False)
    _, strict_errors = _tried(document, strict=True)
    by_place = {error["loc"]: error for error in strict_errors if error["type"] in _COERCED}
    found = [error for error in errors if error["loc"] not in by_place] + list(by_place.values())
    return (None if found else policy), found


def _tried(document: str, *, strict: bool) -> tuple[Policy | None, list[ErrorDetails]]:
    try:
        return Policy.model_validate_json(document, strict=strict), []
    except ValidationError as error:
        return None, error.errors(include_url=False)
