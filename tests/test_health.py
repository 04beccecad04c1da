"""The health check, and its exit code."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from basislake.simulator.clock import Clock
from basislake.simulator.fault_forms import server_error
from basislake.simulator.server import SimulatedExchange
from basislake.status.health import health
from ingest.backfill.run_records import RunRecord
from lake import Lake
from lake.tables import INSTRUMENTS, RAW_CANDLES
from tests.lakes import LINEAGE
from tests.market import NOW, basislake, fetch, small_market
from tests.staged import built

HOUR = timedelta(hours=1)


@pytest.mark.slow
def test_a_lake_is_healthy_until_its_newest_minutes_are_too_old(
    server: SimulatedExchange, at: Lake
) -> None:
    fetch(server, at)
    now = datetime.now(UTC)
    for coin, problem in zip(("BTC", "ETH"), health(at, now, HOUR).problems, strict=True):
        advice = f"`basislake build --lake {at.uri}` computes it."
        assert problem == f"basis has no minute of {coin}; {advice}"
    built(at)
    found = health(at, now, HOUR)
    assert found.problems == []
    newest = NOW.replace(second=0) - timedelta(minutes=1)
    assert found.newest["raw_candles"] == {"BTC": newest, "ETH": newest}
    assert set(found.newest["basis"]) == {"BTC", "ETH"}
    # The basis is as old as the candles, so a build would bring nothing.
    old = health(at, now + HOUR, HOUR).problems
    assert [problem.partition(" is ")[0] for problem in old] == [
        f"The newest minute of {coin} in raw_candles" for coin in ("BTC", "ETH")
    ]
    assert "2024-04-05 11:59Z, 1:0" in old[0]
    assert all(f"`basislake run --lake {at.uri}` fetches newer" in problem for problem in old)

    # One coin has nothing.
    base = at.snapshot(RAW_CANDLES)
    btc = [file for file in base.files if str(file.partition).startswith("BTC")]
    at.commit(base, [], LINEAGE, removing=btc)
    found = health(at, now, HOUR)
    assert set(found.newest["raw_candles"]) == {"ETH"}
    (problem,) = found.problems
    assert problem == (
        "raw_candles has no minute of an open instrument of BTC; "
        f"`basislake backfill --lake {at.uri}` fetches the minutes, or "
        f"`basislake scope --lake {at.uri}` leaves the coin out."
    )


@pytest.mark.slow
def test_a_lake_that_lost_its_instruments_is_a_lake_but_not_a_healthy_one(
    server: SimulatedExchange, at: Lake
) -> None:
    fetch(server, at)
    shutil.rmtree(Path(at.uri, INSTRUMENTS.name))
    done = basislake(None, "health", "--lake", at.uri, "--json")
    advice = f"`basislake instruments --lake {at.uri}` fetches it."
    text = f"The lake has no list of instruments; {advice}"
    assert (done.code, done.json["problems"]) == (1, [text]), done.err


@pytest.mark.slow
def test_a_build_is_advised_where_candles_came_since_the_last(at: Lake) -> None:
    market = small_market(weeks=1)
    clock = Clock(market.now_ms)
    with SimulatedExchange(market, clock=clock) as server:
        clock.advance(-7200)
        fetch(server, at)
        built(at)
        clock.advance(7200)
        fetch(server, at)
    old = health(at, datetime.now(UTC), HOUR).problems
    assert [problem.split()[4] for problem in old] == ["BTC", "ETH"]
    assert all(
        "but newer candles are stored; `basislake build --lake" in problem for problem in old
    )


@pytest.mark.slow
def test_a_market_that_has_ended_is_not_late(server: SimulatedExchange, at: Lake) -> None:
    fetch(server, at)
    built(at)
    late = datetime.now(UTC) + 100 * HOUR
    assert len(health(at, late, HOUR).problems) == 2
    known = at.read(INSTRUMENTS).with_columns(active=pl.lit(value=False))
    at.replace(at.snapshot(INSTRUMENTS), known, LINEAGE)
    assert health(at, late, HOUR).problems == []


@pytest.mark.slow
def test_what_failed_is_named_and_the_exit_code_is_1(server: SimulatedExchange, at: Lake) -> None:
    assert basislake(None, "health", "--lake", at.uri).code == 1
    server.faults.add(
        "get_tradingview_chart_data", None, server_error(), instrument="ETH-PERPETUAL"
    )
    basislake(server, "backfill", "--lake", at.uri, "--retries", "0")
    built(at)
    done = basislake(None, "health", "--lake", at.uri, "--max-age", "100000", "--json")
    assert (done.code, done.json["healthy"]) == (1, False)
    text = " ".join(done.json["problems"])
    assert "(ETH-PERPETUAL) have no answer" in text
    assert "ended as failed" in text
    server.faults.clear()
    assert basislake(server, "backfill", "--lake", at.uri).code == 0
    built(at)
    done = basislake(None, "health", "--lake", at.uri, "--max-age", "100000")
    assert (done.code, done.err) == (0, "")
    # The market's clock stands in 2024.
    assert basislake(None, "health", "--lake", at.uri).code == 0
    done = basislake(None, "health", "--lake", at.uri, "--max-age", "0.001")
    assert (done.code, done.err.count("Problem: ")) == (1, 2)
    assert basislake(None, "health", "--lake", at.uri, "--max-age", "nan").code == 2


@pytest.mark.slow
@pytest.mark.parametrize("restarted", [False, True])
def test_a_killed_run_is_a_problem_until_another_runs(
    server: SimulatedExchange, at: Lake, *, restarted: bool
) -> None:
    fetch(server, at)
    built(at)
    now = datetime.now(UTC)
    follow = RunRecord(at, "test 1", {}, lambda: now)
    killed = RunRecord(at, "test 1", {}, lambda: now + timedelta(minutes=1))
    # As its process left it.
    Path(at.uri, "runs", f"{killed.id}.json").write_text(
        json.dumps(killed.facts | {"pid": 2**30}, default=str)
    )
    later = [RunRecord(at, "test 1", {}, lambda: now + timedelta(minutes=2))] if restarted else []
    advice = f"`basislake backfill --lake {at.uri}` resumes it."
    text = f"The last backfill, {killed.id}, ended as killed; {advice}"
    assert health(at, now, 100 * HOUR).problems == []
    for run in (follow, *later):
        run.end("stopped", {})
    assert health(at, now, 100 * HOUR).problems == ([] if restarted else [text])
