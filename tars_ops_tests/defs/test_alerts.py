"""Does what the stored evidence says reach the outbox, and does it end there when it is over?"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops.adapters.catalogue import DAILY_STABILITY, as_of_key
from tars_ops.adapters.history import History
from tars_ops.adapters.settings import Settings
from tars_ops.adapters.store import Store
from tars_ops.core.alert import Alert
from tars_ops.core.lifecycle import Code
from tars_ops.core.release import day_key
from tars_ops.core.verdict import Severity, Verdict
from tars_ops.defs.automation import alerts
from tars_ops.defs.registration import PARTITIONS
from tars_ops.defs.resources import OutboxResource, StoreResource
from tars_ops_tests.adapters.damage import flip_a_byte
from tars_ops_tests.defs.conftest import WEEK, Make, lineages

GA = datetime(2025, 11, 18, tzinfo=UTC)
AFTER_DAY = {day: GA + timedelta(days=day + 1, minutes=30) for day in range(8)}
Follow = Callable[..., dict[tuple[str, str], Alert]]


@dataclass(frozen=True)
class Kept:
    """A store that fills step by step with what was judged elsewhere: judging once is enough for many tests."""

    full: Path
    url: str

    @property
    def store(self) -> Store:
        """The store as it is now."""
        return Store.at(self.url)

    def open(self) -> None:
        """Freeze the baseline."""
        self._take("ga")

    def watch(self, day: int) -> None:
        """Judge a day."""
        self._take(f"stability/{day_key(day)}")

    def judge(self, as_of: int) -> None:
        """Give a verdict."""
        self._take(f"verdict/{as_of_key(as_of)}")

    def _take(self, folder: str) -> None:
        path = Path("pointers", WEEK, folder)
        shutil.copytree(self.full / path, Path(self.url) / path, dirs_exist_ok=True)


def filled(folder: Path, *, days: tuple[int, ...], as_of: int, fault: str = "") -> Path:
    """Judge days of the recording and give a verdict; return the store."""
    with lineages(folder) as make:
        lineage = make(fault=fault, days=days)
        runs = [lineage.open(), *(lineage.watch(day) for day in days), lineage.judge(as_of)]
    assert all(run.success for run in runs)
    return folder / "store"


def begun(full: Path, target: Path) -> Kept:
    """Return a store in which the release is registered and nothing is judged."""
    shutil.copytree(full / "objects", target / "objects")
    shutil.copytree(full / "pointers" / WEEK / "release", target / "pointers" / WEEK / "release")
    return Kept(full, str(target))


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("full"), days=(1, 2, 3), as_of=1)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return filled(tmp_path_factory.mktemp("failing"), days=(1, 2), as_of=2, fault="failing_requests")


@pytest.fixture
def kept(full: Path, tmp_path: Path) -> Kept:
    return begun(full, tmp_path / "store")


@pytest.fixture
def failed(failing: Path, tmp_path: Path) -> Kept:
    return begun(failing, tmp_path / "store")


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with closing(Outbox.open(f"sqlite:///{tmp_path}/outbox.sqlite")) as opened:
        yield opened


@pytest.fixture
def follow(kept: Kept, outbox: Outbox) -> Follow:
    """Derive the alerts at an instant and return what stands, by gate and service."""

    def derive(at: datetime) -> dict[tuple[str, str], Alert]:
        tick = alerts.Tick(kept.store, outbox, Settings(), at)
        tick.settle_all(after="")

        assert tick.troubles == []
        return {(one.gate, one.service): one for one in outbox.firing(WEEK)}

    return derive


def judged(kept: Kept, *days: int) -> None:
    kept.open()
    for day in days:
        kept.watch(day)


def test_the_latest_judged_day_speaks_for_the_days(kept: Kept, follow: Follow) -> None:
    judged(kept, 1, 2)

    found = follow(AFTER_DAY[2])

    assert found.keys() == {
        ("p99_latency_keeps_its_objective", "search"),
        ("no_kpi_drifts", "search"),
        ("no_anomaly_is_critical", "search"),
        ("health_stays_above_its_floor", "*"),
    }
    latency = found["p99_latency_keeps_its_objective", "search"]
    assert (latency.day, latency.verdict, latency.severity) == (2, Verdict.FAIL, Severity.HIGH)
    assert latency.since_at == GA + timedelta(days=2)
    assert "2.15 s" in latency.summary
    pointer = kept.store.pointer(DAILY_STABILITY.key(WEEK, day_key(2)))
    assert pointer
    assert latency.evidence_sha256 == pointer.sha256


def test_an_alert_ends_with_the_first_judged_day_that_passes(kept: Kept, follow: Follow) -> None:
    judged(kept, 1, 2)
    before = follow(AFTER_DAY[2])

    kept.watch(3)
    after = follow(AFTER_DAY[3])

    assert ("p99_latency_keeps_its_objective", "search") in before
    assert ("p99_latency_keeps_its_objective", "search") not in after
    assert after["availability_keeps_its_objective", "reports"].day == 3


def test_a_day_that_was_judged_late_does_not_bring_back_its_alerts(kept: Kept, follow: Follow) -> None:
    judged(kept, 1, 3)
    kept.watch(2)

    found = follow(AFTER_DAY[3])

    assert ("p99_latency_keeps_its_objective", "search") not in found


def test_an_alert_that_lasts_keeps_its_start(failed: Kept, outbox: Outbox) -> None:
    judged(failed, 1)
    alerts.Tick(failed.store, outbox, Settings(), AFTER_DAY[1]).settle_all(after="")
    failed.watch(2)
    alerts.Tick(failed.store, outbox, Settings(), AFTER_DAY[2]).settle_all(after="")

    found = [one for one in outbox.firing(WEEK) if one.gate == "availability_keeps_its_objective"]

    assert {(one.day, one.since_at) for one in found} == {(2, GA + timedelta(days=1))}


def test_a_day_without_data_is_an_alert_of_its_own(make_lineage: Make, outbox: Outbox) -> None:
    lineage = make_lineage(fault="empty", days=(1,))
    lineage.open()
    lineage.watch(1)

    alerts.Tick(lineage.store, outbox, Settings(), AFTER_DAY[1]).settle_all(after="")
    found = {(one.gate, one.verdict) for one in outbox.firing(WEEK)}

    assert ("daily_telemetry_covers_the_window", Verdict.UNKNOWN) in found
    assert ("availability_keeps_its_objective", Verdict.UNKNOWN) in found
    assert ("health_stays_above_its_floor", Verdict.UNKNOWN) in found


def test_the_advice_to_roll_back_comes_with_the_verdict(failed: Kept, outbox: Outbox) -> None:
    judged(failed, 1, 2)
    failed.judge(2)

    alerts.Tick(failed.store, outbox, Settings(), AFTER_DAY[2]).settle_all(after="")
    (advice,) = [one for one in outbox.firing(WEEK) if one.gate == "no_rollback_is_advised"]

    assert (advice.severity, advice.verdict, advice.partition) == (Severity.CRITICAL, Verdict.FAIL, WEEK)


def test_days_that_nobody_judged_are_told(kept: Kept, follow: Follow) -> None:
    judged(kept, 1)
    kept.judge(1)

    in_time = follow(GA + timedelta(days=3, hours=1))
    late = follow(GA + timedelta(days=3, hours=3))

    assert ("every_day_is_judged", "*") not in in_time
    assert late["every_day_is_judged", "*"].verdict is Verdict.UNKNOWN
    assert "day_02 is over since 2025-11-21 00:00 UTC" in late["every_day_is_judged", "*"].description


def test_a_judged_day_without_a_verdict_is_told(kept: Kept, follow: Follow) -> None:
    judged(kept, 1)

    in_time = follow(GA + timedelta(days=2, hours=1))
    late = follow(GA + timedelta(days=2, hours=3))
    kept.judge(1)
    after = follow(GA + timedelta(days=2, hours=4))

    assert ("every_day_is_judged", "*") not in in_time
    assert "day_01 was judged and has no verdict" in late["every_day_is_judged", "*"].description
    assert ("every_day_is_judged", "*") not in after


def test_a_release_that_was_registered_late_is_given_the_same_time(kept: Kept, follow: Follow) -> None:
    at = GA + timedelta(days=100)
    History(kept.store).record(WEEK, Code.REGISTERED, at=at, by="test")

    early, late = follow(at + timedelta(minutes=1)), follow(at + timedelta(hours=3))

    assert early == {}
    assert ("every_day_is_judged", "*") in late


def test_damaged_evidence_is_told_and_takes_nothing_back(kept: Kept, follow: Follow) -> None:
    judged(kept, 1, 2)
    before = follow(AFTER_DAY[2])
    kept.watch(1)
    flip_a_byte(kept.url, DAILY_STABILITY.key(WEEK, day_key(2)))
    kept.judge(1)  # something else is new, so that everything is read again

    after = follow(AFTER_DAY[2] + timedelta(minutes=1))

    assert before.keys() <= after.keys()
    assert after["daily_stability_is_intact", "*"].severity is Severity.CRITICAL


def test_nothing_is_read_again_while_nothing_is_new(kept: Kept, follow: Follow) -> None:
    judged(kept, 1, 2)
    before = follow(AFTER_DAY[2])
    flip_a_byte(kept.url, DAILY_STABILITY.key(WEEK, day_key(2)))

    assert follow(AFTER_DAY[2] + timedelta(minutes=1)) == before


def test_an_outbox_that_was_lost_is_filled_again(kept: Kept, follow: Follow, tmp_path: Path) -> None:
    judged(kept, 1, 2)
    before = follow(AFTER_DAY[2])

    with closing(Outbox.open(f"sqlite:///{tmp_path}/new.sqlite")) as new:
        alerts.Tick(kept.store, new, Settings(), AFTER_DAY[2]).settle_all(after="")
        found = {(one.gate, one.service): one for one in new.firing(WEEK)}

    assert found == before


@pytest.mark.parametrize("code", [Code.DECIDED_ROLL_BACK, Code.SUPERSEDED_BY_NEWER])
def test_a_release_that_is_over_has_no_alerts(kept: Kept, follow: Follow, code: Code) -> None:
    judged(kept, 1, 2)
    history = History(kept.store)
    history.record(WEEK, Code.REGISTERED, at=GA, by="test")
    before = follow(AFTER_DAY[2])

    history.record(WEEK, code, at=AFTER_DAY[2], by="test", why="test")

    assert before
    assert follow(AFTER_DAY[2] + timedelta(minutes=1)) == {}


def test_a_release_that_cannot_be_read_hides_no_other(kept: Kept, outbox: Outbox) -> None:
    judged(kept, 1, 2)
    broken = Path(kept.url, "pointers", "broken@1.0.0", "release", "000001.json")
    broken.parent.mkdir(parents=True)
    broken.write_bytes(b"{}")
    tick = alerts.Tick(kept.store, outbox, Settings(), AFTER_DAY[2])

    tick.settle_all(after="")

    assert len(tick.troubles) == 1
    assert tick.troubles[0].startswith("broken@1.0.0: ")
    assert outbox.firing(WEEK)


def test_a_tick_that_runs_out_of_time_goes_on_where_it_ended(kept: Kept, outbox: Outbox) -> None:
    judged(kept, 1, 2)
    clock = iter([0.0, alerts.BUDGET_S + 1, 0.0, 0.0])

    ended = alerts.Tick(kept.store, outbox, Settings(), AFTER_DAY[2], elapsed_s=lambda: next(clock))
    ended.last = "a@1"

    assert ended.settle_all(after="a@1") == "a@1"
    assert ended.settle_all(after="a@1") == ""
    assert outbox.firing(WEEK)


def test_the_tick_shows_in_the_ui_what_stands(kept: Kept, tmp_path: Path) -> None:
    judged(kept, 1, 2)
    (tmp_path / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "instance")) as instance:
        instance.add_dynamic_partitions(PARTITIONS, [WEEK])
        context = dg.build_sensor_context(
            instance=instance,
            resources={
                "store": StoreResource(url=kept.url),
                "outbox": OutboxResource(url=f"sqlite:///{tmp_path}/outbox.sqlite"),
            },
        )
        first = alerts.alerts_follow_the_evidence.evaluate_tick(context)
        second = alerts.alerts_follow_the_evidence.evaluate_tick(context)

    (shown,) = first.asset_events
    assert (shown.partition, shown.metadata["n_firing"].value) == (WEEK, 5)
    assert first.skip_message
    assert first.skip_message.startswith("5 new, 0 changed, 0 resolved")
    assert second.asset_events == []
