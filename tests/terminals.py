"""A terminal of a given width for the command in the process of the test."""

import os
import pty
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from basislake.cli.main import main
from tests.market import arguments

_STYLE = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


def lines_on_a_terminal(columns: int, *given: object, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the command with stdout on a terminal of so many columns; return the lines it shows,
    without colours and blanks at the end.
    """
    monkeypatch.setenv("COLUMNS", str(columns))
    with _terminal(monkeypatch) as seen, pytest.raises(SystemExit):
        main(arguments(None, *given))
    text = _STYLE.sub("", b"".join(seen).decode())
    return [line.rstrip() for line in text.replace("\r\n", "\n").splitlines()]


@contextmanager
def _terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytes]]:
    """Give what is written to stdout until the block ends."""
    outer, inner = pty.openpty()
    seen: list[bytes] = []

    def read() -> None:
        try:
            while data := os.read(outer, 65_536):
                seen.append(data)
        except OSError:  # the other end is closed
            pass

    reader = Thread(target=read)
    reader.start()
    try:
        with os.fdopen(inner, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            yield seen
    finally:
        reader.join()
        os.close(outer)
