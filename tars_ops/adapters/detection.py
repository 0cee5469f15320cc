"""Which files does the detector read, and where does what it found go?

One file, or a folder of them searched to its bottom; every file comes out under the same relative path. A file that
breaks a rule is named and left out, and the others are done.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from tars_ops.adapters.export import write_file
from tars_ops.adapters.series_files import SeriesFile, read_series, with_scores
from tars_ops.core.errors import CannotCreateError, ContractError, MissingInputError, UsageError
from tars_ops.core.watch.detector.rows import score_rows


class Detected(NamedTuple):
    """What was found in one file."""

    source: Path
    target: Path
    n_rows: int
    n_events: int
    """Rows that raise an alarm."""


def detect_files(
    source: Path, output: Path, *, baseline: Path | None = None, false_alarms_per_day: float | None = None
) -> Iterator[Detected | ContractError]:
    """Score a file, or every CSV file below a folder; yield what was found in each, or why one was left out.

    Raises
    ------
    MissingInputError
        If there is nothing to read.
    UsageError
        If a result would take the place of its input.
    CannotCreateError
        If a result cannot be written.
    """
    for path, relative in _inputs(source, output):
        target = output / relative
        if target.resolve() == path.resolve():
            raise UsageError(f"{target} would replace its own input; choose another --output")
        try:
            file = read_series(path)
            calm = _calm(_history_of(relative, baseline), file) if baseline else None
        except ContractError as error:
            yield error
            continue
        scores = score_rows(file.at_s, file.values, false_alarms_per_day=false_alarms_per_day, calm=calm)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            write_file(target, with_scores(file, scores))
        except OSError as error:
            raise CannotCreateError(f"writing {target} failed: {error}") from error
        yield Detected(path, target, len(file.rows), int(scores.event.sum()))


def _inputs(source: Path, output: Path) -> list[tuple[Path, Path]]:
    """Return the files to read, each with the path of its result below the output."""
    if source.is_file():
        return [(source, Path(source.name))]
    if not source.is_dir():
        raise MissingInputError(f"{source}: there is no such file or folder")
    inside = output.resolve()
    if inside == source.resolve():
        raise UsageError(f"{output} is the input itself; choose another --output")
    found = sorted(path for path in source.rglob("*.csv") if path.is_file() and inside not in path.resolve().parents)
    if not found:
        raise MissingInputError(f"{source}: there is no .csv file in this folder or below it")
    return [(path, path.relative_to(source)) for path in found]


def _history_of(relative: Path, baseline: Path) -> Path:
    if not baseline.is_dir():
        return baseline
    if not (baseline / relative).is_file():
        raise ContractError(
            f"{baseline / relative}: there is no such file, and {relative} needs a history to learn from"
        )
    return baseline / relative


def _calm(path: Path, file: SeriesFile) -> tuple:
    before = read_series(path)
    if before.kpis != file.kpis:
        raise ContractError(f"{path} has the columns {list(before.kpis)}, and what it explains {list(file.kpis)}")
    return before.at_s, before.values
