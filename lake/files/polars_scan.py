"""Lazy frames over some files of a table, read by Polars."""

from collections.abc import Iterable, Mapping, Sequence

import polars as pl

from lake.files.parquet import DataFile, has_misleading_folder, partition_of
from lake.location.store_options import for_polars
from lake.table import BATCH, Table


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
    """Return all rows of the files at some paths in a table's folder.

    Args:
        table: the declaration.
        uri: the table's folder.
        paths: at least one.
        options: storage options of the object store.
    """
    if table.partition is None or not has_misleading_folder(table, uri):
        hive = _hive_schema(table.partition, uri) if table.partition else None
        return _scan(table, uri, paths, options, hive)
    # Polars takes parent folders for columns, so each scan names its partition. That needs a scan
    # for each partition, which is slower to plan.
    parts: dict[str | None, list[str]] = {}
    for path in paths:
        parts.setdefault(partition_of(table, path), []).append(path)
    scans = (
        _scan(table.stored, uri, own, options).with_columns(
            pl.lit(name, pl.String).alias(table.partition)
        )
        for name, own in parts.items()
    )
    return pl.concat(scan.select(table.names) for scan in scans)


def _scan(
    table: Table,
    uri: str,
    paths: Iterable[str],
    options: Mapping[str, str],
    hive_schema: pl.Schema | None = None,
) -> pl.LazyFrame:
    lazy = pl.scan_parquet(
        [f"{uri}/{path}" for path in paths],
        hive_partitioning=hive_schema is not None,
        hive_schema=hive_schema,
        glob=False,
        storage_options=for_polars(options),
        # Polars and delta-rs read the same environment variables; no other library is involved.
        credential_provider=None,
    )
    return lazy.select(table.names)


def _hive_schema(partition: str, uri: str) -> pl.Schema:
    """All columns that Polars parses from the path: the partition, and any folder `a=b` above."""
    above = {part.partition("=")[0]: pl.String for part in uri.split("/") if "=" in part}
    return pl.Schema({**above, partition: pl.String})
