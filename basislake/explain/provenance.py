"""Origin of a stored row: the build that computed it, or the call that fetched it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import polars as pl

from ingest.backfill.run_records import run_of
from ingest.plan.windows import minutes_of
from lake import Lake
from lake.coverage import IS_CANDLES, PRESENT
from lake.snapshot import Snapshot
from lake.state import State
from lake.table import BATCH
from lake.tables import ASKS
from lake.time.intervals import MINUTE, Span


@dataclass(frozen=True, slots=True)
class Made:
    """The build that computed the curated rows.

    Attributes:
        build: its number.
        batch: the newest batch that it was built from.
        at: time of the commit, by the clock of the machine that committed.
        program: that committed.
        settings: the rules' constants.
    """

    build: int
    batch: int
    at: datetime
    program: str
    settings: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Fetched:
    """How a raw candle was fetched.

    Attributes:
        batch: that stored it.
        at: time of the commit, by the clock of the machine that committed.
        program: that committed.
        run: the backfill that asked, None if that is not recorded.
        window: the minutes that were asked for at once.
        call: the call for them, as method and query.
    """

    batch: int
    at: datetime
    program: str
    run: str | None
    window: Span
    call: str


def row_at(snapshot: Snapshot, instrument: str, ts: datetime) -> pl.DataFrame | None:
    """Return the row of a minute in a table of minutes, or None; of several rows, that of the last
    batch.
    """
    minute = Span(ts, ts + MINUTE)
    files = [file for file in snapshot.of(instrument) if file.may_hold(minute)]
    if not files:
        return None
    rows = snapshot.rows_of(files, pl.col("ts") == ts)
    if BATCH in rows.columns:
        rows = rows.sort(BATCH)
    return rows.tail(1) if rows.height else None


def fetched(lake: Lake, instrument: str, ts: datetime, batch: int) -> Fetched | None:
    """Return how the candle of a minute was fetched; None if that is not recorded, because its
    writer was killed. If another run asked again later, return that one.

    Raises:
        LakeError: the lake cannot be read.
    """
    asks = lake.snapshot(ASKS).since(
        batch - 1,
        IS_CANDLES,
        pl.col("instrument") == instrument,
        pl.col("start") <= ts,
        pl.col("end") > ts,
        pl.col("status") == PRESENT,
    )
    if asks.is_empty():
        return None
    ask = asks.sort(BATCH).row(0, named=True)
    window = Span(ask["window_start"], ask["window_end"])
    run = run_of(ask["run"]) if ask["run"] else None
    return Fetched(batch, ask["at"], ask["program"], run, window, _call(instrument, window))


def made(lake: State) -> Made | None:
    """Return the build that computed the curated rows, None before the first.

    Raises:
        LakeError: the lake cannot be read.
    """
    row = lake.build()
    if row is None:
        return None
    settings = orjson.loads(row["settings"])
    return Made(row["build"], row["batch"], row["at"], row["program"], settings)


def _call(instrument: str, window: Span) -> str:
    first, last = minutes_of(window)
    return (
        f"public/get_tradingview_chart_data?instrument_name={instrument}"
        f"&start_timestamp={first}&end_timestamp={last}&resolution=1"
    )
