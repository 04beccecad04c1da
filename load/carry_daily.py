"""The rows of `carry_daily`, a view of the lake, and what is known of them without asking it.

To ask the view reads the minutes of all candles. How many rows it has, and whether they may have
changed, follows from the files alone: a row is a future's candle in the minute 07:59.
"""

import hashlib
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta

import polars as pl

from lake.carry_tables import FUNDING, SETTLEMENTS
from lake.files.content_hash import frame_digest, in_order
from lake.files.parquet import DataFile
from lake.files.slices import Slice, month_span
from lake.files.sorted_rows import read_rows
from lake.query import duck
from lake.query.views.clock import DAY_US, LAST_MINUTE_US
from lake.query.views.daily import CARRY_DAILY
from lake.snapshot import Snapshot
from lake.state import State
from lake.tables import CANDLES, INSTRUMENTS
from lake.time.intervals import MINUTE, Span

# The columns of candles that the view reads.
_READ = ("instrument", "ts", "close", "traded", "suspect")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY, _LAST_MINUTE = timedelta(microseconds=DAY_US), timedelta(microseconds=LAST_MINUTE_US)


def count(still: State, futures: Collection[str]) -> int:
    """Return how many rows the view has; candles are read only where a file has gaps.

    Args:
        still: the lake.
        futures: the names of all futures.

    Raises:
        LakeError: it cannot be read.
    """
    candles = still.snapshot(CANDLES)
    files = [file for file in candles.files if file.partition in futures]
    gapped = [file for file in files if not _is_dense(file)]
    found = sum(_entries(file) for file in files if _is_dense(file))
    if not gapped:
        return found
    ts = read_rows(CANDLES, candles.uri, gapped, candles.options, ["ts"], until=candles.until)["ts"]
    return found + int((ts.to_physical() % DAY_US == LAST_MINUTE_US).sum())


def inputs_digest(still: State, own: Sequence[Slice]) -> str:
    """Return a sha256 of all that the view reads and of how: the same however files are compacted,
    and until the next 08:00 where only new minutes come.

    Args:
        still: the lake.
        own: the slices of its candles.

    Raises:
        LakeError: the lake cannot be read.
    """
    candles = still.snapshot(CANDLES)
    newest = max((each.month for each in own), default=None)
    current = {file.path: file for each in own if each.month == newest for file in each.files}
    paid = still.snapshot(FUNDING).read()
    if (last := _newest(candles.files)) is not None:
        paid = paid.filter(pl.col("hour_end") <= last + MINUTE)
    parts = [
        CARRY_DAILY.ddl,
        # Of the newest month, which grows by the minute, only what the view reads.
        *(f"{each.name} {each.digest()}" for each in own if each.month != newest),
        *(map(str, _closes(candles, list(current.values()), newest)) if newest else ()),
        frame_digest(FUNDING, in_order(FUNDING, paid)),
        *(_digest(still.snapshot(table)) for table in (SETTLEMENTS, INSTRUMENTS)),
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def read(still: State) -> pl.DataFrame:
    """Return the rows of the view.

    Raises:
        LakeError: the lake cannot be read.
    """
    connection = still.duckdb([CARRY_DAILY.name])
    try:
        return duck.rows(connection, f"FROM {CARRY_DAILY.name}")
    finally:
        connection.close()


def _digest(snapshot: Snapshot) -> str:
    return frame_digest(snapshot.table, in_order(snapshot.table, snapshot.read()))


def _is_dense(file: DataFile) -> bool:
    """Whether a file has a candle in each minute from its first to its last."""
    if file.first is None or file.last is None:
        return False
    return file.rows == (file.last - file.first) // MINUTE + 1


def _closes(
    candles: Snapshot, files: Sequence[DataFile], month: datetime
) -> list[tuple[object, ...]]:
    """What the view reads of a month of candles, in order."""
    start, end = month_span(month)
    minutes = [start + _LAST_MINUTE + n * _DAY for n in range((end - start) // _DAY)]
    spans = [Span(minute, minute + MINUTE) for minute in minutes]
    rows = read_rows(
        CANDLES, candles.uri, files, candles.options, _READ, spans, until=candles.until
    )
    return rows.sort("instrument", "ts").rows()


def _entries(file: DataFile) -> int:
    """The minutes 07:59 from the first candle of a file to its last."""
    if file.first is None or file.last is None:
        return 0
    return _days(file.last) - _days(file.first - MINUTE)


def _days(time: datetime) -> int:
    """The minutes 07:59 since 1970 up to a minute, inclusive."""
    return (time - _EPOCH - _LAST_MINUTE) // _DAY


def _newest(files: Iterable[DataFile]) -> datetime | None:
    """The newest minute 07:59 that files may hold; None where they do not tell."""
    lasts = [file.last for file in files]
    known = [last for last in lasts if last is not None]
    if not known or len(known) < len(lasts):
        return None
    return _EPOCH + _days(max(known)) * _DAY + _LAST_MINUTE
