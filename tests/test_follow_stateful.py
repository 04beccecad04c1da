"""Several days of a followed market, with listings, expiries, outages and restarts, builds and
maintenance: the lake is right at all times, and complete in the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from basislake import PROGRAM
from basislake.pipeline.build import build_in_engine
from basislake.simulator.calls import CHART_METHOD as CHART
from basislake.simulator.fault_forms import AnyFault, Reset, closed_door, server_error
from ingest.backfill.run_records import runs
from ingest.follow_schedule import Schedule
from lake.batches import newest_batch
from lake.history.as_of import PastLake
from lake.maintenance.compaction import planned
from lake.maintenance.maintain import maintain
from lake.tables import BASIS, CANDLES, COVERAGE, RAW_CANDLES, TABLES
from lake.time.intervals import MINUTE
from tests.following import evening_market, follower
from tests.histories import History, histories
from tests.market import coverage, fetch, rows, truths

UNIVERSE = evening_market(9, 60)
DAY = timedelta(days=1)
OUTAGES: dict[str, Callable[[], AnyFault]] = {
    "no network": Reset,
    "maintenance": server_error,
    "closed door": closed_door,
}


@dataclass
class Reader:
    """Somebody who opened the tables at some time, and what they hold by that."""

    opened_at: datetime
    queries: list[pl.LazyFrame]
    expected: list[pl.DataFrame]


class Followings(History):
    """With a run that follows, and readers."""

    def __init__(self) -> None:
        super().__init__(UNIVERSE)
        self.said: list[str] = []
        self.readers: list[Reader] = []
        self.maintenances = self.removed = 0
        self.past: dict[int, tuple[pl.DataFrame, pl.DataFrame]] = {}

    @initialize(every=st.sampled_from([240, 120]))
    def begin(self, every: int) -> None:
        self.every = every * MINUTE
        self.open_a_reader()
        self.restart()

    @rule()
    def restart(self) -> None:
        """As after a kill: another process knows only what the lake holds."""
        schedule = Schedule(self.every, 2 * self.every, 3 * self.every, 4 * self.every)
        self.follower = follower(
            self.server, self.lake, schedule, self.said, build=self.build, maintain=self.maintain
        )
        self.clock.advance(self.follower.round())

    @rule(hours=st.sampled_from([1, 8, 16]))
    def pass_time(self, hours: int) -> None:
        self.follow_for(timedelta(hours=hours))

    @rule(hours=st.sampled_from([1, 10, 100]))
    def be_down(self, hours: int) -> None:
        """Nobody follows; whoever was listed and expired meanwhile has to be found afterwards."""
        self.clock.advance(hours * 3600)
        self.restart()

    @rule(kind=st.sampled_from(sorted(OUTAGES)), hours=st.sampled_from([1, 5, 12]))
    def lose_the_exchange(self, kind: str, hours: int) -> None:
        for method in ("get_time", "get_instruments", CHART):
            self.server.faults.add(method, None, OUTAGES[kind]())
        self.server.forget_calls()
        before = len(self.said)
        self.follow_for(timedelta(hours=hours))
        text = self.said[before:]
        assert sum("Waiting: " in line for line in text) == 1, text
        assert len(text) <= 2
        # It asks now and then, not all the time.
        assert self.server.counters.calls <= 12 * hours + 12
        self.server.faults.clear()
        self.follow_for(self.every + timedelta(minutes=6))
        assert any("Resumed after" in line for line in self.said[before:])

    @rule(minutes=st.sampled_from([10, 60]))
    def lose_the_candles_only(self, minutes: int) -> None:
        """From a round that asks for some until it has asked for them several times."""
        self.server.faults.add(CHART, None, server_error())
        self.clock.advance(self.follower.round())
        self.follow_for(timedelta(minutes=minutes))
        self.server.faults.clear()
        self.follow_for(self.every + timedelta(minutes=6))

    @rule()
    def be_beside_a_backfill(self) -> None:
        fetch(self.server, self.lake)

    @rule()
    def open_a_reader(self) -> None:
        """Somebody begins to read, and takes their time."""
        snapshots = [self.lake.snapshot(table) for table in (RAW_CANDLES, CANDLES, BASIS)]
        queries = [snapshot.scan() for snapshot in snapshots]
        expected = [query.collect() for query in queries]
        self.readers.append(Reader(datetime.now(UTC), queries, expected))

    @invariant()
    def readers_read_what_they_opened(self) -> None:
        for reader in self.readers:
            for query, expected in zip(reader.queries, reader.expected, strict=True):
                assert query.collect().equals(expected)

    def build(self) -> None:
        build_in_engine(self.lake, threads=2)

    def maintain(self) -> None:
        """As the command does it; now and then as if a day had passed, and nobody reads."""
        self.maintenances += 1
        if batch := newest_batch(self.lake):
            self.past[batch] = rows(self.lake, "raw_candles"), self.lake.read(COVERAGE)
        if self.maintenances % 3:
            maintain(self.lake, PROGRAM)
        else:
            self.maintain_at_once()

    def maintain_at_once(self) -> None:
        self.readers.clear()
        done = maintain(self.lake, PROGRAM, timedelta(0), unsafe=True)
        self.removed += sum(done.removed.values())

    def follow_for(self, time: timedelta) -> None:
        """Let the run follow; after each round the lake holds no candle that was not closed."""
        end_ms = self.clock() + int(time.total_seconds() * 1000)
        while self.clock() < end_ms:
            wait_s = self.follower.round()
            newest = self.lake.scan("raw_candles").select("ts").max().collect().item()
            assert newest is None or newest.timestamp() * 1000 + 65_000 <= self.clock()
            self.clock.advance(min(wait_s, (end_ms - self.clock()) / 1000))

    def teardown(self) -> None:
        self.server.faults.clear()
        try:
            # Long enough for a weekly to expire and another one to be listed.
            self.follow_for(DAY)
            wait_s = self.follower.round()
            assert 0 < wait_s <= self.every.total_seconds()
            self.is_the_truth()
        finally:
            super().teardown()

    def is_the_truth(self) -> None:
        # Until the last batch: what closed since is the next round's.
        fetched_until = max(end for _, _, end in coverage(self.lake, status="present"))
        until_ms = int((fetched_until + timedelta(seconds=5)).timestamp() * 1000)
        assert self.clock() - until_ms < self.every.total_seconds() * 1000 + 1000
        assert rows(self.lake, "raw_candles").equals(truths(UNIVERSE, until_ms))
        begin_ms, contracts = UNIVERSE.now_ms, UNIVERSE.contracts.values()
        assert any(begin_ms < each.listed_ms < until_ms - 3_600_000 for each in contracts)
        assert any(begin_ms < (each.expires_ms or 0) < until_ms for each in contracts)
        for status in ("missing", "failed", "never_asked"):
            assert not coverage(self.lake, status=status)
        result = self.follower.result
        assert not result.failed
        assert result.builds > 0
        assert result.maintenances > 0
        assert self.maintenances >= result.maintenances
        self.maintain_at_once()
        assert self.removed > 0
        self.no_file_is_left_over_and_no_batch_is_lost()
        lag = result.lag
        assert lag
        assert lag.seconds is not None
        assert 65 <= lag.seconds <= self.every.total_seconds() + 65
        assert result.run in [run["run"] for run in runs(self.lake, 50)]
        assert self.lake.snapshot(CANDLES).rows > 0

    def no_file_is_left_over_and_no_batch_is_lost(self) -> None:
        for table in TABLES.values():
            snapshot = self.lake.snapshot(table)
            folder = Path(snapshot.uri)
            found = {str(path.relative_to(folder)) for path in folder.rglob("*.parquet")}
            left = {path for path in found if not path.startswith("_delta_log")}
            assert left == {file.path for file in snapshot.files}
        assert not planned(self.lake).files_before
        for batch, (raw, coverage_then) in self.past.items():
            then = PastLake(self.lake, batch)
            assert rows(then, "raw_candles").equals(raw)
            assert then.read(COVERAGE).equals(coverage_then)


TestFollowings = pytest.mark.slow(Followings.TestCase)
TestFollowings.settings = histories(2, steps=6)
