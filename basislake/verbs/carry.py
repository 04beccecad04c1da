"""`carry`: shows basis, funding and open interest of every open future in one minute."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click
import polars as pl

from basislake.output.columns import Heading, Kind
from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.output.tables import print_table
from basislake.settings.named_lake import check_exists
from ingest.plan.selection import select
from lake import Lake
from lake.carry_tables import FUNDING
from lake.files.slices import newest_minutes
from lake.query import duck
from lake.query.views.carry import CARRY_AT, TRAILING_DAYS
from lake.state import State
from lake.tables import BASIS, INSTRUMENTS
from lake.time.intervals import MINUTE, floor_minute
from lake.time.steps import HOUR

# By coin, the newest hour whose index is known.
_INDEXED = """
    SELECT base, max(hour_end) FROM funding JOIN instruments USING (instrument) GROUP BY base
"""
_LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
# The shown columns; a narrow terminal hides those with the highest rank first.
_SHOWN = {
    "instrument": Heading("instrument"),
    "term": Heading("term", rank=5),
    "expires_at": Heading("expires", rank=6),
    "days_to_expiry": Heading("days left", decimals=2),
    "future_close": Heading("future close", Kind.EXACT, rank=3),
    "perpetual_basis_pct": Heading("basis %", decimals=3, rank=4),
    "perpetual_apr_pct": Heading("perpetual annualised %", decimals=2),
    "index_basis_pct": Heading("index basis %", decimals=3, rank=4),
    "index_apr_pct": Heading("index annualised %", decimals=2),
    "less_funding_7d_pct": Heading("less 7-day funding %", decimals=2),
    "less_funding_30d_pct": Heading("less 30-day funding %", decimals=2),
    "open_interest": Heading("open interest USD", decimals=0),
    "future_traded": Heading("traded", rank=1),
    "suspect": Heading("suspect", rank=2),
}


def carry(
    lake: Lake, moment: datetime | None, currencies: tuple[str, ...], *, as_json: bool
) -> int:
    """See `basislake.cli.commands.carry`; return the exit code."""
    check_exists(lake)
    found = _ask(lake, moment, select(currencies).currencies)
    if as_json:
        at = floor_minute(moment) if moment else found["ts"].max()
        print_json({"at": at, "carry": found.to_dicts()})
    else:
        _show(found)
    has_prices = found["future_close"].is_not_null().any()
    if not has_prices:
        say("No open future has a price in that minute. `basislake status` shows what is stored.")
    return 0 if has_prices else 1


def _ask(lake: Lake, moment: datetime | None, coins: tuple[str, ...]) -> pl.DataFrame:
    """The rows of `carry_at`: of one moment, or of each coin at its newest minute."""
    still = lake.state()
    with still.duckdb([CARRY_AT.name, INSTRUMENTS.name, FUNDING.name]) as connection:
        newest = {} if moment else _newest(still, dict(duck.rows(connection, _INDEXED).rows()))
        # Times are parsed and printed again, so no text from the user gets into a query.
        moments = {moment} if moment else {ts for c, ts in newest.items() if c in (coins or newest)}
        # Without a basis there is no newest minute; a minute long ago gives an empty table.
        rows = pl.concat(
            duck.rows(connection, f"FROM {CARRY_AT.name}('{ts.isoformat()}')")
            for ts in moments or {_LONG_AGO}
        )
    is_wanted = pl.col("coin").is_in(coins) if coins else pl.lit(value=True)
    if not moment:
        is_wanted &= pl.col("ts") == pl.col("coin").replace_strict(
            newest, default=None, return_dtype=rows.schema["ts"]
        )
    return rows.filter(is_wanted).sort("coin", "expires_at", "instrument")


def _newest(still: State, indexed: Mapping[str, datetime]) -> dict[str, datetime]:
    """The minute to show of each coin: the newest that has a basis.

    The index of an hour comes a minute after the hour: until then the minute before tells more.
    """
    bases = dict(still.read(INSTRUMENTS).select("instrument", "base").iter_rows())
    found: dict[str, datetime] = {}
    for name, ts in newest_minutes(still.snapshot(BASIS)).items():
        if coin := bases.get(name):
            found[coin] = max(ts, found.get(coin, ts))
    is_early = {coin: indexed.get(coin) == ts + MINUTE - HOUR for coin, ts in found.items()}
    return {coin: ts - MINUTE if is_early[coin] else ts for coin, ts in sorted(found.items())}


def _show(found: pl.DataFrame) -> None:
    for place, (_, rows) in enumerate(found.group_by("coin", maintain_order=True)):
        if place:
            click.echo()
        print_table(
            _title(rows.row(0, named=True)),
            list(_SHOWN.values()),
            rows.select(*_SHOWN).rows(),
            note=_missing(rows),
        )


def _title(row: Mapping[str, Any]) -> str:
    """The coin, the minute, and what all its futures share: perpetual, index, funding."""
    index = f"index {_price(row['index_price'])} of {row['index_hour_end']:%H:%M}Z"
    paid = ", ".join(f"{_rate(row[f'funding_{n}d_pct'])} over {n} days" for n in TRAILING_DAYS)
    return (
        f"{row['coin']} at {row['ts']:%Y-%m-%d %H:%M}Z: perpetual {_price(row['perpetual_close'])},"
        f" {index}, funding a year: {paid}"
    )


def _price(value: float | None) -> str:
    return "-" if value is None else f"{value:.12g}"


def _rate(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f} %"


def _missing(rows: pl.DataFrame) -> str:
    """What is missing and for which futures, a line each."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in rows.select("instrument", "reason").rows():
        for part in reason.split("; ") if reason else []:
            by_reason.setdefault(part, []).append(name)
    lines = []
    for reason, names in by_reason.items():
        of = "every future" if len(names) == rows.height > 1 else ", ".join(names)
        lines.append(f"Missing: {reason} ({of}).")
    return "\n".join(lines)
