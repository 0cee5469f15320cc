"""The page about JSON documents says what the models say, and the examples are of these models."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from tars_ops.adapters.artifact_reference import COMMON, DOCUMENTS, artifact_reference, undocumented

REFERENCE_DIR = Path(__file__).parents[2] / "docs" / "reference"
REFERENCE = artifact_reference()
EXAMPLES = dict(
    re.findall(
        r"### (?:Example: )?`?([^`\n]+)`?\n+(?:[^`]*?\n\n)?```json\n(.*?)```",
        (REFERENCE_DIR / "artifacts.md").read_text(encoding="utf-8"),
        re.DOTALL,
    )
)


def test_the_page_is_the_one_that_the_models_make() -> None:
    page = (REFERENCE_DIR / "artifact-keys.md").read_text(encoding="utf-8")

    assert page == REFERENCE, "docs/reference/artifact-keys.md is stale: run `make docs`"


def test_every_key_of_every_document_is_explained() -> None:
    assert list(undocumented()) == []


def test_no_meaning_is_left_over() -> None:
    used: set[str] = set()
    for model in DOCUMENTS.values():
        schema = model.model_json_schema(mode="serialization")
        for name, one in {model.__name__: schema, **schema.get("$defs", {})}.items():
            silent = [key for key, value in one.get("properties", {}).items() if not value.get("description")]
            used |= {f"{name}.{key}" if f"{name}.{key}" in COMMON else key for key in silent}

    assert set(COMMON) <= used


def test_every_row_has_as_many_cells_as_the_head() -> None:
    rows = [line for line in REFERENCE.splitlines() if line.startswith("|")]

    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {4}


def test_every_document_has_an_example() -> None:
    assert set(EXAMPLES) == set(DOCUMENTS)


@pytest.mark.parametrize(("name", "model"), DOCUMENTS.items())
def test_an_example_has_the_keys_of_its_model(name: str, model: type[BaseModel]) -> None:
    example = json.loads(EXAMPLES[name])
    schema = model.model_json_schema(mode="serialization")

    assert _keys(example.get("pointer", example)) == set(schema["properties"])
    assert _strange(example.get("pointer", example), schema, schema.get("$defs", {})) == []


def _keys(document: object) -> set[str]:
    return set(document) if isinstance(document, dict) else set()


def _strange(value: object, schema: dict, named: dict) -> list[str]:
    """Give the keys of a value, at any depth, that are not those of its schema."""
    if "$ref" in schema:
        return _strange(value, named[schema["$ref"].rpartition("/")[2]], named)
    if "anyOf" in schema and value is not None:
        return _strange(value, next(one for one in schema["anyOf"] if one.get("type") != "null"), named)
    if isinstance(value, list) and "items" in schema:
        return [key for one in value for key in _strange(one, schema["items"], named)]
    if isinstance(value, dict) and "properties" in schema:
        wrong = sorted(set(value) ^ set(schema["properties"]))
        return wrong + [
            k for key in set(value) - set(wrong) for k in _strange(value[key], schema["properties"][key], named)
        ]
    return []
