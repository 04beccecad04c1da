"""Makes the lake that `benchmarks.carry` asks: a market of the real one's size and whole history,
written straight into the curated tables, which is much quicker than to fetch and build it.
"""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import polars as pl

from basislake import PROGRAM
from basislake.simulator.carry import MarketCarry
from basislake.simulator.full_market import full_universe
from basislake.simulator.market import Contract
from basislake.simulator.universe import Universe
from lake import Lake
from lake import open as open_lake
from lake.carry_tables import DELIVERIES, FUNDING, SETTLEMENTS
from lake.contract_terms import term_of
from lake.files.parquet import DataFile
from lake.files.slices import by_month
from lake.state import BUILD
from lake.table import Table
from lake.tables import BASIS, BUILDS, CANDLES, CURATED, INSTRUMENTS
from transforms.basis import basis

SEED = 1
# About 500 futures have been listed until then.
NOW = datetime(2025, 10, 31, 12, 0, 30, tzinfo=UTC)
_TOLD = {"program": PROGRAM}
_COUNTERS = {BUILD: 1}


def stage(folder: str, since: datetime | None = None, futures: int | None = None) -> Lake:
    """Make a lake of both perpetuals and the futures of the whole history.

    Args:
        folder: of the lake, which is empty.
        since: leave out what is older, and futures that expired before; by default nothing.
        futures: at most as many, the newest.
    """
    market = full_universe(SEED, NOW)
    contracts = _chosen(market, since, futures)
    lake = open_lake(folder)
    first_ms = _milliseconds(since) if since else 0
    files: dict[str, list[DataFile]] = {CANDLES.name: [], BASIS.name: []}
    with ThreadPoolExecutor() as pool:
        for coin in ("BTC", "ETH"):
            perpetual, *dated = (c for c in contracts if c.base == coin)
            of_perpetual = _candles(market, perpetual, first_ms)
            own = [(CANDLES, of_perpetual)]
            jobs = [pool.submit(_write, lake, own)]
            jobs += [
                pool.submit(_write_future, lake, market, contract, of_perpetual, first_ms)
                for contract in dated
            ]
            for job in jobs:
                for name, written in job.result():
                    files[name] += written
    _commit(lake, market, contracts, files, first_ms)
    return lake


def _chosen(market: Universe, since: datetime | None, futures: int | None) -> list[Contract]:
    """The perpetuals, and the futures that are wanted; the perpetual of each coin first."""
    known = [c for c in market.contracts.values() if c.is_listed(market.now_ms)]
    dated = sorted((c for c in known if c.expires_ms), key=lambda c: -(c.expires_ms or 0))
    if since:
        dated = [c for c in dated if (c.expires_ms or 0) > _milliseconds(since)]
    return [c for c in known if not c.expires_ms] + dated[:futures]


def _write_future(
    lake: Lake, market: Universe, contract: Contract, perpetual: pl.DataFrame, first_ms: int
) -> list[tuple[str, list[DataFile]]]:
    own = _candles(market, contract, first_ms)
    expires_at = _time(contract.expires_ms or 0)
    spread = basis(own.with_columns(expires_at=pl.lit(expires_at)), perpetual)
    return _write(lake, [(CANDLES, own), (BASIS, BASIS.cast(spread))])


def _write(
    lake: Lake, frames: Iterable[tuple[Table, pl.DataFrame]]
) -> list[tuple[str, list[DataFile]]]:
    """A file for each month of an instrument, as a build writes them."""
    return [
        (
            table.name,
            [lake.write(table, part, rows["instrument"][0]) for _, part in by_month(rows)],
        )
        for table, rows in frames
        if rows.height
    ]


def _candles(market: Universe, contract: Contract, first_ms: int) -> pl.DataFrame:
    end_ms = min(contract.expires_ms or market.now_ms, market.now_ms)
    rows = market.candles(contract.name, max(first_ms, contract.first_trade_ms), end_ms)
    return CANDLES.cast(
        rows.with_columns(
            instrument=pl.lit(contract.name),
            ts=pl.from_epoch("ticks", "ms").dt.replace_time_zone("UTC"),
            traded=pl.col("volume") > 0,
            suspect=pl.lit(value=False),
        )
    )


def _commit(
    lake: Lake,
    market: Universe,
    contracts: list[Contract],
    files: dict[str, list[DataFile]],
    first_ms: int,
) -> None:
    for table in (CANDLES, BASIS):
        lake.commit(lake.snapshot(table), files[table.name], _TOLD, counters=_COUNTERS)
    frames = {
        INSTRUMENTS: pl.DataFrame(list(map(_record, contracts)), INSTRUMENTS.polars_schema),
        **_carry(market, contracts, first_ms),
    }
    for table, rows in frames.items():
        counters = _COUNTERS if table in CURATED else None
        lake.replace(lake.snapshot(table), table.cast(rows), _TOLD, counters)
    versions = {f"{t.name}_version": lake.snapshot(t).version or 0 for t in CURATED}
    row = {"build": 1, "batch": 0, "rules": "", "settings": "{}", "asks": 0, "records": 0}
    build = pl.DataFrame(
        [{**row, **versions, "program": PROGRAM, "at": NOW}], schema=BUILDS.polars_schema
    )
    lake.commit(lake.snapshot(BUILDS), [lake.write(BUILDS, build)], _TOLD, counters=_COUNTERS)


def _record(contract: Contract) -> dict[str, object]:
    expires_at = _time(contract.expires_ms) if contract.expires_ms else None
    return {
        "instrument": contract.name,
        "kind": contract.kind,
        "base": contract.base,
        "quote": contract.quote,
        "settlement": contract.settlement,
        "contract_type": "inverse",
        "listed_at": _time(contract.listed_ms),
        "expires_at": expires_at,
        "tick_size": contract.tick_size,
        "contract_size": contract.contract_size,
        "active": expires_at is None or expires_at > NOW,
        "price_index": f"{contract.base}_{contract.quote}".lower(),
        "term": term_of(expires_at),
    }


def _carry(market: Universe, contracts: list[Contract], first_ms: int) -> dict[Table, pl.DataFrame]:
    """Funding, delivery prices and settlements, as the exchange has them."""
    truth, now_ms = MarketCarry(market), market.now_ms
    perpetuals = [c for c in contracts if not c.expires_ms]
    paid = [
        {
            "instrument": c.name,
            "hour_end": _time(int(str(row["timestamp"]))),
            "prev_index_price": None,
            **{name: value for name, value in row.items() if name != "timestamp"},
        }
        for c in perpetuals
        for row in truth.funding(c.name, first_ms, now_ms)
    ]
    delivered = [
        {
            "index_name": name,
            "delivered_at": datetime.fromisoformat(f"{row['date']}T08:00Z"),
            "delivery_price": row["delivery_price"],
        }
        for name in (f"{c.base}_{c.quote}".lower() for c in perpetuals)
        for day in truth.days(name, now_ms)
        if (day + 1) * 86_400_000 > first_ms
        for row in [truth.delivery(name, day)]
    ]
    return {
        FUNDING: pl.DataFrame(paid, FUNDING.polars_schema),
        DELIVERIES: pl.DataFrame(delivered, DELIVERIES.polars_schema),
        SETTLEMENTS: pl.DataFrame(
            list(_settlements(truth, contracts, first_ms, now_ms)), SETTLEMENTS.polars_schema
        ),
    }


def _settlements(
    truth: MarketCarry, contracts: list[Contract], first_ms: int, now_ms: int
) -> Iterator[dict[str, object]]:
    for contract in contracts:
        for row in truth.settlements(contract.name, now_ms):
            at_ms = int(str(row["timestamp"]))
            if at_ms >= first_ms and row["index_price"] is not None:
                yield {
                    "instrument": contract.name,
                    "settled_at": _time(at_ms),
                    "type": row["type"],
                    "position": float(str(row["position"])),
                    "mark_price": row["mark_price"],
                    "index_price": row["index_price"],
                }


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)


def _milliseconds(time: datetime) -> int:
    return round(time.timestamp() * 1000)
