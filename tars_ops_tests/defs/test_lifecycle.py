"""Does the sensor record what the evidence says, once, for every release, and show it in the UI?"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tars_ops.adapters import catalogue
from tars_ops.adapters.catalogue import as_of_key
from tars_ops.adapters.disks import LocalDisk
from tars_ops.adapters.history import HISTORY, History
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.lifecycle import Code, State
from tars_ops.core.release import Release
from tars_ops.core.verdict import Decision
from tars_ops.defs.automation.lifecycle import Followed, Seen, follow_all, lifecycle_follows_the_evidence
from tars_ops.defs.resources import StoreResource
from tars_ops_tests.adapters.factories import POLICY_TEXT, RELEASE, week

KEY = RELEASE.key
GA = RELEASE.ga_at
LATER = GA + timedelta(days=9)
OPENED = [Code.REGISTERED, Code.GA_STARTED, Code.BASELINE_FROZEN]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    made = Store.at(str(tmp_path / "store"))
    Registry(made).add(RELEASE, POLICY_TEXT)
    return made


def put(store: Store, kind: catalogue.Kind, value: object, *, release: str = KEY, as_of: int = 0) -> None:
    at = as_of_key(as_of) if as_of else ""
    store.put(kind.key(release, at), kind.encode(value, at))


def baseline(store: Store, release: str = KEY) -> None:
    put(store, catalogue.GA_BASELINE, week().baseline, release=release)


def judge(store: Store, as_of: int, decision: Decision = Decision.KEEP) -> None:
    verdict = week().regression.model_copy(update={"as_of": as_of, "decision": decision})
    put(store, catalogue.REGRESSION, verdict, as_of=as_of)


def codes(store: Store, release: str = KEY) -> list[Code]:
    return [one.code for one in History(store).entries(release)]


def another(version: str) -> Release:
    return RELEASE.model_copy(update={"version": version})


class Watching(LocalDisk):
    """A disk that counts what is read."""

    n_read = 0

    def read(self, path: str) -> bytes:
        self.n_read += 1
        return super().read(path)


def tick(store: Store, known: Mapping[str, Seen] | Followed, now: datetime = LATER) -> Followed:
    return follow_all(store, known.seen if isinstance(known, Followed) else known, now=now)


def test_the_history_follows_step_by_step_and_says_each_step_once(store: Store) -> None:
    found = tick(store, {}, GA - timedelta(hours=1))
    said = [[one.code for one in found.news]]
    steps = [
        lambda: None,
        lambda: baseline(store),
        lambda: judge(store, 1),
        lambda: judge(store, 2, Decision.ROLL_BACK),
        lambda: History(store).record(KEY, Code.DECIDED_KEEP, at=LATER, by="ada", why="known"),
        lambda: judge(store, 2, Decision.ROLL_BACK),
        lambda: judge(store, 3, Decision.WATCH_CLOSER),
    ]
    for step in steps:
        step()
        found = tick(store, found)
        said.append([one.code for one in found.news])
        assert tick(store, found).news == []

    assert said == [
        [Code.REGISTERED],
        [Code.GA_STARTED],
        [Code.BASELINE_FROZEN],
        [Code.VERDICT_KEEP],
        [Code.VERDICT_ROLL_BACK],
        [Code.DECIDED_KEEP],
        [],
        [Code.VERDICT_WATCH_CLOSER],
    ]
    assert [code for codes_ in said for code in codes_] == codes(store)


def test_a_release_that_nothing_changed_of_is_not_read_again(store: Store, tmp_path: Path) -> None:
    baseline(store)
    found = tick(store, {})
    disk = Watching(tmp_path / "store")

    again = tick(Store(disk), found)

    assert disk.n_read == 0
    assert again.seen == found.seen


def test_a_release_waits_for_its_ga_instant_without_new_evidence(store: Store) -> None:
    early = tick(store, {}, GA - timedelta(hours=1))
    waiting = tick(store, early, GA - timedelta(minutes=1))
    reached = tick(store, waiting, GA)

    assert (codes(store), waiting.news) == ([Code.REGISTERED, Code.GA_STARTED], [])
    assert [one.code for one in reached.news] == [Code.GA_STARTED]


def test_after_the_last_day_is_judged_and_certified_the_week_is_closed(store: Store) -> None:
    baseline(store)
    judge(store, RELEASE.n_days)
    certification = catalogue.CERTIFICATION
    value = certified(may_close=True)
    put(store, certification, value, as_of=RELEASE.n_days)

    found = tick(store, {})

    assert codes(store) == [*OPENED, Code.VERDICT_KEEP, Code.CERTIFIED, Code.WEEK_CLOSED]
    assert not found.seen[KEY].is_open
    assert not History(store).is_open(KEY)


def test_without_a_certification_that_allows_it_the_week_stays_open(store: Store) -> None:
    baseline(store)
    judge(store, RELEASE.n_days)
    put(store, catalogue.CERTIFICATION, certified(may_close=False), as_of=RELEASE.n_days)

    tick(store, {})

    assert History(store).state(KEY) is State.WATCHING


def certified(*, may_close: bool) -> object:
    from tars_ops.core.watch.certification import Certification

    return Certification(
        release=KEY,
        as_of=RELEASE.n_days,
        end_at=LATER,
        policy_sha256=RELEASE.policy_sha256,
        may_promote=may_close,
        may_close=may_close,
        is_over=True,
        promotion_blockers=(),
        closing_blockers=(),
    )


def test_a_release_that_is_over_is_reported_once_and_then_left_alone(store: Store, tmp_path: Path) -> None:
    baseline(store)
    found = tick(store, {})
    History(store).record(KEY, Code.DECIDED_ROLL_BACK, at=LATER, by="ada")
    found = tick(store, found)
    said = [one.code for one in found.news]
    judge(store, 1)
    disk = Watching(tmp_path / "store")

    assert tick(Store(disk), found).news == []
    assert said == [Code.DECIDED_ROLL_BACK]
    assert disk.n_read == 0


def test_one_release_that_cannot_be_read_stops_no_other_and_is_said_again(store: Store, tmp_path: Path) -> None:
    for version in ("1.0.0", "1.0.2"):
        Registry(store).add(another(version), POLICY_TEXT)
        baseline(store, f"tars@{version}")
    tick(store, {})
    (tmp_path / "store" / "pointers" / KEY / HISTORY / "000001.json").write_bytes(b"torn")
    for version in ("1.0.0", "1.0.2"):
        put(store, catalogue.REGRESSION, week().regression, release=f"tars@{version}", as_of=1)
    baseline(store)

    first = tick(store, {})
    again = tick(store, first)

    assert [one.release for one in first.news] == ["tars@1.0.0", "tars@1.0.2"]
    assert [len(found.errors) for found in (first, again)] == [1, 1]
    assert KEY in first.errors[0]


def test_a_history_that_lost_its_newest_entries_is_told_by_who_remembers_its_length(
    store: Store, tmp_path: Path
) -> None:
    baseline(store)
    found = tick(store, {})
    (tmp_path / "store" / "pointers" / KEY / HISTORY / "000003.json").unlink()
    judge(store, 1)

    errors = [error for _ in range(2) for error in tick(store, found).errors]

    assert len(errors) == 2
    assert "its history had 3 entries and has 2; restore it from a backup" in errors[0]
    assert codes(store) == OPENED[:2]


def test_a_tick_that_is_long_enough_leaves_the_rest_to_the_next(store: Store) -> None:
    for number in range(4):
        Registry(store).add(another(f"2.{number}"), POLICY_TEXT)
    found = Followed({}, [], [])
    n_news = []
    for _ in range(4):
        asked = iter([True, True, False])
        found = follow_all(store, found.seen, now=LATER, may_go_on=lambda asked=asked: next(asked))
        n_news.append(len(found.news))

    assert n_news == [2, 2, 1, 0]


def test_a_release_seen_for_the_first_time_is_shown_with_its_newest_entry_only(store: Store) -> None:
    baseline(store)
    judge(store, 1)

    found = tick(store, {})

    assert [one.code for one in found.news] == [Code.VERDICT_KEEP]


def sensed(store_url: str, cursor: str | None, instance: dg.DagsterInstance) -> dg.SensorResult:
    context = dg.build_sensor_context(
        instance=instance, cursor=cursor, resources={"store": StoreResource(url=store_url)}
    )
    result = lifecycle_follows_the_evidence(context)
    assert isinstance(result, dg.SensorResult)
    return result


@pytest.mark.parametrize("cursor", [None, "", "{}", "not JSON", '{"tars@1.0.1": {"of": "another version"}}'])
def test_the_sensor_shows_the_new_state_on_the_partition_of_the_release(
    store: Store, tmp_path: Path, cursor: str | None
) -> None:
    baseline(store)
    with dg.DagsterInstance.ephemeral() as instance:
        first = sensed(str(tmp_path / "store"), cursor, instance)
        again = sensed(str(tmp_path / "store"), first.cursor, instance)

    (event,) = first.asset_events
    assert (event.asset_key.to_user_string(), event.partition) == ("releases", KEY)
    assert event.metadata["state"].value == "watching"
    assert event.metadata["evidence_sha256"].value == History(store).entries(KEY)[-1].evidence_sha256
    assert again.asset_events == []
    assert again.cursor == first.cursor


def test_the_sensor_says_what_it_cannot_read(store: Store, tmp_path: Path) -> None:
    tick(store, {})
    (tmp_path / "store" / "pointers" / KEY / HISTORY / "000001.json").write_bytes(b"torn")
    with dg.DagsterInstance.ephemeral() as instance:
        result = sensed(str(tmp_path / "store"), None, instance)

    assert result.skip_reason is not None
    assert result.skip_reason.skip_message == "0 entries are new, 1 releases could not be read"


def test_the_clock_of_an_entry_is_the_clock_of_its_tick(store: Store) -> None:
    now = datetime(2026, 1, 2, tzinfo=UTC)

    tick(store, {}, now)

    assert {one.at for one in History(store).entries(KEY)} == {now}
