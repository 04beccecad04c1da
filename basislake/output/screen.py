"""Messages on stderr: above a progress line on a terminal; elsewhere a log, with the time (UTC) and
the level of each line.
"""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from basislake.output.wrapping import wrapped

_BAD, _ODD, _NEUTRAL = {"fg": "red", "bold": True}, {"fg": "yellow"}, {"fg": "cyan"}
_ERRORS = ("Error", "Failed", "Refused", "Damaged", "Problem")
_WARNINGS = ("Warning", "Missing", "Changed", "Rate limited", "Waiting")
# Style of a message's label on a terminal, and the level of the label in a log.
_STYLES: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(_ERRORS, _BAD),
    **dict.fromkeys(_WARNINGS, _ODD),
    **dict.fromkeys(("Note", "Empty"), _NEUTRAL),
}
_LEVELS = {**dict.fromkeys(_ERRORS, "ERROR"), **dict.fromkeys(_WARNINGS, "WARNING")}
# Labels that only repeat the level.
_LEVEL_LABELS = ("Error", "Warning", "Note")
_ERASE = "\r\x1b[K"


class Screen:
    """Writer to stderr; threads may share it."""

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        """Begin without a progress line; `now` is this machine's clock, UTC."""
        self._now = now
        self._lock = threading.RLock()
        self._progress = ""

    @property
    def is_log(self) -> bool:
        """Whether stderr is not a terminal."""
        return not sys.stderr.isatty()

    @property
    def rewrites(self) -> bool:
        """Whether a progress line can be overwritten; a dumb terminal cannot do that."""
        return not self.is_log and os.environ.get("TERM") != "dumb"

    def say(self, message: str) -> None:
        """Write a message, above the progress line if there is one."""
        with self._lock:
            if self.is_log:
                click.echo(log_lines(self._now(), message), err=True)
                return
            text = _styled(_fitting(message, shutil.get_terminal_size().columns))
            if self._progress:
                click.echo(f"{_ERASE}{text}\n{self._progress}", err=True, nl=False)
            else:
                click.echo(text, err=True)

    def show_progress(self, line: str, *, is_last: bool) -> None:
        """Replace the progress line; the last one stays."""
        with self._lock:
            if not self.rewrites:
                self.say(line)
                return
            # A line that wraps could not be erased.
            line = line[: shutil.get_terminal_size().columns - 1]
            self._progress = "" if is_last else line
            click.echo(f"{_ERASE}{line}", err=True, nl=is_last)

    def end(self) -> None:
        """Finish the progress line; later output begins below it."""
        with self._lock:
            if self._progress:
                click.echo(err=True)
            self._progress = ""

    def interrupt(self) -> None:
        """Begin a new line on a terminal, since the terminal has printed ^C."""
        with self._lock:
            self._progress = ""
            if not self.is_log:
                click.echo(err=True)


def log_lines(at: datetime, message: str) -> str:
    """Return a message as lines of a log: each with the time and the level; pure."""
    label, colon, rest = message.partition(":")
    level = _LEVELS.get(label, "INFO") if colon else "INFO"
    text = rest.lstrip() if colon and label in _LEVEL_LABELS else message
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "\n".join(f"{at:%Y-%m-%dT%H:%M:%SZ} {level} {line}" for line in lines)


def _fitting(message: str, columns: int) -> str:
    """A message broken between words, except on lines that begin with a blank: these are commands,
    to be pasted.
    """
    lines = message.split("\n")
    return "\n".join(line if line.startswith(" ") else wrapped(line, columns) for line in lines)


def _styled(message: str) -> str:
    label, colon, rest = message.partition(":")
    style = _STYLES.get(label) if colon else None
    if not style or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return message
    return f"{click.style(label + colon, **style)}{rest}"


SCREEN = Screen()
say = SCREEN.say
