"""The declarations of the PostgreSQL tables, and of their source in the lake.

A partition here is the unit of replacement, in one transaction: the rows of one instrument in one
calendar month, or a table in one piece.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import polars as pl

from lake.carry_tables import DELIVERIES, FUNDING, SETTLEMENTS
from lake.files.slices import month_span
from lake.query.views.daily import CARRY_DAILY as CARRY_DAILY_VIEW
from lake.query.views.declaration import View
from lake.table import Column, Table, Type
from lake.tables import BASIS, CANDLES, INSTRUMENTS
from lake.time.intervals import Span

# Partition name of a table in one piece.
WHOLE = "all"
# Between instrument and month in the names of other partitions.
_AND = "/"
_ALL_TIME = Span(datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

_INSTRUMENT = Column("instrument", Type.TEXT, "the exchange's name of the instrument")
_TIMESTAMP = Column("timestamp", Type.TIME, "the minute's open", "UTC")
_EXPIRY = Column("expiry_date", Type.DATE, "day of the expiry", "UTC")
_OHLCV = (
    Column("open", Type.FLOAT, "open price", "quote per base"),
    Column("high", Type.FLOAT, "high price", "quote per base"),
    Column("low", Type.FLOAT, "low price", "quote per base"),
    Column("close", Type.FLOAT, "close price", "quote per base"),
    Column("volume", Type.FLOAT, "traded amount", "base coin"),
    Column("cost", Type.FLOAT, "traded amount", "quote currency"),
)


def _by_instrument(name: str, row: str, *columns: Column) -> Table:
    key = ("instrument", "timestamp")
    return Table(name, row, columns, key=key, order=("timestamp",), partition="instrument")


FUTURES_OHLCV = _by_instrument(
    "futures_ohlcv",
    "a validated 1-minute candle of a future",
    _INSTRUMENT,
    _TIMESTAMP,
    _EXPIRY,
    *_OHLCV,
)

PERPETUALS_OHLCV = _by_instrument(
    "perpetuals_ohlcv",
    "a validated 1-minute candle of a perpetual",
    _INSTRUMENT,
    _TIMESTAMP,
    *_OHLCV,
)

FUTURES_BASIS_SPREAD = _by_instrument(
    "futures_basis_spread",
    "a minute in which a future and its perpetual both have a candle",
    _TIMESTAMP,
    _INSTRUMENT,
    _EXPIRY,
    Column("futures_price", Type.FLOAT, "the future's close", "quote per base"),
    Column("perpetual_price", Type.FLOAT, "the perpetual's close", "quote per base"),
    Column("basis_spread", Type.FLOAT, "futures_price - perpetual_price", "quote per base"),
    Column("basis_spread_pct", Type.FLOAT, "basis_spread / perpetual_price x 100", "percent"),
    Column("days_to_expiry", Type.FLOAT, "expiry - timestamp", "days"),
    Column("market_structure", Type.TEXT, "contango (> 0), backwardation (< 0) or flat (= 0)"),
    Column(
        "annualised_pct",
        Type.FLOAT,
        "basis_spread_pct x 365 / days_to_expiry; null if 60 minutes or less are left",
        "percent a year",
        nullable=True,
    ),
)

_RATE = "fraction of the notional"

FUNDING_RATES = Table(
    name="funding_rates",
    row="an hour of a perpetual",
    columns=(
        _INSTRUMENT,
        Column("timestamp", Type.TIME, "end of the hour that the row covers", "UTC"),
        Column("index_price", Type.FLOAT, "index at the end of the hour", "quote per base"),
        Column("interest_1h", Type.FLOAT, "funding that a long position paid in the hour", _RATE),
        Column("interest_8h", Type.FLOAT, "trailing rate over eight hours", _RATE),
    ),
    key=("instrument", "timestamp"),
    order=("timestamp", "instrument"),
)

DELIVERY_PRICES = Table(
    name="delivery_prices",
    row="the delivery price of an index on a day",
    columns=(
        Column("index_name", Type.TEXT, "the exchange's name of the index"),
        Column("date", Type.DATE, "day of the delivery, at 08:00", "UTC"),
        Column(
            "delivery_price",
            Type.FLOAT,
            "average of the index over the half hour before",
            "quote per base",
        ),
    ),
    key=("index_name", "date"),
    order=("date", "index_name"),
)


def _by_time(table: Table) -> Table:
    """A table of carry with its rows in order of time, so that new rows are at the end."""
    subject, time, *others = table.order
    return replace(table, order=(time, subject, *others))


# The columns of the lake's view, in the words of PostgreSQL's tables.
CARRY_DAILY = Table(
    name=CARRY_DAILY_VIEW.name,
    row="a future at 08:00 UTC of a day",
    columns=tuple(
        replace(column, name="timestamp") if column.name == "ts" else column
        for column in CARRY_DAILY_VIEW.columns
    ),
    key=("instrument", "timestamp"),
    order=("timestamp", "instrument"),
)

LAKE_LOADS = Table(
    name="lake_loads",
    row="a loaded partition; delete its row to load the partition again",
    columns=(
        Column("table", Type.TEXT, "table of the partition"),
        Column(
            "partition", Type.TEXT, "instrument/YYYY-MM (UTC), or 'all' for a table in one piece"
        ),
        Column("digest", Type.TEXT, "sha256 of the content it was loaded from"),
        Column("rows", Type.INT, "rows loaded", "rows"),
        Column("lake_version", Type.INT, "newest batch of the lake that it was built from"),
        Column("loaded_at", Type.TIME, "just before the commit; ascends as entries appear", "UTC"),
    ),
    key=("table", "partition"),
    order=("table", "partition"),
)


@dataclass(frozen=True, slots=True)
class Feed:
    """The source of one PostgreSQL table in the lake.

    Attributes:
        table: of PostgreSQL.
        source: the lake's table of the rows; in one piece, in the order of `table`.
        kind: of the instruments of its partitions; None for a source in one piece.
        frame: converts the source's rows of one partition, with the instrument's expiry date (UTC,
            None for a perpetual or a table in one piece), to rows of the table.
        view: the lake's view whose rows it takes instead, all of them; `source` is its main input.
    """

    table: Table
    source: Table
    kind: str | None
    frame: Callable[[pl.DataFrame, date | None], pl.DataFrame]
    view: View | None = None


def instruments_frame(rows: pl.DataFrame, _: date | None = None) -> pl.DataFrame:
    """Return the rows of `instruments`, unchanged."""
    return INSTRUMENTS.cast(rows)


def futures_frame(candles: pl.DataFrame, expiry: date | None) -> pl.DataFrame:
    """Return the rows of `futures_ohlcv` of one future from its candles and expiry date (UTC)."""
    dated = candles.rename({"ts": "timestamp"}).with_columns(pl.lit(expiry).alias("expiry_date"))
    return FUTURES_OHLCV.cast(dated)


def perpetuals_frame(candles: pl.DataFrame, _: date | None = None) -> pl.DataFrame:
    """Return the rows of `perpetuals_ohlcv` of one perpetual, from its candles."""
    return PERPETUALS_OHLCV.cast(candles.rename({"ts": "timestamp"}))


def basis_frame(basis: pl.DataFrame, expiry: date | None) -> pl.DataFrame:
    """Return the rows of `futures_basis_spread` of one future from its basis and expiry (UTC)."""
    renamed = basis.rename(
        {
            "ts": "timestamp",
            "future_close": "futures_price",
            "perpetual_close": "perpetual_price",
            "basis": "basis_spread",
            "basis_pct": "basis_spread_pct",
        }
    )
    return FUTURES_BASIS_SPREAD.cast(renamed.with_columns(pl.lit(expiry).alias("expiry_date")))


def funding_frame(rows: pl.DataFrame, _: date | None = None) -> pl.DataFrame:
    """Return the rows of `funding_rates`, from those of `funding`."""
    return FUNDING_RATES.cast(rows.rename({"hour_end": "timestamp"}))


def deliveries_frame(rows: pl.DataFrame, _: date | None = None) -> pl.DataFrame:
    """Return the rows of `delivery_prices`, from those of `deliveries`."""
    return DELIVERY_PRICES.cast(rows.with_columns(pl.col("delivered_at").dt.date().alias("date")))


def settlements_frame(rows: pl.DataFrame, _: date | None = None) -> pl.DataFrame:
    """Return the rows of `settlements`, in the order of time."""
    return _by_time(SETTLEMENTS).cast(rows)


def daily_frame(rows: pl.DataFrame, _: date | None = None) -> pl.DataFrame:
    """Return the rows of `carry_daily`, from those of the lake's view of that name."""
    return CARRY_DAILY.cast(rows.rename({"ts": "timestamp"}))


FEEDS = (
    Feed(INSTRUMENTS, INSTRUMENTS, None, instruments_frame),
    Feed(PERPETUALS_OHLCV, CANDLES, "perpetual", perpetuals_frame),
    Feed(FUTURES_OHLCV, CANDLES, "future", futures_frame),
    Feed(FUTURES_BASIS_SPREAD, BASIS, "future", basis_frame),
    Feed(FUNDING_RATES, _by_time(FUNDING), None, funding_frame),
    Feed(DELIVERY_PRICES, _by_time(DELIVERIES), None, deliveries_frame),
    Feed(_by_time(SETTLEMENTS), _by_time(SETTLEMENTS), None, settlements_frame),
    Feed(CARRY_DAILY, CANDLES, None, daily_frame, CARRY_DAILY_VIEW),
)

# The key serves queries of one instrument over time. These serve all instruments at a time, or an
# expiry, for 0.02 bytes a row: rows are stored by instrument and time, or by time, so few blocks
# contain any one value.
RANGE_INDEXES: dict[str, tuple[str, ...]] = {
    PERPETUALS_OHLCV.name: ("timestamp",),
    FUTURES_OHLCV.name: ("timestamp", "expiry_date"),
    FUTURES_BASIS_SPREAD.name: ("timestamp", "expiry_date"),
    FUNDING_RATES.name: ("timestamp",),
    SETTLEMENTS.name: ("settled_at",),
    CARRY_DAILY.name: ("timestamp",),
}

TABLES: dict[str, Table] = {table.name: table for table in (*(f.table for f in FEEDS), LAKE_LOADS)}


def partition_name(instrument: str, month: str) -> str:
    """Return the name of an instrument's partition of a month (`YYYY-MM`)."""
    return f"{instrument}{_AND}{month}"


def instrument_of(partition: str) -> str:
    """Return the instrument of a partition by its name."""
    return _parts(partition)[0]


def parameters(table: Table, partition: str) -> tuple[object, ...]:
    """Return the parameters that select a partition in a statement: the instrument, and the span of
    its times; none for a table in one piece.

    A name without a month, as older versions and other writers put into the ledger, means all rows
    of an instrument.
    """
    if table.partition is None:
        return ()
    instrument, span = _parts(partition)
    return instrument, *span


def all_parameters(partitions: Sequence[str]) -> tuple[list[object], ...]:
    """Return the parameters that select partitions in a statement, and their names first, as lists
    of the same length.
    """
    rows = [(name, instrument, *span) for name in partitions for instrument, span in [_parts(name)]]
    names, instruments, starts, ends = zip(*rows, strict=True)
    return list(names), list(instruments), list(starts), list(ends)


def _parts(partition: str) -> tuple[str, Span]:
    instrument, _, month = partition.rpartition(_AND)
    try:
        span = month_span(datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC))
    except (ValueError, OverflowError):
        return partition, _ALL_TIME
    return (instrument, span) if instrument else (partition, _ALL_TIME)
