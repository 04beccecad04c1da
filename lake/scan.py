"""Rows of some files of a table, read by Polars: also of files whose rows are within others now."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from lake.files import FILE, DataFile, has_misleading_folder, partition_of
from lake.spans import MINUTE, Span, merge
from lake.tables import Table

_START, _END = "_start", "_end"


class Read(NamedTuple):
    """Which rows of some files are to be read.

    Attributes:
        paths: of the files, at least one, relative to the table's folder.
        spans: of the rows, sorted and disjoint; None means all.
    """

    paths: tuple[str, ...]
    spans: tuple[Span, ...] | None


def reads(files: Iterable[DataFile]) -> list[Read]:
    """Return what has to be read for the rows of some files, each file once; pure.

    Args:
        files: of one table.
    """
    whole: list[str] = []
    within: dict[str, list[Span]] = {}
    for file in files:
        if file.within is None:
            whole.append(file.path)
        elif file.first and file.last:
            within.setdefault(file.within, []).append(Span(file.first, file.last + MINUTE))
    found = [Read((path,), tuple(merge(spans))) for path, spans in within.items()]
    return [Read(tuple(whole), None), *found] if whole else found


def scan_files(
    table: Table, uri: str, files: Iterable[DataFile], options: Mapping[str, str]
) -> pl.LazyFrame:
    """Return the rows of some files of a table, with the declared columns and types.

    Args:
        table: the declaration.
        uri: the table's folder.
        files: of the table.
        options: storage options of the object store.
    """
    wanted = reads(files)
    scans = [scan_paths(table, uri, read.paths, options) for read in wanted if read.spans is None]
    within = [read for read in wanted if read.spans is not None]
    if within:
        scans.append(_scan_within(table, uri, within, options))
    return pl.concat(scans) if scans else table.empty().lazy()


def _scan_within(
    table: Table, uri: str, wanted: Sequence[Read], options: Mapping[str, str]
) -> pl.LazyFrame:
    """One scan of all files; a scan of each would take seconds to plan where they are hundreds."""
    bounds = [
        (f"{uri}/{path}", *span)
        for read in wanted
        for path in read.paths
        for span in read.spans or ()
    ]
    time = table.polars_schema[table.order[0]]
    known = pl.LazyFrame(bounds, {FILE: pl.String, _START: time, _END: time}, orient="row")
    paths = [path for read in wanted for path in read.paths]
    rows = scan_paths(table, uri, paths, options, FILE)
    rows = rows.join(known, on=FILE, maintain_order="left")
    stamp = pl.col(table.order[0])
    return rows.filter(stamp >= pl.col(_START), stamp < pl.col(_END)).select(table.names)


def scan_paths(
    table: Table,
    uri: str,
    paths: Sequence[str],
    options: Mapping[str, str],
    file_column: str | None = None,
) -> pl.LazyFrame:
    """Return all rows of the files at some paths in a table's folder.

    Args:
        table: the declaration.
        uri: the table's folder.
        paths: at least one.
        options: storage options of the object store.
        file_column: a further column with each row's file, as `uri/path`; none by default.
    """
    if table.partition is None or not has_misleading_folder(table, uri):
        hive = _hive_schema(table.partition, uri) if table.partition else None
        return _scan(table, uri, paths, options, file_column, hive)
    # Polars takes folders above for columns, so each partition is named here. That takes a scan for
    # each, which is slower to plan.
    parts: dict[str | None, list[str]] = {}
    for path in paths:
        parts.setdefault(partition_of(table, path), []).append(path)
    scans = (
        _scan(table.stored, uri, own, options, file_column).with_columns(
            pl.lit(name, pl.String).alias(table.partition)
        )
        for name, own in parts.items()
    )
    return pl.concat(scan.select(_names(table, file_column)) for scan in scans)


def _scan(
    table: Table,
    uri: str,
    paths: Iterable[str],
    options: Mapping[str, str],
    file_column: str | None,
    hive_schema: pl.Schema | None = None,
) -> pl.LazyFrame:
    lazy = pl.scan_parquet(
        [f"{uri}/{path}" for path in paths],
        hive_partitioning=hive_schema is not None,
        hive_schema=hive_schema,
        glob=False,
        storage_options=dict(options) or None,
        # What delta-rs takes from the environment, Polars does too; no other library is asked.
        credential_provider=None,
        include_file_paths=file_column,
    )
    return lazy.select(_names(table, file_column))


def _names(table: Table, file_column: str | None) -> list[str]:
    return [*table.names, file_column] if file_column else table.names


def _hive_schema(partition: str, uri: str) -> pl.Schema:
    """All columns that Polars reads out of the path: the partition, and any folder `a=b` above."""
    above = {part.partition("=")[0]: pl.String for part in uri.split("/") if "=" in part}
    return pl.Schema({**above, partition: pl.String})
