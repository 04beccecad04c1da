"""The command `restore`."""

from typing import Any

import click

from basislake.completing import folder
from basislake.options import json_option, lake_option


@click.command
@click.argument("source", metavar="PATH|URI", shell_complete=folder)
@lake_option
@json_option
def restore(**given: Any) -> int:
    """Copy a backup to where the lake should be, and prove the copy, as `backup` does.

    The lake's place must be empty, or hold an older state of the same lake, or the same one: files
    that are damaged in it are brought back. Anything else is refused and left as it is.

    \b
    Example:
        basislake restore /mnt/disk/lake --lake ./lake-data
    """
    from basislake.verbs.backup import restore as body

    return body(**given)
