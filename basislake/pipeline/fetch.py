"""Fetches with progress on stderr: discover, then backfill; and logs what each of them did."""

from collections.abc import Callable
from dataclasses import dataclass

import polars as pl

from basislake import PROGRAM
from basislake.doctor.first_checks import check_first
from basislake.follow.messages import finished_line
from basislake.output.pasting import called
from basislake.output.progress import Progress
from basislake.output.screen import SCREEN, say
from basislake.output.units import duration
from basislake.pipeline.engine_workers import callers
from basislake.pipeline.engines import HERE, Engine
from basislake.pipeline.retry_commands import retry_commands
from basislake.settings.exchange import ExchangeSettings
from basislake.settings.named_lake import lake_flag
from ingest.backfill.backfill import Backfill
from ingest.backfill.fetch_workers import threads_here
from ingest.backfill.results import Counts, FetchProgress, Finished, Result
from ingest.backfill.summary import completeness, rows, selected
from ingest.datasets import DATASETS
from ingest.datasets.candles import CANDLES
from ingest.discover import Discovery, discover
from ingest.plan.planner import Planner
from ingest.plan.scope import scope_of, within
from ingest.plan.selection import Selection
from lake import Lake
from lake.counted_words import counted
from lake.coverage import Subject
from lake.tables import INSTRUMENTS
from transforms.carry_validation import CURATIONS
from transforms.rules import is_sound


@dataclass(frozen=True, slots=True)
class FetchSummary:
    """A discovery, if there was one, and the backfill after it."""

    discovery: Discovery | None
    backfill: Result


def fetch_logged(  # noqa: PLR0913  (independent settings)
    lake: Lake,
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
    """Backfill a selection, with progress on stderr; discover first if asked to, or if the lake has
    no instruments yet.

    Args:
        lake: to fetch into.
        settings: of the exchange.
        selection: from the flags; the lake's scope fills in the rest.
        discover_first: discover even if the lake has instruments.
        repair: ask again for steps that were answered without a row, or whose row the last build
            rejected.
        again: ask again for the whole selection, stored or not.
        engine: whose workers make the calls; everything else happens in this process.
        is_checked: check the exchange before the first window of an empty lake.
        totals: called with the summary line.

    Raises:
        BasislakeError: a step failed; earlier answers are saved.
    """
    line = Progress("calls")

    def report(progress: FetchProgress) -> None:
        note = f"{counted(progress.rows, 'row')}, {progress.subject}"
        line(progress.done, progress.total, note)

    found = None
    with callers(engine, settings, lake) as elsewhere, settings.open(lake) as exchange:
        if discover_first or knows_nothing(lake):
            found = discover(exchange, lake, PROGRAM)
            log_discovery(lake, found)
        now = exchange.server_time()
        chosen = within(selection, scope_of(lake))
        planner = Planner(lake, chosen, now, repair=repair, again=again)
        if is_checked:
            check_first(lake, exchange, now)
        result = Backfill(
            lake,
            exchange,
            planner,
            elsewhere or threads_here(exchange, settings.threads),
            PROGRAM,
            sound=sound_rows(),
            report=report,
            finish=log_finished,
            tell=say,
        ).run()
    totals(totals_of(result))
    log_backfill(lake, result, selection)
    return FetchSummary(found, result)


def log_finished(finished: Finished) -> None:
    """Log a line about a finished subject; on a terminal, which has the progress line, only if it
    failed.
    """
    is_failed = finished.conclusion.status == "failed"
    if SCREEN.is_log or is_failed:
        say(f"{'Failed: ' if is_failed else ''}{finished_line(finished)}")


def log_discovery(lake: Lake, found: Discovery) -> None:
    """Log what a discovery found, and name records that it could not read."""
    counts = instrument_counts(found.known)
    left_out = sum(found.left_out.values())
    say(
        f"Known: {counted(counts['futures'], 'dated future')} and "
        f"{counted(counts['perpetuals'], 'perpetual')}, {len(found.new)} new; "
        f"{counted(left_out, 'other record')} left out; "
        f"`{called()} instruments --left-out{lake_flag(lake)}` lists them."
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


def log_backfill(lake: Lake, result: Result, selection: Selection) -> None:
    """Log what failed in a backfill, with the commands that fetch just that, and what is empty or
    differs.
    """
    for name, counts in result.by_dataset():
        _log_differing(name, counts)
    failed = result.all_failed
    for subject, reason in failed.items():
        say(f"Failed: {subject}: {reason}")
    if failed:
        commands = "\n  ".join(retry_commands(lake, failed, selection, scope_of(lake)))
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
            f"Replaced: {stored}, by the values that the exchange sent now. The lake as of earlier "
            "batches keeps the old values; the next build uses the new ones."
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


def sound_rows() -> dict[str, pl.Expr]:
    """Return by dataset an expression: whether a row breaks no rule that needs only that row."""
    carry = {c.dataset: ~pl.any_horizontal(rule.broken for rule in c.errors) for c in CURATIONS}
    return {"candles": is_sound(), **carry}


def knows_nothing(lake: Lake) -> bool:
    """Whether the lake has no instruments yet."""
    return lake.snapshot(INSTRUMENTS).rows == 0


def instrument_counts(known: pl.DataFrame) -> dict[str, int]:
    """Count the instruments of the table `instruments`."""
    futures = known.filter(pl.col("kind") == "future").height
    return {"known": known.height, "futures": futures, "perpetuals": known.height - futures}


def is_complete(fetched: FetchSummary) -> bool:
    """Whether nothing failed and nothing that could be a future was refused."""
    found = fetched.discovery
    return not fetched.backfill.all_failed and (found is None or found.is_complete)
