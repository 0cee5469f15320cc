"""A history that was changed, reordered or lost an entry is told from one that was not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tars_ops.core.errors import TamperedError
from tars_ops.core.history import LONGEST_BY, LONGEST_WHY, Entry, check_chain
from tars_ops.core.lifecycle import Code, State, possible_codes, successor

KEY = "tars@1.0.1"
AT = datetime(2025, 11, 18, tzinfo=UTC)
STORY = [Code.REGISTERED, Code.GA_STARTED, Code.BASELINE_FROZEN, Code.VERDICT_KEEP, Code.DECIDED_ROLL_BACK]


def digest(entry: Entry) -> str:
    """A digest of a test: of everything that an entry holds."""
    import hashlib

    return hashlib.sha256(entry.model_dump_json().encode()).hexdigest()


def chain(codes: list[Code]) -> list[Entry]:
    entries: list[Entry] = []
    for number, code in enumerate(codes, start=1):
        state = entries[-1].to_state if entries else None
        entries.append(
            Entry(
                release=KEY,
                seq=number,
                at=AT + timedelta(days=number),
                code=code,
                from_state=state,
                to_state=successor(state, code),
                by="tars-ops",
                previous_sha256=digest(entries[-1]) if entries else None,
            )
        )
    return entries


def check(entries: list[Entry]) -> None:
    check_chain(entries, [digest(one) for one in entries], release=KEY)


def changed(number: int, **changes: Any) -> Callable[[list[Entry]], list[Entry]]:
    def change(entries: list[Entry]) -> list[Entry]:
        return [one.model_copy(update=changes) if one.seq == number else one for one in entries]

    return change


def test_an_unbroken_chain_is_accepted() -> None:
    check(chain(STORY))
    check([])


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (changed(2, why="another reason"), "entry 3 .* does not follow"),
        (changed(4, code=Code.BUDGET_BURNS_FAST), r"entry 4 .* leads to watching; budget_burns_fast leads to rollback"),
        (changed(4, to_state=State.STABLE), "entry 4 .* leads to stable"),
        (changed(1, previous_sha256="0" * 64), "entry 1 .* does not follow"),
        (changed(3, release="tars@2"), "entry 3 .* is entry 3 of tars@2"),
        (changed(2, seq=7), "entry 2 .* is entry 7"),
        (changed(1, from_state=State.CANDIDATE), "entry 1 .* starts from candidate"),
        (changed(5, code=Code.WEEK_CLOSED, to_state=State.CLOSED), "entry 5 .* may not stand there"),
        (lambda entries: entries[1:], "entry 1 .* is entry 2"),
        (lambda entries: [*entries[:2], *entries[3:]], "entry 3 .* is entry 4"),
        (lambda entries: [entries[1], entries[0], *entries[2:]], "entry 1 .* is entry 2"),
        (lambda entries: [*entries, entries[-1]], "entry 6 .* is entry 5"),
    ],
)
def test_a_chain_that_was_touched_is_told(tamper: Callable[[list[Entry]], list[Entry]], said: str) -> None:
    with pytest.raises(TamperedError, match=said):
        check(tamper(chain(STORY)))


def test_what_is_missing_at_the_end_cannot_be_told_by_the_chain_alone() -> None:
    check(chain(STORY)[:-1])


@given(st.lists(st.integers(0, 100), max_size=20), st.data())
def test_no_field_of_an_entry_before_the_last_can_change(choices: list[int], data: st.DataObject) -> None:
    codes: list[Code] = []
    state: State | None = None
    for choice in choices:
        if not (possible := sorted(possible_codes(state))):
            break
        codes.append(possible[choice % len(possible)])
        state = successor(state, codes[-1])
    entries = chain(codes)
    check(entries)
    if len(entries) < 2:
        return
    number = data.draw(st.integers(1, len(entries) - 1))
    touched = changed(number, by="somebody else")(entries)

    with pytest.raises(TamperedError):
        check(touched)


@pytest.mark.parametrize(
    "changes",
    [
        {"why": "two\nlines"},
        {"why": "w" * (LONGEST_WHY + 1)},
        {"why": "\x1b[31mred"},
        {"why": "half a \ud800 character"},
        {"by": ""},
        {"by": "b" * (LONGEST_BY + 1)},
        {"by": "a\tb"},
        {"seq": 0},
        {"at": datetime(2025, 11, 18)},  # noqa: DTZ001 - what is refused
        {"previous_sha256": "no digest"},
        {"unknown": "key"},
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_read_by_people_or_proved_is_refused(changes: dict[str, Any]) -> None:
    entry = chain(STORY)[0]

    with pytest.raises(ValidationError):
        Entry.model_validate({**entry.model_dump(), **changes})
