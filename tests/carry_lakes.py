"""A lake of half a year of hours with complete carry data."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl

from lake import Lake
from lake import open as open_lake
from lake.carry_tables import DELIVERIES, FUNDING, SETTLEMENTS
from lake.tables import BASIS, CANDLES, INSTRUMENTS
from tests.lakes import fill, instrument, mark_built
from transforms.basis import basis

HOUR, DAY, MINUTE = timedelta(hours=1), timedelta(days=1), timedelta(minutes=1)
START, END = datetime(2023, 12, 29, 8, tzinfo=UTC), datetime(2024, 7, 2, 8, tzinfo=UTC)
# Expiry and listing; the last two are open at the end.
LIVES = {
    "29DEC23": (START, START - MINUTE),
    "29MAR24": (datetime(2024, 3, 29, 8, tzinfo=UTC), START - MINUTE),
    "26APR24": (datetime(2024, 4, 26, 8, tzinfo=UTC), datetime(2024, 3, 1, 8, tzinfo=UTC)),
    "28JUN24": (datetime(2024, 6, 28, 8, tzinfo=UTC), START - MINUTE),
    "27SEP24": (datetime(2024, 9, 27, 8, tzinfo=UTC), START + 9 * DAY),
    "27DEC24": (datetime(2024, 12, 27, 8, tzinfo=UTC), START + 99 * DAY),
}
PRICES = {"BTC": 60_000.0, "ETH": 3_000.0}


def carry_lake(folder: Path) -> Lake:
    """Create it: prices and rates are smooth waves, so that each figure is distinct."""
    lake = open_lake(str(folder))
    hours = pl.datetime_range(START, END, "1h", time_unit="us", eager=True).alias("hour_end")
    clock = pl.DataFrame(hours).with_columns(n=pl.int_range(pl.len()).cast(pl.Float64))
    tables: dict[str, list[pl.DataFrame]] = {}
    for coin, price in PRICES.items():
        index = clock.with_columns(index_price=price * (1 + (pl.col("n") / 300).sin() / 9))
        for name, frame in _coin(coin, index).items():
            tables.setdefault(name, []).append(frame)
    for table in (INSTRUMENTS, CANDLES, BASIS, FUNDING, DELIVERIES, SETTLEMENTS):
        fill(lake, table, table.cast(pl.concat(tables[table.name])))
    mark_built(lake)
    return lake


def _coin(coin: str, index: pl.DataFrame) -> dict[str, pl.DataFrame]:
    perpetual = f"{coin}-PERPETUAL"
    records = [{**instrument(perpetual), "listed_at": START - 99 * DAY, "active": True}]
    of_perpetual = _candles(perpetual, index, 1 + (pl.col("n") / 40).sin() / 3000)
    candles, rows = [of_perpetual], []
    for ending, (expires_at, listed_at) in LIVES.items():
        name = f"{coin}-{ending}"
        own = {"listed_at": listed_at, "active": expires_at > END}
        records.append({**instrument(name, expires_at), **own})
        days = (pl.lit(expires_at) - pl.col("hour_end")).dt.total_seconds() / 86_400
        yearly = 0.08 + (pl.col("n") / 500).cos() / 9
        lived = index.filter(pl.col("hour_end") > listed_at, pl.col("hour_end") <= expires_at)
        candles.append(_candles(name, lived, 1 + yearly * days / 365))
        rows.append(basis(candles[-1].with_columns(expires_at=expires_at), of_perpetual))
    days_ = index.filter(pl.col("hour_end").dt.hour() == START.hour)
    settlements = [
        days_.filter(
            pl.col("hour_end") > row["listed_at"],
            pl.col("hour_end") < (row["expires_at"] or END + DAY),
        ).select(
            instrument=pl.lit(row["instrument"]),
            settled_at=pl.col("hour_end") + timedelta(milliseconds=65),
            type=pl.lit("settlement"),
            position=1e6 + pl.col("n") * (place + 1),
            mark_price="index_price",
            index_price="index_price",
        )
        for place, row in enumerate(records)
    ]
    return {
        "instruments": pl.DataFrame(records, INSTRUMENTS.polars_schema),
        "candles": pl.concat(candles),
        "basis": pl.concat(rows),
        "funding": index.select(
            "hour_end",
            "index_price",
            instrument=pl.lit(perpetual),
            prev_index_price=pl.col("index_price").shift(1),
            interest_1h=1e-5 + (pl.col("n") / 200).sin() * 2e-5,
            interest_8h=pl.lit(0.0),
        ),
        "deliveries": days_.select(
            index_name=pl.lit(f"{coin}_usd".lower()),
            delivered_at="hour_end",
            delivery_price="index_price",
        ),
        "settlements": pl.concat(settlements),
    }


def _candles(name: str, index: pl.DataFrame, ratio: pl.Expr) -> pl.DataFrame:
    close = index.select(instrument=pl.lit(name), ts=pl.col("hour_end") - MINUTE,
                         close=pl.col("index_price") * ratio)  # fmt: skip
    same = {column: pl.col("close") for column in ("open", "high", "low")}
    rows = close.with_columns(**same, volume=pl.lit(1.0), cost=pl.col("close"), traded=True)
    return CANDLES.cast(rows.with_columns(suspect=False))
