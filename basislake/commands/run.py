"""The command `run`."""

from typing import Any

import click

from basislake.database_options import target_options
from basislake.options import (
    data_option,
    exchange_options,
    json_option,
    lake_option,
    no_doctor_option,
    selection_options,
)


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@target_options
@no_doctor_option
@click.option("--no-load", is_flag=True, help="Leave PostgreSQL out: make and change no database")
@json_option
def run(**given: Any) -> int:
    """Do it all: discover, backfill, build, load, report; safe to kill, and a rerun does only what
    is left.

    The same as these five verbs one after the other, of the instruments in the lake's scope. Ends
    with the basis of each coin's front quarterly. What failed to be fetched does not keep the rest
    from being built, loaded and reported, nor a database that is away the report; exit code 1 then.

    Before the first window of an empty lake two calls check that the exchange gives all candles;
    where it does not, twice in a row, nothing is fetched (`basislake doctor` checks more).

    Without --postgres a PostgreSQL is kept next to the lake, in its folder `postgres`. It takes
    several times as much disk as the lake, some 12 GB for the full market; `basislake plan`
    estimates both, and --no-load leaves the database out.

    \b
    Example:
        basislake run --instruments BTC-29MAR24
        basislake run --currency BTC --since 2024-03-01 --no-load
        basislake run
    """
    from basislake.verbs.run import run as body

    return body(**given)
