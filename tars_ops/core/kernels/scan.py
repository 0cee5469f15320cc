"""Which samples does the JSON text of a series hold?

A compiled reader for the one form that metrics servers write. It understands that form or nothing: what it does not
read, the general reader of the caller must, so nothing is refused or accepted here that was not before.
"""

from __future__ import annotations

import numpy as np

from tars_ops.core.kernels.loops import loops
from tars_ops.core.telemetry import FloatArray, IntArray

_SHORTEST = len('[0,"0"],')


def scan_samples(text: bytes) -> tuple[IntArray, FloatArray] | None:
    """Read ``[[seconds,"number"],...]`` into instants and values.

    Parameters
    ----------
    text : bytes
        JSON without blanks: instants of up to 12 digits and three decimals, numbers without escapes.

    Returns
    -------
    (n,) int64 and (n,) float64
        Unix milliseconds, exact, and values, each with the bits of ``float(number)``. None if the text has another
        form or there is no compiler.

    Raises
    ------
    ValueError
        If ``float`` reads no number in a text.

    Examples
    --------
    >>> scan_samples(b'[[1700000000,"0.25"],[1700000015.5,"NaN"]]')
    (array([1700000000000, 1700000015500]), array([0.25,  nan]))
    >>> scan_samples(b'[[1700000000, "0.25"]]') is None
    True
    """
    compiled = loops("scan")
    if compiled is None or len(text) < 2 or text[-1:] != b"]":
        return None
    room = len(text) // _SHORTEST + 1
    at_ms, bits, odd = np.empty(room, np.int64), np.empty(room, np.uint64), np.empty((room, 3), np.int64)
    n, n_odd = compiled.scanned(np.frombuffer(text, np.uint8), at_ms, bits, odd)
    if n < 0:
        return None
    values = bits[:n].view(np.float64)
    for i, first, end in odd[:n_odd].tolist():
        values[i] = float(text[first:end].decode("ascii"))
    return at_ms[:n], values
