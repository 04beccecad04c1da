"""The pages `commands.md` and `tables.md`, from the help texts and the declarations of tables."""

from collections.abc import Iterator

import click

import lake
from basislake.cli import EXIT_CODES, basislake
from lake.machine import SETTING
from lake.table import Column, Table
from load import tables as postgres
from load.ddl import SQL_TYPES

_WIDTH = 100

_COMMANDS_HEAD = """\
# Commands

`basislake VERB [options]`. Results go to stdout, everything else to stderr, so a pipe carries
nothing but rows. Each verb prints with `--json` one JSON object (`sql`: a list of rows) for other
programs. A terminal gets colours and a progress line, a pipe or a log plain lines;
[`NO_COLOR`](https://no-color.org) turns the colours off everywhere.

A table on a terminal is as wide as the terminal. Text wraps between words. Where all columns still
do not fit, a line below the table names the less important ones, which are hidden; `--wide`
shows all. In a pipe or a file a row is one line with all columns. The numbers of a column have the
same number of decimals. Commas separate thousands only in counts of basislake itself, such as the
candles of `status`; a year, an id, a price and any result of `sql` have none. If a time is
midnight in every row of a query, such as a month, it is shown as a date. Sizes use units of 1000
bytes.

Times are UTC, given as `2024-03-29`, `2024-03-29T08:00` or `2024-03-29T08:00Z`; ranges are
half-open: `--since` is the first minute, `--until` the first one that is left out.

<!-- Written by docs/write.py from the help texts; change them in basislake/commands. -->
"""

_EXIT_HEAD = """\
## Exit codes

| code | means |
|---|---|"""

_SETTINGS_HEAD = """\
## Settings

A flag overrides the environment, and the environment overrides the default. There is no settings
file.

| environment | flag | default | is |
|---|---|---|---|"""

_OTHER_SETTINGS = f"""\
| `{SETTING}` | | `.machine` in the lake | \
Folder for this machine's locks and rate limit of each lake, and for rates that it found; \
see [operations.md](operations.md) |
| `NO_COLOR` | | | any value: no colours and no other styles |

An object store (`s3://`, `gs://`, `az://`) takes its credentials from its own usual variables, such
as `AWS_ACCESS_KEY_ID`; PostgreSQL takes parts that the URI leaves out from libpq's variables, such
as `PGPASSWORD` and `PGSSLMODE`.
"""

_COMPLETION = """\
## Shell completion

The Tab key completes verbs, options, instruments, coins, paths and the names of example queries.
To turn it on, add one line to your shell's start-up file; `basislake` must be on the `PATH`.

```sh
eval "$(basislake completion bash)"    # ~/.bashrc
eval "$(basislake completion zsh)"     # ~/.zshrc, after compinit
basislake completion fish | source     # ~/.config/fish/config.fish
```

Instruments are those of the lake in `--lake` before the cursor, else of `BASISLAKE_LAKE`,
else of `./lake-data`. Completion reads them from a list that discovery writes to the folder with
this machine's locks of the lake, and from the partition folders of a lake on disk; it opens no
table. For a lake in an object store, it works on a machine that has run a discovery.
"""

_TABLES_HEAD = """\
# Tables

The tables of the lake are Delta Lake tables, each a folder of its name; DuckDB has each as a view
of the same name. The first `basislake load` creates the tables of PostgreSQL, and also writes
these meanings into the catalogue (`\\d+` shows them).

Times are UTC; a candle is labelled by its open; a range includes its start and excludes its end.
Prices are in the quote currency for one coin, as the exchange sent them. A key is unique: the lake
writes rows so, and PostgreSQL has it as the primary key. Only in `quarantine` and `rejected` can a
key repeat: they list each raw row that a later batch replaced. Rows are sorted by the order given,
within a partition if there are partitions. [views.md](views.md) has the views over these
tables, [caveats.md](caveats.md) the pitfalls in reading them.

<!-- Written by docs/write.py from lake/tables.py, lake/carry_tables.py and load/tables.py; change
them there. -->
"""


def verbs() -> list[tuple[str, click.Command]]:
    """Return the verbs by name, in the order they are listed by `basislake --help`."""
    context = click.Context(basislake)
    names = basislake.list_commands(context)
    commands = [(name, basislake.get_command(context, name)) for name in names]
    return [(name, command) for name, command in commands if command]


def settings() -> dict[str, click.Option]:
    """Return the options that the environment can set, by the variable's name; of those that verbs
    take differently, one that has a default.
    """
    found: dict[str, click.Option] = {}
    for _, command in verbs():
        for param in command.params:
            if isinstance(param, click.Option) and param.envvar:
                known = found.setdefault(str(param.envvar), param)
                if not isinstance(known.default, str | float | int):
                    found[str(param.envvar)] = param
    return found


def help_text(name: str, command: click.Command) -> str:
    """Return what `basislake VERB --help` prints on a terminal of 100 columns."""
    parent = click.Context(basislake, info_name="basislake", **basislake.context_settings)
    context = click.Context(command, parent, name, terminal_width=_WIDTH, max_content_width=_WIDTH)
    return "\n".join(line.rstrip() for line in command.get_help(context).splitlines())


def commands_page() -> str:
    """Return the text of `commands.md`."""
    listed = [f"| [`{name}`](#{name}) | {command.short_help} |" for name, command in verbs()]
    exits = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    parts = [
        _COMMANDS_HEAD,
        "\n".join(["| verb | does |", "|---|---|", *listed, ""]),
        "\n".join([_EXIT_HEAD, *exits, ""]),
        "\n".join([_SETTINGS_HEAD, *map(_setting, settings().values()), _OTHER_SETTINGS]),
        _COMPLETION,
        *(f"## {name}\n\n```text\n{help_text(name, command)}\n```\n" for name, command in verbs()),
    ]
    return "\n".join(parts)


def tables_page() -> str:
    """Return the text of `tables.md`."""
    parts = [_TABLES_HEAD, "## The lake\n"]
    parts += [_table(table, arrow=True) for table in lake.TABLES.values()]
    parts += ["## PostgreSQL\n"]
    parts += [_table(table, arrow=False) for table in postgres.TABLES.values()]
    return "\n".join(parts)


def _setting(option: click.Option) -> str:
    return f"| `{option.envvar}` | `{option.opts[0]}` | `{option.default}` | {option.help} |"


def _table(table: Table, *, arrow: bool) -> str:
    where = "" if arrow else " (PostgreSQL)"
    facts = [
        f"One row is {table.row}.",
        "",
        f"- Key: {_names(table.key)}",
        f"- Order: {_names(table.order)}",
        f"- Partition: {_names((table.partition,)) if table.partition else 'none, in one piece'}",
        "",
        "| column | type | null | unit | meaning |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([f"### {table.name}{where}", "", *facts, *_columns(table, arrow=arrow), ""])


def _columns(table: Table, *, arrow: bool) -> Iterator[str]:
    for column in table.columns:
        null = "yes" if column.nullable else "no"
        type_ = _arrow_type(column) if arrow else SQL_TYPES[column.type]
        yield f"| `{column.name}` | {type_} | {null} | {column.unit} | {column.meaning} |"


def _arrow_type(column: Column) -> str:
    return "list of string" if column.type.name == "TEXTS" else str(column.type.arrow)


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in columns)
