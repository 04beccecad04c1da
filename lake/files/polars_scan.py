"""Lazy frames over some files of a table, read by Polars."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from lake.files.parquet import DataFile, has_misleading_folder
from lake.location.store_options import for_polars
from lake.table import BATCH, Table

_PATH = "_path"


def scan_files(
    table: Table,
    uri: str,
    files: Iterable[DataFile],
    options: Mapping[str, str],
    until: int | None = None,
) -> pl.LazyFrame:
    """Return the rows of some files of a table, with the declared columns and types.

    Args:
        table: the declaration.
        uri: the table's folder.
        files: of the table.
        options: storage options of the object store.
        until: keep only rows up to this batch; default: all rows.
    """
    wanted = [file for file in files if file.may_be_until(until)]
    if not wanted:
        return table.empty().lazy()
    rows = scan_paths(table, uri, [file.path for file in wanted], options)
    if all(file.is_until(until) for file in wanted):
        return rows
    return rows.filter(pl.col(BATCH) <= until)


def scan_paths(
    table: Table, uri: str, paths: Sequence[str], options: Mapping[str, str]
) -> pl.LazyFrame:
    """Return all rows of the files at some paths, at least one; see `scan_files`."""
    is_misleading = table.partition is not None and has_misleading_folder(table, uri)
    hive = None if is_misleading or table.partition is None else _hive_schema(table.partition, uri)
    lazy = pl.scan_parquet(
        [f"{uri}/{path}" for path in paths],
        hive_partitioning=hive is not None,
        hive_schema=hive,
        include_file_paths=_PATH if is_misleading else None,
        glob=False,
        storage_options=for_polars(options),
        # Polars and delta-rs read the same environment variables; no other library is involved.
        credential_provider=None,
    )
    if is_misleading:
        # Polars would take parent folders for columns, so it parses none, and reads every file.
        below = pl.col(_PATH).str.strip_prefix(f"{uri}/{table.partition}=")
        lazy = lazy.with_columns(below.str.extract("([^/]*)").alias(str(table.partition)))
    return lazy.select(table.names)


def _hive_schema(partition: str, uri: str) -> pl.Schema:
    """All columns that Polars parses from the path: the partition, and any folder `a=b` above."""
    above = {part.partition("=")[0]: pl.String for part in uri.split("/") if "=" in part}
    return pl.Schema({**above, partition: pl.String})
