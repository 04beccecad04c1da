"""The command `diff`."""

from typing import Any

import click

from basislake.cli.completion import folder
from basislake.cli.options import as_of_option, json_option, lake_option, wide_option
from basislake.cli.parameter_types import Moment
from lake.errors import UsageError


@click.command
@click.argument("a", type=Moment(), required=False)
@click.argument("b", type=Moment(), required=False)
@lake_option
@as_of_option
@click.option(
    "--other",
    metavar="PATH|URI",
    help="Compare with this lake: B is a batch or time of it",
    shell_complete=folder,
)
@wide_option
@json_option
def diff(*, a: Any, as_of: Any, **given: Any) -> int:
    """Compare the lake as of A with the lake as of B: show for which instruments raw candles,
    candles or basis differ, and in how many rows.

    A and B are batches, UTC dates or UTC times. --as-of is another way to give A. Without B, A is
    compared with the newest state. Exit code 0 in both cases; with --json, see `equal`.

    \b
    Example:
        basislake diff 1 2
        basislake diff 1
        basislake diff 1 1 --other ./copy
    """
    first = a if as_of is None else as_of
    if first is None:
        raise UsageError("Give a batch or a time to compare with, as A or by --as-of.")
    from basislake.verbs.fingerprint_and_diff import diff as body

    return body(first, **given)
