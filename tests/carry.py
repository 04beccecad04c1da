"""The true carry data of a simulated market, as the raw tables should contain it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import polars as pl

from basislake.simulator.carry import DAY_MS, HOUR_MS, MarketCarry
from basislake.simulator.market import MINUTE_MS
from basislake.simulator.universe import Universe
from ingest.plan.selection import Selection
from lake import Lake
from lake.carry_tables import RAW_CARRY
from lake.files.slices import month_span, months_in
from lake.table import BATCH, Table
from lake.time.intervals import Span
from tests.lakes import schema_of

# All but candles.
CARRY = Selection(data=("funding", "deliveries", "settlements"))
_FUNDING = ("index_price", "prev_index_price", "interest_1h", "interest_8h")
_SETTLEMENT = ("type", "position", "mark_price", "index_price")
_SETTLED_MS, _SETTLEMENT_LAG_MS = 8 * HOUR_MS, 5 * MINUTE_MS


def carry_truth(universe: Universe, now_ms: int | None = None) -> dict[str, pl.DataFrame]:
    """What each raw table should hold, without batches, sorted by key."""
    at_ms = universe.now_ms if now_ms is None else now_ms
    truth = MarketCarry(universe)
    names = [name for name, one in universe.contracts.items() if one.is_listed(at_ms)]
    perpetuals = [name for name in names if universe.contracts[name].kind == "perpetual"]
    found: Mapping[str, list[Mapping[str, Any]]] = {
        "raw_funding": [
            {"instrument": name, "hour_end": time_of(row["timestamp"])}
            | {column: row.get(column) for column in _FUNDING}
            for name in perpetuals
            for row in truth.funding(name, 0, (at_ms - MINUTE_MS) // HOUR_MS * HOUR_MS)
        ],
        "raw_funding_totals": [
            {"instrument": name, "month": month.date(), "total": truth.total(name, *_ms(month))}
            for name in perpetuals
            for month in months_in(
                Span(time_of(universe.contracts[name].listed_ms), time_of(at_ms - MINUTE_MS))
            )
            if month_span(month).end <= time_of(at_ms - MINUTE_MS)
        ],
        "raw_deliveries": list(_deliveries(universe, truth, names, at_ms)),
        "raw_settlements": [
            {"instrument": name, "settled_at": time_of(row["timestamp"])}
            | {column: row[column] for column in _SETTLEMENT}
            for name in names
            for row in truth.settlements(name, _last_settled_ms(at_ms) + MINUTE_MS)
        ],
    }
    return {table.name: _frame(table, found[table.name]) for table in RAW_CARRY}


def stored_carry(lake: Lake) -> dict[str, pl.DataFrame]:
    """What each raw table holds, without batches, sorted by key."""
    return {table.name: _sorted(table, lake.read(table).drop(BATCH)) for table in RAW_CARRY}


def _deliveries(
    universe: Universe, truth: MarketCarry, names: Iterable[str], at_ms: int
) -> Iterable[Mapping[str, Any]]:
    """Each index's days, from that on which its first future was listed."""
    first: dict[str, int] = {}
    for name in names:
        one = universe.contracts[name]
        if one.kind == "future":
            index = f"{one.base}_{one.quote}".lower()
            first[index] = min(one.listed_ms, first.get(index, one.listed_ms))
    for index, listed_ms in first.items():
        for day in truth.days(index, _last_settled_ms(at_ms)):
            if day * DAY_MS + _SETTLED_MS > listed_ms:
                row = truth.delivery(index, day)
                yield {
                    "index_name": index,
                    "delivered_at": time_of(day * DAY_MS + _SETTLED_MS),
                    "delivery_price": row["delivery_price"],
                }


def _last_settled_ms(at_ms: int) -> int:
    """The last 08:00 whose settlements are believed to be there."""
    day = (at_ms - _SETTLED_MS - _SETTLEMENT_LAG_MS) // DAY_MS
    return day * DAY_MS + _SETTLED_MS


def _frame(table: Table, rows: list[Mapping[str, Any]]) -> pl.DataFrame:
    return _sorted(table, pl.DataFrame(rows, schema_of(table), orient="row"))


def _sorted(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    return frame.sort([name for name in table.key if name != BATCH])


def _ms(month: datetime) -> tuple[int, int]:
    start, end = month_span(month)
    return int(start.timestamp()) * 1000, int(end.timestamp()) * 1000


def time_of(ms: object) -> datetime:
    """The time that the exchange means by a number."""
    return datetime.fromtimestamp(int(str(ms)) / 1000, UTC)
