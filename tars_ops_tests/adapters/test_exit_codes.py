"""The page about exit codes says what the exceptions say."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from tars_ops import cli
from tars_ops.adapters.exit_codes import exit_codes, exit_codes_reference
from tars_ops.core import errors
from tars_ops.core.errors import TarsOpsError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "exit-codes.md"
KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, TarsOpsError)]


def test_the_page_is_the_one_that_the_exceptions_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == exit_codes_reference(), f"{PAGE.name} is stale: run `make docs`"


def test_every_error_has_one_row_with_its_code_and_who_acts() -> None:
    listed = {one.name: one for one in exit_codes()}

    assert [one.name for one in exit_codes()] == list(dict.fromkeys(one.name for one in exit_codes()))
    for kind in KINDS:
        assert listed[kind.__name__].code == kind.exit_code
        assert listed[kind.__name__].who_acts == kind.who_acts
    assert len(listed) == len(KINDS) + 4


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_says_for_itself_what_it_means_and_who_acts(kind: type[TarsOpsError]) -> None:
    assert kind.__doc__
    assert {"exit_code", "who_acts"} <= vars(kind).keys()
    assert kind.exit_code == 12 or 64 <= kind.exit_code <= 78


def test_the_codes_of_verdicts_are_those_of_the_command_line() -> None:
    codes = {one.name: one.code for one in exit_codes()}

    assert (codes["fail"], codes["unknown"]) == (cli.EXIT_FAIL, cli.EXIT_UNKNOWN)
    assert codes["TamperedError"] == cli.EXIT_TAMPERED


def test_what_may_pass_later_is_marked() -> None:
    marked = set(re.findall(r"(?m)^\| \d+ \| `(\w+)` .* \| yes \|$", exit_codes_reference()))

    assert marked == {kind.__name__ for kind in KINDS if kind.may_pass_later}
