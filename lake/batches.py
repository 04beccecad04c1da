"""Batches: the numbers of ingest commits. Every raw row has the number of its commit in the column
`batch`.

The commit to `raw_candles` that makes rows visible takes the next number. If two writers try to
take the same number, only one succeeds, so numbers ascend in the order in which rows become
visible. Rows of other raw tables, `asks` and `records` follow under the same number, or under a
later one if another writer committed in between; their numbers ascend as well.

A batch is complete with its row of `asks` or `records`; what is known as of it does not change
afterwards. If the batch before it is not complete, its writer must take a later number for what it
has yet to store: each raw table of carry is first marked with the number of the complete batch.
"""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import polars as pl

from lake.carry_tables import RAW_CARRY
from lake.errors import UsageError
from lake.files.parquet import DataFile
from lake.lake import Lake
from lake.snapshot import Snapshot
from lake.table import BATCH, Table
from lake.tables import ASKS, INSTRUMENTS, RAW_CANDLES, RECORDS


def newest_batch(lake: Lake) -> int:
    """Return the number of the newest complete batch; 0 before the first.

    Raises:
        LakeError: the lake cannot be read.
    """
    return max(lake.snapshot(table).counter(BATCH) for table in (ASKS, RECORDS))


def batch_at(lake: Lake, time: datetime) -> int:
    """Return the newest batch that was committed by a time.

    Args:
        lake: to read.
        time: by the clocks of the committing machines, in any time zone.

    Raises:
        UsageError: there was no batch yet, or the time has no time zone.
        LakeError: there is no such lake, or it cannot be read.
    """
    if time.tzinfo is None:
        raise UsageError(
            f"The time {time} has no time zone. Nothing was read. Name one, for example by "
            "tzinfo=UTC."
        )
    found = [
        lake.snapshot(table).read(pl.col("at") <= time)[BATCH].max() for table in (ASKS, RECORDS)
    ]
    known = [batch for batch in found if isinstance(batch, int)]
    if not known:
        lake.check_exists()
        raise UsageError(f"Nothing had been fetched by {time:%Y-%m-%d %H:%M:%S}Z.")
    return max(known)


def check_batch(lake: Lake, batch: int) -> None:
    """Refuse a number that no complete batch has.

    Raises:
        UsageError: no batch has this number, or its rows are still being stored.
        LakeError: there is no such lake, or it cannot be read.
    """
    newest = newest_batch(lake)
    if not 0 < batch <= newest:
        lake.check_exists()
        there = f"there are 1 to {newest}" if newest else "nothing has been fetched yet"
        raise UsageError(f"There is no batch {batch}; {there}.")


def commit_batch(
    lake: Lake, base: Snapshot, rows: Collection[DataFile], info: Mapping[str, Any]
) -> int:
    """Make rows of raw candles visible under the next number, and return it.

    Args:
        lake: to commit to.
        base: `raw_candles` as read before computing the rows; their number follows its own.
        rows: files of the rows; empty to commit only `asks` or `records` under the number.
        info: stored in the commit for readers of its log.

    Raises:
        ConflictError: another writer took the number first; nothing was stored.
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
    """Add rows to a raw table in one commit under a number from `commit_batch`. Return the number
    that was used, and the table after the commit, with later commits of other writers.

    Args:
        lake: to commit to.
        table: `asks`, `records`, or a raw one of carry.
        rows: of the table, at least one, without their batch.
        number: of their batch; if the table is already marked with it or a later one, the rows get
            a new number.
        info: stored in the commits for readers of their log.
        base: the table, if the rows depend on its content; the newest version by default.

    Raises:
        ConflictError: another writer was faster; none of the rows was stored.
        LakeError: the lake cannot be written.
    """
    base = base or lake.snapshot(table)
    if number <= base.counter(BATCH):
        number = commit_batch(lake, lake.snapshot(RAW_CANDLES), (), info)
    if table not in RAW_CARRY:
        _close_earlier(lake, base, number, info)
    file = lake.write(table, rows.with_columns(pl.lit(number, pl.Int64).alias(BATCH)))
    return number, lake.commit(base, [file], info, counters={BATCH: number})


def _close_earlier(lake: Lake, base: Snapshot, number: int, info: Mapping[str, Any]) -> None:
    """See that no row of carry is stored under a smaller number from now on.

    Args:
        lake: to commit to.
        base: `asks` or `records`, whose row completes the batch.
        number: of the batch.
        info: stored in the commits.

    Raises:
        ConflictError: another writer stored such a row just now.
        LakeError: the lake cannot be read or written.
    """
    other = lake.snapshot(RECORDS if base.table is ASKS else ASKS)
    if max(base.counter(BATCH), other.counter(BATCH)) >= number - 1:
        # The batch before this one has seen to it.
        return
    for table in RAW_CARRY:
        open_ = lake.snapshot(table)
        if open_.counter(BATCH) < number:
            lake.commit(open_, (), info, counters={BATCH: number})


def instruments_of(records: pl.DataFrame) -> pl.DataFrame:
    """Return the table `instruments` from rows of `records`: the newest of each name; pure."""
    newest = records.sort(BATCH).unique("instrument", keep="last", maintain_order=True)
    return INSTRUMENTS.cast(newest)
