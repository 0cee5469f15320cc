"""What do the bytes of a good answer say?

Here the envelope of the query API becomes arrays, or an error that names what is wrong. Statuses are judged in
`refusal`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tars_ops.adapters.prometheus.exchange import Answer, TransientError
from tars_ops.adapters.prometheus.matrix import Samples, plain_matrix
from tars_ops.adapters.prometheus.refusal import excerpt, raise_error_envelope
from tars_ops.core.errors import SourceError

Labels = tuple[tuple[str, str], ...]

_LAST_INSTANT_S = 1e12


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """Samples of one label set.

    ``labels`` are sorted by name and read-only. ``at_ms`` increases, in Unix milliseconds. ``values`` hold NaN and the
    infinities as the server sent them.
    """

    labels: Mapping[str, str]
    at_ms: NDArray[np.int64]
    values: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reply:
    """What the server knows about one query; compare replies by ``sha256``.

    ``series`` are sorted by labels and may be empty: the server has no such data. ``sha256`` covers labels, instants
    and value bytes, not the order of JSON keys nor the number of requests. ``warnings`` mean that the result may be
    incomplete; ``infos`` are remarks on the query. Both are distinct and sorted.
    """

    query: str
    series: tuple[Series, ...]
    warnings: tuple[str, ...]
    infos: tuple[str, ...]
    sha256: str


@dataclass(frozen=True, slots=True)
class Piece:
    """The parsed answer of one request."""

    samples: Mapping[Labels, Samples]
    warnings: frozenset[str]
    infos: frozenset[str]


def read_envelope(answer: Answer, *, query: str) -> Mapping[str, Any]:
    """Check that a body is a success of the query API and give its members.

    Raises
    ------
    TransientError
        If the JSON was cut off.
    QueryRefusedError, SourceError
        If the server reports an error, or this is not its API at all.
    """
    try:
        envelope = json.loads(answer.body)
    except (ValueError, RecursionError):
        if answer.body.lstrip().startswith(b"{") and not answer.body.rstrip().endswith(b"}"):
            raise TransientError(f"the answer breaks off after {len(answer.body)} bytes") from None
        envelope = None
    if not isinstance(envelope, dict) or "status" not in envelope:
        raise _odd(answer, f"no answer of a Prometheus API but {excerpt(answer)}; a login page or another service?")
    if envelope["status"] != "success":
        raise_error_envelope(answer, query=query)
    if not isinstance(envelope.get("data"), dict):
        raise _odd(answer, "the answer has no data")
    return envelope


def read_piece(answer: Answer, *, query: str, kind: Literal["matrix", "vector"]) -> Piece:
    """Read the result of a range query ("matrix") or of an instant query ("vector", or a scalar without labels).

    Raises
    ------
    TransientError, QueryRefusedError, SourceError
        As `read_envelope`; SourceError also for another type of result, native histograms, label sets that occur
        twice, and samples that are not increasing instants with numbers.
    """
    if kind == "matrix" and (plain := plain_matrix(answer.body)) is not None:
        series = [(tuple(sorted(metric.items())), samples) for metric, samples in plain.series]
        _refuse_duplicates(answer, [labels for labels, _ in series])
        return Piece(dict(series), plain.warnings, plain.infos)
    envelope = read_envelope(answer, query=query)
    found, result = envelope["data"].get("resultType"), envelope["data"].get("result")
    if kind == "vector" and found == "scalar":
        result = [{"metric": {}, "value": result}]
    elif found != kind:
        shown = answer.quote(repr(found), limit=40)
        raise _odd(answer, f"the result is a {shown} where a {kind} is needed; query: {answer.quote(query)}")
    if not isinstance(result, list):
        raise _odd(answer, f"the result is not a list of series; query: {answer.quote(query)}")
    pairs = [_series(answer, entry, kind) for entry in result]
    _refuse_duplicates(answer, [labels for labels, _ in pairs])
    return Piece(dict(pairs), _annotations(answer, envelope, "warnings"), _annotations(answer, envelope, "infos"))


def merged(query: str, pieces: Sequence[Piece]) -> Reply:
    """Join pieces, given in the order of time, as if one request had brought them all."""
    label_sets = sorted({labels for piece in pieces for labels in piece.samples})
    series = tuple(_joined(labels, [p.samples[labels] for p in pieces if labels in p.samples]) for labels in label_sets)
    return Reply(
        query=query,
        series=series,
        warnings=tuple(sorted(frozenset[str]().union(*(piece.warnings for piece in pieces)))),
        infos=tuple(sorted(frozenset[str]().union(*(piece.infos for piece in pieces)))),
        sha256=_digest(series),
    )


def _joined(labels: Labels, samples: Sequence[Samples]) -> Series:
    at_ms = np.concatenate([instants for instants, _ in samples])
    values = np.concatenate([numbers for _, numbers in samples])
    at_ms.flags.writeable = values.flags.writeable = False
    return Series(MappingProxyType(dict(labels)), at_ms, values)


def _digest(series: Sequence[Series]) -> str:
    """Hash each part behind its length, so that no two contents share one byte string."""
    digest = hashlib.sha256()
    for one in series:
        labels = json.dumps(list(one.labels.items())).encode("ascii")
        for part in (labels, one.at_ms.astype("<i8").tobytes(), one.values.astype("<f8").tobytes()):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()


def _series(answer: Answer, entry: object, kind: Literal["matrix", "vector"]) -> tuple[Labels, Samples]:
    if not isinstance(entry, dict) or not _is_label_set(entry.get("metric")):
        raise _odd(answer, "a series has no valid label set")
    labels = tuple(sorted(entry["metric"].items()))
    if "histogram" in entry or "histograms" in entry:
        raise _odd(
            answer, f"{_shown(answer, labels)} holds native histograms; query numbers, by histogram_quantile or so"
        )
    samples = entry.get("values") if kind == "matrix" else [entry.get("value")]
    try:
        return labels, _samples(samples)
    except (TypeError, ValueError, OverflowError) as error:
        reason = answer.quote(str(error))
    raise _odd(answer, f"{_shown(answer, labels)} holds samples that cannot be read: {reason}")


def _samples(samples: object) -> Samples:
    """Read ``[[seconds, "number"], ...]``; TypeError or ValueError if it is anything else."""
    if not isinstance(samples, list):
        raise TypeError("not a list")
    instants, texts = zip(*samples, strict=True) if samples else ((), ())
    if not set(map(type, instants)) <= {int, float} or not set(map(type, texts)) <= {str}:
        raise TypeError("not pairs of a number and a text")
    at_s = np.array(instants, dtype=np.float64)
    if not np.all(np.abs(at_s) < _LAST_INSTANT_S):
        raise ValueError("an instant is out of range")
    at_ms = np.rint(at_s * 1000).astype(np.int64)
    if np.any(np.diff(at_ms) <= 0):
        raise ValueError("the instants do not increase")
    return at_ms, np.fromiter(map(float, texts), dtype=np.float64, count=len(texts))


def _is_label_set(metric: object) -> bool:
    """Texts by name; a lone surrogate is no text and could not be stored."""
    if not isinstance(metric, dict) or not all(isinstance(value, str) for value in metric.values()):
        return False
    try:
        "".join([*metric, *metric.values()]).encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse_duplicates(answer: Answer, label_sets: Sequence[Labels]) -> None:
    seen: set[Labels] = set()
    twice = {labels for labels in label_sets if labels in seen or seen.add(labels)}
    if twice:
        shown = ", ".join(_shown(answer, labels) for labels in sorted(twice)[:3])
        raise _odd(answer, f"{len(twice)} label sets occur more than once: {shown}; does a proxy join two servers?")


def _annotations(answer: Answer, envelope: Mapping[str, Any], name: str) -> frozenset[str]:
    texts = envelope.get(name) or []
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise _odd(answer, f"its {name} are not a list of texts")
    return frozenset(texts)


def _shown(answer: Answer, labels: Labels) -> str:
    return answer.quote("{" + ", ".join(f'{name}="{value}"' for name, value in labels) + "}", limit=300)


def _odd(answer: Answer, what: str) -> SourceError:
    return SourceError(f"{answer.server}: {what}")
