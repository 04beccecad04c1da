"""`backfill`: from the exchange to the raw tables; and what a discovery and a backfill did."""

from collections.abc import Callable, Iterator, Sequence
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
from basislake.retry import retry_commands
from basislake.screen import SCREEN
from basislake.tables import print_table
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.datasets.dataset import Dataset
from ingest.discover import Discovery
from ingest.results import Counts, Finished, Progress, Result
from ingest.selection import Selection
from ingest.summary import completeness, rows, selected
from lake import Lake
from lake.counts import counted
from lake.coverage import Subject


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
        note = f"{counted(progress.rows, 'row')}, {progress.subject}"
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
    """Return a line that sums up a backfill, by dataset; pure."""
    parts = [
        f"{completeness(dataset, counts)}, {rows(dataset, result.written(dataset.name))}"
        for dataset, counts in selected(result)
    ]
    retries = sum(counts.retries for _, counts in result.by_dataset())
    return (
        f"Backfill: {'; '.join(parts) or 'nothing was due, no row'} written by "
        f"{counted(result.all_calls, 'call')} ({counted(retries, 'retry', 'retries')}) in "
        f"{duration(result.seconds)}."
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


def show_backfill(result: Result) -> None:
    """Print on stdout what was planned and what came of it."""
    plan, parts = result.plan, [counts for _, counts in result.by_dataset()]
    figures = [
        *(row for own in selected(result) for row in _dataset_rows(result, *own)),
        ["calls", plan["all_calls"], result.all_calls],
        ["time at the rate", _lasting(plan["all_seconds_at_rate"]), _lasting(result.seconds)],
        ["replaced rows", None, sum(counts.replaced for counts in parts)],
        ["retries", None, sum(counts.retries for counts in parts)],
        ["throttled", None, sum(counts.throttled for counts in parts)],
    ]
    print_table("Backfill", ["figure", "planned", "actual"], figures)


def _dataset_rows(result: Result, dataset: Dataset, counts: Counts) -> Iterator[Sequence[object]]:
    """What was planned of a dataset and what came of it."""
    is_candles, (_, many) = dataset.name == CANDLES.name, dataset.whose
    of = "" if is_candles else f" of {dataset.words}"
    planned = result.plan if is_candles else result.plan["datasets"].get(dataset.name, {})
    due = planned.get("candles" if is_candles else "rows", 0)
    yield [f"{many}{of}", counts.instruments, counts.complete]
    yield ["candles" if is_candles else f"rows{of}", due, result.written(dataset.name)]
    if is_candles:
        yield ["bytes of candles", size(planned["bytes"]), size(result.bytes_written)]
    wanting = {
        f"empty {many}": len(counts.empty),
        f"failed {many}": len(counts.failed),
        f"missing {dataset.noun}s": sum(counts.missing.values()),
    }
    yield from ([f"{what}{of}", None, n] for what, n in wanting.items() if n or is_candles)


def _lasting(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)
