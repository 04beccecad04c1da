"""Any history of faults, kills, moved clocks and partial backfills: the lake is always right."""

import contextlib
import time
from collections.abc import Mapping
from datetime import datetime, timedelta

import polars as pl
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule
from polars.testing import assert_frame_equal

from basislake.simulator.named_faults import KINDS
from ingest.datasets import DATASETS
from ingest.plan.selection import Selection, select, with_data
from lake.errors import ExchangeError
from lake.time.intervals import Span
from tests.carry import CARRY, carry_truth, stored_carry
from tests.histories import History, histories
from tests.market import NOW, command, coverage, fetch, rows, truths
from tests.processes import running
from tests.staged import GROWING, OPENED

# A null is stored as received, so it is neither false nor true; hanging takes too long here.
LEFT_OUT = ("null-cell", "closed-door", "hang", "trickle")
FAULTS = sorted(set(KINDS) - set(LEFT_OUT))
LISTED = [
    name for name, contract in GROWING.contracts.items() if contract.is_listed(GROWING.now_ms)
]

some_rates = st.dictionaries(st.sampled_from(FAULTS), st.sampled_from([0.02, 0.1, 0.3]), max_size=3)
some_times = st.integers(0, 12 * 24).map(lambda hours: OPENED + timedelta(hours=hours))


class Histories(History):
    """With backfills of any part, which are killed, and a clock that also goes back."""

    def __init__(self) -> None:
        super().__init__(GROWING)
        self.reached_ms = GROWING.now_ms

    @property
    def latest_ms(self) -> int:
        return self.reached_ms

    @initialize()
    def begin(self) -> None:
        few = select((), (LISTED[-1],), NOW - timedelta(hours=2), None)
        fetch(self.server, self.lake, with_data(few, ["candles"]))

    @rule(rates=some_rates, seed=st.integers(0, 99))
    def let_calls_fail(self, rates: Mapping[str, float], seed: int) -> None:
        self.server.faults.set_rates(rates, seed)

    @rule(hours=st.sampled_from([-1, 1, 20, 60, 150]))
    def move_the_clock(self, hours: int) -> None:
        self.clock.advance(hours * 3600)
        self.reached_ms = max(self.reached_ms, self.clock())

    @rule(
        name=st.none() | st.sampled_from(LISTED),
        since=st.none() | some_times,
        hours=st.none() | st.integers(1, 200),
        data=st.sampled_from([(), ("candles",), CARRY.data]),
        repair=st.booleans(),
        retries=st.integers(0, 2),
    )
    def backfill(
        self,
        name: str | None,
        since: datetime | None,
        hours: int | None,
        data: tuple[str, ...],
        *,
        repair: bool,
        retries: int,
    ) -> None:
        until = since + timedelta(hours=hours) if since and hours else None
        chosen = with_data(select((), (name,) if name else (), since, until), data)
        # Without the exchange's clock, nothing is fetched.
        with contextlib.suppress(ExchangeError):
            fetch(self.server, self.lake, chosen, repair=repair, retries=retries)

    @rule(calls=st.integers(1, 6))
    def be_killed(self, calls: int) -> None:
        self.server.forget_calls()
        arguments = ("backfill", "--lake", self.lake.uri, "--retries", "0", "--repair")
        with running(command(self.server, *arguments)) as process:
            while process.poll() is None and len(self.server.calls) < calls:
                time.sleep(0.002)

    @invariant()
    def coverage_tiles_and_claims_no_more_than_is_there(self) -> None:
        found = self.lake.scan("coverage").sort("dataset", "instrument", "start").collect()
        broken = found.filter(
            pl.col("instrument") == pl.col("instrument").shift(),
            pl.col("dataset") == pl.col("dataset").shift(),
            pl.col("start") != pl.col("end").shift(),
        )
        assert broken.is_empty()
        stored = rows(self.lake, "raw_candles")
        for name, start, end in coverage(self.lake, status="present", dataset="candles"):
            inside = stored.filter(
                pl.col("instrument") == name, pl.col("ts").is_between(start, end, closed="left")
            )
            assert inside.height == Span(start, end).minutes

    @invariant()
    def rows_of_other_data_are_the_truth_once_and_no_less_than_coverage_says(self) -> None:
        true = carry_truth(GROWING, self.latest_ms)
        covered = self.lake.scan("coverage").filter(status="present").collect()
        for name, stored in stored_carry(self.lake).items():
            dataset = DATASETS[name.removeprefix("raw_")]
            assert stored.select(dataset.subject, *dataset.key).is_unique().all()
            assert stored.join(
                true[name], on=stored.columns, how="anti", nulls_equal=True
            ).is_empty()
            spans = covered.filter(dataset=dataset.name).select("start", "end").iter_rows()
            steps = stored.select(dataset.subject, dataset.step.alias("step")).unique().height
            assert dataset.steps.count(Span(*span) for span in spans) <= steps

    def teardown(self) -> None:
        self.server.faults.clear()
        try:
            self.clock.set(self.latest_ms)
            result = fetch(self.server, self.lake, Selection(), repair=True)
            assert not result.all_failed
            assert rows(self.lake, "raw_candles").equals(truths(GROWING, self.latest_ms))
            for name, true in carry_truth(GROWING, self.latest_ms).items():
                assert_frame_equal(stored_carry(self.lake)[name], true, check_exact=True)
            for status in ("missing", "failed", "never_asked"):
                assert not coverage(self.lake, status=status)
            again = fetch(self.server, self.lake, Selection())
            assert again.all_calls == 0
        finally:
            super().teardown()


TestHistories = pytest.mark.slow(Histories.TestCase)
TestHistories.settings = histories(2, steps=8)
