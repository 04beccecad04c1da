"""Delivery prices: the prices at which the futures of an index were delivered, by day, from
`get_delivery_prices`.

The list has one row a day, newest first, in pages by offset. A day that is added between two pages
shifts the offsets by one, so a row may appear twice, but none is skipped.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import polars as pl

from ingest.datasets.dataset import LATE, Dataset, closed, without_late
from ingest.datasets.objects import date_of, frame_of, malformed, number_of, objects, once
from ingest.deribit.replies import Answer, Page
from lake.carry_tables import RAW_DELIVERIES
from lake.time.intervals import Span
from lake.time.steps import ALL_DAYS, DAY

if TYPE_CHECKING:
    from ingest.deribit.call_counts import CallCounts
    from ingest.deribit.client import Exchange

_METHOD = "get_delivery_prices"
_MOST_ROWS = 1_000
# Listed days after those of a window.
_SLACK = 3
_DELIVERED = time(8, tzinfo=UTC)
# Time after 08:00 until a day's price should be available.
LAG = timedelta(minutes=5)
_step = pl.col("delivered_at").dt.offset_by("-24h")


def wanted(chosen: pl.DataFrame, now: datetime) -> Mapping[str, Sequence[Span]]:
    """Return the days on which futures of each index were alive; see `Dataset`.

    Where a future expires later than 08:00, the price of its day is waited for as long.
    """
    until = ALL_DAYS.floor(now - LAG)
    futures = chosen.filter(pl.col("kind") == "future")
    expires_at = pl.col("expires_at")
    is_awaited = (expires_at.dt.date() == until.date()) & (expires_at > max(until, now - LATE))
    indices = futures.group_by("price_index", maintain_order=True).agg(
        pl.min("listed_at"), is_awaited.any()
    )
    return {
        name: [Span(ALL_DAYS.floor(listed_at), until - DAY if is_awaited else until)]
        for name, listed_at, is_awaited in indices.drop_nulls("listed_at").iter_rows()
    }


def ask(exchange: "Exchange", index_name: str, window: Span, tally: "CallCounts") -> Page:
    """Fetch the days of a window, page by page; see `Dataset`."""
    rows: list[dict[str, Any]] = []
    known: set[datetime] = set()
    at = None
    while not rows or rows[-1]["delivered_at"] > window.start + DAY:
        left = window.end - window.start if not rows else rows[-1]["delivered_at"] - window.start
        count = min(_MOST_ROWS, left // DAY + _SLACK)
        params = {"index_name": index_name, "offset": len(rows), "count": count}
        answer = exchange.ask(_METHOD, params, lambda answer: _checked(answer, known), tally)
        at = at or answer.at
        page = [_row(row) for row in answer.result["data"]]
        if all(row["delivered_at"] in known for row in page):
            break
        rows += page
        known.update(row["delivered_at"] for row in page)
    return read(rows, window, at)


def read(rows: Sequence[Mapping[str, object]], window: Span, at: datetime | None) -> Page:
    """Turn the rows of all pages into a page of the window's days.

    Args:
        rows: columns delivered_at and delivery_price.
        window: whole days, from 08:00 to 08:00.
        at: the exchange's clock.

    Raises:
        TransientError: one day has two prices, or no day of the window is over.
    """
    asked = closed(window, at and ALL_DAYS.floor(at - LAG))
    frame = frame_of(RAW_DELIVERIES, rows, "index_name")
    is_asked = (pl.col("delivered_at") > asked.start) & (pl.col("delivered_at") <= asked.end)
    distinct, duplicates = once(frame.filter(is_asked), ["delivered_at"], "day")
    covered = ALL_DAYS.spans(distinct.select(_step).to_series())
    return Page(distinct, duplicates, without_late(asked, covered, ALL_DAYS, at), tuple(covered))


def _checked(answer: Answer, known: Collection[datetime]) -> Answer:
    """Refuse an answer that is not a page, or that holds only days of earlier pages; at the end of
    the list, a day that was added since may repeat the last row.
    """
    if not isinstance(answer.result, dict):
        raise malformed("it is not a page of delivery prices")
    days = [_row(row) for row in objects(answer.result.get("data"), "the delivery prices")]
    if len(days) > 1 and all(day["delivered_at"] in known for day in days):
        raise malformed("a page of the delivery prices came twice")
    return answer


def _row(row: Mapping[str, Any]) -> dict[str, Any]:
    day = date_of(row)
    return {
        "delivered_at": datetime.combine(day, _DELIVERED),
        "delivery_price": number_of(row, "delivery_price"),
    }


DELIVERIES = Dataset(
    name="deliveries",
    choice="deliveries",
    noun="day",
    table=RAW_DELIVERIES,
    key=("delivered_at",),
    steps=ALL_DAYS,
    step=_step,
    wanted=wanted,
    ask=ask,
    rows_per_call=_MOST_ROWS,
    bytes_per_row=5.8,
    whose=("index", "indices"),
)
