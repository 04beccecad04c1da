"""The rate that `auto` finds at a simulated limit."""

import heapq
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from basislake.simulator.limit import CreditLimit
from ingest.rate_limit.allowance import AUTO, Rate, terms_of
from ingest.rate_limit.policy import (
    FIRST_CALLS_PER_SECOND,
    RateState,
    answered,
    ask_leave,
    begun,
    rate_at,
    refused,
    to_remember,
)

NOW = 1_000_000.0


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
