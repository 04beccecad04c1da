"""The command `scope`."""

from typing import Any

import click

from basislake.cli.options import data_option, json_option, lake_option, selection_options


@click.command
@lake_option
@selection_options
@data_option
@json_option
def scope(**given: Any) -> int:
    """Show or set which data the lake should contain; by default everything.

    Without a selection, prints the scope. With a selection, replaces the scope by it; --all selects
    everything. The lake stores the scope, so all machines that use the lake share it, and a backup
    includes it. This verb fetches nothing and deletes nothing.

    `run`, `backfill`, `follow`, `plan`, `status`, `report` and `health` use the scope. For these, a
    flag overrides its part of the scope: instruments (--currency, --instruments), --since, --until
    or --data. --all ignores the scope. A running `follow` uses a new scope from its next round on.

    \b
    Example:
        basislake scope
        basislake scope --currency ETH --since 2024-03-01
        basislake scope --instruments BTC-29MAR24
        basislake scope --currency BTC --data candles,funding
        basislake scope --all
    """
    from basislake.verbs.scope import scope as body

    return body(**given)
