"""Times whole commands, from their start to their end, next to an empty Python program.

    python -m benchmarks.start [CHECKOUT]

The lake is the demo's: 22 instruments, 564,660 candles. With another checkout, such as a worktree
of an earlier commit, both run in turn and a further column compares them. Each command runs seven
times; the figure is the median of the wall time, start and end of the interpreter included. The
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

from benchmarks.rehearsal import machine

HERE = Path(__file__).parent.parent
ROUNDS = 7
BASISLAKE = (sys.executable, "-m", "basislake")
COMPLETION = {
    "_BASISLAKE_COMPLETE": "bash_complete",
    "COMP_WORDS": "basislake status --l",
    "COMP_CWORD": "2",
}

Case = tuple[str, Sequence[str], Mapping[str, str]]


def main() -> None:
    """Print the median of each command, and of the other checkout where one is given."""
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
    taken: list[list[float]] = [[] for _ in checkouts]
    for _ in range(ROUNDS):
        for number, checkout in enumerate(checkouts):
            lake = f"{folder}/{number}"
            places = {"LAKE": lake, "BARE": f"{lake}b"}
            given = [places.get(argument, argument) for argument in arguments]
            taken[number].append(_run(checkout, program, given, env))
    medians = [statistics.median(seconds) for seconds in taken]
    shown = " ".join(f"{seconds:7.2f} s" for seconds in medians)
    ratio = f"  {medians[1] / medians[0]:5.1f} x" if len(medians) > 1 else ""
    print(f"{name:40} {shown}{ratio}", flush=True)


def _run(
    checkout: Path, program: Sequence[str], arguments: Sequence[str], env: Mapping[str, str]
) -> float:
    start_s = time.monotonic()
    subprocess.run(
        [*program, *arguments],
        cwd=checkout,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
    )
    return time.monotonic() - start_s


if __name__ == "__main__":
    main()
