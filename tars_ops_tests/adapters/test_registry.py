"""Which releases are known, and what a registered one can no longer become."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tars_ops.adapters.registry import ENTRY, Registry
from tars_ops.adapters.store import Store
from tars_ops.core.errors import ConfigurationError, ContractError, MissingInputError, TamperedError, UsageError
from tars_ops.core.release import Release
from tars_ops_tests.adapters.factories import POLICY, POLICY_TEXT, RELEASE


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.at(str(tmp_path))


def changed(**changes: Any) -> Release:
    return Release.model_validate({**RELEASE.model_dump(), **changes})


def pinned_to(text: bytes, **changes: Any) -> Release:
    return changed(policy_sha256=hashlib.sha256(text).hexdigest(), **changes)


def test_a_registered_release_is_found_with_its_policy(store: Store) -> None:
    added = Registry(store).add(RELEASE, POLICY_TEXT)
    found = Registry(store).get(RELEASE.key)

    assert found == added
    assert (found.release, found.policy, found.policy_text) == (RELEASE, POLICY, POLICY_TEXT)


def test_registering_again_changes_nothing(store: Store) -> None:
    for _ in range(3):
        Registry(store).add(RELEASE, POLICY_TEXT)

    assert store.versions(f"{RELEASE.key}/{ENTRY}") == [1]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_days": 3}, "n_days"),
        ({"ga_at": RELEASE.ga_at + timedelta(hours=1)}, "ga_at"),
        ({"n_days": 3, "commit": "abcdef0"}, "n_days, commit"),
        ({"day_length_s": 3600}, "day_length_s"),
        ({"previous": "tars@1.0.0"}, "previous"),
        ({"artifact_sha256": "f" * 64}, "artifact_sha256"),
    ],
)
def test_a_changed_entry_is_refused_with_what_changed(store: Store, changes: dict[str, Any], named: str) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)

    with pytest.raises(UsageError, match=f"with another {named};"):
        Registry(store).add(changed(**changes), POLICY_TEXT)
    assert Registry(store).get(RELEASE.key).release == RELEASE


def test_an_extended_release_changes_in_nothing_but_its_days(store: Store) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)

    extended = Registry(store).extend(RELEASE.key, 9, longest=9)

    assert extended.release == changed(n_days=9)
    assert Registry(store).get(RELEASE.key) == extended
    assert store.versions(f"{RELEASE.key}/{ENTRY}") == [1, 2]


def test_an_entry_that_was_extended_may_be_added_again_as_it_ever_was(store: Store) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)
    for n_days in (9, 9, 11):
        Registry(store).extend(RELEASE.key, n_days, longest=99)

    again = [Registry(store).add(changed(n_days=n_days), POLICY_TEXT).release.n_days for n_days in (7, 9, 11)]

    assert again == [11, 11, 11]
    assert store.versions(f"{RELEASE.key}/{ENTRY}") == [1, 2, 3]


@pytest.mark.parametrize("changes", [{"n_days": 8}, {"n_days": 12}, {"n_days": 7, "commit": "abcdef0"}], ids=str)
def test_an_entry_that_an_extended_release_never_had_is_refused(store: Store, changes: dict[str, Any]) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)
    Registry(store).extend(RELEASE.key, 9, longest=99)

    with pytest.raises(UsageError, match="is registered with another"):
        Registry(store).add(changed(**changes), POLICY_TEXT)


@pytest.mark.parametrize(
    ("n_days", "longest", "said"),
    [(6, 99, "watched for 7 days already; a watch is never shortened"), (10, 9, "at most 9 days .TARS_OPS_WATCH_DAYS")],
)
def test_a_watch_is_neither_shortened_nor_longer_than_the_deployment(
    store: Store, n_days: int, longest: int, said: str
) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)

    with pytest.raises(UsageError, match=said):
        Registry(store).extend(RELEASE.key, n_days, longest=longest)
    assert store.versions(f"{RELEASE.key}/{ENTRY}") == [1]


def test_another_policy_is_another_entry(store: Store) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)
    edited = POLICY_TEXT + b"# tighter from now on\n"

    with pytest.raises(UsageError, match="another policy_sha256"):
        Registry(store).add(pinned_to(edited), edited)


def test_a_policy_that_is_not_the_pinned_one_is_refused(store: Store) -> None:
    with pytest.raises(UsageError, match="is pinned to policy"):
        Registry(store).add(RELEASE, POLICY_TEXT + b"\n")
    assert store.roots() == []


def test_a_broken_policy_is_refused_and_nothing_is_kept(store: Store) -> None:
    with pytest.raises(ConfigurationError):
        Registry(store).add(pinned_to(b"product: tars\n"), b"product: tars\n")
    assert store.roots() == []


def test_a_day_that_is_no_whole_number_of_slots_is_refused(store: Store) -> None:
    slot_s = POLICY.measurement.slot_s

    with pytest.raises(UsageError, match=f"no multiple of measurement.slot_s \\({slot_s}\\)"):
        Registry(store).add(changed(day_length_s=slot_s * 3 + 1), POLICY_TEXT)
    assert store.roots() == []


def test_a_day_of_whole_slots_is_accepted(store: Store) -> None:
    short = changed(day_length_s=POLICY.measurement.slot_s * 3)

    assert Registry(store).add(short, POLICY_TEXT).release == short


def test_an_unknown_release_is_told_with_the_known_ones(store: Store) -> None:
    for version in ("1.0.1", "0.9"):
        Registry(store).add(changed(version=version), POLICY_TEXT)

    with pytest.raises(MissingInputError, match=r"known: tars@0\.9, tars@1\.0\.1"):
        Registry(store).get("tars@2")


def test_in_an_empty_registry_none_is_known(store: Store) -> None:
    assert Registry(store).all_keys() == []
    with pytest.raises(MissingInputError, match="known: none"):
        Registry(store).get("tars@2")


@pytest.mark.parametrize(
    "key",
    [
        "",
        "tars",
        "tars@",
        "@1",
        "../x@1",
        "tars@../x",
        "tars@1..2",
        "/abs@1",
        "tars@1/2",
        "Tars@1",
        "tars@1\n",
        "tars@1 ",
        "tars@1|day_01",
        "tars@1,2",
        f"tars@{'1' * 300}",
        "tars@\ud800",
        "tärs@1",
        "tars@1\0",
        "tars@-1",
    ],
)
def test_a_hostile_key_is_refused_with_an_example(store: Store, key: str) -> None:
    with pytest.raises(UsageError, match=r"for example `tars@1\.0\.1`"):
        Registry(store).get(key)


def test_the_pinned_policy_survives_edits_of_its_file(store: Store, tmp_path: Path) -> None:
    file = tmp_path / "tars.yaml"
    file.write_bytes(POLICY_TEXT)
    Registry(store).add(RELEASE, file.read_bytes())
    file.write_bytes(b"product: somebody else's\n")
    file.unlink()

    assert Registry(store).get(RELEASE.key).policy_text == POLICY_TEXT


def test_only_releases_with_an_entry_are_listed(store: Store) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)
    store.put("tars@3/ga/baseline", {"one.json": b"{}"})
    store.put("notes/release", {"one.json": b"{}"})

    assert Registry(store).all_keys() == ["tars@1.0.1"]


def test_a_changed_entry_on_the_disk_is_told_before_it_is_parsed(store: Store, tmp_path: Path) -> None:
    Registry(store).add(RELEASE, POLICY_TEXT)
    stored = store.pointer(f"{RELEASE.key}/{ENTRY}")
    assert stored
    sha256 = stored.files["release.json"].sha256
    (tmp_path / "objects" / "sha256" / sha256[:2] / sha256).write_bytes(b"not even JSON")

    with pytest.raises(TamperedError):
        Registry(store).get(RELEASE.key)


def test_an_entry_of_an_older_release_of_the_program_says_what_it_lacks(store: Store) -> None:
    store.put(f"{RELEASE.key}/{ENTRY}", {"release.json": b'{"product":"tars"}', "policy.yaml": POLICY_TEXT})

    with pytest.raises(ContractError, match=r"(?s)release\.json is not a Release.*version"):
        Registry(store).get(RELEASE.key)
