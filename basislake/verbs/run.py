"""`build`, `load` and `run`: from the raw tables to the curated ones, to PostgreSQL, to a page."""

from dataclasses import asdict

from basislake.defaults import EMBEDDED
from basislake.engines import Engine
from basislake.output import Progress, called, counted, duration, print_json, say
from basislake.pipeline import curate, is_complete
from basislake.report.beside import Loaded
from basislake.settings import ExchangeSettings, check_exists, lake_flag
from basislake.status import BEHIND, tables_behind
from basislake.tables import print_table
from basislake.target import Target
from basislake.verbs.ingest import fetch_told
from basislake.verbs.parity import compare_told, partition_line, show_comparison, show_preview
from basislake.verbs.report import report_told
from ingest.selection import Selection
from lake import Lake
from lake.errors import LoadError, UsageError
from lake.tables import RAW_CANDLES
from load.results import LoadResult
from load.run import load as load_tables
from load.run import preview
from transforms.build import BuildResult


def build(
    where: Lake,
    *,
    full: bool,
    raw_version: int | None,
    threads: int | None,
    engine: Engine,
    as_json: bool,
) -> int:
    """See `basislake.commands.build`; return the exit code."""
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


def load(
    where: Lake, target: Target, *, full: bool, dry_run: bool, verify: bool, as_json: bool
) -> int:
    """See `basislake.commands.load`; return the exit code."""
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


def run(
    where: Lake,
    settings: ExchangeSettings,
    selection: Selection,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """See `basislake.commands.run`; return the exit code."""
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
