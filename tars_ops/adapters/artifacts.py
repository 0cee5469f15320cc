"""In which bytes is each kind of value written, and how is it read back?

The type decides the format: a frame becomes Parquet, a model canonical JSON, a text UTF-8. Same value, same bytes.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from typing import TypeVar

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import rfc8785
from pydantic import BaseModel, ValidationError

from tars_ops.core.errors import ContractError
from tars_ops.core.telemetry import Quality, Telemetry

Files = Mapping[str, bytes]
M = TypeVar("M", bound=BaseModel)

_TIME = pa.timestamp("ms", tz="UTC")
_KEY = pa.dictionary(pa.int32(), pa.string())
_SAMPLES = pa.schema([("kpi", _KEY), ("service", _KEY), ("at", _TIME), ("value", pa.float32())])
_COUNTS = pa.schema([("counter", _KEY), ("service", _KEY), ("le", _KEY), ("slot", _TIME), ("count", pa.int64())])
_ENCODINGS = {
    "at": "DELTA_BINARY_PACKED",
    "slot": "DELTA_BINARY_PACKED",
    "value": "BYTE_STREAM_SPLIT",
    "count": "PLAIN",
}
TELEMETRY_FILES = ("samples.parquet", "counts.parquet", "prior.parquet", "quality.json")


def canonical_json(model: BaseModel) -> bytes:
    """Write a model as canonical JSON (RFC 8785): one value, one text.

    Raises
    ------
    ContractError
        If a number is NaN, infinite, or an integer that a double cannot hold.
    """
    try:
        return rfc8785.dumps(model.model_dump(mode="json"))
    except rfc8785.CanonicalizationError as error:
        raise ContractError(f"a {type(model).__name__} cannot be written as JSON: {error}; unknown is None") from error


def parse_json(model: type[M], data: bytes, *, name: str) -> M:
    """Read a model back.

    Raises
    ------
    ContractError
        If the bytes are not JSON, or not of this model; a file of an older release says which key it lacks.
    """
    try:
        return model.model_validate(json.loads(data))
    except (ValidationError, ValueError, RecursionError) as error:
        raise ContractError(f"{name} is not a {model.__name__} of this version of tars_ops: {error}") from error


def encode_telemetry(telemetry: Telemetry) -> dict[str, bytes]:
    """Write telemetry as its four files."""
    return {
        "samples.parquet": _parquet(telemetry.samples, _SAMPLES),
        "counts.parquet": _parquet(telemetry.counts, _COUNTS),
        "prior.parquet": _parquet(telemetry.prior, _COUNTS),
        "quality.json": canonical_json(telemetry.quality),
    }


def decode_telemetry(files: Files) -> Telemetry:
    """Read telemetry back from its four files.

    Raises
    ------
    ContractError
        If a file is missing, is not what it is called, or the tables break the contract of ``Telemetry``.
    """
    if missing := [name for name in TELEMETRY_FILES if name not in files]:
        raise ContractError(f"telemetry without {', '.join(missing)}; it is made of {', '.join(TELEMETRY_FILES)}")
    return Telemetry(
        samples=_frame(files["samples.parquet"], _SAMPLES, "samples.parquet"),
        counts=_frame(files["counts.parquet"], _COUNTS, "counts.parquet"),
        prior=_frame(files["prior.parquet"], _COUNTS, "prior.parquet"),
        quality=parse_json(Quality, files["quality.json"], name="quality.json"),
    )


def _parquet(frame: pd.DataFrame, schema: pa.Schema) -> bytes:
    table = pa.Table.from_pandas(frame, schema=schema, preserve_index=False).replace_schema_metadata(None)
    keys = [name for name in schema.names if schema.field(name).type == _KEY]
    out = io.BytesIO()
    pq.write_table(
        table,
        out,
        compression="zstd",
        compression_level=9,
        use_dictionary=keys,  # pyright: ignore[reportArgumentType] - pyarrow takes names, its stub says bool
        column_encoding={name: code for name, code in _ENCODINGS.items() if name in schema.names},
        write_page_checksum=True,
        store_schema=False,
    )
    return out.getvalue()


def _frame(data: bytes, schema: pa.Schema, name: str) -> pd.DataFrame:
    try:
        frame = _table(data, schema, name).to_pandas()
    except (pa.ArrowException, OSError, ValueError) as error:  # pyarrow raises all three on broken files
        raise ContractError(f"{name} is not a Parquet file of this table: {error}") from error
    for column, kind in zip(schema.names, schema.types, strict=True):
        if kind == _KEY:
            frame[column] = frame[column].cat.set_categories(sorted(frame[column].cat.categories))
    return frame


def _table(data: bytes, schema: pa.Schema, name: str) -> pa.Table:
    with pq.ParquetFile(pa.BufferReader(data), page_checksum_verification=True) as file:
        table = file.read()  # first: looking into the footer of a broken file would end the process
        if not _has_all_rows(file.metadata):
            raise ContractError(f"{name} announces another number of rows than it holds")
    if table.schema.names != schema.names:
        raise ContractError(f"{name} has the columns {table.schema.names}, not {schema.names}")
    if empty := [column for column in schema.names if table[column].null_count]:
        raise ContractError(f"{name} has rows without {', '.join(empty)}; what is not known has no row")
    return table.cast(schema)


def _has_all_rows(metadata: pq.FileMetaData) -> bool:
    """Compare the footer's counts with each other: page checksums do not cover it."""
    groups = [metadata.row_group(i) for i in range(metadata.num_row_groups)]
    held = {group.column(i).num_values == group.num_rows for group in groups for i in range(group.num_columns)}
    return held <= {True} and sum(group.num_rows for group in groups) == metadata.num_rows
