"""A sha256 of a frame's content: equal for equal rows, however, wherever and by whatever stored.

Canonical bytes of a column: its null marks (one byte a row), then its values with nulls as zero;
floats and integers as 8 little-endian bytes (negative zero differs from zero), times as
microseconds since 1970, dates as days, booleans as one byte, texts as their lengths followed by
their UTF-8, lists as their lengths followed by their flattened values.
"""

import hashlib
from struct import unpack_from
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
    rows = in_order(table, frame).select(
        pl.col(column.name).cast(column.type.polars) for column in table.content
    )
    sha = hashlib.sha256(f"{table.name}:{frame.height}".encode())
    arrays = rows.rechunk().to_arrow(compat_level=pl.CompatLevel.oldest())
    for name, column in zip(rows.columns, arrays.columns, strict=True):
        sha.update(name.encode())
        _update(sha, column.chunk(0) if column.num_chunks else pa.array([], column.type))
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


def _update(sha: Any, values: pa.Array) -> None:  # noqa: ANN401  (hashlib names no public type)
    sha.update(_bytes(values.is_null()) if values.null_count else bytes(len(values)))
    if pa.types.is_large_list(values.type):
        sha.update(_lengths(values.value_lengths()))
        _update(sha, values.flatten())
    elif pa.types.is_large_string(values.type):
        import pyarrow.compute as pc  # noqa: PLC0415  (reading needs none of it)

        sha.update(_lengths(pc.binary_length(values)))
        sha.update(_characters(values.drop_null() if values.null_count else values))
    else:
        sha.update(_bytes(values))


def _lengths(lengths: pa.Array) -> pa.Buffer | bytes:
    return _bytes(lengths.cast(pa.uint64()))


def _characters(texts: pa.Array) -> pa.Buffer | bytes:
    """The UTF-8 of all texts, one after the other."""
    _, offsets, data = texts.buffers()
    if data is None or not len(texts):
        return b""
    first, end = (
        unpack_from("<q", offsets, 8 * n)[0] for n in (texts.offset, texts.offset + len(texts))
    )
    return data.slice(first, end - first)


def _bytes(values: pa.Array) -> pa.Buffer | bytes:
    """Booleans as one byte, floats as they are, all else as whole numbers; nulls as zero."""
    kind = values.type
    if pa.types.is_boolean(kind):
        values = values.cast(pa.uint8())
    elif pa.types.is_date32(kind):
        values = values.view(pa.int32()).cast(pa.int64())
    elif pa.types.is_timestamp(kind):
        values = values.view(pa.int64())
    if values.null_count:
        values = values.fill_null(pa.scalar(0, values.type))
    width, data = values.type.bit_width // 8, values.buffers()[1]
    return b"" if data is None else data.slice(values.offset * width, len(values) * width)
