"""The command `sql`."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from basislake.completing import file
from basislake.formats import FORMATS
from basislake.options import as_of_option, lake_option, wide_option


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Examples that begin with what has been typed of the query; else files."""
    from basislake.examples import EXAMPLES, MARK

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
    help="How to print the rows; by default a table, or as the output's name ends",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file, in the format that its name ends in; .gz after it compresses text",
)
@click.option(
    "--examples",
    "shows_examples",
    is_flag=True,
    help="List the ready questions; of the one that QUERY names, show the SQL",
)
@wide_option
@click.option("--json", "as_json", is_flag=True, help="Print the rows as a JSON list")
def sql(**given: Any) -> int:
    """Ask the lake in SQL (DuckDB); each table and view has its name, times are UTC.

    QUERY is SQL, a file that ends in .sql, - for the standard input, or @NAME of a ready question
    (`--examples`, docs/queries.md). Without QUERY, on a terminal, it is a shell with a history and
    completion: a statement ends with ;, Ctrl-C ends a query, Ctrl-D the shell.

    Statements are separated by ; and each prints its rows, one below the other. JSON is a list of
    objects; where several statements give rows, a list of such lists. --output takes the rows of
    one statement. docs/tables.md lists the tables, docs/views.md the views; nothing changes them,
    COPY writes the file that it names. A query that DuckDB refuses is wrong usage, exit code 2.

    A table on a terminal is as wide as the terminal: columns on the right that do not fit are
    hidden and named, and --wide shows them. A column's numbers have the same number of decimals,
    rounded for reading, and no thousands separators; --format csv prints all digits and all rows.

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
