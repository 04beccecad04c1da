"""The tables of carry: funding of perpetuals, delivery prices of futures, and open interest."""

from dataclasses import replace

from lake.table import BATCH, Column, Table, Type

_INSTRUMENT = Column("instrument", Type.TEXT, "the exchange's name of the instrument")
_BATCH = Column(BATCH, Type.INT, "number of the ingest commit that brought it, from 1 on")


def _price(name: str, meaning: str, *, nullable: bool = False) -> Column:
    return Column(name, Type.FLOAT, meaning, "quote per base", nullable=nullable)


def _rate(name: str, meaning: str) -> Column:
    return Column(name, Type.FLOAT, meaning, "fraction of the notional")


FUNDING = Table(
    name="funding",
    row="an hour of a perpetual that passed validation",
    columns=(
        _INSTRUMENT,
        Column("hour_end", Type.TIME, "end of the hour that the row covers", "UTC"),
        _price("index_price", "index at the end of the hour"),
        # The exchange's first row has no hour before it.
        _price("prev_index_price", "index at the start of the hour", nullable=True),
        _rate("interest_1h", "funding that a long position paid in the hour"),
        _rate("interest_8h", "trailing rate over eight hours"),
    ),
    key=("instrument", "hour_end"),
)

FUNDING_TOTALS = Table(
    name="funding_totals",
    row="the exchange's own funding total of a perpetual's calendar month",
    columns=(
        _INSTRUMENT,
        Column("month", Type.DATE, "first day of the calendar month", "UTC"),
        _rate("total", "funding of the month, as the exchange sums it"),
    ),
    key=("instrument", "month"),
)

DELIVERIES = Table(
    name="deliveries",
    row="the delivery price of an index on a day",
    columns=(
        Column("index_name", Type.TEXT, "the exchange's name of the index"),
        Column("delivered_at", Type.TIME, "08:00 of the day", "UTC"),
        _price("delivery_price", "average of the index over the half hour before"),
    ),
    key=("index_name", "delivered_at"),
)

SETTLEMENTS = Table(
    name="settlements",
    row="an instrument's daily settlement, or its delivery",
    columns=(
        _INSTRUMENT,
        Column("settled_at", Type.TIME, "as the exchange sent it, some ms after 08:00", "UTC"),
        Column("type", Type.TEXT, "settlement, or delivery at expiry"),
        Column("position", Type.FLOAT, "open interest", "USD, of inverse contracts"),
        _price("mark_price", "mark price"),
        _price("index_price", "index; for a delivery, the delivery price"),
    ),
    key=("instrument", "settled_at", "type"),
)


def _received(table: Table, what: str) -> Table:
    """The raw table of a curated one: any value may be absent, and each batch keeps its rows."""
    columns = (replace(c, nullable=c.name not in table.key) for c in table.columns)
    return Table(
        name=f"raw_{table.name}",
        row=f"{what} as received; if received several times, the row of the last batch counts",
        columns=(*columns, _BATCH),
        key=(*table.key, BATCH),
    )


RAW_FUNDING = _received(FUNDING, "an hour of a perpetual")
RAW_FUNDING_TOTALS = _received(FUNDING_TOTALS, "a perpetual's calendar month")
RAW_DELIVERIES = _received(DELIVERIES, "an index's day")
RAW_SETTLEMENTS = _received(SETTLEMENTS, "an instrument's day")

REJECTED = Table(
    name="rejected",
    row="a raw row of funding, totals, deliveries or settlements that no curated table contains",
    columns=(
        Column("dataset", Type.TEXT, "funding, funding_totals, deliveries or settlements"),
        Column("instrument", Type.TEXT, "instrument of the row; for deliveries, the index"),
        Column(
            "ts", Type.TIME, "the row's own time: hour_end, month, delivered_at, settled_at", "UTC"
        ),
        Column("rules", Type.TEXTS, "names of all rules it broke"),
        Column("row", Type.TEXT, "the cells of the row, as JSON"),
    ),
    key=("dataset", "instrument", "ts"),
)

# Raw tables that ingest writes, and tables that a build writes from them.
RAW_CARRY = (RAW_FUNDING, RAW_FUNDING_TOTALS, RAW_DELIVERIES, RAW_SETTLEMENTS)
CARRY = (FUNDING, FUNDING_TOTALS, DELIVERIES, SETTLEMENTS, REJECTED)
