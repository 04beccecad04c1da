"""Terminals: of a given width for the command in the process of the test, and of processes."""

import fcntl
import os
import re
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

import pytest

from basislake.cli.main import main
from tests.market import ROOT, arguments, command
from tests.processes import PATIENCE_S

_STYLE = re.compile(r"\x1b\[[\d;]*[A-Za-z]")


def lines_on_a_terminal(columns: int, *given: object, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Run the command with stdout on a terminal of so many columns; return the lines it shows,
    without colours and blanks at the end.
    """
    monkeypatch.setenv("COLUMNS", str(columns))
    here, there = os.openpty()
    with ThreadPoolExecutor(1) as thread:
        reading = thread.submit(_read, here)
        with os.fdopen(there, "w", encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdout", stream)
            with pytest.raises(SystemExit):
                main(arguments(None, *given))
        text = _STYLE.sub("", reading.result().decode())
    return [line.rstrip() for line in text.replace("\r\n", "\n").splitlines()]


@contextmanager
def in_a_terminal(
    line: list[str], env: Mapping[str, str] | None = None, *, nohup: bool = False
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """A process that has a terminal of its own, and the other end of that."""
    here, there = os.openpty()

    def take() -> None:
        fcntl.ioctl(there, termios.TIOCSCTTY, 0)
        if nohup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        line,
        stdin=there,
        stdout=subprocess.DEVNULL if nohup else there,
        stderr=subprocess.DEVNULL if nohup else there,
        cwd=ROOT,
        env=env,
        start_new_session=True,
        preexec_fn=take,  # noqa: PLW1509  (it takes no lock)
    )
    os.close(there)
    try:
        yield process, here
    finally:
        process.kill()
        process.wait()


def on_a_terminal(*arguments: str, **environment: str) -> str:
    """What the command writes to a real terminal, results and all else."""
    kept = {k: v for k, v in os.environ.items() if k not in {"NO_COLOR", "FORCE_COLOR", "COLUMNS"}}
    env = {**kept, "TERM": "xterm-256color", "PYTHONUTF8": "1", **environment}
    with in_a_terminal(command(None, *arguments), env) as (process, here):
        text = _read(here)
        process.wait(PATIENCE_S)
    return text.decode()


def _read(terminal: int) -> bytes:
    """All that is written until the other end is closed."""
    text = b""
    with suppress(OSError):
        while data := os.read(terminal, 65_536):
            text += data
    os.close(terminal)
    return text
