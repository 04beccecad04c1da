"""The command `run`."""

from typing import Any

import click

from basislake.options import (
    exchange_options,
    json_option,
    lake_option,
    selection_options,
    target_options,
)


@click.command
@lake_option
@exchange_options
@selection_options
@target_options
@json_option
def run(**given: Any) -> int:
    """Do it all: discover, backfill, build, load, report; safe to kill, and a rerun does only what
    is left.

    The same as these five verbs one after the other. What failed to be fetched does not keep the
    rest from being built, loaded and reported, nor a database that is away the report; exit code 1
    then. Without --postgres a PostgreSQL is kept beside the lake, in its folder `postgres`.

    \b
    Example:
        basislake run --instruments BTC-29MAR24
        basislake run --currency BTC --since 2024-03-01
        basislake run
    """
    from basislake.verbs.run import run as body

    return body(**given)
