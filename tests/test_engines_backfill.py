"""Backfills by a Dask cluster: the same rows, also where a worker, the scheduler or the command
ends in the middle.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import lake
from basislake.exchange.calls import CHART_METHOD as CHART
from basislake.exchange.forms import closed_door, rpc_error
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import Universe
from lake.fingerprint import fingerprint
from lake.tables import RAW_CANDLES
from tests.clusters import Machine, cluster
from tests.market import basislake, command, ideal_calls, rows, small_market, truth, truths
from tests.object_store import ObjectStore
from tests.processes import wait_until

# Two workers of so many threads each.
THREADS = 2
UNDER_WAY = 2 * THREADS
AHEAD = 2


@pytest.fixture(scope="module")
def universe() -> Universe:
    return small_market(4)


@pytest.fixture
def slow(universe: Universe) -> Iterator[SimulatedExchange]:
    with SimulatedExchange(universe, delay_s=0.1) as running:
        yield running


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """The environment of a machine without settings."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("BASISLAKE_")}
    return {**kept, "XDG_CACHE_HOME": str(tmp_path / "cache")}


@contextmanager
def market_elsewhere() -> Iterator[dict[str, str]]:
    """The settings of a simulated exchange in a process of its own."""
    run = [sys.executable, "-c", "from basislake.cli import main; main()"]
    process = subprocess.Popen(
        [*run, "exchange", "--seed", "3", "--weeks", "2", "--json"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        text = ""
        while not text.rstrip().endswith("}"):
            text += next(lines)
        told = json.loads(text)
        yield {
            "BASISLAKE_EXCHANGE_URL": told["exchange_url"],
            "BASISLAKE_HISTORY_URL": told["history_url"],
            "BASISLAKE_RATE": "0",
        }
    finally:
        process.kill()
        process.communicate()


def start(
    server: SimulatedExchange, at: Path, engine: str, env: dict[str, str], *more: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(server, "backfill", "--lake", at, "--engine", engine, *more),
        env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, told = process.communicate(timeout=120)
    assert "Traceback" not in told, told
    return process.returncode, out, told


def saved_rows(told: str, at: Path) -> int:
    """How many candles the lake holds, as the command said."""
    stored = lake.open(str(at)).snapshot(RAW_CANDLES).rows
    assert f"all {stored:,} new candles that came are saved" in told
    return stored


def test_the_whole_pipeline_by_a_cluster_comes_to_what_one_machine_comes_to(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    with market_elsewhere() as settings:
        env = {**object_store.environment(tmp_path), **settings}
        local = str(tmp_path / "lake")
        with cluster(env, tmp_path, threads=THREADS) as (engine, _):
            there = object_store.uri("whole-pipeline")
            for at, how in ((local, []), (there, ["--engine", engine])):
                steps: list[tuple[Any, ...]] = [("instruments",), ("backfill", *how)]
                for step in [*steps, ("build", *how)]:
                    done = basislake(None, *step, "--lake", at, "--json", env=env)
                    assert done.code == 0, done.err
                    assert "Traceback" not in done.err
    expected = fingerprint(lake.open(local), 2)
    assert expected.rows["basis"] > 0
    assert fingerprint(lake.open(there, object_store.options), 2, verify=True) == expected


def test_a_worker_killed_in_the_middle_changes_nothing_but_some_calls(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at, total = tmp_path / "lake", ideal_calls(universe)
    with cluster(env, tmp_path, threads=THREADS) as (engine, workers):
        process = start(slow, at, engine, env, "--json")
        wait_until(process, lambda: slow.calls_of(CHART) > total // 2)
        os.kill(workers[0].pid, signal.SIGKILL)
        code, out, told = ended(process)
    assert code == 0, told
    assert f"[{total}/{total}]" in told
    assert rows(lake.open(str(at)), "raw_candles").equals(truths(universe))
    result = json.loads(out)
    assert (result["calls"], result["failed"]) == (total, [])
    # Answers that the worker held are lost with it.
    assert slow.calls_of(CHART) <= total + UNDER_WAY + AHEAD


def test_an_exchange_that_closes_its_door_ends_the_run_at_once(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at = tmp_path / "lake"
    with cluster(env, tmp_path, threads=THREADS) as (engine, _):
        process = start(slow, at, engine, env)
        wait_until(process, lambda: slow.calls_of(CHART) > ideal_calls(universe) // 2)
        slow.faults.add(CHART, None, closed_door())
        before, closed_s = slow.calls_of(CHART), time.monotonic()
        code, _, told = ended(process)
    assert code == 1
    assert time.monotonic() - closed_s < 10
    assert "has switched this access off" in told
    assert saved_rows(told, at) > 0
    assert slow.calls_of(CHART) - before <= 2 * UNDER_WAY + AHEAD


def test_an_interrupted_backfill_saves_what_came_and_the_next_one_finishes(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at, total = tmp_path / "lake", ideal_calls(universe)
    with cluster(env, tmp_path, threads=THREADS) as (engine, _):
        process = start(slow, at, engine, env)
        wait_until(process, lambda: slow.calls_of(CHART) > total // 2)
        process.send_signal(signal.SIGTERM)
        code, _, told = ended(process)
        assert code == 1
        assert "Interrupted. What was committed is safe" in told
        assert 0 < saved_rows(told, at) < truths(universe).height
        done = ended(start(slow, at, engine, env))
    assert done[0] == 0, done
    assert rows(lake.open(str(at)), "raw_candles").equals(truths(universe))
    assert slow.calls_of(CHART) <= total + AHEAD


def test_ctrl_c_ends_a_cluster_made_on_the_spot_too_and_saves_what_came(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at, total = tmp_path / "lake", ideal_calls(universe)
    process = start(slow, at, "dask", env, "--workers", "2")
    wait_until(process, lambda: slow.calls_of(CHART) > total // 2)
    workers = psutil.Process(process.pid).children(recursive=True)
    # A terminal tells all processes of the command.
    os.killpg(process.pid, signal.SIGINT)
    code, _, told = ended(process)
    assert code == 1
    assert "Interrupted. What was committed is safe" in told
    assert saved_rows(told, at) > 0
    _, alive = psutil.wait_procs(workers, timeout=10)
    assert alive == []


def test_a_cluster_that_goes_away_in_the_middle_is_told_plainly_and_what_came_is_saved(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at = tmp_path / "lake"
    with cluster(env, tmp_path, threads=THREADS) as (engine, _):
        process = start(slow, at, engine, env)
        wait_until(process, lambda: slow.calls_of(CHART) > ideal_calls(universe) // 2)
    code, _, told = ended(process)
    assert code == 1
    assert "The Dask cluster lost its scheduler" in told
    assert saved_rows(told, at) > 0
    done = basislake(slow, "backfill", "--lake", at)
    assert done.code == 0, done.err
    assert rows(lake.open(str(at)), "raw_candles").equals(truths(universe))


def test_a_refused_instrument_is_named_and_the_rest_goes_on(
    universe: Universe, slow: SimulatedExchange, tmp_path: Path, env: dict[str, str]
) -> None:
    at, name = tmp_path / "lake", "BTC-PERPETUAL"
    slow.faults.add(CHART, None, rpc_error(-32602, "Invalid params"), instrument=name)
    with cluster(env, tmp_path, threads=THREADS) as (engine, _):
        code, out, _ = ended(start(slow, at, engine, env, "--json"))
    assert code == 1
    ((failed,)) = json.loads(out)["failed"]
    assert (failed["instrument"], "refuses the call" in failed["reason"]) == (name, True)
    assert sum(call.instrument == name for call in slow.calls) <= UNDER_WAY + AHEAD
    stored = rows(lake.open(str(at)), "raw_candles")
    assert stored.height == truths(universe).height - truth(universe, name).height


def test_two_machines_with_an_allowance_each_are_twice_as_fast_and_neither_exceeds_its_own(
    universe: Universe, tmp_path: Path, object_store: ObjectStore
) -> None:
    rate, total = 4, ideal_calls(universe)
    machines = [Machine(f"127.0.0.{n}", tmp_path / f"machine{n}") for n in (2, 3)]
    env = object_store.environment(tmp_path)
    at = object_store.uri("two-machines")
    with SimulatedExchange(universe) as server:
        assert basislake(server, "instruments", "--lake", at, env=env).code == 0
        with cluster(env, tmp_path, threads=THREADS, machines=machines) as (engine, _):
            line = command(server, "backfill", "--lake", at, "--engine", engine, "--json")
            line[line.index("--rate") + 1] = str(rate)
            done = subprocess.run(line, env=env, capture_output=True, text=True, check=True)
    result = json.loads(done.stdout)
    assert result["calls"] == total
    assert result["plan"]["seconds_at_rate"] == pytest.approx(total / rate / 2, abs=0.1)
    # A machine may make up for a quarter of a second.
    assert total / rate / 2 - 0.5 < result["seconds"] < total / rate * 0.75
    for machine in machines:
        assert machine.cache is not None
        assert list(machine.cache.rglob("pace-*"))


def test_a_scheduler_without_workers_is_refused(tmp_path: Path, env: dict[str, str]) -> None:
    with cluster(env, tmp_path, machines=[]) as (engine, _):
        done = basislake(None, "backfill", "--lake", tmp_path, "--engine", engine, env=env)
    assert (done.code, "has no workers; start some with `dask worker" in done.err) == (2, True)


def test_workers_with_another_program_are_refused(tmp_path: Path, env: dict[str, str]) -> None:
    without = "import sys; sys.modules['basislake'] = None; from dask.__main__ import main; main()"
    program = (sys.executable, "-c", without)
    with cluster(env, tmp_path, program=program) as (engine, _):
        done = basislake(None, "backfill", "--lake", tmp_path, "--engine", engine, env=env)
    assert (done.code, "Traceback" in done.err) == (2, False), done.err
    assert "does not run basislake" in done.err
