"""Output for people and programs: JSON on stdout, messages and progress on stderr, figures as text.

`basislake.output.tables` prints tables.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import click
import orjson

from basislake.output.screen import SCREEN
from lake.counted_words import counted

_REWRITTEN_EVERY_S = 0.1
_LINE_EVERY_S = 10.0
_KILO = 1000
_LEAST_SHARE = 0.01


def say(message: str) -> None:
    """Show a message that is not a result, on stderr; see `basislake.output.screen`."""
    SCREEN.say(message)


def print_json(value: Any) -> None:
    """Print one JSON value on stdout; times as RFC 3339 in UTC."""
    options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z
    click.echo(orjson.dumps(value, default=_plain, option=options).decode())


def json_text(value: Any) -> str:
    """Return a value as JSON on one line."""
    return orjson.dumps(value, default=_plain, option=orjson.OPT_UTC_Z).decode()


class Progress:
    """Progress on stderr: one line that is rewritten on a terminal, or a line at times in a log."""

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

    def __call__(self, done: int, total: int, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        now_s = self._clock()
        every_s = _REWRITTEN_EVERY_S if SCREEN.rewrites else _LINE_EVERY_S
        if done < total and now_s - self._last_s < every_s:
            return
        self._last_s = now_s
        line = progress_line(done, total, now_s - self._start_s, self._unit, note)
        SCREEN.show_progress(line, is_last=done == total)
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
    """Return how to call the command from here, by its name or its path, for commands to paste."""
    if shutil.which("basislake") or Path(sys.argv[0]).name != "basislake":
        return "basislake"
    return os.path.relpath(sys.argv[0])


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
    """Return a share for people; 100 % only if nothing is missing, and 0 % only for nothing."""
    if not whole:
        return "-"
    share = part / whole * 100
    if 0 < share < _LEAST_SHARE:
        return f"< {_LEAST_SHARE} %"
    if 100 - _LEAST_SHARE < share < 100:  # noqa: PLR2004  (per cent)
        return f"> {100 - _LEAST_SHARE} %"
    return f"{share:.2f} %".replace(".00 %", " %")


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return value._asdict()
    return str(value)
