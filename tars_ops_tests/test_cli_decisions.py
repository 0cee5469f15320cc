"""Does the command line record what somebody decides, and show how a release came where it is?"""

from __future__ import annotations

import getpass
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tars_ops.adapters.history import HISTORY
from tars_ops_tests.live.command import Home

KEY = "tars@1.0.1"
ADD = ("release", "add", KEY, "--ga", "2025-11-18T00:00:00Z", "--days", "3")
DECIDE = ("release", "decide", KEY)
BECAUSE = ("--why", "known and accepted")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home with one release that nothing was judged of."""
    made = Home(tmp_path, "recording:demo")
    assert made.call(*ADD).code == 0
    return made


def told(home: Home) -> list[tuple[str, str]]:
    shown = home.call("release", "show", KEY, "--json").json
    return [(one["code"], one["to_state"]) for one in shown["history"]]


def test_a_registered_release_begins_its_history_and_adding_it_again_adds_nothing(home: Home) -> None:
    home.call(*ADD)

    assert told(home) == [("registered", "candidate"), ("ga_started", "baselining")]


def test_a_release_of_tomorrow_is_a_candidate(tmp_path: Path) -> None:
    home = Home(tmp_path, "recording:demo")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0).isoformat()
    home.call("release", "add", KEY, "--ga", tomorrow)

    assert told(home) == [("registered", "candidate")]


def test_a_decision_is_recorded_with_who_and_why_and_shown(home: Home) -> None:
    home.call("watch", KEY, "--day", "1")
    closer = home.call(*DECIDE, "watch-closer", *BECAUSE, "--by", "Ada Lovelace")
    kept = home.call(*DECIDE, "keep", *BECAUSE, "--json")
    shown = home.call("release", "show", KEY)
    listed = home.call("release", "list")

    assert (closer.code, kept.code) == (0, 0), closer.err + kept.err
    assert closer.out == f"{KEY} is at risk: watch-closer decided by Ada Lovelace (known and accepted)\n"
    assert {name: kept.json[name] for name in ("code", "to_state", "by", "why")} == {
        "code": "decided_keep",
        "to_state": "watching",
        "by": getpass.getuser(),
        "why": "known and accepted",
    }
    assert "state            watching" in shown.out
    assert "at_risk -> watching" in shown.out
    assert "Ada Lovelace" in shown.out
    assert listed.out.split() == [KEY, "GA", "2025-11-18T00:00:00+00:00", "3", "days", "watching"]


def test_what_a_person_decided_is_not_undone_by_judging_the_same_day_again(home: Home) -> None:
    home.call("watch", KEY, "--day", "2")
    home.call(*DECIDE, "watch-closer", *BECAUSE)

    home.call("watch", KEY, "--day", "2")

    assert told(home)[-1] == ("decided_watch_closer", "at_risk")


def test_a_release_that_is_rolled_back_stays_so(home: Home) -> None:
    back = home.call(*DECIDE, "roll-back", *BECAUSE)
    kept = home.call(*DECIDE, "keep", *BECAUSE)

    assert back.code == 0, back.err
    assert kept.code == 64
    assert "that is rolled_back; what may happen: nothing any more" in kept.err
    assert told(home)[-1] == ("decided_roll_back", "rolled_back")


def test_an_extended_release_has_more_days_and_may_be_added_again_as_it_was(home: Home) -> None:
    extended = home.call(*DECIDE, "extend", *BECAUSE, "--days", "5")
    again = home.call(*ADD)
    listed = json.loads(home.call("release", "list", "--json").out)

    assert (extended.code, again.code) == (0, 0), extended.err + again.err
    assert [(one["n_days"], one["state"]) for one in listed] == [(5, "baselining")]


@pytest.fixture(scope="module")
def unmoved(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home on which everything is refused."""
    made = Home(tmp_path_factory.mktemp("unmoved"), "recording:demo")
    assert made.call(*ADD).code == 0
    return made


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("keep",), "Missing option '--why'"),
        (("maybe", *BECAUSE), "'maybe' is not one of"),
        (("keep", *BECAUSE), "decided_keep may not happen to a release that is baselining"),
        (("keep", *BECAUSE, "--by", ""), "--by"),
        (("extend", *BECAUSE, "--days", "8"), "TARS_OPS_WATCH_DAYS"),
    ],
)
def test_a_decision_that_cannot_be_says_why(unmoved: Home, args: tuple[str, ...], said: str) -> None:
    done = unmoved.run(*DECIDE, *args)

    assert (done.code, done.out) == (64, "")
    assert said in done.err


def test_a_history_that_was_changed_is_tampered(home: Home) -> None:
    (home.root / "store" / "pointers" / KEY / HISTORY / "000001.json").unlink()

    shown = home.call("release", "show", KEY)
    decided = home.call(*DECIDE, "roll-back", *BECAUSE)

    assert (shown.code, decided.code) == (12, 12)
    assert "some are gone" in shown.err


def test_a_stored_release_is_judged_again_by_the_policy_as_it_is_now(home: Home) -> None:
    policies = home.root / "policies"
    policies.mkdir()
    text = (home.policies / "tars.yaml").read_text()
    (policies / "tars.yaml").write_text(text.replace("objective: 0.999", "objective: 0.9999"))
    home.call("watch", KEY, "--day", "1")
    before = home.stability(KEY, 1)

    done = replace(home, policies=policies).call("release", "repin", KEY, *BECAUSE, "--by", "ann")
    after = home.stability(KEY, 1)

    assert (done.code, "1 days judged again" in done.out) == (0, True), done.err
    assert after.telemetry_sha256 == before.telemetry_sha256
    assert after.policy_sha256 != before.policy_sha256
    assert home.regression(KEY, 1).policy_sha256 == after.policy_sha256
    assert ("policy_changed", "watching") in told(home)
