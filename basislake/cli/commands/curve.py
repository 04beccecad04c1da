"""The command `curve`."""

from typing import Any

import click

from basislake.cli.moment_options import moment_options
from basislake.cli.options import json_option, lake_option, wide_option


@click.command
@lake_option
@moment_options("each coin's newest minute that has a basis")
@wide_option
@json_option
def curve(**given: Any) -> int:
    """Show the term structure: every open future's basis in one minute, by expiry.

    Prices are the closes of that minute. The index price is that of the last full hour, so up to 59
    minutes older; if it is not stored, the heading names the newest stored one and its age. A
    future without a basis in that minute is named below the table. If a future does not trade, the
    exchange repeats its last close; `traded minutes ago` shows the age of the price. Exit code 1 if
    no future has a basis.

    \b
    Example:
        basislake curve
        basislake curve --at 2024-03-28T17:31Z --currency BTC
    """
    from basislake.verbs.curve import curve as body

    return body(**given)
