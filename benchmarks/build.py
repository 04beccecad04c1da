"""Times the build on synthetic candles, beside a plain SQL join and a materialized view.

    python -m benchmarks.build [speed|growth|all]

`speed`: a full build of 151 futures and two perpetuals, one with nothing new, one after one future
changed; the same join by DuckDB and by Polars, of the candles the build made; the guide's way, a
materialized view in PostgreSQL. `growth`: full builds of 10, 100 and 500 futures.

Each step is a process of its own. Nothing is fetched; the lakes go away at the end. Results are
kept in RESULTS.md.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

import lake
from basislake import PROGRAM
from basislake.pipeline import curate
from benchmarks.rehearsal import machine
from lake import Lake
from lake.files import DataFile
from lake.spans import MINUTE
from lake.tables import CANDLES, COVERAGE, INSTRUMENTS, RAW_CANDLES
from load.ddl import create_table_sql
from load.embedded import embedded
from load.postgres import Database
from load.tables import FUTURES_OHLCV, PERPETUALS_OHLCV, futures_frame, perpetuals_frame

FUTURES = 151
GROWTH = (10, 100, 500)
LIFE_MINUTES = 87_500
PERPETUAL_MINUTES = 3_500_000
LATE_MINUTES = 1_000
# Of one coin, in the materialized view.
VIEW_FUTURES = 30

START = datetime(2019, 1, 1, 8, tzinfo=UTC)
COINS = {"BTC": (30_000.0, 0.5), "ETH": (2_000.0, 0.05)}
# One in so many minutes of a future trades; of a perpetual all do.
MINUTES_A_TRADE = 5
# One in so many candles has a high 5 % up, which is a spike, or a low above its high, which is
# quarantined.
ROWS_A_SPIKE, ROWS_AN_ERROR = 20_011, 30_011
# Starts of lives that follow from their number alone, spread evenly over the perpetual's.
_GOLDEN = (math.sqrt(5) - 1) / 2
_PRICES = ("open", "high", "low", "close")

_JOIN_SQL = """
    SELECT f.instrument, f.ts, f.close AS future_close, p.close AS perpetual_close,
        f.close - p.close AS basis, (f.close - p.close) / p.close * 100 AS basis_pct,
        date_diff('minute', f.ts, i.expires_at) / 1440 AS days_to_expiry,
        CASE WHEN i.expires_at - f.ts > INTERVAL 1 HOUR
            THEN (f.close - p.close) / p.close * 100 * 365
                / (date_diff('minute', f.ts, i.expires_at) / 1440) END AS annualised_pct,
        CASE WHEN f.close > p.close THEN 'contango' WHEN f.close < p.close THEN 'backwardation'
            ELSE 'flat' END AS market_structure,
        f.traded AS future_traded, p.traded AS perpetual_traded,
        f.suspect OR p.suspect AS suspect
    FROM (FROM candles WHERE instrument NOT LIKE '%-PERPETUAL') f
    JOIN (FROM candles WHERE instrument LIKE '%-PERPETUAL') p
        ON left(p.instrument, 3) = left(f.instrument, 3) AND p.ts = f.ts
    JOIN instruments i ON i.instrument = f.instrument"""

_VIEW_SQL = """
    CREATE MATERIALIZED VIEW futures_basis AS
    SELECT f.timestamp, f.instrument, f.expiry_date, f.close AS futures_price,
        p.close AS perpetual_price, f.close - p.close AS basis_spread,
        (f.close - p.close) / p.close * 100 AS basis_spread_pct,
        EXTRACT(EPOCH FROM f.expiry_date - f.timestamp) / 86400 AS days_to_expiry,
        CASE WHEN f.close > p.close THEN 'contango' WHEN f.close < p.close THEN 'backwardation'
            ELSE 'flat' END AS market_structure
    FROM futures_ohlcv f JOIN perpetuals_ohlcv p
        ON p.instrument = SUBSTRING(f.instrument FROM 1 FOR 3) || '-PERPETUAL'
        AND p.timestamp = f.timestamp"""


def main() -> None:
    """Run a step of ours where one is named, else print the parts asked for."""
    chosen, *rest = sys.argv[1:] or ["all"]
    if chosen in STEPS:
        print(json.dumps(STEPS[chosen](*rest)))
        return
    print(machine())
    start_s = time.monotonic()
    for name, part in (("speed", _speed), ("growth", _growth)):
        if chosen in (name, "all"):
            with tempfile.TemporaryDirectory() as folder:
                part(folder)
    print(f"{time.monotonic() - start_s:.0f} s in all")


def _speed(folder: str) -> None:
    _run("stage", folder, FUTURES)
    _say("full build", _run("full", folder))
    _say("build, nothing new", _run("again", folder))
    _say("join by DuckDB, files of the build", _run("duckdb", folder))
    _say("join by Polars, streamed", _run("polars", folder))
    _run("late", folder)
    _say(f"build, {LATE_MINUTES:,} new minutes of one", _run("again", folder))
    _say("full build, once more", _run("full", folder))
    viewed = _run("view", folder)
    _say(f"materialized view, {VIEW_FUTURES} futures", viewed)
    _say("the same, refreshed", viewed, viewed.told["refresh_s"])
    whole = FUTURES * LIFE_MINUTES / viewed.told["rows"]
    _say(f"the same, by rows for {FUTURES}", viewed, viewed.told["seconds"] * whole)


def _growth(folder: str) -> None:
    for futures in GROWTH:
        _run("stage", folder, futures)
        done = _run("full", folder)
        per_candle = f"{done.told['seconds'] / done.told['candles'] * 1e6:.2f} us a candle"
        _say(f"full build, {futures} futures", done, note=per_candle)


@dataclass(frozen=True, slots=True)
class Finished:
    """A step's process: what it told, seconds from start to end and of processor time, the share of
    the machine that other programs took meanwhile, and its peak memory.
    """

    told: dict[str, Any]
    seconds: float
    cpu_s: float
    others: float
    peak_mb: float


def _run(step: str, folder: str, *arguments: object) -> Finished:
    command = [sys.executable, "-m", "benchmarks.build", step, folder, *map(str, arguments)]
    with tempfile.TemporaryFile() as out:
        start_s, busy_s = time.monotonic(), _busy_s()
        process = subprocess.Popen(command, stdout=out)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.monotonic() - start_s
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            raise SystemExit(f"The step {step} failed.")
        cpu_s = usage.ru_utime + usage.ru_stime
        others = (_busy_s() - busy_s - cpu_s) / seconds / (os.cpu_count() or 1)
        out.seek(0)
        return Finished(json.load(out), seconds, cpu_s, max(0.0, others), usage.ru_maxrss / 1024)


def _busy_s() -> float:
    """Seconds of processor time that all programs have taken; Linux only."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
    # Without idle and iowait.
    return (sum(fields[:3]) + sum(fields[5:7])) / os.sysconf("SC_CLK_TCK")


def _say(what: str, done: Finished, seconds: float | None = None, note: str = "") -> None:
    """Print seconds of the work, of its process, its peak memory, and what it went through."""
    taken = done.told["seconds"] if seconds is None else seconds
    counts = {k: n for k, n in done.told.items() if k in ("candles", "rows", "made")}
    sizes = ", ".join(f"{n:,} {k}" for k, n in counts.items())
    print(
        f"{what:36} {taken:>7.2f} s of {done.seconds:>6.2f} s {done.cpu_s:>7.2f} cpu s "
        f"{done.peak_mb:>6,.0f} MiB {done.others:>4.0%} others   {sizes} {note}",
        flush=True,
    )


def _stage(folder: str, futures: str) -> dict[str, Any]:
    """Make a raw lake of two perpetuals and so many futures, or add to one what it lacks."""
    where = lake.open(folder)
    base = where.snapshot(RAW_CANDLES)
    held = set(base.by_partition())
    perpetuals = {coin: _perpetual(coin) for coin in COINS}
    with ThreadPoolExecutor() as pool:
        wholes = [coin for coin in COINS if f"{coin}-PERPETUAL" not in held]
        write = partial(where.write, RAW_CANDLES)
        jobs = [pool.submit(write, perpetuals[coin], f"{coin}-PERPETUAL") for coin in wholes]
        lacking = [n for n in range(int(futures)) if _name(n) not in held]
        jobs += [pool.submit(_write_future, where, perpetuals, n) for n in lacking]
        files = [job.result() for job in jobs]
    names = [file.partition or "" for file in files]
    where.commit(base, files, {"program": PROGRAM}, counting=names)
    _record(where, int(futures))
    return {}


def _write_future(where: Lake, perpetuals: dict[str, pl.DataFrame], number: int) -> DataFile:
    frame = _future(perpetuals, number)
    # The first one lacks its last minutes until the step `late`.
    kept = frame.head(LIFE_MINUTES - LATE_MINUTES) if number == 0 else frame
    return where.write(RAW_CANDLES, kept, _name(number))


def _late(folder: str) -> dict[str, Any]:
    """Append the minutes that the first future lacks."""
    where = lake.open(folder)
    frame = _future({coin: _perpetual(coin) for coin in COINS}, 0).tail(LATE_MINUTES)
    file = where.write(RAW_CANDLES, frame, _name(0))
    where.commit(where.snapshot(RAW_CANDLES), [file], {"program": PROGRAM}, counting=[_name(0)])
    return {}


def _record(where: Lake, futures: int) -> None:
    """Replace the tables `instruments` and `coverage`."""
    lives = {f"{coin}-PERPETUAL": (START, PERPETUAL_MINUTES) for coin in COINS}
    lives |= {_name(n): (_start(n), LIFE_MINUTES) for n in range(futures)}
    ends = {name: start + minutes * MINUTE for name, (start, minutes) in lives.items()}
    records = [
        {
            "instrument": name,
            "kind": "perpetual" if name.endswith("PERPETUAL") else "future",
            "base": name[:3],
            "quote": "USD",
            "settlement": name[:3],
            "contract_type": "inverse",
            "listed_at": start,
            "expires_at": None if name.endswith("PERPETUAL") else ends[name],
            "active": False,
        }
        for name, (start, _) in lives.items()
    ]
    instruments = pl.DataFrame(records, schema=INSTRUMENTS.polars_schema)
    asked = [
        (name, start, ends[name], minutes, "present") for name, (start, minutes) in lives.items()
    ]
    coverage = pl.DataFrame(asked, schema=COVERAGE.polars_schema, orient="row")
    for table, frame in ((INSTRUMENTS, instruments), (COVERAGE, coverage)):
        where.replace(where.snapshot(table), frame, {"program": PROGRAM})


def _name(number: int) -> str:
    return f"{list(COINS)[number % len(COINS)]}-{number:03}"


def _start(number: int) -> datetime:
    place = math.modf(number * _GOLDEN)[0]
    return START + int(place * (PERPETUAL_MINUTES - LIFE_MINUTES)) * MINUTE


def _drawn(rows: int, seed: int) -> pl.Series:
    """Whole numbers from -1000 to 1000."""
    return pl.int_range(-1000, 1001, eager=True).sample(rows, with_replacement=True, seed=seed)


def _perpetual(coin: str) -> pl.DataFrame:
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
    return _candles(frame, f"{coin}-PERPETUAL", START, tick)


def _future(perpetuals: dict[str, pl.DataFrame], number: int) -> pl.DataFrame:
    """The perpetual with a premium that wears off, in the minutes that trade; else the last
    price.
    """
    name, start = _name(number), _start(number)
    beside = perpetuals[name[:3]].slice((start - START) // MINUTE, LIFE_MINUTES)
    left = 1 - pl.int_range(pl.len()) / LIFE_MINUTES
    noise = _drawn(LIFE_MINUTES, 100 + number)
    premium = (1 + left * (number % 9 - 2) / 100) * (1 + noise / 1e7)
    is_traded = (noise.abs() % MINUTES_A_TRADE == 0) | (pl.int_range(pl.len()) == 0)
    frame = beside.select(
        *(pl.when(is_traded).then(pl.col(price) * premium).alias(price) for price in _PRICES),
        volume=pl.when(is_traded).then((noise.abs() + 1) * 10 / pl.col("close")).otherwise(0.0),
    )
    stale = pl.col("close").forward_fill()
    filled = frame.with_columns(pl.col(price).fill_null(stale) for price in _PRICES)
    return _candles(filled, name, start, COINS[name[:3]][1])


def _candles(frame: pl.DataFrame, name: str, start: datetime, tick: float) -> pl.DataFrame:
    """Rows of `raw_candles`, prices in ticks, with a few that are wrong."""
    row = pl.int_range(pl.len())
    rounded = frame.with_columns((pl.col(price) / tick).round() * tick for price in _PRICES)
    high = pl.when(row % ROWS_A_SPIKE == ROWS_A_SPIKE - 1).then(1.05).otherwise(1.0)
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


def _build(folder: str, *, full: bool) -> dict[str, Any]:
    where = lake.open(folder)
    built = curate(where, full=full)
    told = {"seconds": built.seconds, "candles": where.snapshot(RAW_CANDLES).rows}
    return told | {"rows": built.basis_rows, "made": built.rebuilt}


def _duckdb(folder: str) -> dict[str, Any]:
    """No validation, no flags of its own, no digest, no order, one file, no commit."""
    target = Path(folder) / "duckdb.parquet"
    start_s = time.monotonic()
    with lake.open(folder).duckdb() as connection:
        connection.execute(f"COPY ({_JOIN_SQL}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return _written(target, time.monotonic() - start_s)


def _polars(folder: str) -> dict[str, Any]:
    """The same by Polars' streaming engine."""
    where, target = lake.open(folder), Path(folder) / "polars.parquet"
    start_s = time.monotonic()
    known = where.scan(INSTRUMENTS.name).select("instrument", "kind", "base", "expires_at")
    candles = where.scan(CANDLES.name).join(known, on="instrument")
    own = ["base", "ts", "close", "traded", "suspect"]
    futures = candles.filter(kind="future").select("instrument", "expires_at", *own)
    perpetuals = candles.filter(kind="perpetual").select(own)
    both = futures.join(perpetuals, on=["base", "ts"], suffix="_p")
    basis, left = pl.col("close") - pl.col("close_p"), pl.col("expires_at") - pl.col("ts")
    days = left.dt.total_microseconds() / timedelta(days=1).total_seconds() / 1e6
    percent = basis / pl.col("close_p") * 100
    sign = pl.when(basis > 0).then(pl.lit("contango")).when(basis < 0)
    both.select(
        *("instrument", "ts", "close", "close_p", "traded", "traded_p"),
        basis.alias("basis"),
        percent.alias("basis_pct"),
        days.alias("days_to_expiry"),
        pl.when(left > timedelta(hours=1)).then(percent * 365 / days).alias("annualised_pct"),
        sign.then(pl.lit("backwardation")).otherwise(pl.lit("flat")).alias("market_structure"),
        (pl.col("suspect") | pl.col("suspect_p")).alias("suspect"),
    ).sink_parquet(target, compression="zstd")
    return _written(target, time.monotonic() - start_s)


def _written(target: Path, seconds: float) -> dict[str, Any]:
    rows = pl.scan_parquet(target).select(pl.len()).collect().item()
    target.unlink()
    return {"seconds": seconds, "rows": rows}


def _view(folder: str) -> dict[str, Any]:
    """Load some futures and the whole perpetual, not timed, and make the view, timed."""
    names = ["BTC-PERPETUAL", *(_name(2 * n) for n in range(VIEW_FUTURES))]
    snapshot = lake.open(folder).snapshot(CANDLES)
    with embedded(Path(folder) / "postgres") as uri, Database(uri) as database:
        for table in (FUTURES_OHLCV, PERPETUALS_OHLCV):
            database.execute(create_table_sql(table, "public"))
        database.commit()
        for number, name in enumerate(names):
            rows = CANDLES.cast(snapshot.scan(name).collect())
            table = FUTURES_OHLCV if number else PERPETUALS_OHLCV
            expiry = (rows["ts"][-1] + MINUTE).date()
            frame = futures_frame(rows, expiry) if number else perpetuals_frame(rows)
            arrow = table.to_arrow(frame)
            database.ingest("public", table.name, [arrow], table.arrow_schema)
        database.commit()
        database.execute("ANALYZE")
        made_s = _timed(database, _VIEW_SQL)
        refresh_s = _timed(database, "REFRESH MATERIALIZED VIEW futures_basis")
        rows_made = database.query("SELECT count(*) FROM futures_basis")[0][0]
    return {"seconds": made_s, "refresh_s": refresh_s, "rows": rows_made}


def _timed(database: Database, sql: str) -> float:
    start_s = time.monotonic()
    database.execute(sql)
    database.commit()
    return time.monotonic() - start_s


STEPS: dict[str, Callable[..., dict[str, Any]]] = {
    "stage": _stage,
    "late": _late,
    "full": partial(_build, full=True),
    "again": partial(_build, full=False),
    "duckdb": _duckdb,
    "polars": _polars,
    "view": _view,
}

if __name__ == "__main__":
    main()
