"""`follow`: keeps the lake, and where asked the database, current."""

from collections.abc import Callable
from datetime import timedelta

import click

from basislake.follow import Followed, Follower
from basislake.output import duration, print_json, say
from basislake.settings import (
    EMBEDDED,
    ExchangeSettings,
    database,
    exchange_options,
    json_option,
    lake_option,
    selection_options,
)
from basislake.verbs.run import build_told, load_told
from ingest.schedule import Rhythm
from ingest.selection import Selection
from lake import Lake
from lake.errors import UsageError

_MOST_MINUTES = 1440


@click.command(short_help="Keep the lake current, minute by minute")
@lake_option
@exchange_options
@selection_options
@click.option(
    "--every",
    type=click.IntRange(1, _MOST_MINUTES),
    default=1,
    metavar="MINUTES",
    help="Between fetches; each is one commit, with one file an instrument",
)
@click.option(
    "--discover-every",
    type=click.IntRange(1, _MOST_MINUTES),
    default=5,
    metavar="MINUTES",
    help="Between looks for new listings, four calls each",
)
@click.option(
    "--build-every",
    type=click.IntRange(0, _MOST_MINUTES),
    default=15,
    metavar="MINUTES",
    help="Between builds (and loads), 0 for none",
)
@click.option(
    "--postgres",
    metavar="URI",
    envvar="BASISLAKE_POSTGRES",
    show_envvar=True,
    help="Also load after each build: libpq URI or `embedded`; by default nothing is loaded",
)
@json_option
def follow(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    postgres: str | None,
    *,
    every: int,
    discover_every: int,
    build_every: int,
    as_json: bool,
) -> int:
    """Keep the lake current until Ctrl-C or SIGTERM, which end it with exit code 0.

    First fetches what the lake lacks of the selection, as `backfill` does, so a restart repairs
    what was missed. Then asks for each minute some seconds after it has closed by the exchange's
    clock, takes up new listings, lets expired ones end, and builds. Where the exchange is away it
    waits, says so once, and goes on. May run beside a backfill of the same lake. `status` shows
    the lag.

    \b
    Example:
        basislake follow --currency BTC
        basislake follow --every 5 --build-every 60 --postgres embedded
    """
    if postgres is not None and not build_every:
        raise UsageError("--postgres loads after builds, so it does not go with --build-every 0.")
    if postgres == EMBEDDED and not where.is_local:
        raise UsageError(
            "The embedded PostgreSQL lives beside a lake on disk; give --postgres URI."
        )
    rhythm = Rhythm(
        timedelta(minutes=every),
        timedelta(minutes=discover_every),
        timedelta(minutes=build_every) if build_every else None,
    )
    build = _build(where, postgres)
    follower = Follower(where, settings, selection, rhythm, build=build, say=say)
    result = follower.run()
    _tell(result)
    if as_json:
        print_json(result)
    return 0


def _build(where: Lake, postgres: str | None) -> Callable[[], None]:
    """What is done after fetching: build, and load where a database is given."""

    def build() -> None:
        build_told(where)
        if postgres is not None:
            with database(postgres, where) as uri:
                load_told(where, uri)

    return build


def _tell(result: Followed) -> None:
    lag = result.lag.seconds if result.lag else None
    behind = f"; lag {duration(lag)}" if lag is not None else ""
    say(
        f"Stopped: {result.candles_written:,} candles written by {result.calls:,} calls in "
        f"{result.rounds:,} rounds, {result.builds} builds, {result.outages} outages{behind}. "
        "All that came is saved."
    )
    if result.log:
        say(f"A line for each round: {result.log}")
