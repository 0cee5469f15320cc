"""What the evidence moves, what it does not move, and that asking twice records nothing twice."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.history import Entry
from tars_ops.core.lifecycle import TERMINAL, Code, State, possible_codes, successor
from tars_ops.core.standing import (
    BaselineFact,
    CertificationFact,
    Due,
    Facts,
    RunningFact,
    VerdictFact,
    due_entries,
)
from tars_ops.core.verdict import Decision
from tars_ops_tests.core.test_history import AT, KEY

KEEP, CLOSER, BACK = Decision.KEEP, Decision.WATCH_CLOSER, Decision.ROLL_BACK
N_DAYS = 7


def sha(seed: object) -> str:
    import hashlib

    return hashlib.sha256(str(seed).encode()).hexdigest()


BASELINE = BaselineFact(sha256=sha("baseline"), supersedes=None)


def facts(**changes: Any) -> Facts:
    """Facts of a release whose baseline is frozen."""
    known: dict[str, Any] = {
        "release": KEY,
        "n_days": N_DAYS,
        "ga_reached": True,
        "policy_sha256": sha("policy"),
        "baseline": BASELINE,
    }
    return Facts.model_validate({**known, **changes})


def verdict(as_of: int, decision: Decision, evidence: object = 1) -> VerdictFact:
    return VerdictFact(as_of=as_of, decision=decision, sha256=sha((as_of, decision, evidence)))


def judged(as_of: int, decision: Decision, evidence: object = 1, **more: Any) -> Facts:
    return facts(verdict=verdict(as_of, decision, evidence), **more)


def certified(as_of: int, *, may_close: bool = True) -> CertificationFact:
    return CertificationFact(as_of=as_of, may_close=may_close, sha256=sha(("certification", as_of)))


def burning(day: int, *, advises: bool = True, evidence: object = 1) -> RunningFact:
    return RunningFact(day=day, advises_roll_back=advises, sha256=sha(("running", day, evidence)))


def append(history: list[Entry], due: Due, by: str = "tars-ops") -> list[Entry]:
    state = history[-1].to_state if history else None
    entry = Entry(
        release=KEY,
        seq=len(history) + 1,
        at=AT,
        code=due.code,
        from_state=state,
        to_state=successor(state, due.code, week_is_over=due.week_is_over),
        week_is_over=due.week_is_over,
        by=by,
        why=due.why,
        evidence_sha256=due.evidence_sha256,
        details=due.details,
        previous_sha256=None,
    )
    return [*history, entry]


Step = Facts | Code


def told(*steps: Step) -> list[Entry]:
    """Return the history after evidence and decisions, one after the other."""
    history: list[Entry] = []
    known = facts()
    for step in steps:
        if isinstance(step, Facts):
            known = step
            for due in due_entries(step, history):
                history = append(history, due)
        else:
            history = append(history, Due(code=step, why="decided", week_is_over=known.week_is_over), by="somebody")
    return history


def codes(*steps: Step) -> list[str]:
    return [one.code.value for one in told(*steps)]


def state(*steps: Step) -> State:
    return told(*steps)[-1].to_state


OPENED = ["registered", "ga_started", "baseline_frozen"]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        (facts(ga_reached=False, baseline=None), OPENED[:1]),
        (facts(baseline=None), OPENED[:2]),
        (facts(), OPENED),
        (facts(ga_reached=False), OPENED),
        (judged(1, KEEP), [*OPENED, "verdict_keep"]),
        (judged(3, CLOSER), [*OPENED, "verdict_watch_closer"]),
        (judged(3, Decision.EXTEND), [*OPENED, "verdict_watch_closer"]),
        (judged(3, BACK, running=burning(4)), [*OPENED, "verdict_roll_back", "budget_burns_fast"]),
        (judged(3, KEEP, running=burning(3)), [*OPENED, "verdict_keep"]),
        (judged(3, KEEP, running=burning(4, advises=False)), [*OPENED, "verdict_keep"]),
        (facts(running=burning(1)), [*OPENED, "budget_burns_fast"]),
        (facts(running=burning(0)), OPENED),
        (facts(running=burning(0), baseline=None), OPENED[:2]),
        (judged(7, KEEP, certification=certified(7)), [*OPENED, "verdict_keep", "certified", "week_closed"]),
        (judged(7, KEEP, certification=certified(7, may_close=False)), [*OPENED, "verdict_keep"]),
        (judged(7, KEEP, certification=certified(6)), [*OPENED, "verdict_keep"]),
        (judged(6, KEEP, certification=certified(6)), [*OPENED, "verdict_keep"]),
        (judged(7, CLOSER, certification=certified(7)), [*OPENED, "verdict_watch_closer"]),
        (facts(baseline=None, verdict=verdict(1, BACK)), OPENED[:2]),
    ],
)
def test_a_release_that_nothing_is_recorded_of_catches_up_in_one_go(known: Facts, expected: list[str]) -> None:
    assert codes(known) == expected


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ((judged(1, KEEP), judged(2, KEEP), judged(3, KEEP)), ["verdict_keep"] * 3),
        ((judged(1, KEEP, 1), judged(1, KEEP, 2), judged(1, KEEP, 3)), ["verdict_keep"]),
        ((judged(1, KEEP), judged(1, BACK), judged(1, KEEP)), ["verdict_keep", "verdict_roll_back", "verdict_keep"]),
        ((judged(3, BACK), judged(2, KEEP)), ["verdict_roll_back"]),
        ((facts(running=burning(1)), facts(running=burning(1, evidence=2))), ["budget_burns_fast"]),
        ((facts(running=burning(1)), facts(running=burning(2))), ["budget_burns_fast", "budget_burns_fast"]),
        ((facts(running=burning(1)), judged(1, KEEP, running=burning(1))), ["budget_burns_fast", "verdict_keep"]),
        ((facts(baseline=BaselineFact(sha256=sha("new"), supersedes=BASELINE.sha256)),), []),
        (
            (facts(), facts(baseline=BaselineFact(sha256=sha("new"), supersedes=BASELINE.sha256))),
            ["baseline_refrozen"],
        ),
        ((facts(), facts(policy_sha256=sha("other"))), ["policy_changed"]),
        ((facts(), facts(policy_sha256=sha("other")), facts()), ["policy_changed"] * 2),
    ],
)
def test_what_is_said_again_is_recorded_once_and_what_is_new_is_recorded(
    steps: tuple[Step, ...], expected: list[str]
) -> None:
    assert codes(*steps) == [*OPENED, *expected]


@pytest.mark.parametrize(
    ("steps", "after"),
    [
        # the advice that was answered, judged again
        ((judged(3, BACK), Code.DECIDED_KEEP, judged(3, BACK, 2)), State.WATCHING),
        ((judged(3, CLOSER), Code.DECIDED_KEEP, judged(3, CLOSER, 2)), State.WATCHING),
        ((judged(3, KEEP), Code.DECIDED_WATCH_CLOSER, judged(3, KEEP, 2)), State.AT_RISK),
        # a milder one of the same day is no news, nor the answered one after it
        ((judged(3, BACK), Code.DECIDED_KEEP, judged(3, CLOSER)), State.WATCHING),
        ((judged(3, BACK), Code.DECIDED_KEEP, judged(3, CLOSER), judged(3, BACK)), State.WATCHING),
        # a worse one of the same day is
        ((judged(3, CLOSER), Code.DECIDED_KEEP, judged(3, BACK)), State.ROLLBACK_RECOMMENDED),
        ((judged(3, KEEP), Code.DECIDED_KEEP, judged(3, CLOSER)), State.AT_RISK),
        # a later day always is
        ((judged(3, BACK), Code.DECIDED_KEEP, judged(4, BACK)), State.ROLLBACK_RECOMMENDED),
        ((judged(3, KEEP), Code.DECIDED_WATCH_CLOSER, judged(4, KEEP)), State.WATCHING),
        # what was never seen is not answered
        ((facts(), Code.DECIDED_KEEP, judged(1, BACK)), State.ROLLBACK_RECOMMENDED),
        ((judged(2, BACK), judged(3, KEEP), Code.DECIDED_KEEP, judged(3, BACK)), State.ROLLBACK_RECOMMENDED),
        # a running day
        ((facts(running=burning(1)), Code.DECIDED_KEEP, facts(running=burning(1, evidence=2))), State.WATCHING),
        ((facts(running=burning(1)), Code.DECIDED_KEEP, facts(running=burning(2))), State.ROLLBACK_RECOMMENDED),
        # after the last day
        ((judged(7, BACK), Code.DECIDED_KEEP), State.CLOSED),
        ((judged(6, BACK), Code.DECIDED_KEEP), State.WATCHING),
        # an extension keeps what was advised, and a certification of the shorter watch closes nothing
        ((judged(3, BACK), Code.DECIDED_EXTEND, judged(3, BACK, n_days=9)), State.ROLLBACK_RECOMMENDED),
        ((judged(7, KEEP), Code.DECIDED_EXTEND, judged(7, KEEP, n_days=9, certification=certified(7))), State.WATCHING),
        ((judged(7, KEEP), judged(9, KEEP, n_days=9, certification=certified(9))), State.CLOSED),
        # a doubt of a person keeps the week open
        ((judged(7, KEEP), Code.DECIDED_WATCH_CLOSER, judged(7, KEEP, certification=certified(7))), State.AT_RISK),
        # what is over is over
        ((judged(3, BACK), Code.DECIDED_ROLL_BACK, judged(4, KEEP)), State.ROLLED_BACK),
        ((judged(3, KEEP), Code.SUPERSEDED_BY_NEWER, judged(4, BACK)), State.SUPERSEDED),
    ],
)
def test_a_decision_is_undone_by_news_and_by_nothing_else(steps: tuple[Step, ...], after: State) -> None:
    assert state(*steps) is after


def test_a_baseline_of_which_no_digest_was_recorded_was_not_replaced() -> None:
    opened = append(append([], Due(code=Code.REGISTERED, why="")), Due(code=Code.GA_STARTED, why=""))
    history = append(opened, Due(code=Code.BASELINE_FROZEN, why=""))

    assert due_entries(facts(), history) == ()


def test_an_entry_holds_its_evidence_and_its_day() -> None:
    entry = told(judged(3, BACK))[-1]

    assert entry.evidence_sha256 == verdict(3, BACK).sha256
    assert entry.details == {"as_of": 3}
    assert entry.why == "verdict as of day 3: roll back"


def test_a_week_that_is_judged_again_to_be_worse_before_it_closes_is_not_closed() -> None:
    history = told(judged(7, KEEP))
    history = append(history, Due(code=Code.CERTIFIED, why="", week_is_over=True))

    due = due_entries(judged(7, BACK), history)

    assert [one.code for one in due] == [Code.VERDICT_ROLL_BACK]


decisions = st.sampled_from([KEEP, CLOSER, BACK, Decision.EXTEND])
some_facts = st.builds(
    facts,
    n_days=st.integers(6, 8),
    ga_reached=st.booleans(),
    baseline=st.none() | st.builds(BaselineFact, sha256=st.sampled_from([sha(1), sha(2)]), supersedes=st.none()),
    policy_sha256=st.sampled_from([sha("policy"), sha("other")]),
    verdict=st.none() | st.builds(verdict, st.integers(1, 8), decisions, st.integers(1, 3)),
    certification=st.none() | st.builds(certified, st.integers(5, 8), may_close=st.booleans()),
    running=st.none() | st.builds(burning, st.integers(0, 8), advises=st.booleans(), evidence=st.integers(1, 3)),
)
steps = st.lists(some_facts | st.sampled_from(Code), max_size=12)


@given(steps)
def test_asking_again_records_nothing_again_whatever_happened_before(story: list[Step]) -> None:
    history: list[Entry] = []
    over = False
    for step in story:
        before = history[-1].to_state if history else None
        if isinstance(step, Facts):
            over = step.week_is_over
            for due in due_entries(step, history):
                history = append(history, due)
            assert due_entries(step, history) == ()
        elif step in possible_codes(before, week_is_over=over):
            history = append(history, Due(code=step, why="", week_is_over=over))

        assert before not in TERMINAL or history[-1].to_state is before
