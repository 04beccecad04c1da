"""What builds, maintenance and other writers do with candles that were replaced."""

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from basislake.pipeline.fetch import sound_rows
from ingest.backfill.batch_commit import Stored, store
from ingest.backfill.outcome import Outcome
from ingest.datasets.candles import candles_of
from ingest.deribit.replies import Page
from lake import Lake
from lake.batches import newest_batch
from lake.errors import ConflictError
from lake.history.as_of import PastLake, past
from lake.history.fingerprint import fingerprint
from lake.maintenance.compaction import compact
from lake.maintenance.maintain import maintain
from lake.table import BATCH
from lake.tables import RAW_CANDLES
from lake.time.intervals import MINUTE, Span
from tests.arriving import PROGRAM, arrive, contents, new_lake
from tests.market import counting
from tests.spiked import DAY, EXPIRIES, PERPETUAL, PRICES, QUARTERLY, market
from transforms.build import build

# Into February, which the quarterly and the perpetual live to see.
DAYS = 36
RAW = market(5, DAYS * DAY, traded_share=0.3).raw


def arrive_again(lake: Lake, name: str, minutes: Mapping[int, float]) -> Stored:
    """Commit an answer to some minutes that were asked for again: their prices are others."""
    rows = [RAW[name][minute].with_columns(pl.col(PRICES) * by) for minute, by in minutes.items()]
    frame = pl.concat(rows).drop("instrument").sort("ts")
    spans = [Span(ts, ts + MINUTE) for ts in frame["ts"]]
    window = Span(spans[0].start, spans[-1].end)
    outcome = Outcome(candles_of(name), window, Page(frame, 0, window))
    return store(lake, [outcome], PROGRAM, again={candles_of(name): spans}, sound=sound_rows())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changed", "rebuilt"),
    [
        ({PERPETUAL: {35 * DAY: 1.001}}, {PERPETUAL, QUARTERLY}),
        ({QUARTERLY: {35 * DAY: 1.001}}, {PERPETUAL, QUARTERLY}),
        # What is near the end of a month reaches into the next, and not into an earlier period.
        ({PERPETUAL: {31 * DAY - 600: 1.001}}, {PERPETUAL, QUARTERLY}),
        ({PERPETUAL: {DAY: 1.001}, QUARTERLY: {35 * DAY: 1.001}}, set(EXPIRIES)),
    ],
)
@pytest.mark.parametrize("shape", ["as it came", "compacted"])
def test_a_build_remakes_what_a_replaced_candle_can_reach_and_nothing_else(
    changed: Mapping[str, Mapping[int, float]], rebuilt: set[str], shape: str
) -> None:
    with ThreadPoolExecutor(2) as executor, new_lake(RAW) as lake:
        arrive(lake, {name: [f.head(2 * DAY), f.slice(2 * DAY)] for name, f in RAW.items()})
        if shape == "compacted":
            compact(lake, PROGRAM)
        build(lake, executor, PROGRAM)
        first, before = contents(lake), newest_batch(lake)
        for name, minutes in changed.items():
            assert arrive_again(lake, name, minutes).written["candles"].replaced == len(minutes)
        done = build(lake, executor, PROGRAM)
        assert done.rebuilt == len(rebuilt)
        now = contents(lake)
        build(lake, executor, PROGRAM, full=True)
        assert contents(lake) == now != first
        # As it was before, and back.
        build(past(lake, before), executor, PROGRAM)
        assert contents(lake) == first
        build(lake, executor, PROGRAM)
        assert contents(lake) == now


@pytest.mark.slow
def test_maintenance_keeps_both_the_old_row_and_the_new_one() -> None:
    with ThreadPoolExecutor(2) as executor, new_lake(RAW) as lake:
        arrive(lake, {name: [f.head(2 * DAY), f.slice(2 * DAY)] for name, f in RAW.items()})
        build(lake, executor, PROGRAM)
        held = {newest_batch(lake): counting(lake)}
        for factor in (1.01, 1.02, 1.0):
            minutes = {3 * DAY: factor, 3 * DAY + 7: factor, 5: factor}
            assert arrive_again(lake, PERPETUAL, minutes).written["candles"].replaced == 3
            build(lake, executor, PROGRAM)
            held[newest_batch(lake)] = counting(lake)
        arrive(lake, {PERPETUAL: [after(RAW[PERPETUAL])]})
        held[newest_batch(lake)] = counting(lake)
        assert maintain(lake, PROGRAM, timedelta(0), unsafe=True).compacted.rows > 0
        assert build(lake, executor, PROGRAM).rebuilt == 2
        maintain(lake, PROGRAM, timedelta(0), unsafe=True)
        assert fingerprint(lake, 2, verify=True).damaged == ()
        for batch, expected in held.items():
            assert_frame_equal(counting(PastLake(lake, batch)), expected)
        assert build(lake, executor, PROGRAM).rebuilt == 0


def after(frame: pl.DataFrame) -> pl.DataFrame:
    """An hour of candles more."""
    later_on = pl.col("ts") + (frame["ts"][-1] - frame["ts"][0]) + MINUTE
    return frame.head(60).with_columns(ts=later_on)


@pytest.mark.slow
def test_two_writers_and_a_compaction_at_once_leave_one_row_a_minute() -> None:
    with new_lake(RAW) as lake:
        arrive(lake, {PERPETUAL: [RAW[PERPETUAL].slice(i * 500, 500) for i in range(8)]})
        height = lake.snapshot(RAW_CANDLES).rows
        hurdle = threading.Barrier(3)

        def write(factor: float) -> None:
            hurdle.wait()
            for minute in range(100, 3_900, 400):
                arrive_again(lake, PERPETUAL, {minute: factor, minute + 3: factor})

        def merge() -> None:
            hurdle.wait()
            for _ in range(5):
                try:
                    compact(lake, PROGRAM)
                except ConflictError:
                    continue

        with ThreadPoolExecutor(3) as threads:
            work = [threads.submit(write, 1.01), threads.submit(write, 1.02), threads.submit(merge)]
            for each in work:
                each.result()
        # Each of 10 pairs of minutes was asked for by both, and all that came is kept.
        raw = lake.snapshot(RAW_CANDLES).read()
        assert raw.select("ts", BATCH).is_unique().all()
        assert height + 20 <= raw.height <= height + 40
        found = counting(lake)
        assert found.height == found["ts"].n_unique() == height
        ratio = found["close"] / RAW[PERPETUAL]["close"].head(height)
        counts = ratio.round(6).value_counts(name="n")
        assert dict(counts.filter(pl.col("close") != 1.0).rows()).keys() <= {1.01, 1.02}
        assert counts.filter(pl.col("close") == 1.0)["n"].item() == height - 20
