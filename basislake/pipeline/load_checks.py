"""Output of `load --dry-run` and `load --verify`, and the progress of a load."""

from collections.abc import Callable
from typing import Any

import click

from basislake.output.json_output import json_text, print_json
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.tables import paragraph, print_table
from basislake.output.units import duration
from basislake.settings.database_target import Target
from lake import Lake
from lake.counted_words import counted
from load.compare_cells import Comparison, PartitionDifference, compare
from load.preview import Preview
from load.results import LoadProgress

_SHOWN = 50


def partition_line() -> Callable[[LoadProgress], None]:
    """Return a function that shows a load's progress on stderr."""
    line = Progress("partitions")

    def report(progress: LoadProgress) -> None:
        note = f"{counted(progress.rows, 'row')}, {progress.table} {progress.partition}"
        line(progress.done, progress.total, note)

    return report


def compare_logged(lake: Lake, uri: str, target: Target) -> Comparison:
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


def show_comparison(found: Comparison, *, as_json: bool) -> int:
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


def show_preview(found: Preview, *, as_json: bool) -> int:
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
