"""Where does a release stand, and what may happen to it next?

A pure state machine: states, the events that move between them, and nothing else. The table at the end is the machine;
what has happened to a release is kept in ``core.history``.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from enum import StrEnum
from typing import Final, NamedTuple

from tars_ops.core.errors import IllegalTransitionError


class State(StrEnum):
    """Where a release stands."""

    CANDIDATE = "candidate"
    BASELINING = "baselining"
    WATCHING = "watching"
    AT_RISK = "at_risk"
    ROLLBACK_RECOMMENDED = "rollback_recommended"
    STABLE = "stable"
    CLOSED = "closed"
    ROLLED_BACK = "rolled_back"
    SUPERSEDED = "superseded"


class Code(StrEnum):
    """Why an entry was written."""

    REGISTERED = "registered"
    GA_STARTED = "ga_started"
    BASELINE_FROZEN = "baseline_frozen"
    BASELINE_REFROZEN = "baseline_refrozen"
    VERDICT_KEEP = "verdict_keep"
    VERDICT_WATCH_CLOSER = "verdict_watch_closer"
    VERDICT_ROLL_BACK = "verdict_roll_back"
    BUDGET_BURNS_FAST = "budget_burns_fast"
    CERTIFIED = "certified"
    WEEK_CLOSED = "week_closed"
    DECIDED_KEEP = "decided_keep"
    DECIDED_WATCH_CLOSER = "decided_watch_closer"
    DECIDED_ROLL_BACK = "decided_roll_back"
    DECIDED_EXTEND = "decided_extend"
    SUPERSEDED_BY_NEWER = "superseded_by_newer"
    WENT_BACK = "went_back"
    FLAPPED = "flapped"
    POLICY_CHANGED = "policy_changed"


class Choice(StrEnum):
    """What a person can decide, as it is typed."""

    KEEP = "keep"
    WATCH_CLOSER = "watch-closer"
    ROLL_BACK = "roll-back"
    EXTEND = "extend"


DECISIONS: Final = {
    Choice.KEEP: Code.DECIDED_KEEP,
    Choice.WATCH_CLOSER: Code.DECIDED_WATCH_CLOSER,
    Choice.ROLL_BACK: Code.DECIDED_ROLL_BACK,
    Choice.EXTEND: Code.DECIDED_EXTEND,
}
WATCHED: Final = frozenset({State.WATCHING, State.AT_RISK, State.ROLLBACK_RECOMMENDED})
"""The days of the release are judged, and nothing is settled."""
JUDGED: Final = WATCHED | {State.STABLE}
OPEN: Final = JUDGED | {State.CANDIDATE, State.BASELINING}
"""Something may still happen."""
TERMINAL: Final = frozenset(State) - OPEN
"""Nothing happens any more."""


class Transition(NamedTuple):
    """What one event does."""

    code: Code
    sources: AbstractSet[State]
    """States that it may happen in; empty for a release that is not known yet."""
    target: State | None
    """Where it leads; None stays."""
    means: str
    when_over: bool | None = None
    """True: only after the last day was judged; False: only before; None: at any time."""


TRANSITIONS: Final = (
    Transition(Code.REGISTERED, frozenset(), State.CANDIDATE, "The release became known."),
    Transition(Code.GA_STARTED, {State.CANDIDATE}, State.BASELINING, "The GA instant has passed."),
    Transition(Code.BASELINE_FROZEN, {State.BASELINING}, State.WATCHING, "The summary of the GA day is frozen."),
    Transition(Code.BASELINE_REFROZEN, JUDGED, None, "Somebody replaced the frozen baseline on purpose."),
    Transition(Code.VERDICT_KEEP, JUDGED, State.WATCHING, "The verdict as of a day: keep."),
    Transition(Code.VERDICT_WATCH_CLOSER, JUDGED, State.AT_RISK, "The verdict as of a day: watch closer."),
    Transition(Code.VERDICT_ROLL_BACK, JUDGED, State.ROLLBACK_RECOMMENDED, "The verdict as of a day: roll back."),
    Transition(
        Code.BUDGET_BURNS_FAST,
        JUDGED,
        State.ROLLBACK_RECOMMENDED,
        "A day that is still running burns its error budget so fast that it advises to roll back.",
    ),
    Transition(Code.CERTIFIED, {State.WATCHING}, State.STABLE, "The certification says that it may be closed."),
    Transition(Code.WEEK_CLOSED, {State.STABLE}, State.CLOSED, "The watch ended well.", when_over=True),
    Transition(
        Code.DECIDED_KEEP,
        WATCHED,
        State.WATCHING,
        "Somebody keeps it although the watch goes on.",
        when_over=False,
    ),
    Transition(
        Code.DECIDED_KEEP, WATCHED, State.CLOSED, "Somebody keeps it after the last day was judged.", when_over=True
    ),
    Transition(Code.DECIDED_WATCH_CLOSER, JUDGED, State.AT_RISK, "Somebody wants it watched closer."),
    Transition(Code.DECIDED_ROLL_BACK, OPEN, State.ROLLED_BACK, "Somebody rolls it back."),
    Transition(
        Code.DECIDED_EXTEND,
        {State.BASELINING, *WATCHED},
        None,
        "Somebody has it watched for more days; what was advised stays advised.",
    ),
    Transition(Code.DECIDED_EXTEND, {State.STABLE}, State.WATCHING, "Somebody has it watched for more days."),
    Transition(Code.SUPERSEDED_BY_NEWER, OPEN, State.SUPERSEDED, "A newer version of the product took its place."),
    Transition(Code.WENT_BACK, OPEN, State.ROLLED_BACK, "The product was seen to go back to an older version."),
    Transition(Code.FLAPPED, OPEN, None, "The product was seen to change to and fro between versions."),
    Transition(Code.POLICY_CHANGED, OPEN, None, "It is judged by another policy from now on."),
)
"""Everything that may happen; what is not listed is refused."""


def successor(state: State | None, code: Code, *, week_is_over: bool = False) -> State:
    """Return the state after an event.

    Parameters
    ----------
    state : State or None
        Where the release stands; None where it is not known yet.
    code : Code
        What happened.
    week_is_over : bool
        The last day of the watch has been judged.

    Raises
    ------
    IllegalTransitionError
        Naming what may happen instead.

    Examples
    --------
    >>> successor(State.WATCHING, Code.VERDICT_ROLL_BACK)
    <State.ROLLBACK_RECOMMENDED: 'rollback_recommended'>
    >>> successor(State.AT_RISK, Code.DECIDED_KEEP, week_is_over=True)
    <State.CLOSED: 'closed'>
    """
    found = next((one for one in _possible(state, week_is_over=week_is_over) if one.code is code), None)
    if found is None:
        raise _refusal(state, code, week_is_over=week_is_over)
    return found.target or state or State.CANDIDATE


def _refusal(state: State | None, code: Code, *, week_is_over: bool) -> IllegalTransitionError:
    said = ", ".join(sorted(possible_codes(state, week_is_over=week_is_over))) or "nothing any more"
    is_a_matter_of_time = code in possible_codes(state, week_is_over=not week_is_over)
    when = f" {'after' if week_is_over else 'before'} its last day is judged" if is_a_matter_of_time else ""
    return IllegalTransitionError(
        f"{code} may not happen to a release that is {state or 'not registered'}{when}; what may happen: {said}"
    )


def possible_codes(state: State | None, *, week_is_over: bool = False) -> frozenset[Code]:
    """Return the events that may happen in a state."""
    return frozenset(one.code for one in _possible(state, week_is_over=week_is_over))


def _possible(state: State | None, *, week_is_over: bool) -> list[Transition]:
    return [
        one
        for one in TRANSITIONS
        if (state in one.sources if state else not one.sources) and one.when_over in {None, week_is_over}
    ]
