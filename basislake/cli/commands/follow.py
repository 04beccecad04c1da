"""The command `follow`."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

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
    setting,
    verb,
)
from basislake.cli.parameter_types import Whole

if TYPE_CHECKING:
    from ingest.follow_schedule import Schedule

_MOST_MINUTES = 1440


def _schedule(**minutes: int) -> "Schedule":
    from ingest.follow_schedule import Schedule

    lengths = {name: timedelta(minutes=count) for name, count in minutes.items()}
    return Schedule(
        lengths["every"],
        lengths["discover_every"],
        lengths["build_every"] or None,
        lengths["maintain_every"] or None,
    )


def _minutes(flag: str, default: int, meaning: str, least: int = 1) -> Callable[[F], F]:
    return click.option(
        flag,
        type=Whole(least, _MOST_MINUTES),
        default=default,
        metavar="MINUTES",
        help=f"Minutes between {meaning}",
    )


def _schedule_options(command: F) -> F:
    options = (
        _minutes(
            "--every",
            1,
            "two rounds. Each round commits the candles once, with one file per instrument",
        ),
        _minutes("--discover-every", 5, "searches for new instruments (four calls each)"),
        _minutes("--build-every", 1, "builds (and loads), 0 for none", 0),
        _minutes("--maintain-every", 15, "runs of maintenance (see `maintain`), 0 for none", 0),
    )
    return grouped(command, options, _schedule, "schedule")


@click.command
@lake_option
@exchange_options
@selection_options
@data_option
@_schedule_options
@setting(
    "--postgres",
    metavar="URI",
    envvar="BASISLAKE_POSTGRES",
    help="Also load after each build: libpq URI or `embedded`; by default nothing is loaded. "
    "Other users of this machine can see a password on the command line; use BASISLAKE_POSTGRES, "
    "PGPASSWORD or ~/.pgpass instead",
)
@schema_option("Schema of the tables, created if missing")
@partial(json_option, meaning="Print one JSON object at the end")
@verb
def follow() -> None:
    """Keep the lake current until Ctrl-C, SIGTERM or SIGHUP, which end it with exit code 0.

    First fetches what is missing, as `backfill` does. After a restart this includes the minutes
    since `follow` stopped. Then it fetches each minute a few seconds after it closes (by the
    exchange's clock). Hourly funding, daily settlements and delivery prices follow a few minutes
    after they are due. It adds new instruments, stops fetching expired ones, and builds the curated
    tables. If it cannot reach the exchange, it logs one message, waits, and tries again. It may run
    during a backfill. `status` shows the lag. If you do not need live data, run `basislake run`
    from a timer instead.

    Maintenance compacts small files, deletes files that were replaced more than a day ago, and
    cleans the logs. So the number of files, the size of the logs and the time to open the lake stay
    bounded. No row is lost: the lake as of any batch stays readable.

    \b
    Example:
        basislake follow --currency BTC
        basislake follow --every 5 --build-every 30 --postgres embedded
    """
