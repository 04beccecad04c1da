"""Backfills by a Dask cluster: the same rows, also where a worker, the scheduler or the command
ends in the middle.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

import psutil
import pytest

from basislake.pipeline import engines
from basislake.pipeline.engines import Engine
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.fault_forms import closed_door, rpc_error
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from lake import Lake
from lake import open as open_lake
from lake.errors import UsageError
from lake.history.fingerprint import fingerprint
from lake.tables import RAW_CANDLES
from tests.clusters import HERE, Machine, cluster
from tests.gates import Gate
from tests.market import Ran, basislake, command, ideal_calls, rows, truth, truths
from tests.object_store import ObjectStore
from tests.processes import PATIENCE_S, ended, running, wait_until

pytestmark = pytest.mark.slow

# Two workers of so many threads each.
THREADS = 2
UNDER_WAY = 2 * THREADS
AHEAD = 2


@pytest.fixture(scope="module")
def own(object_store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a machine without settings of ours, which can reach the store."""
    return object_store.environment(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def engine(own: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A cluster that no test ends."""
    with cluster(own, tmp_path_factory.mktemp("cluster"), threads=THREADS) as (address, _):
        yield address


@pytest.fixture
def env(own: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """The environment of one without what others have kept."""
    return {**own, "XDG_CACHE_HOME": str(tmp_path / "cache")}


def started(
    server: SimulatedExchange, at: Path, engine: str, env: dict[str, str], *more: str
) -> AbstractContextManager[subprocess.Popen[str]]:
    of = ("--lake", at, "--data", "candles", "--engine", engine)
    return running(command(server, "backfill", *of, *more), env)


def end_of(process: subprocess.Popen[str]) -> Ran:
    done = ended(process)
    assert "Traceback" not in done.err, done.err
    return done


def saved_rows(text: str, at: Path) -> int:
    """How many candles the lake holds, as the command said."""
    stored = open_lake(str(at)).snapshot(RAW_CANDLES).rows
    assert f"saved: {stored:,} new candles, everything that arrived;" in text
    return stored


def test_the_whole_pipeline_by_a_cluster_comes_to_what_one_machine_comes_to(
    coin: Universe, coin_lake: Lake, engine: str, object_store: ObjectStore, tmp_path: Path
) -> None:
    there = object_store.uri("whole-pipeline")
    env, how = object_store.environment(tmp_path), ("--engine", engine)
    with SimulatedExchange(coin) as server:
        steps = (server, "instruments"), (server, "backfill", *how), (None, "build", *how)
        for to, *step in steps:
            done = basislake(to, *step, "--lake", there, "--json", env=env)
            assert done.code == 0, done.err
            assert "Traceback" not in done.err
    expected = fingerprint(coin_lake, 2)
    assert expected.rows["basis"] > 0
    assert fingerprint(open_lake(there, object_store.options), 2, verify=True) == expected


def test_a_worker_killed_in_the_middle_changes_nothing_but_some_calls(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at, total = tmp_path / "lake", ideal_calls(universe)
    with (
        Gate(server, total // 2) as gate,
        cluster(env, tmp_path, threads=THREADS) as (engine, workers),
        started(server, at, engine, env, "--json") as process,
    ):
        wait_until(process, lambda: gate.is_holding)
        os.kill(workers[0].pid, signal.SIGKILL)
        gate.open()
        done = end_of(process)
    assert done.code == 0, done.err
    assert f"[{total}/{total}]" in done.err
    assert rows(open_lake(str(at)), "raw_candles").equals(truths(universe))
    assert (done.json["calls"], done.json["failed"]) == (total, [])
    # Answers in the worker's memory are lost with it.
    assert server.calls_of(CHART) <= total + UNDER_WAY + AHEAD


def test_an_exchange_that_closes_its_door_ends_the_run_at_once(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, env: dict[str, str], engine: str
) -> None:
    at = tmp_path / "lake"
    with (
        Gate(server, ideal_calls(universe) // 2) as gate,
        started(server, at, engine, env) as process,
    ):
        wait_until(process, lambda: gate.is_holding)
        server.faults.add(CHART, None, closed_door())
        before = server.calls_of(CHART)
        gate.open()
        done = end_of(process)
    assert done.code == 1
    assert "has switched this access off" in done.err
    assert saved_rows(done.err, at) > 0
    assert server.calls_of(CHART) - before <= 2 * UNDER_WAY + AHEAD


def test_an_interrupted_backfill_saves_what_came_and_the_next_one_finishes(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, env: dict[str, str], engine: str
) -> None:
    at, total = tmp_path / "lake", ideal_calls(universe)
    with Gate(server, total // 2) as gate:
        with started(server, at, engine, env) as process:
            wait_until(process, lambda: gate.is_holding)
            process.send_signal(signal.SIGTERM)
            # It waits for what its workers ask.
            gate.open()
            done = end_of(process)
        assert done.code == 143
        assert "Interrupted. What was committed is safe" in done.err
        assert 0 < saved_rows(done.err, at) < truths(universe).height
        with started(server, at, engine, env) as process:
            assert end_of(process).code == 0
    assert rows(open_lake(str(at)), "raw_candles").equals(truths(universe))
    assert server.calls_of(CHART) <= total + AHEAD


def test_ctrl_c_ends_a_cluster_made_on_the_spot_too_and_saves_what_came(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at, total = tmp_path / "lake", ideal_calls(universe)
    with (
        Gate(server, total // 2) as gate,
        started(server, at, "dask", env, "--workers", "2") as process,
    ):
        wait_until(process, lambda: gate.is_holding)
        workers = psutil.Process(process.pid).children(recursive=True)
        # A terminal signals all processes of the command's group.
        os.killpg(process.pid, signal.SIGINT)
        gate.open()
        done = end_of(process)
    assert done.code == 130
    assert "Interrupted. What was committed is safe" in done.err
    assert saved_rows(done.err, at) > 0
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert alive == []


def test_a_cluster_that_goes_away_in_the_middle_is_told_plainly_and_what_came_is_saved(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at = tmp_path / "lake"
    with ExitStack() as stack:
        gate = stack.enter_context(Gate(server, ideal_calls(universe) // 2))
        with cluster(env, tmp_path, threads=THREADS, machines=[HERE]) as (engine, _):
            process = stack.enter_context(started(server, at, engine, env))
            wait_until(process, lambda: gate.is_holding)
        done = end_of(process)
    assert done.code == 1
    assert "The Dask cluster lost its scheduler" in done.err
    assert saved_rows(done.err, at) > 0
    done = basislake(server, "backfill", "--lake", at)
    assert done.code == 0, done.err
    assert rows(open_lake(str(at)), "raw_candles").equals(truths(universe))


def test_a_refused_instrument_is_named_and_the_rest_goes_on(
    universe: Universe, server: SimulatedExchange, tmp_path: Path, env: dict[str, str], engine: str
) -> None:
    at, name = tmp_path / "lake", "BTC-PERPETUAL"
    server.faults.add(CHART, None, rpc_error(-32602, "Invalid params"), instrument=name)
    with started(server, at, engine, env, "--json") as process:
        done = end_of(process)
    assert done.code == 1
    (failed,) = done.json["failed"]
    assert (failed["instrument"], "refuses the call" in failed["reason"]) == (name, True)
    assert sum(call.instrument == name for call in server.calls) <= UNDER_WAY + AHEAD
    stored = rows(open_lake(str(at)), "raw_candles")
    assert stored.height == truths(universe).height - truth(universe, name).height


def test_two_machines_have_an_allowance_each_and_neither_exceeds_its_own(
    coin: Universe, tmp_path: Path, object_store: ObjectStore
) -> None:
    machines = [Machine(f"127.0.0.{n}", tmp_path / f"machine{n}") for n in (2, 3)]
    env = object_store.environment(tmp_path)
    at = object_store.uri("two-machines")
    with SimulatedExchange(coin) as server:
        assert basislake(server, "instruments", "--lake", at, env=env).code == 0
        with cluster(env, tmp_path, threads=THREADS, machines=machines) as (engine, _):
            how = ("--engine", engine, "--no-doctor", "--json")
            line = command(server, "backfill", "--lake", at, *how)
            # The second call of a machine comes later than anybody waits.
            line[line.index("--rate") + 1] = "0.001"
            with running(line, env) as process:
                wait_until(process, lambda: server.calls_of(CHART) == len(machines))
                process.send_signal(signal.SIGINT)
                assert end_of(process).code == 130
        assert server.calls_of(CHART) == len(machines)
        for machine in machines:
            assert machine.cache is not None
            assert list(machine.cache.rglob("pace-*"))
        (stopped,) = basislake(None, "status", "--lake", at, "--json", env=env).json["runs"]
        plan = stopped["plan"]
        assert plan["seconds_at_rate"] == pytest.approx(plan["calls"] / 0.001 / 2, abs=0.1)
        assert basislake(server, "backfill", "--lake", at, env=env).code == 0
        held = rows(open_lake(at, object_store.options), "raw_candles")
        assert held.equals(truths(coin))


def test_a_scheduler_without_workers_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    text = "has no workers. Nothing was done. Start some with `dask worker"
    with (
        cluster(env, tmp_path, machines=[]) as (engine, _),
        pytest.raises(UsageError, match=text),
        engines.cluster(Engine(engine), wait_s=1.0),
    ):
        pass


def test_workers_with_another_program_are_refused(tmp_path: Path, env: dict[str, str]) -> None:
    without = "import sys; sys.modules['basislake'] = None; from dask.__main__ import main; main()"
    program = (sys.executable, "-c", without)
    with cluster(env, tmp_path, machines=[HERE], program=program) as (engine, _):
        done = basislake(None, "backfill", "--lake", tmp_path, "--engine", engine, env=env)
    assert (done.code, "Traceback" in done.err) == (2, False), done.err
    assert "does not run basislake" in done.err
