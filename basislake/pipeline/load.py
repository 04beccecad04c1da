"""Loading with progress on stderr, alone or as a step of a pipeline."""

from collections.abc import Callable

from basislake.cli.defaults import EMBEDDED
from basislake.output.pasting import called
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.units import duration
from basislake.settings.database_target import Target
from basislake.settings.named_lake import lake_flag
from basislake.status.status import BEHIND, is_behind
from lake import Lake
from lake.counted_words import counted
from load.loader import load as load_tables
from load.results import LoadProgress, LoadResult


def load_logged(
    lake: Lake, uri: str, target: Target, totals: Callable[[str], None] = say
) -> LoadResult:
    """Load as a step of a pipeline, with progress on stderr; `totals` gets the summary line."""
    result = loaded(lake, uri, target)
    appended = result.partitions_appended
    some = f" ({appended} by appending new rows)" if appended else ""
    totals(
        f"Load: {counted(result.partitions_loaded, 'partition')} loaded and verified{some}, "
        f"{result.partitions_unchanged} unchanged; {counted(result.rows_loaded, 'row')} "
        f"in {duration(result.seconds)}."
    )
    return result


def loaded(lake: Lake, uri: str, target: Target, *, full: bool = False) -> LoadResult:
    """Load, with progress on stderr; warn if the curated tables are behind."""
    if is_behind(lake):
        say(f"Warning: {BEHIND}")
    result = load_tables(
        lake,
        uri,
        schema=target.schema,
        full=full,
        lock_wait_s=target.lock_wait_s,
        report=partition_line(),
    )
    if target.postgres == EMBEDDED and not target.keep:
        say(
            f"The database is next to the lake. `{called()} status{lake_flag(lake)} --keep` leaves"
            " it running and shows how to connect with psql."
        )
    return result


def partition_line() -> Callable[[LoadProgress], None]:
    """Return a function that shows a load's progress on stderr."""
    line = Progress("partitions")

    def report(progress: LoadProgress) -> None:
        note = f"{counted(progress.rows, 'row')}, {progress.table} {progress.partition}"
        line(progress.done, progress.total, note)

    return report
