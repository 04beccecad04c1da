import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake.exchange.limit import CreditLimit
from ingest.pace import (
    BURST_S,
    CALLS,
    CUT,
    FIRST_PAUSE_S,
    LISTS,
    LONGEST_WAIT_S,
    RECOVERY_S,
    SLOWEST_CALLS_PER_SECOND,
    Pace,
    answered,
    ask_leave,
    ask_leave_to_list,
    believable,
    mean_rate,
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


def slowed_at(calls_per_second: float, granted: float | None = None, wait_s: float = 0.0) -> Pace:
    """A pace just after that rate was found not to be permitted, and a pause."""
    return Pace(
        refused_rate=calls_per_second,
        granted_rate=CUT * calls_per_second if granted is None else granted,
        recovers_from=NOW + wait_s,
        paused_until=NOW + wait_s,
        refused_at=NOW,
    )


@dataclass
class Calling:
    """Calls of eight callers to an exchange, in simulated time.

    Attributes:
        granted_s: when each call was answered, from the first on.
        refused_s: when each call was refused.
    """

    most: float
    limit: Callable[[Callable[[], float]], CreditLimit]
    seed: int = 1
    chance: float = 0.0
    granted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._now_s = NOW
        self._random = random.Random(self.seed)  # noqa: S311  (no secret)
        self._pace = Pace()
        self._limit = self.limit(lambda: self._now_s)
        self._turns: list[tuple[float, int, str, float]] = []
        self._count = 0
        for _ in range(8):
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

    def rate(self, start_s: float, end_s: float) -> float:
        """Calls a second that were answered in a stretch of time."""
        return sum(start_s <= at < end_s for at in self.granted_s) / (end_s - start_s)

    @property
    def seconds(self) -> float:
        return self._now_s - NOW

    def _turn(self, what: str, after_s: float, asked_s: float = 0.0) -> None:
        self._count += 1
        heapq.heappush(self._turns, (self._now_s + after_s, self._count, what, asked_s))

    def _ask(self, _: float) -> None:
        self._pace, wait_s = ask_leave(self._pace, self._now_s, self.most)
        if wait_s:
            self._turn("ask", min(wait_s, 0.5))
        else:
            self._turn("arrive", self._random.uniform(0.01, 0.06), self._now_s)

    def _arrive(self, asked_s: float) -> None:
        is_granted = self._limit.grants("get_time") and self._random.random() >= self.chance
        self._turn("grant" if is_granted else "refuse", self._random.uniform(0.01, 0.06), asked_s)

    def _grant(self, _: float) -> None:
        self._pace = answered(self._pace)
        self.granted_s.append(self.seconds)
        self._turn("ask", 0.0)

    def _refuse(self, asked_s: float) -> None:
        self._pace = refused(self._pace, self._now_s, asked_s, self.most, None)
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


# Refusals, against the limit of the simulated exchange


@pytest.mark.parametrize("burst", [5, 10, 100])
@pytest.mark.parametrize("calls", [393, 1_400])
def test_the_permitted_calls_are_used_whatever_the_pool(burst: int, calls: int) -> None:
    found = Calling(20, permitting(20, burst)).until(calls=calls)
    assert calls / (20 * found.seconds) >= 0.99
    assert len(found.refused_s) <= 2


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("chance", "used"), [(1 / 393, 0.975), (1 / 200, 0.95)])
def test_refusals_now_and_then_cost_a_moment_each(seed: int, chance: float, used: float) -> None:
    found = Calling(20, permitting(20, 100), seed, chance).until(calls=4_000)
    assert len(found.refused_s) > 4
    assert 4_000 / (20 * found.seconds) >= used


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("permitted", "burst"), [(2, 10), (5, 5), (10, 5), (10, 10), (19, 5)])
def test_who_asks_for_more_than_is_permitted_is_given_all_of_it(
    seed: int, permitted: float, burst: int
) -> None:
    found = Calling(20, permitting(permitted, burst), seed).until(seconds=150)
    assert len(found.granted_s) / (permitted * 150) >= 0.97
    assert len(found.refused_s) / len(found.granted_s) < (0.15 if permitted < 5 else 0.06)


@pytest.mark.parametrize("permitted", [2, 5, 10, 15])
def test_a_changed_limit_is_found_within_seconds_and_one_that_rises_again_in_time(
    permitted: float,
) -> None:
    found = Calling(20, permitting(20, 20)).until(seconds=30)
    assert found.refused_s == []
    found.permit(permitting(permitted, 5))
    found.until(seconds=60)
    assert sum(at < 40 for at in found.refused_s) < 20
    assert sum(at >= 50 for at in found.refused_s) <= 6
    assert found.rate(40, 60) == pytest.approx(permitted, rel=0.06)
    found.permit(permitting(20, 20))
    found.until(seconds=260)
    assert found.rate(240, 260) == pytest.approx(20, rel=0.01)


def test_an_exchange_that_was_closed_for_a_while_is_called_as_before() -> None:
    found = Calling(20, permitting(20, 100)).until(seconds=10)
    found.chance = 1.0
    found.until(seconds=20)
    assert 4 <= len(found.refused_s) <= 16
    found.chance = 0.0
    found.until(seconds=40)
    assert found.rate(30, 40) == pytest.approx(20, rel=0.02)


@given(limits, st.none() | st.floats(0, 600))
def test_nobody_calls_before_the_pause_of_a_refusal_is_over(
    most: float, wait_s: float | None
) -> None:
    asked_s = FIRST_PAUSE_S if wait_s is None else min(wait_s, LONGEST_WAIT_S)
    pace = refused_at(most, wait_s)
    for wait in (ask_leave(pace, NOW, most)[1], ask_leave_to_list(pace, NOW)[1]):
        assert wait == pytest.approx(asked_s, abs=1e-6)
    assert ask_leave(pace, pace.paused_until, most)[1] == 0.0


def test_refusals_in_a_row_pause_for_longer_and_longer_until_an_answer_comes() -> None:
    pace, now, waits = Pace(), NOW, []
    for _ in range(11):
        pace = refused(pace, now, now, 5, None)
        waits.append(pace.paused_until - now)
        now = pace.paused_until
    assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60])
    again = refused(answered(pace), now, now, 5, None)
    assert again.paused_until - now == pytest.approx(0.25)


def test_an_answer_alone_changes_no_rate_and_ends_no_pause() -> None:
    pace = refused_at(20)
    assert answered(pace) == replace(pace, refusals=0.0)


def test_of_calls_under_way_at_once_only_the_first_refusal_counts() -> None:
    first = refused_at(20, wait_s=2.0)
    others = first
    for late_s in (0.1, 0.2, 1.9):
        others = refused(others, NOW + late_s, NOW, 20, None)
    assert others == first
    longer = refused(others, NOW + 1.0, NOW - 1.0, 20, 5.0)
    assert longer == replace(first, paused_until=NOW + 6.0)


@given(limits)
def test_one_refusal_changes_no_rate(most: float) -> None:
    pace = refused_at(most)
    assert rate_at(pace, NOW, most) == rate_at(pace, pace.paused_until, most) == most


@given(limits.filter(lambda most: most * CUT >= SLOWEST_CALLS_PER_SECOND), st.floats(CUT, 1))
def test_the_rate_recovers_from_what_was_granted_to_the_whole(most: float, part: float) -> None:
    pace = slowed_at(most, part * most, wait_s=3.0)
    resumed_s = NOW + 3.0
    for early in (NOW, resumed_s):
        assert rate_at(pace, early, most) == pytest.approx(most * part)
    assert rate_at(pace, resumed_s + RECOVERY_S, most) == pytest.approx(most)
    # Where no limit is set it goes on rising: slowly near the rate that was refused, then faster.
    assert rate_at(pace, resumed_s + 1.5 * RECOVERY_S, NO_LIMIT) < most * 1.1
    assert rate_at(pace, resumed_s + 2 * RECOVERY_S, NO_LIMIT) == pytest.approx(most * (2 - CUT))


@given(limits, st.lists(st.floats(0, 300), min_size=2, max_size=10))
def test_the_rate_never_falls_while_it_recovers_and_never_passes_the_limit(
    most: float, ages_s: list[float]
) -> None:
    pace = slowed_at(most)
    rates = [rate_at(pace, NOW + age_s, most) for age_s in sorted(ages_s)]
    assert rates == sorted(rates)
    assert all(min(most, SLOWEST_CALLS_PER_SECOND) <= rate <= most for rate in rates)


def test_the_rate_never_falls_below_the_slowest_however_often_it_is_refused() -> None:
    pace, now = Pace(), NOW
    for _ in range(30):
        pace = refused(answered(pace), now, now, 20, None)
        now = pace.paused_until
        assert rate_at(pace, now, 20) >= SLOWEST_CALLS_PER_SECOND
    assert rate_at(pace, now, 20) == SLOWEST_CALLS_PER_SECOND


@given(st.floats(0.01, 0.9))
def test_a_limit_below_the_slowest_rate_is_kept_after_a_refusal_too(most: float) -> None:
    assert rate_at(slowed_at(most), NOW + 5, most) == most


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
    for name in ("free_at", "lists_free_at", "paused_until", "recovers_from", "refused_at"):
        for time in (NOW + 3_600, math.inf, math.nan, -1e200):
            assert believable(replace(kept, **{name: time}), NOW, 5) == Pace()


def test_a_very_low_limit_is_kept_too() -> None:
    pace, wait_s = ask_leave(Pace(), NOW, 0.005)
    assert not wait_s
    assert ask_leave(believable(pace, NOW, 0.005), NOW, 0.005)[1] > 0


def test_a_rate_is_told_of_any_pace_that_was_found() -> None:
    assert rate_at(Pace(refused_rate=5.0, recovers_from=-1e200), NOW, 5) == 5


@given(limits, gaps_s)
def test_the_rate_that_is_shown_of_a_run_is_never_above_its_limit(
    most: float, works_s: list[float]
) -> None:
    for count, last_s in enumerate(leave_times(Pace(), most, works_s), start=1):
        assert 0 < mean_rate(count, last_s, most) <= most * (1 + 1e-9)
    assert mean_rate(300, 60.0, 5) == pytest.approx(5, rel=0.01)
    assert mean_rate(0, 0.0, NO_LIMIT) == 0.0
