"""Batches of answers into real lakes, with a clock that the test advances."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import polars as pl
import pytest

from ingest.backfill.batch_commit import store
from ingest.backfill.committer import (
    BATCH_ROWS,
    BATCH_SECONDS,
    BATCHES,
    MOST_ROWS_WAITING,
    Committer,
)
from ingest.backfill.outcome import Outcome
from ingest.backfill.subject_job import Job
from ingest.datasets.candles import candles_of
from ingest.deribit.replies import Page
from ingest.plan.windows import Plan
from lake import Lake
from lake import open as open_lake
from lake.batches import newest_batch
from lake.coverage import Coverage
from lake.errors import TransientError
from lake.history.as_of import PastLake
from lake.snapshot import Snapshot
from lake.table import BATCH, Table
from lake.tables import ASKS, COVERAGE, RAW_CANDLES
from lake.time.intervals import MINUTE, Span
from tests.clocks import Time
from tests.lakes import instrument, record
from tests.strategies import CELLS, T0, candles, minute, raw, span

# So long at most a test waits for a commit.
PATIENCE_S = 60.0
# So many windows that the part of them that makes a commit due is far away.
MANY = 1_000 * BATCHES
NO_ANSWER = TransientError("no answer")
NAMES = ("BTC-PERPETUAL", "ETH-PERPETUAL")


@pytest.fixture
def at(tmp_path: Path) -> Lake:
    """A lake that knows two perpetuals: its first batch."""
    lake = open_lake(str(tmp_path / "lake"))
    record(lake, [{**instrument(name), "listed_at": T0} for name in NAMES])
    return lake


@pytest.fixture
def clock() -> Time:
    return Time()


@pytest.fixture
def committer(at: Lake, clock: Time) -> Iterator[Committer]:
    one = Committer(at, "test 1", MANY, clock)
    yield one
    one.close()


def job_of(*windows: Span, name: str = "BTC-PERPETUAL") -> Job:
    return Job(Plan(candles_of(name), windows, windows), Coverage())


def answer(job: Job, frame: pl.DataFrame | None = None) -> tuple[Job, Outcome]:
    """The job's next window answered: with these candles, or with one a minute."""
    window = job.next_window()
    assert window is not None
    if frame is None:
        start = (window.start - T0) // MINUTE
        frame = candles(window.minutes, start, price=100.0 + start)
    outcome = Outcome(job.subject, window, Page(frame, 0, window))
    job.take(outcome)
    return job, outcome


def tens(count: int, name: str = "BTC-PERPETUAL") -> Job:
    """A job of so many windows of ten minutes."""
    return job_of(*(span(10 * i, 10 * (i + 1)) for i in range(count)), name=name)


def many_candles(count: int) -> tuple[Job, Outcome]:
    stamps = pl.datetime_range(T0, T0 + (count - 1) * MINUTE, "1m", time_unit="us", eager=True)
    frame = pl.DataFrame({"ts": stamps}).with_columns(pl.lit(1.5).alias(name) for name in CELLS)
    return answer(job_of(Span(T0, T0 + count * MINUTE)), frame)


def stored(at: Lake) -> int:
    return at.snapshot(RAW_CANDLES).rows


def test_a_part_of_the_windows_makes_a_commit_due(at: Lake, clock: Time) -> None:
    committer, job = Committer(at, "test 1", 3 * BATCHES, clock), tens(5)
    for number in (1, 2):
        committer.add(*answer(job))
        assert committer.poll() == []
        assert committer.unsaved == number
    assert committer.poll(0.1) == []
    committer.add(*answer(job))
    assert committer.poll() == []
    committer.add(*answer(job))
    assert committer.unsaved == 4
    (saved,) = committer.poll(PATIENCE_S)
    assert [outcome.window for _, outcome in saved.outcomes] == list(job.plan.windows[:3])
    assert all(own is job for own, _ in saved.outcomes)
    assert (saved.stored.written["candles"].rows, stored(at), committer.unsaved) == (30, 30, 1)
    committer.close()


def test_a_round_of_a_longer_run_makes_one_commit_of_its_few_windows(at: Lake, clock: Time) -> None:
    committer, job = Committer(at, "test 1", 30, clock, least=40), tens(30)
    for _ in range(30):
        committer.add(*answer(job))
        assert committer.poll() == []
    (saved,) = committer.flush()
    committer.close()
    assert len(saved.outcomes) == 30
    assert at.snapshot(RAW_CANDLES).counter(BATCH) == 2


def test_time_makes_a_commit_due_counted_from_the_first_answer(
    at: Lake, committer: Committer, clock: Time
) -> None:
    job = tens(2)
    for started_s in (2_000.0, 3_000.0):
        clock.now_s = started_s
        committer.add(*answer(job))
        clock.now_s += BATCH_SECONDS
        committer.poll()
        assert committer.poll(0.1) == []
        clock.now_s += 0.1
        committer.poll()
        (saved,) = committer.poll(PATIENCE_S)
        assert saved.stored.written["candles"].rows == 10
    assert stored(at) == 20


def test_candles_make_a_commit_due(at: Lake, committer: Committer) -> None:
    committer.add(*many_candles(BATCH_ROWS - 10))
    committer.poll()
    assert committer.poll(0.1) == []
    committer.add(*answer(tens(1, "ETH-PERPETUAL")))
    committer.poll()
    (saved,) = committer.poll(PATIENCE_S)
    assert saved.stored.written["candles"].rows == stored(at) == BATCH_ROWS


def test_so_many_candles_may_wait_and_no_more(committer: Committer) -> None:
    committer.add(*many_candles(MOST_ROWS_WAITING - 10))
    assert not committer.is_full
    committer.add(*answer(tens(1)))
    assert committer.is_full


def test_answers_that_come_while_a_commit_is_under_way_are_in_the_next_one(
    at: Lake, clock: Time
) -> None:
    committer, job = Committer(at, "test 1", 1, clock), tens(4)
    committer.add(*answer(job))
    assert committer.poll() == []
    for _ in range(3):
        committer.add(*answer(job))
    batches = committer.flush()
    assert [len(saved.outcomes) for saved in batches] == [1, 3]
    assert (stored(at), committer.unsaved, committer.is_full) == (40, 0, False)
    committer.close()


def test_a_flush_commits_everything_and_an_empty_one_nothing(
    at: Lake, committer: Committer
) -> None:
    assert committer.flush() == committer.poll() == []
    jobs = [tens(2), tens(2, "ETH-PERPETUAL")]
    for job in (*jobs, *reversed(jobs)):
        committer.add(*answer(job))
    assert stored(at) == 0
    (saved,) = committer.flush()
    assert [own.subject.name[:3] for own, _ in saved.outcomes] == ["BTC", "ETH", "ETH", "BTC"]
    expected = [raw(job.subject.name, candles(20), batch=2) for job in jobs]
    held = at.scan("raw_candles").collect().sort("instrument", "ts")
    assert held.equals(pl.concat(expected))
    assert saved.stored.written["candles"].bytes == sum(
        file.bytes for file in at.snapshot(RAW_CANDLES).files
    )
    assert saved.stored.asks_version == at.snapshot(ASKS).version
    assert committer.flush() == []


def test_what_was_asked_is_kept_with_its_batch_its_run_and_the_repeats_in_the_reply(
    at: Lake, committer: Committer
) -> None:
    committer.run = "a run"
    pages = {NAMES[0]: candles(3), NAMES[1]: candles(0)}
    for name, frame in pages.items():
        window = span(0, 5)
        committer.add(
            job_of(window, name=name), Outcome(candles_of(name), window, Page(frame, 4, span(0, 4)))
        )
    committer.flush()
    kept = at.read(ASKS)
    assert kept.select("instrument", "start", "end", "status", "duplicates").rows() == [
        (NAMES[0], minute(0), minute(3), "present", 4),
        (NAMES[0], minute(3), minute(4), "absent", 0),
        (NAMES[1], minute(0), minute(4), "absent", 4),
    ]
    of_all = kept.select(BATCH, "window_start", "window_end", "run", "program").unique()
    assert of_all.rows() == [(2, minute(0), minute(5), "a run", "test 1")]


def test_a_window_without_an_answer_is_committed_as_failed(at: Lake, committer: Committer) -> None:
    job = tens(1)
    window = job.next_window()
    assert window == span(0, 10)
    outcome = Outcome(job.subject, window, None, NO_ANSWER)
    job.take(outcome)
    committer.add(job, outcome)
    (saved,) = committer.flush()
    assert (saved.stored.written["candles"].rows, stored(at)) == (0, 0)
    assert at.read(COVERAGE).select("start", "end", "status").rows() == [
        (minute(0), minute(10), "failed")
    ]


def test_a_lack_that_is_confirmed_in_a_later_commit_is_missing(
    at: Lake, committer: Committer
) -> None:
    job, with_gap = tens(1), pl.concat([candles(4), candles(3, start=7)])
    statuses = []
    for frame in (with_gap, with_gap.clear()):
        committer.add(*answer(job, frame))
        assert len(committer.flush()) == 1
        statuses.append(at.read(COVERAGE).select("minutes", "status").rows())
    assert statuses == [
        [(4, "present"), (3, "failed"), (3, "present")],
        [(4, "present"), (3, "missing"), (3, "present")],
    ]


def test_a_commit_under_way_ends_though_the_saver_is_closed(at: Lake, clock: Time) -> None:
    committer, job = Committer(at, "test 1", 1, clock), tens(1)
    committer.add(*answer(job))
    committer.poll()
    committer.close()
    (saved,) = committer.poll(PATIENCE_S)
    assert saved.stored.written["candles"].rows == stored(at) == 10


class Interrupted(Lake):
    """A lake in whose reading Ctrl-C falls once, as Polars raises it in every thread."""

    def __init__(self, uri: str, table: Table) -> None:
        super().__init__(uri)
        self._left = [table]

    @property
    def is_over(self) -> bool:
        return not self._left

    def snapshot(self, table: Table, version: int | None = None) -> Snapshot:
        if table in self._left:
            self._left.remove(table)
            raise KeyboardInterrupt
        return super().snapshot(table, version)


@pytest.mark.parametrize("table", [RAW_CANDLES, ASKS, COVERAGE], ids=lambda table: table.name)
def test_ctrl_c_does_not_end_a_commit_under_way(at: Lake, clock: Time, table: Table) -> None:
    hit = Interrupted(at.uri, table)
    committer, job = Committer(hit, "test 1", MANY, clock), tens(2)
    for _ in range(2):
        committer.add(*answer(job))
    (saved,) = committer.flush()
    committer.close()
    assert hit.is_over
    assert saved.stored.written["candles"].rows == stored(at) == 20
    assert at.read(COVERAGE)["end"].to_list() == [minute(20)]


@pytest.mark.slow
def test_writers_at_once_have_a_batch_for_each_commit_and_lose_nothing(at: Lake) -> None:
    jobs = [tens(5, name) for name in NAMES for _ in range(2)]

    def write(job: Job) -> None:
        for _ in range(5):
            store(at, [answer(job)[1]], "test 1")

    with ThreadPoolExecutor(len(jobs)) as threads:
        for done in [threads.submit(write, job) for job in jobs]:
            done.result()
    raw_rows, kept = at.read(RAW_CANDLES), at.read(ASKS)
    # Two were answered the same, and each candle is stored once.
    assert raw_rows.height == raw_rows.n_unique(["instrument", "ts"]) == 2 * 50
    assert kept.height == kept.n_unique(BATCH) == len(jobs) * 5
    assert raw_rows.group_by(BATCH).agg(pl.col("ts").count() == 10)["ts"].all()
    found = at.read(COVERAGE)
    assert found.select("minutes", "status").rows() == [(50, "present")] * 2
    assert found.equals(PastLake(at, newest_batch(at)).read(COVERAGE))
