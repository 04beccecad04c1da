"""`health`: an exit code for a program that watches the lake."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click

from basislake.health import health as health_of
from basislake.options import MOST_HOURS, Number, json_option, lake_option
from basislake.output import print_json, print_table, say
from basislake.settings import check_exists
from lake import Lake

# A daily run and some time for it.
_DEFAULT_HOURS = 26.0


@click.command(short_help="Exit 1 where data is old or something failed")
@lake_option
@click.option(
    "--max-age",
    "hours",
    type=Number(min=0, min_open=True, max=MOST_HOURS),
    default=_DEFAULT_HOURS,
    metavar="HOURS",
    help="How old the newest minute of a coin may be, in raw_candles and in basis",
)
@json_option
def health(where: Lake, hours: float, *, as_json: bool) -> int:
    """Say whether the lake is fresh and nothing failed: exit code 0, or 1 with each problem named.

    Problems are: a coin whose newest minute is older than --max-age, minutes that were asked for
    and not answered, a last backfill that failed or was killed, and a lake that is not there or
    cannot be read. Age is by the exchange's clock, as the last run met it; a coin of which nothing
    is traded any more is not judged. Quick, changes nothing, and asks neither the exchange nor the
    database.

    \b
    Example:
        basislake health --max-age 2
    """
    check_exists(where)
    found = health_of(where, datetime.now(UTC), timedelta(hours=hours))
    if as_json:
        print_json({"healthy": not found.problems, **asdict(found)})
    else:
        rows = [[t, base, last] for t, own in found.newest.items() for base, last in own.items()]
        print_table("Newest minutes", ["table", "coin", "minute"], rows)
        for problem in found.problems:
            say(f"Problem: {problem}")
    return 1 if found.problems else 0
