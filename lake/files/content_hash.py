"""The digest of a frame: a sha256 of its content, independent of how and where it is stored.

Canonical bytes of a column: its null marks (one byte a row), then its values with nulls as zero;
floats and integers as 8 little-endian bytes (negative zero differs from zero), times as
microseconds since 1970, dates as days, booleans as one byte, texts as their lengths followed by
their UTF-8, lists as their lengths followed by their flattened values.
"""

import hashlib

import polars as pl

from lake.table import BATCH, Table

LENGTH = 64  # hexadecimal digits


def frame_digest(table: Table, frame: pl.DataFrame) -> str:
    """Return the sha256, as hexadecimal, of the frame's rows in the table's order.

    The partition column is left out, because it is the partition's name, and so is the batch, which
    only orders rows of one key. The frame has all other columns of the table; it is sorted here if
    it is not sorted yet.
    """
    from lake.files import canonical_bytes  # noqa: PLC0415  (Arrow takes a moment; reading a lake needs none)

    rows = in_order(table, frame)
    sha = hashlib.sha256(f"{table.name}:{frame.height}".encode())
    # Series by series: an expression over all of them costs more than the hash of a few rows.
    for column in table.content:
        values = rows[column.name].cast(column.type.polars).rechunk()
        sha.update(column.name.encode())
        canonical_bytes.update(sha, values.to_arrow(compat_level=pl.CompatLevel.oldest()))
    return sha.hexdigest()


def in_order(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """Return the rows of one partition in the table's order, rows of one key by their batch."""
    order = [name for name in table.order if name != table.partition]
    if len(order) == 1 and _is_ascending(frame[order[0]]):
        return frame
    batch = [BATCH] if BATCH in frame.columns and BATCH not in order else []
    return frame.sort(*order, *batch)


def _is_ascending(series: pl.Series) -> bool:
    """Whether each value is larger than the previous one."""
    return bool((series.slice(1) > series.slice(0, max(len(series), 1) - 1)).all())
