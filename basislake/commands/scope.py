"""The command `scope`."""

from typing import Any

import click

from basislake.options import data_option, json_option, lake_option, selection_options


@click.command
@lake_option
@selection_options
@data_option
@json_option
def scope(**given: Any) -> int:
    """Show or set what the lake is meant to hold; by default everything.

    Without a selection the scope is shown. With one it is set, and replaces the earlier one; --all
    sets it to everything. The scope is stored in the lake, so all machines that use the lake see
    the same, and a backup carries it. Nothing is fetched and nothing is deleted.

    `run`, `backfill`, `follow`, `plan`, `status`, `report` and `health` keep to the scope. A flag
    replaces its part of it: instruments (--currency, --instruments), --since, --until or --data.
    --all leaves the scope aside. A `follow` that is running takes up a new scope in its next round.

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
