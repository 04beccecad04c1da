"""`backfill`: from the exchange to the raw tables; and what a discovery and a backfill did."""

from collections.abc import Callable
from functools import partial

from basislake.doctor.first import check_first
from basislake.engines import HERE, Engine
from basislake.exchange_settings import ExchangeSettings
from basislake.news import finished_line
from basislake.output import Progress as ProgressLine
from basislake.output import duration, print_json, say, size
from basislake.pipeline import (
    Fetched,
    fetch,
    instrument_counts,
    is_complete,
)
from basislake.retry import retry_command
from basislake.screen import SCREEN
from basislake.tables import print_table
from ingest.discover import Discovery
from ingest.results import Finished, Progress, Result
from ingest.selection import Selection
from lake import Lake
from lake.counts import counted


def backfill(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    *,
    repair: bool,
    again: bool,
    engine: Engine,
    no_doctor: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.backfill`; return the exit code."""
    fetched = fetch_told(
        where,
        settings,
        selection,
        discover_first=False,
        repair=repair,
        again=again,
        engine=engine,
        is_checked=not no_doctor,
    )
    if as_json:
        print_json(fetched.backfill)
    else:
        show_backfill(fetched.backfill)
    return 0 if is_complete(fetched) else 1


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
        note = f"{counted(progress.candles, 'candle')}, {progress.instrument}"
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
    """Write a line about an instrument that is finished into the log; a terminal has the progress
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
    return (
        f"Backfill: {result.complete} of {counted(result.instruments, 'instrument')} complete, "
        f"{counted(result.candles_written, 'candle')} written by {counted(result.calls, 'call')} "
        f"({counted(result.retries, 'retry', 'retries')}) in {duration(result.seconds)}."
    )


def tell_backfill(where: Lake, result: Result) -> None:
    """Say on stderr what failed in a backfill, with the command that asks again for just that, and
    what is empty or differs.
    """
    if result.replaced:
        say(
            f"Replaced: {counted(result.replaced, 'stored candle')} by what came now. "
            "Earlier versions keep the old ones; the next build takes up the new ones."
        )
    if result.differing:
        say(
            f"Warning: {counted(result.differing, 'candle')} came again with other values; the "
            "stored ones stand. `basislake backfill --again` replaces them, where the new ones are "
            "sound."
        )
    for failure in result.failed:
        say(f"Failed: {failure.instrument}: {failure.reason}")
    if result.failed:
        names = [failure.instrument for failure in result.failed]
        say(
            "What was answered is saved. To ask again for just what failed:\n"
            f"  {retry_command(where, names)}"
        )
    for name, minutes in result.missing.items():
        lacking = counted(minutes, "minute")
        say(f"Missing: {lacking} of {name} after its first candle; asked for twice.")
    if result.log:
        say(f"A line for each instrument: {result.log}")
    if result.empty:
        say(f"Empty: no candle yet in the life of {', '.join(result.empty)}.")


def show_backfill(result: Result) -> None:
    """Print on stdout what was planned and what came of it."""
    plan = result.plan
    rows = [
        ["instruments", result.instruments, result.complete],
        ["calls", plan["calls"], result.calls],
        ["candles", plan["candles"], result.candles_written],
        ["bytes", size(plan["bytes"]), size(result.bytes_written)],
        ["time at the rate", _lasting(plan["seconds_at_rate"]), _lasting(result.seconds)],
        ["empty instruments", None, len(result.empty)],
        ["failed instruments", None, len(result.failed)],
        ["missing minutes", None, sum(result.missing.values())],
        ["replaced candles", None, result.replaced],
        ["retries", None, result.retries],
        ["throttled", None, result.throttled],
    ]
    print_table("Backfill", ["figure", "planned", "actual"], rows)


def _lasting(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)
