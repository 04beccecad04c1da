"""How the command ends before it is done: by a signal, or since nobody reads what it prints.

The exit codes are those of a shell: 128 and the number of the signal.
"""

import os
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    # It has no name while the program runs.
    from sys import UnraisableHookArgs

_BY_SIGNAL = 128
READER_GONE = _BY_SIGNAL + signal.SIGPIPE
_SOON_S = 0.05


class Ended(KeyboardInterrupt):
    """A signal that ends the command, whatever Ctrl-C alone would do."""


class Interruptions:
    """The signals that end the command politely, as Ctrl-C does: what is open is closed."""

    def __init__(self) -> None:
        """Listen to nothing yet."""
        self._last = signal.SIGINT
        # One that was closed is not known as a terminal any more.
        self._terminals = [stream for stream in _outputs() if stream.isatty()]

    def listen(self) -> None:
        """Take SIGTERM, and SIGHUP from a terminal that is closed, as Ctrl-C; under `nohup`, which
        has SIGHUP ignored, it stays so.
        """
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        sys.unraisablehook = self._repeating(sys.unraisablehook)

    @property
    def exit_code(self) -> int:
        """Of a command that was interrupted."""
        return _BY_SIGNAL + self._last

    def _end(self, number: int, _frame: FrameType | None) -> None:
        self._last = signal.Signals(number)
        if number == signal.SIGHUP:
            # Both the terminal and the shell send it; what is saved meanwhile goes on.
            signal.signal(number, signal.SIG_IGN)
            _silence(self._terminals)
        raise Ended

    def _repeating(
        self, usual: "Callable[[UnraisableHookArgs], object]"
    ) -> "Callable[[UnraisableHookArgs], None]":
        """Send a signal once more where it came while an object was being deleted: Python drops
        what is raised there, and the command would go on.
        """

        def report(dropped: "UnraisableHookArgs") -> None:
            if not isinstance(dropped.exc_value, KeyboardInterrupt):
                usual(dropped)
                return
            number = self._last if isinstance(dropped.exc_value, Ended) else signal.SIGINT
            if number == signal.SIGHUP:
                signal.signal(number, self._end)
            main = threading.main_thread().ident
            again = threading.Timer(_SOON_S, signal.pthread_kill, (main, number))
            again.daemon = True
            again.start()

        return report


def open_closed_streams() -> None:
    """Let what the caller closed, e.g. by `>&-`, lead nowhere: the next file that is opened would
    take its place, and what is printed would go into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # It takes the lowest number that is free, which is that of the closed one.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  (it stays open)


def is_reader_gone() -> bool:
    """Whether the program that reads stdout or stderr has ended."""
    return any(map(_is_closed, _outputs()))


def discard_output() -> None:
    """Print nothing from now on where nobody reads it, also at the very end."""
    _silence(stream for stream in _outputs() if _is_closed(stream))


def _outputs() -> tuple[TextIO, TextIO]:
    return sys.stdout, sys.stderr


def _is_closed(stream: TextIO) -> bool:
    try:
        ask = select.poll()
        ask.register(stream.fileno(), 0)
    except (OSError, ValueError):  # no file of the system's
        return False
    return any(event & select.POLLERR for _, event in ask.poll(0))


def _silence(streams: Iterable[TextIO]) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in streams:
        with suppress(OSError, ValueError):
            os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
