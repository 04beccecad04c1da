"""Makes the lakes of the benchmarks: futures and perpetuals of made-up prices, with planted spikes
and wrong candles.
"""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import polars as pl

from basislake import PROGRAM
from ingest.backfill.asks import update
from ingest.backfill.batch_commit import store
from ingest.backfill.outcome import Outcome
from ingest.datasets.candles import CANDLES, candles_of
from ingest.deribit.replies import Page
from lake import Lake, batches
from lake import open as open_lake
from lake.files.parquet import DataFile
from lake.table import BATCH
from lake.tables import ASKS, INSTRUMENTS, RAW_CANDLES, RECORDS, TABLES
from lake.time.intervals import MINUTE, Span

LIFE_MINUTES = 87_500
PERPETUAL_MINUTES = 3_500_000
# Minutes that the first future lacks until `late`.
LATE_MINUTES = 1_000

START = datetime(2019, 1, 1, 8, tzinfo=UTC)
COINS = {"BTC": (30_000.0, 0.5), "ETH": (2_000.0, 0.05)}
# One in so many minutes of a future trades; a perpetual trades in all minutes.
MINUTES_A_TRADE = 5
# One in so many candles has a high 5 % up, which is a spike (or none has), or a low above its high,
# which is quarantined.
ROWS_A_SPIKE, ROWS_AN_ERROR, NEVER = 20_011, 30_011, 10**9
# Starts of lives, determined by their number alone, spread evenly over the perpetual's life.
_GOLDEN = (math.sqrt(5) - 1) / 2
_PRICES = ("open", "high", "low", "close")

TOLD = {"program": PROGRAM}
_WHO = {"program": pl.lit(PROGRAM), "at": pl.lit(START)}


def stage(
    folder: str, futures: int, rows_a_spike: int = ROWS_A_SPIKE, *, still_open: int = 0
) -> None:
    """Make a raw lake of two perpetuals and so many futures, or add to one what it lacks.

    The first futures, as many as are still open, have candles up to the perpetuals' last.
    """
    lake = open_lake(folder)
    held = set(lake.snapshot(RAW_CANDLES).by_partition())
    perpetuals = {coin: perpetual(coin, rows_a_spike) for coin in COINS}
    known = lives(futures, still_open=still_open)
    record(lake, known)
    base = lake.snapshot(RAW_CANDLES)
    batch = base.counter(BATCH) + 1
    with ThreadPoolExecutor() as pool:
        wholes = [coin for coin in COINS if f"{coin}-PERPETUAL" not in held]
        write = partial(_write, lake, batch)
        jobs = [pool.submit(write, perpetuals[coin], f"{coin}-PERPETUAL") for coin in wholes]
        lacking = [n for n in range(futures) if future_name(n) not in held]
        starts = [known[future_name(n)][0] for n in lacking]
        build = partial(_write_future, write, perpetuals, rows_a_spike)
        jobs += [pool.submit(build, *one) for one in zip(lacking, starts, strict=True)]
        files = [job.result() for job in jobs]
    batches.commit_batch(lake, base, files, TOLD)
    asked = [
        {"instrument": name, "start": s, "end": s + n * MINUTE}
        for name, (s, n) in known.items()
        if any(file.partition == name for file in files)
    ]
    rows = pl.DataFrame(asked, schema_overrides=ASKS.polars_schema).with_columns(
        dataset=pl.lit(CANDLES.name),
        status=pl.lit("present"),
        window_start="start",
        window_end="end",
        duplicates=0,
        reason=pl.lit(None, pl.String),
        run=pl.lit("stage"),
        **_WHO,
    )
    batches.append(lake, ASKS, rows, batch, TOLD)
    update(lake, PROGRAM)


def _write(lake: Lake, batch: int, frame: pl.DataFrame, name: str) -> DataFile:
    return lake.write(RAW_CANDLES, frame.with_columns(pl.lit(batch, pl.Int64).alias(BATCH)), name)


def _write_future(
    write: Callable[[pl.DataFrame, str], DataFile],
    perpetuals: dict[str, pl.DataFrame],
    rows_a_spike: int,
    number: int,
    start: datetime,
) -> DataFile:
    frame = future(perpetuals, number, rows_a_spike, start=start)
    # The first one lacks its last minutes until the step `late`.
    kept = frame.head(LIFE_MINUTES - LATE_MINUTES) if number == 0 else frame
    return write(kept, future_name(number))


def late(folder: str) -> None:
    """Append the minutes that the first future lacks."""
    store(open_lake(folder), [lacking(0)], PROGRAM)


def lacking(number: int, minutes: int = LIFE_MINUTES) -> Outcome:
    """The minutes that a future of so many lacks."""
    perpetuals = {coin: perpetual(coin, ROWS_A_SPIKE) for coin in COINS}
    frame = future(perpetuals, number, ROWS_A_SPIKE, minutes).tail(LATE_MINUTES)
    return outcome(future_name(number), frame.drop("instrument"))


def outcome(name: str, frame: pl.DataFrame) -> Outcome:
    """The answer to a call that asked for these candles of an instrument and no others."""
    asked = Span(frame["ts"][0], frame["ts"][-1] + MINUTE)
    return Outcome(candles_of(name), asked, Page(frame, 0, asked))


def file_sizes(lake: Lake) -> dict[str, list[int]]:
    """Bytes of each file on disk: of data by table, and of all logs under `logs`."""
    found: dict[str, list[int]] = {name: [] for name in (*TABLES, "logs")}
    for name in TABLES:
        for path in Path(lake.uri, name).rglob("*"):
            if path.is_file():
                found["logs" if "_delta_log" in path.parts else name].append(path.stat().st_size)
    return found


def lives(
    futures: int, minutes: int = LIFE_MINUTES, *, still_open: int = 0
) -> dict[str, tuple[datetime, int]]:
    """Return the first minute and the minutes of two perpetuals and so many futures, by name; see
    `stage`.
    """
    found = {f"{coin}-PERPETUAL": (START, PERPETUAL_MINUTES) for coin in COINS}
    newest = START + (PERPETUAL_MINUTES - minutes) * MINUTE
    starts = [newest if n < still_open else _start(n, minutes) for n in range(futures)]
    return found | {future_name(n): (start, minutes) for n, start in enumerate(starts)}


def record(lake: Lake, known: dict[str, tuple[datetime, int]]) -> None:
    """Store the records of some instruments."""
    records = [
        {
            "instrument": name,
            "kind": "perpetual" if name.endswith("PERPETUAL") else "future",
            "base": name[:3],
            "quote": "USD",
            "settlement": name[:3],
            "contract_type": "inverse",
            "listed_at": start,
            "expires_at": None if name.endswith("PERPETUAL") else start + minutes * MINUTE,
            "active": False,
            "price_index": f"{name[:3]}_usd".lower(),
            "term": "perpetual" if name.endswith("PERPETUAL") else "quarterly",
        }
        for name, (start, minutes) in known.items()
    ]
    instruments = pl.DataFrame(records, schema=INSTRUMENTS.polars_schema)
    number = batches.commit_batch(lake, lake.snapshot(RAW_CANDLES), (), TOLD)
    number, _ = batches.append(lake, RECORDS, instruments.with_columns(**_WHO), number, TOLD)
    lake.replace(lake.snapshot(INSTRUMENTS), instruments, TOLD, {BATCH: number})


def future_name(number: int) -> str:
    """Return the name of a future, as long as the exchange's; coins alternate."""
    day = START + timedelta(days=number // len(COINS))
    return f"{list(COINS)[number % len(COINS)]}-{day:%-d%b%y}".upper()


def _start(number: int, minutes: int) -> datetime:
    place = math.modf(number * _GOLDEN)[0]
    return START + int(place * (PERPETUAL_MINUTES - minutes)) * MINUTE


def _drawn(rows: int, seed: int) -> pl.Series:
    """Integers from -1000 to 1000."""
    return pl.int_range(-1000, 1001, eager=True).sample(rows, with_replacement=True, seed=seed)


def perpetual(coin: str, rows_a_spike: int) -> pl.DataFrame:
    """A random walk of at most 0.1 % a minute, traded in every minute."""
    rows, seed = PERPETUAL_MINUTES, list(COINS).index(coin)
    price, tick = COINS[coin]
    close = price * (_drawn(rows, seed).cum_sum() / 1e6).exp()
    frame = pl.DataFrame({"close": close, "up": _drawn(rows, seed + 10).abs()})
    frame = frame.with_columns(open=pl.col("close").shift(1).fill_null(price))
    higher, lower = pl.max_horizontal("open", "close"), pl.min_horizontal("open", "close")
    volume = (pl.col("up") + 1) * 100 / pl.col("close")
    high, low = higher * (1 + pl.col("up") / 4e6), lower * (1 - pl.col("up") / 3e6)
    frame = frame.with_columns(high=high, low=low, volume=volume)
    return _candles(frame, f"{coin}-PERPETUAL", START, tick, rows_a_spike)


def future(
    perpetuals: dict[str, pl.DataFrame],
    number: int,
    rows_a_spike: int,
    minutes: int = LIFE_MINUTES,
    *,
    start: datetime | None = None,
) -> pl.DataFrame:
    """The perpetual with a premium that wears off, in the minutes that trade; else the last
    price.
    """
    name, start = future_name(number), start or _start(number, minutes)
    beside = perpetuals[name[:3]].slice((start - START) // MINUTE, minutes)
    left = 1 - pl.int_range(pl.len()) / minutes
    noise = _drawn(minutes, 100 + number)
    premium = (1 + left * (number % 9 - 2) / 100) * (1 + noise / 1e7)
    is_traded = (noise.abs() % MINUTES_A_TRADE == 0) | (pl.int_range(pl.len()) == 0)
    frame = beside.select(
        *(pl.when(is_traded).then(pl.col(price) * premium).alias(price) for price in _PRICES),
        volume=pl.when(is_traded).then((noise.abs() + 1) * 10 / pl.col("close")).otherwise(0.0),
    )
    stale = pl.col("close").forward_fill()
    filled = frame.with_columns(pl.col(price).fill_null(stale) for price in _PRICES)
    return _candles(filled, name, start, COINS[name[:3]][1], rows_a_spike)


def _candles(
    frame: pl.DataFrame, name: str, start: datetime, tick: float, rows_a_spike: int
) -> pl.DataFrame:
    """Rows of `raw_candles`, prices in ticks, with a few that are wrong."""
    row = pl.int_range(pl.len())
    rounded = frame.with_columns((pl.col(price) / tick).round() * tick for price in _PRICES)
    high = pl.when(row % rows_a_spike == rows_a_spike - 1).then(1.05).otherwise(1.0)
    low = pl.when(row % ROWS_AN_ERROR == ROWS_AN_ERROR - 1).then(1.05).otherwise(1.0)
    return rounded.select(
        pl.lit(name).alias("instrument"),
        (pl.lit(start) + pl.duration(minutes=row)).dt.cast_time_unit("us").alias("ts"),
        "open",
        pl.col("high") * high,
        pl.col("low") * low,
        "close",
        "volume",
        (pl.col("volume") * pl.col("close")).round(2).alias("cost"),
    )
