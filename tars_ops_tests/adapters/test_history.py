"""What is kept of a release when somebody competes for it, changes it or pulls the plug."""

from __future__ import annotations

import hashlib
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tars_ops.adapters.disks import LocalDisk
from tars_ops.adapters.history import HISTORY, History
from tars_ops.adapters.store import Store
from tars_ops.core.errors import ConflictError, IllegalTransitionError, TamperedError
from tars_ops.core.history import Entry
from tars_ops.core.lifecycle import Code, State, possible_codes, successor
from tars_ops.core.standing import BaselineFact, CertificationFact, Facts, VerdictFact
from tars_ops.core.verdict import Decision

KEY, OTHER = "tars@1.0.1", "tars@1.0.0"
AT = datetime(2025, 11, 25, tzinfo=UTC)
OPENING = (Code.REGISTERED, Code.GA_STARTED, Code.BASELINE_FROZEN)
STORY = (*OPENING, Code.VERDICT_KEEP, Code.FLAPPED)
FACTS = Facts(
    release=KEY,
    n_days=7,
    ga_reached=True,
    policy_sha256="1" * 64,
    baseline=BaselineFact(sha256="2" * 64, supersedes=None),
    verdict=VerdictFact(as_of=7, decision=Decision.KEEP, sha256="3" * 64),
    certification=CertificationFact(as_of=7, may_close=True, sha256="4" * 64),
)
FOLLOWED = [*OPENING, Code.VERDICT_KEEP, Code.CERTIFIED, Code.WEEK_CLOSED]


def told(root: Path, codes: tuple[Code, ...] = STORY, release: str = KEY) -> History:
    history = History(Store.at(str(root)))
    for code in codes:
        history.record(release, code, at=AT, by="somebody", why=f"because of {code}")
    return history


def codes(history: History, release: str = KEY) -> list[Code]:
    return [one.code for one in history.entries(release)]


def test_what_happened_is_kept_in_order_each_entry_holding_the_file_digest_of_the_one_before(tmp_path: Path) -> None:
    entries = told(tmp_path).entries(KEY)

    files = [Store.at(str(tmp_path)).get(f"{KEY}/{HISTORY}", version=one.seq)["entry.json"] for one in entries]
    assert [one.code for one in entries] == list(STORY)
    assert [one.to_state for one in entries[:3]] == [State.CANDIDATE, State.BASELINING, State.WATCHING]
    assert [one.previous_sha256 for one in entries] == [None, *(hashlib.sha256(one).hexdigest() for one in files[:-1])]


def test_of_a_release_that_nothing_is_recorded_of_nothing_is_known_and_it_is_open(tmp_path: Path) -> None:
    history = History(Store.at(str(tmp_path)))

    assert (history.state(KEY), history.entries(KEY), history.n_entries(KEY)) == (None, (), 0)
    assert history.is_open(KEY)


@pytest.mark.parametrize("code", [Code.DECIDED_ROLL_BACK, Code.WENT_BACK, Code.SUPERSEDED_BY_NEWER])
def test_a_release_that_is_over_is_not_open(tmp_path: Path, code: Code) -> None:
    history = told(tmp_path)
    before = history.is_open(KEY)

    history.record(KEY, code, at=AT, by="somebody")

    assert (before, history.is_open(KEY)) == (True, False)


def test_what_may_not_happen_is_refused_and_leaves_no_trace(tmp_path: Path) -> None:
    history = told(tmp_path)

    with pytest.raises(IllegalTransitionError, match="registered may not happen to a release that is watching"):
        history.record(KEY, Code.REGISTERED, at=AT, by="somebody")
    assert codes(history) == list(STORY)


class Counting(LocalDisk):
    """A disk that counts what is read."""

    n_read = 0

    def read(self, path: str) -> bytes:
        self.n_read += 1
        return super().read(path)


def test_the_state_is_read_from_the_newest_entry_alone(tmp_path: Path) -> None:
    told(tmp_path)
    disk = Counting(tmp_path)

    state = History(Store(disk)).state(KEY)

    assert state is State.WATCHING
    assert disk.n_read == 2


# Following the evidence


def test_following_the_same_facts_again_records_nothing(tmp_path: Path) -> None:
    history = History(Store.at(str(tmp_path)))

    first = history.follow(KEY, FACTS, now=AT)
    again = history.follow(KEY, FACTS, now=AT)

    assert [one.code for one in first] == FOLLOWED
    assert again == ()
    assert history.entries(KEY) == first
    assert history.state(KEY) is State.CLOSED


def test_following_adds_nothing_to_a_history_that_was_changed(tmp_path: Path) -> None:
    history = told(tmp_path)
    pointer(tmp_path, 2).unlink()

    with pytest.raises(TamperedError):
        history.follow(KEY, FACTS, now=AT)
    assert history.n_entries(KEY) == len(STORY) - 1


# Tampering


def pointer(root: Path, number: int, release: str = KEY) -> Path:
    return root / "pointers" / release / HISTORY / f"{number:06d}.json"


def content(root: Path, number: int) -> Path:
    found = Store.at(str(root)).pointer(f"{KEY}/{HISTORY}", version=number)
    assert found
    sha256 = found.files["entry.json"].sha256
    return root / "objects" / "sha256" / sha256[:2] / sha256


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def swap(one: Path, other: Path) -> None:
    data = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(data)


def rewrite(root: Path, number: int, **changes: Any) -> None:
    """Replace an entry by a changed one that the store finds sound: a forger who knows the store, not the chain."""
    store = Store.at(str(root))
    entries = History(store).entries(KEY)
    folder = pointer(root, 1).parent
    shutil.rmtree(folder)
    for entry in entries:
        forged = entry.model_copy(update=changes) if entry.seq == number else entry
        store.put(f"{KEY}/{HISTORY}", {"entry.json": forged.model_dump_json().encode()})


def copied_from_another(root: Path) -> None:
    told(root, release=OTHER)
    pointer(root, 3).write_bytes(pointer(root, 3, OTHER).read_bytes())


def forged_pointer_to_another(root: Path) -> None:
    """The whole history of another release under this one, through the store itself."""
    other = told(root, release=OTHER).entries(OTHER)
    shutil.rmtree(pointer(root, 1).parent)
    for entry in other:
        Store.at(str(root)).put(f"{KEY}/{HISTORY}", {"entry.json": entry.model_dump_json().encode()})


def without(root: Path, number: int) -> None:
    """Left out, and every later pointer renumbered by the store itself."""
    store = Store.at(str(root))
    entries = History(store).entries(KEY)
    shutil.rmtree(pointer(root, 1).parent)
    for entry in entries:
        if entry.seq != number:
            store.put(f"{KEY}/{HISTORY}", {"entry.json": entry.model_dump_json().encode()})


TAMPERED: dict[str, Callable[[Path], object]] = {
    "a flipped bit in a content": lambda root: flip(content(root, 2)),
    "a flipped bit in a pointer": lambda root: flip(pointer(root, 2)),
    "a content that is gone": lambda root: content(root, 2).unlink(),
    "the first pointer gone": lambda root: pointer(root, 1).unlink(),
    "a pointer in the middle gone": lambda root: pointer(root, 3).unlink(),
    "two pointers swapped": lambda root: swap(pointer(root, 2), pointer(root, 3)),
    "two contents swapped": lambda root: swap(content(root, 2), content(root, 3)),
    "a pointer of another release": copied_from_another,
    "all entries of another release": forged_pointer_to_another,
    "an entry rewritten with another reason": lambda root: rewrite(root, 2, why="forged"),
    "an entry rewritten with another person": lambda root: rewrite(root, 4, by="forger"),
    "an entry rewritten to lead elsewhere": lambda root: rewrite(root, 5, to_state=State.CLOSED),
    "an entry left out and the rest renumbered": lambda root: without(root, 3),
    "another file beside the entry": lambda root: Store.at(str(root)).put(f"{KEY}/{HISTORY}", {"more.json": b"{}"}),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_history_that_was_touched_is_told(tmp_path: Path, how: str) -> None:
    history = told(tmp_path)
    TAMPERED[how](tmp_path)

    with pytest.raises(TamperedError) as found:
        history.entries(KEY)
    assert found.value.exit_code == 12
    assert KEY in str(found.value)


@pytest.mark.parametrize("number", [3, 4, 5])
def test_only_a_removed_newest_entry_is_not_told(tmp_path: Path, number: int) -> None:
    history = told(tmp_path)
    for gone in range(number, len(STORY) + 1):
        pointer(tmp_path, gone).unlink()

    assert codes(history) == list(STORY[: number - 1])


def test_a_changed_newest_entry_is_told_to_whoever_asks_for_the_state(tmp_path: Path) -> None:
    history = told(tmp_path)
    flip(content(tmp_path, len(STORY)))

    with pytest.raises(TamperedError):
        history.state(KEY)


def test_the_state_is_not_taken_from_an_entry_of_another_release(tmp_path: Path) -> None:
    history = told(tmp_path)
    forged_pointer_to_another(tmp_path)

    with pytest.raises(TamperedError, match=f"is entry 5 of {OTHER}"):
        history.state(KEY)


# Two writers


class Interrupted(LocalDisk):
    """A disk at whose N-th use somebody else comes first."""

    def __init__(self, root: Path, rival: Callable[[], object], at: int) -> None:
        super().__init__(root)
        self._rival, self._left = rival, at

    def _count(self) -> None:
        self._left -= 1
        if self._left == 0:
            self._rival()

    @property
    def was_interrupted(self) -> bool:
        return self._left <= 0

    def names(self, folder: str) -> list[str]:
        self._count()
        return super().names(folder)

    def read(self, path: str) -> bytes:
        self._count()
        return super().read(path)

    def create(self, path: str, data: bytes) -> bool:
        self._count()
        return super().create(path, data)


def rivalled(root: Path, code: Code) -> None:
    """Record something if it still may happen."""
    if code in possible_codes(History(Store.at(str(root))).state(KEY)):
        told(root, (code,))


def at_every_use(tmp_path: Path, rival: Code, mine: Callable[[History], object]) -> list[list[Code]]:
    """Return the history that is left wherever the rival comes in between."""
    left = []
    for at in count(1):
        root = tmp_path / str(at)
        told(root)
        disk = Interrupted(root, lambda root=root: rivalled(root, rival), at)
        mine(History(Store(disk)))
        if not disk.was_interrupted:
            assert at > 5
            return left
        left.append(codes(History(Store.at(str(root)))))
    raise AssertionError


def test_whenever_a_rival_records_both_are_kept_in_an_unbroken_chain(tmp_path: Path) -> None:
    def decide(history: History) -> None:
        history.record(KEY, Code.DECIDED_WATCH_CLOSER, at=AT, by="me")

    left = at_every_use(tmp_path, Code.POLICY_CHANGED, decide)

    assert {tuple(sorted(one[5:])) for one in left} == {(Code.DECIDED_WATCH_CLOSER, Code.POLICY_CHANGED)}


def test_whenever_a_rival_ends_the_release_nothing_follows_the_end(tmp_path: Path) -> None:
    refused = []

    def decide(history: History) -> None:
        try:
            history.record(KEY, Code.DECIDED_WATCH_CLOSER, at=AT, by="me")
        except IllegalTransitionError as error:
            refused.append(error)

    left = at_every_use(tmp_path, Code.DECIDED_ROLL_BACK, decide)

    assert {one[-1] for one in left} == {Code.DECIDED_ROLL_BACK}
    assert len(refused) + sum(Code.DECIDED_WATCH_CLOSER in one for one in left) == len(left)
    assert len(refused) >= 3


def test_whenever_a_rival_records_the_follower_records_each_fact_once(tmp_path: Path) -> None:
    left = at_every_use(tmp_path, Code.POLICY_CHANGED, lambda history: history.follow(KEY, FACTS, now=AT))

    for one in left:
        assert [code for code in one[5:] if code is not Code.POLICY_CHANGED] == [
            Code.VERDICT_KEEP,
            Code.CERTIFIED,
            Code.WEEK_CLOSED,
        ]


class Hurried(LocalDisk):
    """A disk on which somebody else always comes first."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._root_of_rivals = root

    def create(self, path: str, data: bytes) -> bool:
        if path.startswith("pointers/"):
            told(self._root_of_rivals, (Code.FLAPPED,))
        return super().create(path, data)


def test_who_never_comes_first_gives_up_and_says_so(tmp_path: Path) -> None:
    told(tmp_path)

    with pytest.raises(ConflictError, match="run again"):
        History(Store(Hurried(tmp_path))).record(KEY, Code.DECIDED_KEEP, at=AT, by="me")


RACER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from tars_ops.adapters.history import History
from tars_ops.adapters.store import Store
from tars_ops.core.lifecycle import Code

root, me, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
history = History(Store.at(str(root / "store")))
(root / f"ready_{me}").touch()
while not (root / "go").exists():
    pass
for turn in range(n):
    history.record("tars@1.0.1", Code.FLAPPED, at=datetime.now(UTC), by=me, why=f"turn {turn}")
"""


def test_two_processes_that_record_at_once_lose_nothing(tmp_path: Path) -> None:
    told(tmp_path / "store")
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(tmp_path), me, "40"]) for me in "ab"]
    while not all((tmp_path / f"ready_{me}").exists() for me in "ab"):
        assert all(one.poll() is None for one in racers)
    (tmp_path / "go").touch()
    ended = [one.wait(timeout=120) for one in racers]
    entries = History(Store.at(str(tmp_path / "store"))).entries(KEY)[len(STORY) :]

    assert ended == [0, 0]
    assert {(me, f"turn {turn}") for me in "ab" for turn in range(40)} == {(one.by, one.why) for one in entries}
    assert len(entries) == 80


# Killed


DOOMED = """
import os, signal, sys
from pathlib import Path
from tars_ops.adapters.disks import LocalDisk
from tars_ops.adapters.history import History
from tars_ops.adapters.store import Store
from tars_ops_tests.adapters.test_history import AT, FACTS, KEY

class Dying(LocalDisk):
    left = 0

    def _do(self, call, *args, **kwargs):
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._do(call, *args, **kwargs)

for number in range(1, int(sys.argv[2]), 3):
    if not (child := os.fork()):
        disk = Dying(Path(sys.argv[1]) / str(number))
        disk.left = number
        History(Store(disk)).follow(KEY, FACTS, now=AT)
        os._exit(0)
    print(os.waitpid(child, 0)[1])
"""
"""Forks a follower for every third call of the system, so that importing is paid once."""


def test_killed_at_any_call_a_follower_leaves_a_beginning_that_the_next_one_completes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DOOMED, str(tmp_path), "200"], capture_output=True, text=True, check=True
    )
    ended = [int(line) for line in done.stdout.split()]
    killed = [str(1 + 3 * turn) for turn, status in enumerate(ended) if status == signal.SIGKILL]

    lengths = set()
    for name in killed:
        history = History(Store.at(str(tmp_path / name)))
        before = codes(history)
        lengths.add(len(before))
        assert before == FOLLOWED[: len(before)]
        history.follow(KEY, FACTS, now=AT)
        assert codes(history) == FOLLOWED
    assert len(killed) > 20
    assert lengths == set(range(len(FOLLOWED))) | ({len(FOLLOWED)} & lengths)
    assert set(ended) == {0, int(signal.SIGKILL)}


# Anything, in any order


class Anything(RuleBasedStateMachine):
    """Records whatever somebody comes up with, and compares with what must have become of it."""

    def __init__(self) -> None:
        super().__init__()
        self.history = History(Store.at(f"memory://{uuid.uuid4().hex}"))
        self.kept: list[tuple[Code, State]] = []

    @property
    def state(self) -> State | None:
        return self.kept[-1][1] if self.kept else None

    @rule(choice=st.integers(0, 99), over=st.booleans())
    @precondition(lambda self: bool(possible_codes(self.state)))
    def record_what_may_happen(self, choice: int, *, over: bool) -> None:
        possible = sorted(possible_codes(self.state, week_is_over=over))
        self._record(possible[choice % len(possible)], over=over)

    @rule(code=st.sampled_from(Code), over=st.booleans())
    def record_anything(self, code: Code, *, over: bool) -> None:
        if code in possible_codes(self.state, week_is_over=over):
            self._record(code, over=over)
            return
        with pytest.raises(IllegalTransitionError):
            self.history.record(KEY, code, at=AT, by="somebody", week_is_over=over)

    def _record(self, code: Code, *, over: bool) -> None:
        entry = self.history.record(KEY, code, at=AT, by="somebody", week_is_over=over)
        self.kept.append((code, successor(self.state, code, week_is_over=over)))
        assert (entry.code, entry.to_state) == self.kept[-1]

    @invariant()
    def the_history_is_what_was_accepted(self) -> None:
        entries: tuple[Entry, ...] = self.history.entries(KEY)

        assert [(one.code, one.to_state) for one in entries] == self.kept
        assert self.history.state(KEY) is self.state


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)
