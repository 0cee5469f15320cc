"""The page about commands says what the commands say."""

from __future__ import annotations

import re
from pathlib import Path

from tars_ops.cli_reference import cli_reference

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "cli.md"
REFERENCE = cli_reference()


def test_the_page_is_the_one_that_the_commands_make() -> None:
    assert PAGE.read_text(encoding="utf-8") == REFERENCE, "docs/reference/cli.md is stale: run `make docs`"


def test_every_command_has_a_section_and_no_group_has_one() -> None:
    titles = re.findall(r"(?m)^## `tars-ops (.*)`$", REFERENCE)

    assert {"demo", "watch", "verify", "release add", "policy check"} <= set(titles)
    assert not {"release", "policy"} & set(titles)
    assert titles == sorted(titles)


def test_every_row_has_as_many_cells_as_the_head() -> None:
    rows = [line for line in REFERENCE.splitlines() if line.startswith("|")]

    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {5}


def test_every_option_says_what_it_means() -> None:
    assert not re.findall(r"(?m)^\| `-.*\|  \|$", REFERENCE)
