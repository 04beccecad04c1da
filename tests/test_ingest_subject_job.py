"""An instrument's windows against a model: minutes as numbers in plain sets."""

from collections.abc import Iterable, Sequence
from itertools import pairwise

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.backfill.outcome import Outcome
from ingest.backfill.subject_job import GIVE_UP_AFTER, Job, confirming
from ingest.datasets.candles import CANDLES, candles_of
from ingest.deribit.replies import Page
from ingest.plan.windows import Plan
from lake.coverage import Coverage
from lake.errors import ExchangeError, RejectedError, TransientError
from lake.time.intervals import Span, merge
from tests.strategies import candles, minutes_in, span

NO_ANSWER = TransientError("no answer")
REFUSAL = RejectedError("no such instrument")
SLOT = 10
A = candles_of("A")


def job_of(windows: Sequence[Span], coverage: Coverage | None = None) -> Job:
    """A job that wants what its windows hold."""
    return Job(Plan(A, tuple(merge(windows)), tuple(windows)), coverage or Coverage())


def answer(window: Span, came: Iterable[int]) -> Outcome:
    """The window answered with candles at those of some minutes that it holds."""
    inside = sorted(set(came) & set(minutes_in([window])))
    rows = [candles(1, number) for number in inside] or [candles(0)]
    return Outcome(A, window, Page(pl.concat(rows), 0, window))


def fail(window: Span, error: ExchangeError = NO_ANSWER) -> Outcome:
    return Outcome(A, window, None, error)


def hand_out(job: Job) -> Span:
    window = job.next_window()
    assert window is not None
    return window


def after_first(lacked: set[int], present: set[int]) -> set[int]:
    return {number for number in lacked - present if number > min(present, default=number)}


@given(st.data())
def test_whatever_comes_each_window_is_asked_once_and_each_lack_after_the_first_candle_once_more(
    data: st.DataObject,
) -> None:
    states = data.draw(st.lists(st.sampled_from(["ask", "no_data", "never"]), max_size=9))
    slots: dict[str, list[Span]] = {"ask": [], "no_data": [], "never": []}
    for i, state in enumerate(states):
        slots[state].append(span(SLOT * i, SLOT * (i + 1)))
    # Few enough that the instrument is not abandoned even if all fail.
    planned = slots["ask"][:5]
    job = job_of(planned, Coverage(absent=merge(slots["no_data"])))
    present, lacked, failed = set[int](), set(minutes_in(slots["no_data"])), set[int]()
    to_confirm, not_to_ask = set[int](), set[int]()
    handed: list[Span] = []
    under_way: list[Span] = []
    while True:
        may_hand_out = not under_way or data.draw(st.booleans())
        window = job.next_window() if may_hand_out else None
        if window is not None:
            if len(handed) == len(planned):
                assert not under_way, "all planned windows are answered before one is confirmed"
                to_confirm = after_first(lacked, present)
                not_to_ask = set(failed)
            handed.append(window)
            under_way.append(window)
        elif under_way:
            window = under_way.pop(data.draw(st.integers(0, len(under_way) - 1)))
            minutes = set(minutes_in([window]))
            if data.draw(st.booleans()):
                came = data.draw(st.sets(st.sampled_from(sorted(minutes))))
                job.take(answer(window, came))
                present, lacked = present | came, lacked | (minutes - came)
            else:
                job.take(fail(window))
                failed |= minutes
        else:
            break
    assert (job.is_answered, job.unsaved) == (True, len(handed))
    assert handed[: len(planned)] == planned
    again = handed[len(planned) :]
    assert again or not after_first(lacked, present)
    assert to_confirm <= set(minutes_in(again))
    assert not_to_ask.isdisjoint(minutes_in(again))
    assert all(one.end <= other.start for one, other in pairwise(again))
    assert all({minutes_in([w])[0], minutes_in([w])[-1]} <= to_confirm for w in again)


def test_minutes_after_the_first_candle_that_an_answer_lacked_are_asked_once_more() -> None:
    job = job_of([span(0, 10), span(10, 20)])
    first, second = hand_out(job), hand_out(job)
    job.take(answer(second, [*range(10, 15), *range(16, 20)]))
    assert (job.next_window(), job.is_answered) == (None, False)
    job.take(answer(first, [3, 4, 5, 8, 9]))
    again = hand_out(job)
    assert (again, job.queued) == (span(6, 16), 0)
    job.take(answer(again, [7, *range(8, 15)]))
    assert job.is_answered
    assert job.next_window() is None
    assert job.coverage.missing() == [span(6, 7), span(15, 16)]
    assert job.coverage.unconfirmed() == job.unanswered() == []
    assert (job.rows, job.unsaved, job.reason) == (5 + 9 + 8, 3, None)


def test_an_instrument_with_every_candle_or_none_is_asked_nothing_more() -> None:
    for came in (range(10), ()):
        job = job_of([span(0, 10)])
        job.take(answer(hand_out(job), came))
        assert job.is_answered
        assert job.is_empty == (not came)
        assert job.unanswered() == []


def test_an_earlier_lack_is_asked_again_once_a_still_earlier_candle_has_come() -> None:
    job = job_of([span(0, 5)], Coverage(absent=[span(5, 8)], present=[span(8, 20)]))
    job.take(answer(hand_out(job), [4]))
    assert hand_out(job) == span(5, 8)


def test_confirming_windows_go_around_what_had_no_answer() -> None:
    coverage = Coverage()
    coverage.answer(span(0, 100), [span(10, 20), span(90, 100)])
    coverage.fail(span(100, 110))
    coverage.answer(span(110, 120), [span(115, 120)])
    assert confirming(coverage, CANDLES) == [span(20, 90), span(110, 115)]
    assert confirming(Coverage(absent=[span(0, 9)]), CANDLES) == []


def test_an_instrument_that_has_no_answer_so_often_in_a_row_is_left_for_another_run() -> None:
    windows = [span(SLOT * i, SLOT * (i + 1)) for i in range(3 * GIVE_UP_AFTER)]
    job = job_of(windows)
    for number in range(2 * GIVE_UP_AFTER - 1):
        window = hand_out(job)
        is_last_before = number == GIVE_UP_AFTER - 1
        job.take(answer(window, minutes_in([window])) if is_last_before else fail(window))
    # Not yet: there was an answer in between.
    under_way = [hand_out(job), hand_out(job)]
    job.take(fail(under_way[0]))
    assert (job.queued, job.next_window(), job.is_answered) == (0, None, False)
    job.take(answer(under_way[1], minutes_in([under_way[1]])))
    assert job.is_answered
    had = [windows[GIVE_UP_AFTER - 1], under_way[1]]
    assert minutes_in(job.unanswered()) == [
        n for window in windows if window not in had for n in minutes_in([window])
    ]
    assert job.reason is NO_ANSWER


def test_a_dropped_job_asks_nothing_more_not_even_what_an_answer_lacked() -> None:
    job = job_of([span(0, 10), span(10, 20), span(20, 30)])
    window = hand_out(job)
    job.drop()
    assert (job.queued, job.next_window()) == (0, None)
    job.take(answer(window, [2, 3, 9]))
    assert job.is_answered
    assert job.next_window() is None
    assert job.unanswered() == [span(4, 9), span(10, 30)]


@pytest.mark.parametrize("error", [NO_ANSWER, REFUSAL])
def test_only_a_rejection_means_that_no_call_for_it_will_be_answered(error: ExchangeError) -> None:
    job = job_of([span(0, 10)])
    job.take(fail(hand_out(job), error))
    assert job.reason is error
    assert job.is_refused == (error is REFUSAL)
    assert job.unanswered() == [span(0, 10)]


def test_missing_minutes_that_have_no_answer_stay_missing() -> None:
    before = Coverage(present=[span(0, 5), span(8, 10)], believed=[span(5, 8)])
    job = job_of([span(5, 8)], before)
    job.take(fail(hand_out(job)))
    # The failure takes nothing back, and settles nothing.
    assert job.coverage.missing() == job.coverage.unsettled() == [span(5, 8)]
    assert job.unanswered() == []


def test_an_instrument_is_empty_only_where_what_was_wanted_has_no_candle() -> None:
    assert not job_of([]).is_empty
    assert job_of([span(0, 10)]).is_empty
    assert job_of([span(0, 10)], Coverage(present=[span(10, 20)])).is_empty
    assert not job_of([span(0, 10)], Coverage(present=[span(9, 20)])).is_empty
