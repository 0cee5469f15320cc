"""What the outbox knows of alerts, whoever else writes, dies or damages it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tars_ops.adapters.alerts.notice import AlertState
from tars_ops.adapters.alerts.outbox import KEPT_S, Outbox, Settled
from tars_ops.core.errors import CannotCreateError, ConfigurationError, ContractError, OutboxError, UsageError
from tars_ops.core.verdict import Severity, Verdict
from tars_ops_tests.adapters.alerts.factories import NOW, RELEASE, alert, later, many, outbox_at


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return outbox_at(tmp_path)


def states(outbox: Outbox) -> dict[str, str]:
    return {one.alert.service: one.state.value for one in outbox.standing(now=NOW)}


def test_what_is_settled_fires_and_what_is_absent_resolves(outbox: Outbox) -> None:
    first = outbox.settle(RELEASE, [alert("a"), alert("b")], now=NOW)
    second = outbox.settle(RELEASE, [alert("b", severity=Severity.CRITICAL), alert("c")], now=NOW)

    assert first == Settled(n_new=2)
    assert second == Settled(n_new=1, n_changed=1, n_resolved=1)
    assert states(outbox) == {"a": "resolved", "b": "firing", "c": "firing"}


def test_the_same_set_again_writes_nothing(outbox: Outbox, tmp_path: Path) -> None:
    outbox.settle(RELEASE, many(5), now=NOW)
    before = (tmp_path / "outbox.sqlite-wal").read_bytes()

    assert outbox.settle(RELEASE, many(5), now=later(60)) == Settled()
    assert outbox.settle("other@1", [], now=later(60)) == Settled()
    assert (tmp_path / "outbox.sqlite-wal").read_bytes() == before


def test_a_firing_alert_keeps_its_earliest_start(outbox: Outbox) -> None:
    early, late = datetime(2025, 11, 19, tzinfo=UTC), datetime(2025, 11, 20, tzinfo=UTC)
    outbox.settle(RELEASE, [alert("a", since_at=early), alert("b", since_at=late)], now=NOW)
    outbox.settle(RELEASE, [alert("a", since_at=late), alert("b", since_at=early)], now=NOW)

    assert {one.alert.since_at for one in outbox.standing(now=NOW)} == {early}


def test_an_alert_that_fires_again_starts_anew(outbox: Outbox) -> None:
    late = datetime(2025, 11, 20, 12, tzinfo=UTC)
    outbox.settle(RELEASE, [alert()], now=NOW)
    outbox.settle(RELEASE, [], now=NOW)
    again = outbox.settle(RELEASE, [alert(since_at=late)], now=NOW)
    (one,) = outbox.standing(now=NOW)

    assert again == Settled(n_new=1)
    assert (one.state, one.revision, one.alert.since_at, one.resolved_at) == (AlertState.FIRING, 3, late, None)


def test_releases_do_not_resolve_each_other(outbox: Outbox) -> None:
    outbox.settle(RELEASE, [alert("a")], now=NOW)
    outbox.settle("tars@1.0.2", [alert("b", release="tars@1.0.2")], now=NOW)

    assert states(outbox) == {"a": "firing", "b": "firing"}


@pytest.mark.parametrize("alerts", [[alert(release="tars@2")], [alert(), alert(verdict=Verdict.UNKNOWN)]])
def test_a_set_that_is_not_of_one_release_or_not_a_set_is_refused(outbox: Outbox, alerts: list) -> None:
    with pytest.raises(ContractError):
        outbox.settle(RELEASE, alerts, now=NOW)

    assert outbox.standing(now=NOW) == ()


def test_what_resolved_long_ago_is_neither_shown_nor_kept(outbox: Outbox) -> None:
    outbox.settle(RELEASE, [alert("a")], now=NOW)
    outbox.settle(RELEASE, [], now=NOW)
    shown = outbox.standing(now=later(25 * 3600))
    kept = outbox.standing(now=later(25 * 3600), recent_s=KEPT_S)
    outbox.settle(RELEASE, [alert("b")], now=later(KEPT_S + 1))

    assert (len(shown), len(kept)) == (0, 1)
    assert [one.alert.service for one in outbox.standing(now=later(KEPT_S), recent_s=2 * KEPT_S)] == ["b"]


def test_a_key_is_claimed_once_until_its_time_is_over(outbox: Outbox) -> None:
    claims = [outbox.claim("tars@1.0.1/day_03", now=later(at), ttl_s=300) for at in (0, 1, 299, 300, 301)]

    assert claims == [True, False, False, True, False]
    assert outbox.claim("tars@1.0.1/day_04", now=NOW)


# Several processes

CLAIM = """
import sys
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops_tests.adapters.alerts.factories import NOW, alert
outbox = Outbox.open(sys.argv[1])
for number in range(40):
    if outbox.claim(f"key-{number}", now=NOW):
        print(number)
    release = f"{sys.argv[2]}@{number}"
    outbox.settle(release, [alert(release=release)], now=NOW)
"""


def test_processes_that_open_claim_and_settle_at_once_do_not_disturb_each_other(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'outbox.sqlite'}"
    command = [sys.executable, "-W", "error", "-c", CLAIM, url]
    running = [subprocess.Popen([*command, name], stdout=subprocess.PIPE, text=True) for name in "abcd"]
    outputs = [process.communicate(timeout=120)[0].split() for process in running]
    counts = Counter(number for output in outputs for number in output)

    assert [process.returncode for process in running] == [0, 0, 0, 0]
    assert counts == Counter(str(number) for number in range(40))
    assert len(Outbox.open(url).standing(now=NOW)) == 160


SETTLE = """
import itertools, sys
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops_tests.adapters.alerts.factories import NOW, RELEASE, many
outbox = Outbox.open(sys.argv[1])
for day in itertools.count(1):
    outbox.settle(RELEASE, many(60, day=day), now=NOW)
    print(day, flush=True)
"""


def test_a_process_killed_while_it_settles_leaves_a_whole_set(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'outbox.sqlite'}"
    seen = []
    for cycle in range(4):
        with subprocess.Popen([sys.executable, "-c", SETTLE, url], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            process.stdout.readline()
            time.sleep(0.005 * cycle)  # wherever it is then
            os.kill(process.pid, signal.SIGKILL)
        standing = Outbox.open(url).standing(now=NOW)
        seen.append((len(standing), len({one.alert.day for one in standing})))

    assert seen == [(60, 1)] * 4


# Damage and wrong settings


@pytest.mark.parametrize("damage", ["no database", "a page"])
def test_a_damaged_file_says_so_and_is_moved_aside_only_when_asked(tmp_path: Path, damage: str) -> None:
    path, url = tmp_path / "outbox.sqlite", f"sqlite:///{tmp_path / 'outbox.sqlite'}"
    outbox = Outbox.open(url)
    outbox.settle(RELEASE, many(200), now=NOW)
    outbox.close()
    data = path.read_bytes()
    path.write_bytes(os.urandom(4096) if damage == "no database" else data[:4096] + b"\xff" * 8192 + data[12288:])

    with pytest.raises(OutboxError, match=r"damaged: .*tars-ops alerts rebuild"):
        Outbox.open(url)
    rebuilt, aside = Outbox.rebuild(url)
    assert aside.name == "outbox.sqlite.corrupt-1"
    assert rebuilt.settle(RELEASE, many(200), now=NOW) == Settled(n_new=200)


def test_a_second_damaged_file_does_not_replace_the_first(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    names = []
    for content in (b"first" * 900, b"second" * 900):
        path.write_bytes(content)
        outbox, aside = Outbox.rebuild(f"sqlite:///{path}")
        outbox.close()
        names.append((aside.name, aside.read_bytes()[:5]))

    assert names == [("outbox.sqlite.corrupt-1", b"first"), ("outbox.sqlite.corrupt-2", b"secon")]


def test_a_sound_outbox_is_not_rebuilt(outbox: Outbox, tmp_path: Path) -> None:
    outbox.settle(RELEASE, [alert()], now=NOW)

    with pytest.raises(UsageError, match="is sound"):
        Outbox.rebuild(f"sqlite:///{tmp_path / 'outbox.sqlite'}")
    assert len(outbox.standing(now=NOW)) == 1


def test_an_outbox_of_another_version_says_so_and_can_be_rebuilt(outbox: Outbox, tmp_path: Path) -> None:
    outbox.settle(RELEASE, [alert()], now=NOW)
    with outbox.database.writing() as connection:
        connection.exec_driver_sql('UPDATE tars_ops_alerts SET alert = \'{"color": "red"}\'')

    for read in (lambda: outbox.standing(now=NOW), lambda: outbox.settle(RELEASE, [alert()], now=NOW)):
        with pytest.raises(OutboxError, match="tars-ops alerts rebuild"):
            read()
    rebuilt, _ = Outbox.rebuild(f"sqlite:///{tmp_path / 'outbox.sqlite'}")
    assert rebuilt.settle(RELEASE, [alert()], now=NOW) == Settled(n_new=1)


def test_a_process_that_had_the_damaged_file_open_goes_on_with_the_new_one(outbox: Outbox, tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox.settle(RELEASE, [alert("a")], now=NOW)
    path.replace(tmp_path / "aside")
    other = outbox_at(tmp_path)
    outbox.settle(RELEASE, [alert("b")], now=NOW)

    assert [one.alert.service for one in other.standing(now=NOW)] == ["b"]


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://tars:canary@db/x", "mysql is not known|no URL of a known database"),
        ("oracle+canary://tars:canary@db/x", "no URL of a known database"),
        ("sqlite://", "name a file"),
        ("sqlite:///:memory:", "name a file"),
        ("canary", "no URL of a known database"),
    ],
)
def test_an_address_of_no_outbox_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refusal:
        Outbox.open(url)

    assert "canary" not in str(refusal.value)


def test_an_outbox_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(CannotCreateError, match="directory of the outbox"):
        Outbox.open(f"sqlite:///{tmp_path / 'file' / 'outbox.sqlite'}")


def test_a_power_cut_cannot_undo_what_was_settled(outbox: Outbox, tmp_path: Path) -> None:
    with outbox.database.reading() as connection:
        levels = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("synchronous", "journal_mode")]
    with sqlite3.connect(tmp_path / "outbox.sqlite") as other:
        mode = other.execute("PRAGMA journal_mode").fetchone()[0]
    other.close()

    assert (levels, mode) == ([2, "wal"], "wal")
