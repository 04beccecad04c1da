"""The command `diff`."""

from typing import Any

import click

from basislake.options import Whole, json_option, lake_option


@click.command
@click.argument("a", type=Whole(min=0))
@click.argument("b", type=Whole(min=0), required=False)
@lake_option
@click.option(
    "--other", metavar="PATH|URI", help="B is a version of this lake instead of the same one"
)
@json_option
def diff(**given: Any) -> int:
    """Say of which instruments raw candles, candles or basis differ between versions A and B, and
    by how many rows.

    A and B are versions of raw_candles; B is the newest where it is left out. Curated tables are
    compared as the builds of these versions left them. Exit code 0 whether something differs or
    not; with --json, `equal` tells.

    \b
    Example:
        basislake diff 1 2
        basislake diff 1
        basislake diff 1 1 --other ./copy
    """
    from basislake.verbs.versions import diff as body

    return body(**given)
