"""Spans: half-open intervals of time, `[start, end)`, in UTC, and their whole minutes."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from operator import attrgetter
from typing import NamedTuple

MINUTE = timedelta(minutes=1)


class Span(NamedTuple):
    """`[start, end)`: the start is in it, the end is not."""

    start: datetime
    end: datetime

    @property
    def minutes(self) -> int:
        """Number of whole minutes in the span; 0 if it is empty."""
        return max(0, (self.end - self.start) // MINUTE)

    def meets(self, other: "Span") -> bool:
        """Whether the two spans share an instant."""
        return self.start < other.end and other.start < self.end


def floor_minute(time: datetime) -> datetime:
    """The start of the minute that contains the time."""
    return time.replace(second=0, microsecond=0)


def clip(span: Span, limits: Span) -> Span:
    """The part of the span inside the limits; empty (start >= end) if they do not overlap."""
    return Span(max(span.start, limits.start), min(span.end, limits.end))


def merge(spans: Iterable[Span]) -> list[Span]:
    """The same instants as sorted, disjoint, non-touching spans; empty spans vanish."""
    merged: list[Span] = []
    for span in sorted(s for s in spans if s.start < s.end):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return merged


def subtract(spans: Iterable[Span], holes: Iterable[Span]) -> list[Span]:
    """The instants of the spans that are in none of the holes, sorted and disjoint."""
    held = merge(spans)
    cuts = merge(holes) if held else []
    return [piece for span in held for piece in _cut(span, cuts)]


def common(spans: Iterable[Span], others: Iterable[Span]) -> list[Span]:
    """The instants that are in both, sorted and disjoint."""
    held = merge(spans)
    return subtract(held, subtract(held, others)) if held else []


def _cut(span: Span, cuts: list[Span]) -> Iterator[Span]:
    start = span.start
    for place in range(bisect_right(cuts, start, key=attrgetter("end")), len(cuts)):
        cut = cuts[place]
        if cut.start >= span.end:
            break
        if start < cut.start:
            yield Span(start, cut.start)
        start = cut.end
    if start < span.end:
        yield Span(start, span.end)
