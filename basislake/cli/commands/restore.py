"""The command `restore`."""

from functools import partial

import click

from basislake.cli.options import FOLDERS, json_option, lake_option, verb


@click.command
@click.argument("source", metavar="PATH|URI", shell_complete=FOLDERS)
@partial(lake_option, meaning="Folder or object-store URI to restore to")
@json_option
@partial(verb, module="backup")
def restore() -> None:
    """Copy a backup to --lake, and verify the copy as `backup` does.

    --lake must hold no lake, or the same lake in the same or an older state. `restore` replaces
    damaged files and keeps unrelated files. If --lake holds a different lake, `restore` stops and
    changes nothing.

    \b
    Example:
        basislake restore /mnt/disk/lake --lake ./lake-data
    """
