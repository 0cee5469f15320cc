"""Keys that break nothing, and windows that leave no second out and count none twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from tars_ops.core.errors import UsageError
from tars_ops.core.release import Release, checked_key, day_key, day_number, instant, millis
from tars_ops_tests.core.factories import GA_AT, release

HOSTILE_KEYS = {
    "empty": "",
    "no version": "tars",
    "empty version": "tars@",
    "empty product": "@1.0.1",
    "parent directory": "../x",
    "parent directory as a version": "tars@../x",
    "two dots": "tars@1..2",
    "only dots": "..@..",
    "slash": "tars@1/2",
    "backslash": "tars@1\\2",
    "separator of multi-partition keys": "a|b@1",
    "separator of key lists": "a,b@1",
    "separator in the version": "a@1|2",
    "newline": "tars@1.0.1\n",
    "newline inside": "tars@1\n.0",
    "null character": "tars@1\x00",
    "blank": "tars@1 0",
    "two at signs": "tars@1@2",
    "300 characters": "t" * 300 + "@1",
    "33 characters": "t" * 33 + "@1",
    "long version": "tars@" + "1" * 33,
    "upper-case product": "TARS@1",
    "cyrillic a": "t\u0430rs@1",
    "full-width digit": "tars@\uff11",
    "arabic digit": "tars@\u0663",
    "shell": "tars@$(id)",
    "wildcard": "tars@*",
    "leading dot": ".tars@1",
    "leading dash": "-tars@1",
    "template": "tars@{{1}}",
}


@pytest.mark.parametrize("key", HOSTILE_KEYS.values(), ids=HOSTILE_KEYS.keys())
def test_a_hostile_key_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="is not `product@version`"):
        checked_key(key)


@pytest.mark.parametrize("key", HOSTILE_KEYS.values(), ids=HOSTILE_KEYS.keys())
def test_no_release_and_no_predecessor_can_have_a_hostile_key(key: str) -> None:
    product, _, version = key.partition("@")

    with pytest.raises(ValidationError):
        release(product=product, version=version)
    if key:
        with pytest.raises(ValidationError):
            release(previous=key)


@pytest.mark.parametrize("key", ["tars@1.0.1", "a@1", "my-app_2.x@2025.11.18+build.7", "t" * 32 + "@" + "1" * 32])
def test_a_usual_key_is_kept_as_it_is(key: str) -> None:
    product, _, version = key.partition("@")

    assert checked_key(key) == key
    assert release(product=product, version=version).key == key


@given(st.integers(1, 99))
def test_a_day_key_names_its_day(day: int) -> None:
    assert day_number(day_key(day)) == day


@pytest.mark.parametrize("day", [-1, 0, 100])
def test_there_is_no_key_of_a_day_outside_a_watch(day: int) -> None:
    with pytest.raises(UsageError, match=r"1\.\.99"):
        day_key(day)


@pytest.mark.parametrize("key", ["", "day_3", "day_003", "day_03\n", "day_-1", "Day_03", "day_\u0660\u0663", "day_1e"])
def test_what_is_no_day_key_is_refused(key: str) -> None:
    with pytest.raises(UsageError, match="is not a day key"):
        day_number(key)


@given(st.integers(0, 6), st.integers(10, 86400))
def test_a_day_ends_where_the_next_one_starts(day: int, length_s: int) -> None:
    watched = release(day_length_s=length_s)

    assert watched.window(day).end_at == watched.window(day + 1).start_at
    assert watched.window(day).end_ms == watched.window(day + 1).start_ms
    assert watched.window(day).length_s == length_s


def test_the_ga_day_starts_at_ga_and_is_not_a_day_of_the_watch() -> None:
    watched = release()

    assert watched.window(0).start_at == GA_AT
    assert list(watched.days) == [1, 2, 3, 4, 5, 6, 7]


@pytest.mark.parametrize("day", [-1, 8])
def test_there_is_no_window_outside_the_watch(day: int) -> None:
    with pytest.raises(UsageError, match="watched for 7 days"):
        release().window(day)


def test_a_stamp_without_a_zone_is_refused() -> None:
    with pytest.raises(ValidationError, match="has no time zone"):
        release(ga_at=datetime(2025, 11, 18))  # noqa: DTZ001 - this is the mistake


@pytest.mark.parametrize("text", ["2025-11-18T00:00:00", "2025-11-18"])
def test_a_written_stamp_without_a_zone_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        release(ga_at=text)


@pytest.mark.parametrize("microsecond", [1, 500_000, 999_999])
def test_a_fraction_of_a_second_is_refused(microsecond: int) -> None:
    with pytest.raises(ValidationError, match="finer than a second"):
        release(ga_at=GA_AT.replace(microsecond=microsecond))


def test_another_zone_is_the_same_instant_in_utc() -> None:
    berlin = release(ga_at=datetime(2025, 11, 18, 1, tzinfo=ZoneInfo("Europe/Berlin")))

    assert berlin.ga_at == GA_AT
    assert berlin.ga_at.tzinfo is UTC
    assert berlin.window(3) == release().window(3)


@pytest.mark.parametrize("night", [datetime(2025, 3, 30, tzinfo=UTC), datetime(2025, 10, 26, tzinfo=UTC)])
def test_the_night_when_the_clocks_change_has_24_hours(night: datetime) -> None:
    local = night.astimezone(ZoneInfo("Europe/Berlin"))

    assert [release(ga_at=local).window(day).length_s for day in range(8)] == [86400] * 8


def test_a_leap_day_is_a_day_of_the_watch() -> None:
    watched = release(ga_at=datetime(2028, 2, 27, tzinfo=UTC))

    assert watched.window(2).start_at == datetime(2028, 2, 29, tzinfo=UTC)
    assert watched.window(3).start_at == datetime(2028, 3, 1, tzinfo=UTC)


@given(st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - bounds are naive
def test_milliseconds_lose_nothing_above_a_millisecond(moment: datetime) -> None:
    lost = moment - instant(millis(moment))

    assert timedelta(0) <= lost < timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("field", "value"), [("day_length_s", 9), ("day_length_s", 86401), ("n_days", 0), ("n_days", 100)]
)
def test_a_watch_has_days_of_a_sensible_length_and_number(field: str, value: int) -> None:
    with pytest.raises(ValidationError):
        release(**{field: value})


def test_a_release_survives_json() -> None:
    watched = release(commit="0123abc", previous="tars@1.0.0")

    assert Release.model_validate_json(watched.model_dump_json()) == watched
