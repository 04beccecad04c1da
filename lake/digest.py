"""A sha256 of a frame's content: equal for equal rows, however, wherever and by whatever stored.

Canonical bytes of a column: its null marks (one byte a row), then its values with nulls as zero;
floats and integers as 8 little-endian bytes (negative zero differs from zero), times as
microseconds since 1970, dates as days, booleans as one byte, texts as their lengths followed by
their UTF-8, lists as their lengths followed by their flattened values.
"""

import hashlib
from typing import Any

import polars as pl
import pyarrow as pa

from lake.tables import BATCH, Table

LENGTH = 64  # hexadecimal digits


def frame_digest(table: Table, frame: pl.DataFrame) -> str:
    """Return the sha256, as hexadecimal, of the frame's rows in the table's order.

    Left out are the partition column, which is the partition's name and not its content, and the
    batch, which only orders rows of one key. The frame holds the table's other columns; it is
    sorted here where it is not sorted yet.
    """
    frame = in_order(table, frame)
    sha = hashlib.sha256(f"{table.name}:{frame.height}".encode())
    for column in table.content:
        sha.update(column.name.encode())
        series = frame[column.name].cast(column.type.polars).rechunk()
        _update(sha, series)
    return sha.hexdigest()


def in_order(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of one partition in the table's order, those of one key by their batch."""
    order = [name for name in table.order if name != table.partition]
    if len(order) == 1 and _is_ascending(frame[order[0]]):
        return frame
    batch = [BATCH] if BATCH in frame.columns and BATCH not in order else []
    return frame.sort(*order, *batch)


def _is_ascending(series: pl.Series) -> bool:
    """Whether each value is larger than the one before it."""
    return bool((series.slice(1) > series.slice(0, max(len(series), 1) - 1)).all())


def _update(sha: Any, series: pl.Series) -> None:  # noqa: ANN401  (hashlib names no public type)
    has_nulls = series.null_count() > 0
    sha.update(_buffer(series.is_null().cast(pl.UInt8)) if has_nulls else bytes(len(series)))
    if isinstance(series.dtype, pl.List):
        sha.update(_buffer(series.list.len().fill_null(0).cast(pl.UInt64)))
        _update(sha, series.drop_nulls().explode(empty_as_null=False))
    elif series.dtype == pl.String:
        sha.update(_buffer(series.str.len_bytes().fill_null(0).cast(pl.UInt64)))
        sha.update(_characters(series.drop_nulls()))
    else:
        numbers = _numbers(series)
        sha.update(_buffer(numbers.fill_null(0) if has_nulls else numbers))


def _numbers(series: pl.Series) -> pl.Series:
    """Booleans as one byte, floats as they are, all else as whole numbers."""
    if series.dtype == pl.Boolean:
        return series.cast(pl.UInt8)
    return series if series.dtype == pl.Float64 else series.to_physical().cast(pl.Int64)


def _characters(series: pl.Series) -> pa.Buffer | bytes:
    """The UTF-8 of all texts, one after the other: as old-style Arrow holds them."""
    array = series.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    _, _, data = array.buffers()
    return b"" if data is None else data


def _buffer(series: pl.Series) -> pa.Buffer | bytes:
    array = series.rechunk().to_arrow()
    width = array.type.bit_width // 8
    data = array.buffers()[1]
    if data is None:
        return b""
    return data.slice(array.offset * width, len(array) * width)
