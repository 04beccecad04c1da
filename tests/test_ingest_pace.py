from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.pace import LONGEST_WAIT_S, Pace, wait_before_retry_s

unit = st.floats(0, 1)


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


class Time:
    """A clock that only sleeping and the test itself move."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def clock(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now_s += seconds


def starts(pace: Pace, time: Time, works_s: list[float]) -> list[float]:
    """When calls of these lengths, one after the other, may start."""
    result = []
    for work_s in works_s:
        pace.wait()
        result.append(time.now_s - 1_000.0)
        time.now_s += work_s
    return result


def test_short_calls_are_spaced_evenly_and_the_first_is_free() -> None:
    time = Time()
    pace = Pace(5, time.clock, time.sleep)
    assert starts(pace, time, [0.0, 0.05, 0.1, 0.0]) == pytest.approx([0, 0.2, 0.4, 0.6])


def test_a_long_call_is_not_made_up_for_by_a_burst() -> None:
    time = Time()
    pace = Pace(10, time.clock, time.sleep)
    assert starts(pace, time, [1.0, 0.0, 0.0]) == pytest.approx([0, 1.0, 1.1])


def test_no_limit_never_waits() -> None:
    time = Time()
    assert starts(Pace(0, time.clock, time.sleep), time, [0.0] * 100) == [0.0] * 100


@given(st.floats(0.1, 100), st.lists(st.floats(0, 3), min_size=2, max_size=30))
def test_no_two_calls_are_closer_than_the_rate_allows(rate: float, works_s: list[float]) -> None:
    time = Time()
    times = starts(Pace(rate, time.clock, time.sleep), time, works_s)
    assert all(b - a >= 1 / rate - 1e-9 for a, b in pairwise(times))
