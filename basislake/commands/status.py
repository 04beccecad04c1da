"""The command `status`."""

from typing import Any

import click

from basislake.database_options import target_options
from basislake.options import json_option, lake_option, wide_option


@click.command
@lake_option
@target_options
@click.option(
    "--exact",
    is_flag=True,
    help="Count the rows in the tables of PostgreSQL, which reads them; by default the rows are "
    "those that its table lake_loads records",
)
@wide_option
@json_option
def status(**given: Any) -> int:
    """Show how complete the lake is, what is left to fetch, what runs, what failed, and the disk.

    All of it is about the lake's scope (`basislake scope`) at the time of the exchange's clock, as
    it was met last: instruments that are complete, minutes present of those that should be, and
    what a backfill would fetch, by the same plan as `basislake plan`. Of what failed it prints the
    command that asks again for just that. A run whose process was stopped, or has written nothing
    for a minute, is said to be stuck.

    The rows in PostgreSQL are those that the table `lake_loads` records, so a row that somebody
    deleted or added by hand does not show. `--exact` counts the rows in the tables, and names each
    table that does not hold what was loaded.

    Ends with the commands that would bring the lake further, if there are any. Works next to a
    running backfill and changes nothing. Exit code 1 where something in scope was asked and not
    answered, or the database differs or cannot be asked.

    \b
    Example:
        basislake status
        basislake status --exact
        basislake status --json
    """
    from basislake.verbs.status import status as body

    return body(**given)
