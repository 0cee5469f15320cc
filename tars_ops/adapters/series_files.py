"""How are series of somebody else read from CSV files, and written back with what is said of each row?

A file has the column ``timestamp`` and one column per KPI. Rows and their texts go through untouched; what is added are
the columns ``score`` and ``event``.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tars_ops.core.errors import ContractError, MissingInputError
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.units import at_most
from tars_ops.core.watch.detector.rows import RowScores

TIMESTAMP, SCORE, EVENT = "timestamp", "score", "event"
_LATEST_S = 253_402_300_800
"""The year 10000: a larger number is no Unix time in seconds."""
LARGEST = 1e100
"""Larger numbers could not be squared and summed."""
_NOTHING = frozenset({"", "nan", "null", "none", "na", "n/a"})


class SeriesFile(NamedTuple):
    """A CSV file as it was read."""

    header: list[str]
    rows: list[list[str]]
    at_s: FloatArray
    """(n_rows,) seconds since 1970."""
    kpis: tuple[str, ...]
    values: FloatArray
    """(n_kpis, n_rows), NaN where a cell says nothing."""


def read_series(path: Path) -> SeriesFile:
    """Read a CSV file.

    Raises
    ------
    MissingInputError
        If it cannot be read.
    ContractError
        If a header, a time stamp or a value breaks its rule; the message names file, line and column.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise MissingInputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ContractError(f"{path}: byte {error.start} is not UTF-8") from error
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        header = next(reader, [])
        names = [name.strip() for name in header]
        _check_header(names, path)
        rows, lines = [], []
        for row in reader:
            if row:
                rows.append(row)
                lines.append(reader.line_num)
    except csv.Error as error:
        raise ContractError(f"{path}, line {reader.line_num}: {error}") from error
    for row, line in zip(rows, lines, strict=True):
        if len(row) != len(names):
            raise ContractError(f"{path}, line {line}: {len(row)} cells, the header has {len(names)} columns")
    column = names.index(TIMESTAMP)
    at_s = _numbers([row[column] for row in rows], lines, path, TIMESTAMP, seconds)
    kpis = [i for i in range(len(names)) if i != column]
    values = [_numbers([row[i] for row in rows], lines, path, names[i], _value) for i in kpis]
    return SeriesFile(header, rows, at_s, tuple(names[i] for i in kpis), np.array(values))


def _check_header(names: Sequence[str], path: Path) -> None:
    if names.count(TIMESTAMP) != 1:
        raise ContractError(f"{path}, line 1: the header is {list(names)}; exactly one column is called `{TIMESTAMP}`")
    if len(set(names)) != len(names):
        raise ContractError(f"{path}, line 1: a column name occurs twice in {list(names)}")
    if taken := {SCORE, EVENT} & set(names):
        raise ContractError(f"{path}, line 1: the column `{min(taken)}` is there already; it is what this command adds")
    if len(names) < 2:
        raise ContractError(f"{path}, line 1: there is no column of values beside `{TIMESTAMP}`")


def _numbers(
    texts: Sequence[str], lines: Sequence[int], path: Path, column: str, parse: Callable[[str], float]
) -> FloatArray:
    found = np.empty(len(texts))
    for i, text in enumerate(texts):
        try:
            found[i] = parse(text)
        except ValueError as error:
            raise ContractError(f"{path}, line {lines[i]}, column `{column}`: {error}") from error
    return found


def _value(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        if text.strip().lower() in _NOTHING:
            return math.nan
        msg = f"{at_most(text, 40)!r} is not a number; leave the cell empty where nothing is known"
        raise ValueError(msg) from None
    if math.isinf(found):
        msg = f"{at_most(text, 40)!r} is infinite; leave the cell empty where nothing is known"
        raise ValueError(msg)
    if abs(found) > LARGEST:
        msg = f"{at_most(text, 40)!r} is beyond {LARGEST:g}; give the column in a larger unit"
        raise ValueError(msg)
    return found


def seconds(text: str) -> float:
    """Return a time stamp as seconds since 1970; one without a zone is UTC.

    Examples
    --------
    >>> [seconds(one) for one in ("2014-02-14 14:30:00", "2014-02-14T15:30:00.5+01:00", "1392388200")]
    [1392388200.0, 1392388200.5, 1392388200.0]
    """
    try:
        at_s = float(text)
    except ValueError:
        try:
            at = datetime.fromisoformat(text.strip())
        except ValueError:
            msg = f"{at_most(text, 40)!r} is neither `2014-02-14 14:30:00`, nor ISO 8601, nor Unix seconds"
            raise ValueError(msg) from None
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    if not 0 <= at_s < _LATEST_S:
        msg = f"{at_most(text, 40)!r} is no Unix time in seconds; milliseconds have to be divided by 1000"
        raise ValueError(msg)
    return at_s


def with_scores(file: SeriesFile, scores: RowScores) -> bytes:
    """Return the file with the columns ``score`` and ``event`` behind its own; the texts of the cells are kept."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*file.header, SCORE, EVENT])
    marks = zip(scores.score.tolist(), scores.event.tolist(), strict=True)
    writer.writerows([*row, f"{score:.6f}", int(event)] for row, (score, event) in zip(file.rows, marks, strict=True))
    return out.getvalue().encode()
