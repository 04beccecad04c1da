"""`sql`: ask the lake."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from textwrap import indent

import click
import polars as pl

from basislake.asof import opened
from basislake.columns import Column, Kind
from basislake.examples import EXAMPLES, MARK, text_of
from basislake.export import export, objects, readable
from basislake.files import replacing
from basislake.formats import TABLE, format_of
from basislake.output import counted, print_json
from basislake.settings import check_exists
from basislake.tables import heading, paragraph, print_table
from lake import Lake
from lake.errors import UsageError
from lake.tables import TABLES, Type

_SHOWN_ROWS = 50


def sql(
    query: str | None,
    where: Lake,
    as_of: int | datetime | None,
    format_: str | None,
    output: Path | None,
    *,
    shows_examples: bool,
    as_json: bool,
) -> int:
    """See `basislake.commands.sql`; return the exit code."""
    if shows_examples:
        _show_examples(as_json=as_json)
        return 0
    if query is None:
        raise UsageError("Give a query, or @NAME of an example; `--examples` lists them.")
    text = text_of(query)
    format_, is_compressed = format_of("json" if as_json else format_, output)
    check_exists(where)
    with opened(where, as_of) as lake:
        rows = lake.sql(text)
    if output is None:
        _print(rows, format_)
    else:
        _save(rows, format_, output, is_compressed=is_compressed)
    return 0


def _show_examples(*, as_json: bool) -> None:
    if as_json:
        print_json([asdict(example) for example in EXAMPLES])
        return
    for example in EXAMPLES:
        heading(f"{MARK}{example.name}: {example.title}")
        paragraph(example.expect)
        click.echo(f"\n{indent(example.sql, '    ')}\n")


def _print(frame: pl.DataFrame, format_: str) -> None:
    if format_ == TABLE:
        shown = readable(frame.head(_SHOWN_ROWS))
        more = frame.height - shown.height
        note = f"... and {counted(more, 'more row')}; --format csv prints all." if more else ""
        columns = [Column(name, _kind(name)) for name in frame.columns]
        print_table(counted(frame.height, "row"), columns, shown.rows(), note=note)
    elif format_ == "json":
        print_json(objects(readable(frame)))
    else:
        export(frame, format_, sys.stdout.buffer, is_compressed=False)


def _kind(name: str) -> Kind:
    """A column that is called as a time of the lake holds times, also where all are midnights."""
    return Kind.TIME if name in _times() else Kind.PLAIN


def _times() -> set[str]:
    columns = (column for table in TABLES.values() for column in table.columns)
    return {column.name for column in columns if column.type is Type.TIME}


def _save(frame: pl.DataFrame, format_: str, output: Path, *, is_compressed: bool) -> None:
    try:
        with replacing(output) as sink:
            export(frame, format_, sink, is_compressed=is_compressed)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}.") from exc
