"""What do the bytes of a large matrix say, read fast?

The plain form that metrics servers write, or nothing: every answer that is not of this form, right or wrong, goes to
the general reader in `reply`, which knows what is wrong with it. The samples of a series stay bytes until they are
scanned into arrays, so no object is made per sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.scan import scan_samples

Samples = tuple[NDArray[np.int64], NDArray[np.float64]]

_WORTH_BYTES = 2**18
"""Below this size the general reader has finished before the compiler is imported."""


class _Series(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """Another member, such as native histograms, makes the answer another form."""

    metric: dict[str, str]
    values: msgspec.Raw


class _Data(msgspec.Struct):
    resultType: Literal["matrix"]  # noqa: N815 - the name in the API
    result: list[_Series]


class _Envelope(msgspec.Struct):
    status: Literal["success"]
    data: _Data
    warnings: list[str] | None = None
    infos: list[str] | None = None


_DECODER = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True, eq=False)
class PlainMatrix:
    """A matrix as it was sent: series in the order of the server, instants increasing within each."""

    series: tuple[tuple[Mapping[str, str], Samples], ...]
    warnings: frozenset[str]
    infos: frozenset[str]


def plain_matrix(body: bytes, *, worth_bytes: int = _WORTH_BYTES) -> PlainMatrix | None:
    """Read the body of an answer to a range query; None if it is small, or not of the plain form."""
    if len(body) < worth_bytes:
        return None
    try:
        if not body.isascii():
            body.decode()  # the decoder does not look into texts that it skips
        envelope = _DECODER.decode(body)
        series = tuple((one.metric, _samples(bytes(one.values))) for one in envelope.data.result)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None
    return PlainMatrix(series, frozenset(envelope.warnings or ()), frozenset(envelope.infos or ()))


def _samples(text: bytes) -> Samples:
    """Scan one series; ValueError if it is not plain or its instants do not increase."""
    samples = scan_samples(text)
    if samples is None or np.any(np.diff(samples[0]) <= 0):
        raise ValueError("not of the plain form")
    return samples
