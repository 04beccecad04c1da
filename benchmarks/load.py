"""Measures the load on this machine, into an embedded PostgreSQL.

    python -m benchmarks.load [speed | growth | all]... [--folder FOLDER] [--futures N...]

- speed: rows a second of a first load, next to COPY of the same rows from binary files on the
  server, to psycopg's executemany with upserts, and to dlt; bytes a row
- growth: first loads of up to 45 M candles and 38 M rows of basis, then one with nothing new, one
  with 1,000 new minutes of one future, and a comparison of every cell

The lakes are synthetic, and built first; with a folder they are kept, and used again. Results are
kept in RESULTS.md.
"""

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rehearsal import BASISLAKE, HERE, environment, machine, run, staged, step
from lake import open as open_lake
from lake.table import Table
from load.ddl import add_key_sql, create_table_sql
from load.embedded.server import embedded
from load.postgres import Database
from load.source import partitions
from load.tables import FUTURES_BASIS_SPREAD, FUTURES_OHLCV, PERPETUALS_OHLCV
from load.write import index_sqls

OTHERS = (
    "psycopg[binary]==3.3.9",
    "dlt[postgres,parquet]==1.31.0",
    "adbc-driver-manager==1.13.0",
    "adbc-driver-postgresql==1.13.0",
)
TABLES = (FUTURES_OHLCV, FUTURES_BASIS_SPREAD, PERPETUALS_OHLCV)
ROUNDS = 3
SPEED_FUTURES = 40
# The number of futures that dlt loads, and the smaller one for psycopg, which takes minutes for
# all.
DLT_FUTURES, UPSERT_FUTURES = 20, 3
GROWTH_FUTURES = (50, 150, 434)


def main() -> None:
    """Run the chosen parts, each on lakes and a server of its own."""
    parts = {"speed": speed, "growth": growth, "stage": stage}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("parts", nargs="*", choices=[*parts, "all"], default="all")
    parser.add_argument("--folder", type=Path, help="of the lakes, which are kept")
    parser.add_argument("--futures", type=int, nargs="+", default=GROWTH_FUTURES, help="to grow to")
    chosen = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        for name in ("speed", "growth") if "all" in chosen.parts else chosen.parts:
            parts[name](chosen.folder or Path(scratch), chosen.futures)


def stage(folder: Path, sizes: Sequence[int]) -> None:
    """Create all lakes, so that later runs only measure."""
    for futures in (SPEED_FUTURES, *sizes):
        staged(folder, futures)


def speed(folder: Path, _sizes_of_growth: Sequence[int]) -> None:
    """Time the first load and the alternatives in turns."""
    lake = staged(folder, SPEED_FUTURES)
    python = environment(folder / "others", *OTHERS)
    rates: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as scratch, embedded(Path(scratch) / "pg") as uri:
        _load(lake, uri)
        sources = _copied_out(uri)
        for _ in range(ROUNDS):
            printed = _load(lake, uri)
            _note(rates, "load, verified", printed["rows_loaded"], printed["seconds"])
            for what, copy in COPIES.items():
                rows, seconds = copy(uri, sources)
                _note(rates, what, rows, seconds)
            for name, futures in (("dlt", DLT_FUTURES), ("upsert", UPSERT_FUTURES)):
                if python:
                    printed = _other(python, name, uri, lake, futures)
                    _note(rates, name, printed["rows"], printed["seconds"])
        _sizes(uri)
    ours = median(rates["load, verified"])
    for what, found in rates.items():
        ratio = f"ours / this {ours / median(found):.2f}"
        print(f"{what:44} median {median(found):>10,.0f} rows/s   {ratio}", flush=True)


def growth(folder: Path, sizes: Sequence[int]) -> None:
    """Load more and more, and again with little or nothing new."""
    for futures in sizes:
        lake = staged(folder, futures)
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(shutil.copytree(lake, Path(scratch) / "lake"))
            with embedded(Path(scratch) / "pg") as uri:
                print(f"\n{futures} futures of 87,500 minutes, 2 perpetuals of 3.5 M", flush=True)
                _say("first load", _load(copy, uri))
                _sizes(uri)
                _say("nothing new", _load(copy, uri, fresh=False))
                step("build", "late", copy)
                step("build", "again", copy)
                _say("1,000 new minutes", _load(copy, uri, fresh=False))
                _say("every cell compared", _load(copy, uri, "--verify", fresh=False))


def _load(lake: Path, uri: str, *more: str, fresh: bool = True) -> dict[str, Any]:
    """Load by the command line; into a new schema, or the existing one."""
    if fresh:
        _execute(uri, "DROP SCHEMA IF EXISTS ours CASCADE", "CHECKPOINT")
    options = ("--lake", str(lake), "--postgres", uri, "--schema", "ours", "--json", *more)
    printed, usage = run((*BASISLAKE, "load", *options))
    return {**printed, "peak_mb": usage.ru_maxrss / 1e3}


def _copied_out(uri: str) -> dict[str, str]:
    """Write each table to a binary file on the server; return the files by table."""
    files = {}
    with Database(uri) as database:
        folder = database.query("SELECT current_setting('data_directory')")[0][0]
        for table in TABLES:
            files[table.name] = f"{folder}/{table.name}.copy"
            sql = f"COPY ours.{table.name} TO '{files[table.name]}' (FORMAT binary)"
            database.execute(sql)
    return files


def _copy(
    uri: str, sources: dict[str, str], *, keys_first: bool, backends: int
) -> tuple[int, float]:
    """Load the files into tables with our keys and indexes, over several connections at once."""
    _execute(uri, "DROP SCHEMA IF EXISTS copied CASCADE", "CREATE SCHEMA copied")
    if keys_first:
        for table in TABLES:
            _execute(uri, create_table_sql(table, "copied"), *index_sqls(table, "copied"))
    _execute(uri, "CHECKPOINT")

    def fill_one(table: Table) -> int:
        with Database(uri) as database:
            if not keys_first:
                database.execute(create_table_sql(table, "copied", keyed=False))
            database.execute(
                f"COPY copied.{table.name} FROM '{sources[table.name]}' (FORMAT binary)"
            )
            if not keys_first:
                for sql in (add_key_sql(table, "copied"), *index_sqls(table, "copied")):
                    database.execute(sql)
            database.commit()
            return int(database.query(f"SELECT count(*) FROM copied.{table.name}")[0][0])

    start_s = time.monotonic()
    with ThreadPoolExecutor(backends) as pool:
        rows = sum(pool.map(fill_one, TABLES))
    return rows, time.monotonic() - start_s


COPIES: dict[str, Callable[[str, dict[str, str]], tuple[int, float]]] = {
    "COPY on the server, keys there": partial(_copy, keys_first=True, backends=1),
    "the same, two backends": partial(_copy, keys_first=True, backends=2),
    "COPY on the server, keys after": partial(_copy, keys_first=False, backends=1),
    "COPY, keys after, two backends": partial(_copy, keys_first=False, backends=2),
}


def _other(python: Path, name: str, uri: str, lake: Path, futures: int) -> dict[str, Any]:
    """Run psycopg or dlt in a process of its own, on the rows of some futures."""
    _execute(uri, "DROP SCHEMA IF EXISTS upserted CASCADE", "DROP SCHEMA IF EXISTS dlt CASCADE")
    _execute(uri, "DROP SCHEMA IF EXISTS dlt_staging CASCADE", "CREATE SCHEMA upserted")
    _execute(uri, create_table_sql(FUTURES_OHLCV, "upserted"), "CHECKPOINT")
    with tempfile.TemporaryDirectory() as scratch:
        wanted = [p for p in partitions(open_lake(str(lake))) if p.feed.table is FUTURES_OHLCV]
        for partition in wanted[:futures]:
            frame = partition.frame(partition.read())
            frame.write_parquet(Path(scratch) / f"{partition.name}.parquet")
        printed, _ = run((python, HERE / "load_others.py", name, uri, scratch))
    return printed


def _sizes(uri: str) -> None:
    for table in TABLES:
        sql = (
            f"SELECT count(*), pg_table_size('ours.{table.name}'), "
            f"pg_total_relation_size('ours.{table.name}') FROM ours.{table.name}"
        )
        with Database(uri) as database:
            rows, heap, whole = database.query(sql)[0]
        print(
            f"{table.name:24} {rows:>12,} rows {whole / 1e9:>7.2f} GB, bytes a row "
            f"{whole / rows:.1f}: {heap / rows:.1f} in the table, {(whole - heap) / rows:.1f} "
            "in keys",
            flush=True,
        )


def _execute(uri: str, *statements: str) -> None:
    with Database(uri) as database:
        for sql in statements:
            database.execute(sql)
        database.commit()


def _note(rates: dict[str, list[float]], what: str, rows: int, seconds: float) -> None:
    rates.setdefault(what, []).append(rows / seconds)
    print(f"{what:44} {rows:>11,} rows {seconds:>7.2f} s {rows / seconds:>10,.0f}/s", flush=True)


def _say(what: str, printed: dict[str, Any]) -> None:
    rows = printed.get("rows_loaded", printed.get("rows", 0))
    seconds, peak_mb = printed["seconds"], printed["peak_mb"]
    print(
        f"{what:24} {rows:>12,} rows {seconds:>7.2f} s {rows / seconds:>10,.0f}/s "
        f"{peak_mb:>6,.0f} MB",
        flush=True,
    )


if __name__ == "__main__":
    main()
