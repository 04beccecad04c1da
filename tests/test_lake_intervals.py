from datetime import timedelta
from itertools import pairwise

from hypothesis import given

from lake.time.intervals import Span, clip, common, floor_minute, merge, subtract
from lake.time.steps import MINUTES
from tests.strategies import T0, minutes_in, span, spans

SECOND = timedelta(seconds=1)


@given(spans())
def test_merged_spans_hold_the_same_minutes_and_neither_touch_nor_overlap(some: list[Span]) -> None:
    merged = merge(some)
    assert minutes_in(merged) == sorted(set(minutes_in(some)))
    assert all(s.start < s.end for s in merged)
    assert all(a.end < b.start for a, b in pairwise(merged))


@given(spans(), spans())
def test_subtracting_leaves_the_minutes_that_no_hole_holds(
    some: list[Span], holes: list[Span]
) -> None:
    left = subtract(some, holes)
    assert minutes_in(left) == sorted(set(minutes_in(some)) - set(minutes_in(holes)))
    assert left == merge(left)


@given(spans(), spans())
def test_common_are_the_minutes_that_both_hold(some: list[Span], others: list[Span]) -> None:
    both = common(some, others)
    assert minutes_in(both) == sorted(set(minutes_in(some)) & set(minutes_in(others)))
    assert both == merge(both) == common(others, some)


@given(spans())
def test_clipping_and_meeting_agree_with_the_minutes(some: list[Span]) -> None:
    limits = span(50, 120)
    for s in (s for s in some if s.minutes):
        shared = set(minutes_in([s])) & set(minutes_in([limits]))
        assert set(minutes_in([clip(s, limits)])) == shared
        assert s.meets(limits) == bool(shared)


def test_an_end_is_not_in_its_span() -> None:
    assert not span(0, 5).meets(span(5, 9))
    assert span(0, 5).minutes == 5
    assert span(5, 0).minutes == 0


def test_minutes_are_rounded_down_and_up_and_whole_ones_kept() -> None:
    assert (floor_minute(T0 + SECOND), MINUTES.ceil(T0 + SECOND)) == span(0, 1)
    assert floor_minute(T0) == MINUTES.ceil(T0) == T0
