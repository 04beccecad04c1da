"""The one declaration of each table of the lake, and what follows from a declaration.

A declaration holds columns, types, units, key and order; the Polars and Arrow schemas, empty frames
and casts come from it, and so do the Delta schema (`lake.transaction`), the DDL (`load.ddl`) and
the docs.
"""

from dataclasses import dataclass, replace
from enum import Enum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import polars as pl

if TYPE_CHECKING:
    import pyarrow as pa


class Type(Enum):
    """A column's type: its Polars type and its Arrow type."""

    TEXT = (pl.String, lambda pa: pa.string())
    TEXTS = (pl.List(pl.String), lambda pa: pa.list_(pa.string()))
    TIME = (pl.Datetime("us", "UTC"), lambda pa: pa.timestamp("us", tz="UTC"))
    DATE = (pl.Date, lambda pa: pa.date32())
    FLOAT = (pl.Float64, lambda pa: pa.float64())
    INT = (pl.Int64, lambda pa: pa.int64())
    BOOL = (pl.Boolean, lambda pa: pa.bool_())

    @property
    def polars(self) -> Any:  # noqa: ANN401  (a Polars type, or an instance of one)
        """The Polars type."""
        return self.value[0]

    @property
    def arrow(self) -> "pa.DataType":
        """The Arrow type."""
        import pyarrow as pa  # noqa: PLC0415  (reading a lake on disk needs none)

        arrow: pa.DataType = self.value[1](pa)
        return arrow


# The column that says by which ingest commit a row came; see `lake.batches`.
BATCH = "batch"


@dataclass(frozen=True, slots=True)
class Column:
    """One column.

    Attributes:
        name: as written in every table and query.
        type: see `Type`.
        meaning: one phrase for the reader of the table.
        unit: of the values; empty where there is none.
        nullable: whether a value may be absent.
    """

    name: str
    type: Type
    meaning: str
    unit: str = ""
    nullable: bool = False


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        name: its folder in the lake, its view in DuckDB, or its name in PostgreSQL.
        row: what one row is.
        columns: in order.
        key: the columns whose values are unique together.
        order: the columns that rows are sorted by, in a partition where there are partitions.
        partition: the column that rows are partitioned by, None for a table in one piece.
    """

    name: str
    row: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    order: tuple[str, ...]
    partition: str | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns, in order."""
        return [column.name for column in self.columns]

    @cached_property
    def content(self) -> tuple[Column, ...]:
        """The columns that a digest covers: neither the partition's, nor when a row came."""
        return tuple(c for c in self.columns if c.name not in (self.partition, BATCH))

    @cached_property
    def stored(self) -> "Table":
        """The table as its files hold it: the partition column is in their paths alone."""
        columns = tuple(column for column in self.columns if column.name != self.partition)
        key = tuple(name for name in self.key if name != self.partition)
        return replace(self, columns=columns, key=key, partition=None)

    @cached_property
    def polars_schema(self) -> pl.Schema:
        """The Polars schema, columns in order."""
        return pl.Schema({column.name: column.type.polars for column in self.columns})

    @cached_property
    def arrow_schema(self) -> "pa.Schema":
        """The Arrow schema, columns in order, with nullability."""
        import pyarrow as pa  # noqa: PLC0415  (likewise)

        return pa.schema(
            [pa.field(c.name, c.type.arrow, nullable=c.nullable) for c in self.columns]
        )

    def empty(self) -> pl.DataFrame:
        """Return a frame of this table without rows."""
        return pl.DataFrame(schema=self.polars_schema)

    def cast(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the frame with exactly this table's columns, types and row order.

        Raises:
            polars.exceptions.PolarsError: a column is absent, or a value does not fit its type.
        """
        # Series by series: an expression over all of them costs more than a few rows.
        rows = pl.DataFrame([frame[c.name].cast(c.type.polars, strict=True) for c in self.columns])
        # To sort what is sorted costs more than to look.
        is_sorted = len(self.order) == 1 and rows[self.order[0]].is_sorted()
        return rows if is_sorted else rows.sort(self.order, maintain_order=True)

    def to_arrow(self, frame: pl.DataFrame) -> "pa.Table":
        """Return the frame as Arrow in exactly this table's schema.

        Strings are old-style, as ADBC needs them.

        Raises:
            ValueError: a column that may not be null holds a null.
        """
        for column in self.columns:
            if not column.nullable and frame[column.name].null_count():
                raise ValueError(f"{self.name}.{column.name} holds a null")
        arrow = frame.select(self.names).to_arrow(compat_level=pl.CompatLevel.oldest())
        return arrow.cast(self.arrow_schema)


_INSTRUMENT = Column("instrument", Type.TEXT, "the exchange's name of the instrument")
_TS = Column("ts", Type.TIME, "the minute's open", "UTC")


def _prices(unit: str, *names: str, nullable: bool = True) -> tuple[Column, ...]:
    return tuple(Column(n, Type.FLOAT, f"{n} price", unit, nullable=nullable) for n in names)


_CANDLE = (
    _INSTRUMENT,
    _TS,
    *_prices("quote per base", "open", "high", "low", "close"),
    Column("volume", Type.FLOAT, "traded amount", "base coin", nullable=True),
    Column("cost", Type.FLOAT, "traded amount", "quote currency", nullable=True),
)
_BATCH = Column(BATCH, Type.INT, "number of the ingest commit that brought it, from 1 on")
_SUSPECT = Column("suspect", Type.BOOL, "kept, but flagged by a warning rule")


def _never_null(columns: tuple[Column, ...]) -> tuple[Column, ...]:
    return tuple(Column(c.name, c.type, c.meaning, c.unit) for c in columns)


INSTRUMENTS = Table(
    name="instruments",
    row="an instrument",
    columns=(
        _INSTRUMENT,
        Column("kind", Type.TEXT, "future or perpetual"),
        Column("base", Type.TEXT, "base coin"),
        Column("quote", Type.TEXT, "quote currency"),
        Column("settlement", Type.TEXT, "currency of profit and loss"),
        Column("contract_type", Type.TEXT, "inverse or linear"),
        Column("listed_at", Type.TIME, "creation by the exchange's record", "UTC"),
        Column(
            "expires_at", Type.TIME, "expiry, exclusive; null for a perpetual", "UTC", nullable=True
        ),
        Column("tick_size", Type.FLOAT, "smallest price step", "quote per base", nullable=True),
        Column(
            "contract_size", Type.FLOAT, "size of one contract", "quote currency", nullable=True
        ),
        Column("active", Type.BOOL, "open for trading when last discovered"),
        Column(
            "price_index",
            Type.TEXT,
            "index that it settles to, e.g. btc_usd; by the coin where the record has none",
        ),
        Column(
            "term",
            Type.TEXT,
            "daily, weekly, monthly, quarterly or perpetual, by the day (UTC) of the expiry",
        ),
    ),
    key=("instrument",),
    order=("instrument",),
)

RAW_CANDLES = Table(
    name="raw_candles",
    row="a closed candle as received; where a minute has several, the last batch counts",
    columns=(*_CANDLE, _BATCH),
    key=("instrument", "ts", BATCH),
    order=("ts",),
    partition="instrument",
)

CANDLES = Table(
    name="candles",
    row="a candle that passed validation",
    columns=(
        *_never_null(_CANDLE),
        Column("traded", Type.BOOL, "whether anything traded in the minute (volume > 0)"),
        _SUSPECT,
    ),
    key=("instrument", "ts"),
    order=("ts",),
    partition="instrument",
)

# The rule of a candle that was asked for again and came with other values in a later batch.
SUPERSEDED = "superseded"

QUARANTINE = Table(
    name="quarantine",
    row="a raw candle that failed validation, or that a later batch replaced",
    columns=(*_CANDLE, Column("rules", Type.TEXTS, "names of all rules it broke")),
    key=("instrument", "ts"),
    order=("instrument", "ts"),
)

COVERAGE = Table(
    name="coverage",
    row="a maximal interval of an instrument's life with one status",
    columns=(
        _INSTRUMENT,
        Column("start", Type.TIME, "first minute of the interval", "UTC"),
        Column("end", Type.TIME, "end of the interval, exclusive", "UTC"),
        Column("minutes", Type.INT, "length", "minutes"),
        Column("status", Type.TEXT, "present, no_data, missing, failed or never_asked"),
    ),
    key=("instrument", "start"),
    order=("instrument", "start"),
)


def _counts(*meanings: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, Type.INT, meaning, unit) for name, meaning, unit in meanings)


QUALITY = Table(
    name="quality",
    row="an instrument's figures, counted from its first candle to the end asked",
    columns=(
        _INSTRUMENT,
        Column("rows", Type.INT, "raw candles", "rows"),
        Column("first_ts", Type.TIME, "first raw candle", "UTC", nullable=True),
        Column("last_ts", Type.TIME, "last raw candle", "UTC", nullable=True),
        *_counts(
            ("expected_minutes", "minutes from the first candle to the end asked", "minutes"),
            ("missing_minutes", "expected minutes without a raw candle", "minutes"),
            ("gaps", "maximal runs of missing minutes", "gaps"),
            ("gaps_over_10m", "gaps longer than 10 minutes", "gaps"),
            ("longest_gap_minutes", "longest gap", "minutes"),
            ("duplicates", "repeats seen in the exchange's replies", "rows"),
            ("quarantined", "raw candles that failed validation", "rows"),
            ("untraded_minutes", "candles without a trade", "minutes"),
        ),
    ),
    key=("instrument",),
    order=("instrument",),
)

PERIODS = Table(
    name="periods",
    row="an instrument's figures of a few days, made together, in which it has raw candles",
    columns=(
        _INSTRUMENT,
        Column("period", Type.DATE, "first day: the 1st, 5th, 9th, … or 25th of a month", "UTC"),
        Column("rows", Type.INT, "raw candles", "rows"),
        Column("first_ts", Type.TIME, "first raw candle", "UTC"),
        Column("last_ts", Type.TIME, "last raw candle", "UTC"),
        *_counts(
            ("missing_minutes", "minutes between the two without a raw candle", "minutes"),
            ("gaps", "maximal runs of them", "gaps"),
            ("gaps_over_10m", "gaps longer than 10 minutes", "gaps"),
            ("longest_gap_minutes", "longest gap", "minutes"),
            ("quarantined", "raw candles that are not in candles", "rows"),
            ("untraded_minutes", "candles without a trade", "minutes"),
        ),
        Column("warned", Type.TEXT, "candles that each warning rule found, as JSON", "rows"),
    ),
    key=("instrument", "period"),
    order=("instrument", "period"),
)

WARNINGS = Table(
    name="warnings",
    row="an instrument's candles that a warning rule found, of rules that found any",
    columns=(
        _INSTRUMENT,
        Column("rule", Type.TEXT, "name of the rule"),
        Column("rows", Type.INT, "candles that it found; they are kept", "rows"),
    ),
    key=("instrument", "rule"),
    order=("instrument", "rule"),
)

BASIS = Table(
    name="basis",
    row="a minute of a future that its perpetual has too",
    columns=(
        _INSTRUMENT,
        _TS,
        *_prices("quote per base", "future_close", "perpetual_close", nullable=False),
        Column("basis", Type.FLOAT, "future close - perpetual close", "quote per base"),
        Column("basis_pct", Type.FLOAT, "basis / perpetual close x 100", "percent"),
        Column("days_to_expiry", Type.FLOAT, "expires_at - ts", "days"),
        Column(
            "annualised_pct",
            Type.FLOAT,
            "basis_pct x 365 / days_to_expiry; null where 60 minutes or less are left",
            "percent a year",
            nullable=True,
        ),
        Column("market_structure", Type.TEXT, "contango (> 0), backwardation (< 0) or flat (= 0)"),
        Column("future_traded", Type.BOOL, "whether the future traded in the minute"),
        Column("perpetual_traded", Type.BOOL, "whether the perpetual traded in the minute"),
        Column("suspect", Type.BOOL, "either side is flagged by a warning rule"),
    ),
    key=("instrument", "ts"),
    order=("ts",),
    partition="instrument",
)

_AT = Column("at", Type.TIME, "when it was committed, by the clock of the machine that did", "UTC")
_PROGRAM = Column("program", Type.TEXT, "name and version of the program that did")

ASKS = Table(
    name="asks",
    row="a maximal interval of an answer, or of the lack of one, with one status",
    columns=(
        _BATCH,
        _INSTRUMENT,
        Column("start", Type.TIME, "first minute of the interval", "UTC"),
        Column("end", Type.TIME, "end of the interval, exclusive", "UTC"),
        Column("status", Type.TEXT, "present, absent or failed"),
        Column("window_start", Type.TIME, "first minute of the window that was asked for", "UTC"),
        Column("window_end", Type.TIME, "end of the window, exclusive", "UTC"),
        Column("duplicates", Type.INT, "repeats in the answer, told by its first interval", "rows"),
        Column("reason", Type.TEXT, "why there is no answer, where it failed", nullable=True),
        Column("run", Type.TEXT, "the run that asked, by its name", nullable=True),
        _PROGRAM,
        _AT,
    ),
    key=(BATCH, "instrument", "window_start", "start"),
    order=(BATCH, "instrument", "window_start", "start"),
)

RECORDS = Table(
    name="records",
    row="an instrument's record, as it was when it was new or had changed",
    columns=(_BATCH, *INSTRUMENTS.columns, _PROGRAM, _AT),
    key=(BATCH, "instrument"),
    order=(BATCH, "instrument"),
)

# What a build makes, in the order it commits.
CURATED = (CANDLES, BASIS, QUARANTINE, PERIODS, WARNINGS, QUALITY)

BUILDS = Table(
    name="builds",
    row="a build that is wholly committed",
    columns=(
        Column("build", Type.INT, "its number, from 1 on"),
        Column(BATCH, Type.INT, "the newest batch that it was made from"),
        Column("rules", Type.TEXT, "hash of the rules, by their code"),
        Column("settings", Type.TEXT, "the rules' constants, as JSON"),
        Column("asks", Type.INT, "rows of asks up to that batch", "rows"),
        Column("records", Type.INT, "rows of records up to that batch", "rows"),
        *(
            Column(f"{table.name}_version", Type.INT, f"version of {table.name} that it made")
            for table in CURATED
        ),
        _PROGRAM,
        _AT,
    ),
    key=("build",),
    order=("build",),
)

TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        INSTRUMENTS,
        RAW_CANDLES,
        CANDLES,
        QUARANTINE,
        PERIODS,
        WARNINGS,
        COVERAGE,
        QUALITY,
        BASIS,
        ASKS,
        RECORDS,
        BUILDS,
    )
}

# What is fetched; rows are only ever added, each with its batch.
RAW = (RAW_CANDLES, ASKS, RECORDS)
# What a fingerprint covers: all but who did what when, and figures that `quality` sums up.
CONTENT = tuple(t for t in TABLES.values() if t not in (ASKS, RECORDS, BUILDS, PERIODS))
