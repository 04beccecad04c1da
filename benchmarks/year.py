"""Simulates a year of following 16 instruments: what grows, and what stays bounded.

    python -m benchmarks.year [ROUNDS_A_DAY] [DAYS]

A day of the benchmark has as many rounds as asked for (240 by default, of 1,440), each a batch of
16 candles and a build; every fifteenth is followed by maintenance. The retention of the tables is
set to the time that a day takes here, so files and log entries expire as they would after a day.
After each day it prints files, bytes, log entries and the time to open every table; at the end, the
size after a year of 525,600 batches at the growth of the last day.
"""

import sys
import tempfile
import time
from datetime import UTC, datetime

import polars as pl

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from benchmarks.build_lake import COINS, TOLD, file_sizes, future_name, outcome, record
from benchmarks.rehearsal import machine
from ingest.backfill.batch_commit import store
from ingest.backfill.outcome import Outcome
from lake import Lake
from lake import open as open_lake
from lake.commit import set_properties
from lake.maintenance.maintain import maintain
from lake.tables import RAW, TABLES
from lake.time.intervals import MINUTE

NAMES = [*(f"{coin}-PERPETUAL" for coin in COINS), *map(future_name, range(14))]
ROUNDS_PER_MAINTENANCE = 15
BATCHES_A_YEAR = 525_600
START = datetime(2024, 1, 1, tzinfo=UTC)


def main() -> None:
    """Print the results of each day, and of the year."""
    rounds, days = (int(given) for given in [*sys.argv[1:], *("240", "4")[len(sys.argv) - 1 :]])
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        lake = open_lake(folder)
        record(lake, dict.fromkeys(NAMES, (START, BATCHES_A_YEAR)))
        sizes = []
        minute = 0
        for day in range(days):
            start_s = time.monotonic()
            for _ in range(rounds):
                store(lake, [_outcome(name, minute) for name in NAMES], PROGRAM)
                build_in_engine(lake)
                minute += 1
                if minute % ROUNDS_PER_MAINTENANCE == 0:
                    maintain(lake, PROGRAM)
            if not day:
                _keep(lake, time.monotonic() - start_s)
            sizes.append(_say(f"day {day + 1}", lake))
        parts = file_sizes(lake)
        for name in TABLES:
            print(f"  {name}: {len(parts[name]):,} files, {sum(parts[name]) / 1e6:,.2f} MB")
        grown = sizes[-1] - sizes[-2]
        raw = sum(sum(parts[table.name]) for table in RAW) / minute
        print(
            f"A year of {BATCHES_A_YEAR:,} batches: raw tables "
            f"{raw * BATCHES_A_YEAR / 1e6:,.0f} MB; the last day added {grown / rounds:,.0f} bytes "
            "a batch in all."
        )


def _keep(lake: Lake, seconds: float) -> None:
    """Set the retention to the duration of a day here."""
    kept = f"interval {max(1, round(seconds))} seconds"
    for table in TABLES.values():
        names = ("delta.deletedFileRetentionDuration", "delta.logRetentionDuration")
        set_properties(lake.snapshot(table), dict.fromkeys(names, kept), TOLD)


def _outcome(name: str, minute: int) -> Outcome:
    start = START + minute * MINUTE
    price = 30_000.0 + minute % 97 + len(name)
    cells = {cell: [price] for cell in ("open", "high", "low", "close")}
    ts = pl.Series("ts", [start], dtype=pl.Datetime("us", "UTC"))
    frame = pl.DataFrame({"ts": ts, **cells, "volume": [1.5], "cost": [price * 1.5]})
    return outcome(name, frame)


def _say(what: str, lake: Lake) -> int:
    """Print files and bytes of data and of logs, and the seconds to open all tables; return the
    bytes of data.
    """
    sizes = file_sizes(lake)
    logs = sizes.pop("logs")
    data = [size for own in sizes.values() for size in own]
    start_s = time.monotonic()
    lake.snapshots()
    seconds = time.monotonic() - start_s
    print(
        f"{what}: data {sum(data) / 1e6:,.1f} MB in {len(data):,} files; logs "
        f"{sum(logs) / 1e6:,.1f} MB in {len(logs):,} files; all tables opened in {seconds:.2f} s",
        flush=True,
    )
    return sum(data)


if __name__ == "__main__":
    main()
