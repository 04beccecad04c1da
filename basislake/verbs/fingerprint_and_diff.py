"""`fingerprint` and `diff`: compare the rows of two lakes, or of one lake as of two batches."""

from datetime import datetime
from typing import TypeAlias

import click

from basislake.output.json_output import print_json
from basislake.output.progress import Progress
from basislake.output.screen import say
from basislake.output.tables import line_length, paragraph, print_table
from basislake.pipeline.build_as_of import opened
from basislake.settings.named_lake import check_exists
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.counted_words import counted
from lake.history.as_of import complete
from lake.history.difference import COMPARED, Difference, differences
from lake.history.fingerprint import fingerprint as fingerprint_of
from lake.machine.cores import cores

_LEAST_DIGITS = 16

# A batch, or a time at which it was the newest; None for the newest state.
AsOf: TypeAlias = int | datetime | None


def fingerprint(
    lake: Lake, as_of: AsOf, *, verify: bool, threads: int | None, as_json: bool
) -> int:
    """See `basislake.cli.commands.fingerprint`; return the exit code."""
    check_exists(lake)
    workers = threads or cores()
    with opened(lake, as_of) as still:
        found = fingerprint_of(still, workers, verify=verify, report=Progress("partitions"))
    for path in found.damaged:
        problem = "has rows that do not match its name, or is unreadable"
        say(f"Damaged: {path} {problem}; replace it by the file of a backup.")
    if as_json:
        # Nothing but content: the objects of two equal lakes are equal.
        print_json(found)
    else:
        available = line_length()
        for name, digest in {**found.tables, "lake": found.lake}.items():
            click.echo(f"{_fitting(digest, name, available)}  {name}")
    return 1 if found.damaged else 0


def diff(a: int | datetime, b: AsOf, lake: Lake, other: str | None, *, as_json: bool) -> int:
    """See `basislake.cli.commands.diff`; return the exit code."""
    check_exists(lake)
    opposite = lake if other is None else open_lake(other)
    check_exists(opposite)
    other_side = complete(opposite) if b is None else opposite
    with opened(lake, a) as left, opened(other_side, b) as right:
        found = differences(left, right)
        newest = newest_batch(right)
        numbers = {"a": left.as_of, "b": right.as_of or newest}
    if as_json:
        print_json({**numbers, "equal": not found, "differences": found})
        return 0
    place = "" if other is None else f" of {opposite.uri}"
    is_newest = ", the newest" * (numbers["b"] == newest)
    paragraph(f"A is as of batch {numbers['a']}, B of batch {numbers['b']}{place}{is_newest}.")
    _show(found)
    return 0


def _fitting(digest: str, name: str, available: int | None) -> str:
    """As many digits as fit on a line of the terminal next to the name; all in a pipe."""
    room = len(digest) if available is None else max(available - len(f"  {name}"), _LEAST_DIGITS)
    return digest if len(digest) <= room else f"{digest[: room - 1]}…"


def _show(found: list[Difference]) -> None:
    if not found:
        paragraph(f"No difference in {', '.join(table.name for table in COMPARED)}.")
        return
    rows = [[d.instrument, d.table, d.only_a, d.only_b, d.changed] for d in found]
    title = f"{counted(len({d.instrument for d in found}), 'instrument')} with other rows"
    columns = ["instrument", "table", "rows only in A", "rows only in B", "changed"]
    print_table(title, columns, rows)
