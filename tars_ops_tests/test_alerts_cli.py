"""Do the commands about alerts print, mend and exit as they say?"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tars_ops.adapters.alerts.notice import Refused
from tars_ops.adapters.alerts.outbox import Outbox
from tars_ops_tests.adapters.alerts.factories import RELEASE, Desk, Listener, alert, courier, outbox_at, says, serving

ONE_WEBHOOK = """
version: 1
receivers:
  - {{name: desk, kind: webhook, url: "{url}", secret_env: TARS_OPS_SECRET_DESK}}
  - {{name: am, kind: alertmanager, url: "{url}"}}
"""


def run(home: Path, *args: str, **settings: str) -> tuple[int, str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("TARS_OPS_")}
    own = {"TARS_OPS_OUTBOX": str(home / "outbox.sqlite"), "TARS_OPS_SECRET_DESK": "swordfish"}
    done = subprocess.run(
        [sys.executable, "-m", "tars_ops.cli", "alerts", *args],
        cwd=home,
        env={**inherited, **own, **{f"TARS_OPS_{name.upper()}": value for name, value in settings.items()}},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def refused(home: Path) -> Outbox:
    """An outbox with one alert that its only receiver refused."""
    outbox, now = outbox_at(home), datetime.now(UTC)
    outbox.settle(RELEASE, [alert()], now=now)
    courier(outbox, Listener("desk", answer=lambda _: Refused(reason="HTTP 404"))).deliver(now=now)
    return outbox


def test_an_empty_outbox_is_said_to_be_empty(tmp_path: Path) -> None:
    assert run(tmp_path, "list") == (0, "", "no alert fires\n")
    assert run(tmp_path, "list", "--json") == (0, "[]\n", "")


def test_the_list_says_what_fires_and_who_could_not_be_told(tmp_path: Path) -> None:
    refused(tmp_path).close()
    _, text, _ = run(tmp_path, "list")
    _, document, _ = run(tmp_path, "list", "--json")
    (one,) = json.loads(document)

    assert "firing\thigh\tObjectiveBroken\ttars@1.0.1\tcheckout\tsince 2025-11-20 00:00 UTC" in text
    assert "desk: not told yet, in quarantine since" in text
    assert "HTTP 404" in text
    assert (one["alert"]["service"], one["deliveries"][0]["receiver"]) == ("checkout", "desk")


def test_old_resolutions_are_listed_only_when_asked_for(tmp_path: Path) -> None:
    outbox, then = outbox_at(tmp_path), datetime.now(UTC) - timedelta(days=2)
    outbox.settle(RELEASE, [alert()], now=then)
    outbox.settle(RELEASE, [], now=then)
    outbox.close()

    assert run(tmp_path, "list")[1] == ""
    assert run(tmp_path, "list", "--all")[1].startswith("resolved\thigh")


def test_retry_frees_what_is_in_quarantine(tmp_path: Path) -> None:
    outbox = refused(tmp_path)
    nobody = run(tmp_path, "retry", "--receiver", "pager")
    freed = run(tmp_path, "retry", "--receiver", "desk")
    desk = Listener("desk")
    courier(outbox, desk).deliver(now=datetime.now(UTC))
    outbox.close()

    assert (nobody[0], "known are: desk" in nobody[2]) == (64, True)
    assert freed[:2] == (0, "1 deliveries out of quarantine; the next round tries them again\n")
    assert desk.states() == {"checkout": "firing"}


def test_a_damaged_outbox_is_rebuilt_loudly_and_a_sound_one_never(tmp_path: Path) -> None:
    (tmp_path / "outbox.sqlite").write_bytes(b"nonsense" * 512)
    damaged = run(tmp_path, "list")
    rebuilt = run(tmp_path, "rebuild")
    again = run(tmp_path, "rebuild")

    assert (damaged[0], "tars-ops alerts rebuild" in damaged[2]) == (74, True)
    assert (rebuilt[0], "outbox.sqlite.corrupt-1" in rebuilt[2]) == (0, True)
    assert (again[0], "is sound" in again[2]) == (64, True)


def test_a_receivers_file_is_checked(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.yaml", tmp_path / "bad.yaml"
    good.write_text(ONE_WEBHOOK.format(url="http://127.0.0.1:9093"))
    bad.write_text(ONE_WEBHOOK.format(url="ftp://127.0.0.1"))

    assert run(tmp_path, "check", str(good))[:2] == (0, "desk\twebhook\tat least low\nam\talertmanager\tat least low\n")
    assert run(tmp_path, "check", str(bad))[0] == 78
    assert run(tmp_path, "check", str(tmp_path / "none.yaml"))[0] == 78


@pytest.mark.parametrize(("status", "code"), [(200, 0), (403, 69)])
def test_a_test_alert_and_its_resolution_reach_every_receiver(tmp_path: Path, status: int, code: int) -> None:
    file = tmp_path / "receivers.yaml"
    with serving(Desk(says(status))) as desk:
        file.write_text(ONE_WEBHOOK.format(url=desk.url))
        done = run(tmp_path, "test", receivers=str(file))
        one = run(tmp_path, "test", "--receiver", "nobody", receivers=str(file))

    assert (done[0], len(desk.calls)) == (code, 4 if code == 0 else 2)
    assert ("HTTP 403" in done[2]) == (code == 69)
    assert (one[0], "configured are: desk, am" in one[2]) == (64, True)


def test_the_help_of_alerts_loads_nothing_heavy() -> None:
    program = "import sys; from tars_ops.alerts_cli import alerts; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert set(done.stdout.split()) & {"pandas", "pydantic", "sqlalchemy", "requests", "apprise"} == set()
