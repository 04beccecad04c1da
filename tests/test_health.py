"""The health check, and its exit code."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import lake
from basislake.exchange.faults import server_error
from basislake.exchange.server import SimulatedExchange
from basislake.health import health
from lake import Lake
from lake.tables import RAW_CANDLES
from tests.lakes import LINEAGE
from tests.market import NOW, basislake, fetch, small_market
from tests.staged import built

HOUR = timedelta(hours=1)


@pytest.fixture
def server() -> Iterator[SimulatedExchange]:
    with SimulatedExchange(small_market()) as running:
        yield running


@pytest.fixture
def at(tmp_path: Path) -> Lake:
    return lake.open(str(tmp_path))


def test_a_lake_is_healthy_until_its_newest_minutes_are_too_old(
    server: SimulatedExchange, at: Lake
) -> None:
    fetch(server, at)
    (problem,) = health(at, NOW, HOUR).problems
    assert problem.startswith("basis holds no minute of a traded instrument")
    built(at)
    found = health(at, NOW, HOUR)
    assert found.problems == []
    newest = NOW.replace(second=0) - timedelta(minutes=1)
    assert found.newest["raw_candles"] == {"BTC": newest, "ETH": newest}
    assert set(found.newest["basis"]) == {"BTC", "ETH"}
    old = health(at, newest + HOUR + timedelta(minutes=1), HOUR).problems
    assert len(old) == 4
    assert "BTC in raw_candles is 2024-04-05 11:59Z, 1:01:00 ago" in old[0]

    # Only one coin is behind.
    base = at.snapshot(RAW_CANDLES)
    btc = [name for name in base.by_partition() if name.startswith("BTC")]
    at.commit(base, [], LINEAGE, replacing=btc)
    assert set(health(at, NOW, HOUR).newest["raw_candles"]) == {"ETH"}


def test_what_failed_is_named_and_the_exit_code_is_1(server: SimulatedExchange, at: Lake) -> None:
    assert basislake(None, "health", "--lake", at.uri).code == 1
    server.faults.add(
        "get_tradingview_chart_data", None, server_error(), instrument="ETH-PERPETUAL"
    )
    basislake(server, "backfill", "--lake", at.uri, "--retries", "0")
    built(at)
    done = basislake(None, "health", "--lake", at.uri, "--max-age", "1000000", "--json")
    assert (done.code, done.json["healthy"]) == (1, False)
    told = " ".join(done.json["problems"])
    assert "(ETH-PERPETUAL) have no answer" in told
    assert "ended as failed" in told
    server.faults.clear()
    assert basislake(server, "backfill", "--lake", at.uri).code == 0
    built(at)
    done = basislake(None, "health", "--lake", at.uri, "--max-age", "1000000")
    assert (done.code, done.err) == (0, "")
    done = basislake(None, "health", "--lake", at.uri)
    assert (done.code, done.err.count("Problem: ")) == (1, 4)
    assert basislake(None, "health", "--lake", at.uri, "--max-age", "nan").code == 2
