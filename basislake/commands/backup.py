"""The command `backup`."""

from typing import Any

import click

from basislake.completing import folder
from basislake.options import json_option, lake_option


@click.command
@click.argument("destination", metavar="PATH|URI", shell_complete=folder)
@lake_option
@json_option
def backup(**given: Any) -> int:
    """Copy the lake to a folder or an object store, and prove the copy.

    Copies what the destination lacks, so a second backup is quick and a killed one goes on. Works
    next to a running backfill or `follow`. At the end every row of the copy is read and its
    fingerprint compared with the lake's; a file of the copy that is damaged is copied once more.
    Exit code 1 where they still differ. The copy is a lake like any other, as of every batch.
    PostgreSQL is not copied: `basislake load` fills one from the lake.

    \b
    Example:
        basislake backup /mnt/disk/lake
        basislake backup s3://bucket/lake
    """
    from basislake.verbs.backup import backup as body

    return body(**given)
