"""Rows in our tables that neither the lake nor the ledger knows: somebody else put them there.

A load leaves them alone, for they may be the user's own; no load mends a difference that they are.
"""

from collections.abc import Collection

from lake.tables import Table
from load.ddl import literal, qualified, quoted
from load.ledger import Key
from load.postgres import Database
from load.tables import WHOLE, parameters


def other_partitions(
    database: Database, schema: str, table: Table, wanted: Collection[Key]
) -> dict[str | None, int]:
    """Return the partitions of a table that are not wanted, and how many rows each has; None is the
    name of rows without one.

    Raises:
        LoadError: the table cannot be read.
    """
    name = literal(WHOLE)
    if table.partition:
        month = f"to_char({quoted(table.order[0])} AT TIME ZONE 'UTC', 'YYYY-MM')"
        name = f"{quoted(table.partition)} || '/' || {month}"
    sql = f"SELECT {name}, count(*) FROM {qualified(table, schema)} GROUP BY 1 ORDER BY 1"
    return {part: n for part, n in database.query(sql) if (table.name, part) not in wanted}


def remedy_sql(table: Table, schema: str, partition: str | None) -> str:
    """Return the statement with which a user deletes such a partition."""
    where = ""
    if table.partition:
        name, time = quoted(table.partition), quoted(table.order[0])
        where = f" WHERE {name} IS NULL OR NOT isfinite({time})"
        if partition is not None:
            instrument, start, end = parameters(table, partition)
            where = (
                f" WHERE {name} = {literal(str(instrument))} AND {time} >= {literal(str(start))}"
                f" AND {time} < {literal(str(end))}"
            )
    return f"DELETE FROM {qualified(table, schema)}{where};"
