"""The command `follow`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from basislake.database_options import schema_option
from basislake.options import (
    F,
    data_option,
    exchange_options,
    grouped,
    json_option,
    lake_option,
    selection_options,
)
from basislake.parameter_types import Whole

if TYPE_CHECKING:
    from ingest.schedule import Rhythm

_MOST_MINUTES = 1440


def _rhythm(*, every: int, discover_every: int, build_every: int, upkeep_every: int) -> "Rhythm":
    from ingest.schedule import Rhythm

    return Rhythm(
        timedelta(minutes=every),
        timedelta(minutes=discover_every),
        timedelta(minutes=build_every) if build_every else None,
        timedelta(minutes=upkeep_every) if upkeep_every else None,
    )


def _rhythm_options(command: F) -> F:
    options = (
        click.option(
            "--every",
            type=Whole(1, _MOST_MINUTES),
            default=1,
            metavar="MINUTES",
            help="Between fetches; each is one commit, with one file an instrument",
        ),
        click.option(
            "--discover-every",
            type=Whole(1, _MOST_MINUTES),
            default=5,
            metavar="MINUTES",
            help="Between looks for new listings, four calls each",
        ),
        click.option(
            "--build-every",
            type=Whole(0, _MOST_MINUTES),
            default=1,
            metavar="MINUTES",
            help="Between builds (and loads), 0 for none",
        ),
        click.option(
            "--upkeep-every",
            type=Whole(0, _MOST_MINUTES),
            default=15,
            metavar="MINUTES",
            help="Between runs of maintenance, as `maintain` does, 0 for none",
        ),
    )
    return grouped(command, options, _rhythm, "rhythm")


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@_rhythm_options
@click.option(
    "--postgres",
    metavar="URI",
    envvar="BASISLAKE_POSTGRES",
    show_envvar=True,
    help="Also load after each build: libpq URI or `embedded`; by default nothing is loaded. "
    "Others on this machine can see a password in it; BASISLAKE_POSTGRES, PGPASSWORD and ~/.pgpass "
    "hide it",
)
@schema_option("Schema of the tables there")
@json_option
def follow(**given: Any) -> int:
    """Keep the lake current until Ctrl-C, SIGTERM or SIGHUP, which end it with exit code 0.

    First fetches what the lake lacks of the selection, as `backfill` does, so a restart repairs
    what was missed. Then asks for each minute some seconds after it has closed by the exchange's
    clock, for each hour's funding and each day's settlements and delivery price some minutes after
    it, takes up new listings, lets expired ones end, and builds. Where the exchange is away it
    waits, says so once, and goes on. May run next to a backfill of the same lake. `status` shows
    the lag. `run` on a timer is the alternative.

    Maintenance compacts small files, deletes those that were replaced a day ago, and cleans the
    logs, so files, logs and the time to open the lake stay bounded. No row is lost, and the lake as
    of any batch can be read as before.

    \b
    Example:
        basislake follow --currency BTC
        basislake follow --every 5 --build-every 30 --postgres embedded
    """
    from basislake.verbs.follow import follow as body

    return body(**given)
