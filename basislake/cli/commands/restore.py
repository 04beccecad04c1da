"""The command `restore`."""

from functools import partial
from typing import Any

import click

from basislake.cli.options import FOLDERS, json_option, lake_option


@click.command
@click.argument("source", metavar="PATH|URI", shell_complete=FOLDERS)
@partial(lake_option, meaning="Folder or object-store URI to restore to")
@json_option
def restore(**given: Any) -> int:
    """Copy a backup to --lake, and verify the copy as `backup` does.

    --lake must hold no lake, or the same lake in the same or an older state. `restore` replaces
    damaged files and keeps unrelated files. If --lake holds a different lake, `restore` stops and
    changes nothing.

    \b
    Example:
        basislake restore /mnt/disk/lake --lake ./lake-data
    """
    from basislake.verbs.backup import restore as body

    return body(**given)
