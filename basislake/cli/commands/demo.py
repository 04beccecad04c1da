"""The command `demo`."""

import click

from basislake.cli.defaults import DEMO_LAKE, EMBEDDED
from basislake.cli.options import FOLDERS, json_option, verb, wide_option


@click.command
@click.option(
    "--lake",
    "uri",
    metavar="PATH",
    default=DEMO_LAKE,
    help="Folder of the demo's lake and database",
    shell_complete=FOLDERS,
)
@click.option(
    "--postgres",
    metavar="URI",
    default=EMBEDDED,
    help="libpq URI of a database for the simulated data. The demo ignores BASISLAKE_POSTGRES, so "
    "simulated data reaches your own database only if you name it here",
)
@wide_option
@json_option
@verb
def demo() -> None:
    """Run the whole pipeline offline and show the result, in under a minute.

    Starts a simulated exchange on this machine and fetches its futures and perpetuals. Builds the
    basis, loads it into an embedded PostgreSQL in the lake's folder `postgres`, and writes a report
    for your browser. Then queries the lake and that database. The simulated prices are the same in
    every run. Everything is in one folder; delete it when you are done. Exit code 1 if something
    failed.

    \b
    Example:
        basislake demo
        basislake demo --lake ./elsewhere
    """
