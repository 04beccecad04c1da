"""`curve`: the term structure of the basis in one minute."""

from datetime import datetime

import click
import polars as pl

from basislake.columns import Column
from basislake.output import print_json, say
from basislake.settings import check_exists
from basislake.tables import print_table
from ingest.selection import select
from lake import Lake, duck
from lake.spans import floor_minute

# What of a row is shown, and how; the first hidden in a narrow terminal have the highest rank.
_SHOWN = {
    "instrument": Column("instrument"),
    "expires_at": Column("expires", rank=4),
    "days_to_expiry": Column("days left", decimals=2),
    "future_close": Column("future close"),
    "perpetual_close": Column("perpetual close", rank=2),
    "basis": Column("basis"),
    "basis_pct": Column("basis %", decimals=3),
    "annualised_pct": Column("annualised %", decimals=2),
    "future_traded": Column("future traded", rank=1),
    "perpetual_traded": Column("perpetual traded", rank=3),
    "suspect": Column("suspect"),
}


def curve(
    where: Lake, moment: datetime | None, currencies: tuple[str, ...], *, as_json: bool
) -> int:
    """See `basislake.commands.curve`; return the exit code."""
    check_exists(where)
    coins = select(currencies).currencies
    moment, found = _ask(where, moment, coins)
    if as_json:
        print_json({"at": moment, "curve": found.to_dicts()})
    elif moment:
        _show(moment, found)
    if found.is_empty():
        say("No future has a basis there. `basislake status` shows what the lake holds.")
    return 1 if found.is_empty() else 0


def _ask(
    where: Lake, moment: datetime | None, coins: tuple[str, ...]
) -> tuple[datetime | None, pl.DataFrame]:
    """The minute and its rows; None and no rows where the lake has no basis."""
    # No text of the user's gets into a query: `select` lets only the known coins through, and a
    # time is written by its type.
    chosen = ", ".join(f"'{coin}'" for coin in coins)
    among = f"WHERE coin IN ({chosen})" if coins else ""
    of_coins = f"SEMI JOIN (FROM instruments WHERE base IN ({chosen})) USING (instrument)"
    connection = where.duckdb()
    try:
        if moment is None:
            newest = f"SELECT max(ts) FROM basis {of_coins if coins else ''}"
            moment = duck.rows(connection, newest).item()
        if moment is None:
            return None, pl.DataFrame()
        query = f"FROM term_structure('{moment.isoformat()}') {among}"
        rows = duck.rows(connection, f"{query} ORDER BY coin, expires_at, instrument")
    finally:
        connection.close()
    return floor_minute(moment), rows


def _show(moment: datetime, found: pl.DataFrame) -> None:
    for place, ((coin,), rows) in enumerate(found.group_by("coin", maintain_order=True)):
        if place:
            click.echo()
        title = f"{coin} at {moment:%Y-%m-%d %H:%M}Z"
        print_table(title, list(_SHOWN.values()), rows.select(*_SHOWN).rows())
