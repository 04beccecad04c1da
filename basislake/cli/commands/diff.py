"""The command `diff`."""

from functools import partial
from typing import Any

import click

from basislake.cli.options import FOLDERS, as_of_option, json_option, lake_option, wide_option
from basislake.cli.parameter_types import BatchOrTime
from lake.errors import UsageError


@click.command
@click.argument("a", type=BatchOrTime(), required=False)
@click.argument("b", type=BatchOrTime(), required=False)
@lake_option
@partial(as_of_option, meaning="Another way to give A")
@click.option(
    "--other",
    metavar="PATH|URI",
    help="Take B from this other lake",
    shell_complete=FOLDERS,
)
@wide_option
@json_option
def diff(*, a: Any, as_of: Any, **given: Any) -> int:
    """Compare the lake as of A with the lake as of B: show for which instruments rows of
    `raw_candles`, `candles` or `basis` differ, and how many.

    A and B are batches, UTC dates or UTC times. Without B, A is compared with the newest state. The
    exit code is 0 whether or not they differ; with --json, the field `equal` is true or false.

    \b
    Example:
        basislake diff 1 2
        basislake diff 1
        basislake diff 1 1 --other ./copy
    """
    if a is not None and as_of is not None:
        raise UsageError("Give either A or --as-of, as both name A. Nothing was read.")
    first = a if as_of is None else as_of
    if first is None:
        raise UsageError("Give a batch or a time to compare with, as A or by --as-of.")
    from basislake.verbs.fingerprint_and_diff import diff as body

    return body(first, **given)
