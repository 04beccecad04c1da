"""Times whole commands, from their start to their end, next to an empty Python program.

    python -m benchmarks.start [CHECKOUT]

The lake is the demo's: 22 instruments, 564,660 candles. With another checkout, such as a worktree
of an earlier commit, both run in turn and a further column compares them. Each command runs eleven
times, start and end of the interpreter included. The figures are the median of the wall time, and
the least CPU time (user and system), which says more where the machine is busy. Modules are
compiled, as they are once a command has run: `PYTHONDONTWRITEBYTECODE` is not passed on. The
results are kept in RESULTS.md.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.rehearsal import machine

HERE = Path(__file__).parent.parent
ROUNDS = 11
BASISLAKE = (sys.executable, "-m", "basislake")
COMPLETION = {
    "_BASISLAKE_COMPLETE": "bash_complete",
    "COMP_WORDS": "basislake status --l",
    "COMP_CWORD": "2",
}

_DO_NOT_COMPILE = "PYTHONDONTWRITEBYTECODE"

# LAKE has an embedded PostgreSQL, which a command starts and stops; BARE has none.
CASES: dict[str, Sequence[str]] = {
    "--help": ["--help"],
    "--version": ["--version"],
    "status --help": ["status", "--help"],
    "wrong usage": ["status", "--nonsense"],
    "completion of an option": [],
    "status, no database": ["status", "--lake", "BARE"],
    "sql": ["sql", "SELECT count(*) FROM basis", "--lake", "BARE"],
    "curve": ["curve", "--lake", "BARE"],
    "build, nothing new": ["build", "--lake", "BARE"],
    "status, its server started and stopped": ["status", "--lake", "LAKE"],
    "load, nothing new, likewise": ["load", "--lake", "LAKE"],
}
CASES_WITH_SERVER: dict[str, Sequence[str]] = {
    "status, server running": ["status", "--lake", "LAKE"],
    "load, nothing new, server running": ["load", "--lake", "LAKE"],
}

# A checkout and the lake that it made.
Place = tuple[Path, str]


class Times(NamedTuple):
    """Times of one run of a command."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Print the times of each command, and of the other checkout if one is given."""
    checkouts = [HERE, *(Path(given).absolute() for given in sys.argv[1:2])]
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        places = [(checkout, f"{folder}/{n}") for n, checkout in enumerate(checkouts)]
        for checkout, lake in places:
            _run(checkout, [*BASISLAKE, "demo", "--lake", lake])
            _run(checkout, [*BASISLAKE, "backup", "--lake", lake, f"{lake}b"])
        _print("python -c pass", [sys.executable, "-c", "pass"], places)
        for name, arguments in CASES.items():
            _print(name, [*BASISLAKE, *arguments], places)
        for checkout, lake in places:
            _run(checkout, [*BASISLAKE, "status", "--keep", "--lake", lake])
        for name, arguments in CASES_WITH_SERVER.items():
            _print(name, [*BASISLAKE, *arguments], places)
        for checkout, lake in places:
            _run(checkout, [*BASISLAKE, "status", "--no-keep", "--lake", lake])


def _print(name: str, command: Sequence[str], places: Sequence[Place]) -> None:
    env = COMPLETION if name.startswith("completion") else {}
    taken: list[list[Times]] = [[] for _ in places]
    for _ in range(ROUNDS):
        for (checkout, lake), own in zip(places, taken, strict=True):
            lakes = {"LAKE": lake, "BARE": f"{lake}b"}
            own.append(_run(checkout, [lakes.get(each, each) for each in command], **env))
    cpu_s = [min(times.cpu_s for times in own) for own in taken]
    wall_s = [statistics.median(times.wall_s for times in own) for own in taken]
    shown = "".join(f"{w:7.2f} s ({c:.2f} s CPU)" for w, c in zip(wall_s, cpu_s, strict=True))
    ratio = f"{cpu_s[1] / cpu_s[0]:7.1f} x CPU" if len(cpu_s) > 1 else ""
    print(f"{name:40} {shown}{ratio}", flush=True)


def _run(checkout: Path, command: Sequence[str], **env: str) -> Times:
    usual = {name: value for name, value in os.environ.items() if name != _DO_NOT_COMPILE}
    start_s = time.monotonic()
    with subprocess.Popen(
        command,
        cwd=checkout,
        env={**usual, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    return Times(time.monotonic() - start_s, used.ru_utime + used.ru_stime)


if __name__ == "__main__":
    main()
