"""`build`, `load` and `run`: from the raw tables to the curated ones, to PostgreSQL, to a page."""

from dataclasses import asdict

import click

from basislake.engines import Engine
from basislake.options import (
    Whole,
    engine_options,
    exchange_options,
    json_option,
    lake_option,
    selection_options,
)
from basislake.output import Progress, called, counted, duration, print_json, print_table, say
from basislake.pipeline import curate, is_complete
from basislake.report.beside import Loaded
from basislake.settings import EMBEDDED, ExchangeSettings, check_exists, lake_flag
from basislake.status import BEHIND, tables_behind
from basislake.target import Target, target_options
from basislake.verbs.ingest import fetch_told
from basislake.verbs.parity import compare_told, partition_line, show_comparison, show_preview
from basislake.verbs.report import report_told
from basislake.verbs.versions import MOST_THREADS
from ingest.selection import Selection
from lake import Lake
from lake.errors import LoadError, UsageError
from lake.tables import RAW_CANDLES
from load.results import LoadResult
from load.run import load as load_tables
from load.run import preview
from transforms.build import BuildResult


@click.command(short_help="Validate and compute the basis")
@lake_option
@click.option("--full", is_flag=True, help="Make everything anew, not only what changed")
@click.option(
    "--raw-version",
    type=Whole(min=0),
    metavar="N",
    help="Build from raw_candles at this version, and the instruments and coverage of then",
)
@click.option(
    "--threads",
    type=Whole(1, MOST_THREADS),
    help="Instruments built at once, two for each core by default; the rows are the same",
)
@engine_options
@json_option
def build(
    where: Lake,
    *,
    full: bool,
    raw_version: int | None,
    threads: int | None,
    engine: Engine,
    as_json: bool,
) -> int:
    """Validate the raw candles and compute the basis of every future.

    Writes candles, quarantine, warnings, quality and basis; only instruments whose raw candles
    changed, or that a change can reach, are made anew. Needs no network. With --raw-version the
    tables become what they were for that version of the raw candles; the next build without it
    brings back the newest.

    \b
    Example:
        basislake build
        basislake build --full
        basislake build --raw-version 1
        basislake build --engine dask --workers 4
    """
    check_exists(where)
    result = curate(
        where,
        full=full,
        raw_version=raw_version,
        threads=threads,
        engine=engine,
        report=Progress("instruments"),
    )
    if raw_version is not None and (behind := tables_behind(where)):
        newest = where.snapshot(RAW_CANDLES).version
        say(
            f"Note: {', '.join(behind)} are now those of version {raw_version} of raw_candles, of "
            f"which the newest is {newest}; `{called()} build{lake_flag(where)}` brings that back."
        )
    if as_json:
        print_json(result)
    else:
        _show("Build", asdict(result))
    return 0


@click.command(short_help="Bring the curated tables into PostgreSQL")
@lake_option
@target_options
@click.option("--full", is_flag=True, help="Send every partition again, not only what changed")
@click.option(
    "--dry-run", is_flag=True, help="Print the DDL and what would be sent; change nothing"
)
@click.option("--verify", is_flag=True, help="Compare every cell with the lake; load nothing")
@json_option
def load(
    where: Lake, target: Target, *, full: bool, dry_run: bool, verify: bool, as_json: bool
) -> int:
    """Bring the curated tables into PostgreSQL; only partitions whose content changed are sent.

    A table that is not there yet is made, filled and given its keys in one transaction. In others
    each partition is replaced in one, or gets its new minutes appended, so readers see the old rows
    or the new ones and never a part. All is compared with the lake before it is committed; a load
    that was killed goes on where it was. --verify reads every row back instead, compares every cell
    bit for bit and ends with exit code 1 where one differs (docs/tables.md, docs/postgres.md).

    \b
    Example:
        basislake load
        basislake load --postgres postgresql://me@db.example/market --schema deribit
        basislake load --dry-run
        basislake load --verify
        basislake load --keep      # the embedded PostgreSQL goes on, for psql
    """
    if verify and (full or dry_run):
        raise UsageError("--verify loads nothing, so it does not go with --full or --dry-run.")
    check_exists(where)
    if dry_run or verify:
        return _looked(where, target, full=full, verify=verify, as_json=as_json)
    with target.open(where) as uri:
        result = _loaded(where, uri, target, full=full)
    if as_json:
        print_json(result)
    else:
        _show("Load", asdict(result))
    return 0


@click.command(short_help="Discover, backfill, build, load and report")
@lake_option
@exchange_options
@selection_options
@target_options
@json_option
def run(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """Do it all: discover, backfill, build, load, report; safe to kill, and a rerun does only what
    is left.

    The same as these five verbs one after the other. What failed to be fetched does not keep the
    rest from being built, loaded and reported, nor a database that is away the report; exit code 1
    then. Without --postgres a PostgreSQL is kept beside the lake, in its folder `postgres`.

    \b
    Example:
        basislake run --instruments BTC-29MAR24
        basislake run --currency BTC --since 2024-03-01
        basislake run
    """
    summary, code = run_all(where, settings, selection, target)
    if as_json:
        print_json(summary)
    else:
        for name in ("backfill", "build", "load"):
            _show(name.capitalize(), summary[name])
    return code


def run_all(
    where: Lake, settings: ExchangeSettings, selection: Selection, target: Target
) -> tuple[dict[str, dict[str, object]], int]:
    """Run every step and return their figures, by step, and the exit code.

    What failed to be fetched does not keep the rest from being built, loaded and reported, nor a
    database that is away the report.
    """
    fetched = fetch_told(where, settings, selection, discover_first=True)
    built = build_told(where)
    summary: dict[str, dict[str, object]] = {
        "backfill": asdict(fetched.backfill),
        "build": asdict(built),
    }
    try:
        with target.open(where) as uri:
            summary["load"] = asdict(load_told(where, uri, target))
            reported, is_reported = report_told(where, Loaded(uri, target.schema))
    except LoadError as exc:
        say(f"Load: {exc}")
        summary["load"] = {"error": str(exc)}
        reported, is_reported = report_told(where, None)
    if reported:
        summary["report"] = asdict(reported)
    is_whole = is_complete(fetched) and is_reported and "error" not in summary["load"]
    return summary, 0 if is_whole else 1


def build_told(where: Lake) -> BuildResult:
    """Build as a part of something longer, with progress and totals on stderr."""
    result = curate(where, report=Progress("instruments"))
    say(
        f"Build: {counted(result.rebuilt, 'instrument')} made anew, {result.unchanged} unchanged; "
        f"{counted(result.candles, 'candle')}, {result.quarantined:,} quarantined, "
        f"{result.basis_rows:,} basis rows, {result.unmatched:,} unmatched "
        f"in {duration(result.seconds)}."
    )
    return result


def load_told(where: Lake, uri: str, target: Target) -> LoadResult:
    """Load as a part of something longer, with progress and totals on stderr."""
    result = _loaded(where, uri, target)
    appended = result.partitions_appended
    some = f", to {appended} of them only their new rows" if appended else ""
    say(
        f"Load: {counted(result.partitions_loaded, 'partition')} loaded and verified{some}, "
        f"{result.partitions_unchanged} unchanged; {counted(result.rows_loaded, 'row')} "
        f"in {duration(result.seconds)}."
    )
    return result


def _looked(where: Lake, target: Target, *, full: bool, verify: bool, as_json: bool) -> int:
    """Show what a load would do, or how the database differs; nothing is made or changed."""
    with target.known(where) as uri:
        if not verify:
            found = preview(where, uri, schema=target.schema, full=full)
            return show_preview(found, as_json=as_json)
        if uri is None:
            raise LoadError(
                f"Nothing was loaded yet from the lake at {where.uri} into an embedded PostgreSQL, "
                f"so there is nothing to compare, and nothing was made. `{called()} "
                f"load{lake_flag(where)}` loads it; --postgres URI tells of another database."
            )
        return show_comparison(compare_told(where, uri, target.schema), as_json=as_json)


def _loaded(where: Lake, uri: str, target: Target, *, full: bool = False) -> LoadResult:
    """Load, with progress on stderr; say so where a build is due first."""
    if behind := tables_behind(where):
        say(f"Warning: {', '.join(behind)} {BEHIND}")
    result = load_tables(
        where,
        uri,
        schema=target.schema,
        full=full,
        lock_wait_s=target.lock_wait_s,
        report=partition_line(),
    )
    if target.postgres == EMBEDDED and not target.keep:
        say(
            f"The database is beside the lake; `{called()} status{lake_flag(where)} --keep` leaves "
            "it running, and tells how to connect with psql."
        )
    return result


def _show(title: str, figures: dict[str, object]) -> None:
    # What was planned is for `backfill` alone to show; the log was named before.
    rows = [
        [name.replace("_", " "), _short(value)]
        for name, value in figures.items()
        if name not in ("plan", "log")
    ]
    print_table(title, ["figure", "value"], rows)


def _short(value: object) -> object:
    """A figure for people: the length of a list, seconds to a tenth."""
    if isinstance(value, list | dict):
        return len(value)
    return round(value, 1) if isinstance(value, float) else value
