"""Inputs of a number of carry: rows of funding, deliveries or settlements, the calls that brought
them, and the reasons for missing rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import polars as pl

from basislake.explain.provenance import Fetched
from ingest.backfill.run_records import run_of
from ingest.datasets.funding import params
from lake import Lake
from lake.carry_tables import (
    DELIVERIES,
    FUNDING,
    RAW_DELIVERIES,
    RAW_FUNDING,
    RAW_SETTLEMENTS,
    REJECTED,
    SETTLEMENTS,
)
from lake.coverage import PRESENT
from lake.table import BATCH, Table
from lake.tables import ASKS, COVERAGE
from lake.time.intervals import Span

Row = dict[str, Any]

# By dataset: its tables, and the column of its time.
_TABLES: Mapping[str, tuple[Table, Table, str]] = {
    "funding": (FUNDING, RAW_FUNDING, "hour_end"),
    "deliveries": (DELIVERIES, RAW_DELIVERIES, "delivered_at"),
    "settlements": (SETTLEMENTS, RAW_SETTLEMENTS, "settled_at"),
}
_STATUS = {
    "present": "the exchange sent it",
    "no_data": "the exchange had no data yet",
    "missing": "the exchange was asked more than once, and each answer lacked it",
    "failed": "the exchange gave no usable answer; `basislake backfill` asks again",
    "never_asked": "never fetched; `basislake backfill` fetches it once its time is over",
}


@dataclass(frozen=True, slots=True)
class Input:
    """Rows of one table that a number is computed from.

    Attributes:
        name: of the rows in the formula.
        table: of the rows.
        subject: the instrument or the index.
        start: start of the span, exclusive, UTC.
        end: end of the span, inclusive.
        expected: how many rows there should be.
        rows: the stored rows.
        missing: why rows are missing, a reason each.
        rejected: raw rows of the span that validation rejected, with the rules that they broke.
        fetched: the calls that brought the rows, each once.
    """

    name: str
    table: str
    subject: str
    start: datetime
    end: datetime
    expected: int
    rows: list[Row]
    missing: list[str]
    rejected: list[Row]
    fetched: list[Fetched]


def input_of(lake: Lake, name: str, dataset: str, subject: str, span: Span, expected: int) -> Input:
    """Gather the rows of a dataset with a time in (start, end] of a span.

    Args:
        lake: the lake, in its newest state or as of a batch.
        name: of the rows in the formula.
        dataset: funding, deliveries or settlements.
        subject: the instrument or index.
        span: start exclusive and end inclusive.
        expected: how many rows there should be.

    Raises:
        LakeError: the lake cannot be read.
    """
    table, raw, time = _TABLES[dataset]
    is_in = (
        (pl.col(table.key[0]) == subject) & (pl.col(time) > span.start) & (pl.col(time) <= span.end)
    )
    rows: list[Row] = list(lake.snapshot(table).read(is_in).iter_rows(named=True))
    missing, rejected = [], []
    if len(rows) < expected:
        rejected = _rejected(lake, dataset, subject, span)
        missing = _missing(lake, dataset, subject, span, is_rejected=bool(rejected))
    brought = lake.snapshot(raw).read(is_in)
    return Input(
        name=name,
        table=table.name,
        subject=subject,
        start=span.start,
        end=span.end,
        expected=expected,
        rows=rows,
        missing=missing,
        rejected=rejected,
        fetched=_fetched(lake, dataset, subject, span, brought[BATCH].unique().to_list()),
    )


def _rejected(lake: Lake, dataset: str, subject: str, span: Span) -> list[Row]:
    rows = lake.snapshot(REJECTED).read(
        pl.col("dataset") == dataset,
        pl.col("instrument") == subject,
        pl.col("ts") > span.start,
        pl.col("ts") <= span.end,
    )
    return list(rows.iter_rows(named=True))


def _missing(lake: Lake, dataset: str, subject: str, span: Span, *, is_rejected: bool) -> list[str]:
    """Why rows are missing, by the coverage of the span."""
    own = lake.read(COVERAGE).filter(
        pl.col("dataset") == dataset,
        pl.col("instrument") == subject,
        pl.col("start") < span.end,
        pl.col("end") > span.start,
    )
    found = [
        f"{max(start, span.start):%Y-%m-%d %H:%M}Z to {min(end, span.end):%Y-%m-%d %H:%M}Z: "
        f"{_STATUS[status]}"
        for start, end, status in own.select("start", "end", "status").iter_rows()
        if status != PRESENT
    ]
    began = min(own["start"].to_list(), default=span.end)
    if span.start < began < span.end:
        found.insert(
            0,
            f"{span.start:%Y-%m-%d %H:%M}Z to {began:%Y-%m-%d %H:%M}Z: before its first row, or "
            "never asked for",
        )
    if is_rejected:
        found.append("a row broke a rule and is in `rejected`")
    reached = min(max(own["end"].to_list(), default=span.start), span.end)
    if reached < span.end:
        found.append(
            f"after {reached:%Y-%m-%d %H:%M}Z: the last backfill did not ask for it, or ran before "
            "the exchange had it; `basislake backfill` fetches it"
        )
    return found or ["it is stored, but not built yet; `basislake build` builds it"]


def _fetched(
    lake: Lake, dataset: str, subject: str, span: Span, batches: list[int]
) -> list[Fetched]:
    if not batches:
        return []
    asks = lake.snapshot(ASKS).since(
        min(batches) - 1,
        pl.col("dataset") == dataset,
        pl.col("instrument") == subject,
        pl.col("status") == PRESENT,
        pl.col("start") < span.end,
        pl.col("end") > span.start,
        pl.col(BATCH).is_in(batches),
    )
    windows = asks.unique(["batch", "window_start", "window_end"]).sort("window_start", "batch")
    return [
        Fetched(
            ask["batch"],
            ask["at"],
            ask["program"],
            run_of(ask["run"]) if ask["run"] else None,
            window := Span(ask["window_start"], ask["window_end"]),
            _call(dataset, subject, window),
        )
        for ask in windows.iter_rows(named=True)
    ]


def _call(dataset: str, subject: str, window: Span) -> str:
    """The call for a window; for lists in pages, the method and the days."""
    if dataset == "funding":
        return f"public/get_funding_rate_history?{urlencode(params(subject, window))}"
    pages = f"(pages of {window.start:%Y-%m-%d %H:%M}Z to {window.end:%Y-%m-%d %H:%M}Z)"
    if dataset == "deliveries":
        return f"public/get_delivery_prices?index_name={subject} {pages}"
    # If the exchange no longer serves the instrument, the call is for its coin.
    return f"public/get_last_settlements_by_instrument?instrument_name={subject} {pages}"
