"""Writes the generated pages of this folder from the declarations: `make docs`."""

from collections.abc import Iterator
from pathlib import Path

from basislake.examples import EXAMPLES, MARK, SUBJECTS
from basislake.examples.example import Example
from docs.reference import commands_page, tables_page
from lake.table import Column, Table
from lake.views import VIEWS, View
from load.ddl import SQL_TYPES
from load.tables import RANGE_INDEXES, TABLES

FOLDER = Path(__file__).parent

_VIEWS_HEAD = """\
# Views

`basislake sql` and `lake.open(...).duckdb()` have these views in addition to a view per table. A
query computes them from the tables of one version; they store no data. Times are UTC, a candle is
labelled by its open, ranges are half-open. Nothing is filled in, and prices are those of the same
minute; only `carry_at` and the term structure use the index of the last full hour, and `carry_at`
the open interest of the last settlement.

The basis itself is the table `basis`: basis = future close - perpetual close of the same minute;
basis_pct = basis / perpetual close x 100; days_to_expiry = (expires_at - ts) in days of 86,400 s,
with `expires_at` from the exchange's record, to the microsecond; annualised_pct = basis_pct x
365 / days_to_expiry, simple, by the 365-day convention of markets that never close, and null if
60 minutes or less are left. When nothing trades, the exchange repeats the last close:
`future_traded` and `perpetual_traded` show for each leg whether it traded.

Call a view with brackets with its parameters, e.g. `FROM term_structure('2024-04-05 11:59')`.

<!-- Written by docs/write.py from lake/views; change it there. -->
"""

_QUERIES_HEAD = """\
# Queries

Questions about the data, and the line that answers each. `basislake sql @NAME` runs a ready-made
query on any lake; `basislake sql --examples` lists them, `basislake sql --examples @NAME` shows
the SQL, and shell completion (below) completes the names. Add `--format csv`, `tsv`, `json`,
`ndjson`, `parquet` or `arrow`, or `--output FILE` with such an ending; `rows.csv.gz` is compressed.
Your own query may be an argument, a file that ends in `.sql`, or come from standard input
(`-`); `basislake sql` alone on a terminal is a shell with history and completion.

Tables and views have no order of their own, except that hourly and daily views are ordered by
instrument and time: write `ORDER BY` where the order matters. [views.md](views.md) explains the
views, [tables.md](tables.md) the tables, [library.md](library.md) queries from Python.

```sh
eval "$(basislake completion bash)"    # zsh the same; fish: basislake completion fish | source
basislake sql @curve
basislake sql @basis-days --output basis-days.parquet
basislake sql @failed --format csv
basislake sql monthly.sql --format json
```

<!-- Written by docs/write.py from basislake/examples; change it there. -->

## Questions, and the line that answers each
"""


_POSTGRES_MARK = """\
<!-- What follows is written by docs/write.py from load/tables.py; change it there. -->
"""


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {
        "commands.md": commands_page(),
        "tables.md": tables_page(),
        "views.md": "\n".join([_VIEWS_HEAD, *map(_view, VIEWS)]),
        "queries.md": "\n".join([_QUERIES_HEAD, *_questions(), *map(_query, EXAMPLES)]),
        "postgres.md": _prose("postgres.md") + "\n".join(["", *map(_table, TABLES.values())]),
    }


def _prose(name: str) -> str:
    """What is written by hand in a page, to the mark where the rest begins."""
    before, mark, _ = (FOLDER / name).read_text().partition(_POSTGRES_MARK)
    return before + mark


def _table(table: Table) -> str:
    key = ", ".join(f"`{name}`" for name in table.key)
    ranges = RANGE_INDEXES.get(table.name)
    indexed = f"; ranges of {', '.join(f'`{name}`' for name in ranges)} indexed" if ranges else ""
    lines = [f"## {table.name}", "", f"A row is {table.row}. Key: {key}{indexed}.", ""]
    lines += ["| column | type | meaning | unit |", "|---|---|---|---|"]
    for column in table.columns:
        type_, meaning = SQL_TYPES[column.type], _meaning(column)
        lines.append(f"| `{column.name}` | {type_} | {meaning} | {column.unit} |")
    return "\n".join([*lines, ""])


def _view(view: View) -> str:
    names = f"({', '.join(p.name for p in view.parameters)})" if view.parameters else ""
    lines = [f"## {view.name}{names}", "", view.meaning, ""]
    lines += [f"- `{p.name}`: {p.meaning}, e.g. `{p.example}`" for p in view.parameters]
    lines += [f"- Formula: {view.formula}", f"- Source: {view.source}", ""]
    lines += ["| column | meaning | unit |", "|---|---|---|", *map(_column, view.columns), ""]
    return "\n".join(lines)


def _column(column: Column) -> str:
    return f"| `{column.name}` | {_meaning(column)} | {column.unit} |"


def _meaning(column: Column) -> str:
    is_told = not column.nullable or "null" in column.meaning
    return column.meaning if is_told else f"{column.meaning}; may be null"


def _questions() -> Iterator[str]:
    """A table for each subject: questions, and the line that answers each."""
    for subject, lines, examples in SUBJECTS:
        yield f"### {subject}\n\n| question | line |\n|---|---|"
        for each in lines:
            yield f"| {each.question} | `{each.line}` |"
        for example in examples:
            yield f"| {example.title} | `basislake sql {MARK}{example.name}` |"
        yield ""
    yield "## The SQL of the named ones\n"


def _query(example: Example) -> str:
    title = f"## {MARK}{example.name}: {example.title}"
    return f"{title}\n\n{example.expect}\n\n```sql\n{example.sql}\n```\n"


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
