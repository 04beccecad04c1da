"""What people see: results on stdout, as tables or one JSON object; everything else on stderr."""

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, timedelta
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

_LINE_EVERY_S = 10.0
_WIDEST_TITLE = 200
_KILO = 1000
_WIDEST_PLAIN_NUMBER = 1e15


def say(message: str) -> None:
    """Tell the user something that is not a result."""
    click.echo(message, err=True)


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
        table.add_column(column, justify="right" if is_number else "left", no_wrap=True)
    for cells in shown:
        table.add_row(*cells)
    # As wide as its content: a cell is never cut, and a narrow terminal wraps the line.
    console = Console(file=sys.stdout, width=_width(columns, shown))
    console.print(Text(title, style="bold"), table, sep="\n")
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
        self._is_terminal = sys.stderr.isatty()

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


def size(count: float) -> str:
    """Return a number of bytes for people."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < _KILO:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= _KILO
    return f"{count:.1f} TB"


def _cell(value: object) -> str:
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


def _width(columns: Sequence[str], shown: list[list[str]]) -> int:
    widths = [
        max([len(column), *(len(row[index]) for row in shown)])
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
