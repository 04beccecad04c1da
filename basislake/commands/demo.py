"""The command `demo`."""

from typing import Any

import click

from basislake.completing import folder
from basislake.defaults import DEMO_LAKE, EMBEDDED
from basislake.options import json_option, wide_option


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
    help="libpq URI of a database for the simulated data; the environment is not asked",
)
@wide_option
@json_option
def demo(**given: Any) -> int:
    """Run the whole pipeline offline and show what comes of it, in under a minute.

    Serves a simulated exchange on loopback, backfills its weeklies, quarterlies and perpetuals,
    builds the basis, loads a real PostgreSQL that is kept next to the lake, asks it, and makes the
    report, a page to open in a browser. The prices are simulated, the same in every run. Everything
    lies in one folder, to be deleted when you have seen enough. Exit codes as of `basislake run`:
    1 where something failed.

    \b
    Example:
        basislake demo
        basislake demo --lake ./elsewhere
    """
    from basislake.verbs.demo import demo as body

    return body(**given)
