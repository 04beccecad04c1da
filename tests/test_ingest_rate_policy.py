import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake.simulator.limit import CreditLimit
from ingest.rate_limit.allowance import AUTO, CALLS, LISTS, Rate, Terms, terms_of
from ingest.rate_limit.policy import (
    BURST_S,
    CUT,
    FIRST_CALLS_PER_SECOND,
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
    to_remember,
    wait_before_retry_s,
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


@dataclass
class Calling:
    """Calls of four threads to an exchange, in simulated time.

    Attributes:
        granted_s: when each call was answered, from the first on.
        refused_s: when each call was refused.
    """

    rate: Rate
    limit: Callable[[Callable[[], float]], CreditLimit]
    seed: int = 1
    chance: float = 0.0
    latency_s: float = 0.035
    remembered: float | None = None
    granted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._now_s = NOW
        self._random = random.Random(self.seed)  # noqa: S311  (no secret)
        self._terms = terms_of(self.rate)
        self._pace = begun(RateState(), self.remembered) if self._terms.is_auto else RateState()
        self._limit = self.limit(lambda: self._now_s)
        self._turns: list[tuple[float, int, str, float]] = []
        self._count = 0
        self._closed_s = (0.0, 0.0)
        for _ in range(4):
            self._turn("ask", 0.0)

    def until(self, *, calls: float = math.inf, seconds: float = math.inf) -> "Calling":
        """Go on until so many calls are answered, or so much time has passed since the start."""
        while len(self.granted_s) < calls and self._turns[0][0] - NOW < seconds:
            self._now_s, _, what, asked_s = heapq.heappop(self._turns)
            getattr(self, f"_{what}")(asked_s)
        return self

    def permit(self, limit: Callable[[Callable[[], float]], CreditLimit]) -> None:
        """Change what the exchange permits."""
        self._limit = limit(lambda: self._now_s)

    def close(self, start_s: float, end_s: float) -> None:
        """Let the exchange refuse all calls in a stretch of time."""
        self._closed_s = (start_s, end_s)

    def stall(self) -> float:
        """Let whatever is under way, or due, happen at once after a while; return how long."""
        stalled_s = self._random.uniform(0.5, 2)
        until_s = self._now_s + stalled_s
        self._turns = [(max(turn[0], until_s), *turn[1:]) for turn in self._turns]
        heapq.heapify(self._turns)
        return stalled_s

    def granted(self, start_s: float, end_s: float) -> float:
        """Calls a second that were answered in a stretch of time."""
        return sum(start_s <= at < end_s for at in self.granted_s) / (end_s - start_s)

    def refusals(self, start_s: float, end_s: float) -> float:
        """The part of the calls that was refused in a stretch of time."""
        count = sum(start_s <= at < end_s for at in self.refused_s)
        return count / (count + self.granted(start_s, end_s) * (end_s - start_s))

    @property
    def seconds(self) -> float:
        return self._now_s - NOW

    def _turn(self, what: str, after_s: float, asked_s: float = 0.0) -> None:
        self._count += 1
        heapq.heappush(self._turns, (self._now_s + after_s, self._count, what, asked_s))

    def _under_way_s(self) -> float:
        return self.latency_s * self._random.uniform(0.3, 1.7)

    def _ask(self, _: float) -> None:
        self._pace, wait_s = ask_leave(self._pace, self._now_s, self._terms)
        if wait_s:
            self._turn("ask", min(wait_s, 0.5))
        else:
            self._turn("arrive", self._under_way_s(), self._now_s)

    def _arrive(self, asked_s: float) -> None:
        is_open = not self._closed_s[0] <= self.seconds < self._closed_s[1]
        is_granted = (
            is_open and self._limit.grants("get_time") and self._random.random() >= self.chance
        )
        self._turn("grant" if is_granted else "refuse", self._under_way_s(), asked_s)

    def _grant(self, _: float) -> None:
        self._pace = answered(self._pace)
        self.granted_s.append(self.seconds)
        self._turn("ask", 0.0)

    def _refuse(self, asked_s: float) -> None:
        self._pace = refused(self._pace, self._now_s, asked_s, self._terms, None)
        self.refused_s.append(self.seconds)
        self._turn("ask", 0.0)


def permitting(calls_per_second: float, burst: float) -> Callable[..., CreditLimit]:
    def make(clock: Callable[[], float]) -> CreditLimit:
        return CreditLimit.per_second(calls_per_second, burst=burst, clock=clock)

    return make


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


# `auto`, against the limit of the simulated exchange

# Calls a second, and calls of a full pool.
LIMITS = [(20, 100), (20, 5), (12, 60), (12, 5), (5, 25)]


def assert_found(
    permitted: float,
    pool: float,
    seed: int,
    latency_s: float,
    most_refused: float = 0.01,
    most_in_all: float = 0.005,
) -> None:
    found = Calling(AUTO, permitting(permitted, pool), seed, latency_s=latency_s)
    found.until(seconds=150)
    assert found.granted(10, 150) >= 0.95 * permitted
    assert found.refusals(10, 150) <= most_refused
    # With those of the search at the start.
    assert len(found.refused_s) <= 10 + most_in_all * len(found.granted_s)


@pytest.mark.parametrize(("permitted", "pool"), LIMITS)
def test_auto_uses_what_is_permitted_from_the_tenth_second_on_and_is_hardly_refused(
    permitted: float, pool: float
) -> None:
    assert_found(permitted, pool, seed=1, latency_s=0.035)


@pytest.mark.slow
@given(
    st.sampled_from([*LIMITS, (12, 100), (5, 10), (8, 20)]),
    st.integers(0, 1_000_000),
    st.floats(0.005, 0.08),
)
def test_auto_does_so_however_long_a_call_takes(
    limit: tuple[float, float], seed: int, latency_s: float
) -> None:
    # The worst of 2,250 seeds, at five calls a second, was refused 2.0 %, and 23 calls in all.
    assert_found(*limit, seed, latency_s, most_refused=0.03, most_in_all=0.03)


def test_auto_begins_politely_and_reaches_what_is_published_within_ten_seconds() -> None:
    state, terms = begun(RateState(), None), terms_of(AUTO)
    assert rate_at(state, terms) == FIRST_CALLS_PER_SECOND == 5
    assert rate_at(replace(state, calls=1e6), terms) == terms.most == 20
    found = Calling(AUTO, permitting(20, 100)).until(seconds=10)
    assert found.granted(0, 1) == pytest.approx(6, abs=2)
    assert found.granted(8, 10) == pytest.approx(20, abs=1)


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_auto_finds_a_limit_that_falls_and_rises_again(seed: int) -> None:
    found = Calling(AUTO, permitting(20, 100), seed).until(seconds=30)
    assert found.refused_s == []
    found.permit(permitting(5, 5))
    found.until(seconds=100)
    assert len(found.refused_s) <= 24
    assert found.granted(40, 100) == pytest.approx(5, rel=0.05)
    assert found.refusals(50, 100) <= 0.02
    found.permit(permitting(20, 100))
    found.until(seconds=230)
    assert found.granted(200, 230) == pytest.approx(20, rel=0.05)


@pytest.mark.parametrize("permitted", [20.0, 12.0, 5.0])
def test_auto_begins_with_what_is_remembered(permitted: float) -> None:
    found = Calling(AUTO, permitting(permitted, 10), remembered=permitted).until(seconds=60)
    assert found.granted(0, 10) >= 0.95 * permitted
    assert found.refusals(0, 60) <= 0.01


@pytest.mark.parametrize(("permitted", "remembered"), [(20, 5.0), (5, 20.0)])
def test_a_rate_that_is_remembered_wrongly_is_corrected(
    permitted: float, remembered: float
) -> None:
    found = Calling(AUTO, permitting(permitted, 10), remembered=remembered).until(seconds=120)
    assert found.granted(90, 120) == pytest.approx(permitted, rel=0.05)
    assert found.refusals(30, 120) <= 0.012


def test_a_rate_is_remembered_once_it_was_measured_or_used_for_long() -> None:
    terms = terms_of(AUTO)
    state, kept = begun(RateState(), None), []
    for calls in range(1, 301):
        state = replace(state, calls=calls)
        kept.append(to_remember(state, terms))
    assert {i: rate for i, rate in enumerate(kept, start=1) if rate} == {140: 20, 280: 20}
    # A first refusal measures nothing, since the pool was full at some time before.
    first = refused(state, NOW, NOW, terms, None)
    assert to_remember(first, terms) is None
    later = replace(first, measured_from=NOW, measured=181, calls=181, refusals=0)
    measured = refused(later, NOW + 15, NOW + 15, terms, None)
    assert to_remember(measured, terms) == pytest.approx(12, rel=0.04)


# Refusals of a number


@pytest.mark.parametrize("burst", [5, 10, 100])
@pytest.mark.parametrize("calls", [393, 1_400])
def test_the_permitted_calls_are_used_whatever_the_pool(burst: int, calls: int) -> None:
    found = Calling(20, permitting(20, burst)).until(calls=calls)
    assert calls / (20 * found.seconds) >= 0.99
    assert len(found.refused_s) <= 2


@pytest.mark.parametrize("rate", [20, AUTO])
@pytest.mark.parametrize(
    ("closed_s", "lost_s"), [(0.1, 1), (0.3, 1.5), (1.0, 4), (2.0, 5), (5.0, 11)]
)
def test_an_isolated_refusal_costs_seconds(rate: Rate, closed_s: float, lost_s: float) -> None:
    found = Calling(rate, permitting(20, 100))
    found.close(20, 20 + closed_s)
    found.until(seconds=60)
    assert found.refused_s
    assert 40 - found.granted(20, 60) * 40 / 20 <= lost_s


@pytest.mark.parametrize("pool", [5, 100])
@pytest.mark.parametrize(("chance", "used"), [(1 / 200, 0.95), (1 / 100, 0.88)])
def test_refusals_by_chance_cost_little_more_than_a_pause_each(
    pool: float, chance: float, used: float
) -> None:
    # Enough runs that luck in one decides nothing.
    runs = [
        Calling(20, permitting(20, pool), seed, chance).until(calls=4_000) for seed in range(1, 5)
    ]
    assert all(len(run.refused_s) > 4 for run in runs)
    assert sum(4_000 / (20 * run.seconds) for run in runs) / len(runs) >= used


@pytest.mark.parametrize("rate", [20, AUTO])
@pytest.mark.parametrize("pool", [5, 100])
def test_a_machine_that_stalls_uses_what_it_can(rate: Rate, pool: float) -> None:
    found, asleep_s = Calling(rate, permitting(20, pool)).until(seconds=10), 0.0
    while found.seconds < 100:
        stall_s = found.stall()
        asleep_s += stall_s
        found.until(seconds=found.seconds + 3)
    could = 20 * (100 - 10 - asleep_s)
    assert asleep_s > 20
    assert found.granted(10, 100) * 90 >= 0.9 * could
    assert found.refusals(10, 100) <= 0.01


@pytest.mark.parametrize(("every_s", "used"), [(8, 0.9), (20, 0.95)])
def test_refusals_now_and_then_cost_a_moment_each(every_s: int, used: float) -> None:
    found = Calling(AUTO, permitting(20, 100)).until(seconds=20)
    for start_s in range(20, 200, every_s):
        found.close(start_s, start_s + 0.05)
        found.until(seconds=start_s + every_s)
    assert len(found.refused_s) >= 180 // every_s - 2
    assert found.granted(20, 200) >= used * 20


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("permitted", "burst"), [(2, 10), (5, 5), (10, 5), (10, 10), (19, 5)])
def test_who_asks_for_more_than_is_permitted_is_given_all_of_it(
    seed: int, permitted: float, burst: int
) -> None:
    found = Calling(20, permitting(permitted, burst), seed).until(seconds=150)
    assert len(found.granted_s) / (permitted * 150) >= 0.97
    assert len(found.refused_s) / len(found.granted_s) < (0.1 if permitted < 5 else 0.04)


def test_an_exchange_that_was_closed_for_a_while_is_called_as_before() -> None:
    found = Calling(20, permitting(20, 100)).until(seconds=10)
    found.chance = 1.0
    found.until(seconds=20)
    assert 4 <= len(found.refused_s) <= 16
    found.chance = 0.0
    found.until(seconds=40)
    assert found.granted(30, 40) == pytest.approx(20, rel=0.05)


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
