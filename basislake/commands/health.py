"""The command `health`."""

from typing import Any

import click

from basislake.options import MOST_HOURS, json_option, lake_option, wide_option
from basislake.parameter_types import Number

# A daily run and some time for it.
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
def health(**given: Any) -> int:
    """Say whether the lake is fresh and nothing failed: exit code 0, or 1 with each problem named.

    Only the lake's scope is judged (`basislake scope`). Problems are: a coin whose newest minute is
    older than --max-age, minutes that were asked for and not answered, a last backfill that failed
    or was killed and that no other resumes, a run that is stuck, and a lake that is not there or
    cannot be read. Age is by the exchange's clock, as the last run met it; a coin of which nothing
    is traded any more is not judged. Quick, changes nothing, and asks neither the exchange nor the
    database.

    \b
    Example:
        basislake health --max-age 2
    """
    from basislake.verbs.health import health as body

    return body(**given)
