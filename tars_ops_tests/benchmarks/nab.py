"""How well does the detector do on the Numenta Anomaly Benchmark, with one set of constants for every file?

The rules are those of NAB 1.1 (Lavin and Ahmad 2015): a detection earns more the earlier it lies in its window, one
outside costs, a missed window costs, and the first 15 % of a file (at most 750 rows) are not looked at.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tars_ops.core.policy import Anomalies
from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.detector.rows import score_rows

PROFILES = {"standard": (0.11, 1.0), "low false positives": (0.22, 1.0), "low false negatives": (0.11, 2.0)}
"""Cost of a false positive and of a missed window; a window found is worth 1."""


class Labelled(NamedTuple):
    """One file: rows that count, and which of its windows each lies in."""

    group: str
    score: FloatArray
    event: np.ndarray
    place: FloatArray
    """-1..0 from the left to the right edge of a window; distance behind the last one in windows, outside."""
    window: IntArray
    """Number of the window of each row; -1 outside."""


def read(data: Path) -> list[Labelled]:
    """Return every labelled file with its scores and events."""
    labels = json.loads((data / "labels.json").read_text())
    return [_labelled(data, name, spans) for name, spans in sorted(labels.items()) if (data / name).exists()]


def _instant(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def _labelled(data: Path, name: str, spans: list[list[str]]) -> Labelled:
    with (data / name).open(newline="") as file:
        rows = list(csv.DictReader(file))
    at_s = np.array([_instant(row["timestamp"]) for row in rows])
    found = score_rows(at_s, np.array([[float(row["value"]) for row in rows]]))
    n, window, place = len(rows), np.full(len(rows), -1), np.full(len(rows), np.inf)
    for i, (start, end) in enumerate(spans):
        inside = np.flatnonzero((at_s >= _instant(start)) & (at_s <= _instant(end)))
        right, width = inside[-1], len(inside)
        window[inside], place[inside] = i, -(right - inside + 1) / width
        place[right + 1 :] = (np.arange(right + 1, n) - right) / max(width - 1, 1)
    looked = slice(min(int(0.15 * n), 750), None)
    return Labelled(name.partition("/")[0], found.score[looked], found.event[looked], place[looked], window[looked])


def worth(files: list[Labelled], marks: Callable[[Labelled], np.ndarray], costs: tuple[float, float]) -> float:
    """Return what the marked rows earn, 0 for none and 100 for the best possible."""
    false_positive, missed = costs
    total = windows = 0.0
    for one in files:
        marked = marks(one)
        curve = 2 / (1 + np.exp(5 * np.minimum(one.place, 3.0))) - 1
        total += false_positive * np.where(one.place > 3, -1.0, curve)[marked & (one.window < 0)].sum()
        for i in np.unique(one.window[one.window >= 0]):
            earned = curve[marked & (one.window == i)] / (2 / (1 + np.exp(-5)) - 1)
            total, windows = total + (earned.max() if len(earned) else -missed), windows + 1
    return 100 * (total + missed * windows) / ((1 + missed) * windows)


def best(files: list[Labelled], costs: tuple[float, float]) -> tuple[float, float]:
    """Return the best result of one threshold for all files, and that threshold."""
    scores = np.unique(np.concatenate([one.score[one.score > 0.3] for one in files]))
    step = max(1, len(scores) // 300)
    found = max((_at(files, costs, t), i) for i, t in enumerate(scores[::step]))[1]
    near = scores[max(0, (found - 2) * step) : (found + 2) * step + 1]  # between two coarse steps nothing is skipped
    return max((_at(files, costs, t), float(t)) for t in near)


def _at(files: list[Labelled], costs: tuple[float, float], threshold: float) -> float:
    return worth(files, lambda one: one.score >= threshold, costs)


def crossed(files: list[Labelled], costs: tuple[float, float]) -> float:
    """Return the result where the threshold of each group is chosen on the other groups."""
    groups = sorted({one.group for one in files})
    chosen = {group: best([one for one in files if one.group != group], costs)[1] for group in groups}
    return worth(files, lambda one: one.score >= chosen[one.group], costs)


def nab_table(data: Path) -> str:
    """Return the tables of the benchmark."""
    files = read(data)
    lines = ["| profile | best threshold | left-out groups | events as shipped |", "|---|---|---|---|"]
    for name, costs in PROFILES.items():
        shipped = worth(files, lambda one: one.event, costs)
        lines.append(f"| {name} | {best(files, costs)[0]:.1f} | {crossed(files, costs):.1f} | {shipped:.1f} |")
    threshold = best(files, PROFILES["standard"])[1]
    lines += ["", "| group | files | standard | events as shipped |", "|---|---|---|---|"]
    for group in sorted({one.group for one in files if (one.window >= 0).any()}):
        own = [one for one in files if one.group == group]
        at_best = worth(own, lambda one: one.score >= threshold, PROFILES["standard"])
        shipped = worth(own, lambda one: one.event, PROFILES["standard"])
        lines.append(f"| {group} | {len(own)} | {at_best:.1f} | {shipped:.1f} |")
    rate = Anomalies().false_alarms_per_day
    return "\n".join(
        [
            f'{len(files)} labelled files, 0 = nothing found, 100 = perfect. "Left-out groups": the threshold of each',
            'group is chosen on the others. "Events as shipped": the `event` column of `tars-ops detect` at',
            f"{rate:g} false alarms per series and day. The detector's constants were chosen on these files.",
            "",
            *lines,
        ]
    )
