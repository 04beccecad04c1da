"""The lake at one moment: each table is opened once, and the curated tables are of one build."""

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from lake.carry_tables import RAW_CARRY
from lake.errors import GoneError
from lake.files import parquet
from lake.lake import Lake
from lake.library_errors import explained
from lake.snapshot import Snapshot
from lake.table import Table
from lake.tables import (
    ASKS,
    BUILDS,
    COVERAGE,
    CURATED,
    INSTRUMENTS,
    RAW_CANDLES,
    RECORDS,
    TABLES,
)

# Transaction id of a curated table: the number of the build that committed to it last.
BUILD = "build"
# Transaction id of a copied table (`lake.backup.copy`): the last build of the source lake.
COPIED = "copied"

_CURATED_NAMES = frozenset(table.name for table in CURATED)
# Names of tables in the order of opening. Ingest commits its tables in the opposite order, so no
# table refers to a row that a later one lacks; the curated tables are those of one build.
_INGESTED = ((COVERAGE, INSTRUMENTS), (ASKS, RECORDS), (RAW_CANDLES, *RAW_CARRY))
_ORDER = (
    tuple(name for name, table in TABLES.items() if not any(table in same for same in _INGESTED)),
    *(tuple(table.name for table in same) for same in _INGESTED),
)


class State(Lake):
    """A read-only lake whose tables do not change.

    A table is opened on first use. A build commits one table after the other and its row of
    `builds` last; so the curated tables are those of the newest row, whatever a running or killed
    build has committed since.
    """

    def __init__(self, present: Lake) -> None:
        """Prepare the lake; nothing is read."""
        super().__init__(present.uri, present.options)
        self._opened: dict[str, Snapshot] = {}
        self._build: dict[str, Any] | None = None

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        """Return a table at its fixed version; see `Lake.snapshot`."""
        if version is not None:
            return super().snapshot(table, version)
        if table.name not in self._opened:
            self._opened[table.name] = self._open(table)
        return self._opened[table.name]

    def snapshots(self, names: Collection[str] = TABLES.keys()) -> dict[str, Snapshot]:
        """Return tables at their fixed versions, by name; see `Lake.snapshots`."""
        if not _CURATED_NAMES.isdisjoint(names):
            # Once, before the tables that depend on it are opened in parallel.
            self.build()
        found: dict[str, Snapshot] = {}
        for same in _ORDER:
            found |= super().snapshots([name for name in same if name in names])
        return {name: found[name] for name in names}

    def build(self) -> dict[str, Any] | None:
        """Return the row of `builds` of the curated tables, None if there is none."""
        if self._build is None:
            self._build = newest_build(self.snapshot(BUILDS))
        return self._build

    def built_as_of(self) -> int:
        """Return the newest batch that the curated tables are built from, 0 before a build."""
        build = self.build()
        return build["batch"] if build else 0

    def _open(self, table: Table) -> Snapshot:
        if table not in CURATED:
            return super().snapshot(table)
        build = self.build()
        return curated(self, super().snapshot(table), build)


class Unbuilt(State):
    """The lake with its curated tables empty, as before the first build."""

    def build(self) -> None:
        """Return no build."""
        return


def newest_build(builds: Snapshot) -> dict[str, Any] | None:
    """Return the newest row of `builds`, None if there is none.

    Raises:
        LakeError: it cannot be read.
    """
    # A lake that is followed has half a million builds a year; Polars decodes only this row.
    rows = builds.read(pl.col("build") >= builds.counter(BUILD))
    if rows.is_empty():
        # As of a batch, or after Delta's RESTORE, the table's counter is that of a later build.
        rows = builds.read()
    return rows.row(-1, named=True) if rows.height else None


def curated(lake: Lake, newest: Snapshot, build: Mapping[str, Any] | None) -> Snapshot:
    """Return a curated table as of a build.

    Args:
        lake: to read.
        newest: the table as it is now.
        build: a row of `builds`; None for the empty table before the first build.

    Raises:
        GoneError: maintenance deleted the rows.
        LakeError: it cannot be read.
    """
    table = newest.table
    if build is None:
        return Snapshot(table, newest.uri, newest.options, None, ())
    if newest.counter(BUILD) <= build["build"]:
        # A build commits only to tables that it changes.
        return newest
    message = (
        f"The rows of {table.name} of build {build['build']} were deleted: a later build has begun "
        "to replace them. No candle is lost. `basislake build` builds the newest."
    )
    if newest.counter(COPIED) >= build["build"]:
        # The recorded versions are those of another lake's table.
        raise GoneError(message)
    try:
        found = Lake.snapshot(lake, table, build[f"{table.name}_version"])
    except GoneError as exc:
        raise GoneError(message) from exc
    if not _is_there(found, newest):
        raise GoneError(message)
    return found


def _is_there(found: Snapshot, newest: Snapshot) -> bool:
    """Whether all files of an older version are stored: its log may outlive them."""
    replaced = {file.path for file in found.files} - {file.path for file in newest.files}
    if not replaced:
        return True
    with explained(f"the files of {found.table.name} cannot be listed at {found.uri}"):
        store = parquet.filesystem(found.uri, found.options)
        return replaced <= {info.path for info in parquet.below(store)}
