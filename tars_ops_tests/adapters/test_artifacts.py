"""What a value is after it was written and read back, and what becomes of a file that somebody broke."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import BaseModel

from tars_ops.adapters.artifacts import (
    TELEMETRY_FILES,
    canonical_json,
    decode_telemetry,
    encode_telemetry,
    parse_json,
)
from tars_ops.adapters.bundle import bundle
from tars_ops.adapters.catalogue import BUNDLE, BY_ASSET
from tars_ops.core.errors import ContractError
from tars_ops.core.model import Frozen
from tars_ops.core.telemetry import Telemetry, count_frame, sample_frame
from tars_ops.core.verdict import Verdict
from tars_ops.core.watch.staging import StagingTelemetry
from tars_ops_tests.adapters.factories import AS_OF, RELEASE, provisional, telemetry, values, week

DAY = RELEASE.window(1)
MEASURED = telemetry(DAY)
FILES = encode_telemetry(MEASURED)
ALL_VALUES = {**values(week()), **provisional(week())}
VALUES = {(asset, at): value for asset, by_at in ALL_VALUES.items() for at, value in by_at.items()}
PARQUET = [name for name in TELEMETRY_FILES if name.endswith(".parquet")]


# There and back


def test_telemetry_comes_back_as_it_was() -> None:
    back = decode_telemetry(FILES)

    for name in ("samples", "counts", "prior"):
        pd.testing.assert_frame_equal(getattr(back, name), getattr(MEASURED, name), check_exact=True)
    assert back.quality == MEASURED.quality
    assert back.sha256 == MEASURED.sha256


def test_a_window_in_which_nothing_arrived_comes_back_empty() -> None:
    silent = Telemetry(sample_frame({}), count_frame({}), count_frame({}), MEASURED.quality)
    back = decode_telemetry(encode_telemetry(silent))

    assert [len(frame) for frame in (back.samples, back.counts, back.prior)] == [0, 0, 0]
    assert back.sha256 == silent.sha256


@pytest.mark.parametrize(("asset", "at"), VALUES)
def test_every_kind_of_artifact_comes_back_as_it_was(asset: str, at: str) -> None:
    kind, value = BY_ASSET[asset], VALUES[asset, at]
    files = kind.encode(value, at)
    back = kind.decode(files)

    assert kind.encode(back, at) == files
    if isinstance(value, Telemetry):
        assert back.sha256 == value.sha256
    elif isinstance(value, StagingTelemetry):
        assert value.telemetry is not None
        assert (back.day, back.telemetry.sha256) == (value.day, value.telemetry.sha256)
    else:
        assert back == value
        assert type(back) is type(value)


def test_every_asset_has_been_tried() -> None:
    assert {asset for asset, _ in VALUES} | {BUNDLE.asset} == set(BY_ASSET)


def test_a_bundle_comes_back_as_its_files() -> None:
    packed = bundle(RELEASE, AS_OF, {"release.json": canonical_json(RELEASE)})

    assert BUNDLE.decode(BUNDLE.encode(packed, "as_of_02")) == packed.files
    assert sorted(packed.files) == [
        "tars-1.0.1-executive.tar.gz",
        "tars-1.0.1-executive.tar.gz.sha256",
        "tars-1.0.1-executive.zip",
        "tars-1.0.1-executive.zip.sha256",
    ]


DIGESTS = """
import hashlib, json
from tars_ops.adapters.catalogue import BY_ASSET
from tars_ops_tests.adapters.factories import provisional, values, week

print(json.dumps({
    f"{asset} {at} {path}": hashlib.sha256(data).hexdigest()
    for asset, by_at in {**values(week()), **provisional(week())}.items()
    for at, value in by_at.items()
    for path, data in BY_ASSET[asset].encode(value, at).items()
}))
"""


def test_the_same_value_has_the_same_bytes_again_and_in_another_process() -> None:
    once, again = (
        {
            f"{asset} {at} {path}": hashlib.sha256(data).hexdigest()
            for (asset, at), value in VALUES.items()
            for path, data in BY_ASSET[asset].encode(value, at).items()
        }
        for _ in range(2)
    )
    done = subprocess.run([sys.executable, "-c", DIGESTS], capture_output=True, text=True, check=True)

    assert once == again == json.loads(done.stdout)


def test_unused_names_and_another_index_do_not_show_in_the_bytes() -> None:
    frame = MEASURED.samples.copy()
    frame.index = pd.RangeIndex(100, 100 + len(frame))
    frame["service"] = frame["service"].cat.add_categories(["zzz"])
    same = Telemetry(frame, MEASURED.counts, MEASURED.prior, MEASURED.quality)

    assert same.sha256 == MEASURED.sha256
    assert decode_telemetry(encode_telemetry(same)).sha256 == MEASURED.sha256


# Broken files


@pytest.mark.parametrize("name", PARQUET)
def test_every_page_has_a_checksum_that_is_looked_at(name: str) -> None:
    data = bytearray(FILES[name])
    metadata = pq.read_metadata(io.BytesIO(FILES[name]))
    columns = [metadata.row_group(0).column(i) for i in range(metadata.num_columns)]
    for column in columns:
        broken = bytearray(data)
        broken[column.data_page_offset + column.total_compressed_size // 2 - 1] ^= 0x10
        at = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
        broken[at + column.total_compressed_size - 1] ^= 0x10

        with pytest.raises(ContractError, match=name):
            decode_telemetry({**FILES, name: bytes(broken)})


FLIPS = """
import random, sys
from tars_ops.adapters.artifacts import decode_telemetry, encode_telemetry
from tars_ops.core.errors import ContractError
from tars_ops_tests.adapters.factories import RELEASE, telemetry

whole = telemetry(RELEASE.window(1))
files = encode_telemetry(whole)
chance, told = random.Random(14), 0
for name in sorted(set(files) - {"quality.json"}):
    size = len(files[name])
    end_of_footer = range(size - 110, size)  # its row counts are under no checksum
    for at in [*(chance.randrange(size) for _ in range(60)), *end_of_footer]:
        broken = bytearray(files[name])
        broken[at] ^= 1 << chance.randrange(8)
        try:
            found = decode_telemetry({**files, name: bytes(broken)})
        except ContractError:
            told += 1
            continue
        if found.sha256 != whole.sha256:
            sys.exit(f"{name} at {at} of {size}: silently another value")
print(told)
"""


def test_a_flipped_bit_of_a_table_is_told_or_changes_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", FLIPS], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout) > 150


@pytest.mark.parametrize("name", PARQUET)
def test_a_truncated_table_is_refused(name: str) -> None:
    for length in (0, 4, len(FILES[name]) // 2, len(FILES[name]) - 1):
        with pytest.raises(ContractError, match=name):
            decode_telemetry({**FILES, name: FILES[name][:length]})


@pytest.mark.parametrize("name", TELEMETRY_FILES)
def test_telemetry_without_one_of_its_files_is_refused_by_name(name: str) -> None:
    with pytest.raises(ContractError, match=f"without {name}"):
        decode_telemetry({path: data for path, data in FILES.items() if path != name})


def parquet(**columns: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out)
    return out.getvalue()


AT = pa.array([DAY.start_ms], pa.timestamp("ms", tz="UTC"))
GOOD = {"kpi": ["cpu"], "service": ["api"], "at": AT, "value": pa.array([0.5], pa.float32())}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({**GOOD, "note": ["x"]}, "has the columns"),
        ({name: GOOD[name] for name in ("kpi", "service", "at")}, "has the columns"),
        ({name: GOOD[name] for name in ("service", "kpi", "at", "value")}, "has the columns"),
        ({**GOOD, "value": ["much"]}, "not a Parquet file of this table"),
        ({**GOOD, "at": ["noon"]}, "not a Parquet file of this table"),
        ({**GOOD, "value": pa.array([None], pa.float32())}, "rows without value"),
        ({**GOOD, "service": pa.array([None], pa.string())}, "rows without service"),
        ({name: pa.concat_arrays([pa.array(one)] * 2) for name, one in GOOD.items()}, "holds a row twice"),
        ({**GOOD, "at": pa.array([DAY.end_ms], AT.type)}, "leaves its window"),
    ],
)
def test_a_table_of_another_shape_is_refused(columns: dict[str, Any], said: str) -> None:
    with pytest.raises(ContractError, match=said):
        decode_telemetry({**FILES, "samples.parquet": parquet(**columns)})


def test_a_table_from_another_writer_is_read_if_it_is_the_same_table() -> None:
    back = decode_telemetry({**FILES, "samples.parquet": parquet(**GOOD)})

    assert back.samples["value"].tolist() == [0.5]
    assert back.samples["value"].dtype == np.float32


# JSON


class Figure(Frozen):
    value: float | None
    verdict: Verdict = Verdict.PASS
    n: int = 0


def test_json_is_canonical_and_comes_back() -> None:
    data = canonical_json(Figure(value=1e21, verdict=Verdict.WARN))

    assert data == b'{"n":0,"value":1e+21,"verdict":"warn"}'
    assert parse_json(Figure, data, name="figure.json") == Figure(value=1e21, verdict=Verdict.WARN)


@pytest.mark.parametrize(
    "hostile",
    [
        Figure.model_construct(value=float("nan")),
        Figure.model_construct(value=float("inf")),
        Figure(value=None, n=2**53),
    ],
)
def test_what_json_cannot_hold_is_refused_in_writing(hostile: BaseModel) -> None:
    with pytest.raises(ContractError, match="Figure cannot be written as JSON"):
        canonical_json(hostile)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"null",
        b"[]",
        b'{"value":NaN}',
        b'{"value":Infinity}',
        b'{"value":1e999}',
        b'{"value":"much"}',
        b'{"value":1,"extra":2}',
        b"{}",
        b'{"value":1,"verdict":"green"}',
        b"[" * 100_000,
    ],
)
def test_what_is_not_the_model_is_refused_in_reading_with_the_name_of_the_file(data: bytes) -> None:
    with pytest.raises(ContractError, match=r"figure\.json is not a Figure"):
        parse_json(Figure, data, name="figure.json")
