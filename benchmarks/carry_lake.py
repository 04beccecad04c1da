"""Makes the lake that `benchmarks.carry` asks: a market of the real one's size and whole history,
written straight into the curated tables, which is much quicker than to fetch and build it.
"""

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import polars as pl

from basislake.simulator.full_market import full_universe
from basislake.simulator.market import Contract
from basislake.simulator.universe import Universe
from lake import Lake
from lake import open as open_lake
from lake.files.parquet import DataFile
from lake.files.slices import by_month
from lake.state import BUILD
from lake.table import Table
from lake.tables import BASIS, CANDLES, INSTRUMENTS
from tests.carry import carry_truth, time_of
from tests.lakes import LINEAGE, fill, instrument, mark_built
from transforms.basis import basis
from transforms.carry_validation import CURATIONS

SEED = 1
# About 500 futures have been listed until then.
NOW = datetime(2025, 10, 31, 12, 0, 30, tzinfo=UTC)


def stage(folder: str) -> Lake:
    """Make a lake of both perpetuals and the futures of the whole history, in an empty folder."""
    market = full_universe(SEED, NOW)
    contracts = [c for c in market.contracts.values() if c.is_listed(market.now_ms)]
    lake = open_lake(folder)
    files: dict[Table, list[DataFile]] = {CANDLES: [], BASIS: []}
    with ThreadPoolExecutor() as pool:
        for coin in ("BTC", "ETH"):
            (perpetual,) = (c for c in contracts if c.base == coin and not c.expires_ms)
            of_perpetual = _candles(market, perpetual)
            jobs = [pool.submit(_write, lake, [(CANDLES, of_perpetual)])]
            jobs += [
                pool.submit(_write_future, lake, market, contract, of_perpetual)
                for contract in contracts
                if contract.base == coin and contract.expires_ms
            ]
            for job in jobs:
                for table, written in job.result():
                    files[table] += written
    for table, added in files.items():
        lake.commit(lake.snapshot(table), added, LINEAGE, counters={BUILD: 1})
    fill(lake, INSTRUMENTS, pl.DataFrame(list(map(_record, contracts)), INSTRUMENTS.polars_schema))
    truth = carry_truth(market)
    for curation in CURATIONS:
        rows = truth[curation.raw.name].select(curation.table.names)
        complete = [c.name for c in curation.table.columns if not c.nullable]
        fill(lake, curation.table, rows.drop_nulls(complete))
    mark_built(lake)
    return lake


def _write_future(
    lake: Lake, market: Universe, contract: Contract, perpetual: pl.DataFrame
) -> list[tuple[Table, list[DataFile]]]:
    own = _candles(market, contract)
    spread = basis(
        own.with_columns(expires_at=pl.lit(time_of(contract.expires_ms or 0))), perpetual
    )
    return _write(lake, [(CANDLES, own), (BASIS, BASIS.cast(spread))])


def _write(
    lake: Lake, frames: Iterable[tuple[Table, pl.DataFrame]]
) -> list[tuple[Table, list[DataFile]]]:
    """A file for each month of an instrument, as a build writes them."""
    return [
        (table, [lake.write(table, part, rows["instrument"][0]) for _, part in by_month(rows)])
        for table, rows in frames
        if rows.height
    ]


def _candles(market: Universe, contract: Contract) -> pl.DataFrame:
    end_ms = min(contract.expires_ms or market.now_ms, market.now_ms)
    rows = market.candles(contract.name, contract.first_trade_ms, end_ms)
    return CANDLES.cast(
        rows.with_columns(
            instrument=pl.lit(contract.name),
            ts=pl.from_epoch("ticks", "ms").dt.replace_time_zone("UTC"),
            traded=pl.col("volume") > 0,
            suspect=pl.lit(value=False),
        )
    )


def _record(contract: Contract) -> dict[str, object]:
    expires_at = time_of(contract.expires_ms) if contract.expires_ms else None
    return {
        **instrument(contract.name, expires_at),
        "listed_at": time_of(contract.listed_ms),
        "tick_size": contract.tick_size,
        "contract_size": contract.contract_size,
        "active": expires_at is None or expires_at > NOW,
    }
