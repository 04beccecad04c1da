"""The tables of carry: what a perpetual pays, where futures deliver, and how much is open."""

from lake.table import BATCH, Column, Table, Type

_INSTRUMENT = Column("instrument", Type.TEXT, "the exchange's name of the instrument")
_BATCH = Column(BATCH, Type.INT, "number of the ingest commit that brought it, from 1 on")
_HOUR_END = Column("hour_end", Type.TIME, "end of the hour that the row covers", "UTC")
_INDEX_NAME = Column("index_name", Type.TEXT, "the exchange's name of the index")


def _funding(*, nullable: bool) -> tuple[Column, ...]:
    def price(name: str, meaning: str, *, may_lack: bool = nullable) -> Column:
        return Column(name, Type.FLOAT, meaning, "quote per base", nullable=may_lack)

    def rate(name: str, meaning: str) -> Column:
        return Column(name, Type.FLOAT, meaning, "fraction of the notional", nullable=nullable)

    return (
        price("index_price", "index at the end of the hour"),
        # The exchange's first row has no hour before it.
        price("prev_index_price", "index at its start", may_lack=True),
        rate("interest_1h", "what a long position paid in the hour"),
        rate("interest_8h", "trailing rate over eight hours"),
    )


RAW_FUNDING = Table(
    name="raw_funding",
    row="an hour of a perpetual as received; where it has several, the last batch counts",
    columns=(_INSTRUMENT, _HOUR_END, *_funding(nullable=True), _BATCH),
    key=("instrument", "hour_end", BATCH),
    order=("instrument", "hour_end", BATCH),
)

FUNDING = Table(
    name="funding",
    row="an hour of a perpetual that passed validation",
    columns=(_INSTRUMENT, _HOUR_END, *_funding(nullable=False)),
    key=("instrument", "hour_end"),
    order=("instrument", "hour_end"),
)


def _total(*, nullable: bool) -> tuple[Column, ...]:
    return (
        _INSTRUMENT,
        Column("month", Type.DATE, "first day of the calendar month", "UTC"),
        Column(
            "total",
            Type.FLOAT,
            "funding of the month by the exchange's own sum",
            "fraction of the notional",
            nullable=nullable,
        ),
    )


RAW_FUNDING_TOTALS = Table(
    name="raw_funding_totals",
    row="a perpetual's calendar month as received; where it has several, the last batch counts",
    columns=(*_total(nullable=True), _BATCH),
    key=("instrument", "month", BATCH),
    order=("instrument", "month", BATCH),
)

FUNDING_TOTALS = Table(
    name="funding_totals",
    row="the exchange's own total of a perpetual's calendar month",
    columns=_total(nullable=False),
    key=("instrument", "month"),
    order=("instrument", "month"),
)


def _delivery(*, nullable: bool) -> tuple[Column, ...]:
    price = "average of the index over the half hour before"
    return (
        _INDEX_NAME,
        Column("delivered_at", Type.TIME, "08:00 of the day", "UTC"),
        Column("delivery_price", Type.FLOAT, price, "quote per base", nullable=nullable),
    )


RAW_DELIVERIES = Table(
    name="raw_deliveries",
    row="an index's day as received; where it has several, the last batch counts",
    columns=(*_delivery(nullable=True), _BATCH),
    key=("index_name", "delivered_at", BATCH),
    order=("index_name", "delivered_at", BATCH),
)

DELIVERIES = Table(
    name="deliveries",
    row="the delivery price of an index on a day",
    columns=_delivery(nullable=False),
    key=("index_name", "delivered_at"),
    order=("index_name", "delivered_at"),
)


def _settlement(*, nullable: bool) -> tuple[Column, ...]:
    def number(name: str, meaning: str, unit: str) -> Column:
        return Column(name, Type.FLOAT, meaning, unit, nullable=nullable)

    return (
        _INSTRUMENT,
        Column("settled_at", Type.TIME, "as the exchange sent it, some ms after 08:00", "UTC"),
        Column("type", Type.TEXT, "settlement, or delivery at expiry"),
        number("position", "open interest", "USD, of inverse contracts"),
        number("mark_price", "mark price", "quote per base"),
        number("index_price", "index, at a delivery the delivery price", "quote per base"),
    )


RAW_SETTLEMENTS = Table(
    name="raw_settlements",
    row="an instrument's day as received; where it has several, the last batch counts",
    columns=(*_settlement(nullable=True), _BATCH),
    key=("instrument", "settled_at", "type", BATCH),
    order=("instrument", "settled_at", "type", BATCH),
)

SETTLEMENTS = Table(
    name="settlements",
    row="an instrument's daily settlement, or its delivery",
    columns=_settlement(nullable=False),
    key=("instrument", "settled_at", "type"),
    order=("instrument", "settled_at", "type"),
)

REJECTED = Table(
    name="rejected",
    row="a raw row of funding, totals, deliveries or settlements that is not among the curated",
    columns=(
        Column("dataset", Type.TEXT, "funding, funding_totals, deliveries or settlements"),
        Column("instrument", Type.TEXT, "whose row it is, of deliveries the index"),
        Column(
            "ts", Type.TIME, "the row's own time: hour_end, month, delivered_at, settled_at", "UTC"
        ),
        Column("rules", Type.TEXTS, "names of all rules it broke"),
        Column("row", Type.TEXT, "its cells, as JSON"),
    ),
    key=("dataset", "instrument", "ts"),
    order=("dataset", "instrument", "ts"),
)

# What is fetched, and what a build makes of it.
RAW_CARRY = (RAW_FUNDING, RAW_FUNDING_TOTALS, RAW_DELIVERIES, RAW_SETTLEMENTS)
CARRY = (FUNDING, FUNDING_TOTALS, DELIVERIES, SETTLEMENTS, REJECTED)
