"""The exchange of a lake, and that data of another one never gets into it."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

import lake
from basislake import PROGRAM
from basislake.simulator.server import SimulatedExchange
from ingest.deribit.hosts import exchange_name
from lake import Lake
from lake.errors import UsageError
from lake.history.fingerprint import fingerprint
from lake.properties.origin import check_origin, set_origin
from lake.tables import INSTRUMENTS
from tests.lakes import LINEAGE, instrument, lake_of
from tests.market import basislake, fetch, small_market
from tests.object_store import ObjectStore


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(small_market(weeks=1)) as running:
        yield running


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://www.deribit.com", "deribit"),
        ("https://history.deribit.com/", "deribit"),
        ("https://WWW.Deribit.com:443", "deribit"),
        ("https://test.deribit.com", "test.deribit.com"),
        ("https://www.deribit.com.example.org", "www.deribit.com.example.org"),
        ("http://127.0.0.1:8401/mirror", "localhost"),
        ("http://localhost:9", "localhost"),
        ("http://[::1]:9", "localhost"),
        ("http://user:secret@rehearsal.example:9", "rehearsal.example"),
        ("http://10.0.0.7:80", "10.0.0.7"),
        ("http://[broken", ""),
    ],
)
def test_an_exchange_is_its_host_whatever_the_port(url: str, name: str) -> None:
    assert exchange_name(url) == name


def test_a_lake_takes_no_data_of_another_exchange(server: SimulatedExchange, at: Lake) -> None:
    set_origin(at, "deribit", PROGRAM)
    before = sorted(Path(at.uri).rglob("*"))
    for verb in ("instruments", "plan", "backfill", "follow", "run", "demo"):
        own = None if verb == "demo" else server
        done = basislake(own, verb, "--lake", at.uri)
        assert done.code == 2, (verb, done.err)
        assert f"The lake at {at.uri} holds data of deribit" in done.err, verb
        assert "uses localhost" in done.err
        assert "--lake" in done.err
        assert done.out == ""
    with pytest.raises(UsageError, match="holds data of deribit"):
        fetch(server, at)
    assert sorted(Path(at.uri).rglob("*")) == before


def test_addresses_of_two_exchanges_are_refused(server: SimulatedExchange, at: Lake) -> None:
    for flag, url in (("--exchange-url", server.www_url), ("--history-url", server.history_url)):
        done = basislake(None, "instruments", "--lake", at.uri, flag, url)
        assert (done.code, "Give both --exchange-url and --history-url" in done.err) == (2, True)
    assert not Path(at.uri).exists()


@pytest.mark.slow
def test_candles_of_known_instruments_need_one_address_only(
    server: SimulatedExchange, at: Lake
) -> None:
    assert basislake(server, "instruments", "--lake", at.uri).code == 0
    done = basislake(
        None, "backfill", "--lake", at.uri, "--exchange-url", server.www_url, "--rate", 0
    )
    assert done.code == 0, done.err


@pytest.mark.slow
def test_an_exchange_on_another_port_is_the_same(server: SimulatedExchange, at: Lake) -> None:
    fetch(server, at)
    assert at.snapshot(INSTRUMENTS).origin == "localhost"
    version = at.snapshot(INSTRUMENTS).version
    with SimulatedExchange(small_market(weeks=1)) as other:
        assert other.www_url != server.www_url
        assert fetch(other, at).calls == 0
    assert at.snapshot(INSTRUMENTS).version == version


@pytest.mark.slow
def test_a_lake_without_the_mark_is_its_first_writers(
    server: SimulatedExchange, at: Lake, tmp_path: Path
) -> None:
    fetch(server, at)
    marked = fingerprint(at, 1).lake
    bare = lake.open(str(shutil.copytree(at.uri, tmp_path / "bare")))
    mark = '"basislake.exchange":"localhost"'
    log = Path(bare.uri) / "instruments" / "_delta_log" / f"{0:020}.json"
    text = log.read_text()
    assert mark in text
    log.write_text(text.replace(f",{mark}", "").replace(f"{mark},", ""))
    assert bare.snapshot(INSTRUMENTS).origin is None
    check_origin(bare, "deribit")
    again = ("--lake", bare.uri, "--data", "candles")
    assert basislake(server, "plan", *again).code == 0
    assert bare.snapshot(INSTRUMENTS).origin is None
    assert basislake(server, "backfill", *again).code == 0
    assert bare.snapshot(INSTRUMENTS).origin == "localhost"
    assert fingerprint(bare, 1).lake == marked


def test_of_two_first_writers_one_has_the_lake(tmp_path: Path) -> None:
    names = [f"exchange-{number}" for number in range(8)]
    old = lake_of(tmp_path / "old", instruments=[instrument("BTC-PERPETUAL")])
    for held in (lake.open(str(tmp_path / "new")), old):
        with ThreadPoolExecutor(len(names)) as pool:
            claims = [pool.submit(set_origin, held, name, PROGRAM) for name in names]
        failed = [one.exception() for one in claims]
        assert failed.count(None) == 1
        assert all(isinstance(error, UsageError) for error in failed if error)
        assert held.snapshot(INSTRUMENTS).origin == names[failed.index(None)]


def test_the_mark_stays_in_an_object_store_when_rows_come(object_store: ObjectStore) -> None:
    at = lake.open(object_store.uri("origin"), object_store.options)
    set_origin(at, "deribit", PROGRAM)
    set_origin(at, "deribit", PROGRAM)
    base = at.snapshot(INSTRUMENTS)
    assert base.version == 0
    rows = pl.DataFrame([instrument("BTC-PERPETUAL")], INSTRUMENTS.polars_schema)
    assert at.replace(base, rows, LINEAGE).version == 1
    with pytest.raises(UsageError, match="holds data of deribit"):
        set_origin(at, "localhost", PROGRAM)
