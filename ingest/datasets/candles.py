"""Candles: the minutes of an instrument, from `get_tradingview_chart_data`."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import polars as pl

from ingest.datasets.dataset import Dataset, lives
from ingest.deribit.replies import CHART, CLOSING_LAG, Page, read_candles
from ingest.plan.windows import minutes_of
from lake.coverage import Subject
from lake.tables import RAW_CANDLES
from lake.time.intervals import Span
from lake.time.steps import MINUTES

if TYPE_CHECKING:
    from ingest.deribit.call_counts import CallCounts
    from ingest.deribit.client import Exchange


def candles_of(instrument: str) -> Subject:
    """Return the subject of an instrument's candles."""
    return Subject("candles", instrument)


def wanted(chosen: pl.DataFrame, now: datetime) -> Mapping[str, Sequence[Span]]:
    """Return the closed minutes in the lives of the chosen instruments; see `Dataset`."""
    return lives(chosen, MINUTES, now, CLOSING_LAG)


def ask(exchange: "Exchange", instrument: str, window: Span, tally: "CallCounts") -> Page:
    """Fetch the minutes of a window; see `Dataset`."""
    start_ms, end_ms = minutes_of(window)
    params = {
        "instrument_name": instrument,
        "start_timestamp": start_ms,
        "end_timestamp": end_ms,
        "resolution": "1",
    }
    return exchange.call(CHART, params, lambda reply: read_candles(reply, window), tally)


CANDLES = Dataset(
    name="candles",
    choice="candles",
    noun="minute",
    table=RAW_CANDLES,
    key=("ts",),
    steps=MINUTES,
    step=pl.col("ts"),
    wanted=wanted,
    ask=ask,
    rows_per_call=MINUTES.longest,
    # Measured on simulated candles, which are nearly all of a lake's data.
    bytes_per_row=10.2,
    # An instrument has no candle before its first trade.
    confirms_leading=False,
)
