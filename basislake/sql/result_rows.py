"""Prints the rows of a query on stdout, as a table or in a format."""

import sys

import click
import polars as pl

from basislake.output.columns import Heading, Kind
from basislake.output.export import export, objects, readable
from basislake.output.formats import TABLE
from basislake.output.json_output import print_json
from basislake.output.tables import print_table
from lake.counted_words import counted
from lake.table import Type
from lake.tables import TABLES

_SHOWN_ROWS = 50


def print_rows(
    frame: pl.DataFrame, format_: str, *, is_first: bool, title: str = "", hint: str = ""
) -> None:
    """Print rows on stdout, below an empty line unless they are the first.

    Args:
        frame: the rows.
        format_: of `basislake.output.formats`.
        is_first: whether the command printed no rows before.
        title: above a table; the number of rows by default.
        hint: how to see all rows if a table shows only some; by default an option of the command.
    """
    if not is_first and format_ != "ndjson":
        click.echo()
    if format_ == TABLE:
        shown = readable(frame.head(_SHOWN_ROWS))
        more = frame.height - shown.height
        how = hint or "--format csv prints all."
        note = f"... and {counted(more, 'more row')}; {how}" if more else ""
        columns = [Heading(name, _kind(name)) for name in frame.columns]
        print_table(title or counted(frame.height, "row"), columns, shown.rows(), note=note)
    elif format_ == "json":
        print_json(objects(readable(frame)))
    else:
        export(frame, format_, sys.stdout.buffer, is_compressed=False)


def _kind(name: str) -> Kind:
    """A column named like a time of the lake contains times, even if all are midnights."""
    columns = (column for table in TABLES.values() for column in table.columns)
    is_time = any(column.name == name and column.type is Type.TIME for column in columns)
    return Kind.TIME if is_time else Kind.PLAIN
