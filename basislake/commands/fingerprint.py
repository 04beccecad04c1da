"""The command `fingerprint`."""

from typing import Any

import click

from basislake.options import MOST_THREADS, as_of_option, json_option, lake_option
from basislake.parameter_types import Whole


@click.command
@lake_option
@as_of_option
@click.option("--verify", is_flag=True, help="Read every file and compare it with its digest")
@click.option(
    "--threads",
    type=Whole(1, MOST_THREADS),
    help="Partitions read at once, as many as cores by default",
)
@json_option
def fingerprint(**given: Any) -> int:
    """Print one sha256 for the lake and one per table, from content alone.

    Two lakes that hold the same rows print the same lines, wherever they are, however their rows
    are spread over files and commits, and whatever machine made them. Files of ours carry the
    digest of their content in their name, so few are read; --verify reads them all, and names those
    that hold other rows than their name says (exit code 1).

    \b
    Example:
        basislake fingerprint
        basislake fingerprint --lake ./copy --verify
        basislake fingerprint --as-of 1 --json
    """
    from basislake.verbs.versions import fingerprint as body

    return body(**given)
