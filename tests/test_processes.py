"""Every verb once as a process of its own, as a shell starts it; the other tests run the command in
their own process.
"""

from pathlib import Path

import pytest

from basislake.simulator.server import SimulatedExchange
from docs.reference import verbs
from lake import Lake
from tests.lakes import copied
from tests.loading import fresh_target
from tests.processes import ran
from tests.tiers import slow_but

# What serves or follows without end, or takes long, only says what it is; test_exchange_command.py,
# test_follow.py and test_docs_examples.py start it.
HELP = ("demo", "exchange", "follow")
QUICK = (*HELP, "instruments", "status", "sql", "run", "completion")
FIRST = "SELECT instrument, ts FROM basis ORDER BY ALL LIMIT 1"


@pytest.fixture(scope="module")
def lake(market_lake: Lake, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return copied(market_lake, tmp_path_factory.mktemp("processes"))


@pytest.mark.parametrize("verb", slow_but(QUICK, dict(verbs())))
def test_a_verb_runs_as_a_process(
    lake: Lake, server: SimulatedExchange, postgres: str, tmp_path: Path, verb: str
) -> None:
    if verb in HELP:
        assert ran(None, verb, "--help").out.startswith(f"Usage: basislake {verb} ")
        return
    target = fresh_target(postgres, lake)
    to = ("--postgres", target.uri, "--schema", target.schema)
    ((name, ts),) = lake.sql(FIRST).rows()
    arguments: dict[str, tuple[object, ...]] = {
        "run": to,
        "load": to,
        "report": ("--output", tmp_path),
        "sql": (FIRST,),
        "explain": (name, f"{ts:%Y-%m-%dT%H:%M}"),
        "diff": (1,),
        "doctor": ("--no-exchange",),
        "backup": (tmp_path / "backup",),
        "restore": (lake.uri,),
        "completion": ("bash",),
    }
    at = tmp_path / "restored" if verb == "restore" else lake.uri
    of = () if verb == "completion" else ("--lake", at)
    asks = verb in ("run", "instruments", "plan", "backfill")
    done = ran(server if asks else None, verb, *arguments.get(verb, ()), *of, "--json")
    assert done.code == 0, done.err
    assert done.json
    assert "Traceback" not in done.err
