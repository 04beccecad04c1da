"""Tables, bars and headings on stdout: coloured on a terminal, plain elsewhere."""

import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import TextIO

import click
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

_WIDEST_TITLE = 200
_WIDEST_PLAIN_NUMBER = 1e15
_BAR_CELLS = 14
_GOOD, _ODD, _BAD, _QUIET = "green", "yellow", "bold red", "dim"
# How words that stand alone in a cell look on a terminal; plain text says the same without.
_CELL_STYLES = {
    **dict.fromkeys(("present", "passed", "done", "contango"), _GOOD),
    **dict.fromkeys(("missing", "killed", "interrupted", "backwardation"), _ODD),
    **dict.fromkeys(("failed", "BROKEN"), _BAD),
    **dict.fromkeys(("no_data", "never_asked", "-"), _QUIET),
}
# Bars are told apart without colours, too.
_BAR_MARKS = {"no_data": "╌", "never_asked": "╌", "missing": "▪", "failed": "!"}


class _Console(Console):
    """A console that leaves it to the command to end where nobody reads on."""

    def on_broken_pipe(self) -> None:
        raise  # noqa: PLE0704  (rich calls this where it has caught the error)


def console(file: TextIO) -> Console:
    """Return what writes to a stream: in colours on a terminal, without any escape elsewhere or
    where `NO_COLOR` is set. Lines are not broken.
    """
    is_plain = bool(os.environ.get("NO_COLOR"))
    return _Console(
        file=file, color_system=None if is_plain else "auto", highlight=False, soft_wrap=True
    )


def heading(text: str) -> None:
    """Print a line on stdout that stands above others."""
    console(sys.stdout).print(Text(text, style="bold"))


def bar(parts: Sequence[tuple[str, float]]) -> Text:
    """Return a bar whose cells are shared out among parts, each in the style of its word; nothing
    where all are nothing.

    A part that is there at all has a cell, so that a single missing minute in years can be seen.

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
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, note: str = ""
) -> None:
    """Print aligned rows on stdout, numbers to the right; coloured on a terminal, plain
    elsewhere.
    """
    table = RichTable(box=None, pad_edge=False)
    values = [list(row) for row in rows]
    shown = [[_cell(value) for value in row] for row in values]
    for index, column in enumerate(columns):
        is_number = any(isinstance(row[index], int | float) for row in values)
        justify: JustifyMethod = "right" if is_number else "left"
        table.add_column(Text(column, style="cyan"), justify=justify, no_wrap=True)
    for cells in shown:
        table.add_row(*cells)
    to = console(sys.stdout)
    # As wide as its content: a cell is never cut, and a narrow terminal wraps the line.
    to.width = _width(columns, shown)
    to.print(Text(title, style="bold"), table, sep="\n")
    if note:
        click.echo(note)


def print_figures(title: str, figures: Mapping[str, object]) -> None:
    """Print named figures on stdout, a row each: of a list its length, seconds to a tenth."""
    # What was planned is for `backfill` alone to show; the log was named before.
    rows = [
        [name.replace("_", " "), _short(value)]
        for name, value in figures.items()
        if name not in ("plan", "log")
    ]
    print_table(title, ["figure", "value"], rows)


def _short(value: object) -> object:
    if isinstance(value, list | dict):
        return len(value)
    return round(value, 1) if isinstance(value, float) else value


def _cell(value: object) -> Text:
    if isinstance(value, Text):
        return value
    text = _plain_cell(value)
    return Text(text, style=_CELL_STYLES.get(text, ""))


def _plain_cell(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return (
            f"{value:,.5f}".rstrip("0").rstrip(".")
            if abs(value) < _WIDEST_PLAIN_NUMBER
            else f"{value:g}"
        )
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}Z"
    return str(value)


def _width(columns: Sequence[str], shown: list[list[Text]]) -> int:
    widths = [
        max([len(column), *(row[index].cell_len for row in shown)])
        for index, column in enumerate(columns)
    ]
    return sum(widths) + 2 * len(widths) + _WIDEST_TITLE
