"""Measures what following costs beside seven years of history: rounds, builds, upkeep, the disk.

    python -m benchmarks.follow [HOURS]

A lake of 150 futures of 87,500 minutes and two perpetuals of 3.5 M, built; 14 of the futures are
still open. For some hours of the market (2 by default) each minute is committed as a round of
`follow` commits it, every tenth is built, every sixtieth is followed by upkeep, which gives up what
was replaced more than an hour of the market before. Nothing is fetched, nothing waits, one process.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import mean

import polars as pl

import lake
from basislake import PROGRAM
from basislake.curate import curate
from benchmarks.build_lake import LIFE_MINUTES, lives, record, stage
from benchmarks.rehearsal import machine
from ingest.batches import Outcome, store
from ingest.replies import Page
from lake import Lake
from lake.compaction import compact
from lake.retention import LEAST_KEPT, give_up
from lake.spans import MINUTE, Span
from lake.tables import COVERAGE, CURATED, RAW_CANDLES, TABLES
from lake.upkeep import checkpoint

FUTURES, OPEN = 150, 14
MINUTES_A_BUILD, MINUTES_AN_UPKEEP = 10, 60
_SHOWN = (RAW_CANDLES, COVERAGE)
_PRICES = ("open", "high", "low", "close")


def main() -> None:
    """Print what each hour came to."""
    hours = int(sys.argv[1]) if sys.argv[1:] else 2
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        stage(folder, FUTURES)
        where = lake.open(folder)
        names = _opened(where)
        built = curate(where)
        print(f"{where.snapshot(RAW_CANDLES).rows:,} raw candles, built in {built.seconds:.1f} s")
        _say_size(where)
        begun: list[datetime] = []
        for hour in range(hours):
            begun.append(datetime.now(UTC))
            _hour(where, names, hour)
            _upkeep(where, begun)


def _opened(where: Lake) -> list[str]:
    """Give the futures that end last, and the perpetuals, a longer life; return their names."""
    known = lives(FUTURES)
    last = sorted(known, key=lambda name: known[name][0] + known[name][1] * MINUTE)[-OPEN - 2 :]
    longer = {n: (s, m + LIFE_MINUTES if n in last else m) for n, (s, m) in known.items()}
    record(where, longer)
    return last


def _hour(where: Lake, names: list[str], hour: int) -> None:
    """Sixty rounds, with their builds."""
    rounds, builds, written = [], [], []
    newest = {name: _last(where, name) for name in names}
    for minute in range(60):
        outcomes = [_outcome(name, newest[name], hour * 60 + minute) for name in names]
        rounds.append(_timed(partial(store, where, outcomes, PROGRAM)))
        if (minute + 1) % MINUTES_A_BUILD == 0:
            before = _bytes(where, curated=True)
            builds.append(_timed(lambda: curate(where)))
            written.append(_bytes(where, curated=True) - before)
    print(
        f"hour {hour + 1}: a round {mean(rounds):.2f} s ({min(rounds):.2f} to {max(rounds):.2f}), "
        f"a build {mean(builds):.1f} s, {mean(written) / 1e6:.0f} MB; {len(names)} instruments"
    )
    _say_size(where)


def _upkeep(where: Lake, begun: list[datetime]) -> None:
    compacted_s = _timed(lambda: compact(where, RAW_CANDLES, PROGRAM))
    checkpoint_s = _timed(lambda: checkpoint(where))
    # What was replaced before this hour of the market began.
    now = begun[-1] + LEAST_KEPT
    start_s = time.monotonic()
    done = give_up(where, LEAST_KEPT, PROGRAM, now=lambda: now)
    print(
        f"upkeep: compaction {compacted_s:.1f} s, checkpoints {checkpoint_s:.1f} s, giving up "
        f"{time.monotonic() - start_s:.1f} s, {done.versions} versions, {done.bytes / 1e6:.0f} MB"
    )
    _say_size(where)


def _last(where: Lake, name: str) -> pl.DataFrame:
    return where.snapshot(RAW_CANDLES).scan(name).sort("ts").last().collect().drop("instrument")


def _outcome(name: str, last: pl.DataFrame, minute: int) -> Outcome:
    """The candle of the next minute, at other prices."""
    factor = 1 + (minute % 7) / 1e4
    ts = pl.col("ts") + (minute % 60 + 1) * MINUTE
    frame = last.with_columns(ts, *(pl.col(price) * factor for price in _PRICES))
    start = frame["ts"][0]
    return Outcome(name, Span(start, start + MINUTE), Page(frame, 0, Span(start, start + MINUTE)))


def _timed(act: Callable[[], object]) -> float:
    start_s = time.monotonic()
    act()
    return time.monotonic() - start_s


def _files(where: Lake, *, curated: bool) -> Iterator[Path]:
    for table in CURATED if curated else TABLES.values():
        yield from (p for p in (Path(where.uri) / table.name).rglob("*") if p.is_file())


def _bytes(where: Lake, *, curated: bool) -> int:
    return sum(path.stat().st_size for path in _files(where, curated=curated))


def _say_size(where: Lake) -> None:
    """Bytes and files on disk: of curated tables, raw candles, coverage, and all logs."""
    files = list(_files(where, curated=False))
    logs = {path for path in files if "_delta_log" in path.parts}
    data = {t.name: [p for p in files if t.name in p.parts and p not in logs] for t in _SHOWN}
    curated = [p for p in _files(where, curated=True) if p not in logs]
    parts = {"curated tables": curated, **data, "logs": list(logs)}
    told = (
        f"{name} {sum(p.stat().st_size for p in paths) / 1e6:,.1f} MB in {len(paths):,} files"
        for name, paths in parts.items()
    )
    print(f"  {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
