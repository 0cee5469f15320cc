"""What is pinned of the store is what is read back, and nothing else ever is."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tars_ops.adapters.catalogue import (
    ANOMALY_EVENTS,
    DAILY_STABILITY,
    DAILY_TELEMETRY,
    STAGING_TELEMETRY,
    Kind,
)
from tars_ops.adapters.references import find_references, pinned_day, pinned_staging
from tars_ops.adapters.registry import Registry
from tars_ops.adapters.store import Store
from tars_ops.core.errors import TamperedError
from tars_ops.core.release import Release
from tars_ops.core.watch.references import BaselineKind, ReferenceBaselines
from tars_ops.core.watch.staging import StagingTelemetry, not_staged, staged
from tars_ops_tests.adapters.damage import flip_a_byte, lose
from tars_ops_tests.adapters.factories import AS_OF, POLICY_TEXT, RELEASE, STAGING, telemetry, values, week

NEXT = RELEASE.model_copy(
    update={"version": "1.0.2", "ga_at": RELEASE.ga_at + timedelta(days=8), "previous": RELEASE.key}
)
NO_STAGING = not_staged(NEXT, STAGING, "no answer from the server")
DAY_1 = f"{RELEASE.key}/stability/day_01"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """The days of a release, and the next one registered."""
    store = Store.at(str(tmp_path))
    for one in (RELEASE, NEXT):
        Registry(store).add(one, POLICY_TEXT)
    made = values(week())
    for kind in (DAILY_TELEMETRY, DAILY_STABILITY, ANOMALY_EVENTS):
        for at, value in made[kind.asset].items():
            store.put(kind.key(RELEASE.key, at), kind.encode(value, at))
    return store


def put_staging(store: Store, found: StagingTelemetry) -> ReferenceBaselines:
    store.put(STAGING_TELEMETRY.key(NEXT.key), STAGING_TELEMETRY.encode(found, ""))
    return find_references(store, NEXT, found.day)


def find(store: Store, of: Release = NEXT) -> ReferenceBaselines:
    return find_references(store, of, NO_STAGING.day)


# -- pinning ----------------------------------------------------------------------------------------------------------


def test_every_stored_day_of_the_release_before_is_pinned_by_the_digests_of_its_files(store: Store) -> None:
    found = find(store)

    pointer = store.pointer(f"{DAY_1}/telemetry")
    assert pointer
    assert (found.previous, found.days) == (RELEASE.key, tuple(range(1, AS_OF + 1)))
    assert found.previous_days[0].telemetry.version == 1
    assert found.previous_days[0].telemetry.files == {path: one.sha256 for path, one in pointer.files.items()}
    assert BaselineKind.PREVIOUS_RELEASE not in found.absent


def test_days_beyond_the_end_of_the_watch_are_pinned_for_the_case_that_it_is_extended(store: Store) -> None:
    assert find(store, NEXT.model_copy(update={"n_days": 1})).days == tuple(range(1, AS_OF + 1))


def test_a_day_that_was_fetched_and_not_judged_is_pinned_without_a_judgement(store: Store, tmp_path: Path) -> None:
    for kind in ("summary", "anomalies"):
        lose(str(tmp_path), f"{DAY_1}/{kind}")

    first = find(store).previous_days[0]

    assert (first.day, first.stability, first.anomalies) == (1, None, None)
    assert find(store).previous_days[1].stability is not None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"previous": None}, "no release before it is registered"),
        ({"previous": "other@1.0.1"}, "other@1.0.1, the release before it, is of another product"),
        ({"previous": "tars@0.9"}, "tars@0.9, the release before it, was not registered when the watch opened"),
        ({"day_length_s": 3600}, "a day of tars@1.0.1 has 86400 s, one of tars@1.0.2 has 3600 s"),
        ({"version": "1.0.3", "previous": "tars@1.0.2"}, "no day of tars@1.0.2 was in the store when the watch opened"),
    ],
)
def test_a_release_before_that_cannot_be_compared_with_has_its_reason(
    store: Store, changes: dict[str, object], why: str
) -> None:
    found = find(store, NEXT.model_copy(update=changes))

    assert found.previous_days == ()
    assert found.absent[BaselineKind.PREVIOUS_RELEASE] == why


def test_staging_is_pinned_where_it_is_known_and_its_reason_where_not(store: Store) -> None:
    unknown = put_staging(store, NO_STAGING)
    known = put_staging(store, staged(NEXT, STAGING, telemetry(NEXT.day_before_ga)))

    assert (unknown.staging, unknown.absent[BaselineKind.STAGING]) == (None, "no answer from the server")
    assert known.staging
    assert (known.staging.selector, known.staging.telemetry.version) == (STAGING, 2)
    assert "ga/staging_telemetry/samples.parquet" in known.staging.telemetry.files
    assert BaselineKind.STAGING not in known.absent


def test_no_release_comes_before_itself() -> None:
    with pytest.raises(ValueError, match="cannot be the release before itself"):
        Release.model_validate({**RELEASE.model_dump(), "previous": RELEASE.key})


# -- reading back -----------------------------------------------------------------------------------------------------


def test_a_pinned_day_is_read_as_it_was_stored(store: Store) -> None:
    made = values(week())

    found = pinned_day(store, find(store), 1)

    assert (found.release, found.day) == (RELEASE.key, 1)
    assert found.telemetry.sha256 == telemetry(RELEASE.window(1), seed=1).sha256
    assert found.stability == made["daily_stability"]["day_01"]
    assert found.anomalies == made["anomaly_events"]["day_01"]


def test_a_day_that_is_judged_again_later_is_still_read_as_it_was_pinned(store: Store) -> None:
    pinned = find(store)
    other = DAILY_TELEMETRY.encode(telemetry(RELEASE.window(1), seed=9), "day_01")

    store.put(f"{DAY_1}/telemetry", other)

    assert pinned_day(store, pinned, 1).telemetry.sha256 == telemetry(RELEASE.window(1), seed=1).sha256
    assert pinned_day(store, find(store), 1).telemetry.sha256 == telemetry(RELEASE.window(1), seed=9).sha256


def test_staging_is_read_as_telemetry_of_the_release_itself(store: Store) -> None:
    pinned = put_staging(store, staged(NEXT, STAGING, telemetry(NEXT.day_before_ga)))

    found = pinned_staging(store, pinned)

    assert found
    assert (found.release, found.day) == (NEXT.key, None)
    assert found.telemetry.sha256 == telemetry(NEXT.day_before_ga).sha256
    assert pinned_staging(store, find(store)) is None


def test_a_day_that_is_not_pinned_is_no_reference(store: Store) -> None:
    with pytest.raises(KeyError):
        pinned_day(store, find(store), AS_OF + 1)


@pytest.mark.parametrize("kind", [DAILY_TELEMETRY, DAILY_STABILITY, ANOMALY_EVENTS], ids=lambda kind: kind.asset)
def test_a_flipped_byte_of_a_reference_is_told_before_it_is_compared_with(
    store: Store, tmp_path: Path, kind: Kind
) -> None:
    pinned = find(store)
    flip_a_byte(str(tmp_path), kind.key(RELEASE.key, "day_01"))

    with pytest.raises(TamperedError, match="differs from its digest"):
        pinned_day(store, pinned, 1)


def test_a_pinned_version_that_is_gone_or_another_one_is_no_reference(store: Store, tmp_path: Path) -> None:
    pinned, key = find(store), f"{DAY_1}/telemetry"
    lose(str(tmp_path), key)

    with pytest.raises(TamperedError, match=r"version 1 of .*/telemetry is gone from the store"):
        pinned_day(store, pinned, 1)

    store.put(key, DAILY_TELEMETRY.encode(telemetry(RELEASE.window(1), seed=9), "day_01"))
    with pytest.raises(TamperedError, match=r"version 1 of .*/telemetry is not the one that was pinned"):
        pinned_day(store, pinned, 1)
