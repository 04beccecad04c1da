"""`load`: loads the curated tables into PostgreSQL."""

from dataclasses import asdict
from typing import Any

import click

from basislake.output.json_output import json_text, print_json
from basislake.output.pasting import called
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_figures, print_table
from basislake.output.units import duration
from basislake.pipeline.load import loaded, partition_line
from basislake.settings.database_target import Target
from basislake.settings.named_lake import check_exists, lake_flag
from lake import Lake
from lake.counted_words import counted
from lake.errors import LoadError, UsageError
from load.compare_cells import Comparison, PartitionDifference, compare
from load.preview import Preview, preview

_SHOWN = 50


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
            return _show_preview(found, as_json=as_json)
        if uri is None:
            raise LoadError(
                f"The lake at {lake.uri} was never loaded into its embedded PostgreSQL, so there "
                f"is nothing to compare. Nothing was changed. `{called()} load{lake_flag(lake)}` "
                "loads it; --postgres URI names another database."
            )
        return _show_comparison(_compared(lake, uri, target), as_json=as_json)


def _compared(lake: Lake, uri: str, target: Target) -> Comparison:
    """Compare every cell, with progress and totals on stderr."""
    found = compare(
        lake,
        uri,
        schema=target.schema,
        lock_wait_s=target.lock_wait_s,
        report=partition_line(),
    )
    result = "all cells equal" if found.equal else f"{len(found.differences)} differ"
    say(
        f"Verify: {counted(found.partitions, 'partition')}, {counted(found.rows, 'row')} compared, "
        f"{result}, in {duration(found.seconds)}."
    )
    return found


def _show_comparison(found: Comparison, *, as_json: bool) -> int:
    """Print a comparison; return the exit code, 1 for a difference."""
    if as_json:
        print_json(found)
    elif found.equal:
        paragraph("The database and the lake are equal.")
    else:
        rows = [_cells(each) for each in found.differences[:_SHOWN]]
        more = len(found.differences) - len(rows)
        further = f"And {more:,} more; `--json` lists all. " if more else ""
        columns = ["table", "partition", "lake", "database", "missing", "extra", "cells", "first"]
        note = "`basislake load` sends what changed in the lake; `load --full` sends everything."
        print_table("Differences, in rows", columns, rows, note=further + note)
        remedies = [each.remedy for each in found.differences if each.remedy]
        if remedies:
            paragraph(
                "Some of these partitions are neither in the lake nor in lake_loads, so no load "
                "changes them. If you do not need their rows, delete them:"
            )
            for sql in remedies:
                click.echo(f"  {sql}")
    return 0 if found.equal else 1


def _show_preview(found: Preview, *, as_json: bool) -> int:
    """Print what a load would do."""
    if as_json:
        sent = [step._asdict() for step in found.steps]
        print_json({"ddl": found.ddl, "partitions": sent, "unchanged": found.unchanged})
        return 0
    for sql in found.ddl:
        click.echo(f"{sql};")
    if found.ddl:
        click.echo()
    if found.steps:
        print_table("To be done", ["table", "partition", "action", "rows"], found.steps)
    rows = sum(step.rows for step in found.steps)
    paragraph(
        f"{counted(len(found.steps), 'partition')} would change and {found.unchanged} not; "
        f"{counted(rows, 'row')} would be sent. Nothing was changed."
    )
    return 0


def _cells(each: PartitionDifference) -> list[Any]:
    columns = ", ".join(f"{name}: {n:,}" for name, n in each.cells.items())
    counts = [each.lake_rows, each.database_rows, each.missing, each.extra]
    return [each.table, each.partition, *counts, columns, json_text(each.first)]
