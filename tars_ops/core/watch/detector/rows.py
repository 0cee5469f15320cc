"""How is each row of a table scored that was not made by this product?

Rows of a file come at uneven steps, twice, or in the wrong order. They are put on an even grid, every one on a cell of
its own, scored there with the production defaults, and each row gets the score of its cell.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tars_ops.core.errors import ContractError
from tars_ops.core.policy import Anomalies
from tars_ops.core.telemetry import FloatArray, IntArray
from tars_ops.core.watch.detector.detection import held_off, onsets, score_threshold, unit_score
from tars_ops.core.watch.detector.detector import detect, detect_cold, learn
from tars_ops.core.watch.detector.jointly import detect_jointly

STEP_ROWS = 20
"""The step of the grid is the median distance of so many rows: the detector is silent about them anyway."""
SHORTEST_STEP_S = 1e-3
DAY_S = 86_400
MAX_GAP = 2880
"""Empty cells that a gap may leave, so that a few rows far apart cannot fill the memory."""


class Grid(NamedTuple):
    """Where the rows of a table lie on even steps."""

    cell: IntArray
    """(n_rows,) cell of each row, no two the same."""
    step_s: float
    start_s: float
    """Second of the UTC day of the first cell."""

    @property
    def n_cells(self) -> int:
        """Cells from the first row to the last."""
        return int(self.cell.max()) + 1 if len(self.cell) else 0

    def spread(self, values: FloatArray) -> FloatArray:
        """Return (n_kpis, n_rows) values as (n_kpis, n_cells), NaN where no row is."""
        cells = np.full((len(values), self.n_cells), np.nan)
        cells[:, self.cell] = values
        return cells


class RowScores(NamedTuple):
    """What is said of each row, in the order of the rows."""

    score: FloatArray
    """0..1, higher is more surprising; 0 also where nothing can be said."""
    event: np.ndarray
    """Whether the row raises an alarm."""


def grid_of(at_s: FloatArray) -> Grid:
    """Put rows on an even grid, in the order of their time stamps and never two on one cell.

    Parameters
    ----------
    at_s : (n_rows,) float
        Seconds since 1970, in any order.

    Notes
    -----
    A row lies on the cell of its time, or on the next free one where an earlier row lies there already: rows of the
    same time stay in their order. A gap leaves cells empty, without its whole days: the hour of the day stays right.

    Examples
    --------
    >>> grid_of(np.array([0.0, 300.0, 300.0, 1200.0, 600.0])).cell
    array([0, 1, 2, 4, 3])
    """
    order = np.argsort(at_s, kind="stable")
    sorted_s = at_s[order]
    steps = np.diff(sorted_s[:STEP_ROWS])
    step_s = max(float(np.median(steps[steps > 0])), SHORTEST_STEP_S) if (steps > 0).any() else 60.0
    day = max(2, round(DAY_S / step_s))
    cells = np.rint((sorted_s - sorted_s[:1]) / step_s)
    gaps = np.diff(cells)
    kept = np.minimum(np.where(gaps > day, gaps % day + 1, gaps), MAX_GAP)
    wanted = np.concatenate([[0.0], np.cumsum(kept)])[: len(at_s)]
    # the running maximum of (wanted - row) pushes a row on where the one before it took its cell
    index = np.arange(len(at_s))
    cell = np.empty(len(at_s), dtype=np.int64)
    cell[order] = np.maximum.accumulate(wanted - index).astype(np.int64) + index
    return Grid(cell, step_s, float(sorted_s[0] % DAY_S) if len(at_s) else 0.0)


def score_rows(
    at_s: FloatArray,
    values: FloatArray,
    *,
    false_alarms_per_day: float | None = None,
    calm: tuple[FloatArray, FloatArray] | None = None,
) -> RowScores:
    """Score the rows of a table; a row's score uses that row and rows of earlier times only.

    Parameters
    ----------
    at_s : (n_rows,) float
        Seconds since 1970.
    values : (n_kpis, n_rows) float
        NaN where a row has no value. The rows of several KPIs are scored jointly, one score per row.
    false_alarms_per_day : float > 0, optional
        How many alarms a calm series may raise a day; by default that of the policies.
    calm : (at_s, values), optional
        A calm history of the same KPIs to learn from first.
    """
    if np.isinf(values).any():
        raise ContractError("a value is infinite; leave it empty where it is not known")
    if values.shape[1] < 2:  # nothing comes before the first row
        return RowScores(np.zeros(values.shape[1]), np.zeros(values.shape[1], dtype=bool))
    grid = grid_of(at_s)
    threshold = score_threshold(false_alarms_per_day or Anomalies().false_alarms_per_day, grid.step_s)
    score = _scores(grid.spread(values), grid, threshold, calm)
    alarm = onsets(score, threshold=threshold)
    # a surprise counts once, the state of a whole row for as long as it lasts
    unit = np.nan_to_num(unit_score(held_off(score) if len(values) == 1 else score))
    return RowScores(unit[grid.cell], alarm[grid.cell])


def _scores(cells: FloatArray, grid: Grid, threshold: float, calm: tuple[FloatArray, FloatArray] | None) -> FloatArray:
    step_s, start_s = grid.step_s, grid.start_s
    before = grid_of(calm[0]) if calm else None
    history = before.spread(calm[1]) if calm and before else None
    if len(cells) > 1:
        return detect_jointly(cells, step_s=step_s, start_s=start_s, baseline=history)
    if before is None or history is None:
        return detect_cold(cells, step_s=step_s, start_s=start_s, threshold=threshold).score[0]
    memories = learn(history, step_s=before.step_s, start_s=before.start_s, sigma_floor=np.zeros(1))
    return detect(cells, memories, step_s=step_s, start_s=start_s, threshold=threshold).score[0]
