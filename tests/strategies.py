"""Hypothesis strategies and small builders that several tests share."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from lake import Lake
from lake.files.parquet import DataFile
from lake.table import BATCH, Table, Type
from lake.tables import INSTRUMENTS, RAW_CANDLES
from lake.time.intervals import MINUTE, Span
from tests.lakes import instrument

T0 = datetime(2024, 1, 1, tzinfo=UTC)
CELLS = ("open", "high", "low", "close", "volume", "cost")


def minute(number: int) -> datetime:
    """The start of the minute that is so many after T0."""
    return T0 + number * MINUTE


def span(start: int, end: int) -> Span:
    """A span by minutes after T0."""
    return Span(minute(start), minute(end))


def minutes_in(spans: Iterable[Span]) -> list[int]:
    """The minutes of some spans, as numbers after T0, in order and with repeats."""
    return [(s.start - T0) // MINUTE + i for s in spans for i in range(s.minutes)]


def candles(count: int, start: int = 0, price: float = 100.0) -> pl.DataFrame:
    """Raw candles of one instrument at consecutive minutes, each with its own price."""
    prices = [price + i for i in range(count)]
    columns = {name: pl.Series(prices, dtype=pl.Float64) for name in CELLS}
    times = pl.Series([minute(start + i) for i in range(count)], dtype=pl.Datetime("us", "UTC"))
    return pl.DataFrame({"ts": times, **columns})


@st.composite
def spans(draw: st.DrawFn) -> list[Span]:
    """Some spans of whole minutes; they may touch, overlap, or be empty."""
    pairs = draw(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=8))
    return [span(start, end) for start, end in pairs]


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)

_VALUES: dict[Type, st.SearchStrategy[Any]] = {
    Type.TEXT: st.text(max_size=4),
    Type.TEXTS: st.lists(st.text(max_size=3), max_size=3),
    Type.TIME: st.integers(0, 10**9).map(lambda us: T0 + timedelta(microseconds=us)),
    Type.DATE: st.dates(),
    Type.FLOAT: st.floats(allow_nan=False),
    Type.INT: st.integers(-(2**63), 2**63 - 1),
    Type.BOOL: st.booleans(),
}


@st.composite
def frames(draw: st.DrawFn, table: Table) -> pl.DataFrame:
    """Rows of a table with distinct keys, at least one; nulls where the table allows them."""
    row = st.tuples(
        *(_VALUES[c.type] | st.none() if c.nullable else _VALUES[c.type] for c in table.columns)
    )
    places = [table.names.index(name) for name in table.order]
    rows = draw(
        st.lists(row, min_size=1, max_size=8, unique_by=lambda r: tuple(r[i] for i in places))
    )
    return pl.DataFrame(rows, schema=table.polars_schema, orient="row")


def raw(instrument: str, frame: pl.DataFrame, batch: int = 1) -> pl.DataFrame:
    """Candles with their instrument and batch, in the columns of `raw_candles`; their own batch
    where they have one.
    """
    number = BATCH if BATCH in frame.columns else pl.lit(batch, pl.Int64).alias(BATCH)
    named = frame.with_columns(pl.lit(instrument).alias("instrument"), number)
    return named.select(RAW_CANDLES.names)


def batch(frame: pl.DataFrame, number: int = 1) -> pl.DataFrame:
    """Rows of a raw table with the number of their batch."""
    return frame.with_columns(pl.lit(number, pl.Int64).alias(BATCH))


def written(lake: Lake, name: str, frame: pl.DataFrame) -> DataFile:
    """A file of raw candles that is not committed."""
    return lake.write(RAW_CANDLES, batch(frame), name)


def instruments(*names: str) -> pl.DataFrame:
    """Rows of `instruments`: futures."""
    rows = [instrument(name, minute(99_999)) for name in names]
    return pl.DataFrame(rows, INSTRUMENTS.polars_schema)
