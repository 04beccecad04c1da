"""The command `instruments`."""

from functools import partial

import click

from basislake.cli.options import (
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
@partial(
    selection_options,
    meaning_of_all="No effect here: without flags, all stored instruments are listed",
)
@click.option(
    "--left-out",
    is_flag=True,
    help="List the exchange's records that the lake does not store, and stored instruments outside "
    "the scope, each with the reason",
)
@click.option("--offline", is_flag=True, help="List what is stored, without calling the exchange")
@wide_option
@json_option
@verb
def instruments() -> None:
    """Discover every dated BTC and ETH future and the perpetuals, store and list them.

    Active instruments come from www.deribit.com, expired ones from history.deribit.com: four calls
    in all. The lake stores all of these, whatever its scope, and keeps those that the exchange no
    longer lists. Flags only filter the printed list, which is sorted by expiry. --since and --until
    select instruments that were open for trading at any time in that period. Exit code 1 if a list
    cannot be fetched, or if a record that could be a dated future cannot be read.

    The lake stores only inverse (coin-settled) futures and perpetuals of BTC and ETH. --left-out
    prints the other records of the exchange's lists, such as linear (USDC) futures, and the
    instruments outside the lake's scope, each with the reason. Lists of options and spot are not
    fetched.

    \b
    Example:
        basislake instruments
        basislake instruments --currency BTC --offline
        basislake instruments --left-out
        basislake instruments --since 2024-03-01 --until 2024-04-01
        basislake instruments --json > instruments.json
    """
