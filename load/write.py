"""One partition into the database: replaced or removed in one transaction, and verified."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lake.errors import LakeError, LoadError
from load.ddl import delete_sql
from load.ledger import Entry, Key, Ledger
from load.postgres import Database
from load.source import Partition
from load.tables import TABLES
from load.verify import figures, figures_sql, mismatches


class Writer:
    """Changes the partitions of one schema, whose tables are ready, over one connection."""

    def __init__(self, database: Database, schema: str) -> None:
        """Use a connection, alone, for the tables of a schema."""
        self._database = database
        self._schema = schema
        self._ledger = Ledger(database, schema)

    def replace(self, partition: Partition, digest: str) -> int:
        """Make the database hold exactly the partition's rows and return how many there are.

        Raises:
            LoadError: it does not; what it held of the partition before is unchanged.
        """
        table = partition.feed.table
        with self._transaction(partition.key, "loaded into"):
            frame = partition.frame()
            rows = table.to_arrow(frame)
            self._delete(partition.key)
            self._database.ingest(self._schema, table.name, rows)
            expected = figures(table, frame)
            sql = figures_sql(table, self._schema, expected)
            got = self._database.query(sql, (partition.name,) if table.partition else ())[0]
            if wrong := mismatches(expected, got):
                raise LoadError(f"It does not hold what was sent: {'; '.join(wrong)}")
            entry = Entry(digest, frame.height)
            self._ledger.write(partition.key, entry, partition.snapshot.version or 0)
        return frame.height

    def remove(self, key: Key) -> None:
        """Delete a partition that the lake no longer holds, and its entry in the ledger.

        Raises:
            LoadError: it cannot be deleted; it is unchanged.
        """
        with self._transaction(key, "removed from"):
            self._delete(key)
            self._ledger.strike(key)

    def _delete(self, key: Key) -> None:
        table = TABLES[key[0]]
        sql = delete_sql(table, self._schema)
        self._database.execute(sql, (key[1],) if table.partition else ())

    @contextmanager
    def _transaction(self, key: Key, done: str) -> Iterator[None]:
        try:
            yield
            self._database.commit()
        except (LoadError, LakeError, ValueError) as exc:
            with suppress(LoadError):
                self._database.rollback()
            raise LoadError(
                f"The partition {key[1]} of {key[0]} was not {done} {self._database.shown}. {exc}. "
                "What the database held of it is unchanged, and what was loaded before it is kept. "
                "Load again to go on from there."
            ) from exc
