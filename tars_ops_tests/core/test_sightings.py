"""What is made of versions that come, go, come back and overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.release import Window
from tars_ops.core.sightings import MOST_AT_ONCE, MOST_VERSIONS, Event, Known, Look, Releases, Sight, look, spans

T0 = datetime(2026, 3, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
Stretch = tuple[int, int]
NONE = Releases({})


def at(minute: int) -> datetime:
    return T0 + minute * MINUTE


def between(*stretches: Stretch) -> tuple[Window, ...]:
    """Spans as a server would tell them: minute by minute."""
    return spans((at(minute) for start, end in stretches for minute in range(start, end)), MINUTE)


def looked(
    known: Known | None,
    seen: Mapping[str, Sequence[Stretch]],
    window: Stretch,
    releases: Releases = NONE,
    product: str = "tars",
) -> Look:
    found = {version: between(*stretches) for version, stretches in seen.items()}
    return look(known, found, Window(at(window[0]), at(window[1])), product=product, releases=releases)


def said(found: Look) -> list[tuple[str, str, int]]:
    return [(event.sight.value, event.release, int((event.at - T0) / MINUTE)) for event in found.events]


def only(found: Look) -> Event:
    assert len(found.events) == 1
    return found.events[0]


def test_a_version_that_was_never_seen_begins_at_its_first_sight() -> None:
    found = looked(None, {"1.0.0": [(0, 300)], "1.0.1": [(200, 300)]}, (0, 300))

    assert said(found) == [("began", "tars@1.0.1", 200)]
    assert only(found).other == "tars@1.0.0"


def test_a_version_at_the_left_edge_ran_before_and_begins_nothing() -> None:
    found = looked(None, {"1.0.0": [(9, 300)], "1.0.1": [(10, 300)]}, (0, 300))

    assert found.running_before == ("1.0.0",)
    assert said(found) == [("began", "tars@1.0.1", 10)]


def test_a_later_look_has_no_left_edge() -> None:
    first = looked(None, {}, (0, 300))

    found = looked(first.known, {"1.0.0": [(290, 310)]}, (290, 310))

    assert said(found) == [("began", "tars@1.0.0", 290)]


def test_the_same_look_again_tells_nothing_new() -> None:
    seen = {"1.0.0": [(0, 300)], "1.0.1": [(200, 230), (250, 300)]}
    first = looked(None, seen, (0, 300))
    registered = Releases({"1.0.1": at(200)})

    again = looked(first.known, seen, (0, 300), registered)

    assert again.events == ()
    assert again.known == first.known


def test_a_look_that_forgot_everything_registers_nothing_twice() -> None:
    found = looked(None, {"1.0.1": [(200, 300)]}, (0, 300), Releases({"1.0.1": at(200)}))

    assert found.events == ()


@pytest.mark.parametrize(("gap", "flaps"), [(9, 0), (10, 1), (60, 1)])
def test_ten_minutes_away_and_back_is_a_flap_and_less_is_a_lost_scrape(gap: int, flaps: int) -> None:
    first = looked(None, {"1.0.1": [(100, 200)]}, (0, 200))
    registered = Releases({"1.0.1": at(100)})

    within = looked(None, {"1.0.1": [(100, 150), (150 + gap, 300)]}, (0, 300), registered)
    between_looks = looked(first.known, {"1.0.1": [(200 + gap, 300)]}, (190, 300), registered)

    assert said(within) == [("flapped", "tars@1.0.1", 150 + gap)] * flaps
    assert said(between_looks) == [("flapped", "tars@1.0.1", 200 + gap)] * flaps


def test_a_flap_is_told_once_although_looks_overlap() -> None:
    registered = Releases({"1.0.1": at(100)})
    first = looked(None, {"1.0.1": [(100, 150), (165, 170)]}, (0, 170), registered)

    again = looked(first.known, {"1.0.1": [(140, 150), (165, 180)]}, (140, 180), registered)

    assert [event.sight for event in first.events] == [Sight.FLAPPED]
    assert again.events == ()


@pytest.mark.parametrize(("minute", "told"), [(214, []), (215, ["went_back"]), (500, ["went_back"])])
def test_a_release_that_is_gone_while_an_older_version_serves_went_back(minute: int, told: list[str]) -> None:
    registered = Releases({"1.0.1": at(100)})
    found = looked(None, {"1.0.0": [(0, minute)], "1.0.1": [(100, 200)]}, (0, minute), registered)

    assert [event.sight.value for event in found.events] == told
    assert all((event.other, event.at) == ("tars@1.0.0", at(200)) for event in found.events)


def test_a_release_that_is_gone_while_a_newer_release_serves_is_superseded() -> None:
    registered = Releases({"1.0.1": at(100), "1.0.2": at(200)})
    found = looked(None, {"1.0.1": [(100, 210)], "1.0.2": [(200, 300)]}, (0, 300), registered)

    assert said(found) == [("superseded", "tars@1.0.1", 210)]
    assert only(found).other == "tars@1.0.2"


def test_a_release_can_be_superseded_in_the_look_that_finds_its_successor() -> None:
    first = looked(None, {"1.0.1": [(20, 100)]}, (0, 100))

    found = looked(first.known, {"1.0.1": [(90, 110)], "1.0.2": [(105, 200)]}, (90, 200), Releases({"1.0.1": at(20)}))

    assert said(found) == [("began", "tars@1.0.2", 105), ("superseded", "tars@1.0.1", 110)]


def test_overlapping_versions_are_both_watched() -> None:
    found = looked(None, {"1.0.1": [(100, 300)], "1.0.2": [(200, 300)]}, (0, 300))

    assert said(found) == [("began", "tars@1.0.1", 100), ("began", "tars@1.0.2", 200)]


def test_an_absence_is_told_once_until_the_version_was_back() -> None:
    registered = Releases({"1.0.1": at(100)})
    seen = {"1.0.0": [(0, 300)], "1.0.1": [(100, 200)]}
    first = looked(None, seen, (0, 300), registered)
    later = looked(first.known, {"1.0.0": [(290, 400)]}, (290, 400), registered)
    back = looked(later.known, {"1.0.0": [(390, 500)], "1.0.1": [(410, 420)]}, (390, 500), registered)

    assert [event.sight for event in first.events] == [Sight.WENT_BACK]
    assert later.events == ()
    assert said(back) == [("flapped", "tars@1.0.1", 410), ("went_back", "tars@1.0.1", 420)]


def test_nothing_is_concluded_from_silence() -> None:
    """Where no version is seen, the server or its targets are down: that is no roll back."""
    registered = Releases({"1.0.1": at(100), "1.0.2": at(200)})
    first = looked(None, {"1.0.1": [(100, 300)], "1.0.2": [(200, 300)]}, (0, 300), registered)

    found = looked(first.known, {}, (290, 1000), registered)

    assert found.events == ()


def test_nothing_more_happens_to_a_closed_release() -> None:
    closed = Releases({"1.0.1": at(100)}, closed={"1.0.1"})
    seen = {"1.0.0": [(0, 300)], "1.0.1": [(100, 150), (170, 200)]}

    assert looked(None, seen, (0, 300), closed).events == ()


HOSTILE = ["evil|name,x", "v" * 300, "\u0662.0", "", "1..0", "1.0\n", "a b", "../x", "\u202e1.0"]


@pytest.mark.parametrize("version", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_version_is_refused_with_a_reason_and_hides_no_other(version: str) -> None:
    found = looked(None, {version: [(100, 300)], "1.0.1": [(100, 300)]}, (0, 300))

    assert said(found) == [("began", "tars@1.0.1", 100)]
    assert len(found.refused) == 1
    assert "is no release" in found.refused[0]
    assert len(found.refused[0]) < 250
    assert found.refused[0].isprintable()
    assert [one.version for one in found.known.versions] == ["1.0.1"] if found.known else False


def test_a_label_that_holds_no_versions_registers_nothing_until_it_is_mended() -> None:
    seen = {f"r{number}": [(100, 300)] for number in range(MOST_AT_ONCE + 1)}

    found = looked(None, seen, (0, 300))

    assert (found.events, found.known) == ((), None)
    assert "version_label" in found.refused[0]


def test_what_is_remembered_is_bounded_and_forgets_the_oldest() -> None:
    known = None
    for number in range(2 * MOST_VERSIONS):
        known = looked(known, {f"1.{number}": [(number * 100 + 20, number * 100 + 30)]}, (0, number * 100 + 50)).known

    assert known is not None
    assert len(known.versions) == MOST_VERSIONS
    assert f"1.{2 * MOST_VERSIONS - 1}" in {one.version for one in known.versions}
    assert len(known.model_dump_json()) < 20_000


presence = st.lists(st.booleans(), min_size=120, max_size=120)


@given(st.dictionaries(st.sampled_from(["1.0.0", "1.0.1", "1.0.2"]), presence, min_size=1), st.integers(20, 100))
def test_two_looks_find_the_releases_that_one_look_finds(there: dict[str, list[bool]], cut: int) -> None:
    def seen(start: int, end: int) -> dict[str, list[Stretch]]:
        return {v: [(m, m + 1) for m in range(start, end) if bits[m]] for v, bits in there.items()}

    whole = looked(None, seen(0, 120), (0, 120))
    first = looked(None, seen(0, cut), (0, cut))
    registered = Releases({event.release.partition("@")[2]: event.at for event in first.events})
    second = looked(first.known, seen(max(0, cut - 10), 120), (max(0, cut - 10), 120), registered)

    def began(*looks: Look) -> set[tuple[str, datetime]]:
        return {(e.release, e.at) for one in looks for e in one.events if e.sight is Sight.BEGAN}

    assert began(first, second) == began(whole)
