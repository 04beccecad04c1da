"""The command `plan`."""

import click

from basislake.cli.options import (
    data_option,
    exchange_options,
    json_option,
    lake_option,
    selection_options,
    verb,
    wide_option,
)


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@click.option("--repair", is_flag=True, help="Also count what `backfill --repair` fetches again")
@click.option("--again", is_flag=True, help="Also count what `backfill --again` fetches again")
@wide_option
@json_option
@verb
def plan() -> None:
    """Show what a backfill would fetch, and write nothing.

    Lists calls, candles and bytes of each instrument in the lake's scope, sorted by expiry, and the
    calls for funding, deliveries and settlements. Then estimates how long all calls take, and the
    disk for the candles in the lake and in PostgreSQL. With --rate auto it assumes the rate that
    the last run reached, else the published limit. Makes one call, for the exchange's clock. Exit
    code 1 if the lake has no list of instruments yet; run `basislake instruments` first.

    \b
    Example:
        basislake plan
        basislake plan --currency ETH --since 2024-01-01
        basislake plan --data funding,deliveries
        basislake plan --rate 20 --json
    """
