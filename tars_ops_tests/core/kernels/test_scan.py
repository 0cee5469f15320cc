"""The compiled reader of samples reads what ``float`` reads, bit for bit, or leaves the text alone."""

from __future__ import annotations

import json
import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tars_ops.core.kernels.scan import scan_samples


def as_sent(numbers: list[str]) -> bytes:
    return ("[" + ",".join(f'[{1_700_000_000 + i}.5,"{text}"]' for i, text in enumerate(numbers)) + "]").encode()


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


def written(value: float) -> list[str]:
    """The ways in which programs write a number."""
    ways = [repr(value), f"{value:.17g}", f"{value:.19g}", f"{value:.3f}", f"{value:e}", f"{value:.25e}"]
    return [way for way in ways if len(way) < 400]


@given(st.lists(st.floats(), min_size=1, max_size=20))
def test_every_double_arrives_bit_for_bit(values: list[float]) -> None:
    texts = [text for value in values for text in written(value)]
    found = scan_samples(as_sent(texts))

    assert found is not None
    assert found[1].tobytes() == b"".join(bits(float(text)) for text in texts)


@given(st.integers(0, 2**64 + 10), st.integers(-360, 330))
@example(9007199254740993, 0)
@example(9007199254740993, 1)
@example(18446744073709551615, 308)
@example(22250738585072014, -324)
@example(15, -309)
@example(1, -309)
@example(49406564584124654, -340)
@example(7450580596923828125, -28)
def test_every_decimal_is_rounded_to_the_nearest_double(digits: int, power: int) -> None:
    text = f"{digits}e{power}"
    found = scan_samples(as_sent([text]))

    assert found is not None
    assert bits(found[1][0]) == bits(float(text))


@given(st.integers(2**52, 2**53 - 1), st.integers(-8, 9))
def test_a_decimal_halfway_between_two_doubles_goes_to_the_even_one(mantissa: int, shift: int) -> None:
    halfway = (2 * mantissa + 1) * 2 ** max(shift, 0)
    text = f"{halfway}" if shift >= 0 else f"{halfway * 5**-shift}e{shift}"
    found = scan_samples(as_sent([text]))

    assert found is not None
    assert bits(found[1][0]) == bits(float(text))


@pytest.mark.parametrize(
    "text", ["NaN", "+Inf", "-Inf", "Inf", "-NaN", "inf", "nan", "-0", "+1", "1_0", " 1 ", ".5", "5.", "1E3", "0" * 30]
)
def test_whatever_float_understands_is_read_as_it_does(text: str) -> None:
    found = scan_samples(as_sent([text]))

    assert found is not None
    assert bits(found[1][0]) == bits(float(text))


@pytest.mark.parametrize(
    "text", ["", ".", "-", "+", "e5", "1e", "1e+", "Na", "NaNs", "I", "+In", "two", "1.2.3", "0x1p3"]
)
def test_what_float_refuses_is_refused_in_the_same_words(text: str) -> None:
    with pytest.raises(ValueError) as plain:  # noqa: PT011 - the words are compared
        float(text)
    with pytest.raises(ValueError) as found:  # noqa: PT011
        scan_samples(as_sent([text]))

    assert str(found.value) == str(plain.value)


@given(st.integers(0, 10**15 - 1), st.sampled_from([0, 1, 2, 3]))
def test_instants_are_exact_to_the_millisecond(at_ms: int, decimals: int) -> None:
    step_ms = 10 ** (3 - decimals)
    at_ms -= at_ms % step_ms
    text = f"{at_ms // 1000}" + (f".{at_ms % 1000:03d}"[: decimals + 1] if decimals else "")
    found = scan_samples(f'[[{text},"1"]]'.encode())

    assert found is not None
    assert found[0].tolist() == [at_ms]


@pytest.mark.parametrize(
    "text",
    [
        "", "[", "]", "[[", "[]]", "[[]]", "[[1]]", '[[1,"2"]', '[1,"2"]]', '[[1,"2"],]', '[,[1,"2"]]', "[null]",
        '[[1,"2"][1,"2"]]', '[[1,"2",3]]', "[[1,2]]", '[["1","2"]]', '[[1,"2]]', '[[1,"N]]', '[[1,"+]]', '{"a":1}',
        '[[01,"2"]]', '[[1.,"2"]]', '[[-1,"2"]]', '[[1.0001,"2"]]', '[[1e3,"2"]]', '[[1234567890123,"2"]]',
        '[[1, "2"]]', '[[1,"2"] ]', '[[1,"\\u0032"]]', '[[1,"é"]]', '[[1,"\t"]]', '[[1,"2"]]]', '[[1,"2"]][]',
    ],
)  # fmt: skip
def test_another_form_is_left_to_the_general_reader(text: str) -> None:
    assert scan_samples(text.encode()) is None


@given(st.binary(max_size=40), st.integers(0, 60), st.integers(0, 10))
def test_damage_never_makes_up_a_sample(noise: bytes, place: int, cut: int) -> None:
    good = as_sent(["0.25", "1e-9", "NaN"])
    damaged = good[:place] + noise + good[place + cut :]
    try:
        found = scan_samples(damaged)
    except ValueError:
        return

    if found is not None:
        expected = json.loads(damaged)
        assert found[0].tolist() == [round(1000 * at_s) for at_s, _ in expected]
        assert found[1].tobytes() == np.array([float(text) for _, text in expected]).tobytes()
