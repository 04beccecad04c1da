"""The command `demo`."""

from typing import Any

import click

from basislake.cli.completion import folder
from basislake.cli.defaults import DEMO_LAKE, EMBEDDED
from basislake.cli.options import json_option, wide_option


@click.command
@click.option(
    "--lake",
    "uri",
    metavar="PATH",
    default=DEMO_LAKE,
    show_default=True,
    help="Folder of the demo's lake and database",
    shell_complete=folder,
)
@click.option(
    "--postgres",
    metavar="URI",
    default=EMBEDDED,
    show_default=True,
    help="libpq URI of a database for the simulated data; BASISLAKE_POSTGRES is ignored",
)
@wide_option
@json_option
def demo(**given: Any) -> int:
    """Run the whole pipeline offline and show the result, in under a minute.

    Serves a simulated exchange on loopback, fetches its weeklies, quarterlies and perpetuals,
    builds the basis, loads it into a real PostgreSQL next to the lake, queries that database, and
    writes the report, a page to open in a browser. Prices are simulated, and the same in every run.
    Everything is in one folder; delete it when you are done. Exit codes as of `basislake run`:
    1 if something failed.

    \b
    Example:
        basislake demo
        basislake demo --lake ./elsewhere
    """
    from basislake.verbs.demo import demo as body

    return body(**given)
