"""`backfill`: fetches from the exchange into the raw tables, and reports the results."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

from basislake.doctor.first import check_first
from basislake.engines import HERE, Engine
from basislake.exchange_settings import ExchangeSettings
from basislake.news import finished_line
from basislake.output import Progress as ProgressLine
from basislake.output import duration, print_json, say, size
from basislake.pipeline import (
    FetchSummary,
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
from ingest.results import Counts, FetchProgress, Finished, Result
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
    fetched = fetch_logged(
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


def fetch_logged(  # noqa: PLR0913  (independent settings)
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
) -> FetchSummary:
    """Fetch, with progress on stderr; `totals` gets the summary line. With `is_checked`, check the
    exchange before the first window of an empty lake.
    """
    line = ProgressLine("calls")

    def report(progress: FetchProgress) -> None:
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
        discovered=log_discovery,
        say=say,
        report=report,
        finish=log_finished,
    )
    totals(totals_of(fetched.backfill))
    log_backfill(where, fetched.backfill)
    return fetched


def log_finished(finished: Finished) -> None:
    """Log a line about a finished subject; on a terminal, which has the progress line, only if it
    failed.
    """
    is_failed = finished.status == "failed"
    if SCREEN.is_log or is_failed:
        say(f"{'Failed: ' if is_failed else ''}{finished_line(finished)}")


def log_discovery(found: Discovery) -> None:
    """Log what a discovery found, and name records that it could not read."""
    counts = instrument_counts(found.known)
    left_out = sum(found.left_out.values())
    say(
        f"Known: {counted(counts['futures'], 'dated future')} and "
        f"{counted(counts['perpetuals'], 'perpetual')}, {len(found.new)} new; "
        f"{counted(left_out, 'other record')} left out; "
        "`basislake instruments --left-out` lists them."
    )
    for name in found.changed:
        say(f"Changed: the exchange now lists other dates for {name}.")
    for refused in found.refused:
        label = "Refused" if refused.could_be_dated else "Warning: refused"
        say(f"{label}: record {refused.name}: {refused.reason}.")
    for failed in found.failed:
        say(f"Failed: {failed} The stored instruments are kept; run the command again.")


def totals_of(result: Result) -> str:
    """Return the summary line of a backfill, by dataset; pure."""
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


def log_backfill(where: Lake, result: Result) -> None:
    """Log what failed in a backfill, with the commands that fetch just that, and what is empty or
    differs.
    """
    for name, counts in result.by_dataset():
        _log_differing(name, counts)
    failed = result.all_failed
    for subject, reason in failed.items():
        say(f"Failed: {subject}: {reason}")
    if failed:
        commands = "\n  ".join(retry_commands(where, failed))
        say(f"The other answers are saved. To ask again for just what failed:\n  {commands}")
    for name, counts in result.by_dataset():
        _log_missing(name, counts)
    if result.log:
        say(f"Log with a line per instrument: {result.log}")
    if result.empty:
        say(f"Empty: the exchange has no candle yet of {', '.join(result.empty)}.")


def _log_differing(dataset: str, counts: Counts) -> None:
    row = "candle" if dataset == CANDLES.name else f"row of {dataset}"
    rows = "" if dataset == CANDLES.name else f"rows of {dataset}"
    if counts.replaced:
        stored = counted(counts.replaced, f"stored {row}", f"stored {rows}" if rows else "")
        say(
            f"Replaced: {stored}, by what the exchange sent now. Earlier versions of the lake keep "
            "the old values; the next build uses the new ones."
        )
    if counts.differing:
        say(
            f"Warning: the exchange sent {counted(counts.differing, row, rows)} again with other "
            "values. The stored values are kept; `basislake backfill --again` replaces them if the "
            "new ones are valid."
        )


def _log_missing(dataset: str, counts: Counts) -> None:
    is_candles, noun = dataset == CANDLES.name, DATASETS[dataset].noun
    for name, steps in counts.missing.items():
        say(
            f"Missing: {counted(steps, noun)} of {Subject(dataset, name)} after its first "
            f"{'candle' if is_candles else 'row'}; the exchange left them out twice."
        )


def show_backfill(result: Result) -> None:
    """Print on stdout the plan and the result."""
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
    wanting: dict[str, int] = {
        f"empty {many}": len(counts.empty),
        f"failed {many}": len(counts.failed),
        f"missing {dataset.noun}s": sum(counts.missing.values()),
    }
    for what, count in wanting.items():
        if count or is_candles:
            yield [f"{what}{of}", None, count]


def _lasting(seconds: float | None) -> str | None:
    return None if seconds is None else duration(seconds)
