"""The lake: Delta Lake tables at a folder or object-store URI, with reads and atomic commits."""

import time
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
from deltalake.transaction import AddAction, RemoveAction

from lake.commit import transact
from lake.errors import DamagedError, LakeError
from lake.files import parquet
from lake.files.parquet import DataFile
from lake.library_errors import explained
from lake.location import conditional_put
from lake.location.lake_address import address_of
from lake.machine import shared_folder
from lake.query.views import plain_view
from lake.snapshot import Snapshot, load, of_delta, versions
from lake.table import Table
from lake.tables import TABLES

if TYPE_CHECKING:
    import duckdb

    from lake.state import State


class Lake:
    """Tables at a folder or an object-store URI.

    Attributes:
        uri: absolute path or URI, without a slash at the end.
        options: storage options (credentials, endpoint) as delta-rs and Polars take them.
        as_of: the batch of a read-only lake as of a batch; None for the present.
    """

    def __init__(self, uri: str, options: Mapping[str, str] | None = None) -> None:
        """Create a lake object; nothing is read or written. See `lake.location.lake_address`.

        Raises:
            UsageError: no lake can be at this address.
        """
        self.as_of: int | None = None
        address = address_of(uri, options)
        self.uri = address.uri
        self.options = dict(address.options)
        self.is_local = address.is_local

    def __repr__(self) -> str:
        """Show the address, but not the options: they may hold secrets."""
        return f"Lake({self.uri!r})"

    @property
    def machine_folder(self) -> Path:
        """Folder where processes of one machine share state about this lake, such as the rate
        limit; see `lake.machine.shared_folder`. It may not exist yet.

        Raises:
            UsageError: the setting is not an absolute path, or the user has no cache folder.
        """
        return shared_folder.folder(self.uri)

    def check_exists(self) -> None:
        """Refuse to read a lake that nobody created: a mistyped address is not an empty market.

        Raises:
            LakeError: none of the tables exists, or they cannot be read.
        """
        if all(snapshot.version is None for snapshot in self.snapshots().values()):
            raise LakeError(f"There is no lake at {self.uri}: it has no tables. Check the address.")

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        """Return a table at a version (the newest by default). For writers, a missing table or lake
        is an empty table.

        Raises:
            LakeError: the table cannot be read, or has no such version.
        """
        return load(table, self._table_uri(table), self.options, version)

    def versions(self, table: Table) -> Iterator[int | None]:
        """Yield the newest version of a table each time; see `lake.snapshot.versions`."""
        return versions(table, self._table_uri(table), self.options)

    def snapshots(self, names: Collection[str] = TABLES.keys()) -> dict[str, Snapshot]:
        """Return the newest versions of tables, by name; in an object store they are read in
        parallel.

        Raises:
            LakeError: a table cannot be read.
        """
        with ThreadPoolExecutor(1 if self.is_local else len(TABLES)) as pool:
            tables = [TABLES[name] for name in names]
            return dict(zip(names, pool.map(self.snapshot, tables), strict=True))

    def state(self) -> "State":
        """Return the read-only lake at one moment; see `lake.state`."""
        from lake.state import State  # noqa: PLC0415  (it is a lake itself)

        return self if isinstance(self, State) else State(self)

    def scan(self, name: str) -> pl.LazyFrame:
        """Return the rows of a table or of a view as a lazy frame; empty if the lake has none.

        Args:
            name: of the table, see `lake.tables`, or of a view without parameters, see
                `lake.query.views`.

        Raises:
            LakeError: there is no such lake, table or view, or it cannot be read.
        """
        if name in TABLES:
            return self._existing(TABLES[name]).scan()
        view = plain_view(name)
        self.check_exists()
        from lake.query.view_rows import scan_view  # noqa: PLC0415  (it asks a state)

        return scan_view(self.state(), view)

    def read(self, table: Table) -> pl.DataFrame:
        """Return all rows of a table that fits in memory, in the table's order; see `scan`."""
        return self._existing(table).read()

    def write(self, table: Table, frame: pl.DataFrame, partition: str | None = None) -> DataFile:
        """Write rows as a file, which readers see only after a commit; see
        `lake.files.parquet.write`.
        """
        self._check_present()
        with explained(f"rows of {table.name} cannot be written to {self._table_uri(table)}"):
            if self.is_local:
                # In a store this takes several requests; there the commit checks it.
                conditional_put.check(self._table_uri(table), self.options)
            return parquet.write(table, frame, self._table_uri(table), self.options, partition)

    def commit(
        self,
        base: Snapshot,
        added: Collection[DataFile],
        lineage: Mapping[str, Any],
        *,
        removing: Collection[DataFile] = (),
        counters: Mapping[str, int] | None = None,
        is_change: bool = True,
        is_whole: bool = False,
    ) -> Snapshot:
        """Make files visible in one atomic commit, and return the table after it, which may include
        later commits of other writers.

        Args:
            base: the version that the change was computed from.
            added: files already written.
            lineage: stored in the commit for readers of its log; no code relies on it.
            removing: files to remove.
            counters: transaction ids to set by name (see `Snapshot.counter`), none by default. Of
                two writers that set the same id from the same base, only one succeeds.
            is_change: whether the rows of the table change, not only their files.
            is_whole: whether `added` is the whole table.

        Raises:
            ConflictError: since `base`, another writer set one of the transaction ids or removed
                one of the files, or, if `is_whole`, changed the files of the table; nothing was
                stored.
            LakeError: the store cannot be written; nothing was stored, or the message says that
                this is unknown.
        """
        self._check_present()
        table = base.table
        come = [parquet.add_action_fields(table, f) | {"data_change": is_change} for f in added]
        delta = transact(
            base,
            [_remove(table, file, is_change=is_change) for file in removing],
            [AddAction(**fields) for fields in come],
            lineage,
            counters or {},
            is_whole=is_whole,
        )
        return of_delta(table, base.uri, self.options, delta)

    def replace(
        self,
        base: Snapshot,
        frame: pl.DataFrame,
        lineage: Mapping[str, Any],
        counters: Mapping[str, int] | None = None,
    ) -> Snapshot:
        """Replace the content of a table without partitions by a frame, and set transaction ids
        (see `commit`); if nothing would change, nothing is committed.

        Raises:
            ConflictError: another writer committed since `base`; nothing was stored.
        """
        is_counted = all(base.counter(name) == n for name, n in (counters or {}).items())
        if base.version is not None and is_counted and self._holds(base, frame):
            return base
        added = [self.write(base.table, frame)] if frame.height else []
        return self.commit(
            base, added, lineage, removing=base.files, counters=counters, is_whole=True
        )

    def duckdb(self, names: Collection[str] | None = None) -> "duckdb.DuckDBPyConnection":
        """Return a DuckDB connection with a view per table, newest version; see `lake.query.duck`.

        Args:
            names: of the tables and views to open, with the tables and views that these read; all
                by default, which takes longer.

        Raises:
            LakeError: there is no such lake, or it cannot be read.
        """
        from lake.query import duck  # noqa: PLC0415  (much that a lake is asked needs no DuckDB)

        opening = self.state().existing
        return duck.connect(opening) if names is None else duck.connect(opening, names)

    def sql(self, query: str) -> pl.DataFrame:
        """Return the rows of a DuckDB query over the newest versions of the tables.

        Args:
            query: may use a view per table and the derived views (`lake.query.views`); times are in
            UTC.

        Raises:
            UsageError: DuckDB refuses the query.
            LakeError: there is no such lake, or it cannot be read.
        """
        from lake.query import duck  # noqa: PLC0415  (likewise)

        return duck.answer(self.state().existing, query)

    def existing(self, names: Collection[str]) -> dict[str, Snapshot]:
        """Return the newest versions of tables of an existing lake, by name.

        Raises:
            LakeError: there is no such lake, or a table cannot be read.
        """
        found = self.snapshots(names)
        # Other tables are read only if none of these exists.
        if all(snapshot.version is None for snapshot in found.values()):
            self.check_exists()
        return found

    def _holds(self, base: Snapshot, frame: pl.DataFrame) -> bool:
        try:
            return base.read().equals(base.table.cast(frame))
        except DamagedError:
            return False

    def _existing(self, table: Table) -> Snapshot:
        return self.state().existing([table.name])[table.name]

    def _check_present(self) -> None:
        if self.as_of is not None:
            raise LakeError(
                f"The lake is open as of batch {self.as_of}, which is read-only. Nothing was "
                "written. Open it without `as_of` to write."
            )

    def _table_uri(self, table: Table) -> str:
        return f"{self.uri}/{table.name}"


def _remove(table: Table, file: DataFile, *, is_change: bool) -> RemoveAction:
    return RemoveAction(
        file.path,
        data_change=is_change,
        deletion_timestamp=time.time_ns() // 1_000_000,
        size=file.bytes,
        partition_values=parquet.partition_values(table, file),
    )
