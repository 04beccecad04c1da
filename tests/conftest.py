"""Fixtures that several tests share."""

import atexit
import os
import shutil
import signal
import ssl
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from basislake.report.facts import Facts, gather
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe, weekly_universe
from lake import Lake
from lake import open as open_lake
from load.embedded.data_folder import initialise
from load.embedded.server import embedded
from tests import carry_lakes, profiles, session
from tests.ailing import ailing_lake, gapped_lake
from tests.hosts import PROXIES, Host, Hosts
from tests.lakes import built_lake, instrument, lake_of
from tests.loading import Target, disconnect, fresh_target, keep, small_lake
from tests.market import NOW, basislake, small_market
from tests.object_store import ObjectStore, Proxy, serving
from tests.processes import Start, programs
from tests.reporting import MADE_AT
from tests.servers import Data, copy_data, make_data
from tests.staged import Staged, make_staged

FOLDER = session.begin()


@pytest.fixture(scope="session")
def universe() -> Universe:
    """A small market, which never changes."""
    return small_market(weeks=1)


@pytest.fixture(scope="session")
def coin() -> Universe:
    """A smaller one, of one coin: for stores and clusters, where each file costs much."""
    return weekly_universe(3, NOW - timedelta(days=3), NOW, currencies=("BTC",))


@pytest.fixture
def at(tmp_path: Path) -> Lake:
    """A lake without tables."""
    return open_lake(str(tmp_path / "lake"))


@pytest.fixture
def known(tmp_path: Path) -> Lake:
    """A lake that knows a perpetual and holds nothing else."""
    return lake_of(tmp_path / "lake", instruments=[instrument("BTC-PERPETUAL")])


@pytest.fixture
def server(universe: Universe) -> Iterator[SimulatedExchange]:
    """An exchange of it."""
    with SimulatedExchange(universe) as running:
        yield running


@pytest.fixture
def started() -> Iterator[Start]:
    """Starts programs of Python that end with the test."""
    with programs() as start:
        yield start


@pytest.fixture(scope="session")
def server_data() -> Data:
    """Puts the data of an embedded PostgreSQL into a folder, so that one starts there at once."""
    return partial(copy_data, session.once("server", make_data))


@pytest.fixture
def pg(server_data: Data, tmp_path: Path) -> Path:
    """The data of a server that is not running yet."""
    server_data(tmp_path / "pg")
    return tmp_path / "pg"


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URI of a real PostgreSQL: an embedded one, or the one of BASISLAKE_TEST_POSTGRES."""
    given = os.environ.get("BASISLAKE_TEST_POSTGRES")
    if given:
        with keep(given):
            yield given
        return
    request.getfixturevalue("server_data")(FOLDER / "pg")
    with embedded(FOLDER / "pg") as uri, keep(uri):
        yield uri


@pytest.fixture(scope="session")
def older_postgres() -> Iterator[str]:
    """The URI of PostgreSQL 16, which comes with the package of the embedded one."""
    initialise(FOLDER / "pg16", "16")
    with embedded(FOLDER / "pg16") as uri:
        yield uri


@pytest.fixture(autouse=True)
def disconnected() -> Iterator[None]:
    """No test leaves a connection to a database open."""
    yield
    disconnect()


@pytest.fixture
def target(postgres: str, tmp_path: Path) -> Iterator[Target]:
    """A small lake, and an empty schema on the search path."""
    target = fresh_target(postgres, small_lake(tmp_path / "lake"))
    yield target
    target.execute(f"DROP SCHEMA IF EXISTS {target.schema} CASCADE")


@pytest.fixture(scope="session")
def loaded(
    universe: Universe,
    server_data: Data,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Lake, dict[str, Any]]]:
    """A lake that a full run created, with its embedded database, which keeps running, and the
    run's output; a test that changes something restores it.
    """
    folder = tmp_path_factory.mktemp("loaded")
    server_data(folder / "postgres")
    with SimulatedExchange(universe) as server:
        done = basislake(server, "run", "--lake", folder, "--keep", "--json")
    assert done.code == 0, done.err
    yield open_lake(str(folder)), done.json
    assert basislake(None, "status", "--lake", folder, "--no-keep").code == 0


@pytest.fixture(scope="session")
def market_lake(universe: Universe) -> Lake:
    """A lake of the small market, fetched and built; to be read only."""
    return session.once("market", partial(_built_lake, universe))


@pytest.fixture(scope="session")
def coin_lake(coin: Universe) -> Lake:
    """A lake of the market of one coin, fetched and built; to be read only."""
    return session.once("coin", partial(_built_lake, coin))


@pytest.fixture(scope="session")
def carry_lake() -> Lake:
    """A lake with all that carry needs, to be read only; see `tests.carry_lakes`."""
    return session.once("carry", carry_lakes.carry_lake)


def _built_lake(universe: Universe, folder: Path) -> Lake:
    with SimulatedExchange(universe) as server:
        return built_lake(folder, server)


@pytest.fixture(scope="session")
def ailing() -> Lake:
    """A lake whose exchange misbehaved, to be read only; see `tests.ailing`."""
    return session.once("ailing", ailing_lake)


@pytest.fixture(scope="session")
def facts(ailing: Lake) -> Facts:
    """What a report says of it."""
    return gather(ailing, MADE_AT, None, 2)


@pytest.fixture(scope="session")
def carry_facts(carry_lake: Lake) -> Facts:
    """What a report says of a lake that has carry; `facts` are of one without."""
    return gather(carry_lake, MADE_AT, None, 2)


@pytest.fixture(scope="session")
def gapped() -> Lake:
    """A lake whose exchange lacked minutes, to be read only; see `tests.ailing`."""
    return session.once("gapped", gapped_lake)


@pytest.fixture(scope="session")
def staged() -> Staged:
    """A lake that was built several times, to be read only or copied; see `tests.staged`."""
    return session.once("staged", make_staged)


@pytest.fixture
def lake(staged: Staged, tmp_path: Path) -> Lake:
    """A copy of it, for one test."""
    return staged.copy(tmp_path)


@pytest.fixture(scope="session")
def object_store() -> Iterator[ObjectStore]:
    """A stand-in for an object store, on loopback."""
    with serving() as store:
        yield store


@pytest.fixture
def proxy(object_store: ObjectStore) -> Iterator[Proxy]:
    """The same store behind something that can be slow or break."""
    between = Proxy(object_store)
    yield between
    between.close()


@pytest.fixture
def remote(object_store: ObjectStore, request: pytest.FixtureRequest) -> Lake:
    """A lake of the test's own, straight in the store."""
    store = replace(object_store, scheme=getattr(request, "param", "s3"))
    return open_lake(store.uri(f"{store.scheme}-{request.node.name[:60]}"), store.options)


@pytest.fixture
def near(proxy: Proxy, remote: Lake) -> Lake:
    """The same lake as `remote`, behind the proxy."""
    return open_lake(remote.uri, proxy.store.options)


@pytest.fixture
def host() -> Iterator[Hosts]:
    """Starts hosts that stop after the test."""
    hosts: list[Host] = []

    def make(*parts: bytes, tls: ssl.SSLContext | None = None, pause_s: float = 0.0) -> Host:
        hosts.append(Host(*parts, tls=tls, pause_s=pause_s))
        return hosts[-1]

    yield make
    for each in hosts:
        each.close()


@pytest.fixture
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment that a test begins with names no proxy and no certificates."""
    for name in (*PROXIES, "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)


def pytest_configure(config: pytest.Config) -> None:
    # A shell that runs tests in the background has them, and what they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # `nohup` does the same with the end of a terminal.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # As short as can be: the path of a server's socket has at most 107 characters.
    config.option.basetemp = config.option.basetemp or str(FOLDER / "t")
    profiles.register()


def pytest_sessionfinish(exitstatus: int) -> None:
    # What failed can be looked at.
    if exitstatus == pytest.ExitCode.OK:
        atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)


def pytest_unconfigure() -> None:
    # DuckDB 2.0 and Hypothesis in one process keep each other's modules alive, and at the very end
    # DuckDB's binding library reports its own types as leaked, in a hundred lines.
    atexit.register(os.dup2, os.open(os.devnull, os.O_WRONLY), 2)
