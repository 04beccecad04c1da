import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.rate_limit.allowance import CALLS, LISTS, Terms
from ingest.rate_limit.policy import (
    BURST_S,
    CUT,
    FORGOTTEN_S,
    LONGEST_WAIT_S,
    PAUSE_CALLS,
    SETTLED_CALLS,
    SLOWEST_CALLS_PER_SECOND,
    RateState,
    answered,
    ask_leave,
    ask_leave_to_list,
    begun,
    believable,
    is_settled,
    mean_rate,
    rate_at,
    refused,
)

NOW = 1_000_000.0
NO_LIMIT = Terms(math.inf)


unit = st.floats(0, 1)


limits = st.floats(0.5, 200)


gaps_s = st.lists(st.floats(0, 3), min_size=1, max_size=40)


def leave_times(
    state: RateState, most: float, works_s: list[float], start_s: float = NOW
) -> list[float]:
    """When calls get leave that are asked for one after the other, each so long after the last."""
    now_s, times, terms = start_s, [], Terms(most)
    for work_s in works_s:
        state, wait_s = ask_leave(state, now_s, terms)
        while wait_s:
            now_s += wait_s
            state, wait_s = ask_leave(state, now_s, terms)
        times.append(now_s - start_s)
        now_s += work_s
    return times


def refused_at(calls_per_second: float, wait_s: float | None = None) -> RateState:
    """A state just after the first refusal of a call with that limit."""
    return refused(RateState(), NOW, NOW, Terms(calls_per_second), wait_s)


def rising(target: float, low: float, calls: float = 0.0) -> RateState:
    """A state so many calls after a refusal."""
    return RateState(target=target, low=low, calls=calls, refused_at=NOW)


def test_what_the_exchange_publishes_pays_for_20_calls_a_second_and_a_list_each_second() -> None:
    assert (CALLS.calls_per_second, CALLS.burst_s) == (20.0, 4.95)
    assert (LISTS.calls_per_second, LISTS.burst_s) == (1.0, 49.0)


def test_calls_are_spaced_evenly_after_a_short_burst() -> None:
    times = leave_times(RateState(), 5, [0.0, 0.05, 0.1, 0.0, 0.0])
    # 0.15 seconds of leave were saved up: the second call is early by as much.
    assert times == pytest.approx([0, 0.05, 0.25, 0.45, 0.65])


def test_a_long_call_is_made_up_for_by_a_short_burst_only() -> None:
    times = leave_times(RateState(), 10, [60.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    assert times == pytest.approx([0, 60, 60, 60.05, 60.15, 60.25])


@given(limits, gaps_s)
def test_in_no_stretch_of_time_are_there_more_calls_than_the_rate_and_a_burst(
    most: float, works_s: list[float]
) -> None:
    times = leave_times(RateState(), most, works_s)
    for i, first in enumerate(times):
        for count, last in enumerate(times[i:], start=1):
            assert count <= (last - first + BURST_S) * most + 1 + 1e-4


@given(limits, st.integers(1, 60))
def test_who_asks_again_when_told_to_uses_the_whole_rate(most: float, calls: int) -> None:
    assert leave_times(RateState(), most, [0.0] * calls)[-1] <= (calls - 1) / most + 1e-4


def test_no_limit_never_waits() -> None:
    assert leave_times(RateState(), math.inf, [0.0] * 100) == [0.0] * 100


@given(limits, st.floats(0, 10))
def test_who_has_to_wait_changes_nothing(most: float, ahead_s: float) -> None:
    state = RateState(
        free_at=NOW + ahead_s, lists_free_at=NOW + ahead_s, paused_until=NOW + ahead_s / 2
    )
    for after, wait_s in (ask_leave(state, NOW, Terms(most)), ask_leave_to_list(state, NOW)):
        assert (after == state) == bool(wait_s)
        # The pause is looked at first: it may end with the others' wait still to come.
        assert wait_s == pytest.approx(ahead_s / 2, abs=1e-6)


def test_lists_have_an_allowance_of_their_own() -> None:
    state, leaves = RateState(), 0
    while True:
        state, wait_s = ask_leave_to_list(state, NOW)
        if wait_s:
            break
        leaves += 1
    assert leaves == 50
    assert wait_s == pytest.approx(1.0)
    assert ask_leave(state, NOW, Terms(5))[1] == 0.0
    assert ask_leave_to_list(state, NOW + 1.001)[1] == 0.0


@given(limits, st.none() | st.floats(0, 600))
def test_nobody_calls_before_the_pause_of_a_refusal_is_over(
    most: float, wait_s: float | None
) -> None:
    asked_s = PAUSE_CALLS / most if wait_s is None else min(wait_s, LONGEST_WAIT_S)
    state, terms = refused_at(most, wait_s), Terms(most)
    for wait in (ask_leave(state, NOW, terms)[1], ask_leave_to_list(state, NOW)[1]):
        assert wait == pytest.approx(asked_s, abs=1e-6)
    assert ask_leave(state, state.paused_until, terms)[1] == 0.0


def test_refusals_in_a_row_pause_for_longer_and_longer_until_an_answer_comes() -> None:
    state, now, waits = RateState(), NOW, []
    for _ in range(11):
        state = refused(state, now, now, Terms(5), None)
        waits.append(state.paused_until - now)
        now = state.paused_until
    assert waits == pytest.approx([0.6, 1.2, 2.4, 4.8, 9.6, 19.2, 38.4, 60, 60, 60, 60])
    again = refused(answered(state), now, now, Terms(5), None)
    assert again.paused_until - now == pytest.approx(0.6)


def test_an_answer_alone_changes_no_rate_and_ends_no_pause() -> None:
    state = refused_at(20)
    assert answered(state) == replace(state, refusals=0.0)


def test_of_calls_under_way_at_once_only_the_first_refusal_counts() -> None:
    first = refused_at(20, wait_s=2.0)
    others = first
    for late_s in (0.1, 0.2, 1.9):
        others = refused(others, NOW + late_s, NOW, Terms(20), None)
    assert others == first
    longer = refused(others, NOW + 1.0, NOW - 1.0, Terms(20), 5.0)
    assert longer == replace(first, paused_until=NOW + 6.0)


@given(limits)
def test_one_refusal_of_a_number_changes_no_rate(most: float) -> None:
    assert rate_at(refused_at(most), Terms(most)) == pytest.approx(most)


@given(st.floats(2, 200), st.floats(CUT, 1))
def test_the_rate_rises_to_its_target_and_then_slowly_past_it(target: float, part: float) -> None:
    state, terms = rising(target, part * target), Terms(1e6)
    assert rate_at(state, terms) == pytest.approx(part * target)
    settled = min(SETTLED_CALLS, 30 * target)
    for turns, expected in ((1.0, 1.0), (1.5, 1.0125), (2.0, 1.1), (3.0, 1.8)):
        later = replace(state, calls=turns * settled)
        assert is_settled(later)
        assert rate_at(later, terms) == pytest.approx(expected * target)


@given(limits, st.lists(st.floats(0, 3_000), min_size=2, max_size=10))
def test_the_rate_never_falls_without_a_refusal_and_never_passes_the_limit(
    most: float, calls: list[float]
) -> None:
    paces = [rising(most, CUT * most, count) for count in sorted(calls)]
    rates = [rate_at(state, Terms(most)) for state in paces]
    assert rates == sorted(rates)
    assert all(min(most, SLOWEST_CALLS_PER_SECOND) <= rate <= most for rate in rates)


def test_the_rate_never_falls_below_the_slowest_however_often_it_is_refused() -> None:
    state, now, terms = RateState(), NOW, Terms(20)
    for _ in range(30):
        state = refused(answered(state), now, now, terms, None)
        now = state.paused_until
        assert rate_at(state, terms) >= SLOWEST_CALLS_PER_SECOND
    assert rate_at(state, terms) == SLOWEST_CALLS_PER_SECOND


@given(st.floats(0.01, 0.9))
def test_a_limit_below_the_slowest_rate_is_kept_after_a_refusal_too(most: float) -> None:
    assert rate_at(rising(most, CUT * most), Terms(most)) == most


def test_without_a_limit_a_refusal_brings_down_to_what_the_exchange_publishes() -> None:
    assert rate_at(RateState(), NO_LIMIT) == math.inf
    state = refused_at(math.inf)
    assert 0.5 * 20 <= rate_at(state, NO_LIMIT) <= 20
    assert rate_at(replace(state, calls=SETTLED_CALLS), NO_LIMIT) == pytest.approx(20)
    times = leave_times(state, math.inf, [0.0] * 50, state.paused_until)
    assert times[-1] > 2


def test_a_number_that_was_not_refused_is_used_whatever_auto_found_so_far() -> None:
    state = begun(RateState(), None)
    assert rate_at(state, Terms(20)) == 20
    assert rate_at(state, Terms(3)) == 3
    assert rate_at(state, NO_LIMIT) == math.inf
    assert begun(state, 12.0) == state


def test_a_pace_from_the_future_or_from_long_ago_is_forgotten_and_any_other_kept() -> None:
    five = Terms(5)
    kept = refused_at(5, wait_s=600.0)
    assert believable(kept, NOW, five) is kept
    assert believable(kept, kept.paused_until + FORGOTTEN_S - 1, five) is kept
    assert believable(kept, kept.paused_until + FORGOTTEN_S + 1, five) == RateState()
    busy = RateState()
    while ask_leave_to_list(busy, NOW)[1] == 0.0:
        busy = ask_leave_to_list(busy, NOW)[0]
    assert believable(busy, NOW, five) is busy
    for name in ("free_at", "lists_free_at", "paused_until", "measured_from", "refused_at"):
        for time in (NOW + 3_600, math.inf, math.nan, -1e200):
            assert believable(replace(kept, **{name: time}), NOW, five) == RateState()


def test_a_very_low_limit_is_kept_too() -> None:
    low = Terms(0.005)
    state, wait_s = ask_leave(RateState(), NOW, low)
    assert not wait_s
    assert ask_leave(believable(state, NOW, low), NOW, low)[1] > 0


@given(limits, gaps_s)
def test_the_rate_that_is_shown_of_a_run_is_never_above_its_limit(
    most: float, works_s: list[float]
) -> None:
    for count, last_s in enumerate(leave_times(RateState(), most, works_s), start=1):
        assert 0 < mean_rate(count, last_s, most) <= most * (1 + 1e-9)
    assert mean_rate(300, 60.0, 5) == pytest.approx(5, rel=0.01)
    assert mean_rate(0, 0.0, math.inf) == 0.0
