"""The steps that `scale.py` times, each in a separate process; see there."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from basislake.status.status import lake_status
from benchmarks.build_lake import (
    COINS,
    ROWS_A_SPIKE,
    START,
    future,
    future_name,
    lives,
    perpetual,
    record,
)
from ingest.backfill.batch_commit import store
from ingest.backfill.committer import BATCH_ROWS
from ingest.backfill.outcome import Outcome
from ingest.datasets.candles import candles_of
from ingest.deribit.replies import Page
from ingest.plan.planner import Planner, plan_figures
from ingest.plan.selection import Selection
from lake import Lake
from lake import open as open_lake
from lake.history.fingerprint import fingerprint
from lake.tables import RAW_CANDLES, TABLES
from lake.time.intervals import MINUTE, Span
from lake.time.steps import MINUTES

LIFE_MINUTES = 20_000
# The last future of each size lacks its last minutes until the step `late`.
LATE_MINUTES = 1_000
_NOW = START + timedelta(days=3650)
_PAGES_A_BATCH = BATCH_ROWS // MINUTES.longest


def main() -> None:
    """Run one step on the lake in a folder, and print its result as JSON."""
    step, folder, futures = sys.argv[1:]
    print(json.dumps(STEPS[step](open_lake(folder), int(futures))))


def _commit(lake: Lake, futures: int) -> dict[str, Any]:
    """Commit missing candles in a backfill's batches; only the commits are timed."""
    held = set(lake.snapshot(RAW_CANDLES).by_partition())
    known = lives(futures, LIFE_MINUTES)
    record(lake, known)
    seconds, candles, commits = 0.0, 0, 0
    pages = _pages(known, held)
    while batch := list(islice(pages, _PAGES_A_BATCH)):
        start_s = time.monotonic()
        candles += store(lake, batch, PROGRAM).written["candles"].rows
        seconds += time.monotonic() - start_s
        commits += 1
    return {"seconds": seconds, "candles": candles, "commits": commits}


def _pages(known: dict[str, Any], held: set[str]) -> Iterator[Outcome]:
    """Answers of 5,000 candles, in the order of a backfill."""
    perpetuals = {coin: perpetual(coin, ROWS_A_SPIKE) for coin in COINS}
    for number, name in enumerate(known):
        if name in held:
            continue
        whole = perpetuals[name[:3]]
        if not name.endswith("PERPETUAL"):
            whole = _future(perpetuals, number - len(COINS))
            if number + 1 == len(known):
                whole = whole.head(LIFE_MINUTES - LATE_MINUTES)
        for frame in whole.drop("instrument").iter_slices(MINUTES.longest):
            yield _outcome(name, frame)


def _future(perpetuals: dict[str, pl.DataFrame], number: int) -> pl.DataFrame:
    return future(perpetuals, number, ROWS_A_SPIKE, LIFE_MINUTES)


def _outcome(name: str, frame: pl.DataFrame) -> Outcome:
    window = Span(frame["ts"][0], frame["ts"][-1] + MINUTE)
    return Outcome(candles_of(name), window, Page(frame, 0, window))


def _late(lake: Lake, futures: int) -> dict[str, Any]:
    """Commit the minutes that the last future lacks."""
    perpetuals = {coin: perpetual(coin, ROWS_A_SPIKE) for coin in COINS}
    number = futures - 1
    frame = _future(perpetuals, number).tail(LATE_MINUTES).drop("instrument")
    outcome = _outcome(future_name(number), frame)
    return _timed(lambda: {"candles": store(lake, [outcome], PROGRAM).written["candles"].rows})


def _timed(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    start_s = time.monotonic()
    printed = act()
    return {"seconds": time.monotonic() - start_s} | printed


def _plan(lake: Lake, _futures: int) -> dict[str, Any]:
    return _timed(lambda: plan_figures(Planner(lake, Selection(), _NOW).plans(), 0))


def _built(lake: Lake, *, full: bool) -> dict[str, Any]:
    done = build_in_engine(lake, full=full)
    return {"seconds": done.seconds, "made": done.rebuilt, "rows": done.basis_rows}


def _fingerprint(lake: Lake, _futures: int) -> dict[str, Any]:
    return _timed(lambda: {"digest": fingerprint(lake, 2).lake})


def _status(lake: Lake, _futures: int) -> dict[str, Any]:
    return _timed(lambda: {"tables": len(lake_status(lake)["tables"])})


def _open(lake: Lake, _futures: int) -> dict[str, Any]:
    """Open the lake in DuckDB, with a view per table, without a query."""
    start_s = time.monotonic()
    lake.duckdb().close()
    return {"seconds": time.monotonic() - start_s}


def _query(lake: Lake, _futures: int) -> dict[str, Any]:
    sql = "SELECT market_structure, count(*), avg(basis_pct) FROM basis GROUP BY ALL"
    return _timed(lambda: {"groups": lake.sql(sql).height})


def _size(lake: Lake, _futures: int) -> dict[str, Any]:
    """Sizes on disk: of data files of the newest versions, of logs, and of all files."""
    snapshots = lake.snapshots()
    files = [path for path in Path(lake.uri).rglob("*") if path.is_file()]
    tables = {name: [p for p in files if p.is_relative_to(f"{lake.uri}/{name}")] for name in TABLES}
    logs = [p for own in tables.values() for p in own if "_delta_log" in p.parts]
    return {
        "seconds": 0.0,
        "data_bytes": sum(f.bytes for s in snapshots.values() for f in s.files),
        "data_files": sum(len(s.files) for s in snapshots.values()),
        "raw_files": len(snapshots[RAW_CANDLES.name].files),
        "raw_bytes": sum(f.bytes for f in snapshots[RAW_CANDLES.name].files),
        "log_bytes": sum(p.stat().st_size for p in logs),
        "log_files": len(logs),
        "raw_log_bytes": sum(p.stat().st_size for p in logs if RAW_CANDLES.name in p.parts),
        "candles": snapshots[RAW_CANDLES.name].rows,
    }


STEPS: dict[str, Callable[[Lake, int], dict[str, Any]]] = {
    "commit": _commit,
    "late": _late,
    "plan": _plan,
    "build, all": lambda lake, _: _built(lake, full=True),
    "build": lambda lake, _: _built(lake, full=False),
    "fingerprint": _fingerprint,
    "status": _status,
    "open": _open,
    "query": _query,
    "size": _size,
}

if __name__ == "__main__":
    main()
