"""The command `curve`."""

import click

from basislake.cli.options import (
    at_option,
    currency_option,
    json_option,
    lake_option,
    verb,
    wide_option,
)


@click.command
@lake_option
@at_option("each coin's newest minute with a basis")
@currency_option
@wide_option
@json_option
@verb
def curve() -> None:
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
