"""Rows of some files of a partitioned table, read at once: for work on one partition.

On disk Arrow reads them: it decodes split floats almost three times as fast as Polars does, and
takes row groups by their statistics. From object stores Polars reads.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import polars as pl

from lake.files import DataFile
from lake.guard import reading
from lake.scan import scan_paths
from lake.spans import Span
from lake.table import BATCH, Table
from lake.urls import is_local

if TYPE_CHECKING:
    import pyarrow.parquet as pq

# Of an object store, so that its latency is paid once for many.
_FILES_AT_ONCE = 16


def read_rows(
    table: Table,
    uri: str,
    files: Sequence[DataFile],
    options: Mapping[str, str],
    columns: Sequence[str],
    spans: Sequence[Span] | None = None,
    until: int | None = None,
) -> pl.DataFrame:
    """Return the rows of some files, file after file where no spans are given.

    Args:
        table: sorted by a time.
        uri: the table's folder.
        files: of the table.
        options: storage options of the object store.
        columns: of the table, without the partition column; the time among them where spans are
            given.
        spans: of the rows wanted, sorted and disjoint; all by default.
        until: the last batch whose rows count; all by default.

    Raises:
        DamagedError: a file is absent, or its rows cannot be read.
        LakeError: the store does not answer, or refuses.
    """
    wanted = [file for file in files if file.may_be_until(until)]
    if spans is not None:
        wanted = [file for file in wanted if any(map(file.may_hold, spans))]
    is_partial = not all(file.is_until(until) for file in wanted)
    asked = [*columns, *([BATCH] if is_partial and BATCH not in columns else [])]
    read = _from_disk if is_local(uri) else _from_store
    schema = {name: table.polars_schema[name] for name in asked}
    frames = [
        _inside(frame, table.order[0], spans)
        for frame in read(table, uri, [file.path for file in wanted], options, asked, spans)
    ]
    rows = pl.concat([pl.DataFrame(schema=schema), *frames])
    return (rows.filter(pl.col(BATCH) <= until) if is_partial else rows).select(columns)


def _from_disk(
    table: Table,
    uri: str,
    paths: Sequence[str],
    options: Mapping[str, str],
    columns: Sequence[str],
    spans: Sequence[Span] | None,
) -> Iterator[pl.DataFrame]:
    """The rows of all files, of which row groups that hold none are not read: as one frame, because
    each step of Polars costs more than a small file.
    """
    # Much that a lake is asked needs no Arrow, which takes a moment.
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    schema = pa.schema([pa.field(name, table.arrow_schema.field(name).type) for name in columns])
    parts = []
    with reading(table, uri, paths, options):
        for path in paths:
            with pq.ParquetFile(f"{uri}/{path}", pre_buffer=False) as file:
                groups = list(_groups(file, table.order[0], spans))
                rows = file.read_row_groups(groups, columns=list(columns), use_threads=False)
            # Another program may have written it.
            is_alike = rows.schema.equals(schema)
            parts.append(rows if is_alike else rows.select(list(columns)).cast(schema))
    if parts:
        yield pl.DataFrame(
            pa.concat_tables(parts), {name: table.polars_schema[name] for name in columns}
        )


def _from_store(
    table: Table,
    uri: str,
    paths: Sequence[str],
    options: Mapping[str, str],
    columns: Sequence[str],
    spans: Sequence[Span] | None,
) -> Iterator[pl.DataFrame]:
    """The rows of each file, of which those between the first span and the last are asked for."""
    scans = []
    for path in paths:
        scan = scan_paths(table, uri, [path], options).select(columns)
        if spans:
            whole = pl.col(table.order[0]).is_between(spans[0].start, spans[-1].end, closed="left")
            scan = scan.filter(whole)
        scans.append(scan)
    for place in range(0, len(scans), _FILES_AT_ONCE):
        with reading(table, uri, paths[place : place + _FILES_AT_ONCE], options):
            frames = pl.collect_all(scans[place : place + _FILES_AT_ONCE])
        yield from frames


def _groups(file: "pq.ParquetFile", stamp: str, spans: Sequence[Span] | None) -> Iterator[int]:
    place = file.schema_arrow.get_field_index(stamp)
    for number in range(file.num_row_groups):
        known = file.metadata.row_group(number).column(place).statistics
        is_known = known is not None and known.has_min_max
        if spans is None or not is_known or any(_meets(known, span) for span in spans):
            yield number


def _meets(known: "pq.Statistics", span: Span) -> bool:
    return bool(known.min < span.end and known.max >= span.start)


def _inside(frame: pl.DataFrame, stamp: str, spans: Sequence[Span] | None) -> pl.DataFrame:
    """The rows of the spans."""
    if spans is None:
        return frame
    if not frame[stamp].is_sorted():
        # Another program put the file together.
        frame = frame.sort(stamp, maintain_order=True)
    edges = pl.Series([edge for span in spans for edge in span], dtype=frame.schema[stamp])
    places = frame[stamp].search_sorted(edges).to_list()
    pairs = list(zip(places[::2], places[1::2], strict=True))
    if len(pairs) == 1 and 2 * (places[1] - places[0]) > frame.height:
        return frame.slice(places[0], places[1] - places[0])
    # Gathered, for a slice of a few rows would keep all of the frame in memory.
    return frame[pl.concat(pl.int_range(start, end, eager=True) for start, end in pairs)]
