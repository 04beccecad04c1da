"""Any history of faults, kills, moved clocks and partial backfills: the lake never tells a lie."""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

import lake
from basislake.exchange.calls import CHART_METHOD as CHART
from basislake.exchange.clock import Clock
from basislake.exchange.kinds import KINDS
from basislake.exchange.server import SimulatedExchange
from basislake.exchange.universe import weekly_universe
from ingest.selection import Selection, select
from lake.errors import ExchangeError
from lake.spans import Span
from tests.market import NOW, command, coverage, fetch, rows, truths

OPENED = NOW - timedelta(days=9)
# A null is stored as it came, so it is no lie, but no truth either; hanging takes too long here.
LEFT_OUT = ("null-cell", "closed-door", "hang", "trickle")
FAULTS = sorted(set(KINDS) - set(LEFT_OUT))
UNIVERSE = weekly_universe(11, OPENED, NOW, currencies=("BTC",), until=NOW + timedelta(days=30))
LISTED = [
    name for name, contract in UNIVERSE.contracts.items() if contract.is_listed(UNIVERSE.now_ms)
]

some_rates = st.dictionaries(st.sampled_from(FAULTS), st.sampled_from([0.02, 0.1, 0.3]), max_size=3)
some_times = st.integers(0, 12 * 24).map(lambda hours: OPENED + timedelta(hours=hours))


class Histories(RuleBasedStateMachine):
    """An exchange, a lake, and what may happen to them."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.where = lake.open(str(Path(self.folder.name) / "lake"))
        self.clock = Clock(UNIVERSE.now_ms)
        self.latest_ms = UNIVERSE.now_ms
        self.server = SimulatedExchange(UNIVERSE, clock=self.clock)
        self.server.start()

    @initialize()
    def begin(self) -> None:
        fetch(self.server, self.where, select((), (LISTED[-1],), NOW - timedelta(hours=2), None))

    @rule(rates=some_rates, seed=st.integers(0, 99))
    def let_calls_fail(self, rates: Mapping[str, float], seed: int) -> None:
        self.server.faults.set_rates(rates, seed)

    @rule(hours=st.sampled_from([-1, 1, 20, 60, 150]))
    def move_the_clock(self, hours: int) -> None:
        self.clock.advance(hours * 3600)
        self.latest_ms = max(self.latest_ms, self.clock())

    @rule(
        name=st.none() | st.sampled_from(LISTED),
        since=st.none() | some_times,
        hours=st.none() | st.integers(1, 200),
        repair=st.booleans(),
        retries=st.integers(0, 2),
    )
    def backfill(
        self,
        name: str | None,
        since: datetime | None,
        hours: int | None,
        *,
        repair: bool,
        retries: int,
    ) -> None:
        until = since + timedelta(hours=hours) if since and hours else None
        chosen = select((), (name,) if name else (), since, until)
        # Where even the clock cannot be had, nothing is asked.
        with contextlib.suppress(ExchangeError):
            fetch(self.server, self.where, chosen, repair=repair, retries=retries)

    @rule(calls=st.integers(1, 6))
    def be_killed(self, calls: int) -> None:
        self.server.forget_calls()
        arguments = ("backfill", "--lake", self.where.uri, "--retries", "0", "--repair")
        process = subprocess.Popen(
            command(self.server, *arguments),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        while process.poll() is None and self.server.calls_of(CHART) < calls:
            time.sleep(0.002)
        process.kill()
        process.wait()

    @invariant()
    def every_row_is_the_truth(self) -> None:
        stored = rows(self.where, "raw_candles")
        assert stored.select("instrument", "ts").is_unique().all()
        assert stored.join(
            truths(UNIVERSE, self.latest_ms), on=stored.columns, how="anti"
        ).is_empty()

    @invariant()
    def coverage_tiles_and_claims_no_more_than_is_there(self) -> None:
        found = self.where.scan("coverage").sort("instrument", "start").collect()
        broken = found.filter(
            pl.col("instrument") == pl.col("instrument").shift(),
            pl.col("start") != pl.col("end").shift(),
        )
        assert broken.is_empty()
        stored = rows(self.where, "raw_candles")
        for name, start, end in coverage(self.where, status="present"):
            inside = stored.filter(
                pl.col("instrument") == name, pl.col("ts").is_between(start, end, closed="left")
            )
            assert inside.height == Span(start, end).minutes

    def teardown(self) -> None:
        self.server.faults.clear()
        self.clock.set(self.latest_ms)
        result = fetch(self.server, self.where, Selection(), repair=True)
        assert not result.failed
        assert rows(self.where, "raw_candles").equals(truths(UNIVERSE, self.latest_ms))
        assert not coverage(self.where, status="missing")
        assert not coverage(self.where, status="failed")
        assert not coverage(self.where, status="never_asked")
        again = fetch(self.server, self.where, Selection())
        assert again.calls == 0
        self.server.stop()
        self.folder.cleanup()


TestHistories = Histories.TestCase
TestHistories.settings = settings(
    max_examples=6,
    stateful_step_count=8,
    deadline=None,
    # Each history takes seconds, so a failing one is told as it was found.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
