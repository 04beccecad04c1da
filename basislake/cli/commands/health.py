"""The command `health`."""

import click

from basislake.cli.options import MOST_HOURS, json_option, lake_option, verb, wide_option
from basislake.cli.parameter_types import Number

# A daily run, and two hours in which it may finish.
_DEFAULT_HOURS = 26.0


@click.command
@lake_option
@click.option(
    "--max-age",
    "hours",
    type=Number(min=0, min_open=True, max=MOST_HOURS),
    default=_DEFAULT_HOURS,
    metavar="HOURS",
    help="How old the newest minute of a coin may be, in raw_candles and in basis",
)
@wide_option
@json_option
@verb
def health() -> None:
    """Check that the lake is fresh and nothing failed: exit code 0, or 1 with each problem named.

    Checks only the lake's scope (`basislake scope`). Problems: the newest minute of a coin is older
    than --max-age, or there is none; a call for data got no answer; the last backfill failed or was
    killed, and no other run continues it; a run is stuck; the lake is missing or cannot be read.
    Age is measured by the exchange's clock: this machine's clock, corrected by the difference that
    the last run measured. A coin without any open instrument is skipped. The check is quick,
    changes nothing, and calls neither the exchange nor the database.

    \b
    Example:
        basislake health --max-age 2
    """
