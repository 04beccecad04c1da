"""`load`: from the curated tables to PostgreSQL."""

from dataclasses import asdict

from basislake.loading import loaded
from basislake.output import called, print_json, say
from basislake.parity import compare_told, show_comparison, show_preview
from basislake.settings import check_exists, lake_flag
from basislake.tables import print_figures
from basislake.target import Target
from lake import Lake
from lake.counts import counted
from lake.errors import LoadError, UsageError
from load.preview import preview


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
        result = loaded(where, uri, target, full=full)
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
