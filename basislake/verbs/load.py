"""`load`: loads the curated tables into PostgreSQL."""

from dataclasses import asdict

from basislake.output.json_output import print_json
from basislake.output.pasting import called
from basislake.output.screen import say
from basislake.output.tables import print_figures
from basislake.pipeline.load import loaded
from basislake.pipeline.load_checks import compare_logged, show_comparison, show_preview
from basislake.settings.database_target import Target
from basislake.settings.named_lake import check_exists, lake_flag
from lake import Lake
from lake.counted_words import counted
from lake.errors import LoadError, UsageError
from load.preview import preview


def load(
    lake: Lake, target: Target, *, full: bool, dry_run: bool, verify: bool, as_json: bool
) -> int:
    """See `basislake.cli.commands.load`; return the exit code."""
    if verify and (full or dry_run):
        raise UsageError("--verify loads nothing; it cannot be combined with --full or --dry-run.")
    check_exists(lake)
    if dry_run or verify:
        return _looked(lake, target, full=full, verify=verify, as_json=as_json)
    with target.open(lake) as uri:
        result = loaded(lake, uri, target, full=full)
    if as_json:
        print_json(result)
    else:
        print_figures("Load", asdict(result))
        if result.unchanged_since:
            say(
                f"Not sent: {counted(result.partitions_unchanged, 'partition')} without changes, "
                f"last compared at {result.unchanged_since:%Y-%m-%d %H:%M}Z or later. "
                f"`{called()} load{lake_flag(lake)} --verify` compares every cell."
            )
    return 0


def _looked(lake: Lake, target: Target, *, full: bool, verify: bool, as_json: bool) -> int:
    """Show what a load would do, or how the database differs; change nothing."""
    with target.known(lake) as uri:
        if not verify:
            found = preview(
                lake, uri, schema=target.schema, full=full, lock_wait_s=target.lock_wait_s
            )
            return show_preview(found, as_json=as_json)
        if uri is None:
            raise LoadError(
                f"The lake at {lake.uri} was never loaded into its embedded PostgreSQL, so there "
                f"is nothing to compare. Nothing was changed. `{called()} load{lake_flag(lake)}` "
                "loads it; --postgres URI names another database."
            )
        return show_comparison(compare_logged(lake, uri, target), as_json=as_json)
