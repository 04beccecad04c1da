"""`load`: loads the curated tables into PostgreSQL."""

from collections.abc import Callable
from dataclasses import asdict

from basislake.defaults import EMBEDDED
from basislake.output import called, duration, print_json, say
from basislake.settings import check_exists, lake_flag
from basislake.status import BEHIND, is_behind
from basislake.tables import print_figures
from basislake.target import Target
from basislake.verbs.parity import compare_logged, partition_line, show_comparison, show_preview
from lake import Lake
from lake.counts import counted
from lake.errors import LoadError, UsageError
from load.preview import preview
from load.results import LoadResult
from load.run import load as load_tables


def load(
    where: Lake, target: Target, *, full: bool, dry_run: bool, verify: bool, as_json: bool
) -> int:
    """See `basislake.commands.load`; return the exit code."""
    if verify and (full or dry_run):
        raise UsageError("--verify loads nothing; it cannot be combined with --full or --dry-run.")
    check_exists(where)
    if dry_run or verify:
        return _looked(where, target, full=full, verify=verify, as_json=as_json)
    with target.open(where) as uri:
        result = _loaded(where, uri, target, full=full)
    if as_json:
        print_json(result)
    else:
        print_figures("Load", asdict(result))
        if result.unchanged_since:
            say(
                f"Not sent: {counted(result.partitions_unchanged, 'partition')} without changes, "
                f"last compared at {result.unchanged_since:%Y-%m-%d %H:%M}Z or later. "
                f"`{called()} load{lake_flag(where)} --verify` compares every cell."
            )
    return 0


def load_logged(
    where: Lake, uri: str, target: Target, totals: Callable[[str], None] = say
) -> LoadResult:
    """Load as a step of a pipeline, with progress on stderr; `totals` gets the summary line."""
    result = _loaded(where, uri, target)
    appended = result.partitions_appended
    some = f" ({appended} by appending new rows)" if appended else ""
    totals(
        f"Load: {counted(result.partitions_loaded, 'partition')} loaded and verified{some}, "
        f"{result.partitions_unchanged} unchanged; {counted(result.rows_loaded, 'row')} "
        f"in {duration(result.seconds)}."
    )
    return result


def _looked(where: Lake, target: Target, *, full: bool, verify: bool, as_json: bool) -> int:
    """Show what a load would do, or how the database differs; change nothing."""
    with target.known(where) as uri:
        if not verify:
            found = preview(
                where, uri, schema=target.schema, full=full, lock_wait_s=target.lock_wait_s
            )
            return show_preview(found, as_json=as_json)
        if uri is None:
            raise LoadError(
                f"The lake at {where.uri} was never loaded into its embedded PostgreSQL, so there "
                f"is nothing to compare. Nothing was changed. `{called()} load{lake_flag(where)}` "
                "loads it; --postgres URI names another database."
            )
        return show_comparison(compare_logged(where, uri, target), as_json=as_json)


def _loaded(where: Lake, uri: str, target: Target, *, full: bool = False) -> LoadResult:
    """Load, with progress on stderr; warn if the curated tables are behind."""
    if is_behind(where):
        say(f"Warning: {BEHIND}")
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
            f"The database is next to the lake. `{called()} status{lake_flag(where)} --keep` leaves"
            " it running and shows how to connect with psql."
        )
    return result
