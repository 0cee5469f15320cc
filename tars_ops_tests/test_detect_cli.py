"""Can anyone put the detector on files of their own, and do the files come back as they were?"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tars_ops_tests.live.command import Done, Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A home of nobody's: the command needs neither a store nor a source."""
    return Home(tmp_path, "recording:demo")


def noisy(n: int = 600, *, at: str = "2014-02-14 {h:02d}:{m:02d}:00") -> list[list[str]]:
    values = 100 + np.random.default_rng(0).standard_normal(n)
    if n > 550:
        values[550:553] += 50
    return [[at.format(h=i // 60 % 24, m=i % 60), f"{value:.4f}"] for i, value in enumerate(values)]


def write(path: Path, rows: list[list[str]], header: tuple[str, ...] = ("timestamp", "value")) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    return path


def read(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def detect(home: Home, source: Path, *options: str) -> Done:
    return home.call("detect", str(source), "--output", str(home.root / "out"), *options)


# What comes out


def test_every_row_comes_back_untouched_with_its_score(home: Home) -> None:
    rows = noisy()
    rows[3][1], rows[4][1] = "1e2", "+100.50"

    done = detect(home, write(home.root / "series.csv", rows))

    header, *found = read(home.root / "out" / "series.csv")
    assert done.code == 0, done.err
    assert header == ["timestamp", "value", "score", "event"]
    assert [row[:2] for row in found] == rows
    assert all(0 <= float(score) <= 1 and event in {"0", "1"} for *_, score, event in found)
    assert max(range(len(found)), key=lambda i: float(found[i][2])) in {550, 551, 552}
    assert f"{len(rows)} rows" in done.out


def test_a_folder_is_searched_to_its_bottom_and_keeps_its_shape(home: Home) -> None:
    for name in ("a.csv", "deep/b.csv", "deep/er/c.csv"):
        write(home.root / "in" / name, noisy(30))
    (home.root / "in" / "notes.txt").write_text("not a series")

    done = detect(home, home.root / "in")

    out = home.root / "out"
    assert done.code == 0, done.err
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.csv")) == ["a.csv", "deep/b.csv", "deep/er/c.csv"]


def test_results_inside_the_folder_are_not_read_again(home: Home) -> None:
    write(home.root / "in" / "a.csv", noisy(30))
    out = home.root / "in" / "out"

    codes = [home.call("detect", str(home.root / "in"), "-o", str(out)).code for _ in range(2)]

    assert codes == [0, 0]
    assert [str(path.relative_to(out)) for path in out.rglob("*.csv")] == ["a.csv"]


def test_the_rows_of_a_wide_file_are_scored_jointly(home: Home) -> None:
    rows = [[at, value, value, value] for at, value in noisy()]

    done = detect(home, write(home.root / "wide.csv", rows, ("timestamp", "cpu", "memory", "rate")))

    header, *found = read(home.root / "out" / "wide.csv")
    assert done.code == 0, done.err
    assert header == ["timestamp", "cpu", "memory", "rate", "score", "event"]
    assert [row[:4] for row in found] == rows


@pytest.mark.parametrize(
    "at",
    [
        "2014-02-14 {h:02d}:{m:02d}:00",
        "2014-02-14 {h:02d}:{m:02d}:00.000000",
        "2014-02-14T{h:02d}:{m:02d}:00Z",
        "2014-02-14T{h:02d}:{m:02d}:00+00:00",
    ],
)
def test_a_time_stamp_may_be_written_in_several_ways(home: Home, at: str) -> None:
    plain, other = write(home.root / "in" / "plain.csv", noisy()), noisy(at=at)
    write(plain.with_name("other.csv"), other)

    detect(home, plain.parent)

    scores = [[row[2:] for row in read(home.root / "out" / name)] for name in ("plain.csv", "other.csv")]
    assert scores[0] == scores[1]


def test_unix_seconds_are_time_stamps(home: Home) -> None:
    rows = [[str(1_392_336_000 + 60 * i), value] for i, (_, value) in enumerate(noisy())]
    write(home.root / "in" / "unix.csv", rows)
    write(home.root / "in" / "plain.csv", noisy())

    detect(home, home.root / "in")

    scores = [[row[2:] for row in read(home.root / "out" / name)] for name in ("plain.csv", "unix.csv")]
    assert scores[0] == scores[1]


def test_rows_twice_in_the_wrong_order_or_empty_keep_their_places(home: Home) -> None:
    rows = noisy()
    rows[100], rows[101] = rows[101], rows[100]
    rows[200] = list(rows[199])
    rows[300][1] = ""
    rows[301][1] = "NaN"

    done = detect(home, write(home.root / "odd.csv", rows))

    _, *found = read(home.root / "out" / "odd.csv")
    assert done.code == 0, done.err
    assert [row[:2] for row in found] == rows
    assert [row[2:] for row in found[300:302]] == [["0.000000", "0"]] * 2


def test_a_file_of_a_header_alone_comes_back_as_one(home: Home) -> None:
    done = detect(home, write(home.root / "empty.csv", []))

    assert done.code == 0, done.err
    assert read(home.root / "out" / "empty.csv") == [["timestamp", "value", "score", "event"]]


def test_a_calm_history_is_learnt_from_first(home: Home) -> None:
    series, calm = write(home.root / "short.csv", noisy()[540:]), write(home.root / "calm.csv", noisy()[:540])

    scores = []
    for options in ((), ("--baseline", str(calm))):
        done = detect(home, series, *options)
        assert done.code == 0, done.err
        scores.append(max(float(row[2]) for row in read(home.root / "out" / "short.csv")[1:]))

    assert scores[0] == 0
    assert scores[1] > 0.5


def test_a_parquet_table_of_a_fleet_gives_its_events_and_its_days(home: Home) -> None:
    at = np.datetime64("2025-11-18") + np.arange(2880) * np.timedelta64(60, "s")
    values = 100 + np.random.default_rng(0).standard_normal(2880)
    values[2000:2003] += 60
    fleet = pa.table(
        {
            "service": pa.array(["api"] * 2880).dictionary_encode(),
            "kpi": pa.array(["cpu"] * 2880).dictionary_encode(),
            "at": pa.array(at).cast(pa.timestamp("ms", tz="UTC")),
            "value": pa.array(values),
        }
    )
    pq.write_table(fleet, home.root / "fleet.parquet")

    done = detect(home, home.root / "fleet.parquet")

    assert done.code == 0, done.err
    assert "1 series, 2880 samples" in done.out
    assert {path.name for path in (home.root / "out").iterdir()} == {"events.parquet", "kpis.parquet"}


# What is refused


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("timestamp,value\n2014-02-14 14:30:00,1\n2014-02-14 14:31:00,abc\n", "line 3, column `value`: 'abc'"),
        ("timestamp,value\n2014-02-14 14:30:00,inf\n", "line 2, column `value`: 'inf' is infinite"),
        ("timestamp,value\nyesterday,1\n", "line 2, column `timestamp`: 'yesterday'"),
        ("timestamp,value\n1392388200000,1\n", "milliseconds"),
        ("timestamp,value\n2014-02-14 14:30:00\n", "line 2: 1 cells"),
        ("time,value\n2014-02-14 14:30:00,1\n", "line 1"),
        ("timestamp,value,score\n2014-02-14 14:30:00,1,1\n", "`score` is there already"),
        ("timestamp,value,value\n2014-02-14 14:30:00,1,1\n", "occurs twice"),
        ("timestamp\n2014-02-14 14:30:00\n", "no column of values"),
        ("timestamp,value\n2014-02-14 14:30:00,-1e308\n", "beyond 1e+100"),
        ("", "line 1"),
    ],
)
def test_a_file_that_breaks_a_rule_says_where(home: Home, text: str, said: str) -> None:
    (home.root / "broken.csv").write_text(text)

    done = detect(home, home.root / "broken.csv")

    assert done.code == 65
    assert "broken.csv" in done.err
    assert said in done.err
    assert not (home.root / "out" / "broken.csv").exists()


def test_a_broken_file_does_not_keep_the_others_from_being_done(home: Home) -> None:
    (home.root / "in").mkdir()
    (home.root / "in" / "a_broken.csv").write_bytes(b"timestamp,value\n\xff\xfe,1\n")
    write(home.root / "in" / "b_fine.csv", noisy(30))

    done = detect(home, home.root / "in")

    assert done.code == 65
    assert "a_broken.csv: byte 16 is not UTF-8" in done.err
    assert len(read(home.root / "out" / "b_fine.csv")) == 31


@pytest.mark.parametrize("name", ["nowhere.csv", "empty"])
def test_nothing_to_read_is_an_error(home: Home, name: str) -> None:
    (home.root / "empty").mkdir()

    done = detect(home, home.root / name)

    assert done.code == 66
    assert name in done.err


def test_an_input_is_never_replaced(home: Home) -> None:
    path = write(home.root / "out" / "series.csv", noisy(30))
    before = path.read_bytes()

    done = detect(home, path)

    assert done.code == 64
    assert path.read_bytes() == before


def test_a_folder_is_never_its_own_output(home: Home) -> None:
    path = write(home.root / "out" / "series.csv", noisy(30))
    before = path.read_bytes()

    done = detect(home, home.root / "out")

    assert done.code == 64
    assert "is the input itself" in done.err
    assert path.read_bytes() == before


def test_a_file_without_its_history_does_not_keep_the_others_from_being_done(home: Home) -> None:
    write(home.root / "in" / "a.csv", noisy(30))
    write(home.root / "in" / "b.csv", noisy(30))
    write(home.root / "calm" / "b.csv", noisy(30))

    done = detect(home, home.root / "in", "--baseline", str(home.root / "calm"))

    assert done.code == 65
    assert "a.csv needs a history" in done.err
    assert [path.name for path in (home.root / "out").iterdir()] == ["b.csv"]


def test_the_smallest_and_largest_numbers_warn_of_nothing(home: Home) -> None:
    rows = [[at, f"{value}e{power}"] for power in (-310, 96) for at, value in noisy(30)]

    done = detect(home, write(home.root / "far.csv", rows))

    assert done.code == 0, done.err


def test_an_output_that_cannot_be_made_is_its_own_error(home: Home) -> None:
    (home.root / "out").write_text("a file is in the way")

    done = detect(home, write(home.root / "series.csv", noisy(30)))

    assert done.code in {64, 73}


def test_a_history_of_other_columns_is_refused(home: Home) -> None:
    calm = write(home.root / "calm.csv", noisy(30), ("timestamp", "other"))

    done = detect(home, write(home.root / "series.csv", noisy(30)), "--baseline", str(calm))

    assert done.code == 65
    assert "other" in done.err
