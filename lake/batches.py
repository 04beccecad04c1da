"""Batches: every ingest commit has a number, and every raw row the number of the one that brought
it.

A number is claimed by the commit to `raw_candles` that makes its rows visible, of which only one of
two that claim the same succeeds; so numbers ascend in the order in which rows become visible. Rows
of other raw tables, what was asked and instrument records follow under the same number, or under a
later one where another writer's came first, so theirs ascend as well.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from lake.carry_tables import RAW_CARRY
from lake.errors import UsageError
from lake.files import DataFile
from lake.snapshot import Snapshot
from lake.store import Lake
from lake.table import BATCH, Table
from lake.tables import ASKS, INSTRUMENTS, RAW_CANDLES, RECORDS


def newest_batch(lake: Lake) -> int:
    """Return the number of the newest batch; 0 before the first.

    Raises:
        LakeError: the lake cannot be read.
    """
    return lake.snapshot(RAW_CANDLES).counter(BATCH)


def batch_at(lake: Lake, time: datetime) -> int:
    """Return the newest batch that was committed by a time.

    Args:
        lake: that holds it.
        time: by the clocks of the machines that committed, UTC.

    Raises:
        UsageError: there was none yet.
        LakeError: there is no such lake, or it cannot be read.
    """
    found = [
        lake.snapshot(table).read(pl.col("at") <= time)[BATCH].max() for table in (ASKS, RECORDS)
    ]
    known = [batch for batch in found if isinstance(batch, int)]
    if not known:
        lake.check_exists()
        raise UsageError(f"Nothing had been fetched by {time:%Y-%m-%d %H:%M:%S}Z.")
    return max(known)


def check_batch(lake: Lake, batch: int) -> None:
    """Refuse a number that no batch has.

    Raises:
        UsageError: so it is.
        LakeError: there is no such lake, or it cannot be read.
    """
    newest = newest_batch(lake)
    if not 0 < batch <= newest:
        lake.check_exists()
        there = f"there are 1 to {newest}" if newest else "nothing was fetched yet"
        raise UsageError(f"There is no batch {batch}; {there}.")


def claim(lake: Lake, base: Snapshot, rows: Collection[DataFile], info: Mapping[str, Any]) -> int:
    """Make rows of raw candles visible under the next number, and return it.

    Args:
        lake: to commit to.
        base: `raw_candles`, of which the rows were worked out; they have the number after its own.
        rows: files of them; none where only what was asked is to be kept, or records.
        info: kept in the commit for readers of its log.

    Raises:
        ConflictError: another writer has claimed the number; nothing was stored.
        LakeError: the lake cannot be written.
    """
    number = base.counter(BATCH) + 1
    lake.commit(base, rows, info, counters={BATCH: number})
    return number


def append(
    lake: Lake,
    table: Table,
    rows: pl.DataFrame,
    number: int,
    info: Mapping[str, Any],
    base: Snapshot | None = None,
) -> tuple[int, Snapshot]:
    """Add rows to a raw table in one piece under a number that was claimed. Return the number that
    they have, and the table as it is then, or as another writer has left it since.

    Args:
        lake: to commit to.
        table: `asks`, `records`, or a raw one of carry.
        rows: of it, at least one, without their batch.
        number: of their batch; where a later one is in the table already, or was claimed
            meanwhile, another is claimed for them.
        info: kept in the commits for readers of their log.
        base: the table, where the rows depend on what it holds; the newest by default.

    Raises:
        ConflictError: another writer was faster; none of the rows was stored.
        LakeError: the lake cannot be written.
    """
    base = base or lake.snapshot(table)
    # What is known as of a later number must not change: carry rows have no number behind it.
    is_passed = table in RAW_CARRY and number < newest_batch(lake)
    if is_passed or number <= base.counter(BATCH):
        number = claim(lake, lake.snapshot(RAW_CANDLES), (), info)
    file = lake.write(table, rows.with_columns(pl.lit(number, pl.Int64).alias(BATCH)))
    return number, lake.commit(base, [file], info, counters={BATCH: number})


def instruments_of(records: pl.DataFrame) -> pl.DataFrame:
    """Return the table `instruments` from rows of `records`: the newest of each name; pure."""
    newest = records.sort(BATCH).unique("instrument", keep="last", maintain_order=True)
    return INSTRUMENTS.cast(newest)
