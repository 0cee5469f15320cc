"""The fast reader of matrices reads what the general one reads, or leaves the answer to it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tars_ops.adapters.prometheus.exchange import Answer, Quote
from tars_ops.adapters.prometheus.matrix import plain_matrix
from tars_ops.adapters.prometheus.reply import Piece, merged, read_piece
from tars_ops.core.errors import SourceError
from tars_ops_tests.adapters.prometheus.fake_server import matrix

PLAIN: list[Any] = [
    matrix(),
    matrix({"metric": {}, "values": []}),
    matrix({"metric": {"b": "1", "a": "ü"}, "values": [[1, "0.1"], [2.5, "NaN"]]}, {"metric": {}, "values": []}),
    matrix({"values": [[1700000000.123, "+Inf"], [1700000015, "1e-7"]], "metric": {"a": "1"}}, infos=["x", "x"]),
    {"warnings": ["w"], "isPartial": False, **matrix({"metric": {}, "values": [[0, "1e-999"]]}, infos=None)},
]  # fmt: skip
OTHER: list[Any] = [
    matrix({"metric": {}, "values": [[2, "1"], [1, "1"]]}),
    matrix({"metric": {}, "values": [[1, "1"], [1, "1"]]}),
    matrix({"metric": {}, "values": [[1, "one"]]}),
    matrix({"metric": {}, "values": [[1, 1]]}),
    matrix({"metric": {}, "values": [["1", "1"]]}),
    matrix({"metric": {}, "values": [[1, "1", "1"]]}),
    matrix({"metric": {}, "values": [[1e15, "1"]]}),
    matrix({"metric": {}, "values": None}),
    matrix({"metric": {}, "values": [], "histograms": []}),
    matrix({"metric": {}, "histograms": [[1, {"count": "1"}]]}),
    matrix({"metric": {"a": 1}, "values": []}),
    matrix({"metric": {"a": "\ud800"}, "values": []}),
    matrix({"values": []}),
    matrix(warnings="w"),
    matrix(infos=[1]),
    {"status": "success", "data": {"resultType": "vector", "result": []}},
    {"status": "success", "data": {"resultType": "matrix"}},
    {"status": "error", "errorType": "bad_data", "error": "no"},
    {"status": "success"},
    [],
]


def text(body: Any) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()


def general(body: bytes) -> Piece:
    """Read as small answers are read."""
    return read_piece(Answer("http://server", 200, {}, body, Quote()), query="x", kind="matrix")


def assert_same(body: bytes) -> None:
    found = plain_matrix(body, worth_bytes=0)
    if found is not None:
        expected = general(body)
        samples = {tuple(sorted(labels.items())): samples for labels, samples in found.series}
        assert merged("x", [Piece(samples, found.warnings, found.infos)]).sha256 == merged("x", [expected]).sha256
        assert (found.warnings, found.infos) == (expected.warnings, expected.infos)


@pytest.mark.parametrize("body", PLAIN)
def test_a_plain_matrix_is_read_the_same_either_way(body: Any) -> None:
    assert plain_matrix(text(body), worth_bytes=0) is not None
    assert_same(text(body))


@pytest.mark.parametrize("body", OTHER)
def test_another_answer_is_left_to_the_general_reader(body: Any) -> None:
    assert plain_matrix(text(body), worth_bytes=0) is None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[" * 100_000, b"\xff\xfe\x00", text(PLAIN[2])[:-1], b"\xef\xbb\xbf" + text(PLAIN[2]),
        text(PLAIN[2]).replace(b"NaN", b"N\\u0061N"), text(PLAIN[4]).replace(b"isP", b"i\xff"),
        text(PLAIN[2]).replace(b"[1,", b"[NaN,"), text(PLAIN[2]).replace(b"[1,", b"[1 ,"),
    ],
)  # fmt: skip
def test_damage_is_left_to_the_general_reader(body: bytes) -> None:
    assert plain_matrix(body, worth_bytes=0) is None


@pytest.mark.parametrize(
    "twice", [b'"status":"success",', b'"infos":["a"],', b'"data":{"resultType":"matrix","result":[]},']
)
def test_of_a_key_that_occurs_twice_the_last_one_counts_in_both(twice: bytes) -> None:  # fmt: skip
    assert_same(b"{" + twice + text(PLAIN[3])[1:])
    assert_same(text(PLAIN[3])[:-1] + b"," + twice[:-1] + b"}")
    assert_same(text(PLAIN[3]).replace(b'"a":"1"', b'"a":"0","a":"1"'))
    assert_same(text(PLAIN[3]).replace(b'"metric":', b'"values":[],"metric":'))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(PLAIN[2:]), st.binary(max_size=6), st.integers(0, 200), st.integers(0, 6))
def test_what_is_accepted_after_damage_is_what_the_general_reader_accepts(
    body: Any, noise: bytes, place: int, cut: int
) -> None:
    good = text(body)
    place %= len(good)

    assert_same(good[:place] + noise + good[place + cut :])


def test_a_small_answer_does_not_wake_the_compiler() -> None:
    assert plain_matrix(text(PLAIN[2])) is None


def large(values: list[str]) -> bytes:
    return text(matrix({"metric": {"a": "1"}, "values": [[1_700_000_000 + i, one] for i, one in enumerate(values)]}))


def test_a_large_answer_is_read_like_a_small_one() -> None:
    values = [repr(float(one)) for one in np.random.default_rng(0).lognormal(size=20_000)]
    body = large(values)
    found = merged("x", [general(body)]).series[0]

    assert plain_matrix(body) is not None
    assert found.values.tolist() == [float(one) for one in values]
    assert found.at_ms.tolist() == [1000 * (1_700_000_000 + i) for i in range(len(values))]


def test_what_is_wrong_with_a_large_answer_is_told_as_of_a_small_one() -> None:
    values = ["0.5"] * 20_000
    with pytest.raises(SourceError, match="could not convert string to float: 'half'"):
        general(large([*values, "half"]))
    twice = json.loads(large(values))
    twice["data"]["result"] *= 2
    with pytest.raises(SourceError, match=r'1 label sets occur more than once: \{a="1"\}'):
        general(text(twice))
