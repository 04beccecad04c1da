"""Rows in our tables that neither the lake nor the ledger knows: somebody else put them there.

A load leaves them alone, for they may be the user's own; no load mends a difference that they are.
"""

from collections.abc import Collection

from lake.tables import Table
from load.ddl import literal, qualified, quoted
from load.ledger import Key
from load.postgres import Database
from load.tables import WHOLE


def other_partitions(
    database: Database, schema: str, table: Table, wanted: Collection[Key]
) -> dict[str | None, int]:
    """Return the partitions of a table that are not wanted, and how many rows each has; None is the
    name of rows without one.

    Raises:
        LoadError: the table cannot be read.
    """
    name = quoted(table.partition) if table.partition else literal(WHOLE)
    sql = f"SELECT {name}, count(*) FROM {qualified(table, schema)} GROUP BY 1 ORDER BY 1"
    return {part: n for part, n in database.query(sql) if (table.name, part) not in wanted}


def remedy_sql(table: Table, schema: str, partition: str | None) -> str:
    """Return the statement with which a user deletes such a partition."""
    which = "IS NULL" if partition is None else f"= {literal(partition)}"
    where = f" WHERE {quoted(table.partition)} {which}" if table.partition else ""
    return f"DELETE FROM {qualified(table, schema)}{where};"
