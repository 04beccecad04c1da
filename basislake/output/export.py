"""Export of rows of a query in a format, see `basislake.output.formats`."""

import errno
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import polars as pl

from basislake.output.formats import BINARY
from basislake.output.json_output import json_text

_OBJECTS = 10_000  # in memory at once
_BROKEN_PIPE = "Broken pipe"


def export(frame: pl.DataFrame, format_: str, sink: BinaryIO, *, is_compressed: bool) -> None:
    """Write rows in pieces, so that memory holds them once.

    Raises:
        OSError: the sink takes no more.
    """
    if is_compressed:
        # Without a name or a time in the header, so equal rows give equal files.
        with gzip.GzipFile(filename="", mode="wb", fileobj=sink, mtime=0) as packed:
            _write(frame, format_, cast("BinaryIO", packed))
    else:
        _write(frame, format_, sink)
    sink.flush()


def objects(frame: pl.DataFrame) -> list[dict[str, Any]]:
    """Return rows as objects, with decimals as floats, since JSON has only one kind of number."""
    return frame.with_columns(pl.selectors.decimal().cast(pl.Float64)).to_dicts()


def readable(frame: pl.DataFrame) -> pl.DataFrame:
    """Return rows with bytes as PostgreSQL writes them, since a text format has no bytes."""
    return frame.with_columns(
        pl.format("\\x{}", pl.col(name).bin.encode("hex")).alias(name)
        for name in frame.select(pl.selectors.binary()).columns
    )


def _write(frame: pl.DataFrame, format_: str, sink: BinaryIO) -> None:
    if format_ not in BINARY:
        frame = readable(frame)
    if format_ == "json":
        _write_list(frame, sink)
    elif format_ == "ndjson":
        sink.writelines(line + b"\n" for line in _lines(frame))
    else:
        with _as_os_errors():
            _write_columns(frame, format_, sink)


def _write_columns(frame: pl.DataFrame, format_: str, sink: BinaryIO) -> None:
    if format_ == "parquet":
        frame.write_parquet(sink)
    elif format_ == "arrow":
        # The oldest type of text, which every reader of Arrow knows.
        frame.write_ipc(sink, compat_level=pl.CompatLevel.oldest())
    else:
        flat = frame.with_columns(_as_json(frame[name]) for name in frame.columns)
        flat.write_csv(sink, separator="\t" if format_ == "tsv" else ",")


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn errors of Polars about a full disk or a closed pipe into those of the system.

    Raises:
        OSError: the sink takes no more.
    """
    try:
        yield
    except (OSError, pl.exceptions.ComputeError) as exc:
        if _BROKEN_PIPE in str(exc):
            raise BrokenPipeError(errno.EPIPE, _BROKEN_PIPE) from exc
        raise OSError(str(exc)) from exc


def _write_list(frame: pl.DataFrame, sink: BinaryIO) -> None:
    """Write rows as one list of objects, on a line."""
    sink.write(b"[")
    sink.writelines(b"," + line if number else line for number, line in enumerate(_lines(frame)))
    sink.write(b"]\n")


def _lines(frame: pl.DataFrame) -> Iterator[bytes]:
    for piece in frame.iter_slices(_OBJECTS):
        for row in objects(piece):
            yield json_text(row).encode()


def _as_json(column: pl.Series) -> pl.Series:
    """Lists and objects as JSON texts, since CSV has no cells for them; other columns unchanged."""
    if not column.dtype.is_nested():
        return column
    cells = [None if cell is None else json_text(cell) for cell in column.to_list()]
    return pl.Series(column.name, cells, dtype=pl.String)
