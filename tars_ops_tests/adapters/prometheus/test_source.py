"""Do counters of good and of bad events add up to all events?"""

from __future__ import annotations

import numpy as np
import pytest

from tars_ops.adapters.prometheus.source import _count_table
from tars_ops.core.telemetry import BAD, TOTAL

SLOTS = np.array([0, 300_000], dtype=np.int64)
GOOD, FAILED = np.array([90, 0], dtype=np.int64), np.array([10, 5], dtype=np.int64)


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        ({TOTAL: GOOD, BAD: FAILED}, {BAD: [10, 5], TOTAL: [100, 5]}),
        ({BAD: FAILED}, {BAD: [10, 5], TOTAL: [10, 5]}),
        ({TOTAL: GOOD}, {TOTAL: [90, 0]}),
        ({}, {}),
    ],
)
def test_all_events_are_the_good_and_the_bad_ones(
    counted: dict[str, np.ndarray], expected: dict[str, list[int]]
) -> None:
    table = _count_table({("api", le): events for le, events in counted.items()}, SLOTS, with_good=True)

    assert {le: table.counts[0, i].tolist() for i, le in enumerate(table.les)} == expected
