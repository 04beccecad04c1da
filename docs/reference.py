"""The pages `commands.md` and `tables.md`, from the help texts and the declarations of tables."""

import textwrap
from collections.abc import Iterable, Iterator

import click

import lake
from basislake.cli.main import EXIT_CODES, basislake
from lake.machine.shared_folder import SETTING
from lake.table import Column, Table
from load import tables as postgres
from load.ddl import SQL_TYPES

_WIDTH = 100

_COMMANDS_HEAD = """\
# Commands

For those who look up a verb, an option, a setting or an exit code: `basislake VERB [options]`.

- **Output.** Results go to stdout, everything else to stderr, so a pipe carries only rows. With
  `--json` each verb prints one JSON object (`sql`: a list of rows). A terminal gets colours and a
  progress line, a pipe or a log gets plain lines. [`NO_COLOR`](https://no-color.org) turns the
  colours off.
- **Tables** fit the terminal. Long text wraps. If the columns still do not fit, the less important
  ones are hidden, a line below the table names them, and `--wide` shows all. In a pipe or a file a
  row is one line with all columns.
- **Numbers** of a column have the same number of decimals. Commas separate thousands only in
  counts of basislake itself, such as the candles of `status`; years, ids, prices and results of
  `sql` have none. Sizes are in units of 1000 bytes.
- **Times** are UTC, written `2024-03-29`, `2024-03-29T08:00` or `2024-03-29T08:00Z`. If a column of
  a query is midnight in every row, it is shown as a date. Ranges are half-open: `--since` is the
  first minute, `--until` the first one left out.

<!-- Written by docs/write.py from the help texts; change them in basislake/cli/commands. -->
"""

_EXIT_HEAD = """\
## Exit codes

| code | means |
|---|---|"""

_SETTINGS_HEAD = """\
## Settings

A flag overrides the environment, the environment overrides the default. There is no settings file.

| environment | flag | default | is |
|---|---|---|---|"""

_OTHER_SETTINGS = f"""\
| `{SETTING}` | | `.machine` in the lake | \
Folder for this machine's locks and rate limit of each lake, and for the call rates that it found; \
see [operations.md](operations.md) |
| `NO_COLOR` | | | Any value: no colours and no other styles |

Credentials of an object store (`s3://`, `gs://`, `az://`) come from its usual variables, such as
`AWS_ACCESS_KEY_ID`. What a PostgreSQL URI leaves out comes from libpq's variables, such as
`PGPASSWORD` and `PGSSLMODE`.
"""

_COMPLETION = """\
## Shell completion

The Tab key completes verbs, options, instruments, coins, paths and the names of example queries.
Add one line to the file that your shell reads at its start; `basislake` must be on the `PATH`.

```sh
eval "$(basislake completion bash)"    # ~/.bashrc
eval "$(basislake completion zsh)"     # ~/.zshrc, after compinit
basislake completion fish | source     # ~/.config/fish/config.fish
```

Instruments come from the lake that `--lake` names earlier on the line, else from `BASISLAKE_LAKE`,
else from `./lake-data`. No table is opened: the names are in a list that discovery writes on this
machine, and in the partition folders of a lake on disk. So for a lake in an object store, a machine
completes instruments after its first discovery.
"""

_TABLES_HEAD = """\
# Tables

For those who query the lake or the database and need a column's type, unit or meaning. The tables
of the lake are Delta Lake tables, each a folder of its name; DuckDB has each as a view of the same
name. The first `basislake load` creates the tables of PostgreSQL and writes these meanings into the
catalogue (`\\d+` shows them). [views.md](views.md) has the derived views, [caveats.md](caveats.md)
the traps of the data.

- Times are UTC. A candle is labelled by its open. A range includes its start, not its end.
- Prices are in the quote currency for one coin, as the exchange sent them.
- A key is unique: in the lake by the way rows are written, in PostgreSQL as the primary key. Only
  in `quarantine` and `rejected` can a key repeat, because they list each raw row that a later
  batch replaced.
- Rows are sorted by the order given, within a partition if there are partitions.

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
    parts = [_TABLES_HEAD, "## The lake\n", _overview(lake.TABLES.values(), "")]
    parts += [_table(table, arrow=True) for table in lake.TABLES.values()]
    parts += ["## PostgreSQL\n", _overview(postgres.TABLES.values(), "-postgresql")]
    parts += [_table(table, arrow=False) for table in postgres.TABLES.values()]
    return "\n".join(parts)


def _overview(tables: Iterable[Table], anchor: str) -> str:
    rows = [f"| [`{table.name}`](#{table.name}{anchor}) | {table.row} |" for table in tables]
    return "\n".join(["| table | one row is |", "|---|---|", *rows, ""])


def _setting(option: click.Option) -> str:
    return f"| `{option.envvar}` | `{option.opts[0]}` | `{option.default}` | {option.help} |"


def _table(table: Table, *, arrow: bool) -> str:
    where = "" if arrow else " (PostgreSQL)"
    facts = [
        textwrap.fill(f"One row is {table.row}.", 100),
        "",
        f"- Key: {_names(table.key)}",
        f"- Order: {_names(table.order)}",
        f"- Partition: {_names((table.partition,)) if table.partition else 'none, in one piece'}",
        *_ranges(table, arrow=arrow),
        "",
        "| column | type | null | unit | meaning |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([f"### {table.name}{where}", "", *facts, *_columns(table, arrow=arrow), ""])


def _ranges(table: Table, *, arrow: bool) -> list[str]:
    ranges = () if arrow else postgres.RANGE_INDEXES.get(table.name, ())
    return [f"- BRIN index: {_names(ranges)}"] if ranges else []


def _columns(table: Table, *, arrow: bool) -> Iterator[str]:
    for column in table.columns:
        null = "yes" if column.nullable else "no"
        type_ = _arrow_type(column) if arrow else SQL_TYPES[column.type]
        yield f"| `{column.name}` | {type_} | {null} | {column.unit} | {column.meaning} |"


def _arrow_type(column: Column) -> str:
    return "list of string" if column.type.name == "TEXTS" else str(column.type.arrow)


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in columns)
