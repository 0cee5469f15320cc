"""How is a broken rule of a policy said: file, line, key, rule, what to do?"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, NamedTuple, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from tars_ops.adapters.strict_yaml import SHOWN_CHARS, KeyPath, Node, Problem, dotted
from tars_ops.core.policy import Policy
from tars_ops.core.units import Unit, at_most

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


class _Place(NamedTuple):
    """The nearest node to where an error points, with its path in the file."""

    node: Node
    path: KeyPath


def _place(tree: Node, loc: KeyPath) -> _Place:
    """Follow the location of an error through the file, passing over the items that only the models know."""
    node, path = tree, ()
    for item in loc:
        if (inner := child(node, item)) is not None:
            node, path = inner, (*path, item)
    return _Place(node, path)


def child(node: Node, item: str | int) -> Node | None:
    """Return the node under a key or at an index; None where there is none."""
    match node.value:
        case dict():
            return node.value.get(item)
        case list() if isinstance(item, int) and item < len(node.value):
            return node.value[item]
        case _:
            return None


def problem(error: ErrorDetails, tree: Node) -> Problem:
    """Say an error of pydantic at its place in the file, with a remedy."""
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
            value = str(loc[-2]) if loc[-1:] == ("[key]",) else shown(place.node)
            return Problem(place.node.line, dotted(place.path), rule, value, _remedy(error, place))


def _at(place: _Place, rule: str, remedy: str) -> Problem:
    return Problem(place.node.line, dotted(place.path), rule, shown(place.node), remedy)


def _missing(place: _Place, key: str | int, remedy: str) -> Problem:
    return Problem(place.node.line, dotted((*place.path, key)), "is missing", "", remedy)


def shown(node: Node) -> str:
    """Write a value for a message, cut to a readable length; empty for a mapping."""
    match node.value:
        case dict():
            return ""
        case list():
            return f"a list of {len(node.value)}"
        case None:
            return "nothing"
        case _:
            return at_most(node.text, SHOWN_CHARS)


def _broken_rule(place: _Place, tree: Node, message: str) -> Problem:
    """Find the key that the message of a rule across keys is about: its path, or its first word that is a key here."""
    remedy = "change the value; policies/README.md explains the key"
    if (match := _PATH_IN_MESSAGE.fullmatch(message)) and child(tree, match[1].split(".")[0]):
        return _at(_place(tree, tuple(match[1].split("."))), match[2], remedy)
    for word in re.findall(r"[a-z][a-z0-9_]*", message):
        if inner := child(place.node, word):
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
