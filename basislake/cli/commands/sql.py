"""The command `sql`."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from basislake.cli.completion import file
from basislake.cli.options import as_of_option, lake_option, wide_option
from basislake.output.formats import FORMATS


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete `@NAME` with the names of ready queries, and other text with files."""
    from basislake.sql.examples import EXAMPLES, MARK

    if incomplete and not incomplete.startswith(MARK):
        return file(context, parameter, incomplete)
    names = [(MARK + example.name, example.title) for example in EXAMPLES]
    return [
        CompletionItem(name, help=title) for name, title in names if name.startswith(incomplete)
    ]


@click.command
@click.argument("query", required=False, shell_complete=_complete)
@lake_option
@as_of_option
@click.option(
    "--format",
    "format_",
    type=click.Choice(FORMATS),
    help="Format of the rows; by default a table, or the format of the output file's ending",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file. The ending gives the format; .csv.gz is compressed CSV",
)
@click.option(
    "--examples",
    "shows_examples",
    is_flag=True,
    help="List the ready queries; with QUERY (@NAME), show the SQL of that one",
)
@wide_option
@click.option("--json", "as_json", is_flag=True, help="Print the rows as a JSON list")
def sql(**given: Any) -> int:
    """Query the lake in SQL (DuckDB), by the names of tables and views; times are UTC.

    QUERY is one of: SQL text; FILE.sql; `-` (standard input); @NAME, a ready query (`--examples`,
    docs/queries.md). Without QUERY, on a terminal, it starts a shell with history and completion:
    a statement ends with ;, Ctrl-C ends a query, Ctrl-D ends the shell.

    Separate statements by ; to print the rows of each, one after the other. With JSON each gives a
    list of objects; several give a list of those lists. --output needs exactly one statement that
    returns rows. docs/tables.md lists the tables, docs/views.md the views. No query can change
    them; COPY writes the file that it names. If DuckDB refuses a query, the exit code is 2.

    A table on a terminal is as wide as the terminal: columns that do not fit are left out, and
    named below; --wide shows them. The values of a column are rounded to the same number of
    decimals. --format csv prints all digits and all rows.

    \b
    Example:
        basislake sql "SELECT instrument, count(*) FROM candles GROUP BY ALL" --format csv
        basislake sql @curve --output curve.parquet
        basislake sql monthly.sql --format json
        echo "FROM instruments" | basislake sql -
        basislake sql "SELECT count(*) FROM basis" --as-of 1
    """
    from basislake.verbs.sql import sql as body

    return body(**given)
