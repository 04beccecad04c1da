"""Queries over a lake in an object store that end early, or are interrupted."""

import os
import signal
import sys
from pathlib import Path

import polars as pl
import pytest

from lake import Lake
from lake.query import duck
from tests.lakes import append, append_to
from tests.object_store import ObjectStore, Proxy
from tests.processes import finished
from tests.strategies import candles


@pytest.mark.slow
@pytest.mark.parametrize(
    "lines",
    [
        "store.sql('FROM raw_candles LIMIT 1')",
        "c = store.duckdb(); c.execute('FROM raw_candles'); c.fetchone()",
        "c = store.duckdb(); d = c.cursor(); d.execute('FROM raw_candles'); d.fetchone()",
        "d = store.duckdb().cursor(); d.execute('FROM raw_candles'); d.fetchone()",
        "d = store.duckdb().cursor(); d.execute('BEGIN; FROM raw_candles'); d.fetchone()",
    ],
    ids=["has-enough", "is-not-fetched", "by-a-cursor", "by-a-cursor-alone", "in-a-transaction"],
)
def test_a_query_that_reads_less_than_it_could_ends_its_process_in_peace(
    lines: str, remote: Lake, object_store: ObjectStore, tmp_path: Path
) -> None:
    """Threads read ahead, and called an interpreter that had ended."""
    frame = candles(60)
    many = pl.concat(
        frame.with_columns(pl.col("ts").dt.offset_by(f"{hour}h")) for hour in range(2_000)
    )
    append(remote, {f"A{number}": [many] for number in range(12)})
    program = f"import lake; store = lake.open({remote.uri!r}); {lines}"
    for _ in range(5):
        done = finished(sys.executable, "-c", program, env=object_store.environment(tmp_path))
        assert done.code == 0, done.err


@pytest.mark.slow
@pytest.mark.parametrize("times", [1, 3])
def test_ctrl_c_while_duckdb_opens_a_file_is_not_taken_for_an_unreadable_file(
    times: int, remote: Lake, near: Lake, proxy: Proxy
) -> None:
    append_to(remote, "A", candles(2))
    snapshots, left = near.snapshots(), iter(range(times))

    def interrupt(_number: int, _frame: object) -> None:
        if next(left, None) is not None:
            os.kill(os.getpid(), signal.SIGINT)

    proxy.set(delay_s=0.5)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.25, 0.05)
        with pytest.raises(KeyboardInterrupt):
            duck.connect(lambda _names: snapshots)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
