"""Tables, bars and headings on stdout: coloured on a terminal, plain elsewhere."""

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TextIO

import click
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from basislake.cli.options import IS_WIDE
from basislake.output.columns import Heading, Kind, is_numeric, texts
from basislake.output.fitting import GAP, extent, fit
from basislake.output.pasting import pasted
from basislake.output.units import size
from basislake.output.wrapping import wrapped
from lake.counted_words import counted

_BAR_CELLS = 14
_GOOD, _ODD, _BAD, _QUIET = "green", "yellow", "bold red", "dim"
# Styles on a terminal of words that are alone in a cell.
_CELL_STYLES = {
    **dict.fromkeys(("present", "passed", "done", "contango"), _GOOD),
    **dict.fromkeys(("missing", "killed", "interrupted", "backwardation"), _ODD),
    **dict.fromkeys(("failed", "BROKEN"), _BAD),
    **dict.fromkeys(("no_data", "never_asked", "-"), _QUIET),
}
# Figures that are not counts.
_IDS = ("batch", "raw_version", "as_of")
# Blanks that fill a column up at the end of a line.
_FILLING = re.compile(r" +\n")
# Marks that distinguish the parts of a bar without colours.
_BAR_MARKS = {"no_data": "╌", "never_asked": "╌", "missing": "▪", "failed": "!"}


class _Console(Console):
    """A console that raises the error of a broken pipe instead of ending the process."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  (rich calls this inside its `except`)


def console(file: TextIO) -> Console:
    """Return a console for a stream: with colours on a terminal, plain elsewhere and with
    `NO_COLOR`. It does not break lines.
    """
    is_plain = bool(os.environ.get("NO_COLOR"))
    return _Console(
        file=file, color_system=None if is_plain else "auto", highlight=False, soft_wrap=True
    )


def heading(text: str) -> None:
    """Print a heading on stdout."""
    console(sys.stdout).print(Text(wrapped(text, line_length()), style="bold"))


def bar(parts: Sequence[tuple[str, float]]) -> Text:
    """Return a bar whose cells are divided among parts, each in the style of its word; empty if all
    parts are 0.

    Each part above 0 has at least a cell, so that a single missing minute in years can be seen.

    Args:
        parts: word, as in `coverage.status`, and size.
    """
    total = sum(size for _, size in parts)
    cells = {word: max(1, round(size / total * _BAR_CELLS)) for word, size in parts if size}
    if cells:
        largest = max(cells, key=lambda word: cells[word])
        cells[largest] += _BAR_CELLS - sum(cells.values())
    text = Text()
    for word, count in cells.items():
        text.append(_BAR_MARKS.get(word, "━") * count, style=_CELL_STYLES.get(word, ""))
    return text


def print_table(
    title: str,
    columns: Sequence[str | Heading],
    rows: Iterable[Sequence[object]],
    *,
    note: str = "",
) -> None:
    """Print aligned rows on stdout, numbers to the right; coloured on a terminal, plain
    elsewhere.

    On a terminal words wrap, and if the command has `--wide`, columns that do not fit are hidden
    and named. Elsewhere, and with `--wide`, a row is one line with all columns.

    Args:
        title: above the table.
        columns: a title alone is a column of counts, texts or times.
        rows: of values, or of texts with their own style.
        note: below the table.
    """
    declared = [Heading(column) if isinstance(column, str) else column for column in columns]
    values = list(zip(*rows, strict=True)) or [()] * len(declared)
    cells = [_cells(column, own) for column, own in zip(declared, values, strict=True)]
    available = line_length()
    fitted = fit(
        [
            extent(
                column.title, [cell.plain for cell in shown], column.rank, wraps=_wraps(column, own)
            )
            for column, own, shown in zip(declared, values, cells, strict=True)
        ],
        available,
        may_hide=IS_WIDE in _meta(),
    )
    table = RichTable(box=None, pad_edge=False)
    for place, width in fitted.widths.items():
        is_right = is_numeric(declared[place], values[place])
        table.add_column(
            Text(declared[place].title, style="cyan"),
            justify="right" if is_right else "left",
            width=width,
        )
    for row in zip(*(cells[place] for place in fitted.widths), strict=True):
        table.add_row(*row)
    to = console(sys.stdout)
    to.width = sum(fitted.widths.values()) + GAP * len(fitted.widths)
    heading(title)
    with to.capture() as captured:
        to.print(table, soft_wrap=False)
    sys.stdout.write(_FILLING.sub("\n", captured.get()))
    # A column of bars has no title; it only repeats what the other columns show.
    hidden = [title for place in fitted.hidden if (title := declared[place].title)]
    if hidden:
        paragraph(f"{counted(len(hidden), 'column')} hidden, --wide shows all: {', '.join(hidden)}")
    if note:
        paragraph(note)


def paragraph(text: str) -> None:
    """Print prose on stdout; on a terminal its lines are broken between words."""
    available = line_length()
    click.echo("\n".join(wrapped(line, available) for line in text.splitlines()))


def print_commands(title: str, commands: Iterable[tuple[str, str]]) -> None:
    """Print commands on stdout, each on its own lines, ready to paste.

    Args:
        title: above them.
        commands: each with what it does.
    """
    heading(title)
    for command, why in commands:
        click.echo(pasted(command, line_length()))
        paragraph(f"      {why}")


def print_figures(title: str, figures: Mapping[str, object]) -> None:
    """Print named figures on stdout, one per row: a list as its length, seconds to a tenth, bytes
    with a unit.
    """
    # Only `backfill` shows the plan; the path of the log was shown before.
    rows = [
        [name.replace("_", " "), _figure(name, value)]
        for name, value in figures.items()
        if name not in ("plan", "log")
    ]
    print_table(title, ["figure", "value"], rows)


def _figure(name: str, value: object) -> object:
    if name in _IDS:
        return str(value)
    if isinstance(value, list | dict):
        return len(value)
    if "bytes" in name and isinstance(value, int):
        return size(value)
    return round(value, 1) if isinstance(value, float) else value


def _cells(column: Heading, values: Sequence[object]) -> list[Text]:
    return [
        value if isinstance(value, Text) else Text(text, style=_CELL_STYLES.get(text, ""))
        for value, text in zip(values, texts(column, values), strict=True)
    ]


def _wraps(column: Heading, values: Sequence[object]) -> bool:
    """Whether a column has prose, which may be broken between words."""
    return column.kind is not Kind.VERBATIM and any(
        isinstance(value, str | list | dict) for value in values
    )


def line_length() -> int | None:
    """Return the characters of a line on the terminal; None for lines of any length."""
    if not sys.stdout.isatty() or _meta().get(IS_WIDE):
        return None
    return shutil.get_terminal_size().columns


def _meta() -> dict[str, Any]:
    context = click.get_current_context(silent=True)
    return context.meta if context else {}
