"""One table at one version: its files, and how to read them."""

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lake.errors import GoneError
from lake.files import parquet
from lake.files.parquet import DataFile
from lake.files.polars_scan import scan_files
from lake.library_errors import explained, reading
from lake.location.urls import is_local
from lake.properties import table_properties
from lake.table import BATCH, Table

LOG = "_delta_log"
_EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Snapshot:
    """One table at one version; later commits do not change it.

    Attributes:
        table: the declaration.
        uri: the table's folder.
        options: storage options of the object store.
        version: of the table, None where the table does not exist yet.
        files: exactly the files of this version, by partition, time and path.
        until: only rows up to this batch count; None means all rows.
        held: the rows, if they were computed from other tables as of a batch; see
        `lake.history.as_of`.
        gone: why the rows can no longer be read, as a sentence; else empty.
    """

    table: Table
    uri: str
    options: Mapping[str, str] = field(repr=False)
    version: int | None
    files: tuple[DataFile, ...]
    delta: DeltaTable | None = field(default=None, repr=False, compare=False)
    until: int | None = None
    held: pl.DataFrame | None = field(default=None, repr=False, compare=False)
    gone: str = ""

    @property
    def origin(self) -> str | None:
        """The exchange in this table's properties; see `lake.properties.origin`."""
        return self.properties.get(table_properties.ORIGIN)

    @property
    def properties(self) -> dict[str, str]:
        """The properties of the table that concern the whole lake, by name."""
        found = self.delta.metadata().configuration if self.delta else {}
        return {name: found[name] for name in table_properties.OF_THE_LAKE if name in found}

    @property
    def rows(self) -> int:
        """Number of rows.

        Raises:
            LakeError: some rows must be read to be counted, and cannot be.
        """
        if self.held is not None:
            return self.held.height
        whole = sum(file.rows for file in self.files if file.is_until(self.until))
        some = (file for file in self.files if not file.is_until(self.until))
        partial = [file for file in some if file.may_be_until(self.until)]
        return whole + (self.rows_of(partial).height if partial else 0)

    def of(self, partition: str) -> tuple[DataFile, ...]:
        """The files of one partition."""
        return tuple(file for file in self.files if file.partition == partition)

    def by_partition(self) -> dict[str, tuple[DataFile, ...]]:
        """All files that may have rows of it, by the value of the partition column."""
        parts: dict[str, list[DataFile]] = {}
        for file in self.files:
            if file.may_be_until(self.until):
                parts.setdefault(file.partition or "", []).append(file)
        return {name: tuple(group) for name, group in parts.items()}

    def scan(self) -> pl.LazyFrame:
        """Return the rows, with the declared columns and types.

        `collect()` may raise an error of Polars; `read` and `rows_of` turn it into ours.

        Raises:
            GoneError: the rows can no longer be read.
        """
        if self.gone:
            raise GoneError(self.gone)
        if self.held is not None:
            return self.held.lazy()
        return scan_files(self.table, self.uri, self.files, self.options, self.until)

    def read(self, *where: pl.Expr) -> pl.DataFrame:
        """Return rows that fit in memory, in the table's order.

        Args:
            where: conditions on the rows; default: all rows.

        Raises:
            LakeError: they cannot be read.
        """
        if self.held is not None:
            return self.table.cast(self.held.filter(*where))
        return self.table.cast(self.rows_of(self.files, *where))

    def rows_of(self, chosen: Collection[DataFile], *where: pl.Expr) -> pl.DataFrame:
        """Return rows of some of its files, with the declared columns and types.

        Args:
            chosen: files of it.
            where: conditions on the rows; default: all rows.

        Raises:
            LakeError: they cannot be read.
        """
        if self.gone:
            raise GoneError(self.gone)
        with reading(self.table, self.uri, [file.path for file in chosen], self.options):
            scan = scan_files(self.table, self.uri, chosen, self.options, self.until)
            return scan.filter(*where).collect()

    def since(self, batch: int, *where: pl.Expr) -> pl.DataFrame:
        """Return the rows of later batches; files without such rows are not read.

        Raises:
            LakeError: they cannot be read.
        """
        chosen = [file for file in self.files if file.may_be_since(batch)]
        return self.rows_of(chosen, pl.col(BATCH) > batch, *where)

    def counter(self, name: str) -> int:
        """The transaction id that the table's commits last set under a name; 0 if none did.

        Raises:
            LakeError: a commit from this snapshot changed the table, and it cannot be opened again.
        """
        delta = self.delta
        if delta is not None and delta.version() != self.version:
            with explained(f"{self.table.name} cannot be read at {self.uri}"):
                delta = open_table(self.table, self.uri, self.options, self.version)
        return (delta.transaction_version(name) if delta else None) or 0


def load(
    table: Table, uri: str, options: Mapping[str, str], version: int | None = None
) -> Snapshot:
    """Return a table at a version (the newest by default); empty if the table does not exist.

    Raises:
        GoneError: the version was deleted, or does not exist yet.
        LakeError: the table cannot be read, or has another schema version.
    """
    with explained(f"{table.name} cannot be read at {uri}"):
        delta = open_table(table, uri, options, version)
        if delta is None:
            return Snapshot(table, uri, options, None, ())
        return of_delta(table, uri, options, delta)


def of_delta(table: Table, uri: str, options: Mapping[str, str], delta: DeltaTable) -> Snapshot:
    """Return a table from the library's open table."""
    return Snapshot(table, uri, options, delta.version(), _files_of(table, delta), delta)


def open_table(
    table: Table, uri: str, options: Mapping[str, str], version: int | None = None
) -> DeltaTable | None:
    """Open a table with the library; None if it does not exist.

    Args:
        table: the declaration.
        uri: the table's folder.
        options: storage options of the object store.
        version: of the table, the newest by default.

    Raises:
        GoneError: the log has no such version.
        LakeError: it has another schema version.
        DeltaError, OSError: it cannot be read; see `explained`.
    """
    try:
        delta = DeltaTable(uri, version=version, storage_options=dict(options) or None)
    except (DeltaError, OverflowError) as exc:
        if version is not None:
            raise GoneError(
                f"{table.name} at {uri} has no version {version}: this version was deleted, or "
                "does not exist yet."
            ) from exc
        if isinstance(exc, TableNotFoundError):
            _check_readable(uri)
            return None
        raise
    table_properties.check(table.name, uri, delta.metadata().configuration)
    return delta


def _check_readable(uri: str) -> None:
    """Refuse a log on disk that this user may not list: the library would take it for missing.

    Raises:
        OSError: the log may exist.
    """
    if is_local(uri):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.scandir(f"{uri}/{LOG}").close()


def versions(table: Table, uri: str, options: Mapping[str, str]) -> Iterator[int | None]:
    """Yield the newest version of a table each time, None where it does not exist. Every time after
    the first costs a tenth of a snapshot.

    Raises:
        LakeError: the table cannot be read; nothing is yielded after it.
    """
    delta: DeltaTable | None = None
    while True:
        with explained(f"{table.name} cannot be read at {uri}"):
            if delta is None:
                delta = open_table(table, uri, options)
            else:
                delta.update_incremental()
        yield delta.version() if delta else None


def _files_of(table: Table, delta: DeltaTable) -> tuple[DataFile, ...]:
    """The files of a table, by partition, time and path."""
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))

    # Column by column: for most tables one expression over all columns is slower than their files.
    def column(name: str, kind: Any) -> list[Any]:  # noqa: ANN401  (a Polars type)
        is_there = name in actions.columns
        return actions[name].cast(kind).to_list() if is_there else [None] * actions.height

    stamp = parquet.time_column(table)
    name, time = stamp.name if stamp else "", pl.Datetime("us", "UTC")
    columns = (
        column("path", pl.String),
        column(f"partition.{table.partition}", pl.String),
        column("num_records", pl.Int64),
        column("size_bytes", pl.Int64),
        column(f"min.{name}", time),
        column(f"max.{name}", time),
        column(f"min.{BATCH}", pl.Int64),
        column(f"max.{BATCH}", pl.Int64),
    )
    found = [
        DataFile(path, part, rows, size, first, last, None if least is None else (least, most))
        for path, part, rows, size, first, last, least, most in zip(*columns, strict=True)
    ]
    found.sort(key=lambda file: (file.partition or "", file.first or _EARLIEST, file.path))
    return tuple(found)
