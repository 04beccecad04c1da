"""The command `sql`."""

from pathlib import Path

import click
from click.shell_completion import CompletionItem

from basislake.cli.options import as_of_option, lake_option, verb, wide_option
from basislake.output.formats import FORMATS


def _complete(
    context: click.Context, parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Complete `@NAME` with the names of example queries, and other text with files."""
    from basislake.sql.examples import EXAMPLES, MARK

    if incomplete and not incomplete.startswith(MARK):
        return click.Path().shell_complete(context, parameter, incomplete)
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
    help="Format of the rows; by default a table, or the format of the output file's extension",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write to a file. The extension sets the format; .csv.gz is compressed CSV",
)
@click.option(
    "--examples",
    "shows_examples",
    is_flag=True,
    help="List the example queries; with QUERY (@NAME), show the SQL of that one",
)
@wide_option
@click.option("--json", "as_json", is_flag=True, help="Print the rows as a JSON list")
@verb
def sql() -> None:
    """Query the lake's tables and views in SQL (DuckDB); times are UTC.

    QUERY is one of: SQL text; FILE.sql; `-` (standard input); @NAME, an example query
    (`--examples`, docs/queries.md). Without QUERY, on a terminal, it starts a shell with history
    and completion: a statement ends with ;, Ctrl-C ends a query, Ctrl-D ends the shell.

    Separate several statements with `;`; their results are printed in order. In JSON, one statement
    gives a list of objects; several give a list of such lists. --output needs exactly one statement
    that returns rows. docs/tables.md lists the tables, docs/views.md the views. Queries cannot
    change the lake. A COPY statement can write a file. If DuckDB refuses a query, the exit code is
    2.

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
