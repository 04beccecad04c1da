"""`sql`: the rows of a query over the lake."""

import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from textwrap import indent

import click
import polars as pl

from basislake.asof import opened
from basislake.examples import EXAMPLES, MARK, text_of
from basislake.export import export, objects, readable
from basislake.files import replacing
from basislake.formats import TABLE, format_of
from basislake.output import counted, print_json
from basislake.settings import check_exists
from basislake.tables import heading, print_table
from lake import Lake
from lake.errors import UsageError

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
        click.echo(f"{example.expect}\n\n{indent(example.sql, '    ')}\n")


def _print(frame: pl.DataFrame, format_: str) -> None:
    if format_ == TABLE:
        shown = readable(frame.head(_SHOWN_ROWS))
        more = frame.height - shown.height
        note = f"... and {more:,} more rows; --format csv prints all." if more else ""
        print_table(counted(frame.height, "row"), frame.columns, shown.rows(), note=note)
    elif format_ == "json":
        print_json(objects(readable(frame)))
    else:
        export(frame, format_, sys.stdout.buffer, is_compressed=False)


def _save(frame: pl.DataFrame, format_: str, output: Path, *, is_compressed: bool) -> None:
    try:
        with replacing(output) as sink:
            export(frame, format_, sink, is_compressed=is_compressed)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}.") from exc
