"""How are two sorted samples merged once for all their rank statistics?"""

from __future__ import annotations

from tars_ops.core.kernels.jit import compiled
from tars_ops.core.telemetry import FloatArray


@compiled
def merged(first: FloatArray, second: FloatArray) -> tuple[float, float, float]:
    """Return U of ``second``, the tie term and D of two samples in increasing order, without NaN."""
    n1, n2 = len(first), len(second)
    i, j = 0, 0
    twice_u, tie_term, apart = 0, 0.0, 0
    while i < n1 and j < n2:
        value = min(first[i], second[j])
        i0, j0 = i, j
        while i < n1 and first[i] == value:
            i += 1
        while j < n2 and second[j] == value:
            j += 1
        twice_u += (j - j0) * (i0 + i)
        tied = i - i0 + j - j0
        if tied > 1:
            tie_term += float(tied) ** 3 - tied
        apart = max(apart, abs(i * n2 - j * n1))
    twice_u += (n2 - j) * 2 * n1
    return twice_u / 2.0, tie_term + _ties(first, i) + _ties(second, j), apart / (n1 * n2)


@compiled
def _ties(values: FloatArray, start: int) -> float:
    """Return the tie term of what is left of one sample when the other is used up."""
    term = 0.0
    while start < len(values):
        end = start + 1
        while end < len(values) and values[end] == values[start]:
            end += 1
        tied = float(end - start)
        term += tied**3 - tied
        start = end
    return term
