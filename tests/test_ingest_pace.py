import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pace import (
    BURST_S,
    CALLS,
    CUT,
    FIRST_WAIT_S,
    LISTS,
    LONGEST_WAIT_S,
    RECOVERY_S,
    SLOWEST_CALLS_PER_SECOND,
    Pace,
    answered,
    ask_leave,
    ask_leave_to_list,
    believable,
    rate_at,
    refused,
    wait_before_retry_s,
)

NOW = 1_000_000.0
NO_LIMIT = 0.0

unit = st.floats(0, 1)
limits = st.floats(0.5, 200)
gaps_s = st.lists(st.floats(0, 3), min_size=1, max_size=40)


def leave_times(pace: Pace, most: float, works_s: list[float], start_s: float = NOW) -> list[float]:
    """When calls get leave that are asked for one after the other, each so long after the last."""
    now_s, times = start_s, []
    for work_s in works_s:
        pace, wait_s = ask_leave(pace, now_s, most)
        while wait_s:
            now_s += wait_s
            pace, wait_s = ask_leave(pace, now_s, most)
        times.append(now_s - start_s)
        now_s += work_s
    return times


def refused_at(calls_per_second: float, wait_s: float | None = None) -> Pace:
    """A pace just after the first refusal of a call with that limit."""
    return refused(Pace(), NOW, NOW, calls_per_second, wait_s)


@given(st.integers(1, 10_000), unit)
def test_waits_double_from_half_a_second_up_to_the_longest(attempt: int, jitter: float) -> None:
    plain = min(2 ** (attempt - 1), 2 * LONGEST_WAIT_S) / 2
    wait = wait_before_retry_s(attempt, None, jitter)
    assert wait == pytest.approx(plain * (1 + jitter / 2))
    assert plain <= wait <= 1.5 * LONGEST_WAIT_S


@given(st.integers(1, 20), st.floats(0, 1e9), unit)
def test_a_wait_that_is_asked_for_is_kept_up_to_the_longest(
    attempt: int, asked_s: float, jitter: float
) -> None:
    assert wait_before_retry_s(attempt, asked_s, jitter) == min(asked_s, LONGEST_WAIT_S)


def test_what_the_exchange_publishes_pays_for_20_calls_a_second_and_a_list_each_second() -> None:
    assert (CALLS.calls_per_second, CALLS.burst_s) == (20.0, 4.95)
    assert (LISTS.calls_per_second, LISTS.burst_s) == (1.0, 49.0)


def test_calls_are_spaced_evenly_after_a_short_burst() -> None:
    times = leave_times(Pace(), 5, [0.0, 0.05, 0.1, 0.0, 0.0])
    # A quarter of a second of leave was saved up: the second call is early by as much.
    assert times == pytest.approx([0, 0, 0.15, 0.35, 0.55])


def test_a_long_call_is_made_up_for_by_a_short_burst_only() -> None:
    times = leave_times(Pace(), 10, [60.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert times == pytest.approx([0, 60, 60, 60, 60.05, 60.15])


@given(limits, gaps_s)
def test_in_no_stretch_of_time_are_there_more_calls_than_the_rate_and_a_burst(
    most: float, works_s: list[float]
) -> None:
    times = leave_times(Pace(), most, works_s)
    for i, first in enumerate(times):
        for count, last in enumerate(times[i:], start=1):
            assert count <= (last - first + BURST_S) * most + 1 + 1e-4


@given(limits, st.integers(1, 60))
def test_who_asks_again_when_told_to_uses_the_whole_rate(most: float, calls: int) -> None:
    assert leave_times(Pace(), most, [0.0] * calls)[-1] <= (calls - 1) / most + 1e-4


def test_no_limit_never_waits() -> None:
    assert leave_times(Pace(), NO_LIMIT, [0.0] * 100) == [0.0] * 100


@given(limits, st.floats(0, 10))
def test_who_has_to_wait_changes_nothing(most: float, ahead_s: float) -> None:
    pace = Pace(free_at=NOW + ahead_s, lists_free_at=NOW + ahead_s, paused_until=NOW + ahead_s / 2)
    for after, wait_s in (ask_leave(pace, NOW, most), ask_leave_to_list(pace, NOW)):
        assert (after == pace) == bool(wait_s)
        # The pause is looked at first: it may end with the others' wait still to come.
        assert wait_s == pytest.approx(ahead_s / 2, abs=1e-6)


def test_lists_have_an_allowance_of_their_own() -> None:
    pace, leaves = Pace(), 0
    while True:
        pace, wait_s = ask_leave_to_list(pace, NOW)
        if wait_s:
            break
        leaves += 1
    assert leaves == 50
    assert wait_s == pytest.approx(1.0)
    assert ask_leave(pace, NOW, 5)[1] == 0.0
    assert ask_leave_to_list(pace, NOW + 1.001)[1] == 0.0


@given(limits, st.none() | st.floats(0, 600))
def test_nobody_calls_before_the_pause_of_a_refusal_is_over(
    most: float, wait_s: float | None
) -> None:
    asked_s = FIRST_WAIT_S * 2 if wait_s is None else min(wait_s, LONGEST_WAIT_S)
    pace = refused_at(most, wait_s)
    for wait in (ask_leave(pace, NOW, most)[1], ask_leave_to_list(pace, NOW)[1]):
        assert wait == pytest.approx(asked_s, abs=1e-6)
    assert ask_leave(pace, pace.paused_until, most)[1] == 0.0


def test_refusals_in_a_row_pause_for_longer_and_longer_until_an_answer_comes() -> None:
    pace, now, waits = Pace(), NOW, []
    for _ in range(9):
        pace = refused(pace, now, now, 5, None)
        waits.append(pace.paused_until - now)
        now = pace.paused_until
    assert waits == pytest.approx([1, 2, 4, 8, 16, 32, 60, 60, 60])
    again = refused(answered(pace), now, now, 5, None)
    assert again.paused_until - now == pytest.approx(1.0)


def test_an_answer_alone_changes_no_rate_and_ends_no_pause() -> None:
    pace = refused_at(20)
    assert answered(pace) == replace(pace, refusals=0.0)


def test_of_calls_under_way_at_once_only_the_first_refusal_slows_the_pace_down() -> None:
    first = refused_at(20, wait_s=2.0)
    others = first
    for late_s in (0.1, 0.2, 1.9):
        others = refused(others, NOW + late_s, NOW, 20, None)
    assert others == first
    longer = refused(others, NOW + 1.0, NOW - 1.0, 20, 5.0)
    assert longer == replace(first, paused_until=NOW + 6.0)


@given(limits.filter(lambda most: most * CUT >= SLOWEST_CALLS_PER_SECOND))
def test_the_rate_is_cut_by_a_refusal_and_whole_again_after_the_recovery(most: float) -> None:
    pace = refused_at(most, wait_s=3.0)
    resumed_s = NOW + 3.0
    for early in (NOW, resumed_s):
        assert rate_at(pace, early, most) == pytest.approx(most * CUT)
    assert rate_at(pace, resumed_s + RECOVERY_S, most) == pytest.approx(most)
    # Where no limit is set it goes on rising: slowly near the rate that was refused, then faster.
    assert rate_at(pace, resumed_s + 1.5 * RECOVERY_S, NO_LIMIT) < most * 1.1
    assert rate_at(pace, resumed_s + 2 * RECOVERY_S, NO_LIMIT) == pytest.approx(most * (2 - CUT))


@given(limits, st.lists(st.floats(0, 300), min_size=2, max_size=10))
def test_the_rate_never_falls_while_it_recovers_and_never_passes_the_limit(
    most: float, ages_s: list[float]
) -> None:
    pace = refused_at(most)
    rates = [rate_at(pace, NOW + age_s, most) for age_s in sorted(ages_s)]
    assert rates == sorted(rates)
    assert all(min(most, SLOWEST_CALLS_PER_SECOND) <= rate <= most for rate in rates)


def test_the_rate_never_falls_below_the_slowest_however_often_it_is_refused() -> None:
    pace, now = Pace(), NOW
    for _ in range(30):
        pace = refused(pace, now, now, 20, None)
        now = pace.paused_until
        assert rate_at(pace, now, 20) >= SLOWEST_CALLS_PER_SECOND
    assert rate_at(pace, now, 20) == SLOWEST_CALLS_PER_SECOND


@given(st.floats(0.01, 0.9))
def test_a_limit_below_the_slowest_rate_is_kept_after_a_refusal_too(most: float) -> None:
    assert rate_at(refused_at(most), NOW + 5, most) == most


def test_without_a_limit_a_refusal_brings_down_to_what_the_exchange_publishes() -> None:
    assert rate_at(Pace(), NOW, NO_LIMIT) == math.inf
    pace = refused_at(NO_LIMIT)
    assert rate_at(pace, pace.paused_until, NO_LIMIT) == pytest.approx(CUT * 20)
    assert rate_at(pace, pace.paused_until + RECOVERY_S, NO_LIMIT) == pytest.approx(20)
    times = leave_times(pace, NO_LIMIT, [0.0] * 50, pace.paused_until)
    assert times[-1] > 3


def test_a_pace_from_the_future_is_forgotten_and_any_other_kept() -> None:
    kept = refused_at(5, wait_s=600.0)
    assert believable(kept, NOW, 5) is kept
    assert believable(kept, NOW + 1e6, 5) is kept
    busy = Pace()
    while ask_leave_to_list(busy, NOW)[1] == 0.0:
        busy = ask_leave_to_list(busy, NOW)[0]
    assert believable(busy, NOW, 5) is busy
    for name in ("free_at", "lists_free_at", "paused_until", "refused_at"):
        for time in (NOW + 3_600, math.inf, math.nan, -1e200):
            assert believable(replace(kept, **{name: time}), NOW, 5) == Pace()


def test_a_very_low_limit_is_kept_too() -> None:
    pace, wait_s = ask_leave(Pace(), NOW, 0.005)
    assert not wait_s
    assert ask_leave(believable(pace, NOW, 0.005), NOW, 0.005)[1] > 0


def test_a_rate_is_told_of_any_pace_that_was_found() -> None:
    assert rate_at(Pace(refused_rate=5.0, refused_at=-1e200), NOW, 5) == 5
