"""Is every release registered once, with its GA, and is nothing lost between two ticks?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from tars_ops.adapters.history import History
from tars_ops.adapters.manifests import read_manifests
from tars_ops.adapters.policies import Policies
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.settings import PROJECT
from tars_ops.adapters.store import Store
from tars_ops.core.lifecycle import Code
from tars_ops.core.release import Release, Window
from tars_ops.defs.automation.releases import Finder, releases_are_registered
from tars_ops.defs.registration import PARTITIONS
from tars_ops.defs.resources import SourceResource, StoreResource
from tars_ops_tests.defs.sights import Sights

T0 = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)
TARS = (PROJECT / "policies" / "tars.yaml").read_text()
MANIFEST = 'product: tars\nversion: "1.0.1"\nga_at: {}\n'


def ran(start_h: float, end_h: float) -> Window:
    return Window(T0 + start_h * HOUR, T0 + end_h * HOUR)


class Place:
    """A store, an instance, policies and manifests; ticks are told the time."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance = root, instance
        self.store = Store.at(str(root / "store"))
        self.manifests = root / "releases"
        for product in ("tars", "shop"):
            text = TARS.replace("product: tars", f"product: {product}").replace("tars_build_info", "build_info")
            (root / "policies").mkdir(exist_ok=True)
            (root / "policies" / f"{product}.yaml").write_text(text)
        self.manifests.mkdir()
        self.cursor: str | None = None

    def tick(self, hours: float, sights: Sights | None = None) -> Finder:
        """One tick, so many hours after T0; the cursor is kept as the daemon keeps it."""
        finder = Finder(self.instance, self.store, 7, T0 + hours * HOUR)
        policies = {one.policy.product: one for one in Policies(self.root / "policies").all()}
        finder.follow_manifests(read_manifests(self.manifests), policies)
        finder.announce_all()
        source = sights or Sights()
        self.cursor = finder.follow_sightings(source, policies.values(), self.cursor)  # type: ignore[arg-type]
        return finder

    def release(self, key: str) -> Release:
        return Registry(self.store).get(key).release

    def codes(self, key: str) -> list[Code]:
        return [entry.code for entry in History(self.store).entries(key)]

    @property
    def partitions(self) -> list[str]:
        return sorted(self.instance.get_dynamic_partitions(PARTITIONS))

    def n_announced(self, key: str) -> int:
        records = dg.AssetRecordsFilter(asset_key=dg.AssetKey("releases"), asset_partitions=[key])
        return len(self.instance.fetch_materializations(records, limit=10).records)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    (tmp_path / "instance").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "instance")) as instance:
        yield Place(tmp_path, instance)


def sights(**versions: Window | list[Window]) -> Sights:
    """The versions of tars, by name with ``v`` before and ``_`` for dots."""
    named = {name[1:].replace("_", "."): [w] if isinstance(w, Window) else w for name, w in versions.items()}
    return Sights({"tars": named})


# -- by sight ---------------------------------------------------------------------------------------------------------


def test_a_new_version_is_registered_with_its_first_sight_as_ga(place: Place) -> None:
    found = place.tick(30, sights(v1_0_0=ran(-500, 29), v1_0_1=ran(28.51, 30)))

    release = place.release("tars@1.0.1")
    assert found.found == ["tars@1.0.1"]
    assert (release.ga_at, release.previous, release.n_days) == (T0 + 28.5 * HOUR + MINUTE, "tars@1.0.0", 7)
    assert place.partitions == ["tars@1.0.1"]
    assert place.codes("tars@1.0.1") == [Code.REGISTERED]
    assert place.n_announced("tars@1.0.1") == 1
    assert any("1.0.0 of tars ran before the first look" in remark for remark in found.remarks)


def test_ticks_after_that_change_nothing(place: Place) -> None:
    seen = sights(v1_0_0=ran(-500, 29), v1_0_1=ran(28.5, 100))
    place.tick(30, seen)

    later = [place.tick(30 + n / 60, seen) for n in range(1, 4)]

    assert [one.said() for one in later] == ["no new release"] * 3
    assert place.n_announced("tars@1.0.1") == 1
    assert place.codes("tars@1.0.1") == [Code.REGISTERED]


def test_while_the_source_is_away_the_cursor_stays_and_nothing_is_missed(place: Place) -> None:
    place.tick(0, sights(v1_0_0=ran(-500, 0)))
    before = place.cursor

    away = place.tick(50, Sights(answers=False))
    kept = place.cursor
    back = place.tick(400, sights(v1_0_0=ran(-500, 10), v1_0_1=ran(9, 20), v1_0_2=ran(19, 400)))

    assert kept == before
    assert "the server is away" in away.said()
    assert back.found == ["tars@1.0.1", "tars@1.0.2"]
    assert place.release("tars@1.0.1").ga_at == T0 + 9 * HOUR
    assert place.codes("tars@1.0.1") == [Code.REGISTERED, Code.SUPERSEDED_BY_NEWER]


def test_two_products_never_mix(place: Place) -> None:
    both = Sights({"tars": {"2.0": [ran(5, 30)]}, "shop": {"2.0": [ran(7, 30)], "evil|name,x": [ran(8, 30)]}})

    found = place.tick(30, both)

    assert place.partitions == ["shop@2.0", "tars@2.0"]
    assert place.release("shop@2.0").ga_at == T0 + 7 * HOUR
    assert place.release("shop@2.0").policy_sha256 != place.release("tars@2.0").policy_sha256
    assert "is no release" in found.said()


def test_a_flap_and_a_going_back_are_recorded_once_even_if_the_cursor_is_lost(place: Place) -> None:
    place.tick(2, sights(v1_0_0=ran(-500, 2), v1_0_1=ran(1, 2)))
    seen = sights(v1_0_0=ran(-500, 9), v1_0_1=[ran(1, 3), ran(4, 5)])

    place.tick(4.5, seen)
    place.cursor = None
    place.tick(4.6, seen)
    flapped = place.codes("tars@1.0.1")
    place.tick(6, seen)
    place.cursor = None
    place.tick(7, seen)

    assert flapped == [Code.REGISTERED, Code.FLAPPED]
    assert place.codes("tars@1.0.1") == [Code.REGISTERED, Code.FLAPPED, Code.WENT_BACK]


def test_a_cursor_that_cannot_be_read_is_said_and_nothing_is_registered_twice(place: Place) -> None:
    seen = sights(v1_0_1=ran(1, 9))
    place.tick(2, seen)
    place.cursor = '{"tars": 3}'

    found = place.tick(3, seen)

    assert "the cursor cannot be read" in found.said()
    assert place.n_announced("tars@1.0.1") == 1


# -- half-way ---------------------------------------------------------------------------------------------------------


def registered_only(place: Place) -> None:
    """What a tick leaves that dies after its first step, or a command on another instance."""
    policy = Policies(place.root / "policies").find("tars")
    release = Release(product="tars", version="1.0.1", ga_at=T0, policy_sha256=policy.sha256)
    Registry(place.store).add(release, policy.text)


def with_history(place: Place) -> None:
    registered_only(place)
    History(place.store).record("tars@1.0.1", Code.REGISTERED, at=T0, by="sensor")


@pytest.mark.parametrize("left_behind", [registered_only, with_history])
def test_a_registration_that_stopped_half_way_is_finished_by_the_next_tick(
    place: Place, left_behind: Callable[[Place], None]
) -> None:
    left_behind(place)

    place.tick(1)
    place.tick(2)

    assert place.partitions == ["tars@1.0.1"]
    assert place.codes("tars@1.0.1") == [Code.REGISTERED]
    assert place.n_announced("tars@1.0.1") == 1


def test_a_closed_release_that_was_taken_out_of_the_instance_stays_out(place: Place) -> None:
    with_history(place)
    place.tick(1)
    History(place.store).record("tars@1.0.1", Code.WENT_BACK, at=T0, by="sensor")
    place.instance.delete_dynamic_partition(PARTITIONS, "tars@1.0.1")

    place.tick(2)

    assert place.partitions == []


# -- by manifest ------------------------------------------------------------------------------------------------------


def test_a_manifest_that_is_there_before_the_sight_gives_the_ga(place: Place) -> None:
    (place.manifests / "a.yaml").write_text(MANIFEST.format("2026-03-01T02:30:00Z"))

    place.tick(1, sights(v1_0_0=ran(-500, 4)))
    place.tick(4, sights(v1_0_0=ran(-500, 4), v1_0_1=ran(3, 4)))

    assert place.release("tars@1.0.1").ga_at == T0 + 2.5 * HOUR
    assert place.partitions == ["tars@1.0.1"]


def test_a_manifest_with_another_ga_is_reported_until_it_is_mended_and_moves_nothing(place: Place) -> None:
    seen = sights(v1_0_0=ran(-500, 9), v1_0_1=ran(3, 9))
    place.tick(4, seen)
    (place.manifests / "a.yaml").write_text(MANIFEST.format("2026-03-01T02:30:00Z"))

    said = [place.tick(5 + n, seen).said() for n in range(2)]
    (place.manifests / "a.yaml").write_text(MANIFEST.format("2026-03-01T03:00:00Z"))
    mended = place.tick(7, seen).said()

    assert all("ga_at" in one and "stays so" in one for one in said)
    assert mended == "no new release"
    assert place.release("tars@1.0.1").ga_at == T0 + 3 * HOUR


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("product: [", "this is no YAML"),
        (MANIFEST.format("soon"), "ga_at"),
        (MANIFEST.format("2026-03-01T00:00:00Z").replace("tars", "unknown"), "no policy of product 'unknown'"),
        (MANIFEST.format("2026-03-01T00:00:00Z") + "n_days: 8\n", "TARS_OPS_WATCH_DAYS"),
        (MANIFEST.format("2026-03-01T00:00:00Z") + "day_length_s: 31\n", "slot_s"),
    ],
)
def test_a_bad_manifest_is_reported_every_tick_and_hides_no_other(place: Place, text: str, said: str) -> None:
    (place.manifests / "a.yaml").write_text(text)
    (place.manifests / "b.yaml").write_text(MANIFEST.format("2026-03-01T00:00:00Z").replace("1.0.1", "1.0.2"))

    ticks = [place.tick(hours) for hours in (1, 2)]

    assert all(said in one.said() and "a.yaml" in one.said() for one in ticks)
    assert place.partitions == ["tars@1.0.2"]


def test_a_release_that_was_extended_since_agrees_with_its_manifest(place: Place) -> None:
    (place.manifests / "a.yaml").write_text(MANIFEST.format("2026-03-01T00:00:00Z") + "n_days: 3\n")
    place.tick(1)
    Registry(place.store).extend("tars@1.0.1", 5, longest=7)

    assert place.tick(2).said() == "no new release"


# -- as the daemon evaluates it ---------------------------------------------------------------------------------------


def test_the_sensor_registers_the_release_of_a_recording(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    context = dg.build_sensor_context(
        instance=place.instance,
        resources={
            "store": StoreResource(url=str(tmp_path / "store")),
            "source": SourceResource(address="recording:demo"),
        },
    )

    found = releases_are_registered.evaluate_tick(context)

    assert place.partitions == ["tars@1.0.1"]
    assert place.release("tars@1.0.1").ga_at == datetime(2025, 11, 18, tzinfo=UTC)
    assert found.skip_message == "registered tars@1.0.1"
    assert found.cursor is not None
