"""The command `carry`."""

from typing import Any

import click

from basislake.moment_options import moment_options
from basislake.options import json_option, lake_option, wide_option


@click.command
@lake_option
@moment_options(
    "each coin's newest minute that has a basis, or the one before it while the index of the hour "
    "that it ends is still to come"
)
@wide_option
@json_option
def carry(**given: Any) -> int:
    """Show what carrying each open future promises in one minute, by expiry.

    The annualised basis against the perpetual and against the index of the last full hour; the
    basis less what the perpetual paid in the 7 and 30 days before; and the open interest. All
    rates are simple, in percent a year of 365 days. What is missing is shown as `-`, and named
    below the table: nothing is filled in. docs/carry.md defines each number. Exit code 1 where no
    open future has a price.

    \b
    Example:
        basislake carry
        basislake carry --at 2024-03-28T17:31Z --currency BTC
    """
    from basislake.verbs.carry import carry as body

    return body(**given)
