"""The command `fingerprint`."""

from typing import Any

import click

from basislake.cli.options import MOST_THREADS, as_of_option, json_option, lake_option
from basislake.cli.parameter_types import Whole


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
    """Print a sha256 digest of the lake and of each table, computed from the rows alone.

    Two lakes with the same rows print the same lines, regardless of place, machine, and division
    into files and commits. File names contain a digest of their rows, so this verb reads few files;
    --verify reads them all, and names those whose rows do not match the digest (exit code 1).

    \b
    Example:
        basislake fingerprint
        basislake fingerprint --lake ./copy --verify
        basislake fingerprint --as-of 1 --json
    """
    from basislake.verbs.fingerprint_and_diff import fingerprint as body

    return body(**given)
