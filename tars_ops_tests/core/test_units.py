"""How quantities read."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tars_ops.core.units import Unit, at_most, duration, percent, show


@pytest.mark.parametrize("unit", Unit)
@pytest.mark.parametrize("value", [None, math.nan])
def test_what_nobody_knows_is_written_as_unknown(unit: Unit, value: float | None) -> None:
    assert show(value, unit) == "unknown"
    assert percent(value) == "unknown"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9999, Unit.RATIO, "99.99 %"),
        (0.0, Unit.RATIO, "0 %"),
        (0.5, Unit.SECONDS, "500 ms"),
        (1.0, Unit.SECONDS, "1 s"),
        (0.0, Unit.SECONDS, "0 ms"),
        (1023.0, Unit.BYTES, "1.02e+03 B"),
        (1024.0, Unit.BYTES, "1 KiB"),
        (2.0**60, Unit.BYTES, "1.02e+03 PiB"),
        (0.25, Unit.CORES, "0.25 cores"),
        (12.345, Unit.USD, "12.35 USD"),
        (20.0, Unit.PER_SECOND, "20 /s"),
        (3.0, Unit.COUNT, "3"),
    ],
)
def test_a_value_is_written_with_its_unit(value: float, unit: Unit, text: str) -> None:
    assert show(value, unit) == text


@pytest.mark.parametrize(("seconds", "text"), [(59, "59 s"), (60, "1 min"), (3600, "1 h"), (86400, "1 d"), (0, "0 s")])
def test_a_span_is_written_in_its_largest_unit(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@given(st.text(), st.integers(1, 50))
def test_a_strange_text_is_cut_and_cannot_move_the_cursor(text: str, limit: int) -> None:
    shown = at_most(text, limit)

    assert len(shown) <= limit
    assert shown.isprintable()
