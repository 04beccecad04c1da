"""The command `maintain`."""

from typing import Any

import click

from basislake.options import MOST_HOURS, Number, json_option, keep_replaced_option, lake_option

# A week.
_OLD_HOURS = 168.0


@click.command
@lake_option
@click.option(
    "--older-than",
    "hours",
    type=Number(min=0, max=MOST_HOURS),
    default=_OLD_HOURS,
    metavar="HOURS",
    help="Remove files that no version needs where they are so old",
)
@keep_replaced_option(default=0)
@click.option("--unsafe", is_flag=True, help="Allow less than 24 hours: no other command may run")
@click.option("--dry-run", "is_dry", is_flag=True, help="Say what there is to do, change nothing")
@json_option
def maintain(**given: Any) -> int:
    """Keep the lake in shape: put the small files of raw_candles together, write checkpoints of
    long logs, remove what killed writers left, and bring tables of an older basislake up to date.

    No row changes, and files that any version needs stay. Safe beside a running backfill, build or
    reader, and to kill.

    With --keep-replaced, what newer versions replaced so many hours ago is given up: curated
    tables, which `build --raw-version` makes again; coverage of versions that no build was made
    from; and small files of raw candles that were put together, whose versions are read from the
    larger file then, so that none of them loses a row.

    \b
    Example:
        basislake maintain
        basislake maintain --dry-run
        basislake maintain --keep-replaced 24
    """
    from basislake.verbs.maintain import maintain as body

    return body(**given)
