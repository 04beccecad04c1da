"""The steps that `scale.py` times, each in a separate process; see there."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from basislake.status.status import lake_status
from benchmarks.build_lake import (
    COINS,
    LATE_MINUTES,
    ROWS_A_SPIKE,
    START,
    future,
    lacking,
    lives,
    outcome,
    perpetual,
    record,
)
from ingest.backfill.batch_commit import store
from ingest.backfill.committer import BATCH_ROWS
from ingest.backfill.outcome import Outcome
from ingest.plan.planner import Planner, plan_figures
from ingest.plan.selection import Selection
from lake import Lake
from lake import open as open_lake
from lake.history.fingerprint import fingerprint
from lake.tables import RAW_CANDLES, TABLES
from lake.time.steps import MINUTES

# The last future of each size lacks its last minutes until the step `late`.
LIFE_MINUTES = 20_000
_NOW = START + timedelta(days=3650)
_QUERY = "SELECT market_structure, count(*), avg(basis_pct) FROM basis GROUP BY ALL"
_PAGES_A_BATCH = BATCH_ROWS // MINUTES.longest


def main() -> None:
    """Run one step on the lake in a folder, and print its result as JSON: at least its seconds."""
    step, folder, futures = sys.argv[1:]
    lake, start_s = open_lake(folder), time.monotonic()
    printed = STEPS[step](lake, int(futures))
    print(json.dumps({"seconds": time.monotonic() - start_s} | printed))


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
            whole = future(perpetuals, number - len(COINS), ROWS_A_SPIKE, LIFE_MINUTES)
            if number + 1 == len(known):
                whole = whole.head(LIFE_MINUTES - LATE_MINUTES)
        for frame in whole.drop("instrument").iter_slices(MINUTES.longest):
            yield outcome(name, frame)


def _late(lake: Lake, futures: int) -> dict[str, Any]:
    """Commit the minutes that the last future lacks; only the commit is timed."""
    came = lacking(futures - 1, LIFE_MINUTES)
    start_s = time.monotonic()
    rows = store(lake, [came], PROGRAM).written["candles"].rows
    return {"seconds": time.monotonic() - start_s, "candles": rows}


def _built(lake: Lake, *, full: bool) -> dict[str, Any]:
    done = build_in_engine(lake, full=full)
    return {"seconds": done.seconds, "made": done.rebuilt, "rows": done.basis_rows}


def _open(lake: Lake, _futures: int) -> dict[str, Any]:
    """Open the lake in DuckDB, with a view per table, without a query."""
    lake.duckdb().close()
    return {}


def _size(lake: Lake, _futures: int) -> dict[str, Any]:
    """Sizes on disk: of data files of the newest versions, of logs, and of all files."""
    snapshots = lake.snapshots()
    files = [path for path in Path(lake.uri).rglob("*") if path.is_file()]
    tables = {name: [p for p in files if p.is_relative_to(f"{lake.uri}/{name}")] for name in TABLES}
    logs = [p for own in tables.values() for p in own if "_delta_log" in p.parts]
    return {
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
    "plan": lambda lake, _: plan_figures(Planner(lake, Selection(), _NOW).plans(), 0),
    "build, all": lambda lake, _: _built(lake, full=True),
    "build": lambda lake, _: _built(lake, full=False),
    "fingerprint": lambda lake, _: {"digest": fingerprint(lake, 2).lake},
    "status": lambda lake, _: {"tables": len(lake_status(lake)["tables"])},
    "open": _open,
    "query": lambda lake, _: {"groups": lake.sql(_QUERY).height},
    "size": _size,
}

if __name__ == "__main__":
    main()
