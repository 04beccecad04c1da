"""The command `plan`."""

from typing import Any

import click

from basislake.cli.options import (
    data_option,
    exchange_options,
    json_option,
    lake_option,
    selection_options,
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
def plan(**given: Any) -> int:
    """Show what a backfill would fetch, and write nothing.

    Lists calls, candles and bytes of each instrument in the lake's scope, sorted by expiry, and the
    calls for funding, deliveries and settlements. Then estimates how long all calls take, and the
    disk for the candles in the lake and in PostgreSQL. With --rate auto it assumes the rate that
    the last run found, or else the published limit. Asks the exchange only for its clock. Exit code
    1 without a list of instruments (`basislake instruments` fetches it).

    \b
    Example:
        basislake plan
        basislake plan --currency ETH --since 2024-01-01
        basislake plan --data funding,deliveries
        basislake plan --rate 20 --json
    """
    from basislake.verbs.plan import plan as body

    return body(**given)
