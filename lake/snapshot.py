"""One table at one version: its files, and how to read them."""

import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError, TableNotFoundError

from lake import files, pieces, schema
from lake.actions import KEPT_FROM, LOG
from lake.errors import GoneError, LakeError
from lake.files import DataFile
from lake.guard import explained, reading
from lake.log import commits_of
from lake.past import why_given_up
from lake.scan import scan_files
from lake.tables import RAW_CANDLES, Table


@dataclass(frozen=True)
class Snapshot:
    """One table at one version; later commits do not change it.

    Attributes:
        table: the declaration.
        uri: the table's folder.
        options: storage options of the object store.
        version: of the table, None where the table does not exist yet.
        files: those that make up this version, and no others; by partition, time and path.
        is_past: whether the version was asked for by number, so that newer ones may have been known
            then.
    """

    table: Table
    uri: str
    options: Mapping[str, str] = field(repr=False)
    version: int | None
    files: tuple[DataFile, ...]
    delta: DeltaTable | None = field(default=None, repr=False, compare=False)
    is_past: bool = field(default=False, compare=False)

    @cached_property
    def given_up(self) -> str:
        """Why the rows of this version cannot be read any more; empty where they can be. See
        `lake.retention`.

        Raises:
            LakeError: the table cannot be read.
        """
        if self.table is RAW_CANDLES or not self._is_replaced:
            return ""
        with explained(f"{self.table.name} cannot be read at {self.uri}"):
            paths = [file.path for file in self.files]
            commits = commits_of(self._newest)
            return why_given_up(self.table, self.version or 0, self._kept_from, paths, commits)

    @property
    def opened(self) -> DeltaTable:
        """The table as the library below has it.

        Raises:
            LakeError: the table does not exist.
        """
        if self.delta is None:
            raise LakeError(f"There is no table {self.table.name} at {self.uri}.")
        return self.delta

    @property
    def origin(self) -> str | None:
        """The exchange that the lake is marked with in this table; see `lake.origin`."""
        return self.delta.metadata().configuration.get(schema.ORIGIN) if self.delta else None

    @property
    def rows(self) -> int:
        """Rows in all files."""
        return sum(file.rows for file in self.files)

    def of(self, partition: str) -> tuple[DataFile, ...]:
        """The files of one partition."""
        return tuple(file for file in self.files if file.partition == partition)

    def by_partition(self) -> dict[str, tuple[DataFile, ...]]:
        """All files, by the value of the partition column."""
        parts: dict[str, list[DataFile]] = {}
        for file in self.files:
            parts.setdefault(file.partition or "", []).append(file)
        return {name: tuple(group) for name, group in parts.items()}

    def scan(self, partition: str | None = None) -> pl.LazyFrame:
        """Return the rows, of all partitions or of one, with the declared columns and types.

        Collecting it may end in an error of Polars; `read` and `rows_of` turn that into ours.

        Raises:
            LakeError: this version was given up, or the table cannot be read.
        """
        files = self.files if partition is None else self.of(partition)
        return scan_files(self.table, self.uri, self.located(files), self.options)

    def read(self, *where: pl.Expr, partition: str | None = None) -> pl.DataFrame:
        """Return rows that fit in memory, in the table's order.

        Args:
            where: what holds for each of them; all by default.
            partition: that they are of; all by default.

        Raises:
            LakeError: they cannot be read.
        """
        files = self.files if partition is None else self.of(partition)
        return self.table.cast(self.rows_of(files, *where))

    def rows_of(self, files: Collection[DataFile], *where: pl.Expr) -> pl.DataFrame:
        """Return rows of some of its files as they are there, with the declared columns and types.

        Args:
            files: of it.
            where: what holds for each of the rows; all by default.

        Raises:
            LakeError: they cannot be read.
        """
        placed = self.located(files)
        paths = [file.within or file.path for file in placed]
        with reading(self.table, self.uri, paths, self.options):
            scan = scan_files(self.table, self.uri, placed, self.options)
            return scan.filter(*where).collect()

    def located(self, files: Iterable[DataFile]) -> tuple[DataFile, ...]:
        """Return some of its files, each with the place where its rows are now.

        Raises:
            GoneError: this version was given up.
            LakeError: the table cannot be read.
        """
        if self.given_up:
            raise GoneError(self.given_up)
        held = self._held
        return tuple(replace(f, within=held[f.path]) if f.path in held else f for f in files)

    @cached_property
    def _held(self) -> Mapping[str, str]:
        """The file that holds a file's rows now, for those of this version that were given up."""
        if self.table is not RAW_CANDLES or not self._is_replaced:
            return {}
        with explained(f"{self.table.name} cannot be read at {self.uri}"):
            later = commits_of(self._newest, since=self.version or 0)
            return pieces.holders(c.lineage for c in later[::-1] if c.version <= self._kept_from)

    @cached_property
    def _is_replaced(self) -> bool:
        """Whether it is so old that files of it may have been given up."""
        if not self.is_past or self.version is None:
            return False
        with explained(f"{self.table.name} cannot be read at {self.uri}"):
            return self.version < self._kept_from

    @cached_property
    def _kept_from(self) -> int:
        return self._newest.transaction_version(KEPT_FROM) or 0

    @cached_property
    def _newest(self) -> DeltaTable:
        return self.newest()

    def newest(self) -> DeltaTable:
        """Return the table as it is now, as the library below has it.

        Raises:
            LakeError: it does not exist, or was made by a newer basislake.
            DeltaError, OSError: it cannot be read; see `explained`.
        """
        found = open_table(self.table, self.uri, self.options)
        if found is None:
            raise LakeError(f"There is no table {self.table.name} at {self.uri}.")
        return found

    def counter(self, name: str) -> int:
        """How many commits raised this counter, or the number it was set to (see `Lake.commit`); 0
        at the start.
        """
        return (self.delta.transaction_version(name) if self.delta else None) or 0


def load(
    table: Table, uri: str, options: Mapping[str, str], version: int | None = None
) -> Snapshot:
    """Return a table at a version (the newest by default); empty where the table does not exist.

    Raises:
        GoneError: the table has no such version.
        LakeError: the table cannot be read, or was made by a newer basislake.
    """
    with explained(f"{table.name} cannot be read at {uri}"):
        delta = open_table(table, uri, options, version)
        if delta is None:
            return Snapshot(table, uri, options, None, ())
        found = tuple(sorted(_files_of(table, delta), key=_place))
        return Snapshot(table, uri, options, delta.version(), found, delta, version is not None)


def open_table(
    table: Table, uri: str, options: Mapping[str, str], version: int | None = None
) -> DeltaTable | None:
    """Return a table as the library below has it; None where it does not exist.

    Args:
        table: the declaration.
        uri: the table's folder.
        options: storage options of the object store.
        version: of the table, the newest by default.

    Raises:
        GoneError: the table has no such version.
        LakeError: it was made by a newer basislake.
        DeltaError, OSError: it cannot be read; see `explained`.
    """
    if version is not None and version < 0:
        raise GoneError(f"{table.name} has no version {version}; they are counted from 0.")
    try:
        delta = DeltaTable(uri, version=version, storage_options=dict(options) or None)
    except DeltaError as exc:
        if version is None:
            if isinstance(exc, TableNotFoundError):
                _check_readable(uri)
                return None
            raise
        newest = open_table(table, uri, options)
        if newest is None or newest.version() < version:
            known = f"the newest is {newest.version()}" if newest else "it does not exist"
            raise GoneError(f"{table.name} has no version {version} at {uri}; {known}.") from exc
        raise
    schema.check(table.name, uri, delta.metadata().configuration)
    return delta


def _check_readable(uri: str) -> None:
    """Refuse a log on disk that this user may not look at: the library takes it for absent.

    Raises:
        OSError: it may be there.
    """
    if files.is_local(uri):
        with suppress(FileNotFoundError, NotADirectoryError):
            os.scandir(f"{uri}/{LOG}").close()


class Watch:
    """Tells the newest version of a table, each time after the first at a tenth of the cost of a
    snapshot.
    """

    def __init__(self, table: Table, uri: str, options: Mapping[str, str]) -> None:
        """Watch a table; nothing is read yet."""
        self._table = table
        self._uri = uri
        self._options = options
        self._delta: DeltaTable | None = None

    def version(self) -> int | None:
        """Return the newest version; None where the table does not exist.

        Raises:
            LakeError: the table cannot be read.
        """
        with explained(f"{self._table.name} cannot be read at {self._uri}"):
            if self._delta is not None:
                self._delta.update_incremental()
                return self._delta.version()
            self._delta = open_table(self._table, self._uri, self._options)
            return self._delta.version() if self._delta else None


def _files_of(table: Table, delta: DeltaTable) -> Iterator[DataFile]:
    actions = pl.DataFrame(delta.get_add_actions(flatten=True))
    stamp = files.time_column(table)
    for row in actions.iter_rows(named=True):
        first, last = (
            row.get(f"{side}.{stamp.name}") if stamp else None for side in ("min", "max")
        )
        partition = row[f"partition.{table.partition}"] if table.partition else None
        yield DataFile(
            row["path"], partition, row["num_records"], row["size_bytes"], _utc(first), _utc(last)
        )


def _place(file: DataFile) -> tuple[str, datetime, str]:
    return file.partition or "", file.first or datetime.min.replace(tzinfo=UTC), file.path


def _utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None
