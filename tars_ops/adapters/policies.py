"""What do the policy files say, and on which line does one of them go wrong?

YAML is read as events, never as objects: no anchors, no tags, no merge keys, no guessing of types. Every value keeps
its line, so that a rule of `core.policy` that does not hold is reported where its owner has to write.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final, NamedTuple, NoReturn, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from tars_ops.core.errors import ConfigurationError, MissingInputError
from tars_ops.core.policy import Policy
from tars_ops.core.units import Unit, at_most

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 20
_MOST_PROBLEMS: Final = 20
_SHOWN_CHARS: Final = 60

_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
"""The YAML 1.2 core schema without octal and hexadecimal numbers and leading zeros; those stay text."""

_COERCED = frozenset({"bool_type", "int_type", "float_type", "string_type"})
_PATH_IN_MESSAGE = re.compile(r"([a-z_][a-z0-9_]*(?:\.[a-zA-Z0-9_]+)*): (.*)", re.DOTALL)
_QUANTITY = re.compile(r"\s*([0-9]+(?:\.[0-9]+)?)\s*(%|ms|us|s|min|h|d)\s*")
_BASE_UNITS: Final = {"%": 0.01, "us": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_ALSO_CALLED: Final = {
    Unit.SECONDS: "s sec second ms msec millisecond milliseconds us ns min minutes",
    Unit.RATIO: "% percent percentage pct share fraction",
    Unit.BYTES: "b byte kb kib mb mib gb gib",
    Unit.CORES: "core cpu cpus millicores m",
    Unit.USD: "$ dollar dollars",
    Unit.PER_SECOND: "rps qps req/s 1/s /s",
    Unit.COUNT: "number n total items",
}
"""What people write for the units of the closed set."""

KeyPath = tuple[str | int, ...]


# The directory


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
    tree = _Reader(name, _decoded(text, name)).document()
    _require_version(name, tree)
    policy, errors = _validated(json.dumps(_plain(tree)))
    if policy is None:
        _refuse(name, sorted(_problem(error, tree) for error in errors))
    return policy


def _require_version(name: str, tree: _Node) -> None:
    """Judge no file of another format by the rules of this one; pydantic would take ``true`` for 1."""
    version = _child(tree, "version")
    if version and (type(version.value) is not int or version.value != 1):
        problem = _Problem(version.line, "version", "only version 1 is known", _shown(version), "write `version: 1`")
        _refuse(name, [problem])


# What a refusal says


class _Problem(NamedTuple):
    """One broken rule; ``line`` counts from 1, ``value`` is empty where there is none."""

    line: int
    key: str
    rule: str
    value: str
    remedy: str


def _refuse(name: str, problems: Sequence[_Problem]) -> NoReturn:
    lines = [_sentence(name, problem) for problem in problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS} more")
    raise ConfigurationError("\n".join(lines)) from None


def _sentence(name: str, problem: _Problem) -> str:
    key = f"{problem.key}: " if problem.key else ""
    got = f" (got {problem.value})" if problem.value else ""
    return f"{name}, line {problem.line}: {key}{problem.rule}{got}; {problem.remedy}"


def _dotted(path: KeyPath) -> str:
    """Write a path for a message; names in it come from the file.

    Examples
    --------
    >>> _dotted(("kpis", "cpu", "causes", 0))
    'kpis.cpu.causes[0]'
    """
    text = "".join(f"[{item}]" if isinstance(item, int) else f".{item}" for item in path)
    return at_most(text.removeprefix("."), 2 * _SHOWN_CHARS)


# YAML


@dataclass(frozen=True, slots=True)
class _Node:
    """A value of the file: a scalar, a list of nodes, or nodes by key.

    ``line`` is that of the key where there is one. ``text`` is a scalar as it was written.
    """

    value: object
    line: int
    text: str = ""


def _plain(node: _Node) -> object:
    match node.value:
        case dict():
            return {key: _plain(inner) for key, inner in node.value.items()}
        case list():
            return [_plain(inner) for inner in node.value]
        case _:
            return node.value


def _decoded(text: bytes, name: str) -> str:
    if len(text) > MAX_BYTES:
        rule = f"the file is longer than {MAX_BYTES} bytes"
        _refuse(name, [_Problem(1, "", rule, "", "shorten it, or split the product")])
    try:
        decoded = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{text[error.start]:02x}"
        _refuse(name, [_Problem(line, "", "the file is not UTF-8", byte, "save it as UTF-8")])
    if at := next((match for match in re.finditer(r"[^\t\n\r\x20-\x7e]", decoded) if not match[0].isprintable()), None):
        line = decoded.count("\n", 0, at.start()) + 1
        _refuse(name, [_Problem(line, "", "a character does not print", f"U+{ord(at[0]):04X}", "delete it")])
    return decoded


class _Reader:
    """One YAML document as nodes, refused at the first construct that could mean something else than it seems."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._events = self._parsed(text)

    def document(self) -> _Node:
        """Read the only document of the file."""
        next(self._events)
        event = next(self._events)
        if isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, (), "the file is empty", remedy="write a policy; policies/README.md has an example")
        if isinstance(event, yaml.DocumentStartEvent) and (event.version or event.tags):
            self._refuse(event, (), "directives are refused", remedy="delete the line that begins with %")
        root = self._node(next(self._events), path=())
        next(self._events)
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, (), "a second document begins", remedy="keep one policy per file")
        return root

    def _parsed(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=yaml.SafeLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            rule = f"this is no YAML: {', '.join(filter(None, (error.context, error.problem)))}"
            remedy = "correct indentation, quotes or brackets here or above"
            _refuse(self._name, [_Problem(mark.line + 1 if mark else 1, "", at_most(rule, 200), "", remedy)])
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            rule = f"this is no YAML: {at_most(str(error), 200)}"
            _refuse(self._name, [_Problem(1, "", rule, "", "look for an escape such as \\U in double quotes")])

    def _node(self, event: yaml.Event, *, path: KeyPath, line: int = 0) -> _Node:
        self._refuse_indirection(event, path)
        line = line or _line(event)
        if isinstance(event, yaml.ScalarEvent):
            quote = "" if event.style is None else '"'
            return _Node(self._scalar(event, path), line, f"{quote}{event.value}{quote}")
        if len(path) >= MAX_DEPTH:
            self._refuse(event, path, f"nesting is deeper than {MAX_DEPTH}", remedy="flatten it")
        return _Node(self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path), line)

    def _refuse_indirection(self, event: yaml.Event, path: KeyPath) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, "aliases are refused", f"*{event.anchor}", remedy="write the value out")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.anchor is not None:
                self._refuse(event, path, "anchors are refused", f"&{event.anchor}", remedy="delete the anchor")
            if event.tag is not None:
                self._refuse(event, path, "tags are refused", event.tag, remedy="delete the tag")

    def _mapping(self, path: KeyPath) -> dict[str, _Node]:
        nodes: dict[str, _Node] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, path)
            if key in nodes:
                rule = f"the key occurs twice, first on line {nodes[key].line}"
                self._refuse(event, (*path, key), rule, remedy="keep one of them")
            nodes[key] = self._node(next(self._events), path=(*path, key), line=_line(event))
        return nodes

    def _key(self, event: yaml.Event, path: KeyPath) -> str:
        if not isinstance(event, yaml.ScalarEvent):
            self._refuse(event, path, "a key is not a plain text", remedy="write `key: value`")
        key = self._node(event, path=path)
        if key.text == "<<":
            self._refuse(event, path, "merge keys are refused", "<<", remedy="write the keys out")
        if not isinstance(key.value, str):
            self._refuse(event, path, "a key is not a text", key.text or "nothing", remedy="put it in quotes")
        return key.value

    def _sequence(self, path: KeyPath) -> list[_Node]:
        nodes: list[_Node] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            nodes.append(self._node(event, path=(*path, len(nodes))))
        return nodes

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> str | int | float | bool | None:
        text: str = event.value
        if strange := next((c for c in text if not c.isprintable() and c not in "\t\n"), None):
            shown = f"U+{ord(strange):04X}"
            self._refuse(event, path, "an escape stands for a character that does not print", shown, remedy="delete it")
        if event.style is not None:
            return text
        if _NO_NUMBER.fullmatch(text) or (_FLOAT.fullmatch(text) and math.isinf(float(text))):
            self._refuse(event, path, "infinity and NaN are refused", text, remedy="write a finite number")
        return _resolved(text)

    def _refuse(self, event: yaml.Event, path: KeyPath, rule: str, value: str = "", *, remedy: str) -> NoReturn:
        shown = at_most(value, _SHOWN_CHARS)
        _refuse(self._name, [_Problem(_line(event), _dotted(path), rule, shown, remedy)])


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1


def _resolved(text: str) -> str | int | float | bool | None:
    """Give a plain scalar its type.

    Examples
    --------
    >>> [_resolved(text) for text in ("no", "12:30:45", "017", "true", "5.0e-12", "~")]
    ['no', '12:30:45', '017', True, 5e-12, None]
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text


# Rules of the models


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


class _Place(NamedTuple):
    """The nearest node to where an error points, with its path in the file."""

    node: _Node
    path: KeyPath


def _place(tree: _Node, loc: KeyPath) -> _Place:
    """Follow the location of an error through the file, passing over the items that only the models know."""
    node, path = tree, ()
    for item in loc:
        if (inner := _child(node, item)) is not None:
            node, path = inner, (*path, item)
    return _Place(node, path)


def _child(node: _Node, item: str | int) -> _Node | None:
    match node.value:
        case dict():
            return node.value.get(item)
        case list() if isinstance(item, int) and item < len(node.value):
            return node.value[item]
        case _:
            return None


def _problem(error: ErrorDetails, tree: _Node) -> _Problem:
    loc, place = error["loc"], _place(tree, error["loc"])
    match error["type"]:
        case "missing":
            return _missing(place, loc[-1], "add it; policies/README.md explains it")
        case "extra_forbidden":
            return _at(place, "the key is unknown", _closest(str(loc[-1]), _keys_at(loc[:-1])))
        case "union_tag_not_found":
            return _missing(place, "kind", f"add it: {', '.join(_kinds_at(loc))}")
        case "union_tag_invalid":
            kinds, place = _kinds_at(loc), _place(tree, (*loc, "kind"))
            return _at(place, f"is not one of {', '.join(kinds)}", _closest(str(place.node.value), kinds))
        case "value_error":
            return _broken_rule(place, tree, error["msg"].removeprefix("Value error, "))
        case _:
            rule = re.sub(r"^(?:Input|String|Tuple|Dictionary|Mapping) should", "should", error["msg"])
            shown = str(loc[-2]) if loc[-1:] == ("[key]",) else _shown(place.node)
            return _Problem(place.node.line, _dotted(place.path), rule, shown, _remedy(error, place))


def _at(place: _Place, rule: str, remedy: str) -> _Problem:
    return _Problem(place.node.line, _dotted(place.path), rule, _shown(place.node), remedy)


def _missing(place: _Place, key: str | int, remedy: str) -> _Problem:
    return _Problem(place.node.line, _dotted((*place.path, key)), "is missing", "", remedy)


def _shown(node: _Node) -> str:
    match node.value:
        case dict():
            return ""
        case list():
            return f"a list of {len(node.value)}"
        case None:
            return "nothing"
        case _:
            return at_most(node.text, _SHOWN_CHARS)


def _broken_rule(place: _Place, tree: _Node, message: str) -> _Problem:
    """Find the key that the message of a rule across keys is about: its path, or its first word that is a key here."""
    remedy = "change the value; policies/README.md explains the key"
    if (match := _PATH_IN_MESSAGE.fullmatch(message)) and _child(tree, match[1].split(".")[0]):
        return _at(_place(tree, tuple(match[1].split("."))), match[2], remedy)
    for word in re.findall(r"[a-z][a-z0-9_]*", message):
        if inner := _child(place.node, word):
            return _at(_Place(inner, (*place.path, word)), message, remedy)
    return _at(place, message, remedy)


def _remedy(error: ErrorDetails, place: _Place) -> str:
    ctx, value, kind = error.get("ctx", {}), place.node.value, error["type"]
    if value is None:
        return "write a value, or delete the key"
    if ctx.get("lt", ctx.get("le")) == 1 and isinstance(value, int | float) and 1 < value <= 100:
        return f"a ratio is a share of one, not a percentage: write {value / 100:.10g}"
    if kind.startswith(("int", "float")) and (quantity := _QUANTITY.fullmatch(str(value))):
        return f"files hold base units: write {float(quantity[1]) * _BASE_UNITS[quantity[2]]:.10g}"
    if expected := re.findall(r"'([^']*)'", str(ctx.get("expected", ""))):
        word = str(place.path[-1] if error["loc"][-1:] == ("[key]",) else value)
        return (place.path[-1:] == ("unit",) and _unit_remedy(word, expected)) or _closest(word, expected)
    return _REMEDIES.get(kind, "change it; policies/README.md explains the key")


_REMEDIES: Final = {
    "bool_type": "write true or false",
    "int_type": "write a whole number: decimal, without quotes, leading zeros, underscores or colons",
    "float_type": "write a number: decimal, without quotes, leading zeros, underscores or colons",
    "string_type": "put it in quotes",
    "tuple_type": "write a list",
}


def _unit_remedy(value: str, known: Sequence[str]) -> str | None:
    for unit, names in _ALSO_CALLED.items():
        if value.lower() in names.split() and unit in known:
            return f"files hold base units: write `unit: {unit}` and let the query give {unit}"
    return None


def _closest(word: str, known: Sequence[str]) -> str:
    """Suggest what was meant, or list what there is."""
    if similar := difflib.get_close_matches(word, known, n=1):
        return f"did you mean `{similar[0]}`?"
    return f"write one of: {', '.join(known)}" if known else "delete it"


# The shape of the models


def _keys_at(loc: KeyPath) -> list[str]:
    """Keys that a mapping of the policy may hold."""
    return [key for model in members(_annotation_at(loc)) for key in model.model_fields]


def _kinds_at(loc: KeyPath) -> list[str]:
    return [model.model_fields["kind"].default for model in members(_annotation_at(loc))]


def _annotation_at(loc: KeyPath) -> object:
    found: object = Policy
    for item in loc:
        found = _inside(found, item)
    return found


def _inside(annotation: object, item: str | int) -> object:
    """Step from a type to that of one of its parts; ``item`` is a field, a key, an index or the tag of a union."""
    models = members(annotation)
    if len(models) > 1:
        return next((model for model in models if model.model_fields["kind"].default == item), None)
    if models:
        field = models[0].model_fields.get(str(item))
        return field.annotation if field else None
    inner = [argument for argument in get_args(bare(annotation)) if argument is not ...]
    return inner[-1] if inner else None


def bare(annotation: object) -> object:
    """Strip the metadata off an annotated type."""
    return bare(get_args(annotation)[0]) if get_origin(annotation) is Annotated else annotation


def members(annotation: object) -> list[type[BaseModel]]:
    """Return the models that a field may hold: none, one, or those of a union."""
    found = bare(annotation)
    if isinstance(found, type) and issubclass(found, BaseModel):
        return [found]
    if get_origin(found) in {Mapping, tuple}:
        return []
    return [model for argument in get_args(found) for model in members(argument)]
