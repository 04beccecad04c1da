"""`sql`: queries the lake in SQL, and prints or saves the rows."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from textwrap import indent

import click
import polars as pl

from basislake.output.export import export, objects, readable
from basislake.output.formats import BINARY, format_of
from basislake.output.json_output import print_json
from basislake.output.screen import say
from basislake.output.tables import heading, paragraph, print_table
from basislake.output.units import size
from basislake.output.whole_files import replacing
from basislake.pipeline.build_as_of import opened
from basislake.settings.named_lake import check_exists
from basislake.sql.examples import EXAMPLES, MARK, SUBJECTS, named, text_of
from basislake.sql.result_rows import print_rows
from lake import Lake
from lake.counted_words import counted
from lake.errors import UsageError
from lake.query import duck


def sql(
    query: str | None,
    lake: Lake,
    as_of: int | datetime | None,
    format_: str | None,
    output: Path | None,
    *,
    shows_examples: bool,
    as_json: bool,
) -> int:
    """See `basislake.cli.commands.sql`; return the exit code."""
    if shows_examples:
        _show_examples(query, as_json=as_json)
        return 0
    format_, is_compressed = format_of("json" if as_json else format_, output)
    if query is None:
        return _converse(lake, as_of, format_, output)
    text = _text(query)
    check_exists(lake)
    asked = duck.parsed(text)
    with opened(lake, as_of) as chosen:
        if output is not None or format_ in BINARY:
            _check_single(asked)
        answers = _answers(chosen, asked)
        if output is not None:
            for rows in answers:
                _save(rows, format_, output, is_compressed=is_compressed)
        elif format_ == "json":
            lists = [objects(readable(rows)) for rows in answers]
            print_json(lists[0] if len(lists) == 1 else lists)
        else:
            for number, rows in enumerate(answers):
                print_rows(rows, format_, is_first=number == 0)
    return 0


def _converse(lake: Lake, as_of: int | datetime | None, format_: str, output: Path | None) -> int:
    if output is not None or not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError(
            "Give a query: SQL, a file that ends in .sql, - for the standard input, or @NAME of "
            "an example query (`--examples` lists them). On a terminal, `basislake sql` starts a "
            "shell."
        )
    check_exists(lake)
    from basislake.sql.shell import shell  # noqa: PLC0415  (its library is of no use to others)

    with opened(lake, as_of) as chosen, chosen.duckdb() as connection:
        return shell(chosen, connection, format_)


def _text(given: str) -> str:
    """The SQL that an argument names: the path of a file that ends in .sql, `-` for the standard
    input, @NAME of an example, or the SQL itself.

    Raises:
        UsageError: there is no such file or example query, or the text is not UTF-8.
    """
    if given == "-":
        return _decoded(sys.stdin.buffer.read(), "The standard input")
    path = Path(given)
    if given.endswith(".sql") and (len(given.split()) == 1 or path.is_file()):
        try:
            return _decoded(path.read_bytes(), given)
        except OSError as exc:
            raise UsageError(f"{given} cannot be read: {exc.strerror or exc}.") from exc
    return text_of(given)


def _decoded(text: bytes, name: str) -> str:
    try:
        return text.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise UsageError(f"{name} is not text in UTF-8.") from exc


def _check_single(asked: Sequence[duck.Statement]) -> None:
    """Refuse statements that do not return exactly one table, before anything runs.

    Raises:
        UsageError: none of the statements returns rows, or more than one.
    """
    count = sum(statement.gives_rows for statement in asked)
    if count != 1:
        raise UsageError(
            f"A file takes the rows of one statement, but {count or 'none'} of these "
            f"{'return' if count > 1 else 'returns'} rows. Nothing was run."
        )


def _answers(lake: Lake, asked: Sequence[duck.Statement]) -> Iterator[pl.DataFrame]:
    """Run statements one after the other; yield the rows of those that return some."""
    if len(asked) == 1:
        # For a single statement, only the tables that it names are opened.
        rows = lake.sql(asked[0].text)
        if asked[0].gives_rows:
            yield rows
        return
    with lake.duckdb() as connection:
        for number, statement in enumerate(asked, 1):
            try:
                rows = duck.rows(connection, statement.text)
            except UsageError as exc:
                raise UsageError(f"Statement {number} of {len(asked)}: {exc}") from exc
            if statement.gives_rows:
                yield rows


def _save(frame: pl.DataFrame, format_: str, output: Path, *, is_compressed: bool) -> None:
    try:
        with replacing(output) as sink:
            export(frame, format_, sink, is_compressed=is_compressed)
    except BrokenPipeError:
        raise
    except OSError as exc:
        raise UsageError(f"{output} cannot be written: {exc.strerror or exc}.") from exc
    # A pipe has no size.
    bytes_ = f", {size(output.stat().st_size)}," if output.is_file() else ""
    say(f"Wrote {counted(frame.height, 'row')}{bytes_} to {output}.")


def _show_examples(name: str | None, *, as_json: bool) -> None:
    """Print all examples by subject; of a named example, its meaning and its SQL."""
    if as_json:
        print_json([asdict(example) for example in ([named(name)] if name else EXAMPLES)])
    elif name:
        example = named(name)
        heading(f"{MARK}{example.name}: {example.title}")
        paragraph(example.expect)
        click.echo(f"\n{indent(example.sql, '    ')}\n")
    else:
        for subject, _, examples in SUBJECTS:
            rows = [(MARK + example.name, example.title) for example in examples]
            if rows:
                print_table(subject, ["name", "question"], rows)
                click.echo()
        paragraph(
            "`basislake sql @NAME` runs a query, `basislake sql --examples @NAME` shows its SQL. "
            "docs/queries.md lists all of them, and questions that other verbs answer."
        )
