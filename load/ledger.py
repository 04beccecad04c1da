"""The table `lake_loads`: which partition was loaded from which content.

An entry is written in the transaction that loads its partition, so the two never disagree.
"""

from typing import NamedTuple

from lake.tables import Table
from load.ddl import qualified, quoted
from load.postgres import Database
from load.tables import LAKE_LOADS

Key = tuple[str, str]  # table, partition


class Entry(NamedTuple):
    """What a partition was loaded from.

    Attributes:
        digest: of the content.
        rows: loaded.
    """

    digest: str
    rows: int


class Ledger:
    """The ledger of one schema; the caller commits."""

    def __init__(self, database: Database, schema: str) -> None:
        """Use the ledger of a schema; the table must be there."""
        self._database = database
        self._name = qualified(LAKE_LOADS, schema)

    def entries(self) -> dict[Key, Entry]:
        """Return all rows, by table and partition."""
        sql = f'SELECT "table", "partition", "digest", "rows" FROM {self._name}'
        return {(t, p): Entry(digest, rows) for t, p, digest, rows in self._database.query(sql)}

    def write(self, key: Key, entry: Entry, lake_version: int) -> None:
        """Insert or replace the row of a partition, loaded at the time of this transaction."""
        updates = ", ".join(
            f"{quoted(name)} = EXCLUDED.{quoted(name)}"
            for name in LAKE_LOADS.names
            if name not in LAKE_LOADS.key
        )
        names = ", ".join(quoted(name) for name in LAKE_LOADS.names)
        sql = (
            f"INSERT INTO {self._name} ({names}) VALUES ($1, $2, $3, $4, $5, now()) "
            f'ON CONFLICT ("table", "partition") DO UPDATE SET {updates}'
        )
        self._database.execute(sql, (*key, entry.digest, entry.rows, lake_version))

    def strike(self, key: Key) -> None:
        """Delete the row of a partition."""
        sql = f'DELETE FROM {self._name} WHERE "table" = $1 AND "partition" = $2'
        self._database.execute(sql, key)

    def strike_table(self, table: Table) -> None:
        """Delete the rows of all partitions of a table."""
        self._database.execute(f'DELETE FROM {self._name} WHERE "table" = $1', (table.name,))
