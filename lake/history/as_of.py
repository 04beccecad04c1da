"""The lake as of a batch: its content when that batch was the newest.

The raw tables are filtered by batch; `instruments` and `coverage` are computed from the filtered
rows. The curated tables are those of a build as of the same batch, if its files are still stored;
else a build must write them again.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any

import polars as pl

from lake.batches import batch_at, check_batch, instruments_of, newest_batch
from lake.carry_tables import RAW_CARRY
from lake.coverage import coverages, listings, to_table
from lake.errors import GoneError
from lake.lake import Lake
from lake.snapshot import Snapshot
from lake.state import State, curated
from lake.table import BATCH, Table
from lake.tables import ASKS, BUILDS, COVERAGE, CURATED, INSTRUMENTS, RAW_CANDLES, RECORDS


class PastLake(State):
    """A read-only lake as of a batch.

    Attributes:
        as_of: the batch.
    """

    as_of: int

    def __init__(self, present: Lake, as_of: int, curated_in: Lake | None = None) -> None:
        """Open a lake as of a batch.

        Args:
            present: the lake.
            as_of: the batch.
            curated_in: the lake with the curated tables as of the batch; by default a build of
                `present`.

        Raises:
            UsageError: no batch has this number.
            LakeError: the lake cannot be read.
        """
        super().__init__(present)
        check_batch(present, as_of)
        self.as_of = as_of
        self._curated_in = curated_in

    @property
    def is_built(self) -> bool:
        """Whether the curated tables as of the batch are stored.

        Raises:
            LakeError: the lake cannot be read.
        """
        return not any(self.snapshot(table).gone for table in CURATED)

    def build(self) -> dict[str, Any] | None:
        """Return the row of `builds` of the curated tables, None if there is none."""
        elsewhere = self._curated_in
        return elsewhere.build() if isinstance(elsewhere, State) else super().build()

    def built_as_of(self) -> int:
        """Return the newest batch that the curated tables are built from."""
        elsewhere = self._curated_in
        return elsewhere.built_as_of() if isinstance(elsewhere, State) else self.as_of

    def _open(self, table: Table) -> Snapshot:
        if table in CURATED:
            return self._curated(table)
        newest = Lake.snapshot(self, table)
        if BATCH in table.names:
            return replace(newest, until=self.as_of)
        held = self._instruments() if table is INSTRUMENTS else self._coverage()
        return replace(newest, files=(), held=held)

    def _curated(self, table: Table) -> Snapshot:
        if self._curated_in is not None:
            return self._curated_in.snapshot(table)
        newest = Lake.snapshot(self, table)
        builds = Lake.snapshot(self, BUILDS).read(pl.col(BATCH) == self.as_of)
        if builds.height:
            try:
                return curated(self, newest, builds.row(-1, named=True))
            except GoneError:
                pass
        message = (
            f"{table.name} as of batch {self.as_of} is not stored. No candle is lost. "
            f"`basislake build --as-of {self.as_of}` builds it again; `basislake build` "
            "afterwards restores the newest."
        )
        return Snapshot(table, newest.uri, newest.options, None, (), gone=message)

    def _instruments(self) -> pl.DataFrame:
        return instruments_of(self.snapshot(RECORDS).read())

    def _coverage(self) -> pl.DataFrame:
        listed = listings(self.snapshot(INSTRUMENTS).read())
        return COVERAGE.cast(to_table(coverages(self.snapshot(ASKS).read()), listed))


def past(present: Lake, as_of: int | datetime) -> PastLake:
    """Return a lake as of a batch, or as of the newest one that was committed by a time (UTC).

    Raises:
        UsageError: no batch has this number, or there was no batch yet.
        LakeError: the lake cannot be read.
    """
    return PastLake(present, batch_at(present, as_of) if isinstance(as_of, datetime) else as_of)


def complete(present: Lake) -> State:
    """Return the lake at one moment without rows of a batch that is still being stored, so that it
    can be read again as of its newest batch.

    Raises:
        LakeError: the lake cannot be read.
    """
    still = present.state()
    found = still.snapshots([table.name for table in (ASKS, RECORDS, RAW_CANDLES, *RAW_CARRY)])
    newest = newest_batch(still)
    is_complete = all(snapshot.counter(BATCH) <= newest for snapshot in found.values())
    is_past = still.as_of is not None
    return still if is_complete or is_past or not newest else PastLake(present, newest, still)
