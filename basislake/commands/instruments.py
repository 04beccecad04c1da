"""The command `instruments`."""

from typing import Any

import click

from basislake.options import (
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
@click.option(
    "--left-out", is_flag=True, help="Name what is left out or not in the lake's scope, and why"
)
@click.option("--offline", is_flag=True, help="List what is stored, and ask nobody")
@wide_option
@json_option
def instruments(**given: Any) -> int:
    """Discover every dated BTC and ETH future and the perpetuals, store and list them.

    Active instruments come from www, expired ones from the history host: four calls in all. What
    the exchange no longer lists is kept. The selection chooses what is listed, --since and --until
    those whose life meets that time; all are stored, and listed by expiry. With --offline the
    exchange is not asked, and what is stored is listed. Exit code 1 where a list cannot be had, or
    a record that could be of a dated future cannot be read.

    The lake takes inverse futures and perpetuals of BTC and ETH. --left-out names the other records
    of the exchange's lists, such as linear (USDC) futures, and the instruments that are not in the
    lake's scope, each with the reason. Options and spot are on other lists, which are not asked.

    \b
    Example:
        basislake instruments
        basislake instruments --currency BTC --offline
        basislake instruments --left-out
        basislake instruments --since 2024-03-01 --until 2024-04-01
        basislake instruments --json > instruments.json
    """
    from basislake.verbs.instruments import instruments as body

    return body(**given)
