"""The command `scope`."""

from typing import Any

import click

from basislake.cli.options import F, data_option, json_option, lake_option, selection_options


def _selection_options(command: F) -> F:
    return selection_options(command, "All instruments; alone, it sets the scope to everything")


@click.command
@lake_option
@_selection_options
@data_option
@json_option
def scope(**given: Any) -> int:
    """Show or set which data the lake should contain.

    Without flags, prints the scope. The scope of a new lake is everything. Flags replace the whole
    scope. A part without a flag is unlimited. The lake stores the scope, so all machines that use
    the lake share it, and a backup includes it. Nothing is fetched or deleted.

    `run`, `backfill`, `follow`, `plan`, `status`, `report` and `health` use the scope. `run`,
    `backfill`, `follow` and `plan` also take these flags. Then a flag counts for that command only,
    and replaces only its own part of the scope. The parts are instruments (--currency and
    --instruments), --since, --until and --data. --all ignores the whole scope. A running `follow`
    uses a new scope from its next fetch on.

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
