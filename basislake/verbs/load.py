"""`load`: from the curated tables to PostgreSQL."""

from collections.abc import Callable
from dataclasses import asdict

from basislake.defaults import EMBEDDED
from basislake.output import called, duration, print_json, say
from basislake.settings import check_exists, lake_flag
from basislake.status import BEHIND, is_behind
from basislake.tables import print_figures
from basislake.target import Target
from basislake.verbs.parity import compare_told, partition_line, show_comparison, show_preview
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
        raise UsageError("--verify loads nothing, so it does not go with --full or --dry-run.")
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
                f"Not sent, and so not compared since {result.unchanged_since:%Y-%m-%d %H:%M}Z: "
                f"{counted(result.partitions_unchanged, 'partition')}. `{called()} "
                f"load{lake_flag(where)} --verify` compares every cell."
            )
    return 0


def load_told(
    where: Lake, uri: str, target: Target, totals: Callable[[str], None] = say
) -> LoadResult:
    """Load as a part of something longer, with progress on stderr; `totals` gets the line that sums
    it up.
    """
    result = _loaded(where, uri, target)
    appended = result.partitions_appended
    some = f", to {appended} of them only their new rows" if appended else ""
    totals(
        f"Load: {counted(result.partitions_loaded, 'partition')} loaded and verified{some}, "
        f"{result.partitions_unchanged} unchanged; {counted(result.rows_loaded, 'row')} "
        f"in {duration(result.seconds)}."
    )
    return result


def _looked(where: Lake, target: Target, *, full: bool, verify: bool, as_json: bool) -> int:
    """Show what a load would do, or how the database differs; nothing is made or changed."""
    with target.known(where) as uri:
        if not verify:
            found = preview(
                where, uri, schema=target.schema, full=full, lock_wait_s=target.lock_wait_s
            )
            return show_preview(found, as_json=as_json)
        if uri is None:
            raise LoadError(
                f"Nothing was loaded yet from the lake at {where.uri} into an embedded PostgreSQL, "
                f"so there is nothing to compare, and nothing was made. `{called()} "
                f"load{lake_flag(where)}` loads it; --postgres URI tells of another database."
            )
        return show_comparison(compare_told(where, uri, target), as_json=as_json)


def _loaded(where: Lake, uri: str, target: Target, *, full: bool = False) -> LoadResult:
    """Load, with progress on stderr; say so where a build is due first."""
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
            f"The database is beside the lake; `{called()} status{lake_flag(where)} --keep` leaves "
            "it running, and tells how to connect with psql."
        )
    return result
