"""Who is told about alerts, and how?

The file names addresses and the environment variables that hold secrets, never a secret itself.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from tars_ops.adapters.alerts.transport import checked_url, require_file
from tars_ops.adapters.policy_errors import child, shown
from tars_ops.adapters.strict_yaml import KeyPath, Node, Problem, Reader, decoded, dotted, plain, refuse
from tars_ops.core.errors import ConfigurationError
from tars_ops.core.model import Frozen
from tars_ops.core.verdict import Severity

SECRET_PREFIX = "TARS_OPS_SECRET_"  # noqa: S105 - the beginning of a name, not a secret
Address = Annotated[str, AfterValidator(checked_url)]
SecretName = Annotated[str, Field(pattern=rf"^{SECRET_PREFIX}[A-Z0-9_]+$")]
"""Name of an environment variable that holds a secret; others cannot be read through this file."""
Seconds = Annotated[float, Field(ge=1, le=30 * 86400)]


class ReceiverSettings(Frozen):
    """What every receiver has."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    """What the outbox and messages call it; under a new name everything is told again."""
    at_least: Severity = Severity.LOW
    """The mildest severity that it is told of."""
    max_requests: Annotated[int, Field(ge=10, le=1000)] = 10
    """Requests in one round, at most; ten are enough to find one bad alert among a hundred."""
    timeout_s: Annotated[float, Field(ge=0.1, le=20)] = 10.0
    """Seconds that one request may take in all."""


class AlertmanagerConfig(ReceiverSettings):
    """An Alertmanager with the API v2."""

    kind: Literal["alertmanager"]
    url: Address
    """``http(s)://host:port[/prefix]``, without ``/api/v2``."""
    resend_s: Seconds = 60.0
    """Firing alerts are sent again this often, so that a restarted server regains them."""
    holds_s: Seconds = 26 * 3600.0
    """An alert that is no longer sent ends after this; longer than a day, so that it outlives the next daily run."""
    watchdog_s: Seconds | None = None
    """Send an alert `Watchdog` with every round that ends after so many seconds; whoever it is routed to notices when
    it stays away, because then no daemon runs. Longer than two rounds, for example 300."""
    token_env: SecretName | None = None
    """Variable with a bearer token."""
    ca: Annotated[str, AfterValidator(require_file)] | None = None
    """File of the certificate authority."""


class WebhookConfig(ReceiverSettings):
    """Anything that takes JSON over HTTP."""

    kind: Literal["webhook"]
    url: Address | None = None
    url_env: SecretName | None = None
    """Variable with the address, where the address itself is a secret."""
    secret_env: SecretName
    """Variable with the secret that signs each request."""
    repeat_s: Seconds = 4 * 3600.0
    """A firing alert is told again this often."""
    ca: Annotated[str, AfterValidator(require_file)] | None = None
    """File of the certificate authority."""

    @model_validator(mode="after")
    def _has_one_address(self) -> Self:
        if (self.url is None) == (self.url_env is None):
            raise ValueError("url and url_env exclude each other; write one of them")
        return self


class AppriseConfig(ReceiverSettings):
    """Chat, mail or a pager, through apprise."""

    kind: Literal["apprise"]
    url_env: SecretName
    """Variable with the apprise URL."""
    repeat_s: Seconds = 24 * 3600.0
    """A firing alert is told again this often."""


ReceiverConfig = Annotated[AlertmanagerConfig | WebhookConfig | AppriseConfig, Field(discriminator="kind")]


def _a_number(version: object) -> object:
    """Refuse true, which Python takes for 1."""
    if isinstance(version, bool):
        raise ValueError("should be 1")
    return version


class ReceiversFile(Frozen):
    """Everybody who is told."""

    version: Annotated[Literal[1], BeforeValidator(_a_number)]
    receivers: tuple[ReceiverConfig, ...]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        counts = Counter(one.name for one in self.receivers)
        if twice := [name for name, n in counts.items() if n > 1]:
            raise ValueError(f"the name {twice[0]} occurs {counts[twice[0]]} times; each receiver needs its own")
        return self


def read_receivers(path: Path) -> ReceiversFile:
    """Read the receivers file.

    Raises
    ------
    ConfigurationError
        If it cannot be read or breaks a rule; all broken rules are listed with file, line, key and remedy.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"receivers cannot be read: {path}: {error.strerror}; check its path") from error
    return load_receivers(text, name=str(path))


def load_receivers(text: bytes, *, name: str) -> ReceiversFile:
    """Read the text of a receivers file that messages call ``name``; raises as `read_receivers`."""
    tree = Reader(name, decoded(text, name)).document()
    try:
        return ReceiversFile.model_validate_json(json.dumps(plain(tree)), strict=True)
    except ValidationError as error:
        refuse(name, sorted(_problem(one, tree) for one in error.errors(include_url=False)))


_QUOTABLE = frozenset({"enum", "literal_error", "union_tag_invalid", "int_type", "float_type", "bool_type"})
_QUOTABLE_KEYS = frozenset({"name", "resend_s", "holds_s", "repeat_s", "timeout_s", "max_requests"})


def _problem(error: ErrorDetails, tree: Node) -> Problem:
    """Say an error at its place; a value is repeated only where nobody would write a secret."""
    node, path = _place(tree, error["loc"])
    last = str(error["loc"][-1]) if error["loc"] else ""
    quotable = error["type"] in _QUOTABLE or (path and path[-1] in _QUOTABLE_KEYS)
    rule = error["msg"].removeprefix("Value error, ").replace("Input should", "should")
    match error["type"]:
        case "missing":
            path, rule, quotable = (*path, last), "is missing", False
        case "extra_forbidden":
            rule, quotable = "the key is unknown", False
        case "union_tag_not_found":
            path, rule, quotable = (*path, "kind"), "is missing", False
        case "string_pattern_mismatch" if last.endswith("_env"):
            rule = f"should be the name of a variable that begins with {SECRET_PREFIX}, in capitals"
    value = shown(node) if quotable else ""
    return Problem(node.line, dotted(path), rule, value, "deploy/receivers.example.yaml shows every key")


def _place(tree: Node, loc: KeyPath) -> tuple[Node, KeyPath]:
    node, path = tree, ()
    for item in loc:
        if (inner := child(node, item)) is not None:
            node, path = inner, (*path, item)
    return node, path
