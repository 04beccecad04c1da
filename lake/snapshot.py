"""One table at one version: its files, and how to read them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property

import polars as pl
import pyarrow as pa
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from lake import files, pieces, schema
from lake.actions import KEPT_FROM
from lake.address import plain
from lake.errors import ConflictError, LakeError
from lake.files import DataFile
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
    def schema_version(self) -> int:
        """See `lake.schema`; the present one where the table does not exist yet."""
        if self.delta is None:
            return schema.VERSION
        return schema.version_of(self.delta.metadata().configuration)

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

        Raises:
            LakeError: this version was given up.
        """
        return self.scan_of(self.files if partition is None else self.of(partition))

    def scan_of(self, files: Iterable[DataFile]) -> pl.LazyFrame:
        """Return the rows of some of its files, with the declared columns and types.

        Raises:
            LakeError: this version was given up.
        """
        return scan_files(self.table, self.uri, self.located(files), self.options)

    def read(self) -> pl.DataFrame:
        """Return all rows of a table that fits in memory, in the table's order.

        Raises:
            LakeError: they cannot be read.
        """
        with explained(f"{self.table.name} cannot be read at {self.uri}"):
            return self.table.cast(self.scan().collect())

    def located(self, files: Iterable[DataFile]) -> tuple[DataFile, ...]:
        """Return some of its files, each with the place where its rows are now.

        Raises:
            LakeError: this version was given up, or the table cannot be read.
        """
        if self.given_up:
            raise LakeError(self.given_up)
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
        return DeltaTable(self.uri, storage_options=dict(self.options) or None)

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
        LakeError: the table cannot be read, has no such version, or was made by a newer basislake.
    """
    if version is not None and version < 0:
        raise LakeError(f"{table.name} has no version {version}; they are counted from 0.")
    with explained(f"{table.name} cannot be read at {uri}"):
        try:
            delta = DeltaTable(uri, version=version, storage_options=dict(options) or None)
        except TableNotFoundError:
            if version is not None:
                raise
            return Snapshot(table, uri, options, None, ())
        schema.check(table.name, uri, delta.metadata().configuration)
        found = tuple(sorted(_files_of(table, delta), key=_place))
        return Snapshot(table, uri, options, delta.version(), found, delta, version is not None)


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
            try:
                self._delta = DeltaTable(self._uri, storage_options=dict(self._options) or None)
            except TableNotFoundError:
                return None
            return self._delta.version()


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the errors of the libraries below into ours; `what` begins the sentence."""
    try:
        yield
    except CommitFailedError as exc:
        raise ConflictError(f"{what}: another writer was faster. Run the command again.") from exc
    except (DeltaError, OSError, pa.ArrowException, pl.exceptions.PolarsError) as exc:
        raise LakeError(f"{what}: {plain(str(exc))}") from exc


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
