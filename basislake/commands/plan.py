"""The command `plan`."""

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
@click.option("--repair", is_flag=True, help="Count what backfill --repair asks for again, too")
@click.option("--again", is_flag=True, help="Count what backfill --again asks for again, too")
@wide_option
@json_option
def plan(**given: Any) -> int:
    """Show what a backfill would ask for, and write nothing.

    Lists windows (one call each), candles and bytes by instrument, and how long the calls take at
    the rate. The exchange is asked for its clock only; the lake must know its instruments, which
    `basislake instruments` sees to. Exit code 1 where it knows none, for nothing can be planned
    then.

    \b
    Example:
        basislake plan
        basislake plan --currency ETH --since 2024-01-01
        basislake plan --rate 20 --json
    """
    from basislake.verbs.ingest import plan as body

    return body(**given)
