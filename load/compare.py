"""Every cell of the database beside the lake's: read back, compared bit for bit, nothing loaded."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any

import polars as pl

from lake import Lake
from lake.errors import BasislakeError, LoadError
from lake.tables import Table, Type
from load.address import DEFAULT_SCHEMA, LOCK_WAIT_S
from load.ddl import literal, qualified, quoted, where_sql
from load.failures import FAILURES, reason
from load.ledger import Key
from load.postgres import Database
from load.prepare import check_schema_name, look
from load.results import Progress, silent
from load.run import over_connections
from load.source import Partition, partitions
from load.tables import FEEDS, WHOLE
from load.verify import bits

# Of a partition in memory at once, besides the lake's whole one, to keep two connections in 1 GB.
_PIECE_ROWS = 262_144

_OURS, _THEIRS = "is_in_lake", "is_in_database"


@dataclass(frozen=True, slots=True)
class Difference:
    """How a partition in the database differs from the lake's.

    Attributes:
        table: of PostgreSQL.
        partition: the instrument, or `all`.
        lake_rows: that it should hold.
        database_rows: that it holds.
        missing: rows of the lake whose key the database lacks.
        extra: rows of the database whose key the lake lacks.
        cells: how many cells differ in rows that both have, by column.
        first: the first key that differs, with the cells of both sides where both have the row.
    """

    table: str
    partition: str
    lake_rows: int
    database_rows: int
    missing: int
    extra: int
    cells: dict[str, int] = field(default_factory=dict)
    first: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparison:
    """What was compared, and what differs.

    Attributes:
        partitions: compared, of either side.
        rows: of the lake that were compared.
        equal: whether nothing differs.
        differences: by partition.
        seconds: from start to end.
    """

    partitions: int
    rows: int
    equal: bool
    differences: list[Difference]
    seconds: float


def compare(
    lake: Lake,
    uri: str,
    *,
    schema: str = DEFAULT_SCHEMA,
    report: Callable[[Progress], None] = silent,
) -> Comparison:
    """Read every row back and compare every cell with the lake as it is now, bit for bit.

    Changes nothing. A lake that was built anew since the last load differs, rightly.

    Args:
        lake: to compare with.
        uri: libpq URI of the database.
        schema: of the tables; a table that is not there holds no rows.
        report: called after every partition compared.

    Raises:
        UsageError: the URI or the schema's name cannot be used.
        LakeError: the lake cannot be read.
        LoadError: the database cannot be read, or has a table of ours in another shape.
    """
    started = time.perf_counter()
    check_schema_name(schema)
    wanted = partitions(lake)
    with Database(uri) as database:
        absent = {table.name for table in look(database, schema).absent}
        differences = _strays(database, schema, {p.key for p in wanted}, absent)
    strays, rows = len(differences), 0

    def work(database: Database, partition: Partition) -> Difference | None:
        if partition.feed.table.name in absent:
            return _absent(partition)
        with _explained(partition, database.shown):
            return _compared(database, schema, partition)

    done = over_connections(uri, LOCK_WAIT_S, work, wanted)
    for number, (partition, found) in enumerate(done, 1):
        rows += partition.rows
        differences += [found] if found else []
        report(Progress(number, len(wanted), rows, *partition.key))
    differences.sort(key=lambda d: (d.table, d.partition))
    seconds = time.perf_counter() - started
    return Comparison(len(wanted) + strays, rows, not differences, differences, seconds)


def difference(
    table: Table, partition: str, ours: pl.DataFrame, theirs: pl.DataFrame
) -> Difference | None:
    """Return how the rows of a partition differ; None where every cell is the same.

    Two floats are the same where their bits are.

    Args:
        table: the declaration; both frames hold its columns.
        partition: its name.
        ours: the lake's rows.
        theirs: the database's rows; none twice by the table's key.
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
    first = both.filter(~is_shared | pl.any_horizontal(unequal.values())).row(0, named=True)
    return Difference(
        table.name,
        partition,
        ours.height,
        theirs.height,
        both[_THEIRS].null_count(),
        both[_OURS].null_count(),
        {name: n for name, n in cells.items() if n},
        _shown(table, first, ours, theirs),
    )


def _shown(
    table: Table, first: dict[str, Any], ours: pl.DataFrame, theirs: pl.DataFrame
) -> dict[str, Any]:
    """The first key that differs, and each side's cells there; None for a side without the row."""
    key = {name: first[name] for name in table.key}
    is_there = pl.all_horizontal(pl.col(name) == value for name, value in key.items())
    sides = [frame.filter(is_there).select(table.names).to_dicts() for frame in (ours, theirs)]
    lake, database = (rows[0] if rows else None for rows in sides)
    if lake and database:
        bits_ours, bits_theirs = (
            _by_bits(table, frame.filter(is_there)).row(0, named=True) for frame in (ours, theirs)
        )
        same = {name for name in table.names if bits_ours[name] == bits_theirs[name]}
        lake, database = (
            {name: cell for name, cell in side.items() if name not in same}
            for side in (lake, database)
        )
    return {**key, "lake": lake, "database": database}


def _by_bits(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    floats = [column.name for column in table.columns if column.type is Type.FLOAT]
    return frame.with_columns(bits(frame[name]) for name in floats)


def _compared(database: Database, schema: str, partition: Partition) -> Difference | None:
    """Compare a partition piece by piece, all of one moment."""
    table = partition.feed.table
    ours = partition.frame(partition.read())
    database.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    found, rows = [], 0
    for piece, start, end in _pieces(table, ours):
        theirs = _read_back(database, schema, partition, start, end)
        rows += theirs.height
        found += [difference(table, partition.name, piece, theirs)]
    database.rollback()  # or its snapshot would keep the server from cleaning up
    return _together([each for each in found if each], ours.height, rows)


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


def _together(found: list[Difference], lake_rows: int, database_rows: int) -> Difference | None:
    """The differences of some pieces of a partition as one; the counts are of the whole."""
    if not found:
        return None
    cells: Counter[str] = Counter()
    for each in found:
        cells.update(each.cells)
    return replace(
        found[0],
        lake_rows=lake_rows,
        database_rows=database_rows,
        missing=sum(each.missing for each in found),
        extra=sum(each.extra for each in found),
        cells=dict(cells),
    )


def _absent(partition: Partition) -> Difference:
    """A partition of a table that is not there."""
    rows = partition.rows
    return Difference(partition.feed.table.name, partition.name, rows, 0, rows, 0)


def _read_back(
    database: Database,
    schema: str,
    partition: Partition,
    start: datetime | None,
    end: datetime | None,
) -> pl.DataFrame:
    """The database's rows of a partition over [start, end), None for no bound."""
    table = partition.feed.table
    columns = ", ".join(quoted(name) for name in table.names)
    sql = f"SELECT {columns} FROM {qualified(table, schema)}{where_sql(table)}"
    parameters: list[object] = [partition.name] if table.partition else []
    for bound, operator in ((start, ">="), (end, "<")):
        if bound is not None:
            parameters.append(bound)
            sql += f" AND {quoted(table.order[0])} {operator} ${len(parameters)}"
    return pl.DataFrame(database.fetch(sql, parameters), schema=table.polars_schema)


def _pieces(
    table: Table, ours: pl.DataFrame
) -> Iterator[tuple[pl.DataFrame, datetime | None, datetime | None]]:
    """Rows in pieces of bounded size, each with the range of times that is its own.

    The first range has no start and the last no end, so together they hold every row that the
    database may have.
    """
    if not table.partition:
        yield ours, None, None
        return
    firsts = ours[table.order[0]].gather_every(_PIECE_ROWS).to_list()
    for number, (first, following) in enumerate(zip_longest(firsts, firsts[1:])):
        start = first if number else None
        yield ours.slice(number * _PIECE_ROWS, _PIECE_ROWS), start, following


def _strays(
    database: Database, schema: str, wanted: set[Key], absent: set[str]
) -> list[Difference]:
    """Partitions that the database holds and the lake does not."""
    found = []
    for table in (feed.table for feed in FEEDS if feed.table.name not in absent):
        name = quoted(table.partition) if table.partition else literal(WHOLE)
        sql = f"SELECT {name}, count(*) FROM {qualified(table, schema)} GROUP BY 1"
        for partition, rows in database.query(sql):
            if (table.name, partition) not in wanted:
                found.append(Difference(table.name, partition, 0, rows, 0, rows))
    return found
