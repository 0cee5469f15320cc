"""How far from its calm state is a whole row of KPIs?

One server, many KPIs: an incident moves several of them, each by little. So a row is scored by its three worst KPIs,
against a baseline that is learnt slowly and not at all while the row is far from it: an anomaly that lasts does not
become the norm.
"""

from __future__ import annotations

import math

import numpy as np

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.detector import WARMUP
from tars_ops.core.telemetry import FloatArray

N_WORST = 3
"""One KPI alone is often noise, all together hide the few that moved."""
SMOOTH = 0.1
"""Weight of the newest row: a state lasts longer than ten samples."""
FAR_Z = 3.0
"""Mean distance of the worst KPIs, in deviations, beyond which nothing is learnt."""
SLOW = 5e-4
"""Weight of a calm row once the baseline is known: a memory of 2,000 rows."""
FLOOR = 0.01
"""Smallest believable deviation, as a share of the range that the KPI has shown."""
LIMIT_Z = 3.0
"""A row moves the baseline by at most so many deviations."""
MAX_Z = 100.0
BEYOND = 0.02
"""Share of calm rows beyond the start of the tail."""
PACE = 0.02
"""Pace of the start and weight of the newest excess."""


def detect_jointly(
    values: FloatArray, *, step_s: float, start_s: float = 0.0, baseline: FloatArray | None = None
) -> FloatArray:
    """Score each row of a wide table by its state; causal, a row is scored before it teaches.

    Parameters
    ----------
    values : (n_kpis, n) float
        Evenly spaced rows, oldest first; NaN where a KPI has no value.
    step_s : float > 0
        Distance of two rows: without a calm history, the first day is taken for calm.
    start_s : float
        Second of the UTC day of the first row; the state knows no hour of the day.
    baseline : (n_kpis, m) float, optional
        A calm history of the same KPIs.

    Returns
    -------
    (n,) float
        ``-log10`` of the share of calm rows that are as far away, >= 0; NaN for a row without any value and, without a
        calm history, for the first 144 rows.

    Raises
    ------
    ContractError
        If the history has other KPIs, or a value is infinite.

    Notes
    -----
    Mean of the three largest ``|x - mean| / (deviation + floor)``, smoothed; its tail is exponential beyond the 98 %
    quantile of calm rows. Mean and variance are those of West (1979).
    """
    del start_s
    n_before = 0 if baseline is None else baseline.shape[1]
    if baseline is not None and len(baseline) != len(values):
        raise ContractError(
            f"the calm history has {len(baseline)} KPIs and the table {len(values)}; both need the same"
        )
    table = values if baseline is None else np.concatenate([baseline, values], axis=1)
    if np.isinf(table).any():
        raise ContractError("a value is infinite; leave it NaN where it is not known")
    n_calm = n_before or max(WARMUP, round(86_400 / step_s))
    distance = _distances(table.T, n_calm)
    score = _tail_scores(distance, n_calm)
    score[: max(0, WARMUP - n_before) + n_before] = np.nan
    return score[n_before:]


def _distances(rows: FloatArray, n_calm: int) -> FloatArray:
    """Return the smoothed distance of each row from the baseline, in deviations."""
    n, n_kpis = rows.shape
    mean, variance = np.zeros(n_kpis), np.zeros(n_kpis)
    low, high = np.full(n_kpis, np.inf), np.full(n_kpis, -np.inf)
    seen = np.zeros(n_kpis)
    distance, state = np.full(n, np.nan), 0.0
    for t in range(n):
        row = rows[t]
        known = ~np.isnan(row)
        low, high = np.fmin(low, row), np.fmax(high, row)
        deviation = np.sqrt(variance) + FLOOR * np.where(high > low, high - low, 1.0)
        off = np.where(known & (seen > 0), row - mean, 0.0)
        worst = np.sort(np.minimum(np.abs(off[known]) / deviation[known], MAX_Z))[-N_WORST:]
        if len(worst):
            state += SMOOTH * (float(worst.mean()) - state)
            distance[t] = state
        seen += known
        least = 0.0 if t < n_calm else SLOW if state < FAR_Z else 0.0
        rate = np.where(known, np.maximum(least, (t < n_calm) / np.maximum(seen, 1)), 0.0)
        limit = LIMIT_Z * deviation if t >= n_calm else np.inf
        move = np.where(seen > 1, np.clip(off, -limit, limit), np.where(known, row, 0.0))
        mean = mean + np.where(seen > 1, rate * move, move)
        variance = np.where(seen > 1, (1 - rate) * (variance + rate * move**2), variance)
    return distance


def _tail_scores(distance: FloatArray, n_calm: int) -> FloatArray:
    """Turn distances into ``-log10`` of the share of calm rows beyond them."""
    start, excess = FAR_Z, 1.0
    score = np.full(len(distance), np.nan)
    for t, one in enumerate(distance.tolist()):
        if t == n_calm:
            start, excess = _tail(distance[min(WARMUP, n_calm // 2) : n_calm])
        if math.isnan(one):
            continue
        beyond = one - start
        score[t] = -math.log10(BEYOND) + beyond / excess / math.log(10) if beyond > 0 else 0.0
        if t < n_calm or one < FAR_Z:
            start = max(start + PACE * 3 * excess * ((beyond > 0) - BEYOND), 0.0)
            excess += PACE * (min(beyond, 10 * excess) - excess) if beyond > 0 else 0.0
            excess = max(excess, 0.15 * start, 1e-9)
    return score


def _tail(calm: FloatArray) -> tuple[float, float]:
    """Return start and mean excess of the tail of calm distances."""
    known = calm[~np.isnan(calm)]
    if not len(known):
        return FAR_Z, 1.0
    start = float(np.quantile(known, 1 - BEYOND))
    beyond = known[known > start] - start
    return start, max(float(beyond.mean()) if len(beyond) else 0.0, 0.15 * start, 1e-9)
