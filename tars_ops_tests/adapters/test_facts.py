"""What is read of a stored release, and what makes somebody read it again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tars_ops.adapters import catalogue
from tars_ops.adapters.catalogue import Kind, as_of_key
from tars_ops.adapters.disks import LocalDisk
from tars_ops.adapters.facts import evidence_mark, gather_facts
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.standing import Facts
from tars_ops_tests.adapters.factories import AS_OF, POLICY_TEXT, RELEASE, stored_week, week

KEY = RELEASE.key


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(str(tmp_path))


def facts(store: Store, after: timedelta = timedelta()) -> Facts:
    return gather_facts(store, Registry(store).get(KEY), now=RELEASE.ga_at + after)


def digest(store: Store, kind: Kind, at: str = "") -> str:
    pointer = store.pointer(kind.key(KEY, at))
    assert pointer
    return pointer.sha256


def test_of_a_release_without_evidence_only_the_registry_speaks(store: Store) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)

    known = facts(store, timedelta(seconds=-1))

    assert known == Facts(release=KEY, n_days=RELEASE.n_days, ga_reached=False, policy_sha256=RELEASE.policy_sha256)
    assert facts(store).ga_reached


def test_the_latest_verdict_speaks_with_the_digest_of_its_artifact(store: Store) -> None:
    stored_week(store)

    known = facts(store)

    assert known.baseline
    assert known.baseline.sha256 == digest(store, catalogue.GA_BASELINE)
    assert known.verdict
    assert known.verdict.as_of == AS_OF
    assert known.verdict.decision is week().regression.decision
    assert known.verdict.sha256 == digest(store, catalogue.REGRESSION, as_of_key(AS_OF))
    assert known.week_is_over is (RELEASE.n_days == AS_OF)


def test_a_verdict_as_of_an_earlier_day_does_not_speak(store: Store) -> None:
    stored_week(store)
    earlier = week().regression.model_copy(update={"as_of": 1})
    at = as_of_key(1)
    store.put(catalogue.REGRESSION.key(KEY, at), catalogue.REGRESSION.encode(earlier, at))

    known = facts(store)

    assert known.verdict
    assert known.verdict.as_of == AS_OF


class Blind(LocalDisk):
    """A disk of which only names can be read."""

    def read(self, path: str) -> bytes:
        raise AssertionError(path)


def test_the_mark_changes_with_every_artifact_that_moves_a_release_and_reads_no_content(
    store: Store, tmp_path: Path
) -> None:
    blind = Store(Blind(tmp_path))
    marks = [evidence_mark(blind, KEY)]
    Registry(store).add(RELEASE, POLICY_TEXT)
    marks.append(evidence_mark(blind, KEY))
    for kind, at in (
        (catalogue.GA_BASELINE, ""),
        (catalogue.REGRESSION, as_of_key(1)),
        (catalogue.REGRESSION, as_of_key(2)),
        (catalogue.CERTIFICATION, as_of_key(2)),
        (catalogue.RUNNING_DAY, ""),
    ):
        for turn in range(2):
            store.put(kind.key(KEY, at), {"one.json": b"%d" % turn})
            marks.append(evidence_mark(blind, KEY))
    Registry(store).extend(KEY, RELEASE.n_days + 1, longest=99)
    marks.append(evidence_mark(blind, KEY))

    assert len(set(marks)) == len(marks)


def test_the_mark_stays_while_nothing_that_moves_a_release_is_stored(store: Store) -> None:
    stored_week(store)
    before = evidence_mark(store, KEY)

    store.put(catalogue.DAILY_HEALTH.key(KEY, "day_07"), {"one.json": b"{}"})

    assert evidence_mark(store, KEY) == before
