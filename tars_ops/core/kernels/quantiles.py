"""What are the mean and the exact quantiles of many rows of samples?

Several quantiles come from one pass, without sorting: the values are counted into buckets between the smallest and the
largest, and only the buckets that hold a wanted rank are put in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.errors import ContractError
from tars_ops.core.kernels.loops import loops
from tars_ops.core.telemetry import FloatArray, IntArray


class RowSummary(NamedTuple):
    """What each row of a table holds; NaN where a row has no known value."""

    n_known: IntArray
    """(n_rows,) values that are not NaN."""
    mean: FloatArray
    """(n_rows,)."""
    quantiles: FloatArray
    """(n_rows, n_quantiles)."""


def summarise_rows(values: NDArray[np.floating], quantiles: Sequence[float]) -> RowSummary:
    """Return the mean and exact quantiles of each row, gaps left out.

    Parameters
    ----------
    values : (n_rows, n) float32 or float64
        NaN marks a gap. Infinities are values like others.
    quantiles : floats in [0, 1]
        Which quantiles; between two ranks they are interpolated linearly, as ``numpy.quantile`` does, in float64.

    Raises
    ------
    ContractError
        If a quantile is outside [0, 1] or the table is not two-dimensional.

    Examples
    --------
    >>> summarise_rows(np.array([[4.0, 1.0, np.nan, 2.0], [np.nan] * 4]), [0.5, 1.0])
    RowSummary(n_known=array([3, 0]), mean=array([2.33333333, nan]), quantiles=array([[ 2.,  4.], [nan, nan]]))
    """
    wanted = np.asarray(quantiles, dtype=np.float64)
    if values.ndim != 2 or not np.all((wanted >= 0) & (wanted <= 1)):
        raise ContractError(f"quantiles {list(quantiles)} must be in [0, 1] and values a table, not {values.ndim}-d")
    compiled = loops("quantiles")
    return RowSummary(*compiled.of_rows(values, wanted)) if compiled else of_rows_by_sorting(values, wanted)


def of_rows_by_sorting(values: NDArray[np.floating], wanted: FloatArray) -> RowSummary:
    """Return the same without compiled code."""
    known = [row[~np.isnan(row)].astype(np.float64) for row in values]
    shape = (len(values), len(wanted))
    with np.errstate(invalid="ignore", over="ignore"):
        return RowSummary(
            n_known=np.array([len(row) for row in known], dtype=np.int64),
            mean=np.array([row.mean() if len(row) else np.nan for row in known], dtype=np.float64),
            quantiles=np.array([_of_sorted(np.sort(row), wanted) for row in known], dtype=np.float64).reshape(shape),
        )


def _of_sorted(ordered: FloatArray, wanted: FloatArray) -> FloatArray:
    if not len(ordered):
        return np.full(len(wanted), np.nan)
    rank = (len(ordered) - 1) * wanted
    low = np.floor(rank).astype(np.int64)
    high = np.minimum(low + 1, len(ordered) - 1)
    share, below, above = rank - low, ordered[low], ordered[high]
    between = np.where(share < 0.5, below + (above - below) * share, above - (above - below) * (1 - share))
    return np.where((below == above) | (share == 0), below, between)
