"""Early ends of the command: by a signal, or because the reader of its output has ended.

The exit codes are those of a shell: 128 and the number of the signal.
"""

import _thread
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    # It has no name while the program runs.
    from sys import UnraisableHookArgs

_BY_SIGNAL = 128
READER_GONE = _BY_SIGNAL + signal.SIGPIPE
_SOON_S = 0.02
_MOST_TIMES = 50

# Modules whose code opens and closes locks, and their functions that block, which leave no lock
# closed if an exception ends them.
_OF_LOCKS = ("threading", "concurrent.futures._base", "concurrent.futures.thread")
_BLOCKING = ("wait", "join", "_wait_for_tstate_lock", "_shutdown")


class Ended(KeyboardInterrupt):
    """A signal that ends the command even where Ctrl-C would not, as in the shell of `sql`."""


class Interruptions:
    """Signals that end the command like Ctrl-C, which closes whatever is open."""

    def __init__(self) -> None:
        """Handle no signal yet."""
        self._last = signal.SIGINT
        # How often one was sent again. It must end even a wait for a lock that stays closed.
        self._times = 0
        # A closed terminal can no longer be recognised as one.
        self._terminals = [stream for stream in _outputs() if stream.isatty()]

    def listen(self) -> None:
        """Handle SIGTERM, and SIGHUP from a closed terminal, like Ctrl-C. An ignored signal stays
        ignored, such as SIGHUP under `nohup`.
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._end)
        sys.unraisablehook = self._repeating(sys.unraisablehook)

    @property
    def exit_code(self) -> int:
        """Exit code of an interrupted command."""
        return _BY_SIGNAL + self._last

    def _end(self, number: int, frame: FrameType | None) -> None:
        if _is_at_a_lock(frame) and self._times < _MOST_TIMES:
            self._times += 1
            _send_again(number)
            return
        self._times, self._last = 0, signal.Signals(number)
        if number == signal.SIGHUP:
            # The terminal and the shell both send it; the second must not disturb the saving.
            signal.signal(number, signal.SIG_IGN)
            _silence(self._terminals)
        raise KeyboardInterrupt if number == signal.SIGINT else Ended

    def _repeating(
        self, usual: "Callable[[UnraisableHookArgs], object]"
    ) -> "Callable[[UnraisableHookArgs], None]":
        """Send a signal again if it came while Python deleted an object: Python drops exceptions
        that are raised there, so the command would continue.
        """

        def report(dropped: "UnraisableHookArgs") -> None:
            if not isinstance(dropped.exc_value, KeyboardInterrupt):
                usual(dropped)
                return
            number = self._last if isinstance(dropped.exc_value, Ended) else signal.SIGINT
            if number == signal.SIGHUP:
                signal.signal(number, self._end)
            _send_again(number)

        return report


def _is_at_a_lock(frame: FrameType | None) -> bool:
    """Whether an exception here might leave a lock closed: another thread would wait for ever."""
    if frame is None or frame.f_globals.get("__name__") not in _OF_LOCKS:
        return False
    return frame.f_code.co_name not in _BLOCKING


def _send_again(number: int) -> None:
    """Send this thread, the main one, a signal in a moment."""
    main = threading.get_ident()

    def send() -> None:
        time.sleep(_SOON_S)
        signal.pthread_kill(main, number)

    # Not a `threading.Thread`, which needs a lock that may be closed here.
    _thread.start_new_thread(send, ())


def open_closed_streams() -> None:
    """Open streams that the caller closed, e.g. by `>&-`, to /dev/null. Otherwise the next file
    that is opened would get their number, and the output would go into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # A new file gets the lowest free number, which is that of the closed stream.
            setattr(sys, name, open(os.devnull, mode))  # noqa: PTH123, SIM115  (it stays open)


def is_reader_gone() -> bool:
    """Whether the program that reads stdout or stderr has ended."""
    return any(map(_is_closed, _outputs()))


def discard_output() -> None:
    """Discard output without a reader from now on, also what Python flushes at the end."""
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
