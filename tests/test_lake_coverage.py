"""Against a model, what is known of each minute in plain sets: answers taken one by one, and the
rows of `asks` that are kept of them.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from random import Random
from typing import NamedTuple

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.backfill.asks import rows_of
from ingest.backfill.outcome import Outcome
from ingest.datasets.candles import candles_of
from ingest.deribit.replies import Page
from lake.coverage import Coverage, Status, coverages, to_table
from lake.table import BATCH
from lake.tables import ASKS, COVERAGE
from lake.time.intervals import Span
from lake.time.steps import MINUTES
from tests.strategies import candles, minute, minutes_in, span

LIFE = 60
RUNS = (None, "one", "two")


class Ask(NamedTuple):
    """One asked window: its first minute, its length, the minutes with a candle (None is no
    answer), and the run that asked.
    """

    start: int
    length: int
    came: set[int] | None
    run: str | None = "one"

    @property
    def window(self) -> Span:
        return span(self.start, min(self.start + self.length, LIFE))

    @property
    def present(self) -> list[int]:
        return [n for n in minutes_in([self.window]) if n in (self.came or ())]


asks = st.lists(
    st.builds(
        Ask,
        st.integers(0, LIFE - 1),
        st.integers(1, 25),
        st.none() | st.sets(st.integers(0, LIFE - 1)),
        st.sampled_from(RUNS),
    ),
    max_size=12,
)


class Model:
    """Per minute: has a candle, how many answers lacked one, of which runs, whether asking ever
    failed.
    """

    def __init__(self) -> None:
        self.present: set[int] = set()
        self.lacked: Counter[int] = Counter()
        self.lacked_by: defaultdict[int, set[str | None]] = defaultdict(set)
        self.failed: set[int] = set()

    def ask(self, one: Ask) -> None:
        window = set(minutes_in([one.window]))
        if one.came is None:
            self.failed |= window
            return
        self.present |= window & one.came
        self.lacked.update(window - one.came)
        for n in window - one.came:
            self.lacked_by[n].add(one.run)

    def unsettled(self) -> list[int]:
        """Minutes that are missing, by the answers of one run."""
        missing = (n for n, status in self.statuses().items() if status is Status.MISSING)
        return [n for n in missing if len(self.lacked_by[n]) == 1]

    def status(self, number: int) -> Status:
        if number in self.present:
            return Status.PRESENT
        if self.lacked[number]:
            if not self.present or number < min(self.present):
                return Status.NO_DATA
            return Status.MISSING if self.lacked[number] > 1 else Status.FAILED
        return Status.FAILED if number in self.failed else Status.NEVER_ASKED

    def statuses(self) -> dict[int, Status]:
        """Of every minute from the listing to the last that was asked."""
        asked = {*self.present, *self.lacked, *self.failed}
        return {n: self.status(n) for n in range(max(asked, default=-1) + 1)}


def ask(coverage: Coverage, one: Ask) -> None:
    if one.came is None:
        coverage.fail(one.window)
    else:
        coverage.answer(one.window, [span(n, n + 1) for n in one.present])


def both(history: list[Ask]) -> tuple[Coverage, Model]:
    coverage, model = Coverage(), Model()
    for one in history:
        ask(coverage, one)
        model.ask(one)
    return coverage, model


def kept(history: Iterable[Ask], name: str = "A") -> pl.DataFrame:
    """The rows of `asks` that are kept of some answers, each a batch."""
    parts = [
        rows_of([_outcome(one, name)], "test 1", one.run, minute(0)).with_columns(
            pl.lit(number, pl.Int64).alias(BATCH)
        )
        for number, one in enumerate(history, start=1)
    ]
    return pl.concat([ASKS.empty(), *(part.select(ASKS.names) for part in parts)])


def folded(rows: pl.DataFrame, name: str = "A") -> Coverage:
    return coverages(rows.filter(instrument=name)).get(candles_of(name), Coverage())


def _outcome(one: Ask, name: str) -> Outcome:
    if one.came is None:
        return Outcome(candles_of(name), one.window, None)
    frame = pl.concat([candles(0), *(candles(1, n) for n in one.present)])
    return Outcome(candles_of(name), one.window, Page(frame, 0, one.window))


@given(asks)
def test_the_intervals_tile_the_life_with_the_status_of_every_minute(history: list[Ask]) -> None:
    coverage, model = both(history)
    tiles = coverage.intervals(minute(0))
    said = [(n, status) for piece, status in tiles for n in minutes_in([piece])]
    assert said == list(model.statuses().items())


@given(asks)
def test_the_intervals_are_maximal(history: list[Ask]) -> None:
    tiles = both(history)[0].intervals(minute(0))
    for (left, one), (right, other) in pairwise(tiles):
        assert left.end == right.start
        assert one is not other


@given(asks)
def test_what_is_answered_is_present_or_leading_or_believed_missing(history: list[Ask]) -> None:
    coverage, model = both(history)
    settled = {Status.PRESENT, Status.NO_DATA, Status.MISSING}
    expected = [n for n, status in model.statuses().items() if status in settled]
    assert minutes_in(coverage.answered()) == expected


@given(asks, st.randoms(use_true_random=False))
def test_the_rows_that_are_kept_come_to_the_same_as_the_answers_one_by_one_in_any_order(
    history: list[Ask], random: Random
) -> None:
    stepwise, model = both(history)
    rows = kept(history)
    found = folded(rows[random.sample(range(rows.height), rows.height)])
    assert found.intervals(minute(0)) == stepwise.intervals(minute(0))
    for name in ("present", "absent", "believed", "failed"):
        assert getattr(found, name) == getattr(stepwise, name)
    assert minutes_in(found.unsettled()) == model.unsettled()


@given(asks, asks)
def test_a_run_that_begins_with_what_is_kept_goes_on_as_if_it_had_asked_all(
    before: list[Ask], after: list[Ask]
) -> None:
    coverage, whole = folded(kept(before)), both([*before, *after])[0]
    for one in after:
        ask(coverage, one)
    assert coverage.intervals(minute(0)) == whole.intervals(minute(0))
    assert coverage.answered() == whole.answered()
    assert set(minutes_in(coverage.settled)) <= set(minutes_in(coverage.believed))


@given(asks, asks, st.integers(0, 13))
def test_the_table_and_the_rows_since_come_to_the_same_as_all_rows(
    one: list[Ask], other: list[Ask], cut: int
) -> None:
    """So that the many rows that say `present` need not be read again."""
    rows = pl.concat([kept(one), kept(other, "B")])
    listed = {"A": minute(0), "B": minute(0)}
    whole = coverages(rows)
    assert whole == {
        candles_of(name): folded(rows, name) for name in rows["instrument"].unique().to_list()
    }
    known = to_table(coverages(rows.filter(pl.col(BATCH) <= cut)), listed)
    is_read = (pl.col("status") != "present") | (pl.col(BATCH) > cut)
    assert coverages(rows.filter(is_read), known) == whole


def test_a_gap_is_missing_only_after_a_second_answer_without_it() -> None:
    coverage = Coverage()
    coverage.answer(span(0, 10), [span(2, 5), span(6, 10)])
    shown = [(piece, status.value) for piece, status in coverage.intervals(minute(0))]
    assert shown == [
        (span(0, 2), "no_data"),
        (span(2, 5), "present"),
        (span(5, 6), "failed"),
        (span(6, 10), "present"),
    ]
    assert coverage.unconfirmed() == [span(5, 6)]
    coverage.answer(span(5, 6), [])
    assert coverage.missing() == [span(5, 6)]
    assert coverage.answered() == [span(0, 10)]


def test_an_earlier_candle_makes_the_leading_absence_a_gap_to_be_asked_again() -> None:
    coverage = Coverage()
    coverage.answer(span(5, 10), [span(8, 10)])
    assert coverage.answered() == [span(5, 10)]
    coverage.answer(span(0, 5), [span(4, 5)])
    assert coverage.unconfirmed() == [span(5, 8)]


def test_a_window_without_an_answer_takes_nothing_back() -> None:
    coverage = Coverage()
    coverage.answer(span(0, 5), [span(0, 5)])
    coverage.fail(span(3, 8))
    assert coverage.intervals(minute(0)) == [
        (span(0, 5), Status.PRESENT),
        (span(5, 8), Status.FAILED),
    ]


def test_minutes_before_the_first_asked_one_were_never_asked() -> None:
    coverage = Coverage()
    assert coverage.intervals(minute(0)) == []
    coverage.answer(span(5, 9), [])
    assert coverage.intervals(minute(0)) == [
        (span(0, 5), Status.NEVER_ASKED),
        (span(5, 9), Status.NO_DATA),
    ]


def stamps(numbers: Iterable[int]) -> pl.Series:
    return pl.Series("ts", [minute(n) for n in numbers], dtype=pl.Datetime("us", "UTC"))


@given(st.sets(st.integers(0, 80)))
def test_minutes_become_maximal_spans(numbers: set[int]) -> None:
    found = MINUTES.spans(stamps(sorted(numbers)))
    assert minutes_in(found) == sorted(numbers)
    assert all(a.end < b.start for a, b in pairwise(found))


@given(st.integers(0, 80), st.integers(1, 5_000))
def test_minutes_without_a_hole_are_one_span(first: int, count: int) -> None:
    assert MINUTES.spans(stamps(range(first, first + count))) == [span(first, first + count)]


def test_a_minute_is_settled_once_two_runs_lacked_it_however_often_each() -> None:
    gap = [Ask(0, 10, {*range(5), *range(6, 10)}), Ask(5, 1, set())]
    for history in (gap, [*gap, *gap], [*gap, Ask(4, 3, None, "two")]):
        assert folded(kept(history)).unsettled() == [span(5, 6)]
    settled = folded(kept([*gap, Ask(4, 3, {4, 6}, "two")]))
    assert (settled.missing(), settled.unsettled()) == ([span(5, 6)], [])
    came = folded(kept([*gap, Ask(4, 3, {4, 5, 6}, "two")]))
    assert (came.missing(), came.unsettled(), came.present) == ([], [], [span(0, 10)])


def test_the_rows_are_those_of_the_coverage_table() -> None:
    found = {
        candles_of("A"): Coverage(present=[span(0, 90)]),
        candles_of("B"): Coverage(failed=[span(5, 9)]),
    }
    rows = to_table(found, {"A": minute(0), "B": minute(2) + timedelta(seconds=30)})
    assert rows.schema == COVERAGE.polars_schema
    assert rows.rows() == [
        ("A", minute(0), minute(90), 90, "present", "candles"),
        ("B", minute(2), minute(5), 3, "never_asked", "candles"),
        ("B", minute(5), minute(9), 4, "failed", "candles"),
    ]


@pytest.mark.parametrize("count", [20, 700])
def test_few_rows_and_many_come_to_the_same_coverage(count: int) -> None:
    # Present in two of three minutes, in no order; every third was lacked, and by two runs.
    starts = [(n * 11) % (count * 3) for n in range(count * 3)]
    rows = [
        (minute(n), minute(n + 1), "absent" if n % 3 == 0 else "present", run)
        for n in starts
        for run in ("one", "two")
    ]
    columns = {n: ASKS.polars_schema[n] for n in ("start", "end", "status", "run")}
    asks = pl.DataFrame(rows, schema=columns, orient="row")
    found = folded(asks.with_columns(dataset=pl.lit("candles"), instrument=pl.lit("A")))
    assert found.present == [Span(minute(n + 1), minute(n + 3)) for n in range(0, count * 3, 3)]
    assert found.settled == [Span(minute(n), minute(n + 1)) for n in range(0, count * 3, 3)]
    assert (found.absent, found.failed) == ([], [])
    assert found.leading() == [Span(minute(0), minute(1))]
