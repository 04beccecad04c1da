"""Against a model: what is known of each minute, in a plain dict."""

from collections import Counter
from collections.abc import Iterable
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.coverage import Coverage, Status, from_table, spans_of, to_table
from lake.spans import Span, merge
from lake.tables import COVERAGE
from tests.strategies import minute, minutes_in, span

LIFE = 60
# One asked window: its first minute, its length, the minutes with a candle; None is no answer.
asks = st.lists(
    st.tuples(
        st.integers(0, LIFE - 1),
        st.integers(1, 25),
        st.none() | st.sets(st.integers(0, LIFE - 1)),
    ),
    max_size=12,
)
Ask = tuple[int, int, set[int] | None]


class Model:
    """Per minute: has a candle, how many answers lacked one, whether asking ever failed."""

    def __init__(self) -> None:
        self.present: set[int] = set()
        self.lacked: Counter[int] = Counter()
        self.failed: set[int] = set()

    def ask(self, start: int, count: int, came: set[int] | None) -> None:
        window = set(range(start, min(start + count, LIFE)))
        if came is None:
            self.failed |= window
            return
        self.present |= window & came
        self.lacked.update(window - came)

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


def ask(coverage: Coverage, start: int, count: int, came: set[int] | None) -> None:
    window = span(start, min(start + count, LIFE))
    if came is None:
        coverage.fail(window)
    else:
        coverage.answer(window, [span(n, n + 1) for n in sorted(came)])


def both(history: list[Ask]) -> tuple[Coverage, Model]:
    coverage, model = Coverage(), Model()
    for one in history:
        ask(coverage, *one)
        model.ask(*one)
    return coverage, model


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


@given(asks)
def test_what_is_lacked_had_an_answer_and_never_a_candle(history: list[Ask]) -> None:
    coverage, model = both(history)
    assert minutes_in(coverage.lacked()) == sorted(set(model.lacked) - model.present)
    assert coverage.lacked() == merge([*coverage.absent, *coverage.believed])


@given(asks)
def test_the_table_keeps_the_meaning(history: list[Ask]) -> None:
    coverage, _ = both(history)
    tiles = coverage.intervals(minute(0))
    again = from_table(to_table("A", tiles))
    assert again.intervals(minute(0)) == tiles
    assert again.answered() == coverage.answered()


@given(asks, asks)
def test_a_run_that_remembers_what_was_lacked_needs_one_more_answer_only(
    before: list[Ask], after: list[Ask]
) -> None:
    coverage, model = both(before)
    lacked = [*coverage.absent]
    stored = from_table(to_table("A", coverage.intervals(minute(0))))
    stored.recall(lacked)
    for one in after:
        ask(stored, *one)
        model.ask(*one)
    # A leading absence counts as one answer, however many there were: it is asked again if need be.
    tiles = stored.intervals(minute(0))
    said = {n: status for piece, status in tiles for n in minutes_in([piece])}
    leading = {n for s in both(before)[0].believed for n in minutes_in([s])}
    expected = model.statuses()
    for n in leading:
        if said[n] is Status.FAILED:
            expected[n] = Status.FAILED
    assert said == expected


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
    found = spans_of(stamps(sorted(numbers)))
    assert minutes_in(found) == sorted(numbers)
    assert all(a.end < b.start for a, b in pairwise(found))


@given(st.integers(0, 80), st.integers(1, 5_000))
def test_minutes_without_a_hole_are_one_span(first: int, count: int) -> None:
    assert spans_of(stamps(range(first, first + count))) == [span(first, first + count)]


def test_the_rows_are_those_of_the_coverage_table() -> None:
    rows = to_table("A", [(span(0, 90), Status.PRESENT)])
    assert rows.schema == COVERAGE.polars_schema
    assert rows.rows() == [("A", minute(0), minute(90), 90, "present")]


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_rows_does_not_matter(order: int) -> None:
    tiles: list[tuple[Span, Status]] = [
        (span(0, 5), Status.NO_DATA),
        (span(5, 9), Status.PRESENT),
        (span(9, 12), Status.MISSING),
        (span(12, 20), Status.PRESENT),
    ]
    assert from_table(to_table("A", tiles[::order])).intervals(minute(0)) == tiles
