"""Two writers of one lake whose batches cross, wherever one of them is held between two commits."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from ingest.backfill.batch_commit import store
from ingest.backfill.outcome import Outcome
from ingest.datasets import DATASETS
from ingest.deribit.replies import Page
from lake import Lake
from lake import open as open_lake
from lake.batches import batch_at
from lake.carry_tables import FUNDING, RAW_CARRY, RAW_DELIVERIES, RAW_FUNDING
from lake.coverage import Subject
from lake.history.as_of import past
from lake.snapshot import Snapshot
from lake.table import BATCH, Table
from lake.tables import ASKS, COVERAGE, RAW_CANDLES
from lake.time.intervals import Span
from tests.carrying import DAY, HOUR, PERPETUAL, SINCE, deliveries, funding, settlement
from tests.lakes import Row, instrument, record, schema_of
from tests.market import NOW
from tests.staged import Content, built, is_same
from tests.strategies import candles, span

FUTURE = "BTC-31JAN20"
MORNING = SINCE.replace(hour=8)


class Held(Lake):
    """A lake whose writer waits before it commits to one table for the first time."""

    def __init__(self, lake: Lake, before: Table) -> None:
        super().__init__(lake.uri)
        self._before = before
        self.is_waiting, self.goes_on = threading.Event(), threading.Event()

    def commit(self, base: Snapshot, *args: Any, **kwargs: Any) -> Snapshot:  # noqa: ANN401
        self._wait(base.table)
        return super().commit(base, *args, **kwargs)

    def replace(self, base: Snapshot, *args: Any, **kwargs: Any) -> Snapshot:  # noqa: ANN401
        self._wait(base.table)
        return super().replace(base, *args, **kwargs)

    def _wait(self, table: Table) -> None:
        if table is self._before and not self.is_waiting.is_set():
            self.is_waiting.set()
            self.goes_on.wait()


def outcome(dataset: str, name: str, rows: list[Row], window: Span) -> Outcome:
    """An answer that has a row for each step of the window."""
    table = DATASETS[dataset].table
    schema = {n: t for n, t in schema_of(table).items() if n != table.key[0]}
    kept = [{n: row[n] for n in schema} for row in rows]
    page = Page(pl.DataFrame(kept, schema, orient="row"), 0, window, (window,))
    return Outcome(Subject(dataset, name), window, page)


HOURS, DAYS = Span(SINCE - HOUR, SINCE + 4 * HOUR), Span(MORNING - DAY, MORNING + DAY)
# What the slow writer brings, and what the fast one may.
SLOW = [
    outcome("funding", PERPETUAL, funding(hours=5), HOURS),
    outcome("deliveries", "btc_usd", deliveries("btc_usd", SINCE, 2), DAYS),
]
SETTLED = [settlement(FUTURE, SINCE + day * DAY, 1.0) for day in range(2)]
MINUTES = span(0, 3)
FAST = {
    "candles": [
        Outcome(Subject("candles", FUTURE), MINUTES, Page(candles(3), 0, MINUTES, (MINUTES,)))
    ],
    "other carry data": [outcome("settlements", FUTURE, SETTLED, DAYS)],
    "the same data": [
        outcome("funding", PERPETUAL, funding(hours=5), HOURS),
        outcome("deliveries", "eth_usd", deliveries("eth_usd", SINCE, 2), DAYS),
    ],
}  # fmt: skip


def raw(lake: Lake, batch: int) -> Content:
    """What was fetched, as of a batch."""
    still = past(lake, batch)
    tables = (RAW_CANDLES, *RAW_CARRY, ASKS, COVERAGE)
    return {table.name: still.read(table).sort(table.key) for table in tables}


QUICK = [("candles", RAW_DELIVERIES), ("the same data", RAW_FUNDING)]
TABLES = (RAW_CANDLES, RAW_FUNDING, RAW_DELIVERIES, ASKS, COVERAGE)
CASES = [
    pytest.param(FAST[name], table, marks=[] if (name, table) in QUICK else pytest.mark.slow)
    for name in FAST
    for table in TABLES
]


@pytest.mark.parametrize(("fast", "before"), CASES)
def test_a_writer_that_is_overtaken_changes_nothing_that_was_known_and_loses_nothing(
    tmp_path: Path, fast: list[Outcome], before: Table
) -> None:
    lake = open_lake(str(tmp_path))
    record(lake, [instrument(PERPETUAL), instrument(FUTURE)])
    held = Held(lake, before)
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(store, held, SLOW, "slow")
        try:
            assert held.is_waiting.wait(60)
            store(lake, fast, "fast")
            known = batch_at(lake, NOW + timedelta(days=9_999))
            then = raw(lake, known)
        finally:
            held.goes_on.set()
        slow.result()
    assert is_same(raw(lake, known), then)
    built(lake)
    # Each row is stored once, and is present as of the batch by which it was asked for.
    expected = {(o.subject, o.window) for o in [*SLOW, *fast]}
    for table in (RAW_FUNDING, RAW_DELIVERIES):
        rows = lake.read(table)
        assert not rows.is_duplicated().any()
        assert rows.select(table.key[:-1]).n_unique() == rows.height
    found = lake.read(COVERAGE).filter(status="present")
    covered = {
        (Subject(dataset, name), Span(start, end))
        for dataset, name, start, end in found.select(
            "dataset", "instrument", "start", "end"
        ).iter_rows()
    }
    assert covered == expected
    assert lake.state().read(FUNDING).height == 5
    asks = lake.read(ASKS)
    assert asks.group_by(BATCH).agg(pl.col("program").n_unique())["program"].max() == 1
