"""The page about policy files says what the models say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import yaml

from tars_ops.adapters.policy_reference import policy_reference
from tars_ops.core import policy
from tars_ops.core.model import Frozen

PAGE = Path(__file__).parents[2] / "policies" / "README.md"
REFERENCE = policy_reference()


def test_the_page_is_the_one_that_the_models_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == REFERENCE, "policies/README.md is stale: run `make docs`"


def test_every_key_of_every_model_has_a_row() -> None:
    models = [
        model
        for name, model in vars(policy).items()
        if inspect.isclass(model) and issubclass(model, Frozen) and model is not Frozen and not name.startswith("_")
    ]
    rows = sum(len(model.model_fields) for model in models)

    assert len(re.findall(r"(?m)^## ", REFERENCE)) == len(models)
    assert len(re.findall(r"(?m)^\| `", REFERENCE)) == rows


def test_every_section_has_a_title_of_its_own() -> None:
    titles = re.findall(r"(?m)^## .*$", REFERENCE)

    assert len(set(titles)) == len(titles)


def test_every_row_has_as_many_cells_as_the_head() -> None:
    rows = [line for line in REFERENCE.splitlines() if line.startswith("|")]

    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}


def test_every_example_is_a_piece_of_the_shipped_policy_in_yaml() -> None:
    shipped = (PAGE.parent / "tars.yaml").read_text(encoding="utf-8")
    examples = re.findall(r"```yaml\n(.*?)```", REFERENCE, re.DOTALL)

    assert len(examples) == 8
    assert all(isinstance(yaml.safe_load(example), dict) for example in examples)
    assert all(example in shipped for example in examples[1:])


def test_a_default_that_depends_on_another_key_says_so() -> None:
    assert "| `drift_warn` | number | `0.1`; with an `slo`: `0.5` | > 0 |" in REFERENCE
