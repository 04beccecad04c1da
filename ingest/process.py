"""Processes of this machine, by their number: whether one is there, stopped, and still the same."""

import os
from enum import Enum
from pathlib import Path

# Fields of /proc/PID/stat after the name in brackets, see proc(5).
_STATE, _START = 0, 19


class Condition(Enum):
    """What a process is doing.

    Attributes:
        GONE: there is no such process, or its number belongs to another one now.
        STOPPED: a signal (SIGSTOP, or Ctrl-Z) has stopped it; it goes on after SIGCONT.
        ALIVE: it is there.
        UNSURE: a process of the number is there; it may be another one.
    """

    GONE = "gone"
    STOPPED = "stopped"
    ALIVE = "alive"
    UNSURE = "unsure"


def start_of(pid: int) -> int | None:
    """Return when a process started, in the kernel's ticks since the machine did, which tells it
    from a later one of the same number; None where the system does not say.
    """
    fields = _fields(pid)
    return int(fields[_START]) if fields else None


def condition(pid: int, start: int | None) -> Condition:
    """Return what a process is doing.

    Args:
        pid: its number.
        start: see `start_of`; None where it is not known.
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
