"""The command `fingerprint`."""

from functools import partial

import click

from basislake.cli.options import MOST_THREADS, as_of_option, json_option, lake_option, verb
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
@partial(verb, module="fingerprint_and_diff")
def fingerprint() -> None:
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
