from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.windows import (
    MAX_CANDLES_PER_CALL,
    life,
    minutes_of,
    plan_instrument,
    windows,
)
from lake.spans import Span, merge, subtract
from tests.strategies import T0, minute, minutes_in, span, spans

SECOND = timedelta(seconds=1)
wide = st.integers(0, 30_000)


@given(wide, wide)
def test_windows_tile_one_needed_span_exactly_with_the_fewest_calls(start: int, count: int) -> None:
    tiles = windows([span(start, start + count)])
    assert minutes_in(tiles) == list(range(start, start + count))
    assert len(tiles) == -(-count // MAX_CANDLES_PER_CALL)


@given(st.lists(st.tuples(wide, st.integers(0, 12_000)), max_size=6))
def test_windows_hold_every_needed_minute_once_and_none_is_too_long(
    pairs: list[tuple[int, int]],
) -> None:
    needed = [span(start, start + count) for start, count in pairs]
    tiles = windows(needed)
    assert subtract(needed, tiles) == []
    assert all(a.end <= b.start for a, b in pairwise(tiles))
    assert all(0 < tile.minutes <= MAX_CANDLES_PER_CALL for tile in tiles)
    edges = {minute for tile in tiles for minute in (tile.start, tile.end - timedelta(minutes=1))}
    assert all(any(s.start <= edge < s.end for s in needed) for edge in edges)
    # The fewest: each window starts at the first needed minute that the one before could not hold.
    longest = timedelta(minutes=MAX_CANDLES_PER_CALL)
    left, fewest = merge(needed), 0
    while left:
        left = subtract(left, [Span(left[0].start, left[0].start + longest)])
        fewest += 1
    assert len(tiles) == fewest


@given(spans(), st.none() | st.tuples(st.integers(-50, 250), st.integers(-50, 250)))
def test_a_plan_holds_what_is_selected_of_the_life_and_not_held(
    held: list[Span], selected: tuple[int, int] | None
) -> None:
    lived = span(20, 180)
    chosen = span(*selected) if selected else None
    plan = plan_instrument("A", [lived], held, chosen)
    needed = set(minutes_in([lived])) - set(minutes_in(held))
    if chosen:
        needed &= set(minutes_in([chosen]))
    assert needed <= set(minutes_in(plan.windows)) <= set(minutes_in(plan.wanted))
    assert bool(plan.windows) == bool(needed)
    assert plan.candles == len(minutes_in(plan.windows))


def test_a_selection_within_minutes_means_the_minutes_that_start_in_it() -> None:
    selected = Span(minute(2) + SECOND, minute(4) + SECOND)
    assert plan_instrument("A", [span(0, 9)], [], selected).windows == (span(3, 5),)


@pytest.mark.parametrize(
    ("expires_at", "lived"),
    [
        (None, span(0, 100)),
        (minute(40), span(0, 40)),
        (minute(40) + SECOND, span(0, 41)),
        (minute(400), span(0, 100)),
    ],
)
def test_a_life_ends_at_expiry_or_at_the_last_closed_minute(
    expires_at: datetime | None, lived: Span
) -> None:
    assert life(T0 + 9 * SECOND, expires_at, minute(100)) == lived


def test_an_instrument_that_is_yet_to_be_listed_needs_nothing() -> None:
    lived = life(minute(50), None, minute(10))
    assert lived.minutes == 0
    assert plan_instrument("A", [lived], []).windows == ()


def test_the_exchange_is_asked_for_the_first_and_the_last_minute_in_milliseconds() -> None:
    start_ms, end_ms = minutes_of(span(0, 5_000))
    assert start_ms == 1_704_067_200_000
    assert end_ms - start_ms == 4_999 * 60_000
