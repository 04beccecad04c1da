"""`build`, `load` and `run`: from the raw tables to the curated ones, to PostgreSQL, to a page."""

from dataclasses import asdict

import click

from basislake.output import Progress, duration, print_json, print_table, say
from basislake.pipeline import curate, is_complete
from basislake.settings import (
    ExchangeSettings,
    check_exists,
    database,
    exchange_options,
    json_option,
    lake_option,
    postgres_option,
    selection_options,
)
from basislake.status import BEHIND, tables_behind
from basislake.verbs.ingest import fetch_told
from basislake.verbs.report import report_told
from basislake.verbs.versions import MOST_THREADS
from ingest.selection import Selection
from lake import Lake
from load.run import LoadResult
from load.run import Progress as LoadProgress
from load.run import load as load_tables
from transforms.build import BuildResult


@click.command(short_help="Validate and compute the basis")
@lake_option
@click.option("--full", is_flag=True, help="Make everything anew, not only what changed")
@click.option(
    "--raw-version",
    type=click.IntRange(min=0),
    metavar="N",
    help="Build from raw_candles at this version, and the instruments and coverage of then",
)
@click.option(
    "--threads",
    type=click.IntRange(1, MOST_THREADS),
    help="Instruments built at once, as many as cores by default; the rows are the same",
)
@json_option
def build(
    where: Lake, *, full: bool, raw_version: int | None, threads: int | None, as_json: bool
) -> int:
    """Validate the raw candles and compute the basis of every future.

    Writes candles, quarantine, quality and basis; only instruments whose raw candles changed are
    made anew. Needs no network. With --raw-version the tables become what they were for that
    version of the raw candles; the next build without it brings back the newest.

    \b
    Example:
        basislake build
        basislake build --full
        basislake build --raw-version 12
    """
    check_exists(where)
    result = build_told(where, full=full, raw_version=raw_version, threads=threads)
    if as_json:
        print_json(result)
    else:
        _show("Build", asdict(result))
    return 0


@click.command(short_help="Bring the curated tables into PostgreSQL")
@lake_option
@postgres_option
@click.option("--full", is_flag=True, help="Send every partition again, not only what changed")
@json_option
def load(where: Lake, postgres: str, *, full: bool, as_json: bool) -> int:
    """Bring the curated tables into PostgreSQL; only partitions whose content changed are sent.

    Each partition is replaced in one transaction and compared with the lake before it is
    committed.

    \b
    Example:
        basislake load --postgres postgresql://me@db.example/market
    """
    check_exists(where)
    with database(postgres, where) as uri:
        result = load_told(where, uri, full=full)
    if as_json:
        print_json(result)
    else:
        _show("Load", asdict(result))
    return 0


@click.command(short_help="Discover, backfill, build, load and report")
@lake_option
@exchange_options
@selection_options
@postgres_option
@json_option
def run(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    postgres: str,
    *,
    as_json: bool,
) -> int:
    """Do it all: discover, backfill, build, load, report; safe to kill, and a rerun does only what
    is left.

    \b
    Example:
        basislake run --currency BTC --postgres embedded
    """
    summary, code = run_all(where, settings, selection, postgres)
    if as_json:
        print_json(summary)
    else:
        for name, figures in summary.items():
            _show(name.capitalize(), figures)
    return code


def run_all(
    where: Lake, settings: ExchangeSettings, selection: Selection, postgres: str
) -> tuple[dict[str, dict[str, object]], int]:
    """Run every step and return their figures, by step, and the exit code.

    What failed to be fetched does not keep the rest from being built, loaded and reported.
    """
    fetched = fetch_told(where, settings, selection, discover_first=True)
    built = build_told(where)
    with database(postgres, where) as uri:
        loaded = load_told(where, uri)
        reported, is_reported = report_told(where, uri)
    summary = {
        "backfill": asdict(fetched.backfill),
        "build": asdict(built),
        "load": asdict(loaded),
        **({"report": asdict(reported)} if reported else {}),
    }
    return summary, 0 if is_complete(fetched) and is_reported else 1


def build_told(
    where: Lake,
    *,
    full: bool = False,
    raw_version: int | None = None,
    threads: int | None = None,
) -> BuildResult:
    """Build, with progress and totals on stderr."""
    line = Progress("instruments")
    result = curate(where, full=full, raw_version=raw_version, threads=threads, report=line)
    say(
        f"Build: {result.rebuilt} instruments made anew, {result.unchanged} unchanged; "
        f"{result.candles:,} candles, {result.quarantined:,} quarantined, "
        f"{result.basis_rows:,} basis rows, {result.unmatched:,} unmatched "
        f"in {duration(result.seconds)}."
    )
    return result


def load_told(where: Lake, uri: str, *, full: bool = False) -> LoadResult:
    """Load, with progress and totals on stderr; say so where a build is due first."""
    if behind := tables_behind(where):
        say(f"Warning: {', '.join(behind)} {BEHIND}")
    line = Progress("partitions")

    def report(progress: LoadProgress) -> None:
        note = f"{progress.rows:,} rows, {progress.table} {progress.partition}"
        line(progress.done, progress.total, note)

    result = load_tables(where, uri, full=full, report=report)
    say(
        f"Load: {result.partitions_loaded} partitions loaded and verified, "
        f"{result.partitions_unchanged} unchanged; {result.rows_loaded:,} rows "
        f"in {duration(result.seconds)}."
    )
    return result


def _show(title: str, figures: dict[str, object]) -> None:
    rows = [
        [name.replace("_", " "), len(value) if isinstance(value, list | dict) else value]
        for name, value in figures.items()
    ]
    print_table(title, ["figure", "value"], rows)
