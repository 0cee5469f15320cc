"""Which events may happen in which state, and that nothing else may."""

from __future__ import annotations

from itertools import product

import pytest

from tars_ops.core.errors import IllegalTransitionError
from tars_ops.core.lifecycle import DECISIONS, OPEN, TERMINAL, Choice, Code, State, possible_codes, successor

ANYWHERE = "candidate baselining watching at_risk rollback_recommended stable"
JUDGED = "watching at_risk rollback_recommended stable"
WATCHED = "watching at_risk rollback_recommended"
DURING, AFTER = (False,), (True,)
EVER = (False, True)

LEGAL = [
    # event, in which states, leads to, before or after the last day is judged
    ("registered", "", "candidate", EVER),
    ("ga_started", "candidate", "baselining", EVER),
    ("baseline_frozen", "baselining", "watching", EVER),
    ("baseline_refrozen", JUDGED, "same", EVER),
    ("verdict_keep", JUDGED, "watching", EVER),
    ("verdict_watch_closer", JUDGED, "at_risk", EVER),
    ("verdict_roll_back", JUDGED, "rollback_recommended", EVER),
    ("budget_burns_fast", JUDGED, "rollback_recommended", EVER),
    ("certified", "watching", "stable", EVER),
    ("week_closed", "stable", "closed", AFTER),
    ("decided_keep", WATCHED, "watching", DURING),
    ("decided_keep", WATCHED, "closed", AFTER),
    ("decided_watch_closer", JUDGED, "at_risk", EVER),
    ("decided_roll_back", ANYWHERE, "rolled_back", EVER),
    ("decided_extend", f"baselining {WATCHED}", "same", EVER),
    ("decided_extend", "stable", "watching", EVER),
    ("superseded_by_newer", ANYWHERE, "superseded", EVER),
    ("went_back", ANYWHERE, "rolled_back", EVER),
    ("flapped", ANYWHERE, "same", EVER),
    ("policy_changed", ANYWHERE, "same", EVER),
]
"""Written down a second time, by hand: a change of the table is a change of two places."""

EXPECTED = {
    (State(source) if source else None, Code(code), over): target if target != "same" else source
    for code, sources, target, when in LEGAL
    for source in (sources.split() or [None])
    for over in when
}
PAIRS = list(product([None, *State], Code, EVER))


@pytest.mark.parametrize(("state", "code", "over"), PAIRS, ids=str)
def test_an_event_leads_where_the_table_says_or_is_refused(state: State | None, code: Code, *, over: bool) -> None:
    if (state, code, over) in EXPECTED:
        assert successor(state, code, week_is_over=over) == EXPECTED[state, code, over]
        return
    with pytest.raises(IllegalTransitionError) as told:
        successor(state, code, week_is_over=over)

    assert str(code) in str(told.value)
    assert str(state or "not registered") in str(told.value)


def test_every_pair_was_looked_at() -> None:
    assert len(PAIRS) == (len(State) + 1) * len(Code) * 2 == 360
    assert EXPECTED.keys() <= set(PAIRS)


@pytest.mark.parametrize("state", sorted(TERMINAL))
def test_nothing_happens_to_a_release_that_is_over(state: State) -> None:
    assert possible_codes(state) | possible_codes(state, week_is_over=True) == frozenset()


@pytest.mark.parametrize("state", sorted(OPEN))
def test_a_release_that_is_not_over_can_always_be_rolled_back_and_superseded(state: State) -> None:
    assert {Code.DECIDED_ROLL_BACK, Code.SUPERSEDED_BY_NEWER, Code.WENT_BACK} <= possible_codes(state)


def test_a_week_is_not_closed_before_its_last_day_is_judged() -> None:
    with pytest.raises(IllegalTransitionError, match=r"week_closed may not happen .* stable before its last day"):
        successor(State.STABLE, Code.WEEK_CLOSED)


def test_a_refusal_names_what_may_happen_instead() -> None:
    with pytest.raises(IllegalTransitionError, match=r"what may happen: .*, ga_started, "):
        successor(State.CANDIDATE, Code.VERDICT_KEEP)
    with pytest.raises(IllegalTransitionError, match="nothing any more"):
        successor(State.CLOSED, Code.DECIDED_KEEP)


def test_every_choice_is_a_decision() -> None:
    assert set(DECISIONS) == set(Choice)
    assert set(DECISIONS.values()) == {code for code in Code if code.startswith("decided_")}
