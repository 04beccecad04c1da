"""Builds by a Dask cluster: the same rows, even if a worker is killed."""

import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest

import lake
from basislake.pipeline import engines
from basislake.pipeline.engines import Engine
from lake import Lake
from lake.errors import UsageError
from lake.files import parquet
from lake.history.fingerprint import fingerprint
from lake.tables import BUILDS, CANDLES, COVERAGE, CURATED, INSTRUMENTS, RAW
from tests.clusters import HERE, cluster
from tests.lakes import copied
from tests.market import basislake, command
from tests.object_store import ObjectStore, Proxy
from tests.processes import PATIENCE_S, Start, ended, running, wait_until

NOBODY = Engine("dask://127.0.0.1:1")


@pytest.fixture
def fetched(coin_lake: Lake, object_store: ObjectStore, request: pytest.FixtureRequest) -> Lake:
    """A lake in the store with what was fetched of the market of one coin, not built."""
    at = lake.open(object_store.uri(request.node.name[:40]), object_store.options)
    for table in (*RAW, INSTRUMENTS, COVERAGE):
        there = parquet.filesystem(f"{at.uri}/{table.name}", at.options)
        folder = Path(coin_lake.uri, table.name)
        for path in filter(Path.is_file, folder.rglob("*")):
            parquet.put(there, str(path.relative_to(folder)), path.read_bytes())
    return at


@pytest.mark.slow
def test_a_cluster_builds_what_one_machine_builds_though_a_worker_is_killed_in_the_middle(
    coin_lake: Lake, fetched: Lake, proxy: Proxy, tmp_path: Path
) -> None:
    env = proxy.store.environment(tmp_path)
    with (
        held_after(proxy, 2),
        cluster(env, tmp_path) as (engine, workers),
        running(
            command(None, "build", "--lake", fetched.uri, "--engine", engine, "--json"), env
        ) as process,
    ):
        wait_until(process, lambda: proxy.held == len(workers))
        os.kill(workers[0].pid, signal.SIGKILL)
        assert fetched.snapshot(CANDLES).version is None
        proxy.set()
        done = ended(process)
    assert done.code == 0, done.err
    expected = fingerprint(coin_lake, 2)
    assert done.json["basis_rows"] == expected.rows["basis"]
    assert fingerprint(fetched, 2, verify=True) == expected


@pytest.mark.slow
def test_a_cluster_that_goes_away_in_the_middle_is_told_plainly_and_nothing_is_committed(
    fetched: Lake, proxy: Proxy, tmp_path: Path
) -> None:
    env = proxy.store.environment(tmp_path)
    with held_after(proxy, 1), ExitStack() as stack:
        with cluster(env, tmp_path, machines=[HERE]) as (engine, _):
            line = command(None, "build", "--lake", fetched.uri, "--engine", engine)
            process = stack.enter_context(running(line, env))
            wait_until(process, lambda: proxy.held > 0)
        done = ended(process)
    assert done.code == 1, done.err
    assert "Traceback" not in done.err
    assert "The Dask cluster" in done.err
    assert all(fetched.snapshot(table).version is None for table in CURATED)


@contextmanager
def held_after(proxy: Proxy, written: int) -> Iterator[None]:
    """Hold workers at their next file of rows, after so many were written; until the proxy is set
    again, or the block ends.
    """
    proxy.set(most_files=written)
    yield
    proxy.set()


@pytest.mark.slow
def test_a_cluster_made_on_the_spot_builds_the_same_and_is_gone_afterwards(
    coin_lake: Lake, tmp_path: Path
) -> None:
    at = copied(coin_lake, tmp_path)
    for table in (*CURATED, BUILDS):
        shutil.rmtree(f"{at.uri}/{table.name}", ignore_errors=True)
    done = basislake(
        None, "build", "--lake", at.uri, "--engine", "dask", "--workers", "2", "--json"
    )
    assert done.code == 0, done.err
    assert "Traceback" not in done.err
    assert "instruments/s" in done.err
    assert fingerprint(at, 2) == fingerprint(coin_lake, 2)


@pytest.mark.slow
def test_an_interrupted_build_ends_soon_with_its_workers_and_changes_nothing(
    fetched: Lake, tmp_path: Path, proxy: Proxy
) -> None:
    line = command(None, "build", "--lake", fetched.uri, "--engine", "dask", "--workers", "2")
    with (
        held_after(proxy, 1),
        running(line, proxy.store.environment(tmp_path)) as process,
    ):
        wait_until(process, lambda: proxy.held > 0)
        workers = psutil.Process(process.pid).children(recursive=True)
        assert len(workers) >= 2
        process.send_signal(signal.SIGINT)
        done = ended(process)
    assert (done.code, "Interrupted." in done.err) == (130, True), done.err
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE_S)
    assert alive == []
    assert all(fetched.snapshot(table).version is None for table in CURATED)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--engine", "spark"], "There is no engine 'spark'; use local, dask or dask://host:port."),
        (["--workers", "2"], "--workers needs --engine dask"),
    ],
)
def test_what_is_no_engine_is_refused(coin_lake: Lake, options: list[str], message: str) -> None:
    done = basislake(None, "build", "--lake", coin_lake.uri, *options)
    assert (done.code, message in done.err, "Traceback" in done.err) == (2, True, False), done.err


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    message = "No Dask scheduler answers at tcp://127.0.0.1:1"
    with pytest.raises(UsageError, match=message), engines.cluster(NOBODY, wait_s=0.1):
        pass


def test_without_dask_the_message_says_how_to_install_it(coin_lake: Lake, started: Start) -> None:
    program = (
        "import sys; sys.modules['distributed'] = None; from basislake.cli.main import main; "
        f"main(['build', '--lake', {coin_lake.uri!r}, '--engine', 'dask'])"
    )
    done = ended(started(program))
    assert (done.code, "-m pip install distributed" in done.err) == (2, True)
