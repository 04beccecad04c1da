"""The command `curve`."""

from typing import Any

import click

from basislake.cli.one_minute_options import one_minute_options
from basislake.cli.options import json_option, lake_option, wide_option


@click.command
@lake_option
@one_minute_options("each coin's newest minute with a basis")
@wide_option
@json_option
def curve(**given: Any) -> int:
    """Show the term structure: every open future's basis at one minute, by expiry.

    Prices are the closes of that minute. The index price is from the end of the last full hour, up
    to 59 minutes earlier. If that price is not stored, the heading shows the newest stored index
    price and its age. A future without a basis in that minute is named below the table. If a future
    does not trade, the exchange repeats its last close; `traded minutes ago` shows the age of the
    price. Exit code 1 if no future has a basis.

    \b
    Example:
        basislake curve
        basislake curve --at 2024-03-28T17:31Z --currency BTC
    """
    from basislake.verbs.curve import curve as body

    return body(**given)
