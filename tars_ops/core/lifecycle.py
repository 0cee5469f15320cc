"""Where does a release stand, and what may happen to it next?

A pure state machine: states, the events that move between them, and nothing else. What is recorded of a release is a
chain of entries, each holding the digest of the one before.
"""

from __future__ import annotations

from enum import StrEnum


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
