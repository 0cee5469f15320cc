"""How is the text ``[[1700000000.5,"0.25"],...]`` read at the speed of a few bytes per nanosecond?

Only the plain form that metrics servers write is understood; anything else is left to the general reader. A number is
right to the last bit: up to 19 digits are taken as an integer, which one multiplication or division by a power of ten
turns into the nearest double where both are exact (Clinger 1990), and a product of 128 bits otherwise (Lemire 2021).
What neither can say (more digits, results below the normal doubles) is returned for ``float`` to read.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tars_ops.core.kernels.jit import compiled
from tars_ops.core.telemetry import FloatArray, IntArray

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]

NOT_PLAIN = -1
LEAST_POWER, GREATEST_POWER = -342, 308
MAX_DIGITS = 19
"""So many decimal digits fit into 64 bits."""
MAX_SECOND_DIGITS = 12
"""Whole seconds of an instant: 30,000 years."""
TENS = 10.0 ** np.arange(23)
"""The powers of ten that a double holds exactly."""


def _powers_of_five() -> Words:
    """Return the leading 128 bits of each power of five, high word first: rounded down, for negative powers up."""
    words = [_leading_bits(power) for power in range(LEAST_POWER, GREATEST_POWER + 1)]
    return np.array([(bits >> 64, bits & (2**64 - 1)) for bits in words], dtype=np.uint64)


def _leading_bits(power: int) -> int:
    five = 5 ** abs(power)
    length = five.bit_length()
    if power >= 0:
        bits = five << 128
    elif power >= -27:
        bits = 2 ** (length + 127) // five + 1
    else:
        bits = 2 ** (2 * length + 128) // five + 1
    return bits >> (bits.bit_length() - 128)


FIVES = _powers_of_five()

_0, _9, _MINUS, _PLUS, _DOT, _COMMA, _QUOTE, _OPEN, _CLOSE = (ord(one) for one in '09-+.,"[]')
_E, _BACKSLASH, _LAST_CONTROL, _FIRST_HIGH, _N, _I = ord("e"), ord("\\"), 0x1F, 0x7F, ord("N"), ord("I")
_ONE, _LOW = np.uint64(1), np.uint64(0xFFFFFFFF)
_MINUS_BIT, _FRACTION = np.uint64(1) << np.uint64(63), (np.uint64(1) << np.uint64(52)) - np.uint64(1)
_NAN, _INFINITE = np.uint64(0x7FF8000000000000), np.uint64(0x7FF0000000000000)


@compiled
def scanned(text: Bytes, at_ms: IntArray, bits: Words, odd: IntArray) -> tuple[int, int]:
    """Read ``[[seconds,"number"],...]`` and return how many samples and how many odd numbers there are.

    ``at_ms`` and ``bits`` (of the doubles) have room for all of them. ``odd`` has a row for each number that is left to
    ``float``: index, first byte, byte after the last. NOT_PLAIN as the number of samples if the form is another one.
    """
    if len(text) == 2:
        return (0, 0) if text[0] == _OPEN and text[1] == _CLOSE else (NOT_PLAIN, 0)
    n, n_odd, i, end = 0, 0, 0, len(text) - 1
    numbers = bits.view(np.float64)
    while i < end:
        if text[i] != (_COMMA if n else _OPEN) or text[i + 1] != _OPEN or n == len(at_ms):
            return NOT_PLAIN, 0
        i, at_ms[n] = _instant(text, i + 2)
        if i < 0 or text[i] != _COMMA or text[i + 1] != _QUOTE:
            return NOT_PLAIN, 0
        first = i + 2
        i = _number(text, first, n, bits, numbers)
        if i < 0:
            i = _closing_quote(text, first)
            if i < 0:
                return NOT_PLAIN, 0
            odd[n_odd, 0], odd[n_odd, 1], odd[n_odd, 2] = n, first, i
            n_odd += 1
        if text[i + 1] != _CLOSE:
            return NOT_PLAIN, 0
        i += 2
        n += 1
    return (n, n_odd) if i == end and text[i] == _CLOSE else (NOT_PLAIN, 0)


@compiled
def _instant(text: Bytes, i: int) -> tuple[int, np.int64]:
    """Read seconds with up to three decimals; return the place behind them and milliseconds, -1 if they are not so."""
    start = i
    i, whole = _digits(text, i, np.uint64(0))
    number = np.int64(whole)
    if i == start or i - start > MAX_SECOND_DIGITS or (text[start] == _0 and i - start > 1):
        return -1, np.int64(0)
    if text[i] != _DOT:
        return i, 1000 * number
    i += 1
    scale, start = 1000, i
    while _0 <= text[i] <= _9 and i - start < 3:
        number = 10 * number + np.int64(text[i] - _0)
        scale //= 10
        i += 1
    return (i, scale * number) if i > start else (-1, np.int64(0))


@compiled
def _number(text: Bytes, i: int, n: int, bits: Words, numbers: FloatArray) -> int:
    """Read one number into place ``n`` and return the place of the quote behind it, -1 if it is left to ``float``."""
    is_negative = text[i] == _MINUS
    if is_negative or text[i] == _PLUS:
        i += 1
    if text[i] > _9:
        return _named(text, i, n, bits)
    first = i
    i = _past_zeros(text, i)
    start = i
    i, digits = _digits(text, i, np.uint64(0))
    n_digits, n_figures, power = i - start, i - first, 0
    if text[i] == _DOT:
        first = i + 1
        start = _past_zeros(text, first) if n_digits == 0 else first
        i, digits = _digits(text, start, digits)
        power = first - i
        n_digits, n_figures = n_digits + i - start, n_figures - power
    if text[i] == _E:
        i, shift = _exponent(text, i + 1)
        power += shift
    if n_figures == 0 or n_digits > MAX_DIGITS or text[i] != _QUOTE:
        return -1
    if digits <= np.uint64(1 << 53) and -22 <= power <= 22:
        value = np.float64(digits) * TENS[power] if power >= 0 else np.float64(digits) / TENS[-power]
        numbers[n] = -value if is_negative else value
        return i
    found = _nearest(digits, power)
    bits[n] = found | _MINUS_BIT if is_negative else found
    return i if found != _INFINITE else -1


@compiled
def _past_zeros(text: Bytes, i: int) -> int:
    while text[i] == _0:
        i += 1
    return i


@compiled
def _digits(text: Bytes, i: int, digits: np.uint64) -> tuple[int, np.uint64]:
    """Append the digits from place ``i`` on; more than 19 of them overflow."""
    while _0 <= text[i] <= _9:
        digits = digits * np.uint64(10) + np.uint64(text[i] - _0)
        i += 1
    return i, digits


@compiled
def _exponent(text: Bytes, i: int) -> tuple[int, int]:
    """Read up to four digits with a sign; the place behind is no quote if there are none or more."""
    is_negative = text[i] == _MINUS
    if is_negative or text[i] == _PLUS:
        i += 1
    first, power = i, 0
    while _0 <= text[i] <= _9 and i - first < 4:
        power = 10 * power + (text[i] - _0)
        i += 1
    return (i if i > first else i - 1), -power if is_negative else power


@compiled
def _named(text: Bytes, i: int, n: int, bits: Words) -> int:
    """Read ``NaN``, ``+Inf`` or ``-Inf``."""
    if text[i] == _N and text[i - 1] == _QUOTE and text[i + 1] == ord("a") and text[i + 2] == _N:
        bits[n] = _NAN
    elif text[i] == _I and text[i - 1] != _QUOTE and text[i + 1] == ord("n") and text[i + 2] == ord("f"):
        bits[n] = _INFINITE | _MINUS_BIT if text[i - 1] == _MINUS else _INFINITE
    else:
        return -1
    return i + 3 if text[i + 3] == _QUOTE else -1


@compiled
def _closing_quote(text: Bytes, i: int) -> int:
    """Return the place of the quote that ends a plain text; -1 if it is not plain ASCII."""
    while i < len(text) - 1 and text[i] != _QUOTE:
        if text[i] == _BACKSLASH or not _LAST_CONTROL < text[i] < _FIRST_HIGH:
            return -1
        i += 1
    return i if text[i] == _QUOTE else -1


@compiled
def _nearest(digits: np.uint64, power: int) -> np.uint64:
    """Return the bits of the double nearest to ``digits * 10**power``; those of infinity where that is not certain.

    The product of the digits, shifted to the left end of 64 bits, with 128 bits of a power of five holds the 53 bits
    of the result and those that decide its rounding (Lemire, "Number parsing at a gigabyte per second", 2021).
    """
    if digits == np.uint64(0):
        return np.uint64(0)
    if power < LEAST_POWER or power > GREATEST_POWER:
        return _INFINITE
    shift = np.uint64(0)
    while digits >> np.uint64(63) == np.uint64(0):
        digits <<= _ONE
        shift += _ONE
    high, low = _product(digits, FIVES[power - LEAST_POWER, 0])
    if high & np.uint64(0x1FF) == np.uint64(0x1FF):
        carried, _ = _product(digits, FIVES[power - LEAST_POWER, 1])
        low += carried
        high += _ONE if low < carried else np.uint64(0)
    if low == np.uint64(0xFFFFFFFFFFFFFFFF) and not -27 <= power <= 55:
        return _INFINITE
    top = high >> np.uint64(63)
    mantissa = high >> (top + np.uint64(9))
    exponent = ((217706 * power) >> 16) + 63 + 1023 + np.int64(top) - np.int64(shift)
    if exponent <= 0 or exponent >= 0x7FE:
        return _INFINITE
    is_halfway = low <= _ONE and -4 <= power <= 23 and mantissa & np.uint64(3) == _ONE
    if is_halfway and mantissa << (top + np.uint64(9)) == high:
        mantissa -= _ONE
    mantissa = (mantissa + (mantissa & _ONE)) >> _ONE
    # a carry into the 54th bit leaves an empty fraction and adds one to the exponent, as it should
    return (np.uint64(exponent - 1) << np.uint64(52)) + mantissa if mantissa >> np.uint64(52) else _INFINITE


@compiled
def _product(a: np.uint64, b: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the high and the low word of a product of 64-bit words."""
    half = np.uint64(32)
    a1, a0, b1, b0 = a >> half, a & _LOW, b >> half, b & _LOW
    low, middle = a0 * b0, a1 * b0
    middle += low >> half
    other = a0 * b1 + (middle & _LOW)
    return a1 * b1 + (middle >> half) + (other >> half), a * b
