"""What a discovery and a backfill did: progress, messages and totals while they are made."""

from collections.abc import Callable
from functools import partial

from basislake.doctor.first import check_first
from basislake.engines import HERE, Engine
from basislake.exchange_settings import ExchangeSettings
from basislake.fetching import Fetched, fetch, instrument_counts
from basislake.news import finished_line
from basislake.output import Progress as ProgressLine
from basislake.output import duration, say
from basislake.retry import retry_commands
from basislake.screen import SCREEN
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.discover import Discovery
from ingest.results import Counts, Finished, Progress, Result
from ingest.selection import Selection
from lake import Lake
from lake.counts import counted
from lake.coverage import Subject


def fetch_told(  # noqa: PLR0913  (each is a wish of its own)
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    discover_first: bool,
    repair: bool = False,
    again: bool = False,
    engine: Engine = HERE,
    is_checked: bool = False,
    totals: Callable[[str], None] = say,
) -> Fetched:
    """Fetch, with progress on stderr; `totals` gets the line that sums it up. Of an empty lake the
    exchange may be checked first.
    """
    line = ProgressLine("calls")

    def report(progress: Progress) -> None:
        note = f"{counted(progress.candles, 'candle')}, {progress.subject}"
        line(progress.done, progress.total, note)

    fetched = fetch(
        where,
        settings,
        selection,
        discover_first=discover_first,
        repair=repair,
        again=again,
        engine=engine,
        check=partial(check_first, where) if is_checked else lambda _exchange, _now: None,
        tell=tell_discovery,
        say=say,
        report=report,
        finish=tell_finished,
    )
    totals(totals_of(fetched.backfill))
    tell_backfill(where, fetched.backfill)
    return fetched


def tell_finished(finished: Finished) -> None:
    """Write a line about a subject that is finished into the log; a terminal has the progress
    line, and what failed above it.
    """
    is_failed = finished.status == "failed"
    if SCREEN.is_log or is_failed:
        say(f"{'Failed: ' if is_failed else ''}{finished_line(finished)}")


def tell_discovery(found: Discovery) -> None:
    """Say on stderr what a discovery found, and name what it could not read."""
    counts = instrument_counts(found.known)
    left_out = sum(found.left_out.values())
    say(
        f"Known: {counted(counts['futures'], 'dated future')} and "
        f"{counted(counts['perpetuals'], 'perpetual')}, {len(found.new)} new; "
        f"{counted(left_out, 'other record')} left out; "
        "`basislake instruments --left-out` names them."
    )
    for name in found.changed:
        say(f"Changed: the exchange now gives another life for {name}.")
    for refused in found.refused:
        label = "Refused" if refused.could_be_dated else "Warning: refused"
        say(f"{label}: record {refused.name}: {refused.reason}.")
    for failed in found.failed:
        say(f"Failed: {failed} What was known of it is kept; run the command again.")


def totals_of(result: Result) -> str:
    """Return a line that sums up a backfill; pure."""
    others = [
        f"{counted(counts.rows_written, 'row')} of {DATASETS[name].words}"
        for name, counts in result.datasets.items()
    ]
    written = [counted(result.candles_written, "candle"), *others]
    retries = sum(counts.retries for _, counts in result.by_dataset())
    return (
        f"Backfill: {result.complete} of {counted(result.instruments, 'instrument')} complete, "
        f"{', '.join(written)} written by {counted(result.all_calls, 'call')} "
        f"({counted(retries, 'retry', 'retries')}) in {duration(result.seconds)}."
    )


def tell_backfill(where: Lake, result: Result) -> None:
    """Say on stderr what failed in a backfill, with the commands that ask again for just that, and
    what is empty or differs.
    """
    for name, counts in result.by_dataset():
        _tell_differing(name, counts)
    failed = result.all_failed
    for subject, reason in failed.items():
        say(f"Failed: {subject}: {reason}")
    if failed:
        commands = "\n  ".join(retry_commands(where, failed))
        say(f"What was answered is saved. To ask again for just what failed:\n  {commands}")
    for name, counts in result.by_dataset():
        _tell_missing(name, counts)
    if result.log:
        say(f"A line for each instrument: {result.log}")
    if result.empty:
        say(f"Empty: no candle yet in the life of {', '.join(result.empty)}.")


def _tell_differing(dataset: str, counts: Counts) -> None:
    row = "candle" if dataset == CANDLES.name else f"row of {dataset}"
    rows = "" if dataset == CANDLES.name else f"rows of {dataset}"
    if counts.replaced:
        stored = counted(counts.replaced, f"stored {row}", f"stored {rows}" if rows else "")
        say(
            f"Replaced: {stored} by what came now. "
            "Earlier versions keep the old ones; the next build takes up the new ones."
        )
    if counts.differing:
        say(
            f"Warning: {counted(counts.differing, row, rows)} came again with other values; the "
            "stored ones stand. `basislake backfill --again` replaces them, where the new ones are "
            "sound."
        )


def _tell_missing(dataset: str, counts: Counts) -> None:
    is_candles, noun = dataset == CANDLES.name, DATASETS[dataset].noun
    for name, steps in counts.missing.items():
        say(
            f"Missing: {counted(steps, noun)} of {Subject(dataset, name)} after its first "
            f"{'candle' if is_candles else 'row'}; asked for twice."
        )
