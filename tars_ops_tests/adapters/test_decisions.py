"""What a person may decide about a release, and what becomes of it."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tars_ops.adapters import catalogue
from tars_ops.adapters.catalogue import as_of_key
from tars_ops.adapters.decisions import change_policy, decide
from tars_ops.adapters.history import History
from tars_ops.adapters.registry import Registered, Registry
from tars_ops.adapters.store import Store
from tars_ops.core.errors import IllegalTransitionError, MissingInputError, UsageError
from tars_ops.core.history import Entry
from tars_ops.core.lifecycle import Choice, Code, State
from tars_ops.core.verdict import Decision
from tars_ops_tests.adapters.factories import POLICY_TEXT, RELEASE, week

KEY = RELEASE.key
NOW = RELEASE.ga_at + timedelta(days=3)
N_DAYS = RELEASE.n_days


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.at(str(tmp_path))
    Registry(made).add(RELEASE, POLICY_TEXT)
    baseline = catalogue.GA_BASELINE
    made.put(baseline.key(KEY), baseline.encode(week().baseline, ""))
    return made


def judge(store: Store, as_of: int, decision: Decision) -> None:
    kind, at = catalogue.REGRESSION, as_of_key(as_of)
    verdict = week().regression.model_copy(update={"as_of": as_of, "decision": decision})
    store.put(kind.key(KEY, at), kind.encode(verdict, at))


def decided(store: Store, choice: Choice, **given: Any) -> Entry:
    known: dict[str, Any] = {"by": "ada", "why": "known and accepted", "now": NOW, "longest": N_DAYS + 2}
    return decide(store, KEY, choice, **{**known, **given})


@pytest.mark.parametrize(
    ("choice", "as_of", "code", "state"),
    [
        (Choice.KEEP, 3, Code.DECIDED_KEEP, State.WATCHING),
        (Choice.KEEP, N_DAYS, Code.DECIDED_KEEP, State.CLOSED),
        (Choice.WATCH_CLOSER, 3, Code.DECIDED_WATCH_CLOSER, State.AT_RISK),
        (Choice.ROLL_BACK, 3, Code.DECIDED_ROLL_BACK, State.ROLLED_BACK),
        (Choice.ROLL_BACK, N_DAYS, Code.DECIDED_ROLL_BACK, State.ROLLED_BACK),
    ],
)
def test_a_decision_follows_the_evidence_with_who_when_and_why(
    store: Store, choice: Choice, as_of: int, code: Code, state: State
) -> None:
    judge(store, as_of, Decision.ROLL_BACK)

    entry = decided(store, choice)

    entries = History(store).entries(KEY)
    assert [one.code for one in entries[-2:]] == [Code.VERDICT_ROLL_BACK, code]
    assert entries[-1] == entry
    assert (entry.to_state, entry.by, entry.why, entry.at) == (state, "ada", "known and accepted", NOW)
    assert entry.details == {"as_of": as_of}


def test_an_extension_is_watched_for_more_days_and_keeps_what_was_advised(store: Store) -> None:
    judge(store, 3, Decision.ROLL_BACK)

    entry = decided(store, Choice.EXTEND, n_days=N_DAYS + 2)

    assert Registry(store).get(KEY).release.n_days == N_DAYS + 2
    assert entry.to_state is State.ROLLBACK_RECOMMENDED
    assert entry.details == {"as_of": 3, "n_days": N_DAYS + 2, "n_days_before": N_DAYS}


def test_after_an_extension_the_last_day_is_a_later_one(store: Store) -> None:
    judge(store, N_DAYS, Decision.ROLL_BACK)
    decided(store, Choice.EXTEND, n_days=N_DAYS + 1)

    assert decided(store, Choice.KEEP).to_state is State.WATCHING


@pytest.mark.parametrize(
    ("choice", "given", "said"),
    [
        (Choice.KEEP, {"why": ""}, "--why TEXT is empty"),
        (Choice.KEEP, {"why": "   "}, "--why TEXT is empty"),
        (Choice.KEEP, {"why": "two\nlines"}, "--why: .*plain line"),
        (Choice.KEEP, {"why": "w" * 501}, "--why: .*at most 500"),
        (Choice.KEEP, {"by": ""}, "--by: "),
        (Choice.KEEP, {"by": "a\x1b[31mda"}, "--by: .*plain line"),
        (Choice.KEEP, {"n_days": 9}, "--days N goes with `extend`"),
        (Choice.EXTEND, {}, "--days N goes with `extend`"),
        (Choice.EXTEND, {"n_days": N_DAYS + 3}, "at most 9 days .TARS_OPS_WATCH_DAYS"),
        (Choice.EXTEND, {"n_days": N_DAYS - 1}, "never shortened"),
    ],
)
def test_a_decision_that_breaks_a_rule_is_refused_and_not_recorded(
    store: Store, choice: Choice, given: dict[str, Any], said: str
) -> None:
    judge(store, 3, Decision.KEEP)

    with pytest.raises(UsageError, match=said):
        decided(store, choice, **given)
    assert [one.code for one in History(store).entries(KEY) if one.code.startswith("decided")] == []
    assert Registry(store).get(KEY).release == RELEASE


def test_a_release_that_is_over_is_neither_decided_about_nor_extended(store: Store) -> None:
    judge(store, 3, Decision.KEEP)
    decided(store, Choice.ROLL_BACK)

    for choice, given in ((Choice.KEEP, {}), (Choice.EXTEND, {"n_days": N_DAYS + 1})):
        with pytest.raises(IllegalTransitionError, match="that is rolled_back; what may happen: nothing any more"):
            decided(store, choice, **given)
    assert Registry(store).get(KEY).release == RELEASE


def test_a_release_that_nobody_registered_cannot_be_decided_about(store: Store) -> None:
    with pytest.raises(MissingInputError, match="is not registered"):
        decide(store, "tars@9", Choice.KEEP, by="ada", why="why", now=NOW, longest=7)
    assert store.children("tars@9") == []


OTHER_POLICY = POLICY_TEXT + b"\n# another text is another policy\n"


def repinned(store: Store, text: bytes = OTHER_POLICY, **given: Any) -> Registered:
    return change_policy(store, KEY, text, **{"by": "ada", "why": "the contract says so", "now": NOW, **given})


def test_a_release_is_judged_by_another_policy_and_the_history_says_who_wanted_it(store: Store) -> None:
    pinned = repinned(store)
    last = History(store).entries(KEY)[-1]

    assert pinned.release == RELEASE.model_copy(update={"policy_sha256": hashlib.sha256(OTHER_POLICY).hexdigest()})
    assert Registry(store).get(KEY).release == pinned.release
    assert (last.code, last.by, last.why) == (Code.POLICY_CHANGED, "ada", "the contract says so")
    assert last.details["before_sha256"] == RELEASE.policy_sha256


def test_the_same_policy_again_changes_nothing(store: Store) -> None:
    repinned(store)
    before = History(store).n_entries(KEY)

    repinned(store)

    assert History(store).n_entries(KEY) == before


def test_a_release_may_be_added_again_as_it_was_before_its_policy_changed(store: Store) -> None:
    pinned = repinned(store)

    assert Registry(store).add(RELEASE, POLICY_TEXT).release == pinned.release


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (OTHER_POLICY, {"why": " "}),
        (OTHER_POLICY.replace(b"product: tars", b"product: shop"), {}),
        (OTHER_POLICY.replace(b"slot_s: 300", b"slot_s: 3540"), {}),
    ],
    ids=["no reason", "another product", "slots that do not fit"],
)
def test_a_policy_that_cannot_judge_the_release_is_refused_and_nothing_changes(
    store: Store, text: bytes, given: dict[str, Any]
) -> None:
    assert text == OTHER_POLICY if given else text != OTHER_POLICY
    with pytest.raises(UsageError):
        repinned(store, text, **given)

    assert Registry(store).get(KEY).release == RELEASE
    assert Code.POLICY_CHANGED not in [one.code for one in History(store).entries(KEY)]


def test_a_release_that_is_over_keeps_its_policy(store: Store) -> None:
    decided(store, Choice.ROLL_BACK)

    with pytest.raises(IllegalTransitionError):
        repinned(store)

    assert Registry(store).get(KEY).release == RELEASE
