"""Where a stored row came from: the commit that brought its file, and the call before that."""

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import polars as pl

from ingest.runs import KEPT, runs
from ingest.windows import minutes_of
from lake import Lake
from lake.files import DataFile
from lake.log import Commit
from lake.pieces import stands_for
from lake.snapshot import Snapshot
from lake.spans import MINUTE, Span
from lake.tables import RAW_CANDLES, Table

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# A killed run renewed its record about a second before its last commit.
_RECORD_LAG = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Made:
    """The commit that brought a row.

    Attributes:
        table: its name.
        version: of the table, by that commit.
        at: when it was committed, by the clock of the machine that did.
        program: that did, None where it does not say.
        made_from: the version of each table it was made from.
        settings: what it was made with besides, None where there is nothing.
    """

    table: str
    version: int
    at: datetime
    program: str | None
    made_from: Mapping[str, int | None]
    settings: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Fetched:
    """How a raw candle was fetched.

    Attributes:
        commit: that brought it.
        run: the backfill that was going on, None where that is not known, or where there were
            several.
        window: the minutes that were asked for at once, None where the commit does not say.
        call: the call for them, as method and query.
    """

    commit: Made
    run: str | None
    window: Span | None
    call: str | None


class Found(NamedTuple):
    """A row, and the file that holds it."""

    row: pl.DataFrame
    file: DataFile


def row_at(snapshot: Snapshot, instrument: str, ts: datetime) -> Found | None:
    """Return the row of a minute in a table with a row a minute; None where there is none."""
    minute = Span(ts, ts + MINUTE)
    for file in snapshot.of(instrument):
        if not file.may_hold(minute):
            continue
        row = snapshot.rows_of([file], pl.col("ts") == ts)
        if row.height:
            return Found(row, file)
    return None


def fetched(where: Lake, instrument: str, ts: datetime, file: DataFile) -> Fetched | None:
    """Return how the candle of a minute was fetched; None where no commit of the log brought it.

    Args:
        where: the lake.
        instrument: its name.
        ts: the minute.
        file: of `raw_candles`, that holds it.

    Raises:
        LakeError: the log cannot be read.
    """
    found: DataFile | None = file
    commit = commit_of(where, RAW_CANDLES, file)
    while commit is not None and found and stands_for(commit, found.path):
        # It only wrote the rows of older files again.
        before = row_at(where.snapshot(RAW_CANDLES, commit.version - 1), instrument, ts)
        found = before.file if before else None
        commit = commit_of(where, RAW_CANDLES, found, commit.version - 1) if found else None
    if commit is None:
        return None
    window = _window(commit, instrument, ts)
    call = _call(instrument, window) if window else None
    return Fetched(_made(RAW_CANDLES, commit), _run_at(where, commit.at), window, call)


def made(where: Lake, table: Table, file: DataFile) -> Made | None:
    """Return the commit that brought a file of a table; None where the log does not tell."""
    commit = commit_of(where, table, file)
    return _made(table, commit) if commit else None


def commit_of(
    where: Lake, table: Table, file: DataFile, version: int | None = None
) -> Commit | None:
    """Return the commit that brought a file that the table holds at a version, by default now.

    A file's name is never used again, so it is in all versions from that commit on, and few of them
    have to be read.
    """
    past = (c for c in where.history(table) if version is None or c.version <= version)
    commits = sorted(past, key=lambda commit: commit.version)

    def holds(commit: Commit) -> bool:
        held = where.snapshot(table, commit.version).files
        return any(other.path == file.path for other in held)

    place = bisect_left(commits, x=True, key=holds)
    return commits[place] if place < len(commits) else None


def _made(table: Table, commit: Commit) -> Made:
    lineage = commit.lineage
    return Made(
        table.name,
        commit.version,
        commit.at,
        lineage.get("program"),
        lineage.get("made_from") or {},
        lineage.get("settings"),
    )


def _window(commit: Commit, instrument: str, ts: datetime) -> Span | None:
    for start, end in commit.lineage.get("asked", {}).get(instrument, []):
        window = Span(_EPOCH + start * MINUTE, _EPOCH + end * MINUTE)
        if window.start <= ts < window.end:
            return window
    return None


def _call(instrument: str, window: Span) -> str:
    first, last = minutes_of(window)
    return (
        f"public/get_tradingview_chart_data?instrument_name={instrument}"
        f"&start_timestamp={first}&end_timestamp={last}&resolution=1"
    )


def _run_at(where: Lake, at: datetime) -> str | None:
    found = [str(record["run"]) for record in runs(where, KEPT) if _was_going_on(record, at)]
    return found[0] if len(found) == 1 else None


def _was_going_on(record: Mapping[str, Any], at: datetime) -> bool:
    started_at, updated_at = (
        datetime.fromisoformat(record[name]) for name in ("started_at", "updated_at")
    )
    lag = _RECORD_LAG if record["state"] in ("running", "killed") else timedelta(0)
    return started_at <= at <= updated_at + lag
