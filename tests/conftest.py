"""Fixtures that several tests share."""

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

import lake
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import Universe
from lake import Lake
from load.embedded import embedded
from load.postmaster import Postmaster
from tests.loading import Target, fresh_target, small_lake
from tests.market import basislake, small_market
from tests.object_store import ObjectStore, Proxy, serving
from tests.staged import Staged, make_staged


@pytest.fixture(scope="session")
def universe() -> Universe:
    """A small market, which never changes."""
    return small_market()


@pytest.fixture
def server(universe: Universe) -> Iterator[SimulatedExchange]:
    """An exchange of it."""
    with SimulatedExchange(universe) as running:
        yield running


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URI of a real PostgreSQL: an embedded one, or the one of BASISLAKE_TEST_POSTGRES."""
    given = os.environ.get("BASISLAKE_TEST_POSTGRES")
    if given:
        yield given
        return
    folder = Path(tempfile.mkdtemp(prefix="basislake-"))
    try:
        with embedded(folder / "pg") as uri:
            yield uri
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def older_postgres() -> Iterator[str]:
    """The URI of PostgreSQL 16, which comes with the package of the embedded one."""
    folder = Path(tempfile.mkdtemp(prefix="basislake-"))
    try:
        Postmaster(folder / "pg", folder / "pg").set_up("16")
        with embedded(folder / "pg") as uri:
            yield uri
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def target(postgres: str, tmp_path: Path) -> Iterator[Target]:
    """A small lake, and an empty schema on the search path."""
    target = fresh_target(postgres, small_lake(tmp_path / "lake"))
    yield target
    target.execute(f"DROP SCHEMA IF EXISTS {target.schema} CASCADE")


@pytest.fixture(scope="session")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, dict[str, Any]]:
    """A lake that a whole run made, with its embedded database, and what the run told; whoever
    changes something puts it right again.
    """
    folder = tmp_path_factory.mktemp("loaded")
    with SimulatedExchange(small_market()) as server:
        done = basislake(server, "run", "--lake", folder, "--json")
    assert done.code == 0, done.err
    return lake.open(str(folder)), done.json


@pytest.fixture(scope="module")
def staged(tmp_path_factory: pytest.TempPathFactory) -> Staged:
    """A lake that was built several times, to copy from; see `tests.staged`."""
    return make_staged(tmp_path_factory.mktemp("staged"))


@pytest.fixture
def where(staged: Staged, tmp_path: Path) -> Lake:
    """A copy of it, for one test."""
    return staged.copy(tmp_path)


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    """A stand-in for an object store, on loopback; what this machine keeps of its lakes, such as
    their pace, goes into a folder of this session.
    """
    with serving() as store, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield store


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[Proxy]:
    """The same store behind something that can be slow or break."""
    between = Proxy(object_store)
    yield between
    between.close()


def pytest_configure() -> None:
    # A shell that runs tests in the background has them, and what they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes says something of the machine only.
    settings.register_profile("basislake", deadline=None)
    settings.load_profile("basislake")


def pytest_unconfigure() -> None:
    # DuckDB 2.0 and Hypothesis in one process keep each other's modules alive, and at the very end
    # DuckDB's binding library reports its own types as leaked, in a hundred lines.
    atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)
