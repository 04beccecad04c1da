"""Rows of funding, its totals, delivery prices and settlements, and writing them to a lake."""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from lake import Lake, batches
from lake.batches import commit_batch
from lake.carry_tables import (
    CARRY,
    RAW_DELIVERIES,
    RAW_FUNDING,
    RAW_FUNDING_TOTALS,
    RAW_SETTLEMENTS,
)
from lake.files.slices import month_of, month_span
from lake.table import BATCH, Table
from lake.tables import ASKS, RAW_CANDLES
from tests.lakes import LINEAGE, Row, asked, schema_of

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# So long after 08:00 a settlement is sent.
LATE = timedelta(milliseconds=65)
SINCE = datetime(2020, 1, 30, 10, tzinfo=UTC)
# Two whole months and a part before them.
HOURS = 24 * (2 + 29 + 31)
PERPETUAL, OTHER = "BTC-PERPETUAL", "ETH-PERPETUAL"


def funding(name: str = PERPETUAL, hours: int = HOURS, since: datetime = SINCE) -> list[Row]:
    """Rows of hours one after the other; what they pay is different in each."""
    rates = [1e-6 * (hour * hour % 17 - 6) for hour in range(hours)]
    return [
        {
            **paid(since + hour * HOUR, 9000.5 + hour, rates[hour], name),
            "prev_index_price": 8999.5 + hour if hour else None,
            "interest_8h": math.fsum(rates[max(0, hour - 7) : hour + 1]),
        }
        for hour in range(hours)
    ]


def paid(end: datetime, index: float, rate: float, name: str = PERPETUAL) -> Row:
    """A row of one hour, whose sum over eight hours is nothing that it could be."""
    return {
        "instrument": name,
        "hour_end": end,
        "index_price": index,
        "prev_index_price": None,
        "interest_1h": rate,
        "interest_8h": 99.0,
    }


def totals(hours: Iterable[Row]) -> list[Row]:
    """Rows of the months of some hours, by another sum than that of a database."""
    months: dict[tuple[str, datetime], list[float]] = {}
    for row in hours:
        month = month_of(row["hour_end"] - HOUR)
        months.setdefault((row["instrument"], month), []).append(row["interest_1h"])
    last = max(row["hour_end"] for row in hours)
    return [
        {"instrument": name, "month": month.date(), "total": math.fsum(paid)}
        for (name, month), paid in months.items()
        if month_span(month).end <= last
    ]


def deliveries(index: str, first: datetime, days: int) -> list[Row]:
    """Rows of days one after the other."""
    return [
        {
            "index_name": index,
            "delivered_at": first.replace(hour=8) + day * DAY,
            "delivery_price": 9000.25 + day,
        }
        for day in range(days)
    ]


def settlement(name: str, day: datetime, price: float, **others: Any) -> Row:  # noqa: ANN401
    """A row of an instrument's day, a daily settlement unless said otherwise."""
    return {
        "instrument": name,
        "settled_at": day.replace(hour=8) + LATE,
        "type": "settlement",
        "position": 1_000_000.0,
        "mark_price": price,
        "index_price": price,
        **others,
    }


def receive(lake: Lake, rows: Mapping[Table, Sequence[Row]]) -> int:
    """Commit raw rows as the next batch, and that they were asked for; return its number. Without
    rows, candles were asked for.
    """
    number = commit_batch(lake, lake.snapshot(RAW_CANDLES), (), LINEAGE)
    for table, own in rows.items():
        frame = pl.DataFrame(own, schema=schema_of(table), orient="row")
        file = lake.write(table, frame.with_columns(pl.lit(number, pl.Int64).alias(BATCH)))
        lake.commit(lake.snapshot(table), [file], LINEAGE, counters={BATCH: number})
    subjects = [
        (table.name.removeprefix("raw_"), name)
        for table, own in rows.items()
        for name in sorted({row[table.key[0]] for row in own})
    ]
    rows_of_asks = [
        asked((name, SINCE, SINCE + HOUR, "present"), dataset=dataset, run=None)
        for dataset, name in subjects or [("candles", PERPETUAL)]
    ]
    return batches.append(lake, ASKS, pl.concat(rows_of_asks), number, LINEAGE)[0]


def everything() -> dict[Table, list[Row]]:
    """Sound rows of all datasets."""
    hours = [*funding(), *funding(OTHER)]
    days = [settlement(PERPETUAL, SINCE + day * DAY, 9000.0 + day) for day in range(60)]
    return {
        RAW_FUNDING: hours,
        RAW_FUNDING_TOTALS: totals(hours),
        RAW_DELIVERIES: [*deliveries("btc_usd", SINCE, 60), *deliveries("eth_usd", SINCE, 60)],
        RAW_SETTLEMENTS: days,
    }


def contents(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    """All that a build makes of carry."""
    still = lake.state()
    return {table.name: still.read(table).rows() for table in CARRY}
