"""The command `backup`."""

import click

from basislake.cli.options import FOLDERS, json_option, lake_option, verb


@click.command
@click.argument("destination", metavar="PATH|URI", shell_complete=FOLDERS)
@lake_option
@json_option
@verb
def backup() -> None:
    """Copy the lake to a folder or an object store, and verify the copy.

    Copies only what the destination lacks, so a second backup is quick and an interrupted one
    resumes. It may run during a backfill or `follow`. At the end it reads every row of the copy,
    compares fingerprints with the lake, and copies damaged files once more. Exit code 1 if they
    still differ. The copy is a complete lake; you can also read it as of any batch. PostgreSQL is
    not copied; `basislake load --lake PATH` fills a database from the copy.

    \b
    Example:
        basislake backup /mnt/disk/lake
        basislake backup s3://bucket/lake
    """
