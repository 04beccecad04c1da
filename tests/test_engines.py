"""Builds by a Dask cluster: the same rows, also where a worker is killed."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

import lake
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import Universe
from lake import Lake, files
from lake.fingerprint import fingerprint
from lake.tables import CANDLES, CURATED
from tests.clusters import cluster
from tests.market import basislake, command, fetch
from tests.object_store import ObjectStore, Proxy
from tests.processes import PATIENCE_S, ended, running, wait_until


def fetch_all(at: Lake, coin: Universe) -> None:
    with SimulatedExchange(coin) as server:
        fetch(server, at)


@pytest.mark.slow
def test_a_cluster_builds_what_one_machine_builds_though_a_worker_is_killed_in_the_middle(
    coin: Universe, coin_lake: Lake, object_store: ObjectStore, proxy: Proxy, tmp_path: Path
) -> None:
    at = lake.open(object_store.uri("cluster"), object_store.options)
    fetch_all(at, coin)
    proxy.set(delay_s=0.05)
    env = proxy.store.environment(tmp_path)
    with (
        cluster(env, tmp_path) as (engine, workers),
        running(
            command(None, "build", "--lake", at.uri, "--engine", engine, "--json"), env
        ) as process,
    ):
        wait_until(process, lambda: len(_written(at)) > 3)
        os.kill(workers[0].pid, signal.SIGKILL)
        assert at.snapshot(CANDLES).version is None
        done = ended(process)
    assert done.code == 0, done.err
    expected = fingerprint(coin_lake, 2)
    assert done.json["basis_rows"] == expected.rows["basis"]
    assert fingerprint(at, 2, verify=True) == expected


@pytest.mark.slow
def test_a_cluster_that_goes_away_in_the_middle_is_told_plainly_and_nothing_is_committed(
    coin: Universe, object_store: ObjectStore, proxy: Proxy, tmp_path: Path
) -> None:
    at = lake.open(object_store.uri("no-cluster"), object_store.options)
    fetch_all(at, coin)
    proxy.set(delay_s=0.1)
    env = proxy.store.environment(tmp_path)
    with ExitStack() as stack:
        with cluster(env, tmp_path) as (engine, _):
            line = command(None, "build", "--lake", at.uri, "--engine", engine)
            process = stack.enter_context(running(line, env))
            wait_until(process, lambda: bool(_written(at)))
        done = ended(process)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert "The Dask cluster" in done.err
    assert all(at.snapshot(table).version is None for table in CURATED)


def _written(at: Lake) -> list[str]:
    store = files.filesystem(f"{at.uri}/{CANDLES.name}", at.options)
    return [info.path for info in files.below(store) if info.path.endswith(".parquet")]


@pytest.mark.slow
def test_a_cluster_made_on_the_spot_builds_the_same_and_is_gone_afterwards(
    coin: Universe, coin_lake: Lake, tmp_path: Path
) -> None:
    at = lake.open(str(tmp_path))
    fetch_all(at, coin)
    done = basislake(
        None, "build", "--lake", tmp_path, "--engine", "dask", "--workers", "2", "--json"
    )
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert "instruments/s" in done.err
    assert fingerprint(at, 2) == fingerprint(coin_lake, 2)


@pytest.mark.slow
def test_an_interrupted_build_ends_soon_with_its_workers_and_changes_nothing(
    coin: Universe, tmp_path: Path, object_store: ObjectStore, proxy: Proxy
) -> None:
    at = lake.open(object_store.uri("interrupted"), object_store.options)
    fetch_all(at, coin)
    proxy.set(delay_s=0.1)
    line = command(None, "build", "--lake", at.uri, "--engine", "dask", "--workers", "2")
    with running(line, proxy.store.environment(tmp_path)) as process:
        wait_until(process, lambda: bool(_written(at)))
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert (done.code, "Interrupted." in done.err) == (130, True), done.err
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert alive == []
    assert all(at.snapshot(table).version is None for table in CURATED)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--engine", "spark"], "There is no engine 'spark'; use local, dask or dask://host:port."),
        (["--workers", "2"], "--workers goes with --engine dask"),
        pytest.param(
            ["--engine", "dask://127.0.0.1:1"],
            "No Dask scheduler answers at tcp://127.0.0.1:1",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_what_is_no_engine_is_refused(coin_lake: Lake, options: list[str], told: str) -> None:
    done = basislake(None, "build", "--lake", coin_lake.uri, *options)
    assert (done.code, told in done.err, "Traceback" in done.err) == (2, True, False), done.err


def test_without_dask_the_message_says_how_to_install_it(coin_lake: Lake) -> None:
    program = (
        "import sys; sys.modules['distributed'] = None; from basislake.cli import main; "
        f"main(['build', '--lake', {coin_lake.uri!r}, '--engine', 'dask'])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, "-m pip install distributed" in done.stderr) == (2, True)
