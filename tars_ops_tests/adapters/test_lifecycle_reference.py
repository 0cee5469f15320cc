"""The page about the lifecycle says what the table says."""

from __future__ import annotations

import re
from pathlib import Path

from tars_ops.adapters.lifecycle_reference import lifecycle_reference
from tars_ops.core.lifecycle import TERMINAL, TRANSITIONS, Code, State

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "lifecycle.md"
REFERENCE = lifecycle_reference()


def test_the_page_is_the_one_that_the_table_makes() -> None:
    assert PAGE.read_text(encoding="utf-8") == REFERENCE, f"{PAGE.name} is stale: run `make docs`"


def test_every_event_has_a_row_and_every_state_is_drawn() -> None:
    rows = re.findall(r"(?m)^\| `(\w+)` \|", REFERENCE)
    drawn = set(re.findall(r"\b(\w+) -->|--> (\w+)", REFERENCE))

    assert rows == [one.code for one in TRANSITIONS]
    assert set(rows) == set(Code)
    assert {name for pair in drawn for name in pair if name} == set(State)


def test_what_ends_a_release_in_any_state_is_told_and_not_drawn() -> None:
    arrows = re.findall(r"(?m)^    (\w+) --> (\w+): (\w+)$", REFERENCE)

    assert {target for _, target, _ in arrows} & TERMINAL == {State.CLOSED}
    assert all(f"`{code}`" in REFERENCE for code in ("decided_roll_back", "went_back", "superseded_by_newer"))
