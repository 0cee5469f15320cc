"""Which keys may a policy file have, and what does each of them mean?

The page is made of the models themselves, so that it cannot disagree with what `policies` accepts. A key without a
docstring stands there without a meaning: write the docstring.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from types import UnionType
from typing import Annotated, Final, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel
from pydantic.fields import FieldInfo

from tars_ops.adapters.policies import load_policy
from tars_ops.adapters.policy_errors import bare, members
from tars_ops.adapters.strict_yaml import MAX_BYTES, MAX_DEPTH
from tars_ops.core.policy import Kpi, Policy, RatioKpi, RatioSlo, RegressionLimits

EXAMPLE: Final = Path(__file__).parents[2] / "policies" / "tars.yaml"

_HEAD: Final = f"""\
# Policy files

<!-- Generated from the models by `make docs`; change tars_ops/core/policy.py instead. -->

A policy says what a product promises, how that is measured and how far it may move. Each file `*.yaml` directly in this
directory is the policy of one product; `tars.yaml` is that of the demo product.

Values are in base units and shares of one: seconds, bytes, cores, US dollars, and `0.999` for 99.9 %.

Files are YAML 1.2 without what hides a value: no anchors, aliases, tags, merge keys, directives or second documents, no
key twice, no infinity or NaN. Only `true` and `false` are booleans; `no`, `12:30:45` and `017` are text. A file has at
most {MAX_BYTES // 1024} KiB of UTF-8 and {MAX_DEPTH} levels. What breaks a rule is refused with line, key and remedy.
"""
_TABLE: Final = "| Key | Type | Default | Range | Unit | Meaning |\n|---|---|---|---|---|---|\n"
_SCALARS: Final = {str: "text", int: "whole number", float: "number", bool: "`true` or `false`"}
_CHECKED: Final = {
    "_is_selector": "series selector",
    "_is_matchers": "label matchers",
    "_is_promql": "query with `$selector`, `$service` and, where needed, `$window`, `$recent`",
}
"""Texts with a grammar of their own, by the function that checks it."""
_UNITS: Final = (
    (re.compile(r".*_s"), "seconds"),
    (re.compile(r".*_days"), "days"),
    (re.compile(r"usd_per_unit_hour"), "USD per unit and hour"),
)
_BOUNDS: Final = (("gt", "> "), ("ge", ">= "), ("lt", "< "), ("le", "<= "))
_LENGTHS: Final = (("min_length", "length >= "), ("max_length", "length <= "))


def policy_reference() -> str:
    """Write the reference of all policy keys in Markdown, in the order of a policy file."""
    text = EXAMPLE.read_text(encoding="utf-8")
    policy = load_policy(text.encode(), name=EXAMPLE.name)
    sections = [
        _section(model, title, "".join(_excerpt(text, path) for path in _example_paths(model, title, policy)))
        for model, title in _models().items()
    ]
    return "\n".join([_HEAD, *sections])


def _models() -> dict[type[BaseModel], str]:
    """Each model once, depth first, with the key path under which it occurs first."""
    found: dict[type[BaseModel], str] = {}
    waiting: list[tuple[type[BaseModel], str]] = [(Policy, "")]
    while waiting:
        model, path = waiting.pop(0)
        if model not in found:
            found[model] = path
            fields = model.model_fields.items()
            waiting = [(part, _joined(path, name, field)) for name, field in fields for part in _parts(field)] + waiting
    return found


def _parts(field: FieldInfo) -> list[type[BaseModel]]:
    """Models inside a field, also as the values of a mapping."""
    arguments = get_args(field.annotation) if get_origin(field.annotation) is Mapping else (field.annotation,)
    return members(arguments[-1])


def _joined(path: str, name: str, field: FieldInfo) -> str:
    name = f"{name}.<name>" if get_origin(field.annotation) is Mapping else name
    return f"{path}.{name}" if path else name


# One model


def _section(model: type[BaseModel], path: str, example: str) -> str:
    fields = sorted(model.model_fields.items(), key=lambda pair: pair[0] != "kind")
    rows = "".join(_row(model, name, field) for name, field in fields)
    shown = f"\n```yaml\n{example}```\n" if example else ""
    return f"## {_title(model, path)}\n\n{_prose(model.__doc__)}\n\n{_TABLE}{rows}{shown}"


def _title(model: type[BaseModel], path: str) -> str:
    if not path:
        return "The file"
    kinds = [kind for user in members(Kpi) if model in {user, *_parts_of(user)} and (kind := _kind(user))]
    return f"`{path}`" + (f", kind `{kinds[0]}`" if len(kinds) == 1 else "")


def _parts_of(user: type[BaseModel]) -> set[type[BaseModel]]:
    return {part for field in user.model_fields.values() for part in _parts(field)}


def _kind(model: type[BaseModel]) -> str | None:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _row(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    constraints = list(_constraints(field))
    cells = (
        f"`{name}`",
        _type(field.annotation, constraints),
        _default(model, name, field),
        _range(constraints),
        _unit(name, constraints),
        _meaning(model, name),
    )
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _meaning(model: type[BaseModel], name: str) -> str:
    """The docstring of the key, or of the key that it overrides, or of the model that it holds."""
    for ancestor in model.__mro__:
        fields = getattr(ancestor, "model_fields", {})
        if name in fields and fields[name].description:
            return _prose(fields[name].description)
    inner = members(model.model_fields[name].annotation)
    return _prose(inner[0].__doc__) if len(inner) == 1 else ""


def _prose(docstring: str | None) -> str:
    return re.sub(r"\s+", " ", docstring or "").replace("``", "`").strip()


def _type(annotation: object, constraints: list[object]) -> str:
    """Write a type in words.

    Examples
    --------
    >>> _type(tuple[float, ...], []), _type(str | None, []), _type(Literal["a", "b"], [])
    ('list of number', 'text or null', '`a` or `b`')
    """
    for constraint in constraints:
        if isinstance(constraint, AfterValidator) and (words := _CHECKED.get(getattr(constraint.func, "__name__", ""))):
            return words + (" or null" if type(None) in get_args(annotation) else "")
    found = bare(annotation)
    origin, arguments = get_origin(found), get_args(found)
    if models := members(found):
        names = " or ".join(f"`{kind}`" for model in models if (kind := _kind(model)))
        return ("mapping" + (f" of kind {names}" if names else "")) + (" or null" if type(None) in arguments else "")
    if origin is Literal:
        return " or ".join(f"`{_scalar(value)}`" for value in arguments)
    if origin is tuple:
        return f"list of {_type(arguments[0], [])}"
    if origin is Mapping:
        key = _type(arguments[0], []) if get_origin(arguments[0]) is Literal else "name"
        return f"mapping of {key} to {_type(arguments[1], [])}"
    if origin in {Union, UnionType}:
        return " or ".join("null" if part is type(None) else _type(part, []) for part in arguments)
    if isinstance(found, type) and issubclass(found, Enum):
        return " or ".join(f"`{member.value}`" for member in found)
    return _SCALARS[found] if isinstance(found, type) else str(found)


def _scalar(value: object) -> object:
    return value.value if isinstance(value, Enum) else value


def _default(model: type[BaseModel], name: str, field: FieldInfo) -> str:
    if field.is_required() or name == "kind":
        return "required"
    if model is RatioKpi and (with_slo := _default_with_slo(name)):
        return with_slo
    return _value(field.default)


def _default_with_slo(name: str) -> str | None:
    """Defaults of a ratio depend on its SLO; both are asked from the model."""
    plain = RatioKpi(title="x", bad="x", total="x")
    promised = RatioKpi(title="x", bad="x", total="x", slo=RatioSlo(objective=0.999))
    attribute = "limits" if name == "regression" else name
    without, having = getattr(plain, attribute), getattr(promised, attribute)
    return f"{_value(without)}; with an `slo`: {_value(having)}" if without != having and name != "slo" else None


def _value(value: object) -> str:
    match value:
        case None:
            return "null"
        case RegressionLimits():
            return f"`{{medium: {value.medium:g}, high: {value.high:g}, critical: {value.critical:g}}}`"
        case BaseModel():
            return "all defaults"
        case dict() if value:
            return ", ".join(f"`{name}`" for name in value)
        case tuple() | dict() | "":
            return "empty"
        case bool():
            return f"`{str(value).lower()}`"
        case Enum():
            return f"`{value.value}`"
        case float():
            return f"`{value:g}`"
        case _:
            return f"`{value}`"


def _constraints(field: FieldInfo) -> Iterator[object]:
    yield from field.metadata
    for part in (field.annotation, *get_args(field.annotation)):
        if get_origin(part) is Annotated:
            for constraint in get_args(part)[1:]:
                yield from constraint.metadata if isinstance(constraint, FieldInfo) else [constraint]


def _range(constraints: list[object]) -> str:
    words = []
    for constraint in constraints:
        words += [f"{sign}{getattr(constraint, name):g}" for name, sign in _BOUNDS if hasattr(constraint, name)]
        words += [f"{sign}{getattr(constraint, name)}" for name, sign in _LENGTHS if hasattr(constraint, name)]
        words += [f"`{pattern}`"] if (pattern := getattr(constraint, "pattern", None)) else []
    return ", ".join(words)


def _unit(name: str, constraints: list[object]) -> str:
    if unit := next((unit for pattern, unit in _UNITS if pattern.fullmatch(name)), None):
        return unit
    is_share = any(getattr(constraint, "lt", getattr(constraint, "le", None)) == 1 for constraint in constraints)
    return "share of one" if is_share else ""


# Examples


def _example_paths(model: type[BaseModel], path: str, policy: Policy) -> list[tuple[str, ...]]:
    """Where the example file shows a model: a KPI of the kind, with an SLO if one has it."""
    if model in members(Kpi):
        names = [name for name, kpi in policy.kpis.items() if isinstance(kpi, model)]
        return [("kpis", next((name for name in names if getattr(policy.kpis[name], "slo", None)), names[0]))]
    return [(path,)] if path else [("version",), ("product",), ("owner",), ("histograms",)]


def _excerpt(text: str, path: tuple[str, ...]) -> str:
    """Cut the block of a key out of YAML in block style; empty where there is none."""
    lines = text.splitlines(keepends=True)
    for depth, key in enumerate(path):
        start = next((n for n, line in enumerate(lines) if line.startswith(f"{'  ' * depth}{key}:")), None)
        if start is None:
            return ""
        inside = re.compile(rf" {{{2 * depth + 1}}}|\n")
        end = next((n for n, line in enumerate(lines[start + 1 :], start + 1) if not inside.match(line)), len(lines))
        lines = lines[start:end]
    return "".join(lines).rstrip() + "\n"


if __name__ == "__main__":
    sys.stdout.write(policy_reference())
