"""The command `maintain`."""

import click

from basislake.cli.options import MOST_HOURS, json_option, lake_option, verb
from basislake.cli.parameter_types import Number
from lake.properties.table_properties import KEPT_HOURS


@click.command
@lake_option
@click.option(
    "--older-than",
    "hours",
    type=Number(min=0, max=MOST_HOURS),
    metavar="HOURS",
    help=f"Delete replaced or uncommitted files of this age or older; default: {KEPT_HOURS}, from "
    "the tables' properties",
)
@click.option(
    "--unsafe",
    is_flag=True,
    help=f"Allow --older-than below {KEPT_HOURS}; make sure that no other command uses the lake",
)
@click.option("--dry-run", "is_dry", is_flag=True, help="Show what would be done, change nothing")
@json_option
@verb
def maintain() -> None:
    """Compact small files, delete replaced files and files that killed processes left, write
    checkpoints, and clean the logs.

    No row changes. `--as-of` still works, because each row carries its batch number. `maintain`
    does what Delta's OPTIMIZE, VACUUM and log clean-up do; other programs may run these operations
    on the lake too. You can run and stop `maintain` at any time, also during a backfill, a build or
    a query.

    \b
    Example:
        basislake maintain
        basislake maintain --dry-run
    """
