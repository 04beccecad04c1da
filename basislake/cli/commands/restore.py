"""The command `restore`."""

from typing import Any

import click

from basislake.cli.completion import folder
from basislake.cli.options import json_option, lake_option


@click.command
@click.argument("source", metavar="PATH|URI", shell_complete=folder)
@lake_option
@json_option
def restore(**given: Any) -> int:
    """Copy a backup to --lake, and verify the copy as `backup` does.

    That place must hold no lake, or the same lake in the same or an older state; its damaged files
    are replaced. If it holds another lake, restore refuses and changes nothing. Other files stay.

    \b
    Example:
        basislake restore /mnt/disk/lake --lake ./lake-data
    """
    from basislake.verbs.backup import restore as body

    return body(**given)
