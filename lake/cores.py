"""How many cores this process may use."""

import os
from collections.abc import Iterator
from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_OWN_CGROUPS = Path("/proc/self/cgroup")


def cores(root: Path = _CGROUPS, own: Path = _OWN_CGROUPS) -> int:
    """Return how many cores this process may use at once: of those that the machine has, the ones
    it is bound to (as by `taskset`), and no more than a container's limit, rounded up.

    Args:
        root: where the system shows its control groups.
        own: file that says which of them this process is in.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    limits = [each for group in control_groups("cpu", root, own) for each in _limit(group)]
    return max(1, min([bound or 1, *limits]))


def control_groups(
    controller: str, root: Path = _CGROUPS, own: Path = _OWN_CGROUPS
) -> Iterator[Path]:
    """Give the folders of this process's control groups, of either version, and of those above.

    Args:
        controller: of what is limited, e.g. `cpu`.
        root: where the system shows its control groups.
        own: file that says which of them this process is in.
    """
    for line in _text(own).splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / controllers if controllers else root
        group = top / path.strip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(top):
                yield folder


def _limit(folder: Path) -> list[int]:
    """Microseconds of a processor that a group gets in a period, by the period; none where there is
    no limit.
    """
    quota, _, period = _text(folder / "cpu.max").partition(" ")
    if not period:
        quota, period = (_text(folder / f"cpu.cfs_{name}_us") for name in ("quota", "period"))
    if not quota.strip().isdecimal() or not period.strip().isdecimal():
        return []
    return [-(-int(quota) // int(period))]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
