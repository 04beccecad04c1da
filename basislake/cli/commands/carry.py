"""The command `carry`."""

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
@at_option(
    "each coin's newest minute with a basis; if that minute ends an hour whose index is not stored "
    "yet, the minute before"
)
@currency_option
@wide_option
@json_option
@verb
def carry() -> None:
    """Show the carry of each open future at one minute, by expiry.

    Shows the annualised basis against the perpetual and against the index of the last full hour;
    the basis minus the funding that a long perpetual position paid in the last 7 and 30 days; and
    the open interest. Rates are simple (not compounded), in percent per year of 365 days. A missing
    number is shown as `-` and named below the table; nothing is filled in. docs/carry.md defines
    each number. Exit code 1 if no open future has a price.

    \b
    Example:
        basislake carry
        basislake carry --at 2024-03-28T17:31Z --currency BTC
    """
