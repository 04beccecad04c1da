"""The command `sql`."""

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from basislake.formats import FORMATS
from basislake.options import as_of_option, json_option, lake_option, wide_option


def _complete(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Examples that begin with what has been typed of the query."""
    from basislake.examples import EXAMPLES, MARK

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
@click.option("--examples", "shows_examples", is_flag=True, help="List questions that are ready")
@wide_option
@json_option
def sql(**given: Any) -> int:
    """Run a DuckDB query over the lake; each table is a view, times are UTC.

    A query @NAME is one of the examples (`--examples`, docs/queries.md); docs/tables.md lists the
    tables, docs/views.md the views there are beside them. The views cannot be changed; COPY writes
    where it is told to. A query that DuckDB refuses is wrong usage, exit code 2, with its reason.

    \b
    Example:
        basislake sql "SELECT instrument, count(*) FROM candles GROUP BY ALL" --format csv
        basislake sql @curve --output curve.parquet
        basislake sql "SELECT count(*) FROM basis" --as-of 1
    """
    from basislake.verbs.query import sql as body

    return body(**given)
