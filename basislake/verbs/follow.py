"""`follow`: keeps the lake, and where asked the database, current."""

from datetime import timedelta
from functools import partial

import click

from basislake import PROGRAM
from basislake.chores import Work
from basislake.follow import Followed, Follower
from basislake.options import (
    F,
    Whole,
    exchange_options,
    grouped,
    json_option,
    lake_option,
    selection_options,
)
from basislake.output import counted, duration, print_json, say
from basislake.settings import EMBEDDED, ExchangeSettings
from basislake.target import Target, schema_option
from basislake.verbs.maintain import keep_replaced_option
from basislake.verbs.run import build_told, load_told
from ingest.schedule import Rhythm
from ingest.selection import Selection
from lake import Lake
from lake.compaction import compact
from lake.errors import UsageError
from lake.retention import give_up
from lake.tables import RAW_CANDLES
from lake.upkeep import checkpoint

_MOST_MINUTES = 1440
# 18 builds at the default rhythm; see docs/follow.md for their size.
KEPT_HOURS = 3


def _rhythm(*, every: int, discover_every: int, build_every: int, upkeep_every: int) -> Rhythm:
    return Rhythm(
        timedelta(minutes=every),
        timedelta(minutes=discover_every),
        timedelta(minutes=build_every) if build_every else None,
        timedelta(minutes=upkeep_every) if upkeep_every else None,
    )


def rhythm_options(command: F) -> F:
    """Add how often what is done; the command gets `rhythm`."""
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
            default=10,
            metavar="MINUTES",
            help="Between builds (and loads), 0 for none",
        ),
        click.option(
            "--upkeep-every",
            type=Whole(0, _MOST_MINUTES),
            default=60,
            metavar="MINUTES",
            help="Between upkeeps, which put small files together, 0 for none",
        ),
    )
    return grouped(command, options, _rhythm, "rhythm")


@click.command(short_help="Keep the lake current, minute by minute")
@lake_option
@exchange_options
@selection_options
@rhythm_options
@keep_replaced_option(default=KEPT_HOURS)
@click.option(
    "--postgres",
    metavar="URI",
    envvar="BASISLAKE_POSTGRES",
    show_envvar=True,
    help="Also load after each build: libpq URI or `embedded`; by default nothing is loaded",
)
@schema_option("Schema of the tables there")
@json_option
def follow(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    rhythm: Rhythm,
    keep_replaced: timedelta | None,
    postgres: str | None,
    schema: str,
    *,
    as_json: bool,
) -> int:
    """Keep the lake current until Ctrl-C or SIGTERM, which end it with exit code 0.

    First fetches what the lake lacks of the selection, as `backfill` does, so a restart repairs
    what was missed. Then asks for each minute some seconds after it has closed by the exchange's
    clock, takes up new listings, lets expired ones end, and builds. Where the exchange is away it
    waits, says so once, and goes on. May run beside a backfill of the same lake. `status` shows
    the lag. `run` on a timer is the alternative.

    Upkeep puts small files together, and gives up what newer versions replaced some hours ago
    (--keep-replaced): curated tables, which `build --raw-version` makes again, coverage between
    builds, and the small files. No version of raw candles loses a row: old ones are read from the
    larger files.

    \b
    Example:
        basislake follow --currency BTC
        basislake follow --every 5 --build-every 30 --postgres embedded
        basislake follow --keep-replaced 0    # every build stays, as long as the disk lasts
    """
    if postgres is not None and rhythm.build_every is None:
        raise UsageError("--postgres loads after builds, so it does not go with --build-every 0.")
    if postgres == EMBEDDED and not where.is_local:
        raise UsageError("The embedded PostgreSQL is beside a lake on disk; give --postgres URI.")
    settings.check(where)
    target = None if postgres is None else Target(postgres, schema)
    result = Follower(
        where,
        settings,
        selection,
        rhythm,
        work=Work(partial(_build, where, target), partial(upkeep, where, keep_replaced)),
        say=say,
    ).run()
    _tell(result)
    if as_json:
        print_json(result)
    return 0


def _build(where: Lake, target: Target | None) -> None:
    """Build, and load where a database is given."""
    build_told(where)
    if target is not None:
        with target.open(where) as uri:
            load_told(where, uri, target)


def upkeep(where: Lake, keep: timedelta | None) -> None:
    """Put small files together, keep logs short, and give up what was replaced; None keeps it."""
    compact(where, RAW_CANDLES, PROGRAM)
    checkpoint(where)
    if keep is not None:
        give_up(where, keep, PROGRAM)


def _tell(result: Followed) -> None:
    lag = result.lag.seconds if result.lag else None
    behind = f"; lag {duration(lag)}" if lag is not None else ""
    say(
        f"Stopped: {counted(result.candles_written, 'candle')} written by "
        f"{counted(result.calls, 'call')} in {counted(result.rounds, 'round')}, "
        f"{counted(result.builds, 'build')}, {counted(result.outages, 'outage')}{behind}. "
        "All that came is saved."
    )
    if result.log:
        say(f"A line for each round: {result.log}")
