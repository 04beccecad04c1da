"""What people see: results on stdout, as tables or one JSON object; everything else on stderr."""

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, TextIO

import click
import orjson
from rich.console import Console, JustifyMethod
from rich.table import Table as RichTable
from rich.text import Text

_LINE_EVERY_S = 10.0
_WIDEST_TITLE = 200
_KILO = 1000
_WIDEST_PLAIN_NUMBER = 1e15
_BAR_CELLS = 14
_LEAST_SHARE = 0.01
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
# The same for what a line begins with.
_LABEL_STYLES = {
    **dict.fromkeys(("Error", "Failed", "Refused", "Damaged"), _BAD),
    **dict.fromkeys(("Warning", "Missing", "Changed"), _ODD),
    **dict.fromkeys(("Note", "Empty"), "cyan"),
}


def console(file: TextIO) -> Console:
    """Return what writes to a stream: in colours on a terminal, without any escape elsewhere or
    where `NO_COLOR` is set. Lines are not broken.
    """
    is_plain = bool(os.environ.get("NO_COLOR"))
    return Console(
        file=file, color_system=None if is_plain else "auto", highlight=False, soft_wrap=True
    )


def say(message: str) -> None:
    """Tell the user something that is not a result."""
    label, colon, _ = message.partition(":")
    text = Text(message)
    text.stylize(_LABEL_STYLES.get(label, "") if colon else "", 0, len(label) + 1)
    _write(sys.stderr, text)


def heading(text: str) -> None:
    """Print a line on stdout that stands above others."""
    _write(sys.stdout, Text(text, style="bold"))


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


def _write(file: TextIO, text: Text) -> None:
    console(file).print(text)


def print_json(value: Any) -> None:
    """Print one JSON value on stdout; times as RFC 3339 in UTC."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    click.echo(orjson.dumps(value, default=_plain, option=options).decode())


def json_text(value: Any) -> str:
    """Return a value as JSON on one line."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z).decode()


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


class Progress:
    """Progress lines on stderr: one line that is rewritten on a terminal, a line now and then
    elsewhere.
    """

    def __init__(self, unit: str, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock.

        Args:
            unit: what is counted, in the plural.
            clock: seconds, never going back.
        """
        self._unit = unit
        self._clock = clock
        self._start_s = clock()
        self._last_s = self._start_s
        # A dumb terminal cannot go back to the start of a line.
        self._is_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        now_s = self._clock()
        every_s = 0.1 if self._is_terminal else _LINE_EVERY_S
        if done < total and now_s - self._last_s < every_s:
            return
        self._last_s = now_s
        line = progress_line(done, total, now_s - self._start_s, self._unit, note)
        if self._is_terminal:
            click.echo(f"\r\x1b[K{line}", err=True, nl=done == total)
        else:
            click.echo(line, err=True)
        if done == total:
            self._start_s = now_s


def progress_line(done: int, total: int, seconds: float, unit: str, note: str = "") -> str:
    """Return `[n/total] rate, time left, note`; pure."""
    rate = done / seconds if seconds > 0 else 0.0
    left = f", {duration((total - done) / rate)} left" if rate and done < total else ""
    return f"[{done}/{total}] {rate:.1f} {unit}/s{left}{', ' + note if note else ''}"


def duration(seconds: float) -> str:
    """Return a length of time for people, to the second."""
    return str(timedelta(seconds=round(seconds)))


def called() -> str:
    """Return how the command can be called from here: by its name, or by the path it was called by,
    so that what is printed can be pasted.
    """
    if shutil.which("basislake") or Path(sys.argv[0]).name != "basislake":
        return "basislake"
    return os.path.relpath(sys.argv[0])


def counted(count: int, word: str) -> str:
    """Return a number of things for people: 1 instrument, 2 instruments."""
    return f"{count:,} {word}{'' if count == 1 else 's'}"


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KILO
    return f"{count:.1f} TB"


def age(seconds: float) -> str:
    """Return how long ago something was, for people, in its largest unit."""
    for name, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = int(seconds // length)
        if count > 0:
            return f"{counted(count, name)} ago"
    return "just now"


def percent(part: float, whole: float) -> str:
    """Return a share for people; never 100 % where something is lacking, nor 0 % where not all."""
    if not whole:
        return "-"
    share = part / whole * 100
    if 0 < share < _LEAST_SHARE:
        return f"< {_LEAST_SHARE} %"
    if 100 - _LEAST_SHARE < share < 100:  # noqa: PLR2004  (per cent)
        return f"> {100 - _LEAST_SHARE} %"
    return f"{share:.2f} %".replace(".00 %", " %")


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


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value)
