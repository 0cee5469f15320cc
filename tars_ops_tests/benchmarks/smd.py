"""How well is the state of a whole server judged?

The measure is VUS-PR (Paparrizos and others 2022): the area under precision and recall with soft edges around each
incident, averaged over edges of 0 to 100 rows. Point-adjusted measures are not used: a random score does well by them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tars_ops.core.policy import Anomalies
from tars_ops.core.telemetry import FloatArray
from tars_ops.core.watch.detector.detection import score_threshold
from tars_ops.core.watch.detector.jointly import detect_jointly

WINDOW = 100
N_THRESHOLDS = 250
STEP_S = 60.0


def vus_pr(label: np.ndarray, score: FloatArray, *, window: int = WINDOW) -> float:
    """Return the volume under the surface of precision and recall, as the package ``vus`` 0.0.6 computes it."""
    label, n = np.asarray(label) > 0, len(label)
    spans = runs(label)
    levels = -np.sort(-score)[np.linspace(0, n - 1, N_THRESHOLDS).astype(int)]
    first = np.searchsorted(-levels, -score)
    marked, hit = _cumulated(first, np.ones(n)), _cumulated(first, label)
    areas = []
    for width in range(window + 1):
        soft = _cumulated(first, _edges(label, spans, width))
        nearest = np.array([first[a : b + 1].min() for a, b in _widened(spans, width // 2, n)])
        existence = (nearest[:, None] <= np.arange(N_THRESHOLDS)).mean(axis=0)
        recall = np.minimum((hit + soft) / (label.sum() + soft / 2), 1) * existence
        areas.append(np.sum(np.diff(recall, prepend=0.0) * (hit + soft) / marked))
    return float(np.mean(areas))


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return first and last position of each run of True."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(int), [0]])))
    return [(int(a), int(b) - 1) for a, b in edges.reshape(-1, 2)]


def _cumulated(first: np.ndarray, weight: np.ndarray) -> FloatArray:
    return np.cumsum(np.bincount(first, weights=weight, minlength=N_THRESHOLDS)[:N_THRESHOLDS])


def _edges(label: np.ndarray, spans: list[tuple[int, int]], width: int) -> FloatArray:
    soft = np.zeros(len(label))
    for a, b in spans:
        after, before = np.arange(b + 1, min(b + width // 2 + 1, len(label))), np.arange(max(a - width // 2, 0), a)
        soft[after] += np.sqrt(1 - (after - b) / max(width, 1))
        soft[before] += np.sqrt(1 - (a - before) / max(width, 1))
    return np.where(label, 0.0, np.minimum(soft, 1))


def _widened(spans: list[tuple[int, int]], half: int, n: int) -> list[tuple[int, int]]:
    wide = [(max(spans[0][0] - half, 0), spans[0][1] + half)]
    for a, b in spans[1:]:
        if wide[-1][1] < a - half:
            wide.append((a - half, b + half))
        else:
            wide[-1] = (wide[-1][0], b + half)
    return [(a, min(b, n - 1)) for a, b in wide]


def event_f1(label: np.ndarray, alarm: np.ndarray) -> float:
    """Return F1 of events: an incident is found if any alarm lies in it, an alarm run is true if it touches one."""
    incidents, alarms = runs(np.asarray(label) > 0), runs(alarm)
    found = sum(bool(alarm[a : b + 1].any()) for a, b in incidents)
    true = sum(bool(label[a : b + 1].any()) for a, b in alarms)
    recall, precision = found / len(incidents), true / max(len(alarms), 1)
    return 2 * recall * precision / max(recall + precision, 1e-9)


def smd_table(data: Path) -> str:
    """Return the table of the servers."""
    threshold = score_threshold(Anomalies().false_alarms_per_day, STEP_S)
    lines = [
        "| server | VUS-PR, calm history | event F1 | VUS-PR, test alone | VUS-PR, train then test |",
        "|---|---|---|---|---|",
    ]
    results = []
    for path in sorted(data.glob("*.npz")):
        server = np.load(path)
        train, test, label = server["train"].T.astype(float), server["test"].T.astype(float), server["label"]
        calm = detect_jointly(test, step_s=STEP_S, baseline=train)
        cold = np.nan_to_num(detect_jointly(test, step_s=STEP_S))
        whole = detect_jointly(np.concatenate([train, test], axis=1), step_s=STEP_S)[train.shape[1] :]
        row = [vus_pr(label, calm), event_f1(label, calm >= threshold), vus_pr(label, cold), vus_pr(label, whole)]
        results.append(row)
        lines.append(f"| {path.stem} | " + " | ".join(f"{one:.2f}" for one in row) + " |")
    lines.append("| mean | " + " | ".join(f"{one:.2f}" for one in np.mean(results, axis=0)) + " |")
    return "\n".join(
        [
            "38 metrics of each server, a row a minute, scored jointly; a random score has a VUS-PR of 0.07. Event F1",
            "is at the shipped threshold, the same for every server, without adjusting any point.",
            "",
            *lines,
        ]
    )
