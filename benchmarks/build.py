"""Times the build on synthetic candles, compared with a plain SQL join and a materialized view.

    python -m benchmarks.build [speed|growth|all]

`speed`: a full build of 151 futures and two perpetuals, one with nothing new, one after one future
changed; the same join by DuckDB and by Polars, of the candles the build made; the guide's way, a
materialized view in PostgreSQL. `growth`: full builds of 10, 100 and 500 futures, without a spike
and with as many as in `speed`, each of which is held against all its contemporaries.

Each step is a process of its own. Nothing is fetched; the lakes go away at the end. Results are
kept in RESULTS.md.
"""

import json
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from basislake.pipeline.build import build_in_engine
from benchmarks.build_lake import (
    LATE_MINUTES,
    LIFE_MINUTES,
    NEVER,
    ROWS_A_SPIKE,
    future_name,
    late,
    stage,
)
from benchmarks.rehearsal import Finished, machine, step
from lake import open as open_lake
from lake.tables import CANDLES, INSTRUMENTS, RAW_CANDLES
from lake.time.intervals import MINUTE
from load.ddl import create_table_sql
from load.embedded.server import embedded
from load.postgres import Database
from load.tables import FUTURES_OHLCV, PERPETUALS_OHLCV, futures_frame, perpetuals_frame

FUTURES = 151
GROWTH = (10, 100, 500)
# Of one coin, in the materialized view.
VIEW_FUTURES = 30

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
    """Run a step of ours if one is named, else print the selected parts."""
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
    run = partial(step, "build")
    run("stage", folder, FUTURES)
    _say("full build", run("full", folder))
    _say("build, nothing new", run("again", folder))
    _say("join by DuckDB, files of the build", run("duckdb", folder))
    _say("join by Polars, streamed", run("polars", folder))
    run("late", folder)
    _say(f"build, {LATE_MINUTES:,} new minutes of one", run("again", folder))
    _say("full build, once more", run("full", folder))
    viewed = run("view", folder)
    _say(f"materialized view, {VIEW_FUTURES} futures", viewed)
    _say("the same, refreshed", viewed, viewed.printed["refresh_s"])
    whole = FUTURES * LIFE_MINUTES / viewed.printed["rows"]
    _say(f"the same, by rows for {FUTURES}", viewed, viewed.printed["seconds"] * whole)


def _growth(folder: str) -> None:
    for what, rows_a_spike in (("none a spike", NEVER), ("as in `speed`", ROWS_A_SPIKE)):
        seconds, candles = 0.0, 0
        for futures in GROWTH:
            lake = f"{folder}/{rows_a_spike}"
            step("build", "stage", lake, futures, rows_a_spike)
            done = step("build", "full", lake)
            more_s, more = done.printed["seconds"] - seconds, done.printed["candles"] - candles
            seconds, candles = done.printed["seconds"], done.printed["candles"]
            note = f"{more_s / more * 1e6:.2f} us for each more"
            _say(f"full build, {futures} futures, {what}", done, note=note)


def _say(what: str, done: Finished, seconds: float | None = None, note: str = "") -> None:
    """Print seconds of the work, of its process, its peak memory, and the amount of data."""
    taken = done.printed["seconds"] if seconds is None else seconds
    counts = {k: n for k, n in done.printed.items() if k in ("candles", "rows", "made")}
    sizes = ", ".join(f"{n:,} {k}" for k, n in counts.items())
    print(
        f"{what:42} {taken:>7.2f} s of {done.seconds:>6.2f} s {done.cpu_s:>7.2f} cpu s "
        f"{done.peak_mb:>6,.0f} MB {done.others:>4.0%} others   {sizes} {note}",
        flush=True,
    )


def _stage(folder: str, futures: str, rows_a_spike: str = str(ROWS_A_SPIKE)) -> dict[str, Any]:
    stage(folder, int(futures), int(rows_a_spike))
    return {}


def _late(folder: str) -> dict[str, Any]:
    late(folder)
    return {}


def _build(folder: str, *, full: bool) -> dict[str, Any]:
    lake = open_lake(folder)
    built = build_in_engine(lake, full=full)
    printed = {"seconds": built.seconds, "candles": lake.snapshot(RAW_CANDLES).rows}
    return printed | {"rows": built.basis_rows, "made": built.rebuilt}


def _duckdb(folder: str) -> dict[str, Any]:
    """No validation, no flags, no digest, no order, one file, no commit."""
    target = Path(folder) / "duckdb.parquet"
    start_s = time.monotonic()
    with open_lake(folder).duckdb() as connection:
        connection.execute(f"COPY ({_JOIN_SQL}) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")
    return _written(target, time.monotonic() - start_s)


def _polars(folder: str) -> dict[str, Any]:
    """The same by Polars' streaming engine."""
    lake, target = open_lake(folder), Path(folder) / "polars.parquet"
    start_s = time.monotonic()
    known = lake.scan(INSTRUMENTS.name).select("instrument", "kind", "base", "expires_at")
    candles = lake.scan(CANDLES.name).join(known, on="instrument")
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
    rows = (
        pl.scan_parquet(target, glob=False, hive_partitioning=False)
        .select(pl.len())
        .collect()
        .item()
    )
    target.unlink()
    return {"seconds": seconds, "rows": rows}


def _view(folder: str) -> dict[str, Any]:
    """Load some futures and the whole perpetual, not timed, and create the view, timed."""
    names = ["BTC-PERPETUAL", *(future_name(2 * n) for n in range(VIEW_FUTURES))]
    snapshot = open_lake(folder).snapshot(CANDLES)
    with embedded(Path(folder) / "postgres") as uri, Database(uri) as database:
        for table in (FUTURES_OHLCV, PERPETUALS_OHLCV):
            database.execute(create_table_sql(table, "public"))
        database.commit()
        for number, name in enumerate(names):
            rows = CANDLES.cast(snapshot.rows_of(snapshot.of(name)))
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
