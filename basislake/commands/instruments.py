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
@click.option("--offline", is_flag=True, help="List what is stored, and ask nobody")
@wide_option
@json_option
def instruments(**given: Any) -> int:
    """Discover every dated BTC and ETH future and the perpetuals, store and list them.

    Active instruments come from www, expired ones from the history host: four calls in all. What
    the exchange no longer lists is kept. The selection chooses what is listed, --since and --until
    those whose life meets that time; all are stored. With --offline the exchange is not asked, and
    what is stored is listed. Exit code 1 where a list cannot be had, or a record that could be of a
    dated future cannot be read.

    \b
    Example:
        basislake instruments
        basislake instruments --currency BTC --offline
        basislake instruments --since 2024-03-01 --until 2024-04-01
        basislake instruments --json > instruments.json
    """
    from basislake.verbs.ingest import instruments as body

    return body(**given)
