"""A large answer of a real Prometheus arrives bit for bit."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from tars_ops.adapters.prometheus import matrix
from tars_ops.adapters.prometheus.client import Limits, PrometheusServer, Reply
from tars_ops_tests.live.history import load_blocks
from tars_ops_tests.live.servers import prometheus

pytestmark = pytest.mark.live

START_S, STEP_S, N = 1_763_424_000, 15, 5760
ODD = [0.0, -0.0, 5e-324, 1.7976931348623157e308, 1e21, 1e-7, 123456789012345678, 0.1, math.inf, -math.inf]


def measured() -> np.ndarray:
    rng = np.random.default_rng(8)
    values = rng.lognormal(size=(3, N)) * 10.0 ** rng.integers(-12, 12, (3, N))
    values[0, : len(ODD)] = ODD
    return values


def asked(url: str, limits: Limits) -> Reply:
    with PrometheusServer(url, limits=limits) as server:
        return server.range(
            "load", start_ms=1000 * START_S, end_ms=1000 * (START_S + (N - 1) * STEP_S), step_ms=1000 * STEP_S
        )


def test_a_large_answer_arrives_bit_for_bit(tmp_path: Path) -> None:
    values, text = measured(), tmp_path / "day.om"
    rows = [
        f'load{{job="{i}"}} {one!r} {START_S + STEP_S * t}'.replace(" inf", " +Inf").replace(" -inf", " -Inf")
        for i, row in enumerate(values.tolist())
        for t, one in enumerate(row)
    ]
    text.write_text("\n".join(["# TYPE load gauge", *rows, "# EOF"]) + "\n")
    load_blocks([text], tmp_path / "tsdb")
    with prometheus(tmp_path / "tsdb") as server:
        whole, in_pieces = asked(server.url, Limits()), asked(server.url, Limits(max_points=700))

    assert len(rows) * len('[1763424000,"0.1"],') > matrix._WORTH_BYTES
    assert [series.values.tobytes() for series in whole.series] == [row.tobytes() for row in values]
    assert all((series.at_ms == 1000 * (START_S + STEP_S * np.arange(N))).all() for series in whole.series)
    assert in_pieces.sha256 == whole.sha256
