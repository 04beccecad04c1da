"""Measures the cost of following with seven years of history: rounds, builds, loads, maintenance,
disk.

    python -m benchmarks.follow [HOURS] [load]

A lake of 150 futures of 87,500 minutes and two perpetuals of 3.5 M, built; 14 of the futures are
still open. For some hours of the market (2 by default) each minute is committed as a round of
`follow` commits it, built, and with `load` loaded into an embedded PostgreSQL, which takes minutes
the first time; every fifteenth is followed by maintenance. Nothing is fetched, nothing waits, one
process.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from statistics import mean

import polars as pl

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from benchmarks.build_lake import LIFE_MINUTES, file_sizes, lives, outcome, record, stage
from benchmarks.rehearsal import machine
from ingest.backfill.batch_commit import store
from ingest.backfill.outcome import Outcome
from lake import Lake
from lake import open as open_lake
from lake.maintenance.maintain import maintain
from lake.tables import RAW_CANDLES
from lake.time.intervals import MINUTE
from load.embedded.server import embedded
from load.loader import load

FUTURES, OPEN = 150, 14
MINUTES_PER_MAINTENANCE = 15
_PRICES = ("open", "high", "low", "close")


def main() -> None:
    """Print the results of each hour."""
    hours = int(sys.argv[1]) if sys.argv[1:] else 2
    is_loaded = sys.argv[2:] == ["load"]
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        stage(folder, FUTURES, still_open=OPEN)
        lake = open_lake(folder)
        names = _opened(lake)
        built = build_in_engine(lake)
        print(f"{lake.snapshot(RAW_CANDLES).rows:,} raw candles, built in {built.seconds:.1f} s")
        _say_size(lake)
        with embedded(Path(folder) / "pg") if is_loaded else nullcontext() as uri:
            if uri:
                print(f"first load {_timed(lambda: load(lake, uri)):.0f} s", flush=True)
            for hour in range(hours):
                _hour(lake, names, hour, uri)


def _opened(lake: Lake) -> list[str]:
    """Extend the lives of open futures and of the perpetuals; return their names."""
    known = lives(FUTURES, still_open=OPEN)
    newest = max(start + minutes * MINUTE for start, minutes in known.values())
    last = [n for n, (start, minutes) in known.items() if start + minutes * MINUTE == newest]
    longer = {n: (s, m + LIFE_MINUTES if n in last else m) for n, (s, m) in known.items()}
    record(lake, longer)
    return last


def _hour(lake: Lake, names: list[str], hour: int, uri: str | None) -> None:
    """Sixty rounds, with their builds, loads and maintenance."""
    rounds, builds, loads, written, maintenances = [], [], [], [], []
    newest = {name: _last(lake, name) for name in names}
    for minute in range(60):
        outcomes = [_outcome(name, newest[name], hour * 60 + minute) for name in names]
        rounds.append(_timed(partial(store, lake, outcomes, PROGRAM)))
        before = _bytes(lake)
        builds.append(_timed(lambda: build_in_engine(lake)))
        written.append(_bytes(lake) - before)
        if uri:
            loads.append(_timed(lambda: load(lake, uri)))
        if (minute + 1) % MINUTES_PER_MAINTENANCE == 0:
            maintenances.append(_timed(lambda: maintain(lake, PROGRAM)))
    print(
        f"hour {hour + 1}: a round {_shown(rounds)}, a build {_shown(builds)} and "
        f"{mean(written) / 1e6:.2f} MB ({max(written) / 1e6:.2f} at most), "
        f"{f'a load {_shown(loads)}, ' if loads else ''}maintenance {_shown(maintenances)}; "
        f"{len(names)} instruments"
    )
    _say_size(lake)


def _shown(seconds: list[float]) -> str:
    return f"{mean(seconds):.2f} s ({min(seconds):.2f} to {max(seconds):.2f})"


def _last(lake: Lake, name: str) -> pl.DataFrame:
    raw = lake.snapshot(RAW_CANDLES)
    return raw.rows_of(raw.of(name)).sort("ts").tail(1).drop("instrument", "batch")


def _outcome(name: str, last: pl.DataFrame, minute: int) -> Outcome:
    """The candle of the next minute, at other prices."""
    factor = 1 + (minute % 7) / 1e4
    ts = pl.col("ts") + (minute % 60 + 1) * MINUTE
    return outcome(name, last.with_columns(ts, *(pl.col(price) * factor for price in _PRICES)))


def _timed(act: Callable[[], object]) -> float:
    start_s = time.monotonic()
    act()
    return time.monotonic() - start_s


def _bytes(lake: Lake) -> int:
    return sum(map(sum, file_sizes(lake).values()))


def _say_size(lake: Lake) -> None:
    parts = {name: sizes for name, sizes in file_sizes(lake).items() if sizes}
    shown = (f"{name} {sum(s) / 1e6:,.1f} MB in {len(s):,} files" for name, s in parts.items())
    print(f"  {'; '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
