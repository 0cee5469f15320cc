"""What may a YAML file of ours hold, and where does each value stand?

YAML is read as events, never as objects: no anchors, no tags, no merge keys, no guessing of types. Every value keeps
its line, so that a rule of `core.policy` that does not hold is reported where its owner has to write.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, NoReturn

import yaml

from tars_ops.core.errors import ConfigurationError
from tars_ops.core.units import at_most

MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 20
_MOST_PROBLEMS: Final = 20
SHOWN_CHARS: Final = 60

_NULL = re.compile(r"|~|null|Null|NULL")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
"""The YAML 1.2 core schema without octal and hexadecimal numbers and leading zeros; those stay text."""

KeyPath = tuple[str | int, ...]


# What a refusal says


class Problem(NamedTuple):
    """One broken rule; ``line`` counts from 1, ``value`` is empty where there is none."""

    line: int
    key: str
    rule: str
    value: str
    remedy: str


def refuse(name: str, problems: Sequence[Problem]) -> NoReturn:
    """Raise ConfigurationError with one line per problem of the file called ``name``; many are cut short."""
    lines = [_sentence(name, problem) for problem in problems[:_MOST_PROBLEMS]]
    if len(problems) > _MOST_PROBLEMS:
        lines.append(f"and {len(problems) - _MOST_PROBLEMS} more")
    raise ConfigurationError("\n".join(lines)) from None


def _sentence(name: str, problem: Problem) -> str:
    key = f"{problem.key}: " if problem.key else ""
    got = f" (got {problem.value})" if problem.value else ""
    return f"{name}, line {problem.line}: {key}{problem.rule}{got}; {problem.remedy}"


def dotted(path: KeyPath) -> str:
    """Write a path for a message; names in it come from the file.

    Examples
    --------
    >>> dotted(("kpis", "cpu", "causes", 0))
    'kpis.cpu.causes[0]'
    """
    text = "".join(f"[{item}]" if isinstance(item, int) else f".{item}" for item in path)
    return at_most(text.removeprefix("."), 2 * SHOWN_CHARS)


# YAML


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file: a scalar, a list of nodes, or nodes by key.

    ``line`` is that of the key where there is one. ``text`` is a scalar as it was written.
    """

    value: object
    line: int
    text: str = ""


def plain(node: Node) -> object:
    """Strip the lines off a node: what JSON can hold is left."""
    match node.value:
        case dict():
            return {key: plain(inner) for key, inner in node.value.items()}
        case list():
            return [plain(inner) for inner in node.value]
        case _:
            return node.value


def decoded(text: bytes, name: str) -> str:
    """Return the content of a file; ConfigurationError where it is too long, not UTF-8 or does not print."""
    if len(text) > MAX_BYTES:
        rule = f"the file is longer than {MAX_BYTES} bytes"
        refuse(name, [Problem(1, "", rule, "", "shorten it, or split the product")])
    try:
        content = text.decode("utf-8")
    except UnicodeDecodeError as error:
        line = text.count(b"\n", 0, error.start) + 1
        byte = f"byte 0x{text[error.start]:02x}"
        refuse(name, [Problem(line, "", "the file is not UTF-8", byte, "save it as UTF-8")])
    if at := next((match for match in re.finditer(r"[^\t\n\r\x20-\x7e]", content) if not match[0].isprintable()), None):
        line = content.count("\n", 0, at.start()) + 1
        refuse(name, [Problem(line, "", "a character does not print", f"U+{ord(at[0]):04X}", "delete it")])
    return content


class Reader:
    """One YAML document as nodes, refused at the first construct that could mean something else than it seems."""

    def __init__(self, name: str, text: str) -> None:
        self._name = name
        self._events = self._parsed(text)

    def document(self) -> Node:
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
            refuse(self._name, [Problem(mark.line + 1 if mark else 1, "", at_most(rule, 200), "", remedy)])
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            rule = f"this is no YAML: {at_most(str(error), 200)}"
            refuse(self._name, [Problem(1, "", rule, "", "look for an escape such as \\U in double quotes")])

    def _node(self, event: yaml.Event, *, path: KeyPath, line: int = 0) -> Node:
        self._refuse_indirection(event, path)
        line = line or _line(event)
        if isinstance(event, yaml.ScalarEvent):
            quote = "" if event.style is None else '"'
            return Node(self._scalar(event, path), line, f"{quote}{event.value}{quote}")
        if len(path) >= MAX_DEPTH:
            self._refuse(event, path, f"nesting is deeper than {MAX_DEPTH}", remedy="flatten it")
        return Node(self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._sequence(path), line)

    def _refuse_indirection(self, event: yaml.Event, path: KeyPath) -> None:
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, path, "aliases are refused", f"*{event.anchor}", remedy="write the value out")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.anchor is not None:
                self._refuse(event, path, "anchors are refused", f"&{event.anchor}", remedy="delete the anchor")
            if event.tag is not None:
                self._refuse(event, path, "tags are refused", event.tag, remedy="delete the tag")

    def _mapping(self, path: KeyPath) -> dict[str, Node]:
        nodes: dict[str, Node] = {}
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

    def _sequence(self, path: KeyPath) -> list[Node]:
        nodes: list[Node] = []
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
        shown = at_most(value, SHOWN_CHARS)
        refuse(self._name, [Problem(_line(event), dotted(path), rule, shown, remedy)])


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
