"""Stray rows: rows in our tables that neither the lake nor the ledger knows.

A load does not delete them, because they may be the user's own; no load removes the difference.
"""

from collections.abc import Collection
from typing import NamedTuple

from lake.table import Table
from load.ddl import literal, qualified, quoted
from load.ledger import Key
from load.postgres import Database
from load.tables import WHOLE, parameters, partition_name

# The range of times that Python supports. PostgreSQL has others, which `to_char` does not
# distinguish: years before Christ, after 9999, and the two infinite times.
_FIRST, _END = (f"TIMESTAMPTZ '{time} 00:00Z'" for time in ("0001-01-01", "9999-12-01"))
_NO_MONTH = "other"


class Stray(NamedTuple):
    """Stray rows of one instrument in one month.

    Attributes:
        instrument: None if the rows have none; `all` in a table in one piece.
        month: `YYYY-MM`, None if the times are outside of Python's range.
        rows: how many.
    """

    instrument: str | None
    month: str | None
    rows: int

    @property
    def partition(self) -> str:
        """The name of their partition."""
        if self.instrument in (None, WHOLE):
            return self.instrument or ""
        return partition_name(str(self.instrument), self.month or _NO_MONTH)


def strays(database: Database, schema: str, table: Table, wanted: Collection[Key]) -> list[Stray]:
    """Return the rows of a table that belong to no wanted partition.

    Raises:
        LoadError: the table cannot be read.
    """
    name, month = literal(WHOLE), "NULL::text"
    if table.partition:
        name, time = quoted(table.partition), quoted(table.order[0])
        text = f"to_char({time} AT TIME ZONE 'UTC', 'YYYY-MM')"
        month = f"CASE WHEN {time} >= {_FIRST} AND {time} < {_END} THEN {text} END"
    sql = f"SELECT {name}, {month}, count(*) FROM {qualified(table, schema)} GROUP BY 1, 2"
    found = [Stray(*row) for row in database.query(f"{sql} ORDER BY 1, 2")]
    return [stray for stray in found if (table.name, stray.partition) not in wanted]


def remedy_sql(table: Table, schema: str, stray: Stray) -> str:
    """Return a statement that deletes these rows, and no others."""
    conditions = []
    if table.partition:
        name, time = quoted(table.partition), quoted(table.order[0])
        is_own = f"= {literal(stray.instrument)}" if stray.instrument is not None else "IS NULL"
        conditions.append(f"{name} {is_own}")
        if stray.month:
            _, start, end = parameters(table, stray.partition)
            conditions.append(f"{time} >= '{start}' AND {time} < '{end}'")
        else:
            conditions.append(f"({time} < {_FIRST} OR {time} >= {_END})")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    return f"DELETE FROM {qualified(table, schema)}{where};"
