"""The command `scope`."""

from functools import partial

import click

from basislake.cli.options import data_option, json_option, lake_option, selection_options, verb


@click.command
@lake_option
@partial(
    selection_options,
    meaning_of_all="All instruments; alone, it sets the scope to everything",
)
@data_option
@json_option
@verb
def scope() -> None:
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
