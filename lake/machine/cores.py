"""The number of cores that this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def cores(root: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> int:
    """Return how many cores this process may use at once: those of the machine to which it is bound
    (as by `taskset`), limited by the container and rounded up.

    Args:
        root: where the system shows its control groups.
        own: file that lists the control groups of this process.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [each for group in control_groups("cpu", root, own) for each in _limit(group)]
    return max(1, min([bound or 1, *limits]))


def control_groups(
    controller: str, root: Path = _CGROUPS, own: Path = _OWN_CGROUPS
) -> Iterator[Path]:
    """Return the folders of this process's control groups, of either version, and their parents.

    Args:
        controller: of the limited resource, e.g. `cpu`.
        root: where the system shows its control groups.
        own: file that lists the control groups of this process.
    """
    for line in text_of(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        group = top / path.strip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield folder


def _limit(folder: Path) -> list[int]:
    """Processor time of a group in a period, divided by the period; empty without a limit."""
    quota, _, period = text_of(folder / "cpu.max").partition(" ")
    if not period:
        quota, period = (text_of(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if not quota.isdecimal() or not period.isdecimal():
        return []
    return [-(-int(quota) // int(period))]


def text_of(path: Path) -> str:
    """Return a file's text without white space around it; empty if it cannot be read."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
