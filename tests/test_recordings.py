"""Real candles, replayed: from the exchange's wire format to PostgreSQL, exactly."""

from pathlib import Path

import polars as pl
import pytest

import lake
from basislake.exchange.replay import replay_universe
from basislake.exchange.server import SimulatedExchange
from basislake.settings import database
from load.postgres import Database
from tests.market import basislake, rows
from tests.servers import Data

CANDLES = Path(__file__).parents[2] / "shared" / "recordings" / "candles_1m_BTC_pairs.parquet"

pytestmark = pytest.mark.skipif(
    not CANDLES.exists(), reason="the recorded candles are not kept in this repository"
)


@pytest.mark.slow
def test_recorded_candles_arrive_unchanged_in_lake_and_postgresql(
    server_data: Data, tmp_path: Path
) -> None:
    server_data(tmp_path / "postgres")
    with SimulatedExchange(replay_universe(CANDLES)) as server:
        done = basislake(server, "run", "--lake", tmp_path, "--json")
    assert done.code == 0, done.err
    recorded = pl.read_parquet(CANDLES).sort("instrument", "ts")
    assert recorded.height == 3346
    where = lake.open(str(tmp_path))
    assert rows(where, "raw_candles").equals(recorded)
    assert rows(where, "candles").select(recorded.columns).equals(recorded)

    is_future = ~pl.col("instrument").str.ends_with("PERPETUAL")
    basis = rows(where, "basis")
    assert basis.select("instrument", "ts").equals(
        recorded.filter(is_future).select("instrument", "ts")
    )
    assert done.json["build"]["unmatched"] == 0
    with database("embedded", where) as uri, Database(uri) as connection:
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
    assert sorted(stored) == sorted(recorded.rows())
    assert example == [(1910.5, 2.15785)]
