"""The ledger `lake_loads`: for each partition, the digest of the content it was loaded from.

An entry is written in the transaction that loads its partition, so the two always agree. Its
`loaded_at` ascends in the order in which loads become visible: after reading all entries up to a
time, every later one is found by `loaded_at > time`.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from lake.table import Table
from load.ddl import qualified, quoted
from load.postgres import Database
from load.tables import LAKE_LOADS

# From reading the clock until the commit no other session may read it; otherwise a later time could
# become visible before an earlier one.
_IN_ORDER_SQL = "SELECT pg_advisory_xact_lock(hashtextextended('basislake ledger of ' || $1, 0))"

# No real digest is empty, so a partition with this one is sent again.
_UNKNOWN = ""

Key = tuple[str, str]  # table, partition


class Entry(NamedTuple):
    """The content that a partition was loaded from.

    Attributes:
        digest: of the content.
        rows: loaded.
        loaded_at: time of the verified commit; None if the ledger has no time.
    """

    digest: str
    rows: int
    loaded_at: datetime | None = None

    @property
    def is_known(self) -> bool:
        """Whether it has a digest."""
        return self.digest != _UNKNOWN

    def forgotten(self) -> "Entry":
        """Return the entry without its digest, so that the partition is sent again."""
        return self._replace(digest=_UNKNOWN)


class Ledger:
    """The ledger of one schema; the caller commits."""

    def __init__(self, database: Database, schema: str) -> None:
        """Use the ledger of a schema; the table must exist."""
        self._database = database
        self._schema = schema
        self._name = qualified(LAKE_LOADS, schema)

    def entries(self) -> dict[Key, Entry]:
        """Return all rows, by table and partition."""
        time = 'CASE WHEN isfinite("loaded_at") THEN "loaded_at" END'
        sql = f'SELECT "table", "partition", "digest", "rows", {time} FROM {self._name}'
        return {(table, name): Entry(*rest) for table, name, *rest in self._database.query(sql)}

    def write(self, written: Iterable[tuple[Key, Entry, int]]) -> None:
        """Insert or replace the rows of partitions; commit at once afterwards.

        Args:
            written: key, entry and lake version (a batch) of each; this method sets the time.
        """
        updates = ", ".join(
            f"{quoted(name)} = EXCLUDED.{quoted(name)}"
            for name in LAKE_LOADS.names
            if name not in LAKE_LOADS.key
        )
        names = ", ".join(quoted(name) for name in LAKE_LOADS.names)
        # The clock may be set back.
        known = f'SELECT max("loaded_at") FROM {self._name} WHERE isfinite("loaded_at")'
        newest = f"({known}) + interval '1 microsecond'"
        sql = (
            f"INSERT INTO {self._name} ({names}) "
            f"SELECT new.*, greatest(clock_timestamp(), {newest}) "
            "FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[]) AS new "
            f'ON CONFLICT ("table", "partition") DO UPDATE SET {updates}'
        )
        self._database.execute(_IN_ORDER_SQL, (self._schema,))
        rows = [(*key, entry.digest, entry.rows, version) for key, entry, version in written]
        self._database.execute(sql, [list(column) for column in zip(*rows, strict=True)])

    def forget(self, table: Table) -> None:
        """Make a load send all partitions of a table again: their rows lose their digest."""
        sql = f'UPDATE {self._name} SET "digest" = $1 WHERE "table" = $2'
        self._database.execute(sql, (_UNKNOWN, table.name))

    def delete(self, key: Key) -> None:
        """Delete the row of a partition."""
        sql = f'DELETE FROM {self._name} WHERE "table" = $1 AND "partition" = $2'
        self._database.execute(sql, key)

    def delete_table(self, table: Table) -> None:
        """Delete the rows of all partitions of a table."""
        self._database.execute(f'DELETE FROM {self._name} WHERE "table" = $1', (table.name,))
