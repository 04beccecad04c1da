"""`curve`: shows the term structure of the basis, in one minute or each coin's newest minute."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeAlias

import click
import polars as pl

from basislake.output.columns import Heading, Kind
from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.output.tables import print_table
from basislake.settings.named_lake import check_exists
from ingest.plan.selection import select
from lake import Lake
from lake.counted_words import counted
from lake.query import duck
from lake.query.views.curves import LOOK_BACK_DAYS, TERM_STRUCTURE, TERM_STRUCTURE_LATEST
from lake.tables import INSTRUMENTS
from lake.time.intervals import MINUTE, floor_minute
from lake.time.steps import HOURS

# By coin: the end of the hour, and the price.
_Indexes: TypeAlias = Mapping[str, tuple[datetime, float]]

_ABSENT = """
    SELECT base AS coin, instruments.instrument
    FROM instruments
    JOIN (SELECT DISTINCT coin, ts FROM shown) AS minutes ON minutes.coin = base
    ANTI JOIN shown ON shown.instrument = instruments.instrument
    WHERE kind = 'future' AND listed_at <= ts AND ts < instruments.expires_at
    ORDER BY coin, instruments.expires_at, instruments.instrument
"""
# For a coin whose minute has no index: the newest index known at the end of that minute.
_NEWEST_INDEX = """
    SELECT coin, max(hour_end) AS hour_end, arg_max(index_hourly.index_price, hour_end) AS price
    FROM (SELECT DISTINCT coin, ts FROM shown WHERE index_price IS NULL) AS minutes
    JOIN instruments ON base = coin AND kind = 'perpetual'
    JOIN index_hourly ON index_name = price_index AND hour_end <= ts + INTERVAL 1 MINUTE
    GROUP BY coin
"""
# The shown columns; a narrow terminal hides those with the highest rank first.
_SHOWN = {
    "instrument": Heading("instrument"),
    "term": Heading("term", rank=3),
    "expires_at": Heading("expires", rank=4),
    "days_to_expiry": Heading("days left", decimals=2),
    "future_close": Heading("future close", Kind.EXACT),
    "basis": Heading("basis"),
    "basis_pct": Heading("basis %", decimals=3),
    "annualised_pct": Heading("annualised %", decimals=2),
    "index_apr_pct": Heading("index annualised %", decimals=2, rank=1),
    "future_traded_minutes_ago": Heading("traded minutes ago", decimals=0),
    "suspect": Heading("suspect", rank=2),
}


def curve(
    lake: Lake, moment: datetime | None, currencies: tuple[str, ...], *, as_json: bool
) -> int:
    """See `basislake.cli.commands.curve`; return the exit code."""
    check_exists(lake)
    coins = select(currencies).currencies
    found, absent, indexes = _ask(lake, moment, coins)
    newest = found["ts"].max() if found.height else None
    if as_json:
        at = floor_minute(moment) if moment else newest
        without = absent["instrument"].to_list()
        print_json({"at": at, "curve": found.to_dicts(), "without_basis": without})
    else:
        _show(found, absent, indexes)
    if found.is_empty():
        say("No future has a basis in that minute. `basislake status` shows what is stored.")
    return 1 if found.is_empty() else 0


def _ask(
    lake: Lake, moment: datetime | None, coins: tuple[str, ...]
) -> tuple[pl.DataFrame, pl.DataFrame, _Indexes]:
    """The curve of each coin, the futures that were open in its minute but have no basis, and the
    newest known index of each coin that has none for the minute.
    """
    # No text from the user gets into a query: `select` accepts only known coins, and the time is
    # parsed and printed again.
    chosen = ", ".join(f"'{coin}'" for coin in coins)
    among = f"WHERE coin IN ({chosen})" if coins else ""
    view = TERM_STRUCTURE if moment else TERM_STRUCTURE_LATEST
    curve = f"{view.name}('{moment.isoformat()}')" if moment else view.name
    with lake.duckdb([view.name, INSTRUMENTS.name]) as connection:
        rows = duck.rows(connection, f"FROM {curve} {among} ORDER BY coin, expires_at, instrument")
        connection.register("shown", rows)
        indexes = {
            row["coin"]: (row["hour_end"], row["price"])
            for row in duck.rows(connection, _NEWEST_INDEX).to_dicts()
        }
        return rows, duck.rows(connection, _ABSENT), indexes


def _show(found: pl.DataFrame, absent: pl.DataFrame, indexes: _Indexes) -> None:
    for place, ((coin,), rows) in enumerate(found.group_by("coin", maintain_order=True)):
        if place:
            click.echo()
        names = absent.filter(coin=coin)["instrument"].to_list()
        note = f"Open futures without a basis in this minute: {', '.join(names)}." if names else ""
        print_table(
            _title(rows.row(0, named=True), indexes.get(str(coin))),
            list(_SHOWN.values()),
            rows.select(*_SHOWN).rows(),
            note=note,
        )


def _title(row: Mapping[str, Any], newest: tuple[datetime, float] | None) -> str:
    """The coin, the minute, and what all its futures share: the perpetual and the index."""
    ago = row["perpetual_traded_minutes_ago"]
    untraded = f"not traded for {LOOK_BACK_DAYS} days"
    traded = untraded if ago is None else f"last traded {counted(ago, 'minute')} ago"
    perpetual = f"perpetual at {row['perpetual_close']:.12g}, {traded}"
    index = row["index_price"]
    known = _unknown(row["ts"], newest)
    if index is not None:
        known = f"index at {index:.12g} in the last full hour"
    return f"{row['coin']} at {row['ts']:%Y-%m-%d %H:%M}Z: {perpetual}; {known}"


def _unknown(ts: datetime, newest: tuple[datetime, float] | None) -> str:
    """Why there is no index; and the newest known index, with its age at the minute."""
    lacking = f"the index of {HOURS.floor(ts + MINUTE):%H:%M}Z is not stored"
    if newest is None:
        return f"{lacking}, nor any before it; `basislake backfill` fetches funding, which has it"
    hour_end, price = newest
    age = counted((ts + MINUTE - hour_end) // MINUTE, "minute")
    return f"{lacking}; the newest known is {price:.12g} of {hour_end:%Y-%m-%d %H:%M}Z, {age} older"
