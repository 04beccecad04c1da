"""The command `run`."""

import click

from basislake.cli.database_options import target_options
from basislake.cli.options import (
    data_option,
    exchange_options,
    json_option,
    lake_option,
    no_doctor_option,
    selection_options,
    verb,
)


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@target_options
@no_doctor_option
@click.option("--no-load", is_flag=True, help="Skip PostgreSQL: create and change no database")
@json_option
@verb
def run() -> None:
    """Run the whole pipeline: discover, backfill, build, load, report. You can kill it at any
    moment; a rerun does only what is left.

    Runs these steps for the lake's scope (`basislake scope`), or for what the flags select. Then
    prints the basis of each coin's front quarterly, if there is one: the nearest quarterly with
    more than 5 days to expiry. If a window cannot be fetched, the rest is still built, loaded and
    reported; if the database cannot be reached, the report is still written. In both cases the exit
    code is 1.

    If the lake is empty, two calls first check that the exchange returns complete windows, also of
    expired futures (see `basislake doctor`). If the check fails twice in a row, nothing is fetched
    (exit code 1); --no-doctor skips this check.

    Without --postgres and BASISLAKE_POSTGRES, `run` loads into an embedded PostgreSQL in the lake's
    folder `postgres`. The database needs several times the disk of the lake: about 12 GB for the
    full market. `basislake plan` estimates the size of lake and database; --no-load skips the
    database.

    \b
    Example:
        basislake run --instruments BTC-29MAR24
        basislake run --currency BTC --since 2024-03-01 --no-load
        basislake run
    """
