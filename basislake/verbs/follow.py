"""`follow`: keeps the lake current, and the database if one is given."""

from functools import partial

from basislake import PROGRAM
from basislake.follow.background_tasks import Work
from basislake.follow.follow import Follower
from basislake.follow.followed import Followed
from basislake.output.json_output import print_json
from basislake.output.screen import SCREEN, say
from basislake.output.units import duration
from basislake.pipeline.build import build_logged
from basislake.pipeline.database_access import check_access
from basislake.pipeline.fetch import log_finished
from basislake.pipeline.load import load_logged
from basislake.settings.database_target import Target
from basislake.settings.exchange import ExchangeSettings
from ingest.backfill.summary import rows
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.follow_schedule import Schedule
from ingest.plan.selection import Selection
from lake import Lake
from lake.counted_words import counted
from lake.errors import UsageError
from lake.maintenance.maintain import maintain


def follow(
    lake: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    schedule: Schedule,
    postgres: str | None,
    schema: str,
    *,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.follow`; return the exit code."""
    if postgres is not None and schedule.build_every is None:
        raise UsageError(
            "--postgres loads after each build; it cannot be combined with --build-every 0."
        )
    settings.check(lake)
    target = None if postgres is None else Target(postgres, schema)
    if target is not None:
        check_access(target, lake)
    result = Follower(
        lake,
        settings,
        selection,
        schedule,
        work=Work(partial(_build, lake, target), partial(maintain, lake, PROGRAM)),
        say=say,
        finish=log_finished,
    ).run()
    SCREEN.interrupt()
    _log_end(result)
    if as_json:
        print_json(result)
    return 0


def _build(lake: Lake, target: Target | None) -> None:
    """Build, and load if a database is given."""
    build_logged(lake)
    if target is not None:
        with target.open(lake) as uri:
            load_logged(lake, uri, target)


def _log_end(result: Followed) -> None:
    lag = result.lag.seconds if result.lag else None
    behind = f"; lag {duration(lag)}" if lag is not None else ""
    written = {CANDLES.name: result.candles_written, **result.rows_written}
    parts = [rows(DATASETS[name], count) for name, count in written.items() if count]
    say(
        f"Stopped: {', '.join(parts) or 'no row'} written by "
        f"{counted(result.calls, 'call')} in {counted(result.rounds, 'round')}, "
        f"{counted(result.builds, 'build')}, {counted(result.outages, 'outage')}{behind}. "
        "Everything fetched is saved."
    )
    if result.log:
        say(f"Log with a line per round: {result.log}")
