"""Real replies, replayed: from the exchange's wire format to the lake and PostgreSQL, exactly."""

import json
import math
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from basislake.settings.database_target import Target
from basislake.simulator.carry import MarketCarry, Row
from basislake.simulator.contracts import listed_contract, milliseconds
from basislake.simulator.fault_forms import rpc_error
from basislake.simulator.replay import replay_universe
from basislake.simulator.server import SimulatedExchange
from basislake.simulator.universe import Universe
from lake import open as open_lake
from load.postgres import Database
from tests.market import RECORDINGS, basislake, needs_recordings, rows
from tests.servers import Data

CANDLES, CARRY = RECORDINGS / "candles_1m_BTC_pairs.parquet", RECORDINGS / "carry"
PERPETUAL, FUTURE = "BTC-PERPETUAL", "BTC-20SEP26"


def recorded(name: str) -> Any:  # noqa: ANN401  (whatever was recorded)
    return json.loads((CARRY / f"{name}_2026-09-20.json").read_text())


class RecordedCarry(MarketCarry):
    """What was recorded, as an exchange knows it."""

    def __init__(self, universe: Universe) -> None:
        super().__init__(universe)
        self.hours: list[Row] = recorded("get_funding_rate_history_BTC-PERPETUAL")
        self.prices: list[Row] = recorded("get_delivery_prices_btc_usd")["data"]
        self.rows: list[Row] = [
            *recorded("get_last_settlements_by_instrument_BTC-PERPETUAL")["settlements"],
            *recorded("get_last_settlements_by_currency_BTC")["settlements"],
        ]

    def funding(self, instrument: str, after_ms: int, until_ms: int) -> list[Row]:
        assert instrument == PERPETUAL
        return [row for row in self.hours if after_ms < int(str(row["timestamp"])) <= until_ms]

    def total(self, instrument: str, after_ms: int, until_ms: int) -> float:
        hours = self.funding(instrument, after_ms, until_ms)
        return math.fsum(float(str(row["interest_1h"])) for row in hours)

    def days(self, _index_name: str, _now_ms: int) -> Sequence[int]:
        epoch = date(1970, 1, 1)
        return [(date.fromisoformat(str(row["date"])) - epoch).days for row in self.prices]

    def delivery(self, index_name: str, day: int) -> Row:
        return self.prices[self.days(index_name, 0).index(day)]

    def settlements(self, instrument: str, _now_ms: int) -> list[Row]:
        return [row for row in self.rows if row["instrument_name"] == instrument]

    def settlements_of_coin(self, _coin: str, _now_ms: int) -> list[Row]:
        return sorted(self.rows, key=lambda row: -int(str(row["timestamp"])))


@needs_recordings
@pytest.mark.parametrize("is_served", [True, False])
def test_recorded_funding_deliveries_and_settlements_arrive_unchanged(
    tmp_path: Path, *, is_served: bool
) -> None:
    def at(day: int, hour: int) -> datetime:
        return datetime(2026, 9, day, hour, tzinfo=UTC)

    now = datetime(2026, 9, 20, 21, 17, 16, tzinfo=UTC)
    contracts = [
        listed_contract(0, "BTC", PERPETUAL, at(15, 9), None),
        listed_contract(0, "BTC", FUTURE, at(16, 9), at(20, 8)),
    ]
    universe = Universe(
        seed=0, now_ms=milliseconds(now), contracts={one.name: one for one in contracts}
    )
    carry = RecordedCarry(universe)
    with SimulatedExchange(universe, carry=carry) as server:
        if not is_served:
            fault = rpc_error(-32602, "Invalid params")
            server.faults.add("get_last_settlements_by_instrument", None, fault, instrument=FUTURE)
        of = ("--data", "funding,deliveries,settlements")
        done = basislake(server, "backfill", "--lake", tmp_path, *of, "--json")
    assert done.code == 0, done.err
    lake = open_lake(str(tmp_path))
    hours = lake.scan("raw_funding").sort("hour_end").collect()
    names = ["index_price", "prev_index_price", "interest_1h", "interest_8h"]
    assert hours.select(names).to_dicts() == [{n: row[n] for n in names} for row in carry.hours]
    ends = [milliseconds(end) for end in hours["hour_end"]]
    assert ends == [row["timestamp"] for row in carry.hours]
    assert hours.height == 24
    assert hours["interest_1h"].sum() == pytest.approx(2.160401415896643e-4, rel=1e-15)
    prices = lake.scan("raw_deliveries").sort("delivered_at", descending=True).collect()
    assert prices["delivery_price"].to_list() == [row["delivery_price"] for row in carry.prices[:4]]
    found = lake.scan("raw_settlements").sort("settled_at", descending=True).collect()
    of_perpetual = found.filter(instrument=PERPETUAL)
    cells = ["position", "mark_price", "index_price", "type"]
    assert of_perpetual.select(cells).to_dicts() == [
        {n: row[n] for n in cells} for row in carry.settlements(PERPETUAL, 0)
    ]
    (delivered,) = found.filter(instrument=FUTURE).to_dicts()
    assert delivered["settled_at"] == at(20, 8) + timedelta(milliseconds=65)
    assert (delivered["type"], delivered["position"]) == ("delivery", 31_999_610)
    assert delivered["index_price"] == delivered["mark_price"] == prices["delivery_price"][0]
    assert prices["delivery_price"][0] == 80321.21
    # The days that were not recorded are missing or before the first.
    assert set(lake.scan("coverage").collect()["status"]) == {"present", "no_data"}


@needs_recordings
@pytest.mark.slow
def test_recorded_candles_arrive_unchanged_in_lake_and_postgresql(
    server_data: Data, tmp_path: Path
) -> None:
    server_data(tmp_path / "postgres")
    with SimulatedExchange(replay_universe(CANDLES)) as server:
        done = basislake(server, "run", "--lake", tmp_path, "--data", "candles", "--json")
    assert done.code == 0, done.err
    candles = pl.read_parquet(CANDLES).sort("instrument", "ts")
    assert candles.height == 3346
    lake = open_lake(str(tmp_path))
    assert rows(lake, "raw_candles").equals(candles)
    assert rows(lake, "candles").select(candles.columns).equals(candles)

    is_future = ~pl.col("instrument").str.ends_with("PERPETUAL")
    basis = rows(lake, "basis")
    assert basis.select("instrument", "ts").equals(
        candles.filter(is_future).select("instrument", "ts")
    )
    assert done.json["build"]["unmatched"] == 0
    with Target().open(lake) as uri, Database(uri) as connection:
        stored = connection.query(
            "SELECT instrument, timestamp, open, high, low, close, volume, cost FROM futures_ohlcv "
            "UNION ALL SELECT instrument, timestamp, open, high, low, close, volume, cost "
            "FROM perpetuals_ohlcv"
        )
        example = connection.query(
            "SELECT basis_spread, round(basis_spread_pct::numeric, 5)::float8 "
            "FROM futures_basis_spread WHERE instrument = 'BTC-26JUN26' "
            "AND timestamp = '2025-12-30T17:31Z'"
        )
    assert sorted(stored) == sorted(candles.rows())
    assert example == [(1910.5, 2.15785)]
