"""The command `follow`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from basislake.cli.database_options import schema_option
from basislake.cli.options import (
    F,
    data_option,
    exchange_options,
    grouped,
    json_option,
    lake_option,
    selection_options,
)
from basislake.cli.parameter_types import Whole

if TYPE_CHECKING:
    from ingest.follow_schedule import Schedule

_MOST_MINUTES = 1440


def _schedule(
    *, every: int, discover_every: int, build_every: int, upkeep_every: int
) -> "Schedule":
    from ingest.follow_schedule import Schedule

    return Schedule(
        timedelta(minutes=every),
        timedelta(minutes=discover_every),
        timedelta(minutes=build_every) if build_every else None,
        timedelta(minutes=upkeep_every) if upkeep_every else None,
    )


def _schedule_options(command: F) -> F:
    options = (
        click.option(
            "--every",
            type=Whole(1, _MOST_MINUTES),
            default=1,
            metavar="MINUTES",
            help="Time between fetches; each is one commit, with one file per instrument",
        ),
        click.option(
            "--discover-every",
            type=Whole(1, _MOST_MINUTES),
            default=5,
            metavar="MINUTES",
            help="Time between looks for new listings, four calls each",
        ),
        click.option(
            "--build-every",
            type=Whole(0, _MOST_MINUTES),
            default=1,
            metavar="MINUTES",
            help="Time between builds (and loads), 0 for none",
        ),
        click.option(
            "--upkeep-every",
            type=Whole(0, _MOST_MINUTES),
            default=15,
            metavar="MINUTES",
            help="Time between runs of maintenance (see `maintain`), 0 for none",
        ),
    )
    return grouped(command, options, _schedule, "schedule")


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@_schedule_options
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

    First fetches what the lake lacks of the selection, as `backfill` does, so a restart also fills
    the pause. Then it fetches each minute some seconds after the minute has closed by the
    exchange's clock, and each hour's funding and each day's settlements and delivery price some
    minutes after they are due. It adds new listings, stops at expiries, and builds. If the exchange
    cannot be reached, it logs that once, waits and continues. It may run during a backfill of the
    same lake. `status` shows the lag. The alternative is `run` on a timer.

    Maintenance compacts small files, deletes files that were replaced a day ago, and cleans the
    logs, so files, logs and the time to open the lake stay bounded. No row is lost, and the lake as
    of any batch stays readable.

    \b
    Example:
        basislake follow --currency BTC
        basislake follow --every 5 --build-every 30 --postgres embedded
    """
    from basislake.verbs.follow import follow as body

    return body(**given)
