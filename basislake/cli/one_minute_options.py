"""Command-line options of verbs that show every open future in one minute."""

from collections.abc import Callable

import click

from basislake.cli.completion import coins
from basislake.cli.options import F
from basislake.cli.parameter_types import Time


def one_minute_options(otherwise: str) -> Callable[[F], F]:
    """Add --at (`moment`) and --currency (`currencies`).

    Args:
        otherwise: the minute without --at, for the help.
    """

    def add(command: F) -> F:
        command = click.option(
            "--currency",
            "currencies",
            metavar="COIN",
            multiple=True,
            help="BTC or ETH; repeat, or separate with commas",
            shell_complete=coins,
        )(command)
        return click.option(
            "--at",
            "moment",
            metavar="TIME",
            type=Time(),
            help=f"UTC date or time, to the minute. Default: {otherwise}",
        )(command)

    return add
