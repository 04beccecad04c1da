"""Writes the generated pages of this folder from the declarations: `make docs`."""

import re
from collections.abc import Iterator
from pathlib import Path
from textwrap import fill

from basislake.sql.examples import EXAMPLES, MARK, SUBJECTS
from basislake.sql.examples.example import Example
from docs.reference import commands_page, tables_page
from lake.query.views import VIEWS, View
from lake.table import Column

FOLDER = Path(__file__).parent

_VIEWS_HEAD = """\
# Views

For those who query the lake. Next to one view per table, `basislake sql` and
`lake.open(...).duckdb()` have these derived views. DuckDB computes them when you ask, from one
state of the tables; they store no data. Times are UTC, a candle is labelled by its open, ranges are
half-open. No value is filled in, and every price is of its own minute. Only `carry_at` and the term
structure take an older input, the index of the last full hour; `carry_at` also takes the open
interest of the last settlement.

The basis itself is the table `basis`:

- basis = future close - perpetual close of the same minute
- basis_pct = basis / perpetual close x 100
- days_to_expiry = (expires_at - ts) in days of 86,400 s; `expires_at` is from the exchange's
  record, exact to the microsecond
- annualised_pct = basis_pct x 365 / days_to_expiry: simple, ACT/365, and null if 60 minutes or less
  are left

In a minute without a trade the exchange repeats the last close. `future_traded` and
`perpetual_traded` say for each leg whether it traded.

A view whose title has brackets takes parameters, e.g. `FROM term_structure('2024-04-05 11:59')`.

<!-- Written by docs/write.py from lake/query/views; change it there. -->
"""

_QUERIES_HEAD = """\
# Queries

For readers who have a question and want the command that answers it. `basislake sql @NAME` runs an
example query on any lake. `basislake sql --examples` lists the names, and
`basislake sql --examples @NAME` shows the SQL. Add `--format csv`, `tsv`, `json`, `ndjson`,
`parquet` or `arrow`, or `--output FILE` with one of these extensions; `.csv.gz` writes compressed
CSV.

A query of your own is an argument, a file that ends in `.sql`, or the standard input (`-`).
`basislake sql` alone on a terminal is a shell with a history and completion.

Write `ORDER BY` if the order matters: tables and views have no order of their own, except that
hourly and daily roll-ups come by instrument and time. [views.md](views.md) explains the views,
[tables.md](tables.md) the tables, [library.md](library.md) how to query from Python.

```sh
eval "$(basislake completion bash)"    # Tab completes the names; see commands.md for zsh and fish
basislake sql @curve
basislake sql @basis-days --output basis-days.parquet
basislake sql @failed --format csv
basislake sql monthly.sql --format json
```

<!-- Written by docs/write.py from basislake/sql/examples; change it there. -->

## Questions, and the command that answers each
"""


def pages() -> dict[str, str]:
    """Return the text of each page by its file name."""
    return {
        "commands.md": commands_page(),
        "tables.md": tables_page(),
        "views.md": "\n".join([_VIEWS_HEAD, *map(_view, VIEWS)]),
        "queries.md": "\n".join([_QUERIES_HEAD, *_questions(), *map(_query, EXAMPLES)]),
    }


def _view(view: View) -> str:
    names = f"({', '.join(p.name for p in view.parameters)})" if view.parameters else ""
    facts = [f"- `{p.name}`: {p.meaning}, e.g. `{p.example}`" for p in view.parameters]
    facts += [f"- Formula: {view.formula}", f"- Source: {view.source}"]
    lines = [f"## {view.name}{names}", "", _wrapped(view.meaning), ""]
    lines += [*(_wrapped(fact, "  ") for fact in facts), ""]
    lines += ["| column | meaning | unit |", "|---|---|---|", *map(_column, view.columns), ""]
    return "\n".join(lines)


def _column(column: Column) -> str:
    return f"| `{column.name}` | {_meaning(column)} | {column.unit} |"


def _meaning(column: Column) -> str:
    is_said = not column.nullable or "null" in column.meaning
    return column.meaning if is_said else f"{column.meaning}; may be null"


def _questions() -> Iterator[str]:
    """A table for each subject: questions, and the command that answers each."""
    for subject, lines, examples in SUBJECTS:
        yield f"### {subject}\n\n| question | command |\n|---|---|"
        for each in lines:
            yield f"| {each.question} | `{each.line}` |"
        for example in examples:
            yield f"| {example.title} | `basislake sql {MARK}{example.name}` |"
        yield ""
    yield "## The SQL of the example queries\n"


def _query(example: Example) -> str:
    title = f"## {MARK}{example.name}: {example.title}"
    return f"{title}\n\n{_wrapped(example.expect)}\n\n```sql\n{example.sql}\n```\n"


def _wrapped(text: str, indent: str = "") -> str:
    """Lines of 100 columns; none begins with an operator, which Markdown would take for a list."""
    words = re.sub(r" (?=[-+*] )", "\0", text)
    lines = fill(
        words, 100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
    return lines.replace("\0", " ")


if __name__ == "__main__":
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
