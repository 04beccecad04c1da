"""The rows of one version of a table, in DuckDB's SQL."""

from collections.abc import Iterable

import duckdb

from lake.files.parquet import has_misleading_folder
from lake.location.urls import is_local
from lake.snapshot import Snapshot
from lake.table import BATCH, Type

# Prefix of the error message of a view whose rows were deleted.
GONE = "Gone: "

# Characters that DuckDB interprets in a path as patterns.
_PATTERN = frozenset("*?[")

SQL_TYPES = {
    Type.TEXT: "VARCHAR",
    Type.TEXTS: "VARCHAR[]",
    Type.TIME: "TIMESTAMP WITH TIME ZONE",
    Type.DATE: "DATE",
    Type.FLOAT: "DOUBLE",
    Type.INT: "BIGINT",
    Type.BOOL: "BOOLEAN",
}


def rows_sql(connection: duckdb.DuckDBPyConnection, snapshot: Snapshot) -> str:
    """Return the query of all rows of a table.

    Args:
        connection: that will run the query; it gets the file system or frame to read, if DuckDB
            cannot read the files itself.
        snapshot: of the table.
    """
    name = f"{snapshot.table.name}_rows"
    paths = [file.path for file in snapshot.files if file.may_be_until(snapshot.until)]
    if snapshot.held is not None:
        connection.register(name, snapshot.held)
        return f"SELECT * FROM {name}"
    if not paths or snapshot.gone:
        return _empty_sql(snapshot)
    # DuckDB reaches object stores itself only by an extension, which needs a download.
    if is_local(snapshot.uri) and _finds_files(snapshot):
        addresses = [f"{snapshot.uri}/{path}" for path in paths]
    else:
        from lake.query.duck_files import files_for  # noqa: PLC0415  (of stores, or odd folders)

        addresses = files_for(connection, snapshot).addresses(paths)
    rows = _parquet_sql(snapshot, addresses)
    until = "" if snapshot.until is None else f" WHERE stored.{BATCH} <= {snapshot.until}"
    # Qualified by the table's name: if a macro has a parameter of a column's name, the bare name is
    # ambiguous for DuckDB.
    names = ", ".join(f'stored."{column}"' for column in snapshot.table.names)
    return f"SELECT {names} FROM {rows} AS stored{until}"


def _finds_files(snapshot: Snapshot) -> bool:
    """Whether DuckDB reads exactly the files at these paths: it interprets some characters as
    patterns, and some folders above the table as columns.
    """
    is_pattern = not _PATTERN.isdisjoint(snapshot.uri)
    return not is_pattern and not has_misleading_folder(snapshot.table, snapshot.uri)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _parquet_sql(snapshot: Snapshot, addresses: Iterable[str]) -> str:
    """SQL that reads files of a table."""
    table = snapshot.table
    listed = ", ".join(_text(address) for address in addresses)
    hive = ", hive_partitioning = false"
    if table.partition:
        hive = f", hive_partitioning = true, hive_types = {{'{table.partition}': VARCHAR}}"
    return f"read_parquet([{listed}]{hive})"


def _empty_sql(snapshot: Snapshot) -> str:
    columns = ", ".join(
        f'CAST(NULL AS {SQL_TYPES[c.type]}) AS "{c.name}"' for c in snapshot.table.columns
    )
    if not snapshot.gone:
        return f"SELECT {columns} WHERE false"
    # Reading the view raises an error; other tables can still be read.
    return f"SELECT {columns} FROM range(1) WHERE error({_text(GONE + snapshot.gone)}) IS NULL"
