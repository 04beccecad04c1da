"""Compares every cell of the database with the lake, bit for bit; nothing is loaded."""

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lake import Lake
from lake.errors import BasislakeError, LoadError
from lake.table import Table, Type
from load.connections import Connections, connected
from load.database_address import DEFAULT_SCHEMA, LOCK_WAIT_S
from load.ddl import qualified, quoted, where_sql
from load.failures import FAILURES, reason
from load.ledger import Key
from load.postgres import Database
from load.prepare import SchemaState, check_schema_name, look
from load.results import LoadProgress, silent
from load.source import Partition, partitions
from load.tables import FEEDS, parameters
from load.unknown_rows import remedy_sql, strays
from load.value_text import cell
from load.verify import bits

_OURS, _THEIRS = "is_in_lake", "is_in_database"


@dataclass(frozen=True, slots=True)
class PartitionDifference:
    """The difference of one partition between the database and the lake.

    Attributes:
        table: of PostgreSQL.
        partition: the instrument and month, or `all`.
        lake_rows: rows in the lake.
        database_rows: rows in the database.
        missing: rows of the lake whose key the database lacks.
        extra: rows of the database whose key the lake lacks.
        cells: number of different cells in rows that both have, by column.
        first: the first key that differs, with the cells of lake and database if both have the row.
        remedy: the statement that deletes rows known to neither the lake nor the ledger, as no
            load does; otherwise empty.
    """

    table: str
    partition: str
    lake_rows: int
    database_rows: int
    missing: int
    extra: int
    cells: dict[str, int] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Result of a comparison.

    Attributes:
        partitions: compared, of lake or database.
        rows: compared rows of the lake.
        equal: whether nothing differs.
        differences: by partition.
        seconds: from start to end.
    """

    partitions: int
    rows: int
    equal: bool
    differences: list[PartitionDifference]
    seconds: float


def compare(
    lake: Lake,
    uri: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    lock_wait_s: float = LOCK_WAIT_S,
    report: Callable[[LoadProgress], None] = silent,
) -> Comparison:
    """Read all rows back and compare every cell with the present lake, bit for bit.

    Changes nothing. A lake that was built again since the last load may differ, rightly.

    Args:
        lake: to compare with.
        uri: libpq URI of the database.
        schema: of the tables; a missing table counts as empty.
        lock_wait_s: seconds to wait for a lock of another session.
        report: called after every compared partition.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be read, or a table has other columns or keys.
    """
    started = time.perf_counter()
    check_schema_name(schema)
    wanted = partitions(lake)

    def work(connections: Connections) -> list[PartitionDifference]:
        database = connections.open()
        state = look(database, schema)
        absent = {table.name for table in state.absent}
        differences = _others(database, schema, {p.key for p in wanted}, state)

        def each(database: Database, partition: Partition) -> PartitionDifference | None:
            if partition.feed.table.name in absent:
                return _absent(partition)
            with _explained(partition, database.shown):
                return _compared(database, schema, partition)

        rows = 0
        with closing(connections.each(database, each, wanted)) as outcomes:
            for number, (partition, found) in enumerate(outcomes, 1):
                rows += partition.rows
                differences += [found] if found else []
                report(LoadProgress(number, len(wanted), rows, *partition.key))
        return differences

    differences = sorted(connected(uri, work, lock_wait_s), key=lambda d: (d.table, d.partition))
    others = {(d.table, d.partition) for d in differences} - {p.key for p in wanted}
    return Comparison(
        partitions=len(wanted) + len(others),
        rows=sum(p.rows for p in wanted),
        equal=not differences,
        differences=differences,
        seconds=time.perf_counter() - started,
    )


def difference(
    table: Table, partition: str, ours: pl.DataFrame, theirs: pl.DataFrame
) -> PartitionDifference | None:
    """Return the difference of a partition's rows; None if every cell is the same.

    Two floats are the same if their bits are.

    Args:
        table: the declaration; both frames have its columns.
        partition: its name.
        ours: the lake's rows.
        theirs: the database's rows, each key once.
    """
    left, right = (_by_bits(table, frame).sort(table.key) for frame in (ours, theirs))
    if left.equals(right):
        return None
    left, right = (
        left.with_columns(pl.lit(1).alias(_OURS)),
        right.with_columns(pl.lit(1).alias(_THEIRS)),
    )
    both = left.join(right, on=table.key, how="full", coalesce=True, suffix="_db").sort(table.key)
    values = [name for name in table.names if name not in table.key]
    is_shared = pl.col(_OURS).is_not_null() & pl.col(_THEIRS).is_not_null()
    unequal = {name: is_shared & pl.col(name).ne_missing(pl.col(f"{name}_db")) for name in values}
    cells = both.select(expr.sum().alias(name) for name, expr in unequal.items()).row(0, named=True)
    first = both.filter(~is_shared | pl.any_horizontal(unequal.values())).head(1)
    differing = [name for name, expr in unequal.items() if first.select(expr).item()]
    return PartitionDifference(
        table.name,
        partition,
        ours.height,
        theirs.height,
        both[_THEIRS].null_count(),
        both[_OURS].null_count(),
        {name: n for name, n in cells.items() if n},
        _shown(table, first.select(table.key), differing, ours, theirs),
    )


def _shown(
    table: Table, key: pl.DataFrame, differing: list[str], ours: pl.DataFrame, theirs: pl.DataFrame
) -> dict[str, Any]:
    """The first key that differs, and the cells of lake and database; None for a missing row."""
    rows = [f.join(key, on=table.key, how="semi", nulls_equal=True) for f in (ours, theirs)]
    names = differing or table.names
    lake, database = (_cells(table, row, names) if row.height else None for row in rows)
    return {**_cells(table, key, table.key), "lake": lake, "database": database}


def _cells(table: Table, row: pl.DataFrame, names: Iterable[str]) -> dict[str, Any]:
    columns = {column.name: column for column in table.columns}
    return {name: cell(columns[name], row[name]) for name in names}


def _by_bits(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    floats = [column.name for column in table.columns if column.type is Type.FLOAT]
    return frame.with_columns(bits(frame[name]) for name in floats)


def _compared(database: Database, schema: str, partition: Partition) -> PartitionDifference | None:
    ours = partition.frame(partition.read())
    theirs = _read_back(database, schema, partition)
    database.rollback()  # or its snapshot would keep the server from cleaning up
    return difference(partition.feed.table, partition.name, ours, theirs)


@contextmanager
def _explained(partition: Partition, where: str) -> Iterator[None]:
    try:
        yield
    except BasislakeError:
        raise
    except FAILURES as exc:
        table, name = partition.key
        raise LoadError(
            f"The partition {name} of {table} was not compared with {where}. {reason(exc)}. "
            "Nothing was changed. Run the command again."
        ) from exc


def _absent(partition: Partition) -> PartitionDifference:
    """A partition of a missing table."""
    rows = partition.rows
    return PartitionDifference(partition.feed.table.name, partition.name, rows, 0, rows, 0)


def _read_back(database: Database, schema: str, partition: Partition) -> pl.DataFrame:
    """The database's rows of a partition."""
    table = partition.feed.table
    columns = ", ".join(quoted(name) for name in table.names)
    sql = f"SELECT {columns} FROM {qualified(table, schema)}{where_sql(table)}"
    return pl.DataFrame(
        database.fetch(sql, parameters(table, partition.name)), schema=table.polars_schema
    )


def _others(
    database: Database, schema: str, wanted: set[Key], state: SchemaState
) -> list[PartitionDifference]:
    """Partitions that the database has and the lake has not."""
    found = []
    for table in (feed.table for feed in FEEDS if feed.table not in state.absent):
        for stray in strays(database, schema, table, wanted):
            name, rows = stray.partition, stray.rows
            is_known = (table.name, name) in state.entries  # the next load deletes it
            remedy = "" if is_known else remedy_sql(table, schema, stray)
            found.append(PartitionDifference(table.name, name, 0, rows, 0, rows, remedy=remedy))
    return found
