"""One table at one version: its files, and how to read them."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import polars as pl
from deltalake import DeltaTable
from deltalake.exceptions import CommitFailedError, DeltaError, TableNotFoundError

from lake import files, schema
from lake.actions import KEPT_FROM
from lake.address import plain
from lake.errors import ConflictError, LakeError
from lake.files import DataFile
from lake.log import Commit, commits_of
from lake.tables import CURATED, RAW_CANDLES, Table


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
        if not self.is_past or self.table not in CURATED:
            return ""
        with explained(f"{self.table.name} cannot be read at {self.uri}"):
            newest = DeltaTable(self.uri, storage_options=dict(self.options) or None)
            kept_from = newest.transaction_version(KEPT_FROM) or 0
            is_kept = self.version is None or self.version >= kept_from
            return "" if is_kept else _given_up(self, commits_of(newest))

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
        chosen = self.files if partition is None else self.of(partition)
        return scan_files(self.table, [self.url(file) for file in chosen], self.options)

    def read(self) -> pl.DataFrame:
        """Return all rows of a table that fits in memory, in the table's order.

        Raises:
            LakeError: they cannot be read.
        """
        with explained(f"{self.table.name} cannot be read at {self.uri}"):
            return self.table.cast(self.scan().collect())

    def url(self, file: DataFile) -> str:
        """Where a file of this snapshot is.

        Raises:
            LakeError: this version was given up.
        """
        if self.given_up:
            raise LakeError(self.given_up)
        return f"{self.uri}/{file.path}"

    def counter(self, name: str) -> int:
        """How many commits raised this counter, or the number it was set to (see `Lake.commit`); 0
        at the start.
        """
        return (self.delta.transaction_version(name) if self.delta else None) or 0


def scan_files(table: Table, urls: list[str], options: Mapping[str, str]) -> pl.LazyFrame:
    """Return the rows of some Parquet files of a table, with the declared columns and types."""
    if not urls:
        return table.empty().lazy()
    lazy = pl.scan_parquet(
        urls,
        hive_partitioning=table.partition is not None,
        hive_schema=None if table.partition is None else _hive_schema(table.partition, urls[0]),
        glob=False,
        storage_options=dict(options) or None,
        # What delta-rs takes from the environment, Polars does too; no other library is asked.
        credential_provider=None,
    )
    return lazy.select(table.names)


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
    except (DeltaError, OSError, pl.exceptions.PolarsError) as exc:
        raise LakeError(f"{what}: {plain(str(exc))}") from exc


def _given_up(snapshot: Snapshot, commits: Iterable[Commit]) -> str:
    past = (c.lineage for c in commits if c.version <= (snapshot.version or 0))
    made_from: dict[str, int] = next((own["made_from"] for own in past if "made_from" in own), {})
    raw_version = made_from.get(RAW_CANDLES.name)
    again = "" if raw_version is None else f" --raw-version {raw_version}"
    return (
        f"{snapshot.table.name} at its version {snapshot.version} was given up to save space, as "
        "`follow` and `maintain` do with old builds. No candle is lost: `basislake build"
        f"{again}` makes its rows again, and `basislake build` then brings back the newest."
    )


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


def _hive_schema(partition: str, url: str) -> pl.Schema:
    """All columns that Polars reads out of the path: the partition, and any folder `a=b` above."""
    above = {part.partition("=")[0]: pl.String for part in url.split("/")[:-2] if "=" in part}
    return pl.Schema({**above, partition: pl.String})


def _place(file: DataFile) -> tuple[str, datetime, str]:
    return file.partition or "", file.first or datetime.min.replace(tzinfo=UTC), file.path


def _utc(time: datetime | None) -> datetime | None:
    return time.astimezone(UTC) if time else None
