"""The lake: Delta Lake tables under one folder or object-store URI, and how they change."""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake.transaction import AddAction, RemoveAction

from lake import conditional, files, log, machine
from lake.address import address_of
from lake.errors import LakeError
from lake.files import DataFile
from lake.guard import explained
from lake.log import Commit
from lake.snapshot import Snapshot, Watch, load, open_table
from lake.tables import TABLES, Table
from lake.transaction import transact

if TYPE_CHECKING:
    import duckdb

__all__ = ["Commit", "Lake"]


class Lake:
    """Tables at a folder or an object-store URI.

    Attributes:
        uri: absolute path or URI, without a slash at the end.
        options: storage options (credentials, endpoint) as delta-rs and Polars take them.
        version: of `raw_candles` where the lake is open as it was (`lake.versions`), else None.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        """Address a lake; nothing is read or made. See `lake.address`.

        Raises:
            UsageError: no lake can be there.
        """
        self.version: int | None = None
        address = address_of(uri, options)
        self.uri = address.uri
        self.options = dict(address.options)
        self.is_local = address.is_local

    def __repr__(self) -> str:
        """Show where it is, never its options: they may hold secrets."""
        return f"Lake({self.uri!r})"

    @property
    def machine_folder(self) -> Path:
        """Where processes of one machine keep what they share about this lake, e.g. their pace; see
        `lake.machine`. It need not be there yet.

        Raises:
            UsageError: the setting is no absolute path, or nothing says where this user's cache is.
        """
        return machine.folder(self.uri)

    def check_exists(self) -> None:
        """Refuse to read where nobody has made a lake: a mistyped address is not an empty market.

        Raises:
            LakeError: none of the tables is there, or they cannot be read.
        """
        self._check_any(self.snapshots().values())

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        """Return a table at a version (the newest by default), for those who will write to it, so
        also where there is no table or no lake yet: it is empty then.

        Raises:
            LakeError: the table cannot be read, or has no such version.
        """
        return load(table, self._table_uri(table), self.options, version)

    def watch(self, table: Table) -> Watch:
        """Return what tells the newest version of a table, again and again."""
        return Watch(table, self._table_uri(table), self.options)

    def snapshots(self) -> dict[str, Snapshot]:
        """Return every table as it is now, by name; those of an object store are asked for at once.

        Raises:
            LakeError: a table cannot be read.
        """
        with ThreadPoolExecutor(1 if self.is_local else len(TABLES)) as pool:
            return dict(zip(TABLES, pool.map(self.snapshot, TABLES.values()), strict=True))

    def scan(self, name: str, version: int | None = None) -> pl.LazyFrame:
        """Return a table's rows as a lazy frame; no rows where the lake has none of it yet.

        Args:
            name: of the table; see `lake.tables`.
            version: of the table, the newest by default.

        Raises:
            LakeError: there is no such lake, table or version, or it cannot be read.
        """
        return self._existing(self._declared(name), version).scan()

    def read(self, table: Table) -> pl.DataFrame:
        """Return all rows of a table that fits in memory, in the table's order; see `scan`."""
        return self._existing(table).read()

    def write(self, table: Table, frame: pl.DataFrame, partition: str | None = None) -> DataFile:
        """Write rows as a file that no reader sees before a commit; see `lake.files.write`."""
        self._check_present()
        with explained(f"rows of {table.name} cannot be written to {self._table_uri(table)}"):
            if self.is_local:
                # In a store that takes several requests; there the commit checks it.
                conditional.check(self._table_uri(table), self.options)
            return files.write(table, frame, self._table_uri(table), self.options, partition)

    def commit(
        self,
        base: Snapshot,
        added: Collection[DataFile],
        lineage: Mapping[str, Any],
        *,
        replacing: Collection[str] | None = (),
        removing: Collection[DataFile] = (),
        counting: Collection[str] = (),
        marks: Mapping[str, int] | None = None,
    ) -> int:
        """Make files visible in one atomic step. Return the table's newest version then, which is
        another writer's where one has committed since.

        Args:
            base: the version that the change was worked out from.
            added: files already written.
            lineage: kept in the commit: what it was made from, and by what.
            replacing: partitions whose present files go away; None means all files of the table.
            removing: single files that go away; count their partitions, too.
            counting: counters to raise by one, besides one for each partition that is replaced.
                Two writers that raise one counter from the same base cannot both succeed, so a
                counter per instrument guards appended rows against a second writer.
            marks: counters to set to a number; later commits keep it (see `Snapshot.counter`).

        Raises:
            ConflictError: another writer made the table, or replaced rows or raised one of the
                counters since `base`; nothing was stored.
            LakeError: the store cannot be written; nothing was stored, or the message says that it
                cannot be told.
        """
        self._check_present()
        table = base.table
        # Two that replace what is empty remove no file, so only a counter tells that they collide.
        raised = {*counting, *((table.name,) if replacing is None else replacing)}
        counters = {name: base.counter(name) + 1 for name in sorted(raised)} | dict(marks or {})
        actions = [_remove(table, file, is_change=True) for file in removing]
        return transact(
            base,
            [*actions, *(AddAction(**files.add_action_fields(table, file)) for file in added)],
            lineage,
            mode="append" if replacing is not None and not replacing else "overwrite",
            filters=[(table.partition, "in", sorted(replacing))]
            if replacing and table.partition
            else None,
            counters=counters,
        )

    def swap(
        self,
        base: Snapshot,
        removed: Sequence[DataFile],
        added: Sequence[DataFile],
        lineage: Mapping[str, Any],
    ) -> int:
        """Make files stand for others that hold the same rows, in one atomic step. Earlier versions
        keep their files. Return the table's newest version then, as `commit` does.

        Raises:
            ConflictError: another writer changed one of the partitions since `base`; nothing was
                stored.
            LakeError: the store cannot be written; nothing was stored, or the message says that it
                cannot be told.
        """
        self._check_present()
        table = base.table
        gone = [_remove(table, file, is_change=False) for file in removed]
        come = [files.add_action_fields(table, file) | {"data_change": False} for file in added]
        # The library lets two writers remove one file; only a counter tells that they collide.
        raised = {file.partition or table.name for file in removed}
        counters = {name: base.counter(name) + 1 for name in sorted(raised)}
        added_actions = [AddAction(**fields) for fields in come]
        return transact(base, [*gone, *added_actions], lineage, counters=counters)

    def replace(
        self,
        base: Snapshot,
        frame: pl.DataFrame,
        lineage: Mapping[str, Any],
        marks: Mapping[str, int] | None = None,
    ) -> int | None:
        """Make the frame the whole content of a table without partitions, and set the marks (see
        `commit`); None, and nothing is committed, where all is so already.

        Raises:
            ConflictError: another writer committed since `base`; nothing was stored.
        """
        marks = {name: n for name, n in (marks or {}).items() if base.counter(name) != n}
        if base.version is not None and not marks and self._holds(base, frame):
            return None
        added = [self.write(base.table, frame)] if frame.height else []
        return self.commit(base, added, lineage, replacing=None, marks=marks)

    def history(self, table: Table, limit: int | None = None, *, since: int = -1) -> list[Commit]:
        """Return the commits of a table, newest first; empty where the table does not exist.

        Args:
            table: the declaration.
            limit: how many of the newest, all by default.
            since: only those after this version. A log of years is read in seconds, its last
                commits at once.

        Raises:
            LakeError: the log cannot be read.
        """
        uri = self._table_uri(table)
        with explained(f"the log of {table.name} cannot be read at {uri}"):
            delta = open_table(table, uri, self.options)
            return log.commits_of(delta, limit, since) if delta else []

    def duckdb(self) -> "duckdb.DuckDBPyConnection":
        """Return a DuckDB connection with a view per table as it is now; see `lake.duck`.

        Raises:
            LakeError: there is no such lake, or it cannot be read.
        """
        from lake import duck  # noqa: PLC0415  (much that a lake is asked needs no DuckDB)

        snapshots = self.snapshots().values()
        self._check_any(snapshots)
        return duck.connect(snapshots, is_local=self.is_local)

    def sql(self, query: str) -> pl.DataFrame:
        """Return the rows of a DuckDB query over the tables as they are now.

        Args:
            query: sees a view per table and the derived views (`lake.views`); times are in UTC.

        Raises:
            UsageError: DuckDB refuses the query.
            LakeError: there is no such lake, or it cannot be read.
        """
        from lake import duck  # noqa: PLC0415  (likewise)

        connection = self.duckdb()
        try:
            return duck.rows(connection, query)
        finally:
            connection.close()

    def _holds(self, base: Snapshot, frame: pl.DataFrame) -> bool:
        return base.read().equals(base.table.cast(frame))

    def _existing(self, table: Table, version: int | None = None) -> Snapshot:
        """A table of a lake that is there; to know that takes a look at the others only where this
        one is not.
        """
        snapshot = self.snapshot(table, version)
        if snapshot.version is None:
            self.check_exists()
        return snapshot

    def _check_any(self, snapshots: Iterable[Snapshot]) -> None:
        if all(snapshot.version is None for snapshot in snapshots):
            raise LakeError(
                f"There is no lake at {self.uri}: none of its tables is there. See that the "
                "address is right; a lake is made when something is written."
            )

    def _check_present(self) -> None:
        if self.version is not None:
            raise LakeError(
                f"The lake is open as it was at version {self.version}, to be read only; nothing "
                "was written. Open it without a version to write."
            )

    def _table_uri(self, table: Table) -> str:
        return f"{self.uri}/{table.name}"

    @staticmethod
    def _declared(name: str) -> Table:
        if name not in TABLES:
            raise LakeError(f"There is no table {name!r}; use one of {', '.join(TABLES)}.")
        return TABLES[name]


def _remove(table: Table, file: DataFile, *, is_change: bool) -> RemoveAction:
    return RemoveAction(
        file.path,
        data_change=is_change,
        deletion_timestamp=time.time_ns() // 1_000_000,
        size=file.bytes,
        partition_values=files.partition_values(table, file),
    )
