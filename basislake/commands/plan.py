"""The command `plan`."""

from typing import Any

import click

from basislake.options import (
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
@click.option("--repair", is_flag=True, help="Count what backfill --repair asks for again, too")
@click.option("--again", is_flag=True, help="Count what backfill --again asks for again, too")
@wide_option
@json_option
def plan(**given: Any) -> int:
    """Show what a backfill would ask for, and write nothing.

    Lists calls, candles and bytes of each instrument in the lake's scope, by expiry, and the calls
    for other data; then how long all calls take at the rate (with --rate auto the one that was
    found lately, else the published one), and about how much the candles take in the lake and in
    PostgreSQL. The exchange is asked for its clock only. Where the lake knows no instruments
    nothing is asked and the exit code is 1; `basislake instruments` fetches them.

    \b
    Example:
        basislake plan
        basislake plan --currency ETH --since 2024-01-01
        basislake plan --data funding,deliveries
        basislake plan --rate 20 --json
    """
    from basislake.verbs.plan import plan as body

    return body(**given)
