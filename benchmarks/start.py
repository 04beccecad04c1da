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
from collections.abc import Mapping, Sequence
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

Case = tuple[str, Sequence[str], Mapping[str, str]]


class Times(NamedTuple):
    """Times of one run of a command."""

    wall_s: float
    cpu_s: float


def main() -> None:
    """Print the times of each command, and of the other checkout if one is given."""
    checkouts = [HERE, *(Path(given).absolute() for given in sys.argv[1:2])]
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        for number, checkout in enumerate(checkouts):
            _run(checkout, BASISLAKE, ["demo", "--lake", f"{folder}/{number}"], {})
            _run(
                checkout,
                BASISLAKE,
                ["backup", "--lake", f"{folder}/{number}", f"{folder}/{number}b"],
                {},
            )
        for case in _cases():
            _print(case, checkouts, folder)
        for number, checkout in enumerate(checkouts):
            lake = f"{folder}/{number}"
            _run(checkout, BASISLAKE, ["status", "--keep", "--lake", lake], {})
        for case in _cases_with_server():
            _print(case, checkouts, folder)
        for number, checkout in enumerate(checkouts):
            lake = f"{folder}/{number}"
            _run(checkout, BASISLAKE, ["status", "--no-keep", "--lake", lake], {})


def _cases() -> list[Case]:
    """The commands; LAKE has an embedded PostgreSQL, which they start and stop, BARE has none."""
    return [
        ("python -c pass", (), {}),
        ("--help", ["--help"], {}),
        ("--version", ["--version"], {}),
        ("status --help", ["status", "--help"], {}),
        ("wrong usage", ["status", "--nonsense"], {}),
        ("completion of an option", [], COMPLETION),
        ("status, no database", ["status", "--lake", "BARE"], {}),
        ("sql", ["sql", "SELECT count(*) FROM basis", "--lake", "BARE"], {}),
        ("curve", ["curve", "--lake", "BARE"], {}),
        ("build, nothing new", ["build", "--lake", "BARE"], {}),
        ("status, its server started and stopped", ["status", "--lake", "LAKE"], {}),
        ("load, nothing new, likewise", ["load", "--lake", "LAKE"], {}),
    ]


def _cases_with_server() -> list[Case]:
    return [
        ("status, server running", ["status", "--lake", "LAKE"], {}),
        ("load, nothing new, server running", ["load", "--lake", "LAKE"], {}),
    ]


def _print(case: Case, checkouts: Sequence[Path], folder: str) -> None:
    name, arguments, env = case
    program = [sys.executable, "-c", "pass"] if name.startswith("python") else list(BASISLAKE)
    taken: list[list[Times]] = [[] for _ in checkouts]
    for _ in range(ROUNDS):
        for number, checkout in enumerate(checkouts):
            lake = f"{folder}/{number}"
            places = {"LAKE": lake, "BARE": f"{lake}b"}
            given = [places.get(argument, argument) for argument in arguments]
            taken[number].append(_run(checkout, program, given, env))
    cpu_s = [min(times.cpu_s for times in own) for own in taken]
    wall_s = [statistics.median(times.wall_s for times in own) for own in taken]
    shown = "".join(f"{w:7.2f} s ({c:.2f} s CPU)" for w, c in zip(wall_s, cpu_s, strict=True))
    ratio = f"{cpu_s[1] / cpu_s[0]:7.1f} x CPU" if len(cpu_s) > 1 else ""
    print(f"{name:40} {shown}{ratio}", flush=True)


def _run(
    checkout: Path, program: Sequence[str], arguments: Sequence[str], env: Mapping[str, str]
) -> Times:
    usual = {name: value for name, value in os.environ.items() if name != _DO_NOT_COMPILE}
    start_s = time.monotonic()
    with subprocess.Popen(
        [*program, *arguments],
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
