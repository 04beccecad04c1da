"""Processes of this machine, by pid: whether one exists, is stopped, and is still the same."""

import os
from enum import Enum
from pathlib import Path

# Fields of /proc/PID/stat after the name in brackets, see proc(5).
_STATE, _START = 0, 19


class Condition(Enum):
    """The condition of a process.

    Attributes:
        GONE: it does not exist, or its pid belongs to another process now.
        STOPPED: a signal (SIGSTOP, or Ctrl-Z) has stopped it; SIGCONT resumes it.
        ALIVE: it exists.
        UNSURE: a process with the pid exists; it may be another one.
    """

    GONE = "gone"
    STOPPED = "stopped"
    ALIVE = "alive"
    UNSURE = "unsure"


def start_of(pid: int) -> int | None:
    """Return when a process started, in the kernel's ticks since boot, which distinguishes it from
    a later one with the same pid; None if the system does not report it.
    """
    fields = _fields(pid)
    return int(fields[_START]) if fields else None


def condition(pid: int, start: int | None) -> Condition:
    """Return the condition of a process.

    Args:
        pid: of the process.
        start: see `start_of`; None if unknown.
    """
    if not _is_there(pid):
        return Condition.GONE
    fields = _fields(pid)
    if fields is None:
        return Condition.UNSURE
    state, started = fields[_STATE], int(fields[_START])
    if state in "ZX" or (start is not None and started != start):
        return Condition.GONE
    if state in "Tt":
        return Condition.STOPPED
    return Condition.UNSURE if start is None else Condition.ALIVE


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def _fields(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        # macOS has no such files.
        return None
    return text.rpartition(")")[2].split()
