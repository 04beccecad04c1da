"""The command `maintain`."""

from typing import Any

import click

from basislake.options import MOST_HOURS, json_option, lake_option
from basislake.parameter_types import Number


@click.command
@lake_option
@click.option(
    "--older-than",
    "hours",
    type=Number(min=0, max=MOST_HOURS),
    metavar="HOURS",
    help="Remove files that were replaced, or never committed, where they are so old; by default "
    "as the tables declare, 24 hours",
)
@click.option("--unsafe", is_flag=True, help="Allow less than 24 hours: no other command may run")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what there is to do, change nothing")
@json_option
def maintain(**given: Any) -> int:
    """Keep the lake in shape: put small files together, remove those that were replaced or that
    killed writers left, write checkpoints, and clean the logs.

    No row changes, and the lake as of any batch stays what it was. It is what Delta's own OPTIMIZE,
    VACUUM and log clean-up do, which are safe here, too, from any program. Safe next to a running
    backfill, build or reader, and to kill.

    \b
    Example:
        basislake maintain
        basislake maintain --dry-run
    """
    from basislake.verbs.maintain import maintain as body

    return body(**given)
