"""`curve`: the term structure of the basis in one minute."""

from datetime import datetime

import click
import polars as pl

from basislake.options import Time, json_option, lake_option
from basislake.output import print_json, print_table, say
from basislake.settings import check_exists
from ingest.selection import select
from lake import Lake, duck
from lake.spans import floor_minute

_SHOWN = (
    "instrument", "expires_at", "days_to_expiry", "future_close", "perpetual_close", "basis",
    "basis_pct", "annualised_pct", "future_traded", "perpetual_traded", "suspect",
)  # fmt: skip


@click.command(short_help="Show the basis by expiry at one time")
@lake_option
@click.option(
    "--at",
    "moment",
    metavar="TIME",
    type=Time(),
    help="UTC date or time, to the minute; by default the newest minute that has a basis",
)
@click.option(
    "--currency",
    "currencies",
    metavar="COIN",
    multiple=True,
    help="BTC or ETH; repeat, or separate by commas",
)
@json_option
def curve(
    where: Lake, moment: datetime | None, currencies: tuple[str, ...], *, as_json: bool
) -> int:
    """Show the term structure: every open future's basis in one minute, by expiry.

    Nothing comes from another minute: a future that has no basis then is left out, and the columns
    `traded` tell whether a price is a trade or a repeated close. Exit code 1 where no future has
    one.

    \b
    Example:
        basislake curve
        basislake curve --at 2024-03-28T17:31Z --currency BTC
    """
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
    for (coin,), rows in found.group_by("coin", maintain_order=True):
        print_table(f"{coin} at {moment:%Y-%m-%d %H:%M}Z", _SHOWN, rows.select(_SHOWN).rows())
