"""How fast do samples come in and go out: JSON, a real Prometheus, Parquet and archives?"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
from prometheus_api_client import MetricRangeDataFrame, PrometheusConnect

from tars_ops.adapters.archive import pack_zip, sidecar_line
from tars_ops.adapters.artifacts import decode_telemetry, encode_telemetry
from tars_ops.adapters.prometheus.client import PrometheusServer
from tars_ops.adapters.prometheus.exchange import Answer, Quote
from tars_ops.adapters.prometheus.matrix import plain_matrix
from tars_ops.adapters.prometheus.reply import read_piece
from tars_ops.core.telemetry import CountTable, SampleTable, Telemetry, count_frame, sample_frame
from tars_ops_tests.adapters.factories import telemetry
from tars_ops_tests.benchmarks.rounds import Way, rates, table
from tars_ops_tests.core.report.factories import release
from tars_ops_tests.live.history import load_blocks
from tars_ops_tests.live.servers import prometheus

N_SERIES, STEP_S, DAY_S = 156, 15, 86_400
START_S = 1_763_424_000
N_POINTS = DAY_S // STEP_S


def matrix_body(values: np.ndarray) -> bytes:
    """Write a matrix as Prometheus does."""
    series = [
        {"metric": {"job": f"j{i}"}, "values": [[START_S + STEP_S * t, repr(one)] for t, one in enumerate(row)]}
        for i, row in enumerate(values.tolist())
    ]
    return json.dumps(
        {"status": "success", "data": {"resultType": "matrix", "result": series}}, separators=(",", ":")
    ).encode()


def measured_values(n_series: int) -> np.ndarray:
    """Return values with all their digits, (n_series, 5,760)."""
    return np.random.default_rng(5).lognormal(-2, 1, (n_series, N_POINTS))


def json_table(n_series: int, n_rounds: int) -> str:
    """Bytes of an answer to arrays, with every check of the product in both of its readers."""
    values = measured_values(n_series)
    body = matrix_body(values)
    whole, few = values.size, values[: max(n_series // 8, 1)]
    small = matrix_body(few)

    def by_json() -> object:
        found = json.loads(small)["data"]["result"]
        return [np.array([(at_s, float(text)) for at_s, text in one["values"]]) for one in found]

    def by_pieces(part: bytes) -> object:
        answer = Answer("http://server", 200, {}, part, Quote())
        return read_piece(answer, query="x", kind="matrix")

    # a blank makes it an answer that only the general reader understands
    odd = small.replace(b'"values":[[', b'"values": [ [')
    found = rates(
        {
            "`plain_matrix`": Way(lambda: plain_matrix(body), whole),
            "the general reader (`json`, checks)": Way(lambda: by_pieces(odd), few.size),
            "`json`, then numpy": Way(by_json, few.size),
        },
        n_rounds=n_rounds,
    )
    return table(f"JSON to arrays, {n_series} x {N_POINTS:,}", "M samples per CPU-second", found)


def fetch_table(n_rounds: int) -> str:
    """One day of 156 series from a real Prometheus, by range queries, CPU of the client."""
    with tempfile.TemporaryDirectory(prefix="fetch-") as scratch:
        text, blocks = Path(scratch, "day.om"), Path(scratch, "tsdb")
        rows = ["# TYPE load gauge"]
        for i, row in enumerate(measured_values(N_SERIES).tolist()):
            rows += [f'load{{job="j{i}"}} {one!r} {START_S + STEP_S * t}' for t, one in enumerate(row)]
        text.write_text("\n".join([*rows, "# EOF"]) + "\n")
        load_blocks([text], blocks)
        with prometheus(blocks) as server, PrometheusServer(server.url) as ours:
            library: Any = PrometheusConnect(server.url)
            ends_s = START_S, START_S + DAY_S - STEP_S
            ends = [datetime.fromtimestamp(one, UTC) for one in ends_s]

            def by_library() -> list:
                return library.custom_query_range("load", start_time=ends[0], end_time=ends[1], step=str(STEP_S))

            n = N_SERIES * N_POINTS
            found = rates(
                {
                    "`PrometheusServer.range`, to arrays": Way(
                        lambda: ours.range(
                            "load", start_ms=1000 * ends_s[0], end_ms=1000 * ends_s[1], step_ms=1000 * STEP_S
                        ),
                        n,
                    ),
                    "`custom_query_range`, to lists of texts": Way(by_library, n),
                    "`custom_query_range`, to `MetricRangeDataFrame`": Way(
                        lambda: MetricRangeDataFrame(by_library()), n
                    ),
                },
                n_rounds=n_rounds,
            )
    return table(
        f"fetch of a day, {N_SERIES} x {N_POINTS:,}, real server", "M samples per CPU-second of the client", found
    )


def parquet_table(n_services: int, n_rounds: int) -> str:
    """Size and reading of telemetry as it is stored."""
    rng = np.random.default_rng(6)
    services = tuple(f"service-{i:03}" for i in range(n_services))
    window = release().window(1)
    at_ms = window.start_ms + 60_000 * np.arange(1440)
    slot_ms = window.start_ms + 300_000 * np.arange(288)
    gauges = SampleTable(services, at_ms, rng.normal(0.4, 0.05, (n_services, 1440)).round(3))
    counts = CountTable(services, ("0.1", "0.5", "1", "+Inf"), slot_ms, rng.poisson(20, (n_services, 4, 288)).cumsum(1))
    empty = telemetry(window)
    of_gauges = Telemetry(sample_frame({"cpu": gauges}), count_frame({}), count_frame({}), empty.quality)
    of_counts = Telemetry(sample_frame({}), count_frame({"latency": counts}), count_frame({}), empty.quality)
    files = {"gauges of three decimals": encode_telemetry(of_gauges), "counts of buckets": encode_telemetry(of_counts)}
    sizes = [len(files["gauges of three decimals"]["samples.parquet"]) / gauges.values.size]
    sizes += [len(files["counts of buckets"]["counts.parquet"]) / counts.counts.size]
    data = files["gauges of three decimals"]
    found = rates(
        {
            "`decode_telemetry` (checks, pandas)": Way(lambda: decode_telemetry(data), gauges.values.size),
            "polars `read_parquet`": Way(lambda: pl.read_parquet(data["samples.parquet"]), gauges.values.size),
            "pandas `read_parquet`": Way(
                lambda: pd.read_parquet(io.BytesIO(data["samples.parquet"])), gauges.values.size
            ),
        },
        n_rounds=n_rounds,
    )
    rows = zip(files, sizes, strict=True)
    size_table = "\n".join(
        [
            "| telemetry as stored | bytes per sample |",
            "|---|---|",
            *(f"| {name} | {size:.2f} |" for name, size in rows),
        ]
    )
    return size_table + "\n\n" + table(f"read it, {gauges.values.size:,} rows", "M rows per CPU-second", found)


def zip_table(n_mb: int, n_rounds: int) -> str:
    """Archive and digest of files that are compressed already, such as Parquet."""
    part = np.random.default_rng(7).bytes(4_000_000)
    files = {f"file-{i:03}.parquet": part for i in range(n_mb // 4)}
    few = dict(list(files.items())[: max(n_mb // 40, 1)])

    def by_zipfile() -> str:
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
            for name, content in few.items():
                archive.writestr(name, content)
        return hashlib.sha256(out.getvalue()).hexdigest()

    found = rates(
        {
            "`pack_zip` and SHA-256": Way(
                lambda: sidecar_line("week.zip", pack_zip(files, root="week")), sum(map(len, files.values()))
            ),
            "`zipfile`, level 6, and SHA-256": Way(by_zipfile, sum(map(len, few.values()))),
        },
        n_rounds=n_rounds,
    )
    return table(f"archive of {n_mb} MB", "MB per CPU-second", found)
