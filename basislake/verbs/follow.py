"""`follow`: keeps the lake, and where asked the database, current."""

from functools import partial

from basislake import PROGRAM
from basislake.access import check_access
from basislake.chores import Work
from basislake.curate import build_told
from basislake.exchange_settings import ExchangeSettings
from basislake.fetched import tell_finished
from basislake.follow import Followed, Follower
from basislake.loading import load_told
from basislake.output import duration, print_json, say
from basislake.screen import SCREEN
from basislake.target import Target
from ingest.schedule import Rhythm
from ingest.selection import Selection
from lake import Lake
from lake.counts import counted
from lake.errors import UsageError
from lake.maintenance import maintain


def follow(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    rhythm: Rhythm,
    postgres: str | None,
    schema: str,
    *,
    as_json: bool,
) -> int:
    """See `basislake.commands.follow`; return the exit code."""
    if postgres is not None and rhythm.build_every is None:
        raise UsageError("--postgres loads after builds, so it does not go with --build-every 0.")
    settings.check(where)
    target = None if postgres is None else Target(postgres, schema)
    if target is not None:
        check_access(target, where)
    result = Follower(
        where,
        settings,
        selection,
        rhythm,
        work=Work(partial(_build, where, target), lambda: _maintain(where)),
        say=say,
        finish=tell_finished,
    ).run()
    SCREEN.interrupt()
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


def _maintain(where: Lake) -> None:
    maintain(where, PROGRAM)


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
