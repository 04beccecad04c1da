"""A lake of curated tables for `load.py`, written directly: no raw candles, no build, no fetching.

Names and lives of the instruments follow the exchange; the prices are a random walk.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import polars as pl

from lake import Lake
from lake.files.parquet import DataFile
from lake.files.slices import by_month
from lake.state import BUILD
from lake.table import Table
from lake.tables import BASIS, BUILDS, CANDLES, CURATED, INSTRUMENTS
from lake.time.intervals import MINUTE

LIFE_MINUTES = 87_500

_COINS = {"BTC": 30_000.0, "ETH": 2_000.0}
_FIRST_EXPIRY = datetime(2019, 6, 28, 8, tzinfo=UTC)
_TICK = 0.5
# One in so many minutes of a future trades; of a perpetual all do.
_MINUTES_A_TRADE = 5
_LINEAGE = {"program": "benchmark"}


def fill(lake: Lake, futures: int, perpetual_minutes: int) -> None:
    """Write two perpetuals, so many futures, and their basis to the lake."""
    ends = {name_of(number): _expiry(number) for number in range(futures)}
    start = _FIRST_EXPIRY - LIFE_MINUTES * MINUTE
    perpetuals = {coin: _walk(coin, start, perpetual_minutes, 1) for coin in _COINS}
    with ThreadPoolExecutor() as pool:
        write = partial(_write, lake, CANDLES)
        jobs = [pool.submit(write, f"{coin}-PERPETUAL", perpetuals[coin]) for coin in _COINS]
        pairs = list(pool.map(partial(_write_future, lake), ends, ends.values()))
        files = [file for job in jobs for file in job.result()]
    files += [file for candles, _ in pairs for file in candles]
    _commit(lake, {CANDLES: files, BASIS: [file for _, basis in pairs for file in basis]})
    names = [*ends, *(f"{coin}-PERPETUAL" for coin in _COINS)]
    records = [_record(name, ends.get(name)) for name in names]
    frame = pl.DataFrame(records, schema_overrides=INSTRUMENTS.polars_schema)
    lake.replace(lake.snapshot(INSTRUMENTS), INSTRUMENTS.cast(frame), _LINEAGE)


def extend(lake: Lake, minutes: int) -> None:
    """Give the first future so many more minutes, as if it had not expired yet."""
    name, end = name_of(0), _expiry(0)
    whole = _walk(name, end - LIFE_MINUTES * MINUTE, LIFE_MINUTES + minutes, _MINUTES_A_TRADE)
    _commit(lake, {CANDLES: _write(lake, CANDLES, name, whole.tail(minutes))})


def _write(lake: Lake, table: Table, name: str, frame: pl.DataFrame) -> list[DataFile]:
    return [lake.write(table, month, name) for _, month in by_month(frame)]


def _commit(lake: Lake, files: Mapping[Table, list[DataFile]]) -> None:
    """Add files to curated tables, as a build does."""
    bases = {table: lake.snapshot(table) for table in CURATED}
    number = 1 + max(base.counter(BUILD) for base in bases.values())
    for table, added in files.items():
        bases[table] = lake.commit(bases[table], added, _LINEAGE, counters={BUILD: number})
    row = {
        "build": number,
        "batch": 0,
        "rules": "",
        "settings": "{}",
        "asks": 0,
        "records": 0,
        **{f"{table.name}_version": base.version or 0 for table, base in bases.items()},
        "program": "benchmark",
        "at": _FIRST_EXPIRY,
    }
    file = lake.write(BUILDS, pl.DataFrame([row], schema=BUILDS.polars_schema))
    lake.commit(lake.snapshot(BUILDS), [file], _LINEAGE, counters={BUILD: number})


def name_of(number: int) -> str:
    """The exchange's name of a future: coin and expiry."""
    return f"{list(_COINS)[number % 2]}-{_expiry(number):%-d%b%y}".upper()


def _expiry(number: int) -> datetime:
    """One for each coin every five days."""
    return _FIRST_EXPIRY + timedelta(days=5) * (number // 2)


def _write_future(lake: Lake, name: str, end: datetime) -> tuple[list[DataFile], list[DataFile]]:
    candles = _walk(name, end - LIFE_MINUTES * MINUTE, LIFE_MINUTES, _MINUTES_A_TRADE)
    basis = _basis(candles, end)
    return _write(lake, CANDLES, name, candles), _write(lake, BASIS, name, basis)


def _walk(name: str, start: datetime, rows: int, minutes_a_trade: int) -> pl.DataFrame:
    """Rows of `candles`; a minute without a trade repeats the close before it."""
    seed = sum(name.encode())
    steps = pl.int_range(-1000, 1001, eager=True).sample(rows, with_replacement=True, seed=seed)
    frame = pl.DataFrame({"step": steps}).with_columns(
        traded=(pl.col("step").abs() % minutes_a_trade == 0) | (pl.int_range(pl.len()) == 0)
    )
    price = _COINS[name[:3]] * (pl.col("step").cum_sum() / 1e6).exp()
    ticks = (price / _TICK).round() * _TICK
    close = pl.when("traded").then(ticks).forward_fill()
    frame = frame.with_columns(close=close, size=pl.col("step").abs() + 1)
    higher = pl.when("traded").then(_TICK * (pl.col("size") % 20)).otherwise(0.0)
    volume = pl.when("traded").then(pl.col("size") * 10 / pl.col("close")).otherwise(0.0)
    return frame.select(
        (pl.lit(start) + pl.duration(minutes=pl.int_range(pl.len())))
        .dt.cast_time_unit("us")
        .alias("ts"),
        pl.col("close").shift(1).fill_null(pl.col("close")).alias("open"),
        pl.max_horizontal("close", pl.col("close").shift(1)).add(higher).alias("high"),
        pl.min_horizontal("close", pl.col("close").shift(1)).sub(higher).alias("low"),
        "close",
        volume.alias("volume"),
        pl.when("traded").then(pl.col("size") * 10.0).otherwise(0.0).alias("cost"),
        "traded",
        pl.lit(value=False).alias("suspect"),
    )


def _basis(candles: pl.DataFrame, end: datetime) -> pl.DataFrame:
    """Rows of `basis` against a perpetual that is a little lower."""
    left = pl.lit(end) - pl.col("ts")
    perpetual = (pl.col("close") * 0.99 / _TICK).round() * _TICK
    frame = candles.select(
        "ts",
        pl.col("close").alias("future_close"),
        perpetual.alias("perpetual_close"),
        (pl.col("close") - perpetual).alias("basis"),
        ((pl.col("close") - perpetual) / perpetual * 100).alias("basis_pct"),
        (left.dt.total_minutes() / 1440).alias("days_to_expiry"),
        "suspect",
        pl.col("traded").alias("future_traded"),
        pl.lit(value=True).alias("perpetual_traded"),
        pl.lit("contango").alias("market_structure"),
    )
    annualised = pl.col("basis_pct") * 365 / pl.col("days_to_expiry")
    hour = pl.col("days_to_expiry") > 1 / 24
    return frame.with_columns(annualised_pct=pl.when(hour).then(annualised))


def _record(name: str, end: datetime | None) -> dict[str, object]:
    return {
        "instrument": name,
        "kind": "future" if end else "perpetual",
        "base": name[:3],
        "quote": "USD",
        "settlement": name[:3],
        "contract_type": "inverse",
        "listed_at": (end or _FIRST_EXPIRY) - LIFE_MINUTES * MINUTE,
        "expires_at": end,
        "tick_size": _TICK,
        "contract_size": 10.0,
        "active": end is None,
        "price_index": f"{name[:3]}_usd".lower(),
        "term": "quarterly" if end else "perpetual",
    }
