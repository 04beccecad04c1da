"""The memory that this process may use."""

import os
from pathlib import Path

from lake.machine.cores import control_groups, text_of

_MEMINFO = Path("/proc/meminfo")
_KIB = 1024


def memory() -> int | None:
    """Return the bytes that this process may use now: the machine's available memory, limited by
    the container; None if the system does not report it.
    """
    found = [*_available(), *_limits()]
    return min(found) if found else None


def _available() -> list[int]:
    lines = text_of(_MEMINFO).splitlines()
    if not lines:
        # macOS has no such file; it reports the total memory, not the free memory.
        return [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    return [int(line.split()[1]) * _KIB for line in lines if line.startswith("MemAvailable:")]


def _limits() -> list[int]:
    """The limits of this process's control groups, of either version, and of their parents."""
    names = ("memory.max", "memory.limit_in_bytes")
    texts = [text_of(folder / name) for folder in control_groups("memory") for name in names]
    return [int(text) for text in texts if text.isdecimal()]
