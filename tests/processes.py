"""The command in a process next to a test, and disks that fill up."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from basislake.simulator.server import SimulatedExchange
from tests.market import ROOT, Ran, command

# Of a machine that is busy with other things.
PATIENCE_S = 300.0
# When Python is aborted, it prints the stack of each thread.
TELLING = {"PYTHONFAULTHANDLER": "1"}
# Starts a program of Python with arguments.
Start = Callable[..., subprocess.Popen[str]]


@contextmanager
def running(
    arguments: list[str], env: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[str]]:
    """A process with a session of its own; killed at the end where it still runs."""
    process = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**(os.environ if env is None else env), **TELLING},
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def programs() -> Iterator[Start]:
    """Start programs; those that still run at the end of the block are killed."""
    with ExitStack() as stack:

        def start(program: str, *arguments: object) -> subprocess.Popen[str]:
            line = [sys.executable, "-c", program, *map(str, arguments)]
            return stack.enter_context(running(line))

        yield start


def ran(
    server: SimulatedExchange | None, *given: object, env: Mapping[str, str] | None = None
) -> Ran:
    """Run the command in a process of its own, to its end; see `tests.market.basislake`."""
    with running(command(server, *given), env) as process:
        return ended(process)


def line_of(process: subprocess.Popen[str]) -> str:
    """The next line that a process prints."""
    assert process.stdout is not None
    return process.stdout.readline()


def finished(
    *line: object,
    cwd: Path = ROOT,
    env: Mapping[str, str] | None = None,
    given: str | None = None,
) -> Ran:
    """Run another program to its end, with a text as its input where one is given."""
    done = subprocess.run(
        list(map(str, line)),
        cwd=cwd,
        env=env,
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE_S,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


def announced(process: subprocess.Popen[str]) -> Any:  # noqa: ANN401  (whatever it prints)
    """The JSON object that a process prints over several lines, and goes on after."""
    text = ""
    while not text.rstrip().endswith("}"):
        line = line_of(process)
        assert line, process.communicate()
        text += line
    return json.loads(text)


def wait_until(process: subprocess.Popen[str] | None, is_so: Callable[[], bool]) -> None:
    """Wait for something that happens while a process runs, where one is given; for most of the
    time asleep, so that the process has a processor.
    """
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        looked_s = time.monotonic()
        if is_so():
            return
        if process is not None:
            assert process.poll() is None, process.communicate()
        if time.monotonic() >= deadline_s:
            pytest.fail(f"It takes too long. {_abort(process) if process else ''}")
        time.sleep(0.02 + 3 * (time.monotonic() - looked_s))


def ended(process: subprocess.Popen[str]) -> Ran:
    """Wait for a process to end by itself; return its result."""
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        pytest.fail(f"It does not end. {_abort(process)}")
    return Ran(process.returncode, out, err)


def _abort(process: subprocess.Popen[str]) -> str:
    """End a process that hangs; what it said until then, and where it was."""
    process.send_signal(signal.SIGABRT)
    try:
        out, err = process.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return "It does not answer SIGABRT either."
    return f"{out}\n{err}"


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Callable[[str], None]]:
    """Put a small file system into an empty folder, where that is allowed, or skip the test; the
    value makes it larger.
    """
    if mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)):
        pytest.skip("a small file system cannot be mounted here")

    def grow(size: str) -> None:
        assert mount("-o", f"remount,size={size}", str(folder)) == 0

    try:
        yield grow
    finally:
        unmount(folder)


def mount(*arguments: str) -> int:
    """Mount something; the exit code."""
    program = shutil.which("mount") or "mount"
    return subprocess.run([program, *arguments], check=False, capture_output=True).returncode


def unmount(folder: Path) -> None:
    """Undo a mount."""
    subprocess.run([shutil.which("umount") or "umount", str(folder)], check=True)


def only_for_root() -> None:
    """Skip a test in which this process is to be another user, where it may not."""
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")


@contextmanager
def as_user(uid: int) -> Iterator[None]:
    """Be another user of this machine, who need not have a name."""
    os.setresuid(uid, uid, 0)
    try:
        yield
    finally:
        os.setresuid(0, 0, 0)
