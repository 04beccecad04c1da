"""The one declaration of each table of the lake; those of carry are in `lake.carry_tables`."""

from dataclasses import replace

from lake.carry_tables import CARRY, RAW_CARRY
from lake.table import BATCH, Column, Table, Type

_INSTRUMENT = Column("instrument", Type.TEXT, "the exchange's name of the instrument")
_TS = Column("ts", Type.TIME, "the minute's open", "UTC")


_CANDLE = (
    _INSTRUMENT,
    _TS,
    *(
        Column(name, Type.FLOAT, f"{name} price", "quote per base", nullable=True)
        for name in ("open", "high", "low", "close")
    ),
    Column("volume", Type.FLOAT, "traded amount", "base coin", nullable=True),
    Column("cost", Type.FLOAT, "traded amount", "quote currency", nullable=True),
)
_BATCH = Column(BATCH, Type.INT, "number of the ingest commit that brought it, from 1 on")
_DATASET = Column(
    "dataset", Type.TEXT, "candles, funding, funding_totals, deliveries or settlements"
)
_SUSPECT = Column("suspect", Type.BOOL, "whether a warning rule flagged the row; flagged rows stay")


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
        Column("listed_at", Type.TIME, "time of creation in the exchange's record", "UTC"),
        Column(
            "expires_at", Type.TIME, "expiry, exclusive; null for a perpetual", "UTC", nullable=True
        ),
        Column("tick_size", Type.FLOAT, "smallest price step", "quote per base", nullable=True),
        Column(
            "contract_size", Type.FLOAT, "size of one contract", "quote currency", nullable=True
        ),
        Column("active", Type.BOOL, "open for trading at the last discovery"),
        Column(
            "price_index",
            Type.TEXT,
            "index that it settles to, e.g. btc_usd; derived from the coin if the record has none",
        ),
        Column(
            "term",
            Type.TEXT,
            "daily, weekly, monthly, quarterly or perpetual, from the day (UTC) of the expiry",
        ),
    ),
    key=("instrument",),
)

RAW_CANDLES = Table(
    name="raw_candles",
    row="a closed candle as received; where a minute has several, the row of the last batch counts",
    columns=(*_CANDLE, _BATCH),
    key=("instrument", "ts", BATCH),
    order=("ts",),
    partition="instrument",
)

CANDLES = Table(
    name="candles",
    row="a candle that passed validation",
    columns=(
        *(replace(column, nullable=False) for column in _CANDLE),
        Column("traded", Type.BOOL, "whether anything traded in the minute (volume > 0)"),
        _SUSPECT,
    ),
    key=("instrument", "ts"),
    order=("ts",),
    partition="instrument",
)

# The rule of a candle that a later batch fetched again with other values.
SUPERSEDED = "superseded"

QUARANTINE = Table(
    name="quarantine",
    row="a raw candle that failed validation, or that a later batch replaced",
    columns=(*_CANDLE, Column("rules", Type.TEXTS, "names of all rules it broke")),
    key=("instrument", "ts"),
)

COVERAGE = Table(
    name="coverage",
    row="a maximal interval of an instrument's life with one status",
    columns=(
        Column("instrument", Type.TEXT, "the exchange's name of the instrument, or of the index"),
        Column("start", Type.TIME, "start of the interval", "UTC"),
        Column("end", Type.TIME, "end of the interval, exclusive", "UTC"),
        Column("minutes", Type.INT, "length", "minutes"),
        Column("status", Type.TEXT, "present, no_data, missing, failed or never_asked"),
        _DATASET,
    ),
    key=("dataset", "instrument", "start"),
)


def _counts(*meanings: tuple[str, str, str]) -> tuple[Column, ...]:
    return tuple(Column(name, Type.INT, meaning, unit) for name, meaning, unit in meanings)


_GAPS = (
    ("gaps", "maximal runs of missing minutes", "gaps"),
    ("gaps_over_10m", "gaps longer than 10 minutes", "gaps"),
    ("longest_gap_minutes", "longest gap", "minutes"),
)

QUALITY = Table(
    name="quality",
    row="an instrument's figures, counted from its first candle to the end of the requested time",
    columns=(
        _INSTRUMENT,
        Column("rows", Type.INT, "raw candles", "rows"),
        Column("first_ts", Type.TIME, "first raw candle", "UTC", nullable=True),
        Column("last_ts", Type.TIME, "last raw candle", "UTC", nullable=True),
        *_counts(
            ("expected_minutes", "minutes from the first candle to the end requested", "minutes"),
            ("missing_minutes", "expected minutes without a raw candle", "minutes"),
            *_GAPS,
            ("duplicates", "repeats seen in the exchange's replies", "rows"),
            ("quarantined", "raw candles that failed validation", "rows"),
            ("untraded_minutes", "candles without a trade", "minutes"),
        ),
    ),
    key=("instrument",),
)

PERIODS = Table(
    name="periods",
    row="an instrument's figures of a period of a few days in which it has raw candles",
    columns=(
        _INSTRUMENT,
        Column("period", Type.DATE, "first day: the 1st, 5th, 9th, … or 25th of a month", "UTC"),
        Column("rows", Type.INT, "raw candles", "rows"),
        Column("first_ts", Type.TIME, "first raw candle", "UTC"),
        Column("last_ts", Type.TIME, "last raw candle", "UTC"),
        *_counts(
            ("missing_minutes", "minutes between the two without a raw candle", "minutes"),
            *_GAPS,
            ("quarantined", "raw candles that are not in candles", "rows"),
            ("untraded_minutes", "candles without a trade", "minutes"),
        ),
        Column("warned", Type.TEXT, "candles that each warning rule flagged, as JSON", "rows"),
    ),
    key=("instrument", "period"),
)

WARNINGS = Table(
    name="warnings",
    row="a warning rule that flagged candles, or hours of funding, of an instrument",
    columns=(
        _INSTRUMENT,
        Column("rule", Type.TEXT, "name of the rule"),
        Column("rows", Type.INT, "rows that the rule flagged; they stay in their table", "rows"),
    ),
    key=("instrument", "rule"),
)

BASIS = Table(
    name="basis",
    row="a minute in which a future and its perpetual both have a candle",
    columns=(
        _INSTRUMENT,
        _TS,
        Column("future_close", Type.FLOAT, "close of the future's minute", "quote per base"),
        Column("perpetual_close", Type.FLOAT, "close of the perpetual's minute", "quote per base"),
        Column("basis", Type.FLOAT, "future close - perpetual close", "quote per base"),
        Column("basis_pct", Type.FLOAT, "basis / perpetual close x 100", "percent"),
        Column("days_to_expiry", Type.FLOAT, "expires_at - ts", "days"),
        Column(
            "annualised_pct",
            Type.FLOAT,
            "basis_pct x 365 / days_to_expiry; null if 60 minutes or less are left",
            "percent a year",
            nullable=True,
        ),
        Column("market_structure", Type.TEXT, "contango (> 0), backwardation (< 0) or flat (= 0)"),
        Column("future_traded", Type.BOOL, "whether the future traded in the minute"),
        Column("perpetual_traded", Type.BOOL, "whether the perpetual traded in the minute"),
        Column("suspect", Type.BOOL, "whether a warning rule flagged either leg"),
    ),
    key=("instrument", "ts"),
    order=("ts",),
    partition="instrument",
)

_AT = Column("at", Type.TIME, "time of the commit, by the clock of the writing machine", "UTC")
_PROGRAM = Column("program", Type.TEXT, "name and version of the program that wrote the row")

ASKS = Table(
    name="asks",
    row="a maximal interval of the requested time with one status",
    columns=(
        _BATCH,
        _DATASET,
        Column("instrument", Type.TEXT, "the exchange's name of the instrument, or of the index"),
        Column("start", Type.TIME, "start of the interval", "UTC"),
        Column("end", Type.TIME, "end of the interval, exclusive", "UTC"),
        Column("status", Type.TEXT, "present, absent or failed"),
        Column("window_start", Type.TIME, "start of the requested window", "UTC"),
        Column("window_end", Type.TIME, "end of the window, exclusive", "UTC"),
        Column("duplicates", Type.INT, "repeats in the answer, in its first interval", "rows"),
        Column("reason", Type.TEXT, "why the request failed; else null", nullable=True),
        Column("run", Type.TEXT, "name of the run that requested it", nullable=True),
        _PROGRAM,
        _AT,
    ),
    key=(BATCH, "dataset", "instrument", "window_start", "start"),
)

RECORDS = Table(
    name="records",
    row="an instrument's record, stored when it was new or changed",
    columns=(_BATCH, *INSTRUMENTS.columns, _PROGRAM, _AT),
    key=(BATCH, "instrument"),
)

# Tables that a build writes, in the order of its commits.
CURATED = (CANDLES, BASIS, *CARRY, QUARANTINE, PERIODS, WARNINGS, QUALITY)

BUILDS = Table(
    name="builds",
    row="a build whose commits are complete",
    columns=(
        Column("build", Type.INT, "number of the build, from 1 on"),
        Column(BATCH, Type.INT, "newest batch that it was built from"),
        Column("rules", Type.TEXT, "hash of the rules' code"),
        Column("settings", Type.TEXT, "the rules' constants, as JSON"),
        Column("asks", Type.INT, "rows of asks up to that batch", "rows"),
        Column("records", Type.INT, "rows of records up to that batch", "rows"),
        *(
            Column(f"{table.name}_version", Type.INT, f"version of {table.name} that it wrote")
            for table in CURATED
        ),
        _PROGRAM,
        _AT,
    ),
    key=("build",),
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
        *RAW_CARRY,
        *CARRY,
        ASKS,
        RECORDS,
        BUILDS,
    )
}

# Raw tables: rows are only ever added, each with its batch.
RAW = (RAW_CANDLES, *RAW_CARRY, ASKS, RECORDS)
# Tables in a fingerprint: all except logs of actions, and figures that `quality` sums up.
CONTENT = tuple(t for t in TABLES.values() if t not in (ASKS, RECORDS, BUILDS, PERIODS))
