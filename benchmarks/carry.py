"""Times the views of carry over the whole history of a market of the real one's size.

    python -m benchmarks.carry [FOLDER]

The lake is made of the simulated market of about 500 futures and two perpetuals, every minute of it
(`carry_lake`), in the folder, where it stays, or in one that goes away at the end; a folder that
has one already is used as it is. Each figure is the median of five: of a view without opening the
lake, which is a figure of its own, and of `basislake carry` from its start to its end. CPU seconds
are those of the process, on all cores. Results are kept in RESULTS.md.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from benchmarks.carry_lake import NOW, stage
from benchmarks.rehearsal import BASISLAKE, machine, measure
from lake import Lake
from lake import open as open_lake
from lake.query import duck
from lake.tables import CANDLES, INSTRUMENTS

T = TypeVar("T")

ROUNDS = 5
# A minute that ends with an hour, a while before the market's clock.
MOMENT = NOW.replace(hour=7, minute=59, second=0)
# What is asked for, and how long it may take.
QUERIES = (
    ("realised_carry", "FROM realised_carry", 3.0),
    ("carry_at", f"FROM carry_at('{MOMENT}')", 0.3),
    ("carry_daily", "FROM carry_daily", None),
)


class Times(NamedTuple):
    """What one round took."""

    wall_s: float
    cpu_s: float
    rows: int


def main() -> None:
    """Make the lake where it is absent, and print the times."""
    print(machine())
    if sys.argv[1:]:
        _measure(sys.argv[1])
        return
    with tempfile.TemporaryDirectory() as folder:
        _measure(folder)


def _measure(folder: str) -> None:
    lake = open_lake(folder)
    if lake.snapshot(INSTRUMENTS).version is None:
        start_s = time.monotonic()
        stage(folder)
        print(f"made in {time.monotonic() - start_s:.0f} s")
    candles = lake.snapshot(CANDLES)
    futures = lake.sql("SELECT count(*) FROM instruments WHERE kind = 'future'").item()
    print(f"{futures} futures, {candles.rows:,} candles in {len(candles.files):,} files")
    for name, query, goal_s in QUERIES:
        opened: list[Times] = []
        asked: list[Times] = []
        for _ in range(ROUNDS):
            of_opening, of_asking = _ask(lake, name, query)
            opened.append(of_opening)
            asked.append(of_asking)
        _say(f"{name}, opening the lake", opened)
        _say(name, asked, goal_s)
    _say("basislake carry", [_command(folder) for _ in range(ROUNDS)])


def _ask(lake: Lake, name: str, query: str) -> tuple[Times, Times]:
    """Open the lake again for one view, and ask it."""
    opening, connection = _timed(lambda: lake.state().duckdb([name]))
    try:
        asking, rows = _timed(lambda: duck.rows(connection, query))
    finally:
        connection.close()
    return opening, asking._replace(rows=rows.height)


def _timed(work: Callable[[], T]) -> tuple[Times, T]:
    wall_s, cpu_s = time.monotonic(), time.process_time()
    found = work()
    return Times(time.monotonic() - wall_s, time.process_time() - cpu_s, 0), found


def _command(folder: str) -> Times:
    """The command, as a process of its own."""
    at = f"{MOMENT:%Y-%m-%dT%H:%M}Z"
    done = measure([*BASISLAKE, "carry", "--json", "--lake", folder, "--at", at])
    return Times(done.seconds, done.cpu_s, len(done.printed["carry"]))


def _say(what: str, rounds: list[Times], goal_s: float | None = None) -> None:
    wall_s = statistics.median(each.wall_s for each in rounds)
    cpu_s = statistics.median(each.cpu_s for each in rounds)
    goal = f", goal {goal_s} s" if goal_s else ""
    rows = f", {rounds[-1].rows:,} rows" if rounds[-1].rows else ""
    load = os.getloadavg()[0]
    print(f"{what:32} {wall_s:7.3f} s {cpu_s:7.3f} cpu s{rows}{goal} (load {load:.1f})", flush=True)


if __name__ == "__main__":
    main()
