"""Canonical bytes of Arrow columns, as specified in `lake.files.content_hash`."""

from struct import unpack_from
from typing import Any

import pyarrow as pa


def update(sha: Any, values: pa.Array) -> None:  # noqa: ANN401  (hashlib names no public type)
    """Add the bytes of a column to a hash."""
    sha.update(_bytes(values.is_null()) if values.null_count else bytes(len(values)))
    if pa.types.is_large_list(values.type):
        sha.update(_lengths(values.value_lengths()))
        update(sha, values.flatten())
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
    """Booleans as one byte, floats unchanged, other types as integers; nulls as zero."""
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
