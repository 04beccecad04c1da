"""The command `status`."""

from functools import partial

import click

from basislake.cli.database_options import target_options
from basislake.cli.options import json_option, lake_option, verb, wide_option


@click.command
@lake_option
@partial(target_options, schema="Schema of the tables")
@click.option(
    "--exact",
    is_flag=True,
    help="Count the rows in PostgreSQL (reads whole tables); the default uses the counts in "
    "`lake_loads`",
)
@wide_option
@json_option
@verb
def status() -> None:
    """Show how complete the lake is, what is left to fetch, what runs, what failed, and disk use.

    Covers the lake's scope (`basislake scope`) up to the exchange's current time. Shows complete
    instruments, present and expected minutes, and what a backfill would fetch (as `plan` does). For
    each failure, it prints the command that fetches just that part again. A run is stuck if its
    process is suspended (SIGSTOP) or has written nothing for a minute (`follow`: ten).

    The numbers of rows in PostgreSQL come from the table `lake_loads`, so `status` does not notice
    rows that somebody added or deleted by hand. `--exact` counts the rows in the tables, and names
    each table that differs from what was loaded.

    At the end it prints the commands to run next, if any. You can run `status` during a backfill;
    `status` changes no data. Exit code 1 if a part of the scope got no answer, or if the database
    differs or cannot be queried.

    \b
    Example:
        basislake status
        basislake status --exact
        basislake status --json
    """
