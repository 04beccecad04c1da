"""The whole pipeline from the exchange to PostgreSQL, against the simulated exchange's truth."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from basislake.settings.database_target import Target
from basislake.simulator.fault_forms import rpc_error, server_error
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from ingest.rate_limit.remembered import Remembered
from lake import open as open_lake
from lake.coverage import IS_CANDLES
from lake.tables import CURATED, RAW_CANDLES, TABLES
from load.postgres import Database
from tests.carry import carry_truth, stored_carry
from tests.lakes import instrument, lake_of
from tests.market import basislake, ideal_calls, rows, truth, truths
from tests.servers import Data

CHART = "get_tradingview_chart_data"
LIST = "get_instruments"


@pytest.mark.slow
def test_the_lake_and_postgresql_equal_the_truth_and_a_second_run_changes_nothing(
    server: SimulatedExchange, universe: Universe, server_data: Data, tmp_path: Path
) -> None:
    server_data(tmp_path / "postgres")
    done = basislake(server, "run", "--lake", tmp_path, "--json")
    assert done.code == 0, done.err
    lake = open_lake(str(tmp_path))
    raw = rows(lake, "raw_candles")
    assert raw.equals(truths(universe))

    expiries = lake.scan("instruments").select("instrument", "expires_at").collect()
    late = raw.join(expiries, on="instrument").filter(pl.col("ts") >= pl.col("expires_at"))
    assert late.is_empty()

    build = done.json["build"]
    assert build["candles"] + build["quarantined"] == raw.height
    futures = raw.filter(~pl.col("instrument").str.ends_with("PERPETUAL"))
    assert build["basis_rows"] + build["unmatched"] == futures.height
    assert build["basis_rows"] > 0.9 * futures.height
    coverage = lake.scan("coverage").collect()
    assert set(coverage["status"]) == {"present", "no_data"}
    of_candles = coverage.filter(IS_CANDLES, status="present")
    assert of_candles["minutes"].sum() == raw.height
    stored = stored_carry(lake)
    for name, expected in carry_truth(universe).items():
        assert_frame_equal(stored[name], expected, check_exact=True)

    versions = {name: lake.snapshot(table).version for name, table in TABLES.items()}
    before = _database_rows(tmp_path)
    server.forget_calls()
    again = basislake(server, "run", "--lake", tmp_path, "--json")
    assert again.code == 0, again.err
    # Only the lists and the clock.
    assert {call.method for call in server.calls} <= {LIST, "get_time"}
    assert {name: lake.snapshot(table).version for name, table in TABLES.items()} == versions
    assert _database_rows(tmp_path) == before
    assert again.json["load"]["partitions_loaded"] == 0


@pytest.mark.slow
def test_a_run_without_a_load_says_each_total_once_and_ends_with_the_basis(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    flags = ("run", "--no-load", "--lake", tmp_path)
    first = basislake(server, *flags)
    assert first.code == 0, first.err
    for word in ("Backfill: ", "Build: ", "Report: "):
        assert (first.out.count(word), first.err.count(word)) == (1, 0), word
    last = first.out.splitlines()[-4:]
    assert last[0] == "Basis of the front quarterlies"
    assert [line.split()[:2] for line in last[2:]] == [
        ["BTC", "BTC-28JUN24"],
        ["ETH", "ETH-28JUN24"],
    ]
    assert not (tmp_path / "postgres").exists()
    again = basislake(server, *flags, "--json")
    assert again.code == 0, again.err
    assert sorted(again.json) == ["backfill", "basis", "build", "report"]
    assert [front["coin"] for front in again.json["basis"]] == ["BTC", "ETH"]
    message = basislake(None, "status", "--lake", tmp_path, "--json").json
    assert [step["verb"] for step in message["next"]] == ["load"]
    expired = ("--lake", tmp_path / "expired", "--instruments", "BTC-5APR24")
    over = basislake(server, "run", "--no-load", *expired)
    assert over.code == 0, over.err
    assert "front quarterlies" not in over.out
    assert f"basislake sql @recent-basis --lake {tmp_path / 'expired'}" in over.out


def _database_rows(folder: Path) -> list[list[tuple[object, ...]]]:
    """Every row of futures and basis, with the transaction that wrote it."""
    queries = (
        (
            "SELECT xmin::text, instrument, extract(epoch from timestamp), "
            "open, high, low, close, volume, cost FROM futures_ohlcv ORDER BY instrument, timestamp"
        ),
        (
            "SELECT xmin::text, instrument, extract(epoch from timestamp), basis_spread "
            "FROM futures_basis_spread ORDER BY instrument, timestamp"
        ),
        'SELECT xmin::text, "table", partition, digest FROM lake_loads ORDER BY "table", partition',
    )
    with Target().open(open_lake(str(folder))) as uri, Database(uri) as connection:
        return [connection.query(query) for query in queries]


def test_a_future_brings_its_perpetual_and_nothing_else(
    server: SimulatedExchange, universe: Universe, tmp_path: Path
) -> None:
    name = next(n for n in universe.contracts if n.startswith("ETH") and "PERP" not in n)
    done = basislake(server, "backfill", "--lake", tmp_path, "--instruments", name)
    assert done.code == 0, done.err
    raw = rows(open_lake(str(tmp_path)), "raw_candles")
    contract = universe.contracts[name]
    life = pl.col("ts").is_between(
        pl.lit(contract.listed_ms // 60_000 * 60_000).cast(pl.Datetime("ms", "UTC")),
        pl.lit(contract.expires_ms).cast(pl.Datetime("ms", "UTC")),
        closed="left",
    )
    perpetual = truth(universe, "ETH-PERPETUAL")
    expected = pl.concat([truth(universe, name), perpetual.filter(life)])
    assert raw.equals(expected.sort("instrument", "ts"))
    assert expected.height < truth(universe, name).height + perpetual.height


def test_what_cannot_be_had_is_named_and_the_rest_is_saved(
    server: SimulatedExchange, universe: Universe, tmp_path: Path
) -> None:
    server.faults.add(CHART, None, server_error(), instrument="ETH-PERPETUAL")
    done = basislake(server, "backfill", "--lake", tmp_path, "--retries", "0", "--json")
    assert done.code == 1
    assert [failure["instrument"] for failure in done.json["failed"]] == ["ETH-PERPETUAL"]
    assert "ETH-PERPETUAL" in done.err
    lake = open_lake(str(tmp_path))
    others = truths(universe).filter(pl.col("instrument") != "ETH-PERPETUAL")
    assert rows(lake, "raw_candles").equals(others)
    status = basislake(None, "status", "--lake", tmp_path, "--json")
    assert status.code == 1
    assert {row["instrument"] for row in status.json["unanswered"]} == {"ETH-PERPETUAL"}

    server.faults.clear()
    assert basislake(server, "backfill", "--lake", tmp_path).code == 0
    assert rows(lake, "raw_candles").equals(truths(universe))


def test_a_closed_door_stops_at_once_and_says_so(server: SimulatedExchange, tmp_path: Path) -> None:
    basislake(server, "instruments", "--lake", tmp_path)
    server.faults.add(CHART, None, rpc_error(11056, "unauthenticated_public_requests_disabled"))
    done = basislake(server, "backfill", "--lake", tmp_path)
    assert done.code == 1
    assert "switched this access off" in done.err
    assert "Traceback" not in done.err
    assert server.calls_of(CHART) <= 8


def test_wrong_usage_exits_with_2_and_asks_for_nothing(
    server: SimulatedExchange, tmp_path: Path
) -> None:
    basislake(server, "instruments", "--lake", tmp_path)
    server.forget_calls()
    for wrong in (
        ["--currency", "SOL"],
        ["--instruments", "BTC-1JAN00"],
        ["--instruments", ","],
        ["--instruments", ""],
        ["--currency", "ETH", "--instruments", "BTC-PERPETUAL"],
        ["--since", "yesterday"],
        ["--until", "9999-12-31T23:59:59"],
        ["--timeout", "nan"],
        ["--since", "2024-02-01", "--until", "2024-01-01"],
    ):
        done = basislake(server, "backfill", "--lake", tmp_path, *wrong)
        assert done.code == 2, wrong
        assert "Traceback" not in done.err
    assert server.calls_of(CHART) == 0


def test_the_instruments_listed_are_those_alive_in_the_chosen_time(tmp_path: Path) -> None:
    start, day = datetime(2024, 3, 1, tzinfo=UTC), timedelta(days=1)
    known = [
        {**instrument("BTC-8MAR24", start), "listed_at": start - 7 * day},
        {**instrument("BTC-15MAR24", start + 7 * day), "listed_at": start},
        {**instrument("BTC-PERPETUAL"), "listed_at": start - 99 * day},
    ]
    lake = lake_of(tmp_path, instruments=known)

    def listed(*flags: str) -> list[str]:
        flags = ("--lake", lake.uri, "--offline", "--json", *flags)
        message = basislake(None, "instruments", *flags).json
        assert message["known"] == 3
        return sorted(row["instrument"] for row in message["instruments"])

    assert listed("--since", "2024-03-01") == ["BTC-15MAR24", "BTC-PERPETUAL"]
    assert listed("--until", "2024-03-01") == ["BTC-8MAR24", "BTC-PERPETUAL"]
    assert listed("--until", "2024-03-01T00:01") == sorted(row["instrument"] for row in known)
    chosen = listed("--instruments", "BTC-8MAR24,BTC-15MAR24", "--since", "2024-03-01")
    assert chosen == ["BTC-15MAR24", "BTC-PERPETUAL"]


def test_a_lake_that_is_not_there_is_said_to_be_so_and_not_made(tmp_path: Path) -> None:
    absent = tmp_path / "nolake"
    for verb in (["build"], ["load"], ["status"], ["sql", "SELECT 1"]):
        done = basislake(None, *verb, "--lake", absent)
        assert (done.code, "There is no lake at" in done.err) == (1, True), verb
        assert "`basislake run --lake" in done.err, verb
    assert not absent.exists()
    absent.touch()
    assert basislake(None, "status", "--lake", absent).code == 2


@pytest.mark.slow
def test_status_says_that_a_build_is_due(server: SimulatedExchange, tmp_path: Path) -> None:
    basislake(server, "backfill", "--lake", tmp_path, "--currency", "ETH")
    due = basislake(None, "status", "--lake", tmp_path, "--json").json["behind"]
    assert set(due) == {table.name for table in CURATED}
    basislake(None, "build", "--lake", tmp_path)
    assert basislake(None, "status", "--lake", tmp_path, "--json").json["behind"] == []


@pytest.mark.slow
def test_the_plan_is_what_the_backfill_then_asks_for(
    server: SimulatedExchange, universe: Universe, tmp_path: Path
) -> None:
    basislake(server, "instruments", "--lake", tmp_path)
    plan = basislake(server, "plan", "--lake", tmp_path, "--json").json
    assert plan["calls"] == ideal_calls(universe)
    assert open_lake(str(tmp_path)).snapshot(RAW_CANDLES).files == ()
    assert server.calls_of(CHART) == 0
    urls = ("--exchange-url", server.www_url, "--history-url", server.history_url)
    auto = ("plan", "--lake", tmp_path, *urls)
    state = {"XDG_STATE_HOME": str(tmp_path / "state")}
    env = {**os.environ, **state}
    assert "at 20 calls/s (the published rate)" in basislake(None, *auto, env=env).out
    Remembered(server.www_url, state).write(12.5, time.time())
    found = basislake(None, *auto, "--json", env=env).json
    assert (found["calls_per_second"], found["rate_source"]) == (12.5, "remembered")
    assert found["seconds_at_rate"] == pytest.approx(plan["calls"] / 12.5, abs=0.1)
    done = basislake(server, "backfill", "--lake", tmp_path, "--json").json
    assert done["calls"] == plan["calls"]
    assert basislake(server, "plan", "--lake", tmp_path, "--json").json["calls"] == 0
