"""Reads the rows of some files of a time-sorted table at once, for work on some of its
partitions.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

import polars as pl

from lake.files.parquet import DataFile
from lake.files.polars_scan import scan_files
from lake.library_errors import reading
from lake.table import Table
from lake.time.intervals import Span

T = TypeVar("T")

# Rows in memory at once, before those outside the spans are dropped.
_ROWS_AT_ONCE = 2_000_000
_HOUR_S = 3600


def read_rows(
    table: Table,
    uri: str,
    files: Sequence[DataFile],
    options: Mapping[str, str],
    columns: Sequence[str],
    spans: Sequence[Span] | None = None,
    until: int | None = None,
) -> pl.DataFrame:
    """Return the rows of some files, file after file.

    Args:
        table: sorted by a time.
        uri: the table's folder.
        files: of the table.
        options: storage options of the object store.
        columns: of the table; including the time if spans are given.
        spans: keep only rows in these, sorted and disjoint; default: all rows.
        until: keep only rows up to this batch; default: all rows.

    Raises:
        DamagedError: a file is missing or cannot be decoded.
        LakeError: the store does not answer, or refuses.
    """
    stamp = table.order[0]
    wanted = [f for f in files if spans is None or any(map(f.may_hold, spans))]
    parts = [pl.DataFrame(schema={name: table.polars_schema[name] for name in columns})]
    for some in in_runs(wanted, lambda file: file.rows, _ROWS_AT_ONCE):
        with reading(table, uri, [file.path for file in some], options):
            scan = scan_files(table, uri, some, options, until)
            if spans:
                scan = scan.filter(_near(stamp, spans))
            rows = scan.select(columns).collect()
        parts.append(rows if spans is None else inside(rows, spans, stamp))
    return pl.concat(parts, rechunk=True)


def _near(stamp: str, spans: Sequence[Span]) -> pl.Expr:
    """A condition for Polars to read by: rows in spans, and perhaps others in the same hours."""
    if len(spans) == 1:
        return pl.col(stamp).is_between(*spans[0], closed="left")
    hours = {
        hour
        for start, end in spans
        for hour in range(int(start.timestamp()) // _HOUR_S, int(end.timestamp()) // _HOUR_S + 1)
    }
    # Of all other columns Polars decodes only the rows for which this holds.
    of_row = pl.col(stamp).to_physical() // (_HOUR_S * 1_000_000)
    return of_row.is_in(pl.Series(sorted(hours), dtype=pl.Int64).implode())


def inside(rows: pl.DataFrame, spans: Sequence[Span], stamp: str = "ts") -> pl.DataFrame:
    """Return the rows whose time is in some spans, which are sorted and disjoint."""
    is_inside = in_spans(rows[stamp], spans)
    return rows if is_inside.all() else rows.filter(is_inside)


def in_time(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows partition by partition, each sorted by time. Rows in that order, as most
    are, are only checked, because sorting would copy them.
    """
    is_same = pl.col("instrument") == pl.col("instrument").shift(1)
    is_back = is_same & (pl.col("ts") < pl.col("ts").shift(1))
    is_sorted = not rows.select(is_back.any()).item()
    return rows if is_sorted else rows.sort("instrument", "ts", maintain_order=True)


def in_spans(times: pl.Series, spans: Sequence[Span]) -> pl.Series:
    """Return whether each time is in some spans, which are sorted and disjoint."""
    if len(spans) == 1:
        return times.is_between(*spans[0], closed="left")
    edges = pl.Series([edge for span in spans for edge in span], dtype=times.dtype)
    return edges.search_sorted(times, side="right") % 2 == 1


def bits(rows: pl.DataFrame) -> pl.DataFrame:
    """Return rows with floats as their bits: only equal bits are equal, zero is not minus zero."""
    return rows.with_columns(pl.col(pl.Float64).reinterpret(dtype=pl.Int64))


def in_runs(items: Iterable[T], weight: Callable[[T], int], most: int) -> Iterator[list[T]]:
    """Split items into runs that weigh at most so much together, or are one item; pure."""
    run: list[T] = []
    total = 0
    for item in items:
        if run and total + weight(item) > most:
            yield run
            run, total = [], 0
        run.append(item)
        total += weight(item)
    if run:
        yield run
