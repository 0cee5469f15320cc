"""Does the command line parse, print and exit as it says?"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tars_ops.adapters.sources import DEMO
from tars_ops_tests.live.command import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty home on the embedded recording."""
    return Home(tmp_path, "recording:demo")


def loaded_modules(*args: str) -> set[str]:
    """Run a command and return the modules that it imported."""
    program = (
        "import sys; sys.argv = ['tars-ops', *sys.argv[1:]]\n"
        "from tars_ops import cli\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print('\\nMODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, *args], capture_output=True, text=True, check=True)
    return set(done.stdout.partition("MODULES")[2].split())


def test_help_loads_nothing_heavy() -> None:
    loaded = loaded_modules("--help")

    assert loaded & {"dagster", "pandas", "numpy", "pyarrow", "scipy", "pydantic", "rich", "requests"} == set()


def test_verify_needs_neither_dagster_nor_pandas() -> None:
    loaded = loaded_modules("verify", str(DEMO))

    assert "tars_ops.adapters.verification" in loaded
    assert loaded & {"dagster", "pandas", "numpy", "pyarrow", "requests"} == set()


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (["nonsense"], 64, "No such command"),
        (["watch"], 64, "Missing argument"),
        (["watch", "tars"], 64, "is not `product@version`"),
        (["watch", "tars@9.9.9"], 66, "tars-ops release add tars@9.9.9"),
        (["verify", "nowhere.zip"], 66, "nowhere.zip"),
        (["export", "tars@9.9.9", "out"], 66, "not registered"),
        (["record", "tars@9.9.9", "-o", "week.zip"], 66, "not registered"),
        (["release", "add", "tars@1.0.1", "--ga", "yesterday"], 64, "--ga"),
        (["release", "add", "tars@1.0.1", "--ga", "2025-11-18T00:00:00"], 64, "time zone"),
        (["release", "add", "TARS@1", "--ga", "2025-11-18T00:00:00Z"], 64, "product@version"),
        (["release", "add", "other@1", "--ga", "2025-11-18T00:00:00Z"], 66, "no policy of product 'other'"),
        (["release", "add", "tars@1", "--ga", "2025-11-18T00:00:00Z", "--days", "9"], 64, "TARS_OPS_WATCH_DAYS"),
        (["release", "add", "tars@1", "--ga", "2025-11-18T00:00:00Z", "--day-length", "100"], 64, "slot_s"),
        (["policy", "check", "nowhere.yaml"], 66, "nowhere.yaml"),
    ],
)
def test_a_wrong_command_says_why_and_exits_with_its_code(home: Home, args: list[str], code: int, said: str) -> None:
    done = home.run(*args)

    assert (done.code, done.out) == (code, "")
    assert said in done.err
    assert "Traceback" not in done.err


def test_a_broken_setting_names_its_variable(home: Home) -> None:
    done = Home(home.root, "recording:demo", extra={"TARS_OPS_WATCH_DAYS": "many"}).run("release", "list")

    assert done.code == 78
    assert "TARS_OPS_WATCH_DAYS" in done.err


def test_a_policy_that_breaks_a_rule_is_refused_with_its_line(home: Home, tmp_path: Path) -> None:
    text = (home.policies / "tars.yaml").read_text()
    broken = tmp_path / "broken.yaml"
    broken.write_text(text.replace("objective: 0.999", "objective: 99.9"))
    line = next(i for i, row in enumerate(text.splitlines(), 1) if "objective: 0.999" in row)

    done = home.run("policy", "check", str(broken), str(home.policies / "tars.yaml"))

    assert done.code == 78
    assert f"broken.yaml, line {line}: kpis.availability.slo.objective" in done.err
    assert "0.999" in done.err


def test_a_release_is_added_listed_and_shown(home: Home) -> None:
    added = home.run("release", "add", "tars@1.0.1", "--ga", "2025-11-18T01:00:00+01:00", "--days", "3")
    listed = home.run("release", "list", "--json")
    shown = home.run("release", "show", "tars@1.0.1", "--json")

    assert added.code == 0, added.err
    assert [(one["ga_at"], one["n_days"]) for one in json.loads(listed.out)] == [("2025-11-18T00:00:00Z", 3)]
    assert (shown.json["baseline"], shown.json["references"]) == ("not frozen yet", "not pinned yet")
    assert shown.json["days"] == dict.fromkeys(("day_01", "day_02", "day_03"), "not judged")


def test_adding_the_same_release_again_changes_nothing_and_another_ga_is_refused(home: Home) -> None:
    add = ("release", "add", "tars@1.0.1", "--ga")
    home.run(*add, "2025-11-18T00:00:00Z")

    again = home.run(*add, "2025-11-18T00:00:00Z")
    other = home.run(*add, "2025-11-19T00:00:00Z")

    assert again.code == 0, again.err
    assert other.code == 64
    assert "ga_at" in other.err


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict, dict]:
    """The demo, run twice on one home."""
    home = Home(tmp_path_factory.mktemp("demo"), "recording:demo")
    first, second = (home.run("demo", "--json") for _ in range(2))
    assert (first.code, second.code) == (0, 0), first.err + second.err
    return home, first.json, second.json


def test_the_demo_gives_the_same_digests_again_and_makes_no_new_version(demo: tuple[Home, dict, dict]) -> None:
    home, first, second = demo
    pointers = list((home.root / "store" / "pointers").rglob("*.json"))
    history = home.run("release", "show", "tars@1.0.1", "--json").json["history"]

    assert first["digests"] == second["digests"]
    assert len(first["digests"]) > 50
    assert {path.name for path in pointers if path.parent.name != "history"} == {"000001.json"}
    assert [(one["code"], one["to_state"], one["details"].get("as_of")) for one in history] == [
        ("registered", "candidate", None),
        ("ga_started", "baselining", None),
        ("baseline_frozen", "watching", None),
        ("verdict_keep", "watching", 1),
        *(("verdict_watch_closer", "at_risk", day) for day in range(2, 8)),
    ]


def test_the_demo_ends_amber_with_its_reason_and_its_files(demo: tuple[Home, dict, dict]) -> None:
    home, first, _ = demo
    folder = home.root / first["paths"]["folder"]

    assert (first["tier"], first["decision"]) == ("AMBER", "watch_closer")
    assert [(one["kpi"], one["service"]) for one in first["reasons"]] == [("memory", "chat")]
    assert (folder / "final" / "GA_7DAY_RETROSPECTIVE.md").is_file()
    assert [home.run("verify", archive).code for archive in first["paths"]["archives"]] == [0, 0]


def test_a_changed_bundle_is_tampered(demo: tuple[Home, dict, dict], tmp_path: Path) -> None:
    home, first, _ = demo
    archive = next(Path(home.root / path) for path in first["paths"]["archives"] if path.endswith(".zip"))
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    changed = tmp_path / "changed.zip"
    changed.write_bytes(data)

    done = home.run("verify", str(changed), "--json")

    assert done.code == 12
    assert len(done.json["differences"]) >= 1


def test_text_goes_to_stdout_talk_to_stderr_and_no_colour_where_none_is_wanted(demo: tuple[Home, dict, dict]) -> None:
    home, _, _ = demo

    done = Home(home.root, "recording:demo", extra={"NO_COLOR": "1", "FORCE_COLOR": ""}).run("watch", "tars@1.0.1")

    assert done.code == 10, done.err
    assert "watch closer" in done.out
    assert "\x1b[" not in done.out
    assert "RUN_START" not in done.out + done.err


def test_exit_codes_are_the_documented_ones(demo: tuple[Home, dict, dict]) -> None:
    home, first, _ = demo

    codes = {day: home.run("watch", "tars@1.0.1", "--day", str(day)).code for day in (1, 5)}

    assert codes == {1: 0, 5: 11}
    assert first["exit_code"] == 10


def test_a_day_that_is_not_over_is_refused_before_anything_is_fetched_or_frozen(tmp_path: Path) -> None:
    home = Home(tmp_path, "http://127.0.0.1:9")
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0).isoformat()
    home.run("release", "add", "tars@1.0.1", "--ga", tomorrow)

    nothing_due = home.run("watch", "tars@1.0.1")
    asked = home.run("watch", "tars@1.0.1", "--day", "1")

    assert (nothing_due.code, asked.code) == (75, 75), nothing_due.err + asked.err
    assert "day_01 of tars@1.0.1 ends at" in nothing_due.err
    assert "the GA day of tars@1.0.1 ends at" in asked.err
    assert home.store.children("tars@1.0.1") == ["history", "release"]


def test_a_day_beyond_the_watch_is_a_wrong_command(demo: tuple[Home, dict, dict]) -> None:
    home, _, _ = demo

    done = home.run("watch", "tars@1.0.1", "--day", "8")

    assert done.code == 64
    assert "is watched for 7 days; there is no day 8" in done.err


@pytest.mark.parametrize(
    ("source", "ga", "code", "said"),
    [
        ("recording:demo", "2025-11-18T00:00:00Z", 64, "a recording holds whole days"),
        ("http://127.0.0.1:9", "2999-11-18T00:00:00Z", 75, "judge it from then on"),
    ],
)
def test_a_running_day_that_there_is_not_is_refused(tmp_path: Path, source: str, ga: str, code: int, said: str) -> None:
    home = Home(tmp_path, source)
    home.run("release", "add", "tars@1.0.1", "--ga", ga)

    done = home.run("watch", "tars@1.0.1", "--so-far")

    assert done.code == code, done.err
    assert said in done.err


def test_a_missed_day_judged_later_refreshes_every_later_verdict(home: Home) -> None:
    home.run("release", "add", "tars@1.0.1", "--ga", "2025-11-18T00:00:00Z")
    home.run("watch", "tars@1.0.1", "--day", "2")
    before = home.regression("tars@1.0.1", 2)

    home.run("watch", "tars@1.0.1", "--day", "1")
    after = home.regression("tars@1.0.1", 2)

    assert "day_missing" in {reason.code for reason in before.reasons}
    assert "day_missing" not in {reason.code for reason in after.reasons}
